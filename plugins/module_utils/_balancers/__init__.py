# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers: a server taken out of the traffic, proved by its connections, and let in again, proved by its checks.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""
