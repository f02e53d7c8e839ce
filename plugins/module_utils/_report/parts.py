# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces that the page is put together from: badges, times, tables.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from .._core.durations import format_duration
from .markup import Markup, join, tag
from .model import Row
from .text import iso, utc

#: A sign and a word beside each colour.
_SIGNS = {"ok": "✓", "findings": "!", "unknown": "?", "failed": "✕", "skipped": "-", "overdue": "◷"}
_SEVERITY_STATES = {"critical": "failed", "high": "overdue", "medium": "findings", "low": "skipped", "info": "skipped"}

#: What moves with the clock alone, not with the records, is marked, so that two pages can be compared without it.
_MOVING = re.compile(r'<span class="moving">[^<]*</span>')

_MINUTE = 60

Cell = t.Union[str, None]


def badge(state: str, words: str = "") -> Markup:
    return tag("span", f"{_SIGNS[state]} {words or state}", class_=f"badge b-{state}")


def severity_badge(severity: str) -> Markup:
    return tag("span", severity, class_=f"badge b-{_SEVERITY_STATES[severity]}")


def moving(text: str) -> Markup:
    return tag("span", text, class_="moving")


def without_moving(page: str) -> str:
    """The page but for the ages of things and the time it was written."""
    return _MOVING.sub("", page)


def moment(seconds: int) -> Markup:
    return tag("time", utc(seconds), datetime=iso(seconds))


def age(seconds: int, now: int) -> Markup:
    distance = now - seconds
    told = f"in {coarse(-distance)}" if distance < 0 else f"{coarse(distance)} ago"
    return moving("just now" if abs(distance) < _MINUTE else told)


def coarse(seconds: float) -> str:
    """An age in the two units that matter, without seconds."""
    return format_duration(seconds - seconds % _MINUTE if seconds >= _MINUTE else round(seconds))


def often(every: str, seconds: int | None) -> str:
    """A period in the guide's words where it has one."""
    if seconds is None:
        return "on event"
    for word, least, most in (
        ("daily", 1, 1), ("weekly", 7, 7), ("monthly", 28, 31), ("quarterly", 89, 93), ("annually", 360, 366),
    ):  # fmt: skip
        if least * 86400 <= seconds <= most * 86400:
            return word
    return f"every {format_duration(seconds)}" if every != "event" else "on event"


def due_cell(row: Row) -> Markup:
    """When it is due next, or for how long it has been."""
    schedule = row.schedule
    if not row.readable:
        return tag("span", "not known", class_="soft")
    if schedule.is_overdue:
        if schedule.due is None:
            return badge("overdue", "overdue: never done")
        return join(
            badge("overdue"),
            tag("p", moving(coarse(schedule.overdue_seconds)), " since ", moment(schedule.due), class_="note"),
        )
    if schedule.due is None:
        return tag("span", "on event", class_="soft")
    return join(moment(schedule.due), tag("p", age(schedule.due, row.now), class_="note"))


def last_done_cell(row: Row) -> Markup:
    done = row.schedule.last_done
    if not row.readable:
        return tag("span", "not known", class_="soft")
    if done is None:
        return tag("span", "never", class_="soft")
    return join(moment(done), tag("p", age(done, row.now), class_="note"))


def verdict_cell(row: Row) -> Markup:
    """How the last run ended and, in full, what it said."""
    if not row.verdict:
        return tag("span", "never run", class_="badge b-skipped")
    return join(
        badge(row.verdict),
        tag("p", row.summary, class_="small") if row.summary else None,
        tag("p", row.reason, class_="note") if row.reason else None,
    )


def breakable(name: str) -> Markup:
    """A dotted name may go on in the next line after a dot, rather than anywhere."""
    parts = name.split(".")
    return join(*(join(part, ".", tag("wbr")) for part in parts[:-1]), parts[-1])


def code(name: str) -> Markup:
    return tag("span", breakable(name), class_="name")


class Column(t.NamedTuple):
    """A column and its share of the table's width, in percent."""

    title: str
    width: int


def body_row(columns: t.Sequence[Column], cells: t.Sequence[Cell], **attributes: str | None) -> Markup:
    """The first cell names the row; the others carry their column's title for narrow screens."""
    written = [tag("th", cells[0], scope="row")]
    for column, cell in zip(columns[1:], cells[1:]):
        written.append(tag("td", cell or "", data_label=column.title, class_=None if cell else "empty"))
    return tag("tr", *written, **attributes)


def table(caption: str, columns: t.Sequence[Column], bodies: t.Iterable[Markup], class_: str = "rows") -> Markup:
    head = tag("tr", *(tag("th", column.title, scope="col", class_=f"w{column.width}") for column in columns))
    written = tag("table", tag("caption", caption), tag("thead", head), *bodies, class_=class_)
    return tag("div", written, class_="frame")


def simple_table(caption: str, columns: t.Sequence[Column], rows: t.Iterable[t.Sequence[Cell]]) -> Markup:
    return table(caption, columns, [tag("tbody", *(body_row(columns, cells) for cells in rows))])


def page_section(identity: str, title: str, note: str, content: Markup) -> Markup:
    heading = f"{identity}-title"
    return tag(
        "section",
        tag("h2", title, id=heading),
        tag("p", note, class_="note") if note else None,
        content,
        id=identity,
        aria_labelledby=heading,
    )
