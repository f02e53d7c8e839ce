# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's own headings: the page is laid out in the guide's words.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

SECTIONS = {
    "1.1": "Purpose",
    "1.2": "Scope",
    "2.1": "Bug Fix Process",
    "2.2": "Dependency Updates",
    "2.3": "Database Maintenance",
    "3.1": "Change Request Process",
    "3.2": "Change Categories",
    "4.1": "Key Metrics",
    "4.2": "Log Monitoring",
    "4.3": "Health Checks",
    "5.1": "Backup Schedule",
    "5.2": "Recovery Procedures",
    "5.3": "Disaster Recovery",
    "6.1": "Regular Security Tasks",
    "6.2": "Security Incident Response",
    "6.3": "Secret Rotation",
    "7.1": "Performance Monitoring",
    "7.2": "Optimization Checklist",
    "7.3": "Capacity Planning",
    "8.1": "Documentation Updates",
    "8.2": "Documentation Review",
    "9.1": "Support Contacts",
    "9.2": "Vendor Support",
}
