# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that revokes certificates.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from .._core.suggest import InputError
from .arguments import ENDPOINT_OPTIONS, duration_from, endpoints_from
from .issue_arguments import ACCOUNT_ARGUMENTS, account_from, fingerprints_from
from .revoke import REASONS, Settings
from .trust import Trust

REVOKE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "fingerprints": {"type": "list", "elements": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "reason": {"type": "str", "choices": list(REASONS), "default": "key_compromise"},
    "listeners": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {**ENDPOINT_OPTIONS, "names": {"type": "list", "elements": "str"}},
    },
    "look_timeout": {"type": "str", "default": "5s"},
    **ACCOUNT_ARGUMENTS,
}


def revoke_settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    if not params["fingerprints"]:
        raise InputError("fingerprints is empty: name at least one certificate")
    if not params["listeners"]:
        raise InputError("listeners is empty: name where it was served, or nobody can tell that it is no more")
    if not os.path.isabs(params["directory"]):
        raise InputError(f"directory is {params['directory']!r}: write an absolute path")
    return Settings(
        fingerprints=fingerprints_from("fingerprints", params["fingerprints"]),
        directory=params["directory"],
        reason=params["reason"],
        account=account_from(params),
        listeners=endpoints_from("listeners", params["listeners"]),
        trust=Trust(""),
        timeout=duration_from(params, "look_timeout"),
    )
