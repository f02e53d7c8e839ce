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
    root: Tree = {}
    #: Where we are: how deep each mapping is written, and the mapping. One that is announced has no depth yet.
    stack: list[tuple[int, Tree]] = [(0, root)]
    announced: tuple[int, Tree] | None = None
    folded_below = -1
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        if line[depth] == "\t":
            raise YamlError(f"line {number} begins with a tab")
        if folded_below >= 0 and depth > folded_below:
            continue
        folded_below = -1
        if (announced is not None and depth > announced[0]) or (
            announced is not None and bare.startswith("- ") and depth == announced[0]
        ):
            stack.append((depth, announced[1]))
        announced = None
        while stack[-1][0] > depth and len(stack) > 1:
            stack.pop()
        if stack[-1][0] != depth or len(stack) > _MOST_DEPTH:
            raise YamlError(f"line {number} is not as deep as any before it")
        if bare.startswith("- "):
            stack[-1][1].setdefault("-", []).append(_word(bare[2:].strip()))
            continue
        if len(stack) > 1 and "-" in stack[-1][1]:
            # A list may be written as deep as its name.
            stack.pop()
        key, value = _split(bare, number)
        mapping = stack[-1][1]
        if key in mapping:
            raise YamlError(f"line {number} has {key!r} for the second time")
        if value in _FOLDED:
            folded_below, mapping[key] = depth, ""
        elif value:
            mapping[key] = {} if value == "{}" else _word(value)
        else:
            mapping[key] = {}
            announced = (depth, mapping[key])
    return root


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
