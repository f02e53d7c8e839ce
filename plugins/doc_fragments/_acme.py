# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """Documentation of ACCOUNT_ARGUMENTS in plugins/module_utils/_certificates/issue_arguments.py."""

    DOCUMENTATION = r"""
options:
  directory_url:
    description: Address of the authority's ACME directory.
    type: str
    default: https://acme-v02.api.letsencrypt.org/directory
  directory_trust:
    description: Absolute path of a PEM bundle for the ACME server's own certificate. Empty means that of the system.
    type: path
    default: ''
  account_directory:
    description:
      - Absolute path of the directory with the account's key, closed to all others. It is made where it is missing.
        Empty means one for each O(directory_url) below C(/var/lib/steward/acme), in the user's state directory when not
        root.
    type: path
    default: ''
  contact:
    description: Mail addresses that the authority may write to, when an account is made.
    type: list
    elements: str
    default: []
  terms_agreed:
    description: You have read the authority's terms of service and agree to them. Needed when an account is made.
    type: bool
    default: false
  eab_key_id:
    description: Identifier of the external account, for an authority that makes accounts only for those that it knows.
    type: str
    default: ''
  eab_key:
    description: Its MAC key, in base64url as the authority gave it.
    type: str
    default: ''
  timeout:
    description: The longest that the ACME server may be silent in one request.
    type: str
    default: 30s
"""
