# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At how many random moments a test kills: STEWARD_KILLS. `make faults` asks for 20, `bin/test` has less time."""

from __future__ import annotations

import os

KILLS = int(os.environ.get("STEWARD_KILLS", "5"))
#: The same where each of them costs two runs of the whole main job.
KILLS_OF_ALL = int(os.environ.get("STEWARD_KILLS", "2"))
