# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table for a terminal: as wide as the terminal, in box drawing characters or in ASCII.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import codecs
import typing as t
import unicodedata

from .text import harmless

_LEAST_WIDTH = 8

#: Corners and crossings of the top, the middle and the bottom line; then the horizontal and the vertical line.
_BOX = (("┌", "┬", "┐"), ("├", "┼", "┤"), ("└", "┴", "┘"), "─", "│")
_ASCII = (("+", "+", "+"), ("+", "+", "+"), ("+", "+", "+"), "-", "|")


def can_show_boxes(encoding: str | None) -> bool:
    """Whether an output in this encoding can show box drawing characters."""
    try:
        return codecs.lookup(encoding or "ascii").name == "utf-8"
    except LookupError:
        return False


def render_table(headers: t.Sequence[str], rows: t.Iterable[t.Sequence[str]], width: int, unicode: bool = True) -> str:
    """The table, without a line end after its last line.

    Long cells go on in the next line. Where not even that fits into the width, each row becomes a list of its cells.
    """
    table = [[_harmless(cell, unicode) for cell in row] for row in (headers, *rows)]
    for row in table:
        if len(row) != len(headers):
            raise ValueError(f"a row has {len(row)} cells, the table has {len(headers)} columns: {row!r}")
    wanted = [max(_columns(row[place]) for row in table) for place in range(len(headers))]
    widths = _fit(wanted, width - 3 * len(headers) - 1)
    if widths is None:
        return _as_list(table, width)
    (top, middle, bottom, across, down) = _BOX if unicode else _ASCII

    def rule(ends: tuple[str, str, str]) -> str:
        return ends[0] + ends[1].join(across * (size + 2) for size in widths) + ends[2]

    lines = [rule(top)]
    for number, row in enumerate(table):
        lines += [f"{down} " + f" {down} ".join(cells) + f" {down}" for cells in _side_by_side(row, widths)]
        if number == 0 and len(table) > 1:
            lines.append(rule(middle))
    return "\n".join([*lines, rule(bottom)])


def _harmless(cell: str, unicode: bool) -> str:
    text = " ".join(harmless(cell).split())
    return text if unicode else text.encode("ascii", "replace").decode("ascii")


def _fit(wanted: list[int], room: int) -> list[int] | None:
    """Take from the widest columns until all fit, or None when they would become unreadable."""
    widths = list(wanted)
    while sum(widths) > room:
        widest = max(widths)
        if widest <= _LEAST_WIDTH:
            return None
        widths[widths.index(widest)] -= 1
    return widths


def _side_by_side(row: list[str], widths: list[int]) -> t.Iterator[list[str]]:
    wrapped = [_wrap(cell, width) for cell, width in zip(row, widths)]
    for number in range(max(map(len, wrapped))):
        cells = [lines[number] if number < len(lines) else "" for lines in wrapped]
        yield [cell + " " * (width - _columns(cell)) for cell, width in zip(cells, widths)]


def _wrap(text: str, width: int) -> list[str]:
    """Break between words where possible, inside a word where it alone is too long."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if _columns(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = _chop(word, width)
        lines += full
    return [*lines, line]


def _chop(word: str, width: int) -> list[str]:
    parts = [""]
    for character in word:
        if parts[-1] and _columns(parts[-1] + character) > width:
            parts.append("")
        parts[-1] += character
    return parts


def _as_list(table: list[list[str]], width: int) -> str:
    headers, *rows = table
    blocks = []
    for row in rows:
        lines = []
        for header, cell in zip(headers, row):
            lines += _wrap(f"{header}: {cell}", max(width, _LEAST_WIDTH))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) if blocks else ", ".join(headers)


def _columns(text: str) -> int:
    """Columns on a terminal: an ideograph takes two, a combining accent none."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
