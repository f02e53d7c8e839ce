# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration behind bin/demo: a private PostgreSQL, a neglected database, an application, two runs.

`python -m demo` is called by bin/demo, which has prepared the environment. Nothing here is part of the collection.
"""
