# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the page or the metrics where they are read, and tell whether they say anything new.

Both are written again at every call, so that the time in them is true; `changed` is true only when something else than
the passing of time made them different.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import html.parser
import json
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.records import RecordsError, RecordStore
from .._core.records_summary import summarise
from .._core.result import Result
from .._core.suggest import InputError
from .files import FileError, check_writable, read_text, write_atomically
from .html import render_page
from .metrics import applying, render_metrics, without_written
from .model import build_view
from .parts import without_moving
from .text import plural

Data = t.Mapping[str, t.Any]


class Published(t.NamedTuple):
    """What was written, and how it differs from what was there."""

    result: Result
    changed: bool
    before: str
    after: str


def publish_report(source: str, path: str, title: str, generated: str = "", check: bool = False) -> Published:
    """Write the page from the data file that the action plugin sent; `generated` is a time, empty for now."""
    try:
        with open(source, encoding="utf-8") as file:
            data = dict(json.load(file), title=title)
        view = build_view(data, _seconds(generated))
        page = render_page(view)
        old = read_text(path)
        _write(path, page, check)
    except FileError as exc:
        return _failure("the report was not written", str(exc))
    except OSError as exc:
        return _failure("the report was not written", f"cannot read its data {source}: {exc.strerror}")
    except (InputError, KeyError, TypeError, AttributeError, ValueError) as exc:
        return _failure("the report was not written", f"its data does not have the shape: {exc!r}")
    before, after = without_moving(old), without_moving(page)
    figures = {
        "hosts_count": len(view.hosts),
        "hosts_unreadable_count": len(view.hosts) - view.readable_hosts,
        "hosts_attention_count": len(view.needing_attention),
        "overdue_count": len(view.overdue),
        "findings_count": len(view.findings),
        "page_bytes": len(page.encode()),
    }
    result = Result("ok", view.headline, figures=figures, looked=len(view.hosts), of=len(view.hosts))
    return Published(result, before != after, page_text(before), page_text(after))


def publish_metrics(
    store: RecordStore, path: str, catalogue: t.Sequence[Data], host: str = "", check: bool = False
) -> Published:
    """Write the metrics of one host from its records.

    When the records cannot be read, the metrics say just that: the old ones would go on claiming that all is well.
    """
    now = utc_now()
    summary: Data | None = None
    reason = ""
    try:
        records, chain = store.scan(host or None)
        summary = {"activities": summarise(records, trend=0), "chain": chain.to_dict(), "now": write_time(now)}
    except RecordsError as exc:
        reason = str(exc)
    try:
        text = render_metrics(summary, catalogue, int(now.timestamp()))
        old = read_text(path)
        _write(path, text, check)
    except FileError as exc:
        return _failure("the metrics were not written", "; ".join(filter(None, (str(exc), reason))))
    except (InputError, KeyError, TypeError, AttributeError) as exc:
        return _failure("the metrics were not written", f"the catalogue does not have the shape: {exc!r}")
    before, after = without_written(old), without_written(text)
    count = len(applying(catalogue))
    figures = {"activities_count": count, "metrics_bytes": len(text.encode())}
    if summary is None:
        result = Result(
            "unknown", "the metrics say only that the records could not be read", reason, (), figures, 0, count
        )
    else:
        result = Result(
            "ok", f"metrics of {plural(count, 'activity', 'activities')} written", "", (), figures, count, count
        )
    return Published(result, before != after, before, after)


def page_text(page: str) -> str:
    """What a reader sees of a page, one line a block: a diff of markup tells nobody anything."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return "".join(
        f"{line}\n" for line in (" ".join(line.split()) for line in "".join(reader.told).split("\n")) if line
    )


class _Reader(html.parser.HTMLParser):
    _SILENT = ("style", "title")
    _INLINE = ("a", "span", "time", "small", "wbr", "svg", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._silent += tag in self._SILENT
        if tag in ("td", "th"):
            self.told.append(" ")
        elif tag == "tr" or (tag not in self._INLINE and tag not in ("p", "div")):
            self.told.append("\n")
        else:
            self.told.append(" " if tag in ("p", "div") else "")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self._SILENT
        if tag in ("tr", "h1", "h2", "h3", "section"):
            self.told.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.told.append(data.replace("\n", " "))


def _write(path: str, text: str, check: bool) -> None:
    if check:
        check_writable(path)
    else:
        write_atomically(path, text)


def _seconds(moment: str) -> int:
    return int((parse_time(moment) if moment else utc_now()).timestamp())


def _failure(summary: str, reason: str) -> Published:
    return Published(Result("failed", summary, reason), False, "", "")
