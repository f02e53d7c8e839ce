# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import re
import resource
import signal
import stat
import time
import typing as t

import pytest
from support.scripts import finish_scripts, start_script

from ansible_collections.steward.maintenance.plugins.module_utils._core import records_jsonl
from ansible_collections.steward.maintenance.plugins.module_utils._core.chain import (
    GENESIS,
    complete,
    seal,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import (
    ChainReport,
    RecordsError,
    default_path,
    open_store,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.records_jsonl import JsonLinesStore

FIELDS: dict[str, t.Any] = {
    "activity": "database.vacuum",
    "host": "db1",
    "verdict": "ok",
    "summary": "vacuumed 3 tables",
}


@pytest.fixture
def store(tmp_path: pathlib.Path) -> JsonLinesStore:
    return JsonLinesStore(str(tmp_path / "state" / "records.jsonl"))


def fields(number: int = 0, **other: t.Any) -> dict[str, t.Any]:
    return {**FIELDS, "figures": {"number": number}, **other}


def numbers(store: JsonLinesStore) -> list[int]:
    return [record["figures"]["number"] for record in store.read()]


# -- writing and reading --------------------------------------------------------------------------------------


def test_no_records_are_an_intact_chain_of_none(store: JsonLinesStore) -> None:
    assert store.read() == []
    assert store.verify() == ChainReport(0, True, "", 0)
    assert not os.path.exists(os.path.dirname(store.location))


def test_records_come_back_as_they_were_written(store: JsonLinesStore) -> None:
    written = [store.append(fields(number, summary="vacuumed “3” tables\n\x00 é")) for number in range(3)]
    assert store.read() == written
    assert store.verify() == ChainReport(3, True, "", 0)
    assert [record["previous"] for record in written] == [GENESIS, written[0]["hash"], written[1]["hash"]]


def test_a_stranger_can_verify_the_chain_with_ten_lines(store: JsonLinesStore) -> None:
    for number in range(3):
        store.append(fields(number, summary="é"))
    previous = GENESIS
    for line in pathlib.Path(store.location).read_text("utf-8").splitlines():
        record = json.loads(line)
        own = record.pop("hash")
        text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == own
        assert record["previous"] == previous
        previous = own


def test_the_file_and_its_directory_are_for_their_owner(store: JsonLinesStore) -> None:
    old = os.umask(0)
    try:
        store.append(fields())
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(store.location).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(store.location)).st_mode) == 0o750


def test_what_json_cannot_carry_is_carried_as_it_can_be(store: JsonLinesStore) -> None:
    odd: dict[t.Any, t.Any] = {
        "a": float("nan"),
        "b": float("inf"),
        3: (1, 2),
        "p": pathlib.PurePath("/x"),
        "s": "\udcff",
    }
    odd["t"] = "\ud83d\ude00"
    record = store.append(fields(figures=odd))
    assert record["figures"] == {"a": None, "b": None, "3": [1, 2], "p": "/x", "s": "?", "t": "??"}
    assert store.read() == [record]
    assert store.verify().intact


def test_what_cannot_be_a_record_is_refused(store: JsonLinesStore) -> None:
    endless: dict[str, t.Any] = {}
    endless["self"] = endless
    for wrong, names in (
        ({"activity": "a.b"}, "no host and no verdict and no summary"),
        (fields(figurs={}), "unknown field 'figurs'; did you mean 'figures'"),
        (fields(figures=endless), "cannot be written as JSON"),
        (fields(previous="x"), "unknown field 'previous'"),
    ):
        with pytest.raises(RecordsError, match=names):
            store.append(wrong)
    assert not os.path.exists(store.location)


def test_reading_selects(store: JsonLinesStore) -> None:
    for number, (activity, host) in enumerate([("a", "x"), ("b", "x"), ("a", "y"), ("a", "x")]):
        store.append(fields(number, activity=activity, host=host))
    for activities, limit, host, expected in (
        (["a"], None, None, [0, 2, 3]),
        (["a"], 2, None, [2, 3]),
        (["a"], None, "x", [0, 3]),
        (None, 0, None, []),
        (None, 9, "y", [2]),
    ):
        assert [record["figures"]["number"] for record in store.read(activities, limit, host)] == expected


# -- torn lines ----------------------------------------------------------------------------------------------


def torn_files(store: JsonLinesStore) -> list[pathlib.Path]:
    path = pathlib.Path(store.location)
    return sorted(path.parent.glob(f"{path.name}.torn-*"))


