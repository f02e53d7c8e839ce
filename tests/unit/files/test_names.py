# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files as keys: no two names have one key, no key lies elsewhere, and the order is that of the store."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._files import names

NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & {0, 47} and name not in (b".", b".."))


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_a_path_comes_back_from_its_key(words: list[bytes]) -> None:
    key = "/".join(names.escape(word) for word in words)
    assert names.path_of(key) == b"/".join(words)
    assert names.path_of(f"{key}/") == b"/".join(words)
    key.encode("utf-8")  # it is UTF-8
    assert not any(ord(letter) < 32 for letter in key)


@given(NAMES, NAMES)
def test_two_names_have_two_keys_in_the_order_of_their_bytes(one: bytes, other: bytes) -> None:
    first, second = names.escape(one), names.escape(other)
    assert (first == second) == (one == other)
    assert (first < second) == (first.encode() < second.encode())


def test_most_names_stay_as_they_are() -> None:
    for name in ("rechnung 4711.pdf", "ü ~ß.txt", "a+b&c=d#e?f", "日本語", ".hidden", "…"):
        assert names.escape(name.encode()) == name
    assert names.escape(b"100%\n\xff") == "100%25%0A%FF"


@pytest.mark.parametrize(
    "key", ["..", "a/../b", "/etc/passwd", "a//b", "", "a/%2E%2E/b", "%2Fetc", "a%00", "a/%2e", "%41", "a/./b", "\x01"]
)
def test_a_key_that_would_lie_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(names.BadKey):
        names.path_of(key)


@pytest.mark.parametrize(
    ("name", "right"),
    [("uploads", True), ("web1/uploads", True), ("a..b", True), ("", False), ("/a", False), ("a/", False),
     ("../a", False), ("a/..", False), ("a b", False), ("a%2F", False), (".", False)],
)  # fmt: skip
def test_names_of_trees(name: str, right: bool) -> None:
    assert names.is_tree_name(name) is right


def test_the_file_system_takes_what_comes_back(tmp_path: os.PathLike[str]) -> None:
    for name in (b"a\nb", b"\xff\xfe", b"%41", b" ", b"\\", "ü".encode()):
        path = os.path.join(os.fsencode(tmp_path), names.path_of(names.escape(name)))
        with open(path, "wb"):
            pass
    assert len(os.listdir(tmp_path)) == 6
