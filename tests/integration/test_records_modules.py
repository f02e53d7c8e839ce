# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules record and records_info, run as Ansible runs them, on real file systems."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from support.modules import run_module
from support.scripts import run_script

GOOD: dict[str, t.Any] = {
    "verdict": "ok",
    "summary": "vacuumed 3 tables",
    "reason": "",
    "findings": [],
    "figures": {"duration_seconds": 1.5},
    "coverage": {"looked": 3, "of": 3},
}


def arguments(records: object, **other: t.Any) -> dict[str, t.Any]:
    return {"records": str(records), "activity": "database.vacuum", "host": "db1", "result": GOOD, **other}


def test_a_record_is_written_and_read_back(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state" / "records.jsonl"
    ran = {"awx_job_id": 17, "awx_template": "", "revision": "abc"}
    about = {"changed": True, "change": "CHG-7", "guide": "2.3", "type": "preventive"}
    written = run_module("record", arguments(path, ran=ran, **about))
    assert (written["failed"], written["changed"], written["verdict"]) == (False, True, "ok")
    record = written["record"]
    assert {name: record[name] for name in about} == about
    assert record["check_mode"] is False
    assert (record["ran"]["awx_job_id"], record["ran"]["revision"]) == (17, "abc")
    assert "awx_template" not in record["ran"]
    assert json.loads(path.read_text()) == record

    info = run_module("records_info", {"records": str(path)})
    assert (info["failed"], info["changed"], info["records"]) == (False, False, [record])
    assert info["chain"] == {"length": 1, "intact": True, "problem": "", "torn": 0}
    assert info["now"] >= record["ended"]

    summary = run_module("records_info", {"records": str(path), "summary": True, "trend": 1, "host": "db1"})
    assert "records" not in summary
    told = summary["activities"]["database.vacuum"]
    assert told["last_success_at"] == record["ended"]
    assert told["trend"] == [[record["ended"], "ok", 1.5]]
    assert run_module("records_info", {"records": str(path), "summary": True, "host": "db2"})["activities"] == {}


def test_check_mode_shows_the_record_and_writes_none(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state" / "records.jsonl"
    answer = run_module("record", arguments(path), check=True)
    assert (answer["failed"], answer["changed"]) == (False, True)
    assert answer["record"]["check_mode"] is True
    assert not {"previous", "hash"} & set(answer["record"])
    assert answer["diff"] == {
        "before": "",
        "after": "database.vacuum on db1 would be recorded as ok: vacuumed 3 tables\n",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("result", [None, {}, {"msg": "MODULE FAILURE"}, {"verdict": "fine", "summary": "s"}])
def test_a_malformed_result_is_recorded_as_failed(tmp_path: pathlib.Path, result: t.Any) -> None:
    path = tmp_path / "records.jsonl"
    answer = run_module("record", arguments(path, result=result))
    assert (answer["failed"], answer["changed"]) == (False, True)
    assert answer["record"]["verdict"] == "failed"
    assert answer["record"]["reason"]
    assert json.loads(path.read_text())["verdict"] == "failed"


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"records": "records.jsonl"}, "neither the absolute path"),
        ({"records": "postgresql://user:hunter2@host/db"}, "holds a password"),
        ({"started": "yesterday"}, "time 'yesterday' cannot be read"),
        ({"type": "preventative"}, "must be one of"),
    ],
)
def test_wrong_arguments_fail_with_what_would_be_right(
    tmp_path: pathlib.Path, wrong: dict[str, str], cause: str
) -> None:
    answer = run_module("record", {**arguments(tmp_path / "records.jsonl"), **wrong})
    assert answer["failed"]
    assert cause in answer["msg"]
    assert "hunter2" not in answer["msg"]
    assert list(tmp_path.iterdir()) == []


def test_tampering_is_a_finding_and_the_altered_record_no_evidence(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "records.jsonl"
    for _ in range(2):
        run_module("record", arguments(path))
    path.write_text(path.read_text().replace("vacuumed 3", "vacuumed 9", 1))
    info = run_module("records_info", {"records": str(path)})
    assert (info["failed"], info["verdict"], len(info["records"])) == (False, "findings", 1)
    assert info["chain"]["problem"] == "record 1 was altered: its hash does not match"
    assert info["findings"][0]["severity"] == "critical"


def test_records_that_cannot_be_read_are_unknown_not_empty(tmp_path: pathlib.Path) -> None:
    (tmp_path / "records.jsonl").mkdir()
    info = run_module("records_info", {"records": str(tmp_path / "records.jsonl")})
    assert (info["failed"], info["verdict"]) == (True, "unknown")
    assert f"records in {tmp_path}/records.jsonl cannot be used: it is not a regular file" in info["msg"]
    assert "records" not in info


# -- file systems that refuse: in a mount namespace of its own, which ends with the process ----------------------

_ON_A_SMALL_FILE_SYSTEM = r"""
set -e
mount -t tmpfs -o size=96k,mode=755 none "$1"
shift
exec "$@"
"""

_FILL_AND_TRY = """
directory, how = sys.argv[1:]
store = open_store(directory + "/records.jsonl")
fields = dict(activity="a", host="h", verdict="ok", summary="s" * 3000)
store.append(fields)
assert store.check_writable() == "", store.check_writable()
if how == "full":
    with open(directory + "/ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 512)
        except OSError:
            pass
elif how == "read-only":
    import ctypes
    MS_REMOUNT_READONLY = 32 | 1
    assert ctypes.CDLL(None).mount(b"none", directory.encode(), b"tmpfs", MS_REMOUNT_READONLY, None) == 0
print(store.check_writable())
try:
    for number in range(3):
        store.append(fields)
except RecordsError as error:
    print(error)
report = store.verify()
assert report.intact and not report.torn, report
if how == "full":
    os.unlink(directory + "/ballast")
    length = store.verify().length
    store.append(fields)
    assert store.verify().length == length + 1 and store.verify().intact
"""


@pytest.mark.parametrize(
    ("how", "cause"), [("full", "No space left on device"), ("read-only", "Read-only file system")]
)
def test_a_full_or_read_only_file_system_is_told_before_and_when_writing(
    tmp_path: pathlib.Path, how: str, cause: str
) -> None:
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c", _ON_A_SMALL_FILE_SYSTEM, "sh", str(tmp_path)]
    before, when_writing = run_script(_FILL_AND_TRY, tmp_path, how, within=namespace)
    expected = f"the records in {tmp_path}/records.jsonl cannot be written: {cause}"
    assert before.startswith(expected)
    assert when_writing.startswith(expected)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_an_account_may_not_write_is_told_before_and_when_writing(tmp_path: pathlib.Path, what: str) -> None:
    directory = tmp_path / "state"
    path = directory / "records.jsonl"
    directory.mkdir()
    if what == "file":
        path.write_text("")
        path.chmod(0o400)
    else:
        directory.chmod(0o500)
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    script = (
        "store = open_store(sys.argv[1])\n"
        "if os.geteuid() == 0:\n"
        "    for path in (sys.argv[1], os.path.dirname(sys.argv[1])):\n"
        "        os.path.exists(path) and os.chown(path, 65534, 65534)\n"
        "    os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "print(store.check_writable())\n"
        "try:\n"
        "    store.append(dict(activity='a', host='h', verdict='ok', summary='s'))\n"
        "except RecordsError as error:\n"
        "    print(error)\n"
    )
    told = run_script(script, path)
    assert len(told) == 2
    for line in told:
        assert line.startswith(f"the records in {path} cannot be written: Permission denied")
