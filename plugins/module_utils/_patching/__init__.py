# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the system: what is upgradable, whether it can be done now, the upgrade, its proof, and the way back.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""
