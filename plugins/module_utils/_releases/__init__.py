# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of an application on a host: installed beside, proved, switched to by one link, and back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""
