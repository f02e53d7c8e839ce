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
_COMMON = ("name", "kind", "store", "hosts")
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
    host: str = "",
) -> list[Entry]:
    """The entries to work on, each with its store and its period, and `emergency` for one that others know.

    Where there are compromised ones, the others wait: nobody wants a second change beside an emergency. One that names
    hosts is led by the first of these, so on all others it is left out; `elsewhere` are the others, and `consumers_at`
    has the consumers of each.

    :param host: on which host that is; all are kept when it is empty.

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
        and (not host or entry["leads"] in ("", host))
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
    _spread(entry, str(name))
    return entry


def _spread(entry: Entry, name: str) -> None:
    """Which host leads, which others there are, and who has which consumers."""
    hosts, where = entry.pop("hosts", []), f"{_WHERE}: {name!r}"
    if not isinstance(hosts, (list, tuple)) or not all(isinstance(host, str) and host for host in hosts):
        raise InputError(f"{where}: hosts is no list of hosts of the inventory, the one that leads first")
    double = next((host for host in hosts if list(hosts).count(host) > 1), None)
    if double:
        raise InputError(f"{where}: the host {double!r} is there twice")
    entry["leads"], entry["elsewhere"] = (hosts[0] if hosts else ""), list(hosts[1:])
    entry["consumers_at"] = {host: [] for host in hosts}
    consumers = entry.get("consumers")
    if not isinstance(consumers, (list, tuple)) or not all(isinstance(one, t.Mapping) for one in consumers):
        return  # the module tells what is wrong with it
    for consumer in consumers:
        at = consumer.get("hosts") or hosts
        if not isinstance(at, (list, tuple)):
            raise InputError(f"{where}: hosts of the consumer {consumer.get('name')!r} is no list")
        if consumer.get("hosts") and not hosts:
            raise InputError(f"{where}: the consumer {consumer.get('name')!r} has hosts, and the secret has none")
        refuse_unknown(f"{where}: the consumer {consumer.get('name')!r} is on the unknown host", at, hosts)
        for host in at:
            entry["consumers_at"][host].append({key: consumer[key] for key in consumer if key != "hosts"})
    if hosts:
        entry["consumers"] = entry["consumers_at"][hosts[0]]


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
