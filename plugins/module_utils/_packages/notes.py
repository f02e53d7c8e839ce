# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a changelog says between two versions of what may break: lines for a person to read, no judgement.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import glob
import html.parser
import os
import re
import typing as t
import urllib.parse

from . import changes
from .model import SourceError, read_text
from .web import Http, NoAnswer, shown

_TELLING = re.compile(
    r"\bbreaking\b|\bbackwards?[- ]incompatib|\bincompatible\b|\bremoved?\b|\bdrop(?:s|ped)? support\b|\bdeprecat"
    r"|\bno longer\b|\brenamed\b|\bmigrat",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"(?<![\w.])v?(\d+(?:\.\d+){1,3}(?:[-.]?(?:a|b|rc|alpha|beta|dev|post)[-.]?\d*)?)(?![\w.])", re.IGNORECASE
)
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\[|v?\d|version\b|release\b|changes in\b|\S+\s+v?\d)", re.IGNORECASE)
_UNDERLINE = re.compile(r"\s*[-=~^]{3,}\s*")
_NAMES = ("CHANGELOG*", "CHANGES*", "HISTORY*", "NEWS*", "RELEASES*")
_MOST_NOTES = 12
_MOST_NOTE = 200
_MOST_HEADING = 120


class _Text(html.parser.HTMLParser):
    """The text of a page, a line for each block."""

    _BLOCKS = ("p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "div", "br", "tr", "section", "ul", "dt", "dd")

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        if tag in self._BLOCKS:
            self.pieces.append("\n# " if re.fullmatch("h[1-6]", tag) else "\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0
        if tag in self._BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(" ".join(data.split("\n")))


def scan(text: str, ecosystem: str, old: str, new: str) -> list[str]:
    """Lines that tell of what may break, of the versions behind the old one up to the new one."""
    low, high = changes.sort_key(ecosystem, old), changes.sort_key(ecosystem, new)
    if low is None or high is None:
        return []
    found: list[str] = []
    is_within, version = False, ""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        told = _version_of(line, lines[number + 1] if number + 1 < len(lines) else "")
        key = changes.sort_key(ecosystem, told) if told else None
        if key is not None:
            is_within, version = low < key <= high, told
            continue
        # It goes into messages and records: what is no text of a line is left out.
        bare = "".join(one for one in " ".join(line.strip().lstrip("#*-+ ").split()) if one.isprintable())
        if is_within and bare and _TELLING.search(bare):
            note = f"{version}: {bare}"
            found.append(note if len(note) <= _MOST_NOTE else note[: _MOST_NOTE - 3] + "...")
    unique = list(dict.fromkeys(found))
    more = len(unique) - _MOST_NOTES
    return [*unique[:_MOST_NOTES], f"and {more} more lines"] if more > 0 else unique


def _version_of(line: str, following: str) -> str:
    """The version that a section is of, when the line is its heading."""
    if len(line) > _MOST_HEADING or not line.strip():
        return ""
    is_heading = (
        bool(_HEADING.match(line)) if line.lstrip().startswith(("#", "[")) else bool(_UNDERLINE.fullmatch(following))
    )
    plain = re.fullmatch(r"\s*v?\d+(?:\.\d+){1,3}\S*(?:\s*[-:(/].{0,40})?\s*", line)
    match = _VERSION.search(line) if is_heading or plain else None
    if not match:
        return ""
    numbers = match.group(1)
    return numbers if numbers.count(".") != 1 else f"{numbers}.0"


def local_changelog(directory: str) -> str:
    """The changelog that a package brings with it; empty without one."""
    for pattern in _NAMES:
        for path in sorted(glob.glob(os.path.join(glob.escape(directory), pattern))):
            if os.path.isfile(path) and not os.path.islink(path):
                try:
                    return read_text(path)
                except SourceError:
                    continue
    return ""


def fetched_changelog(http: Http, url: str, trusted_hosts: t.Collection[str]) -> str:
    """The text of a changelog on the web. Anybody writes addresses into packages: only encrypted ones are asked, and
    hosts that are asked anyhow.

    :raises NoAnswer: when it cannot be had.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.netloc not in trusted_hosts:
        raise NoAnswer(f"{shown(url)} is not asked: it is not encrypted")
    answer = http.found(url, accept="text/markdown, text/plain, text/html;q=0.5")
    text = answer.body.decode("utf-8", "replace")
    if answer.headers.get_content_type() == "text/html" or text.lstrip()[:15].lower().startswith(
        ("<!doctype", "<html")
    ):
        reader = _Text()
        reader.feed(text)
        return "".join(reader.pieces)
    return text
