# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: escaped, complete, the same for the same input, readable colours."""

from __future__ import annotations

import html.parser
import typing as t

import pytest
from support import report_sample as sample

from ansible_collections.steward.maintenance.plugins.module_utils._core.result import VERDICTS
from ansible_collections.steward.maintenance.plugins.module_utils._report.html import render_page
from ansible_collections.steward.maintenance.plugins.module_utils._report.markup import Markup, join, tag
from ansible_collections.steward.maintenance.plugins.module_utils._report.model import build_view
from ansible_collections.steward.maintenance.plugins.module_utils._report.parts import coarse, often, without_moving
from ansible_collections.steward.maintenance.plugins.module_utils._report.publish import page_text
from ansible_collections.steward.maintenance.plugins.module_utils._report.style import DARK, LIGHT

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "footer"),
    *("h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "div", "a", "span", "small", "time", "br", "wbr"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "rect"),
}
VOID = {"meta", "br", "wbr"}


class Strict(html.parser.HTMLParser):
    """Fails on any element or attribute that the page has no use for, and on elements that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "style", "action", "background"), (tag, name)
            self.attributes.append((tag, name, value or ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for _tag, attribute, value in self.attributes if attribute == name]


def page(**beside: t.Any) -> str:
    return render_page(build_view(sample.data(**beside), beside.get("generated", sample.GENERATED)))


def parsed(text: str) -> Strict:
    reader = Strict()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_page_is_well_formed_and_links_only_inside_itself() -> None:
    reader = parsed(page())
    assert all(target.startswith("#") for target in reader.values("href"))
    assert {target[1:] for target in reader.values("href")} <= set(reader.values("id"))
    assert len(reader.values("id")) == len(set(reader.values("id")))


def test_nothing_outside_is_asked_for() -> None:
    text = page()
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text
    assert "default-src 'none'" in "".join(parsed(text).values("content"))


def test_hostile_text_anywhere_stays_text() -> None:
    evil = sample.HOSTILE
    catalogue = sample.catalogue()
    catalogue[0] = {**catalogue[0], "title": evil, "owner": evil, "type": evil}
    catalogue.append({"name": evil, "title": evil, "guide": evil, "every": "1d", "hosts": evil, "available": True})
    found = [sample.finding("high", evil, evil, evil, evil)]
    records = [
        sample.record("database.vacuum", evil, 1, verdict="findings", summary=evil, findings=found),
        sample.record("database.analyze", evil, 1, verdict="failed", summary=evil, reason=evil),
        sample.record(evil, evil, 1, verdict=evil, reason=evil),
    ]
    text = page(
        catalogue=catalogue,
        title=evil,
        hosts={evil: sample.summary(records, intact=False, problem=evil), "b" + evil: {"unreachable": evil}},
        groups={"postgres": [evil, "b" + evil], evil: [evil]},
    )
    parsed(text)
    text.encode("utf-8")
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&gt;&lt;img" in text
    assert not set(text) & set(map(chr, (*range(9), *range(11, 32), 0x7F, 0x202E)))


def test_every_activity_of_the_catalogue_has_its_place() -> None:
    told = parsed(page()).values("data-activity")
    assert sorted(told) == sorted(entry["name"] for entry in sample.catalogue())


def test_reasons_are_told_in_full() -> None:
    read = page_text(page())
    for sentence in (sample.LOCKED, sample.NOT_RESTORED, sample.XID, sample.FREEZE, "No route to host"):
        assert sentence in read
    assert "record chain broken: record 3: its hash does not match its content" in read
    assert "1 torn record line set aside" in read


def test_a_large_fleet_is_cut_where_it_says_so() -> None:
    names = [f"db{number}" for number in range(30)]
    hosts = {name: sample.summary(sample.healthy(name)) for name in names}
    read = page_text(page(hosts=hosts, groups={"postgres": names}))
    assert "30 hosts, none needs attention" in read
    assert "These are the newest 50 of 180; all are in the guide below." in read


def test_the_same_input_gives_the_same_page() -> None:
    assert page() == page()


def test_time_passing_alone_changes_only_what_is_marked_as_moving() -> None:
    hosts = {"db1": sample.summary(sample.healthy("db1"))}
    groups = {"postgres": ["db1"]}
    early = page(hosts=hosts, groups=groups)
    late = render_page(build_view(sample.data(hosts=hosts, groups=groups), sample.GENERATED + 3600))
    assert early != late
    assert without_moving(early) == without_moving(late)
    aged = {"db1": {**hosts["db1"], "now": sample.moment(-0.05)}}
    assert without_moving(page(hosts=aged, groups=groups)) == without_moving(early)


def test_no_colour_stands_without_a_word() -> None:
    read = page_text(page())
    for words in ("✓ ok", "! findings", "? unknown", "✕ failed", "- skipped", "◷ overdue", "never run"):
        assert words in read
    assert all("oldest first" in label for label in parsed(page()).values("aria-label") if label != "On this page")


def test_tables_have_headers_with_a_scope_and_a_caption() -> None:
    text = page()
    assert text.count("<table") == text.count("<caption>") > 10
    scopes = parsed(text).values("scope")
    assert set(scopes) == {"col", "row", "rowgroup"}
    assert text.count("<th ") == len(scopes)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast_is_aa(colours: dict[str, str]) -> None:
    pairs = [(state, f"{state}-soft") for state in (*VERDICTS, "overdue")]
    pairs += [(text, behind) for text in ("text", "muted", "accent") for behind in ("page", "surface")]
    for text, behind in pairs:
        assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    for state in VERDICTS:  # drawings
        assert contrast(colours[state], colours["surface"]) >= 3, state


def test_plain_text_becomes_markup_only_escaped() -> None:
    assert tag("p", "<b>", Markup("<i>"), class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;<i></p>\n'
    assert join("a & b", None) == "a &amp; b"


@pytest.mark.parametrize(
    ("every", "seconds", "words"),
    [("1d", 86400, "daily"), ("7d", 604800, "weekly"), ("30d", 2592000, "monthly"), ("91d", 7862400, "quarterly"),
     ("365d", 31536000, "annually"), ("5m", 300, "every 5 min"), ("event", None, "on event")],
)  # fmt: skip
def test_periods_in_the_guide_s_words(every: str, seconds: int | None, words: str) -> None:
    assert often(every, seconds) == words


def test_ages_are_coarse() -> None:
    assert coarse(3 * 3600 + 125) == "3 h 02 min"
    assert coarse(125) == "2 min"
    assert coarse(7.4) == "7 s"
