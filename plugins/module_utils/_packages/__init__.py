# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that projects depend on: what is there, what is known about it, and how long it may stay so.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""
