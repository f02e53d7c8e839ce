# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of secrets that a project keeps: read as a whole, before any of them is touched.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.durations import parse_duration
from .._core.result import Result, ResultError
from .._core.suggest import InputError, refuse_unknown

DATABASE, JWT, API_KEY, COMMAND = "database", "jwt", "api_key", "command"
KINDS = (DATABASE, JWT, API_KEY, COMMAND)

#: What every entry may have, beside the options of the module that rotates it.
_COMMON = ("name", "kind", "store")
_WHERE = "secret_rotation_secrets"

Entry = t.Dict[str, t.Any]


class Listed(t.NamedTuple):
    """The settings that count for all entries."""

    store: t.Mapping[str, t.Any]
    periods: t.Mapping[str, str]
    options: t.Mapping[str, t.Collection[str]]


def chosen_secrets(
    entries: t.Any,
    listed: Listed,
    kinds: t.Sequence[str] = KINDS,
    only: t.Sequence[str] = (),
    compromised: t.Sequence[str] = (),
) -> list[Entry]:
    """The entries to work on, each with its store and its period, and `emergency` for one that others know.

    Where there are compromised ones, the others wait: nobody wants a second change beside an emergency.

    :raises InputError: for the first thing that is wrong with any entry, naming it.
    """
    if not isinstance(entries, (list, tuple)):
        raise InputError(f"{_WHERE} is no list: each entry is a secret with name and kind")
    read = [_entry(number, entry, listed) for number, entry in enumerate(entries, 1)]
    names = [entry["name"] for entry in read]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise InputError(f"{_WHERE}: {double!r} is there twice")
    refuse_unknown("secret_rotation_only: unknown secret", only, names)
    refuse_unknown("secret_rotation_compromised: unknown secret", compromised, names)
    refuse_unknown("unknown kind", kinds, KINDS)
    for entry in read:
        entry["emergency"] = entry["name"] in compromised
    return [
        entry
        for entry in read
        if entry["kind"] in kinds
        and (not only or entry["name"] in only)
        and (not compromised or entry["name"] in compromised)
    ]


def _entry(number: int, given: t.Any, listed: Listed) -> Entry:
    """One entry, complete; only names of keys are told, no value of a key that could be a secret."""
    if not isinstance(given, t.Mapping):
        raise InputError(f"{_WHERE}: entry {number} is no dictionary with name and kind")
    name, kind = given.get("name"), given.get("kind")
    if not isinstance(name, str) or not name:
        raise InputError(f"{_WHERE}: entry {number} has no name")
    if kind not in KINDS:
        refuse_unknown(f"{_WHERE}: {name!r} has the unknown kind", str(kind or ""), KINDS)
    known = [*_COMMON, *listed.options[str(kind)]]
    refuse_unknown(f"{_WHERE}: {name!r} (kind {kind}) has the unknown key", [str(key) for key in given], known)
    entry = {str(key): value for key, value in given.items()}
    entry["store"] = entry.get("store") or listed.store
    if not entry["store"]:
        raise InputError(f"{_WHERE}: {name!r} has no store, and secret_rotation_store is empty")
    entry["period"] = str(entry.get("period") or listed.periods[str(kind)])
    try:
        parse_duration(entry["period"])
    except InputError as exc:
        raise InputError(f"{_WHERE}: period of {name!r}: {exc}") from None
    return entry


def of_secret(told: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """The result of one secret with its name in it, also where a task failed without one."""
    try:
        result = Result.from_dict(dict(told))
    except ResultError:
        why = str(told.get("msg") or "it failed without saying why")
        result = Result("failed", "it was not rotated", why, of=1)
    named = dataclasses.replace(
        result,
        summary=f"{name}: {result.summary}",
        reason=f"{name}: {result.reason}" if result.reason else "",
        figures={f"{name}:{figure}": value for figure, value in result.figures.items()},
    )
    return dict(named.to_dict(), changed=bool(told.get("changed")))
