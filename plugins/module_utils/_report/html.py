# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML page: one file that needs nothing beside it, no network and no script.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from .._core.durations import format_duration
from .._core.result import SEVERITIES
from .history import seconds_of, verdict_of
from .html_guide import guide_section
from .markup import Markup, join, tag
from .model import ATTENTION_FROM, Host, Row, View
from .parts import (
    Cell,
    Column,
    age,
    badge,
    body_row,
    breakable,
    code,
    due_cell,
    last_done_cell,
    moment,
    moving,
    often,
    page_section,
    severity_badge,
    simple_table,
    table,
    verdict_cell,
)
from .style import style_sheet
from .svg import duration_bar, sparkline
from .text import clean, plural, utc

_LATELY_SHOWN = 50

#: Even if markup got through the escaping, a browser would load and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_page(view: View) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{view.title}: {view.headline}"),
        tag("style", Markup(style_sheet())),
    )
    main = tag(
        "main",
        _tiles(view),
        _overdue(view),
        _not_well(view),
        _findings(view),
        _lately(view),
        _hosts(view),
        guide_section(view),
        _others(view),
    )
    body = tag("body", _top(view), main, _footer())
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en")


def _top(view: View) -> Markup:
    wanting = view.needing_attention
    short, _colon, _rest = view.headline.partition(":")
    if not view.hosts:
        short = view.headline
    reasons = [
        tag("li", tag("a", host.name, href=f"#host-{place}"), ": ", ", ".join(host.attention))
        for place, host in enumerate(view.hosts)
        if host.attention
    ]
    links = [
        ("overdue", "Overdue"), ("not-well", "Failed, unknown, skipped"), ("findings", "Findings"),
        ("lately", "Done lately"), ("hosts", "Hosts"), ("guide", "The guide"),
    ]  # fmt: skip
    return tag(
        "header",
        tag("h1", view.title),
        tag("p", short, class_="headline"),
        tag(
            "p",
            "Written ",
            moving(f"{utc(view.generated)} UTC"),
            " from the records of the hosts.",
            _scope(view),
            class_="soft",
        ),
        tag("ul", *reasons, class_="attention") if wanting else None,
        tag("nav", *(tag("a", words, href=f"#{target}") for target, words in links), aria_label="On this page"),
        class_="top",
    )


def _scope(view: View) -> str | None:
    """What a good headline does not speak for."""
    missing = view.activities - view.automated
    return f" Not automated yet: {missing} of the guide's {view.activities} activities." if missing else None


def _tiles(view: View) -> Markup:
    bad = sum(1 for row in view.rows if row.is_bad)
    serious = sum(host.serious for host in view.hosts)
    found = len(view.findings)
    tiles = [
        ("Hosts whose records were read", str(view.readable_hosts), f" of {len(view.hosts)}"),
        ("Overdue", str(len(view.overdue)), ""),
        ("Failed or unknown", str(bad), ""),
        (f"Findings of {ATTENTION_FROM} severity or worse", str(serious), f" of {found}"),
        ("Activities of the guide automated", str(view.automated), f" of {view.activities}"),
    ]
    written = [
        tag("div", tag("dt", words), tag("dd", number, tag("small", beside) if beside else None), class_="tile")
        for words, number, beside in tiles
    ]
    return tag("dl", *written, class_="tiles")


def _nothing(words: str) -> Markup:
    return tag("p", words, class_="good")


def _what(row: Row) -> Markup:
    return join(row.activity.title, tag("p", row.activity.guide, " ", code(row.activity.name), class_="note"))


def _blind(view: View) -> str:
    unread = len(view.hosts) - view.readable_hosts
    return f"Not known for {plural(unread, 'host')} whose records were not read." if unread else ""


def _overdue(view: View) -> Markup:
    columns = (
        Column("Activity", 26),
        Column("Host", 18),
        Column("Overdue", 26),
        Column("Last done", 18),
        Column("Asked for", 12),
    )
    rows = [
        (
            _what(row),
            breakable(row.host),
            due_cell(row),
            last_done_cell(row),
            often(row.activity.every, row.activity.every_seconds),
        )
        for row in view.overdue
    ]
    content = simple_table("Overdue activities", columns, rows) if rows else _nothing("Nothing is known to be overdue.")
    return page_section("overdue", "Overdue", _blind(view), content)


def _not_well(view: View) -> Markup:
    columns = (Column("Activity", 20), Column("Host", 18), Column("Verdict", 44), Column("When", 18))
    rows: list[tuple[Cell, ...]] = [
        (
            "All of its activities",
            breakable(host.name),
            join(badge("unknown"), tag("p", host.warnings[0], class_="small")),
            "",
        )
        for host in view.hosts
        if not host.readable
    ]
    rows += [
        (_what(row), breakable(row.host), verdict_cell(row), _when(row.history.last_run, row.now))
        for row in view.not_well
    ]
    content = (
        simple_table("Failed, unknown and skipped activities, with the reason", columns, rows)
        if rows
        else _nothing("Everything that ran could look and succeeded." if view.ran else "Nothing has run yet.")
    )
    return page_section("not-well", "Failed, unknown, skipped", "", content)


