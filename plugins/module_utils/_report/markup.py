# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markup that is escaped by construction: text becomes markup only through `tag`, and `tag` escapes it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import html

from .text import harmless

_VOID = frozenset(("br", "meta", "wbr"))
#: A line break after these keeps the page readable as source and comparable line by line.
_BLOCK = frozenset(
    ("body", "div", "dl", "footer", "h1", "h2", "h3", "head", "header", "html", "li", "main", "meta", "nav")
)
_BLOCK |= {"p", "section", "style", "table", "tbody", "td", "th", "thead", "title", "tr", "ul"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: str) -> Markup:
    return text if isinstance(text, Markup) else Markup(html.escape(harmless(text), quote=True))


def tag(element: str, /, *children: str | None, **attributes: str | None) -> Markup:
    """One element. A plain string is text and is escaped; `class_`, `data_label` stand for class, data-label.

    Attributes whose value is None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(harmless(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "\n" if element in _BLOCK else ""
    if element in _VOID:
        return Markup(f"<{element}{written}>{end}")
    return Markup(f"<{element}{written}>{join(*children)}</{element}>{end}")


def join(*children: str | None) -> Markup:
    return Markup("".join(escape(child) for child in children if child is not None))
