# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The view model: everything the page says, decided before any markup is written.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.result import BAD_VERDICTS, SEVERITIES
from .guide import SECTIONS
from .history import Activity, Data, Found, History, Schedule
from .text import clean, epoch, natural, plural

#: From this severity on, a finding makes its host one that needs attention.
ATTENTION_FROM = "medium"
LATELY_SECONDS = 7 * 86400
#: A record that ends this much after the host's own clock was written by another clock.
_CLOCK_TOLERANCE = 300
_NAMED_HOSTS = 5


@dataclasses.dataclass(frozen=True)
class Row:
    """One activity on one host."""

    activity: Activity
    host: str
    verdict: str
    """"", when it never ran."""
    summary: str
    reason: str
    history: History
    schedule: Schedule
    findings: tuple[Found, ...]
    readable: bool
    now: int
    """By the clock of the host, which wrote the records."""

    @property
    def is_bad(self) -> bool:
        return self.verdict in BAD_VERDICTS

    @property
    def rank(self) -> float:
        """Longest overdue first; among those never done, what is asked for most often."""
        if self.schedule.due is None:
            return 1e12 - (self.activity.every_seconds or 0)
        return self.schedule.overdue_seconds


class Done(t.NamedTuple):
    """The last time that an activity was done on a host."""

    row: Row
    ended: int

    @property
    def record(self) -> Data:
        return self.row.history.last_done or {}


@dataclasses.dataclass(frozen=True)
class Host:
    """One host and how far its records can be believed."""

    name: str
    readable: bool
    warnings: tuple[str, ...]
    records: int
    rows: tuple[Row, ...]
    others: tuple[tuple[str, History], ...]
    """Activities with records that the catalogue does not ask of this host."""

    @property
    def overdue(self) -> int:
        return sum(1 for row in self.rows if row.schedule.is_overdue)

    @property
    def serious(self) -> int:
        from_rank = SEVERITIES.index(ATTENTION_FROM)
        return sum(1 for row in self.rows for found in row.findings if SEVERITIES.index(found.severity) >= from_rank)

    @property
    def attention(self) -> tuple[str, ...]:
        """Why somebody should look at this host; empty when nobody needs to."""
        if not self.readable:
            return ("records not read",)
        counts = [(sum(1 for row in self.rows if row.verdict == bad), bad) for bad in reversed(BAD_VERDICTS)]
        counts.append((self.overdue, "overdue"))
        told = [f"{count} {what}" for count, what in counts if count]
        if self.serious:
            told.append(plural(self.serious, "serious finding"))
        if self.warnings:
            told.append(plural(len(self.warnings), "warning"))
        return tuple(told)


@dataclasses.dataclass(frozen=True)
class Line:
    """One activity of the guide: its rows, or the reason why it has none."""

    activity: Activity
    rows: tuple[Row, ...]
    absent: str


@dataclasses.dataclass(frozen=True)
class Section:
    number: str
    title: str
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class View:
    title: str
    generated: int
    hosts: tuple[Host, ...]
    sections: tuple[Section, ...]

    @property
    def rows(self) -> list[Row]:
        return [row for host in self.hosts for row in host.rows]

    @property
    def readable_hosts(self) -> int:
        return sum(1 for host in self.hosts if host.readable)

    @property
    def needing_attention(self) -> list[Host]:
        return [host for host in self.hosts if host.attention]

    @property
    def overdue(self) -> list[Row]:
        """The longest overdue first."""
        rows = [row for row in self.rows if row.schedule.is_overdue]
        return sorted(rows, key=lambda row: (-row.rank, row.activity.name, natural(row.host)))

    @property
    def not_well(self) -> list[Row]:
        """Failed, unknown, skipped, the worst first; unreadable hosts are told once, not once an activity."""
        order = ("failed", "unknown", "skipped")
        rows = [row for row in self.rows if row.verdict in order and row.readable]
        return sorted(rows, key=lambda row: (order.index(row.verdict), natural(row.host), row.activity.name))

    @property
    def findings(self) -> list[tuple[Row, Found]]:
        """The most severe first."""
        pairs = [(row, found) for row in self.rows for found in row.findings]
        return sorted(
            pairs,
            key=lambda pair: (
                -SEVERITIES.index(pair[1].severity),
                natural(pair[0].host),
                pair[0].activity.name,
                pair[1].key,
            ),
        )

    @property
    def done_lately(self) -> list[Done]:
        """The last time each activity was really done, if within the last days, newest first."""
        done = [Done(row, ended) for row in self.rows for ended in [row.history.done_at] if ended is not None]
        recent = [one for one in done if one.row.now - one.ended <= LATELY_SECONDS]
        return sorted(recent, key=lambda one: (-one.ended, natural(one.row.host), one.row.activity.name))

    @property
    def ran(self) -> bool:
        return any(row.history.last for row in self.rows)

    @property
    def activities(self) -> int:
        return sum(len(section.lines) for section in self.sections)

    @property
    def automated(self) -> int:
        return sum(1 for section in self.sections for line in section.lines if line.activity.available)

    @property
    def headline(self) -> str:
        if not self.hosts:
            return "No hosts: nothing is maintained here yet"
        count = plural(len(self.hosts), "host")
        wanting = self.needing_attention
        if not wanting:
            return f"{count}, none needs attention"
        named = "; ".join(f"{host.name}: {', '.join(host.attention)}" for host in wanting[:_NAMED_HOSTS])
        more = f"; and {len(wanting) - _NAMED_HOSTS} more" if len(wanting) > _NAMED_HOSTS else ""
        verb = "needs" if len(wanting) == 1 else "need"
        return f"{count}, {len(wanting)} {verb} attention: {named}{more}"


