# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree, the last index and the listing in one pass: what is decided of each file, whatever the three say."""

from __future__ import annotations

import io
import types
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._files import plan
from ansible_collections.steward.maintenance.plugins.module_utils._files.index import line_of
from ansible_collections.steward.maintenance.plugins.module_utils._files.sending import _size_in
from ansible_collections.steward.maintenance.plugins.module_utils._files.target import Held
from ansible_collections.steward.maintenance.plugins.module_utils._files.walk import (
    BLIND,
    DIRECTORY,
    FILE,
    MOUNT,
    Found,
)

KEYS = [f"{word}{number}" for word in ("a", "b/", "ü") for number in range(3)]


def status(version: int) -> t.Any:
    return types.SimpleNamespace(
        st_size=version, st_mtime_ns=version, st_ctime_ns=version, st_mode=0o100644, st_uid=0, st_gid=0
    )


def file(key: str, version: int) -> Found:
    return Found(key, FILE, status(version))


def entry(key: str, version: int) -> tuple[bytes, dict[str, t.Any]]:
    said = {"key": key, "type": FILE, "size": version, "mtime": version, "ctime": version, "mode": 0o644, "uid": 0,
            "gid": 0, "sha256": f"s{version}", "etag": f"e{version}"}  # fmt: skip
    return line_of(said), said


def held(key: str, version: int) -> Held:
    return Held(key, version, f"e{version}")


def planned(*streams: t.Iterable[t.Any], **more: t.Any) -> tuple[list[tuple[str, str]], plan.Tally]:
    out = io.BytesIO()
    tally = plan.make_plan(*streams, out, **more)  # type: ignore[arg-type]
    lines = out.getvalue().splitlines(keepends=True)
    found = []
    for line in lines:
        kind = line[:1].decode()
        key = plan.work_of(line)[0] if kind in "sdr" else plan.json.loads(line[1:])["key"]
        found.append((kind, key))
    return found, tally


VERSIONS = st.dictionaries(st.sampled_from(KEYS), st.integers(1, 2))


@given(VERSIONS, VERSIONS, VERSIONS)
def test_as_one_would_decide_with_all_of_it_in_memory(
    tree: dict[str, int], before: dict[str, int], there: dict[str, int]
) -> None:
    expected = []
    for key in sorted({*tree, *before, *there}):
        if key not in tree:
            expected.append(("d", key))
        elif tree[key] == before.get(key) == there.get(key):
            expected.append(("=", key))
        else:
            expected.append(("s", key))
    found, tally = planned(
        [file(key, tree[key]) for key in sorted(tree)],
        [entry(key, before[key]) for key in sorted(before)],
        [held(key, there[key]) for key in sorted(there)],
    )
    assert found == expected
    assert tally.files == len(tree)
    assert tally.known == len({*before, *there})
    assert tally.gone == len({*before, *there} - set(tree))
    assert tally.lost_count == sum(there.get(key) != before[key] for key in before if key in tree or key not in there)


@pytest.mark.parametrize(
    ("before", "there", "why"),
    [(None, None, "new"), (None, 1, "unknown"), (1, 1, "changed"), (1, None, "lost"), (1, 3, "lost")],
)
def test_why_a_file_is_read(before: int | None, there: int | None, why: str) -> None:
    streams = [file("a", 2)], [entry("a", before)] if before else [], [held("a", there)] if there else []
    _found, tally = planned(*streams)
    assert tally.send == {why: 1}
    # What a killed run kept is no loss.
    _found, tally = planned(*streams, unfinished={"a"})
    assert tally.send == {"unknown" if why == "lost" else why: 1}
    assert tally.lost_count == 0


@pytest.mark.parametrize(("kind", "count"), [(BLIND, 1), (MOUNT, 0)])
def test_what_cannot_be_looked_at_is_not_taken_for_deleted(kind: str, count: int) -> None:
    directory = Found("b/", DIRECTORY, status(1))
    found, tally = planned(
        [file("a", 1), directory, Found("b/", kind, None, "Permission denied"), file("c", 1)],
        [entry("a", 1), entry("b/x", 1), entry("b/y/z", 1), entry("bz", 1)],
        [held("a", 1), held("b/x", 1), held("b/y/z", 1), held("b/z", 1)],
    )
    assert found == [("=", "a"), ("+", "b/"), ("=", "b/x"), ("=", "b/y/z"), ("d", "bz"), ("s", "c")]
    assert (tally.gone, tally.carried, tally.blind_count, tally.mounts) == (1, 3, count, 1 - count)


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_deleted() -> None:
    found, tally = planned(
        [Found("b", BLIND, None, "Input/output error")], [entry("b", 1), entry("b1", 1)], [held("b", 1)]
    )
    assert found == [("=", "b"), ("d", "b1")]
    assert tally.blind == ["b: Input/output error"]


def test_a_file_that_became_a_link() -> None:
    link = Found("a", "symlink", status(2), "elsewhere")
    found, tally = planned([link], [entry("a", 1)], [held("a", 1)])
    assert found == [("r", "a"), ("+", "a")]
    assert (tally.gone, tally.altered) == (0, 1)


@given(st.text(st.characters(blacklist_categories=("Cs",)), min_size=1), st.integers(0, 10**15))
def test_the_size_is_found_in_a_line_whatever_the_key(key: str, size: int) -> None:
    _line, said = entry(key, 1)
    assert _size_in(b"=" + line_of({**said, "size": size})) == size
    del said["size"]
    assert _size_in(b"=" + line_of({**said, "key": key + ',"size":7'})) is None
