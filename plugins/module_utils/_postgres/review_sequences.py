# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check: sequences near their end, which is that of the column they feed or their own, whichever comes first.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.result import Finding
from .connection import quote
from .reviewing import CannotLook, Look

_TYPE_ENDS = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
_NEXT_TYPE = {"int2": "integer", "int4": "bigint"}

_CRITICAL_PERCENT = 95


@dataclasses.dataclass(frozen=True)
class Feed:
    """A sequence, and a column that takes its numbers (or none)."""

    schema: str
    name: str
    type: str
    start: int
    step: int
    lowest: int
    highest: int
    cycles: bool
    readable: bool
    last: int | None  # None before its first number
    table_schema: str
    table: str
    column: str
    column_type: str

    @property
    def ending(self) -> tuple[int, bool]:
        """The last number that can be used, and whether the column (or else the sequence) sets it."""
        own = self.highest if self.step > 0 else self.lowest
        end = _TYPE_ENDS.get(self.column_type)
        if end is None:
            return own, False
        held = end if self.step > 0 else -end - 1
        narrower = held < own if self.step > 0 else held > own
        return (held, True) if narrower else (own, False)

    @property
    def used_percent(self) -> float:
        """Of what lies between its first number and its end."""
        if self.last is None:
            return 0.0
        end, _by_column = self.ending
        first = self.lowest if self.step > 0 else self.highest
        if (first > end) if self.step > 0 else (first < end):
            first = self.start
        return 100.0 * (self.last - first) / ((end - first) or self.step)

    @property
    def left(self) -> int:
        end, _by_column = self.ending
        return max(0, (end - (self.last or 0)) // self.step)


#: A column takes its numbers when it owns the sequence (serial, identity), or when its default calls it.
_FEEDS = """
SELECT n.nspname::text, c.relname::text, pg_catalog.format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement,
  s.seqmin, s.seqmax, s.seqcycle, readable,
  CASE WHEN readable THEN pg_catalog.pg_sequence_last_value(c.oid) END,
  coalesce(tn.nspname::text, ''), coalesce(t.relname::text, ''), coalesce(a.attname::text, ''),
  coalesce((SELECT y.typname::text FROM pg_catalog.pg_type AS y
            WHERE y.oid = coalesce(nullif(d.typbasetype, 0), a.atttypid)), '')
FROM pg_catalog.pg_sequence AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid AND c.relpersistence <> 't'
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') AS readable) AS r
LEFT JOIN LATERAL (
  SELECT p.refobjid AS relation, p.refobjsubid AS number FROM pg_catalog.pg_depend AS p
  WHERE p.classid = 'pg_catalog.pg_class'::regclass AND p.objid = c.oid AND p.deptype IN ('a', 'i')
    AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjsubid > 0
  UNION
  SELECT e.adrelid, e.adnum FROM pg_catalog.pg_depend AS p JOIN pg_catalog.pg_attrdef AS e ON e.oid = p.objid
  WHERE p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.refclassid = 'pg_catalog.pg_class'::regclass
    AND p.refobjid = c.oid
) AS feeds ON true
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = feeds.relation
LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = feeds.relation AND a.attnum = feeds.number
LEFT JOIN pg_catalog.pg_type AS d ON d.oid = a.atttypid
WHERE NOT coalesce(t.relispartition, false)
ORDER BY 1, 2, 11, 12, 13
"""


def sequences_near_their_end(look: Look) -> t.Iterator[Finding]:
    limit = look.thresholds.sequence_percent
    unreadable: dict[str, set[str]] = {}
    for row in look.query(_FEEDS):
        feed = Feed(*row)
        if not feed.readable:
            unreadable.setdefault(feed.schema, set()).add(feed.name)
            continue
        _end, by_column = feed.ending
        if feed.used_percent < limit or (feed.cycles and not by_column):
            continue
        yield _finding(look, feed, limit)
    if unreadable:
        role = look.role()
        count = sum(len(names) for names in unreadable.values())
        schemas = ", ".join(quote(schema) for schema in sorted(unreadable))
        action = f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schemas} TO {quote(role)}"
        raise CannotLook(f"role {role} does not see the numbers of {count} sequences", action)


def _finding(look: Look, feed: Feed, limit: int) -> Finding:
    end, by_column = feed.ending
    sequence = quote(feed.schema, feed.name)
    label = f"{feed.schema}.{feed.name}"
    subject = f"{feed.table_schema}.{feed.table}.{feed.column}" if feed.column else label
    if by_column:
        what = f"the column's type {feed.column_type} ends at {end}"
        action = (
            f"ALTER TABLE {quote(feed.table_schema, feed.table)} ALTER COLUMN {quote(feed.column)}"
            f" TYPE {_NEXT_TYPE[feed.column_type]}: it rewrites the table, so in a window, or by a new column"
        )
    else:
        what = f"the sequence ends at {end}"
        widen = "" if feed.type == "bigint" else "AS bigint "
        bound = "MAXVALUE" if feed.step > 0 else "MINVALUE"
        action = f"ALTER SEQUENCE {sequence} {widen}NO {bound}"
        if feed.column_type in _NEXT_TYPE:
            action += f", after the type of column {subject} was changed to bigint"
    percent = round(feed.used_percent, 1)
    message = f"{percent} % of the numbers are used: {label} is at {feed.last}, {what}, {feed.left} are left"
    severity = "critical" if percent >= _CRITICAL_PERCENT else "high"
    return look.finding("sequence", severity, subject, message, action, percent, limit)