def build_view(data: Data, generated: int) -> View:
    """The view of `{"hosts": {name: records summary or {"unreachable": reason}}, "catalogue": [...], "groups": {...}}`.

    :raises DurationError: for an activity whose period cannot be read.
    """
    activities = [Activity.from_dict(entry) for entry in data.get("catalogue") or ()]
    groups = {clean(name): [clean(host) for host in hosts] for name, hosts in (data.get("groups") or {}).items()}
    summaries = {clean(name): summary for name, summary in (data.get("hosts") or {}).items()}
    hosts = tuple(
        _host(name, summaries[name], activities, groups, generated) for name in sorted(summaries, key=natural)
    )
    rows: dict[str, list[Row]] = {}
    for host in hosts:
        for row in host.rows:
            rows.setdefault(row.activity.name, []).append(row)
    sections: dict[str, list[Line]] = {}
    for activity in activities:
        found = tuple(rows.get(activity.name, ()))
        sections.setdefault(activity.guide, []).append(Line(activity, found, _why_absent(activity, found)))
    return View(
        title=clean(data.get("title")) or "Maintenance report",
        generated=generated,
        hosts=hosts,
        sections=tuple(
            Section(number, SECTIONS.get(number, ""), tuple(sections[number]))
            for number in sorted(sections, key=natural)
        ),
    )


def _why_absent(activity: Activity, rows: tuple[Row, ...]) -> str:
    if not activity.available:
        return "not automated yet"
    if rows:
        return ""
    return (
        "nobody asked for it" if activity.every == "event" else f"no host in group {activity.group or '(none given)'}"
    )


def _host(
    name: str, summary: Data, activities: list[Activity], groups: t.Mapping[str, list[str]], generated: int
) -> Host:
    wanted = [one for one in activities if one.available and _applies(one, name, groups)]
    recorded = summary.get("activities")
    if isinstance(recorded, dict):
        # What no clock asks for has a row where somebody asked for it. Of a host that is not read nobody knows.
        wanted = [one for one in wanted if one.every != "event" or one.name in recorded]
    else:
        wanted = [one for one in wanted if one.every != "event" or one.group != "all"]
    if "unreachable" in summary or not isinstance(recorded, dict):
        reason = clean(summary.get("unreachable")) or "its records summary does not have the shape"
        why = f"records not read: {reason}"
        # Not known is not overdue: the row says unknown, the host needs attention.
        unread = tuple(_unread_row(one, name, why, generated) for one in wanted)
        return Host(name, False, (why,), 0, unread, ())
    now = epoch(summary.get("now")) or generated
    histories = {clean(key): History(entry) for key, entry in recorded.items()}
    rows = tuple(_row(one, name, histories.get(one.name, History(None)), now) for one in wanted)
    asked = {one.name for one in wanted}
    others = tuple((key, histories[key]) for key in sorted(histories) if key not in asked)
    chain = summary.get("chain") if isinstance(summary.get("chain"), dict) else {}
    length = (chain or {}).get("length")
    return Host(
        name=name,
        readable=True,
        warnings=tuple(_warnings(chain or {}, histories, now)),
        records=length if isinstance(length, int) else 0,
        rows=rows,
        others=others,
    )


def _applies(activity: Activity, host: str, groups: t.Mapping[str, list[str]]) -> bool:
    return activity.group == "all" or host in groups.get(activity.group, ())


def _unread_row(activity: Activity, host: str, why: str, now: int) -> Row:
    nothing = History(None)
    return Row(activity, host, "unknown", "", why, nothing, Schedule(None, None, 0.0), (), False, now)


def _row(activity: Activity, host: str, history: History, now: int) -> Row:
    record = history.last or {}
    return Row(
        activity=activity,
        host=host,
        verdict=history.verdict,
        summary=clean(record.get("summary")),
        reason=clean(record.get("reason")),
        history=history,
        schedule=history.schedule(activity, now),
        findings=tuple(history.findings()),
        readable=True,
        now=now,
    )


def _warnings(chain: Data, histories: t.Mapping[str, History], now: int) -> t.Iterator[str]:
    if chain.get("intact") is not True:
        yield f"record chain broken: {clean(chain.get('problem')) or 'the records do not say that it is intact'}"
    torn = chain.get("torn")
    if torn:
        lines = plural(torn, "torn record line") if isinstance(torn, int) else "torn record lines"
        yield f"{lines} set aside: a write was cut off in its middle"
    ahead = [name for name, history in sorted(histories.items()) if (history.last_run or 0) > now + _CLOCK_TOLERANCE]
    if ahead:
        yield f"records from the future ({', '.join(ahead)}): the clock was wrong, due times cannot be trusted"
