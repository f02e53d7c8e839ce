# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one registered answer of `records_info` to one entry of the report's data.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

#: What of a registered result belongs in the report; all else stays where it is.
_KEYS = ("activities", "chain", "now")

NOT_IN_THIS_RUN = "not in this run"


def host_entry(registered: t.Any) -> dict[str, t.Any]:
    """The summary that a host's task registered, or `{"unreachable": reason}` when there is none to believe."""
    if not isinstance(registered, dict) or not registered:
        return {"unreachable": NOT_IN_THIS_RUN}
    if registered.get("unreachable"):
        return {"unreachable": _why(registered, "host is unreachable")}
    if registered.get("failed"):
        return {"unreachable": _why(registered, "its records could not be read")}
    if registered.get("skipped"):
        return {"unreachable": NOT_IN_THIS_RUN}
    if not isinstance(registered.get("activities"), dict):
        return {"unreachable": "what its task returned is no summary of records"}
    return {key: registered[key] for key in _KEYS if key in registered}


def _why(registered: dict[str, t.Any], otherwise: str) -> str:
    for key in ("reason", "msg"):
        if isinstance(registered.get(key), str) and registered[key].strip():
            return str(registered[key])
    return otherwise
