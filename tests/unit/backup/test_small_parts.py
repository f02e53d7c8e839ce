# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.sizes import format_size
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_plan import require_space
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import Login, PostgresError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.dump import directory_name
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.durable import (
    files_below,
    flush_tree,
    read_json,
    sha256_of,
    write_json,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.globals import statements
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.processes import (
    ProgramFailed,
    account_for,
    client_environment,
    connection_string,
    run,
    spawn,
    stop,
)


@pytest.mark.parametrize("name", ["..", ".", "manifest.json", "globals.sql", "a/b", "ü x", "%2E", "x" * 63])
def test_a_database_may_have_any_name(name):
    found = directory_name(name)
    assert "/" not in found
    assert "." not in found
    assert len(found) < 256
    others = {directory_name(other) for other in ("a", "A", "a/c", "%")}
    assert found not in others


def test_connection_string_quotes_and_has_no_password():
    login = Login(host="h", user="it's", password="geheim", service="s")
    assert (
        connection_string(login, "a b\\c")
        == "connect_timeout='10' dbname='a b\\\\c' host='h' service='s' user='it\\'s'"
    )


def test_client_environment_leaves_the_encoding_to_the_database(monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    environment = client_environment(Login(password="geheim"))
    assert "PGCLIENTENCODING" not in environment
    assert environment["PGPASSWORD"] == "geheim"
    assert environment["LC_ALL"] == "C"


def test_statements_of_globals():
    text = (
        "-- a comment; with a semicolon\n\\restrict abc\nSET x = on;\n\n"
        "CREATE ROLE \"odd;name\";\nALTER ROLE a PASSWORD 'x;''y';\n"
        "COMMENT ON ROLE a IS E'it\\'s; \\\\ -- no comment';\nCOMMENT ON ROLE b IS 'two\nlines;';\n\\unrestrict abc\n"
    )
    assert statements(text) == [
        "SET x = on",
        'CREATE ROLE "odd;name"',
        "ALTER ROLE a PASSWORD 'x;''y'",
        "COMMENT ON ROLE a IS E'it\\'s; \\\\ -- no comment'",
        "COMMENT ON ROLE b IS 'two\nlines;'",
    ]


def test_json_is_written_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(str(path), {"name": "ü"})
    write_json(str(path), {"name": "new"})
    assert read_json(str(path)) == {"name": "new"}
    assert files_below(str(tmp_path)) == ["a.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    flush_tree(str(tmp_path))
    path.write_text("[1]")
    with pytest.raises(ValueError, match="not a JSON object"):
        read_json(str(path))


def test_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(str(tmp_path / "f")).startswith("ba7816bf8f01cfea")


def test_space_is_asked_for_before(tmp_path):
    require_space(str(tmp_path / "not" / "yet" / "there"), 1, "x")
    with pytest.raises(PostgresError, match=r"not enough space in .*: the backup needs about 1000000.0 TB"):
        require_space(str(tmp_path), 10**18, "the backup")


def test_units():
    assert [format_size(size) for size in (0, 999, 1500, 10**9, 5 * 10**12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "1.0 GB",
        "5.0 TB",
    ]


def test_a_program_tells_why_it_failed():
    with pytest.raises(ProgramFailed, match="sh ended with status 3: broken pipe dream"):
        run(["/bin/sh", "-c", "echo fine; echo broken >&2; echo pipe dream >&2; exit 3"])
    with pytest.raises(ProgramFailed, match="was killed by signal 9"):
        run(["/bin/sh", "-c", "kill -9 $$"])
    with pytest.raises(PostgresError, match="cannot start /nowhere"):
        run(["/nowhere"])


def test_a_program_dies_with_us():
    code = (
        "import sys, time\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from ansible_collections.steward.maintenance.plugins.module_utils._postgres.processes import spawn\n"
        "print(spawn(['/bin/sleep', '60']).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as handle:
            return handle.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_stop_is_patient_once_then_firm():
    process = spawn(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
    assert process.stdout.readline() == b"ready\n"
    stop(process, patience=0.3)
    assert process.returncode == -signal.SIGKILL


def test_a_server_never_runs_as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PostgresError, match="refuses to run as root"):
        account_for("root")
    with pytest.raises(PostgresError, match="no account no_such_account_here"):
        account_for("no_such_account_here")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for("") is None
