# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in a real browser: it fits a phone, asks the network for nothing and shows every activity."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import report_sample as sample
from support.browser import dump_dom, measure, screenshot

from ansible_collections.steward.maintenance.plugins.module_utils._report.html import render_page
from ansible_collections.steward.maintenance.plugins.module_utils._report.model import build_view

TOO_WIDE = """(view, page) => ({
    scroll: page.documentElement.scrollWidth,
    inner: view.innerWidth,
    beyond: [...page.querySelectorAll('body *')]
        .filter(one => !one.closest('thead, caption') && one.getBoundingClientRect().right > view.innerWidth + 0.5)
        .map(one => one.outerHTML.slice(0, 120)),
})"""

LOOK = """(view, page) => ({
    rows: [...page.querySelectorAll('#guide tbody[data-activity]')].map(one => [
        one.dataset.activity, one.getBoundingClientRect().height > 20, one.innerText]),
    scripts: page.scripts.length,
    images: page.images.length,
    requests: view.performance.getEntriesByType('resource').map(one => one.name),
    headline: page.querySelector('.headline').innerText,
    label: view.getComputedStyle(page.querySelector('td[data-label]'), '::before').content,
})"""


@pytest.fixture(name="page", scope="module")
def _page(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    data = sample.data()
    # Words that cannot be broken between letters, as paths and digests are.
    unbroken = "/var/backups/" + "0123456789abcdef" * 16
    long = [sample.record("database.vacuum", "h", 1, verdict="failed", summary=unbroken, reason=unbroken)]
    long[0]["findings"] = [sample.finding("high", unbroken, unbroken, unbroken)]
    name = "a-host-with-a-very-long-name-" + "x" * 80
    data["hosts"][name] = sample.summary(long, intact=False, problem=unbroken)
    data["groups"]["postgres"].append(name)
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(render_page(build_view(data, sample.GENERATED)), encoding="utf-8")
    return page


@pytest.mark.parametrize("width", [320, 360, 700, 1280])
def test_no_horizontal_scrolling(page: pathlib.Path, width: int) -> None:
    told = t.cast("dict[str, t.Any]", measure(page, width, TOO_WIDE))
    assert told == {"scroll": width, "inner": width, "beyond": []}


@pytest.mark.parametrize("width", [360, 1280])
def test_every_activity_is_seen_and_nothing_is_asked_for(page: pathlib.Path, width: int) -> None:
    told = t.cast("dict[str, t.Any]", measure(page, width, LOOK))
    assert sorted(name for name, _seen, _text in told["rows"]) == sorted(one["name"] for one in sample.catalogue())
    assert all(seen for _name, seen, _text in told["rows"])
    texts = {name: text for name, _seen, text in told["rows"]}
    for entry in sample.catalogue():
        assert entry["title"] in texts[entry["name"]]
        assert entry.get("available", True) or "not automated yet" in texts[entry["name"]]
    assert (told["scripts"], told["images"], told["requests"]) == (0, 0, [])
    assert told["headline"] == "6 hosts, 4 need attention"
    assert ("Host" in told["label"]) == (width == 360)  # only a card must name its columns itself


def test_hostile_text_is_text_in_the_browser_too(page: pathlib.Path) -> None:
    dom = dump_dom(page)
    assert "<script" not in dom
    assert "<img" not in dom
    assert "&lt;script&gt;alert('x')&lt;/script&gt;" in dom


def test_it_can_be_looked_at(page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "report.png"
    screenshot(page, picture, 1280, 2000)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000