def test_a_torn_line_is_set_aside_before_the_next_record_at_every_cut(store: JsonLinesStore) -> None:
    store.append(fields(0))
    whole = pathlib.Path(store.location).read_bytes()
    store.append(fields(1, summary="é" * 4000))  # longer than one block from the end
    both = pathlib.Path(store.location).read_bytes()
    cuts = list(range(len(whole) + 1, len(both) - 1, 997))
    for count, cut in enumerate(cuts, 1):
        pathlib.Path(store.location).write_bytes(both[:cut])
        before = store.verify()
        assert before.intact
        assert before.torn == count
        assert f"torn after {cut - len(whole)} bytes" in before.problem
        assert numbers(store) == [0]
        store.append(fields(2))
        assert numbers(store) == [0, 2]
        assert store.verify() == ChainReport(2, True, "", count)
    assert sorted(path.read_bytes() for path in torn_files(store)) == sorted(both[len(whole) : cut] for cut in cuts)
    assert all(re.fullmatch(r".*\.torn-\d{8}T\d{6}Z(-\d+)?", path.name) for path in torn_files(store))


def test_a_first_line_that_is_torn_is_set_aside_too(store: JsonLinesStore) -> None:
    store.append(fields(0))
    pathlib.Path(store.location).write_bytes(pathlib.Path(store.location).read_bytes()[:40])
    assert store.append(fields(1))["previous"] == GENESIS
    assert store.verify() == ChainReport(1, True, "", 1)


def test_a_whole_record_that_lacks_only_its_line_end_is_kept(store: JsonLinesStore) -> None:
    for number in range(2):
        store.append(fields(number))
    with open(store.location, "r+b") as file:
        file.truncate(os.path.getsize(store.location) - 1)
    assert store.verify() == ChainReport(2, True, "", 0)
    store.append(fields(2))
    assert numbers(store) == [0, 1, 2]
    assert store.verify() == ChainReport(3, True, "", 0)
    assert torn_files(store) == []


