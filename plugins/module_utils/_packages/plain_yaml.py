# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of YAML that pnpm and Yarn write into their locks: mappings in mappings, with plain or quoted words.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Managed hosts need not have PyYAML. Whatever is not of this little is refused, so that nothing is passed over.
"""

from __future__ import annotations

import json
import re
import typing as t

Tree = t.Dict[str, t.Any]

_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*"')
_SINGLE = re.compile(r"'(?:[^']|'')*'")
_FOLDED = (">", ">-", ">+", "|", "|-", "|+")
_MOST_DEPTH = 20


class YamlError(ValueError):
    """A line that is not of this little; the message names it."""


def read(text: str) -> Tree:
    """The tree of a document; lists and short forms ("{a: b}") stay as they are written.

    :raises YamlError: naming the first line that cannot be read.
    """
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare and not bare.startswith("#"):
            reader.take(number, len(line) - len(line.lstrip(" ")), bare, line)
    return reader.root


class _Reader:
    def __init__(self) -> None:
        self.root: Tree = {}
        #: Where we are: how deep each mapping is written, and the mapping. One that is announced has no depth yet.
        self._stack: list[tuple[int, Tree]] = [(0, self.root)]
        self._announced: tuple[int, Tree] | None = None
        self._folded_below = -1

    def take(self, number: int, depth: int, bare: str, line: str) -> None:
        if line[depth] == "\t":
            raise YamlError(f"line {number} begins with a tab")
        if depth > self._folded_below >= 0:
            return
        self._folded_below = -1
        self._go_to(number, depth, bare.startswith("- "))
        if bare.startswith("- "):
            self._stack[-1][1].setdefault("-", []).append(_word(bare[2:].strip()))
            return
        if len(self._stack) > 1 and "-" in self._stack[-1][1]:
            # A list may be written as deep as its name.
            self._stack.pop()
        self._put(number, depth, *_split(bare, number))

    def _go_to(self, number: int, depth: int, is_item: bool) -> None:
        announced, self._announced = self._announced, None
        if announced is not None and (depth > announced[0] or (is_item and depth == announced[0])):
            self._stack.append((depth, announced[1]))
        while self._stack[-1][0] > depth and len(self._stack) > 1:
            self._stack.pop()
        if self._stack[-1][0] != depth or len(self._stack) > _MOST_DEPTH:
            raise YamlError(f"line {number} is not as deep as any before it")

    def _put(self, number: int, depth: int, key: str, value: str) -> None:
        mapping = self._stack[-1][1]
        if key in mapping:
            raise YamlError(f"line {number} has {key!r} for the second time")
        if value in _FOLDED:
            self._folded_below, mapping[key] = depth, ""
        elif value:
            mapping[key] = {} if value == "{}" else _word(value)
        else:
            mapping[key] = {}
            self._announced = (depth, mapping[key])


def _split(bare: str, number: int) -> tuple[str, str]:
    """The key and the value of a line, the key without its quotes."""
    quoted = _DOUBLE.match(bare) or _SINGLE.match(bare)
    end = quoted.end() if quoted else _end_of_plain(bare)
    if end < 0 or not bare[end:].startswith(":") or (len(bare) > end + 1 and bare[end + 1] != " "):
        raise YamlError(f"line {number} is no key with a value")
    return _word(bare[:end]), bare[end + 1 :].strip()


def _end_of_plain(bare: str) -> int:
    if bare[0] in "?&*!|>%@`{}[],-\"'" and not re.match(r"@[\w.~-]+/", bare):
        return -1
    found = bare.find(": ")
    return found if found > 0 else (len(bare) - 1 if bare.endswith(":") else -1)


def _word(text: str) -> str:
    if _DOUBLE.fullmatch(text):
        try:
            return str(json.loads(text))
        except ValueError as exc:
            raise YamlError(f"{text[:60]} is no word in quotes") from exc
    if _SINGLE.fullmatch(text):
        return text[1:-1].replace("''", "'")
    if text[:1] in ('"', "'", "&", "*"):
        raise YamlError(f"{text[:60]} goes on in the next line, or refers to another one")
    return text