def _when(ended: int | None, now: int) -> Markup:
    return join(moment(ended), tag("p", age(ended, now), class_="note")) if ended is not None else Markup("")


def _findings(view: View) -> Markup:
    columns = (
        Column("Finding", 34),
        Column("Severity", 11),
        Column("Host", 17),
        Column("Activity", 15),
        Column("What to do", 23),
    )
    earlier = tag("p", "found earlier; the last run could not look again", class_="note")
    rows = [
        (
            join(
                found.subject, tag("p", found.message, class_="small soft"), earlier if found.from_earlier_run else None
            ),
            severity_badge(found.severity),
            breakable(row.host),
            row.activity.title,
            found.action or "nothing named",
        )
        for row, found in view.findings
    ]
    counts = {
        severity: sum(1 for _row, found in view.findings if found.severity == severity) for severity in SEVERITIES
    }
    told = ", ".join(f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity])
    content = simple_table("Findings, the most severe first", columns, rows) if rows else _nothing("Nothing was found.")
    return page_section(
        "findings", "Findings", " ".join(filter(None, (f"{told}." if told else "", _blind(view)))), content
    )


def _lately(view: View) -> Markup:
    columns = (
        Column("Activity", 20),
        Column("Host", 18),
        Column("Outcome", 31),
        Column("When", 18),
        Column("Took", 13),
    )
    lately = view.done_lately
    shown = lately[:_LATELY_SHOWN]
    took = [seconds_of(done.record) for done in shown]
    longest = max(took, default=0.0)
    rows = [
        (
            _what(done.row),
            breakable(done.row.host),
            join(
                badge(verdict_of(done.record.get("verdict"))),
                tag("p", clean(done.record.get("summary")), class_="small"),
            ),
            _when(done.ended, done.row.now),
            join(
                tag("span", format_duration(seconds), class_="figure"),
                duration_bar(seconds, longest, verdict_of(done.record.get("verdict"))),
            ),
        )
        for done, seconds in zip(shown, took)
    ]
    note = "The last time each activity was done, within seven days, newest first."
    if len(lately) > len(shown):
        note += f" These are the newest {len(shown)} of {len(lately)}; all are in the guide below."
    content = simple_table("Done lately", columns, rows) if rows else _nothing("Nothing was done within seven days.")
    return page_section("lately", "Done lately", note, content)


def _hosts(view: View) -> Markup:
    columns = (
        Column("Host", 20),
        Column("State", 42),
        Column("Overdue", 11),
        Column("Findings", 11),
        Column("Records", 16),
    )
    rows = [
        body_row(
            columns,
            (
                breakable(host.name),
                _host_state(host),
                str(host.overdue) if host.readable else "not known",
                str(sum(len(row.findings) for row in host.rows)) if host.readable else "not known",
                _records(host),
            ),
            id=f"host-{place}",
        )
        for place, host in enumerate(view.hosts)
    ]
    content = table("Hosts", columns, [tag("tbody", *rows)]) if rows else _nothing("There is no host in this report.")
    return page_section("hosts", "Hosts", "", content)


def _host_state(host: Host) -> Markup:
    if not host.readable:
        return join(badge("unknown"), *(tag("p", warning, class_="small") for warning in host.warnings))
    if host.attention:
        told = tag("p", ", ".join(host.attention), class_="small")
        return join(
            badge("findings", "needs attention"),
            told,
            *(tag("p", f"Warning: {warning}", class_="small") for warning in host.warnings),
        )
    if not host.rows:
        return join(
            badge("skipped", "nothing to do"), tag("p", "no automated activity applies to this host", class_="small")
        )
    return badge("ok", "no attention needed")


def _records(host: Host) -> str:
    if not host.readable:
        return "not read"
    return f"{host.records}, {'see the warning' if host.warnings else 'chain intact'}"


def _others(view: View) -> Markup | None:
    columns = (
        Column("Activity", 20),
        Column("Host", 18),
        Column("Last verdict", 29),
        Column("When", 18),
        Column("Trend", 15),
    )
    rows = [
        (
            code(name),
            breakable(host.name),
            join(badge(history.verdict), tag("p", clean(history.last.get("summary")), class_="small")),
            moment(history.last_run) if history.last_run is not None else "",
            sparkline(history.runs),
        )
        for host in view.hosts
        for name, history in host.others
        if history.last
    ]
    if not rows:
        return None
    note = "In the records of a host, but not asked of it by the catalogue."
    return page_section("others", "Other records", note, simple_table("Other records", columns, rows))


def _footer() -> Markup:
    return tag(
        "footer",
        tag(
            "p",
            "ok: looked at everything, and what was done was measured afterwards. "
            "findings: somebody should know something. unknown: could not look, or looked at a part only. "
            "failed: did not succeed, or the proof failed. skipped: left out on purpose, the reason says why. "
            "overdue: its period has passed since the last time it was done.",
        ),
        tag("p", "Times are UTC. Ages are those of the moment this page was written. Written by steward.maintenance."),
    )
