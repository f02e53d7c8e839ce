# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of the collection that wrote a record.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

#: A managed host sees neither galaxy.yml nor MANIFEST.json, so it stands here; a test compares it with galaxy.yml.
COLLECTION_VERSION = "0.1.0"
