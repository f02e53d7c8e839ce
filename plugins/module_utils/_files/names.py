# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files as words of keys: readable, the same for every store, and never two names for one key.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A key is UTF-8, a name on disk is bytes. What is not UTF-8, what XML cannot carry, and the percent sign itself are
written as in URLs: %0A, %FF, %25. All else stays as it is. After that, the order of Python's texts is that of the bytes
of their UTF-8, which is the order in which stores list keys.
"""

from __future__ import annotations

import re

_ODD = re.compile("[%\x00-\x1f\x7f-\x9f\udc80-\udcff\ufffe\uffff]")
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")
_TREE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

#: S3's own limit for the whole of a key.
LONGEST_KEY = 1024


class BadKey(ValueError):
    """A key that no name on disk can have come from; the text says why."""


def escape(name: bytes) -> str:
    """A name, or the target of a symbolic link, as a text that every store can carry."""
    text = name.decode("utf-8", "surrogateescape")
    return _ODD.sub(_as_bytes, text) if _ODD.search(text) else text


def unescape(text: str) -> bytes:
    if "%" not in text:
        return text.encode("utf-8", "surrogatepass")
    return _ESCAPED.sub(lambda match: bytes([int(match.group(1), 16)]), text.encode("utf-8", "surrogatepass"))


def path_of(key: str) -> bytes:
    """The relative path that a key stands for; a directory's has no slash at its end.

    :raises BadKey: for whatever would lie elsewhere, or is not how we write it: what lies in a bucket may have been
        written by anybody, and must not choose where it is written here.
    """
    words = key[:-1].split("/") if key.endswith("/") else key.split("/")
    return b"/".join(_name_of(word, key) for word in words)


def is_tree_name(name: str) -> bool:
    """Whether it can be the name of a tree: words of letters, digits, dots, dashes and underscores, between slashes."""
    return all(_TREE_WORD.fullmatch(word) for word in name.split("/"))


def _name_of(word: str, key: str) -> bytes:
    name = unescape(word)
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise BadKey(f"the key {key!r} would lie outside of its tree")
    if escape(name) != word:
        raise BadKey(f"the key {key!r} is not written as this collection writes keys")
    return name


def _as_bytes(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogateescape"))
