# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence that is in a place of its own, and does not grow without end."""

from __future__ import annotations

import os
import pathlib

from ansible_collections.steward.maintenance.plugins.module_utils._core import evidence

NOW = "2026-05-01T10:00:00Z"
JANUARY, FEBRUARY, MARCH, APRIL, MAY = (f"2026-0{month}-01T100000Z" for month in range(1, 6))


def kept(parent: pathlib.Path, name: str, size: int = 10) -> str:
    (parent / name).mkdir()
    (parent / name / "file").write_bytes(b"x" * size)
    return str(parent / name)


def left_in(parent: pathlib.Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


def test_evidence_of_one_second_is_never_in_one_place(tmp_path: pathlib.Path) -> None:
    parent = str(tmp_path / "kept")
    names = []
    for about in ("", "", "abc", "abc", *["0"] * 8):
        place = evidence.new_place(parent, NOW, about)
        evidence.write_evidence(place, {"about": about})
        names.append(os.path.basename(place))
    assert names[:4] == [MAY, f"{MAY}.2", f"{MAY}.3-abc", f"{MAY}.4-abc"]
    # Whatever they are about, and though the tenth comes before the second one by its letters.
    assert evidence.newest_first(parent) == list(reversed(names))
    assert os.path.basename(evidence.new_place(parent, "2026-05-01T10:00:01Z")) == "2026-05-01T100001Z"


def test_the_newest_evidence_is_kept_and_what_was_not_finished_goes(tmp_path: pathlib.Path) -> None:
    for name in (JANUARY, f"{FEBRUARY}-5d2b", MARCH, f"{APRIL}.new", "2025-12-01T100000Z.2-5d2b.old"):
        kept(tmp_path, name)
    place = kept(tmp_path, MAY)
    gone = evidence.keep_newest(place, 3, 1000)
    assert sorted(gone) == ["2025-12-01T100000Z.2-5d2b.old", JANUARY, f"{APRIL}.new"]
    assert left_in(tmp_path) == [f"{FEBRUARY}-5d2b", MARCH, MAY]
    assert evidence.keep_newest(place, 3, 1000) == []


def test_what_is_not_ours_is_left_alone(tmp_path: pathlib.Path) -> None:
    kept(tmp_path, "notes")
    kept(tmp_path, "2020-01")
    kept(tmp_path, "notes.new")
    kept(tmp_path, "notes.old")
    (tmp_path / JANUARY).write_text("somebody's own file")
    elsewhere = tmp_path / "notes" / "elsewhere"
    kept(tmp_path / "notes", "elsewhere")
    (tmp_path / FEBRUARY).symlink_to(elsewhere)
    before = left_in(tmp_path)
    place = kept(tmp_path, MAY)
    assert evidence.keep_newest(place, 1) == []
    assert left_in(tmp_path) == sorted([*before, MAY])
    assert (elsewhere / "file").exists()


def test_what_has_to_stay_stays_beside_the_newest(tmp_path: pathlib.Path) -> None:
    for name in (JANUARY, FEBRUARY, MARCH, APRIL):
        kept(tmp_path, name)
    assert evidence.keep_newest(kept(tmp_path, MAY), 2, also={FEBRUARY}) == [MARCH, JANUARY]
    assert left_in(tmp_path) == [FEBRUARY, APRIL, MAY]


def test_too_much_evidence_goes_from_its_oldest_on_and_never_what_was_just_written(tmp_path: pathlib.Path) -> None:
    for name, size in ((JANUARY, 1), (FEBRUARY, 600), (MARCH, 300)):
        kept(tmp_path, name, size)
    # The clock went backwards: by its name it is the oldest.
    place = kept(tmp_path, "2025-01-01T100000Z", 200)
    assert sorted(evidence.keep_newest(place, 24, 1000)) == [JANUARY, FEBRUARY]
    assert left_in(tmp_path) == ["2025-01-01T100000Z", MARCH]
    assert evidence.keep_newest(place, 24, 1) == [MARCH]
    assert left_in(tmp_path) == ["2025-01-01T100000Z"]
