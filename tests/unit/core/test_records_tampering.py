# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is done to the file of records behind their back is found."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.chain import GENESIS, link_of, seal
from ansible_collections.steward.maintenance.plugins.module_utils._core.records_jsonl import JsonLinesStore


def fields(number: int = 0, **other: t.Any) -> dict[str, t.Any]:
    about = {"activity": "database.vacuum", "host": "db1", "verdict": "ok", "summary": "vacuumed 3 tables"}
    return {**about, "figures": {"number": number}, **other}


def numbers(store: JsonLinesStore) -> list[int]:
    return [record["figures"]["number"] for record in store.read()]


@pytest.fixture
def store(tmp_path: pathlib.Path) -> JsonLinesStore:
    return JsonLinesStore(str(tmp_path / "records.jsonl"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> JsonLinesStore:
    store = JsonLinesStore(str(tmp_path_factory.mktemp("sound") / "records.jsonl"))
    for number in range(4):
        store.append(fields(number, summary=f"é {number}", ran={"user": "ada"}))
    return store


@settings(max_examples=400)
@given(data=st.data())
def test_any_altered_byte_is_found(sound: JsonLinesStore, data: st.DataObject) -> None:
    content = pathlib.Path(sound.location).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    altered = JsonLinesStore(f"{sound.location}.altered")
    pathlib.Path(altered.location).write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
    report = altered.verify()
    assert not report.intact
    assert report.problem
    # The altered record is no evidence any more; the others still are.
    untouched = sound.read()
    assert all(record in untouched for record in altered.read())
    assert len(altered.read()) < 4


@given(data=st.data())
def test_taken_out_added_moved_or_doubled_lines_are_found(sound: JsonLinesStore, data: st.DataObject) -> None:
    lines = pathlib.Path(sound.location).read_bytes().splitlines(keepends=True)
    kind = data.draw(st.sampled_from(["take out", "swap", "double", "blank"]))
    place = data.draw(st.integers(0, 2))
    if kind == "take out":
        del lines[place]
    elif kind == "swap":
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
    elif kind == "double":
        lines.insert(place, lines[place])
    else:
        lines.insert(place, b"\n")
    altered = JsonLinesStore(f"{sound.location}.altered")
    pathlib.Path(altered.location).write_bytes(b"".join(lines))
    report = altered.verify()
    assert not report.intact
    assert re.match(r"record \d+ (does not follow|is not a record)", report.problem)


def test_a_record_of_another_make_is_no_evidence_even_with_a_sound_hash(store: JsonLinesStore) -> None:
    store.append(fields())
    (own,) = store.read()
    for other in ({**own, "schema": 2}, {name: value for name, value in own.items() if name != "check_mode"}):
        own_hash = other.pop("hash")
        _sealed, line = seal(other, GENESIS)
        pathlib.Path(store.location).write_bytes(line + b"\n")
        assert own_hash not in line.decode()
        assert (store.read(), store.verify().problem) == ([], "record 1 is not of schema 1")
    pathlib.Path(store.location).write_bytes(b'[{"a":1}]\n')
    assert store.verify().problem == "record 1 is not a record"


def test_a_damaged_chain_is_gone_on_with_and_stays_damaged(sound: JsonLinesStore) -> None:
    content = pathlib.Path(sound.location).read_bytes()
    damaged = JsonLinesStore(f"{sound.location}.damaged")
    for wrong in (content[:-5] + b"x" + content[-4:], content[:-1] + b"x", content[:-60] + b"\xff" + content[-59:]):
        pathlib.Path(damaged.location).write_bytes(wrong)
        for number in (7, 8):
            damaged.append(fields(number))
        report = damaged.verify()
        assert not report.intact
        assert "and" not in report.problem, "one damage is told once, not again by the records after it"
        assert numbers(damaged)[-2:] == [7, 8]
    assert link_of(b"damaged") != link_of(b"damaged otherwise"), (
        "a damaged line must not be exchanged for another either"
    )
