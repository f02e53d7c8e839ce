# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of databases, tables and indexes, and how they grew since the last record.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The figures of a review hold the sizes of all databases and of the largest relations of the whole server. The record
keeps them; the next review is given that record and tells what grew.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .._core.sizes import format_size
from .._core.suggest import InputError, refuse_unknown
from .connection import quote
from .reviewing import CannotLook, Look

_LARGEST = 20
_LARGEST_OF_A_DATABASE = 10


@dataclasses.dataclass(frozen=True)
class Previous:
    """What an earlier review recorded."""

    time: datetime.datetime | None = None
    figures: t.Mapping[str, float] = dataclasses.field(default_factory=dict)


def previous_from(value: t.Mapping[str, t.Any] | None) -> Previous:
    """The option `previous`.

    :raises InputError: naming what is wrong with it.
    """
    if not value:
        return Previous()
    refuse_unknown("previous: unknown key", value, ("time", "figures"))
    figures = value.get("figures") or {}
    if not isinstance(figures, dict):
        raise InputError(f"previous: figures is {figures!r}, must be a dictionary of names and numbers")
    for name, number in figures.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise InputError(f"previous: figure {name!r} is {number!r}, must be a number")
    right = "must be a moment with its zone, like 2026-11-23T01:00:00Z"
    text = str(value.get("time") or "")
    try:
        moment = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        raise InputError(f"previous: time is {text!r}, {right}") from None
    if moment.tzinfo is None:
        raise InputError(f"previous: time is {text!r} without a zone, {right}")
    return Previous(moment, figures)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large one thing is now."""

    kind: str
    name: str  # with its database before it
    bytes: int

    @property
    def figure(self) -> str:
        return f"{self.kind}_bytes[{self.name}]"


class Sizes:
    """Collects the sizes over all databases; `growth` is the check that compares them."""

    def __init__(self, previous: Previous | None = None) -> None:
        self._previous = previous or Previous()
        self._databases: list[Size] = []
        self._relations: list[Size] = []

    def database_sizes(self, look: Look) -> t.Iterator[Finding]:
        """Asked once, for all databases of the server, those that refuse connections too."""
        rows = look.query(
            """
SELECT datname::text, CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT')
    OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_catalog.pg_database_size(oid) END
FROM pg_catalog.pg_database ORDER BY 1"""
        )
        self._databases = [Size("database", name, size) for name, size in rows if size is not None]
        look.facts["database_bytes"] = {size.name: size.bytes for size in self._databases}
        hidden = [name for name, size in rows if size is None]
        if hidden:
            role = look.role()
            raise CannotLook(
                f"role {role} does not see the size of {', '.join(hidden)}", f"GRANT pg_monitor TO {quote(role)}"
            )
        yield from ()

    def relation_sizes(self, look: Look) -> t.Iterator[Finding]:
        """Of one database. Tables count with their TOAST tables and without their indexes."""
        sizes = look.table_sizes()
        tables = sorted((table for table in look.tables() if sizes.get(table.oid)), key=lambda table: -sizes[table.oid])
        indexes = sorted(look.indexes(), key=lambda index: -index.bytes)[:_LARGEST]
        look.facts["largest_tables"] = [
            {"table": table.label, "bytes": sizes[table.oid], "rows": table.live, "dead_rows": table.dead}
            for table in tables[:_LARGEST_OF_A_DATABASE]
        ]
        look.facts["largest_indexes"] = [
            {"index": index.label, "table": index.table, "bytes": index.bytes}
            for index in indexes[:_LARGEST_OF_A_DATABASE]
        ]
        for table in tables[:_LARGEST]:
            self._relations.append(Size("table", f"{look.database}.{table.label}", sizes[table.oid]))
        self._relations += [Size("index", f"{look.database}.{index.label}", index.bytes) for index in indexes]
        yield from ()

    def _largest(self) -> list[Size]:
        return self._databases + sorted(self._relations, key=lambda size: (-size.bytes, size.figure))[:_LARGEST]

    @property
    def figures(self) -> dict[str, float]:
        return {size.figure: size.bytes for size in self._largest()}

    def growth(self, look: Look) -> t.Iterator[Finding]:
        """The check: what grew since the last record, by more than both thresholds."""
        limits, before = look.thresholds, self._previous
        if before.time is None:
            return
        seconds = max(0.0, (datetime.datetime.now(datetime.timezone.utc) - before.time).total_seconds())
        told = []
        for size in self._largest():
            was = before.figures.get(size.figure)
            if was is None:
                continue
            grown = size.bytes - int(was)
            percent = round(100 * grown / max(was, 1), 1)
            told.append(
                {"kind": size.kind, "name": size.name, "bytes": size.bytes, "grown_bytes": grown, "percent": percent}
            )
            if grown < limits.growth_bytes or percent < limits.growth_percent:
                continue
            message = f"it grew from {format_size(was)} to {format_size(size.bytes)} in {format_duration(seconds)}"
            action = {
                "database": "see which tables grew, and whether the disk has room for the same once more",
                "table": "see what writes to it, and delete, partition or archive what is not needed",
                "index": "compare it with its table: when that did not grow as well, REINDEX INDEX CONCURRENTLY",
            }[size.kind]
            yield look.finding("growth", "low", f"{size.kind} {size.name}", message, action, grown, limits.growth_bytes)
        look.facts["growth"] = {"since": before.time.isoformat(), "of": told}