def test_a_writer_killed_while_it_writes_loses_nothing_that_was_acknowledged(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "records.jsonl"
    script = (
        "store = open_store(sys.argv[1])\n"
        "while True:\n"
        "    print(store.append(dict(activity='a', host='h', verdict='ok', summary='s' * 2000))['id'], flush=True)\n"
    )
    acknowledged: list[str] = []
    for wait in (0.0, 0.01, 0.03):
        writer = start_script(script, path)
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().strip())
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        # A line of output that was itself cut off acknowledges nothing.
        acknowledged += [line.strip() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        writer.communicate()
        store = JsonLinesStore(str(path))
        store.append(fields())
        report = store.verify()
        assert report.intact, report
        assert set(acknowledged) <= {record["id"] for record in store.read()}


# -- several writers -----------------------------------------------------------------------------------------


def test_eight_writers_at_once_lose_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "records.jsonl"
    script = (
        "for number in range(25):\n"
        "    fields = dict(activity=f'{sys.argv[2]}.{number}', host='h', verdict='ok', summary='s' * 300)\n"
        "    open_store(sys.argv[1]).append(fields)\n"
    )
    finish_scripts([start_script(script, path, who) for who in range(8)])
    store = JsonLinesStore(str(path))
    assert store.verify() == ChainReport(200, True, "", 0)
    seen = [record["activity"] for record in store.read()]
    assert sorted(seen) == sorted(f"{who}.{number}" for who in range(8) for number in range(25))
    for who in range(8):
        assert [name for name in seen if name.startswith(f"{who}.")] == [f"{who}.{number}" for number in range(25)]


def test_a_lock_that_is_never_released_is_an_error_with_the_path(
    store: JsonLinesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(fields())
    monkeypatch.setattr(records_jsonl, "LOCK_TIMEOUT_SECONDS", 0.05)
    with open(store.location, "rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        locked = f"records in {re.escape(store.location)} are locked by another process"
        for use in (lambda: store.append(fields()), store.verify):
            with pytest.raises(RecordsError, match=locked):
                use()


def test_a_file_moved_away_while_waiting_for_its_lock_is_not_written_to(
    store: JsonLinesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(fields(0))
    flock = fcntl.flock
    moved = f"{store.location}.old"

    def move_then_lock(file: int, how: int) -> None:
        if not os.path.exists(moved):
            os.rename(store.location, moved)
        flock(file, how)

    monkeypatch.setattr(records_jsonl.fcntl, "flock", move_then_lock)
    store.append(fields(1))
    assert numbers(store) == [1]
    assert numbers(JsonLinesStore(moved)) == [0]


# -- what the system refuses ---------------------------------------------------------------------------------


def test_a_write_that_is_cut_short_leaves_no_half_record(store: JsonLinesStore) -> None:
    store.append(fields(0))
    size = os.path.getsize(store.location)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(RecordsError) as caught:
            store.append(fields(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert str(caught.value) == f"the records in {store.location} cannot be written: {os.strerror(errno.EFBIG)}"
    assert os.path.getsize(store.location) == size
    store.append(fields(2))
    assert store.verify() == ChainReport(2, True, "", 0)


@pytest.mark.parametrize("kind", ["directory", "fifo", "below a file"])
def test_what_is_no_file_is_refused_with_its_path(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "records.jsonl"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("")
        path = path / "records.jsonl"
    store = JsonLinesStore(str(path))
    reason = store.check_writable()
    assert str(path) in reason
    with pytest.raises(RecordsError, match=r"not a regular file|Not a directory|File exists"):
        store.append(fields())


def test_writable_is_asked_without_leaving_a_trace(store: JsonLinesStore, tmp_path: pathlib.Path) -> None:
    assert store.check_writable() == ""
    assert list(tmp_path.iterdir()) == []
    store.append(fields())
    directory = os.path.dirname(store.location)
    before = (os.stat(store.location), os.stat(directory).st_mtime_ns, os.listdir(directory))
    assert store.check_writable() == ""
    assert (os.stat(store.location), os.stat(directory).st_mtime_ns, os.listdir(directory)) == before


# -- where ---------------------------------------------------------------------------------------------------


def test_the_default_is_the_machine_for_root_and_the_state_directory_for_others(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_path() == "/var/lib/steward/records.jsonl"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for state, expected in (
        ("", f"{tmp_path}/.local/state/steward/records.jsonl"),
        ("relative", f"{tmp_path}/.local/state/steward/records.jsonl"),
        ("/state", "/state/steward/records.jsonl"),
    ):
        monkeypatch.setenv("XDG_STATE_HOME", state)
        assert open_store("").location == expected
    assert open_store("~/r.jsonl").location == f"{tmp_path}/r.jsonl"


@pytest.mark.parametrize(
    ("location", "names"),
    [
        ("records.jsonl", "'records.jsonl' is neither the absolute path"),
        ("/var/lib/steward/", "neither the absolute path"),
        ("mysql://host/db", "starts with mysql://"),
        ("postgresql://user:hunter2@host/db", "holds a password"),
        ("postgresql://user@host/db?password=hunter2", "holds a password"),
        ("postgresql://user@host/db?sslpassword=hunter2", "holds a password"),
        ("postgresql://user:hunter2/x@host/db", "holds a password"),
        ("postgresql://user:hunter2@[bad/db", "records location"),
    ],
)
def test_a_wrong_location_is_refused_and_shows_no_password(location: str, names: str) -> None:
    with pytest.raises(RecordsError, match=re.escape(names)) as caught:
        open_store(location)
    assert "hunter2" not in str(caught.value)


def test_an_url_without_a_password_is_a_location() -> None:
    for location in ("postgresql://user@host:5432/db?application_name=a@b:c", "postgres://host/db", "postgresql:///db"):
        assert open_store(location).location == location


# -- fast ----------------------------------------------------------------------------------------------------


def test_ten_thousand_records_are_read_once_and_verified_and_appended_to_from_the_end(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JsonLinesStore(str(tmp_path / "records.jsonl"))
    record, previous, lines = complete(fields(ran={"user": "ada"}, summary="s" * 200)), GENESIS, []
    for _ in range(10_000):
        sealed, line = seal(record, previous)
        previous = sealed["hash"]
        lines.append(line)
    pathlib.Path(store.location).write_bytes(b"\n".join(lines) + b"\n")

    read: list[int] = []
    whole = os.read
    with monkeypatch.context() as patched:
        patched.setattr(os, "read", lambda file, count: read.append(len(part := whole(file, count))) or part)
        records, report = store.scan("db1")
    assert (len(records), report) == (10_000, ChainReport(10_000, True, "", 0))
    assert sum(read) == os.path.getsize(store.location), "each byte is read once"

    seen = _count_reads(monkeypatch)
    store.append(fields(1))
    assert sum(seen) <= records_jsonl._BLOCK


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    pread = os.pread

    def counted(file: int, count: int, offset: int) -> bytes:
        seen.append(count)
        return pread(file, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    monkeypatch.setattr(os, "read", lambda *_args: pytest.fail("append reads the whole file"))
    return seen


def test_reading_does_not_wait_for_other_readers(store: JsonLinesStore) -> None:
    store.append(fields())
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(open(store.location, "rb"))
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert store.verify().length == 1
