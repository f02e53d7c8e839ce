# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of requirements with other versions and their hashes; every line that need not change stays byte for byte.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .pep440 import canonical, same

_HEAD = re.compile(
    r"(?P<lead>\s*)(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?P<extras>\s*\[[^\]]*\])?"
    r"(?P<operator>\s*={2,3}\s*)(?P<version>[^\s,;\\#]+)(?P<rest>.*)",
    re.DOTALL,
)
_HASH = re.compile(r"\s*\\?\s*--hash[=\s]\s*[A-Za-z0-9]+:[0-9A-Fa-f]+")
_ALGORITHM = "sha256"


@dataclasses.dataclass(frozen=True)
class Pin:
    """:param old: the version that the line has; empty for a package that comes new into the file.

    :param via: who needs a new one.
    """

    package: str
    old: str
    new: str
    hashes: tuple[str, ...] = ()
    via: str = ""


def rewrite(text: str, pins: t.Sequence[Pin]) -> tuple[str, set[str]]:
    """The file with these pins, and which of the packages were found in it; new ones are put in by their names."""
    newline = "\r\n" if "\r\n" in text else "\n"
    blocks = _blocks(text)
    found: set[str] = set()
    is_hashed = any("--hash" in block for block in blocks)
    for place, block in enumerate(blocks):
        head = _HEAD.match(block)
        if not head:
            continue
        for pin in pins:
            is_it = canonical(head.group("name")) == pin.package and pin.old and same(head.group("version"), pin.old)
            if is_it:
                blocks[place] = _moved(head, pin, newline)
                found.add(pin.package)
    for pin in pins:
        if not pin.old:
            blocks.insert(_place_of(blocks, pin.package), _new(pin, newline, is_hashed))
            found.add(pin.package)
    return "".join(blocks), found


def _blocks(text: str) -> list[str]:
    """Physical lines, those joined by backslashes together."""
    found: list[str] = []
    is_open = False
    for line in text.splitlines(keepends=True):
        if is_open and not line.lstrip().startswith("#"):
            found[-1] += line
        else:
            found.append(line)
        is_open = line.rstrip("\r\n").endswith("\\")
    return found


def _moved(head: re.Match[str], pin: Pin, newline: str) -> str:
    rest = head.group("rest")
    start = "".join(head.group(part) or "" for part in ("lead", "name", "extras", "operator")) + pin.new
    hashes = list(_HASH.finditer(rest))
    if not hashes:
        return start + rest
    before, after = rest[: hashes[0].start()], rest[hashes[-1].end() :]
    options = _lines_of(pin.hashes, hashes[0].group(), newline)
    return start + before.rstrip(" \t\\\r\n") + options + after


def _lines_of(hashes: t.Sequence[str], like: str, newline: str) -> str:
    """The options, one a line where the file has them so."""
    if "\\" not in like:
        return "".join(f" --hash={_ALGORITHM}:{digest}" for digest in hashes)
    indent = re.search(r"([ \t]*)--hash", like)
    space = indent.group(1) if indent else "    "
    return "".join(f" \\{newline}{space}--hash={_ALGORITHM}:{digest}" for digest in hashes)


def _new(pin: Pin, newline: str, is_hashed: bool) -> str:
    options = _lines_of(pin.hashes, "\\\n    --hash=sha256:0", newline) if is_hashed else ""
    comment = f"{newline}    # via {pin.via}" if pin.via else ""
    return f"{pin.package}=={pin.new}{options}{comment}{newline}"


def _place_of(blocks: list[str], package: str) -> int:
    """Before the first requirement that is behind it in the alphabet, else at the end."""
    for place, block in enumerate(blocks):
        head = _HEAD.match(block)
        if head and canonical(head.group("name")) > package:
            return place
    if blocks and not blocks[-1].endswith("\n"):
        blocks[-1] += "\n"
    return len(blocks)
