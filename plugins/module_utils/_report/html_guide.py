# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's main part: every activity of the guide by section, each with its hosts or the reason why it has none.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from .markup import Markup, join, tag
from .model import Line, Section, View
from .parts import (
    Column,
    body_row,
    breakable,
    code,
    due_cell,
    last_done_cell,
    often,
    page_section,
    table,
    verdict_cell,
)
from .svg import sparkline

_GUIDE_COLUMNS = (
    Column("Host", 18),
    Column("Last verdict", 31),
    Column("Last done", 16),
    Column("Next due", 21),
    Column("Trend", 14),
)


def guide_section(view: View) -> Markup:
    note = (
        f"Every activity of the guide by section: {view.automated} of {view.activities} are automated. "
        "A trend has one bar a run, as high as the run was long."
    )
    return page_section("guide", "The guide", note, join(*(_one_section(section) for section in view.sections)))


def _one_section(section: Section) -> Markup:
    title = section.title or section.number
    number = tag("span", section.number, class_="number") if section.title else None
    heading = tag("h3", number, title)
    bodies = [_line(line) for line in section.lines]
    # Columns are named where there is something in them.
    class_ = "rows" if any(line.rows for line in section.lines) else "rows headless"
    return join(heading, table(title, _GUIDE_COLUMNS, bodies, class_))


def _line(line: Line) -> Markup:
    activity = line.activity
    facts = [often(activity.every, activity.every_seconds), activity.owner, activity.type]
    about = tag("span", " · ".join(fact for fact in facts if fact), " · ", code(activity.name), class_="note")
    state = tag("span", line.absent, class_="badge b-skipped") if line.absent else None
    named = tag("div", tag("span", activity.title, " ", state), about, class_="line")
    heading = tag("th", named, colspan=str(len(_GUIDE_COLUMNS)), scope="rowgroup")
    rows = [
        body_row(
            _GUIDE_COLUMNS,
            (breakable(row.host), verdict_cell(row), last_done_cell(row), due_cell(row), sparkline(row.history.runs)),
            data_host=row.host,
        )
        for row in line.rows
    ]
    return tag(
        "tbody",
        tag("tr", heading, class_="activity absent" if line.absent else "activity"),
        *rows,
        data_activity=activity.name,
    )
