# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that the modules for what projects depend on share word for word.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of some of PACKAGES_ARGUMENTS in plugins/module_utils/_packages/arguments.py."""

    DOCUMENTATION = r"""
options:
  ecosystems:
    description: What to look for.
    type: list
    elements: str
    choices: [pypi, npm]
    default: [pypi, npm]
  requirements:
    description: Shell patterns of files of requirements, relative to the project.
    type: list
    elements: str
    default: ['*requirements*.txt', 'requirements/*.txt']
  osv_url:
    description: Address of the query of an OSV service, ending in C(/v1/query). Empty means the public one.
    type: str
    default: ''
  max_age:
    description: Advisories that say they are older than this are not believed. Empty turns that off.
    type: str
    default: 24h
  pip_audit:
    description: Name or path of the program C(pip-audit).
    type: str
    default: pip-audit
  npm:
    description: Name or path of the program C(npm).
    type: str
    default: npm
  answer_timeout:
    description: How long one answer of a registry or an advisory service may take.
    type: str
    default: 30s
  host:
    description: Name of this host in C(scope.host) of O(accepted). Empty means its own.
    type: str
    default: ''
"""
