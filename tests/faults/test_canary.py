# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret is planted as the PostgreSQL password, everything is run at -vvv, and then it is looked for everywhere.

Injected: the password itself, and a wrong one, for the login of the databases and for the central store of records.
What must happen: with the right one all is done, with the wrong one the run fails and says why; and neither password is
in the output, Ansible's log, the records, the report, the server's log, the system's log, a file left behind, or any
command line.
"""

from __future__ import annotations

import base64
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import pytest
import yaml
from support.canary import RIGHT, WRONG, CommandLines, secrets_in, sweep
from support.postgres import PrivatePostgres
from support.syslog import Syslog

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class GuardedPostgres(PrivatePostgres):
    password = RIGHT


@pytest.fixture(scope="module")
def server() -> t.Iterator[GuardedPostgres]:
    with GuardedPostgres() as running:
        running.run_sql("CREATE DATABASE shop")
        running.run_sql("CREATE DATABASE records")
        running.run_sql(
            "CREATE TABLE orders AS SELECT n AS id, n % 7 AS status FROM generate_series(1, 20000) n", "shop"
        )
        running.run_sql("CREATE INDEX ON orders (status)", "shop")
        running.run_sql("DELETE FROM orders WHERE id % 2 = 0", "shop")
        yield running


class Run(t.NamedTuple):
    status: int
    output: str
    scratch: pathlib.Path
    lines: CommandLines
    log: Syslog


def _maintain(server: GuardedPostgres, password: str, scratch: pathlib.Path, central: bool = False) -> Run:
    """The whole main job on this host, with the password in a file outside of the scratch."""
    login = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": server.superuser,
        "password": password,
        "ssl_mode": "disable",
    }
    settings = {
        "maintenance_postgres_login": login,
        "maintenance_postgres_os_user": "",
        "maintenance_postgres_bin_dir": server.bin_dir,
        "maintenance_records": str(scratch / "records.jsonl"),
        "backup_path": str(scratch / "backups"),
        "cycle_force": True,
        "cycle_report_path": str(scratch / "report.html"),
        "cycle_metrics_path": str(scratch / "steward.prom"),
        "ansible_python_interpreter": sys.executable,
    }
    if central:
        settings["maintenance_records"] = f"postgresql://{server.superuser}@127.0.0.1:{server.port}/records"
        settings["maintenance_records_password"] = password
    inventory = {"all": {"children": {"postgres": {"hosts": {"guarded": {"ansible_connection": "local"}}}}}}
    (scratch / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (scratch / "tmp").mkdir()
    (scratch / "tmp").chmod(0o1777)
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as source, CommandLines() as lines, Syslog() as log:
        yaml.safe_dump(settings, source)
        source.flush()
        done = subprocess.run(
            [
                *log.prefix,
                os.path.join(os.path.dirname(sys.executable), "ansible-playbook"),
                "steward.maintenance.run_maintenance",
                "-vvv",
                f"--inventory={scratch / 'inventory.yml'}",
                f"--extra-vars=@{source.name}",
            ],
            cwd=scratch,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
                "ANSIBLE_HOME": str(scratch / "ansible"),
                "ANSIBLE_LOG_PATH": str(scratch / "ansible.log"),
                "ANSIBLE_REMOTE_TEMP": str(scratch / "tmp" / "remote"),
                "TMPDIR": str(scratch / "tmp"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
    return Run(done.returncode, done.stdout, scratch, lines, log)


@pytest.fixture
def scratch() -> t.Iterator[pathlib.Path]:
    """Open to the account that the throwaway server runs as, which pytest's tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="steward-canary-") as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        yield path


def _assert_nothing_shows(run: Run, server: GuardedPostgres) -> None:
    assert not secrets_in(run.output.encode())
    assert not sweep(run.scratch)
    assert not secrets_in(server.log().encode())
    assert b"Invoked with" in run.log.content, "the system's log was not heard"
    assert not secrets_in(run.log.content)
    assert run.lines.rounds > 10, "the command lines were hardly looked at"
    assert not run.lines.caught


def test_the_sweep_finds_what_it_looks_for(tmp_path: pathlib.Path) -> None:
    """Else all the others would pass by looking away."""
    (tmp_path / "plain").write_text(f"password={RIGHT}")
    for shift in range(3):
        (tmp_path / f"encoded{shift}").write_bytes(base64.b64encode(b"x" * shift + f"{WRONG} and more".encode()))
    assert set(sweep(tmp_path)) == {"plain", "encoded0", "encoded1", "encoded2"}
    with CommandLines() as lines:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)", RIGHT], check=True)
    assert lines.caught
    with Syslog() as log:
        words = f"import syslog; syslog.syslog('{WRONG}')"
        subprocess.run([*log.prefix, sys.executable, "-c", words], check=True)
    assert secrets_in(log.content) == [WRONG]


def test_the_right_password(server: GuardedPostgres, scratch: pathlib.Path) -> None:
    run = _maintain(server, RIGHT, scratch)
    assert run.status == 0, run.output[-4000:]
    _assert_nothing_shows(run, server)
    written = {path.name for path in scratch.rglob("*") if path.is_file()}
    assert {"records.jsonl", "report.html", "ansible.log", "manifest.json", "verified.json"} <= written


def test_a_wrong_password(server: GuardedPostgres, scratch: pathlib.Path) -> None:
    run = _maintain(server, WRONG, scratch)
    assert run.status != 0
    assert "password authentication failed" in run.output
    assert "password authentication failed" in (scratch / "records.jsonl").read_text()
    _assert_nothing_shows(run, server)


def test_the_password_of_the_central_store(server: GuardedPostgres, scratch: pathlib.Path) -> None:
    run = _maintain(server, RIGHT, scratch, central=True)
    assert run.status == 0, run.output[-4000:]
    _assert_nothing_shows(run, server)
    kept = server.run_sql("SELECT to_jsonb(r)::text FROM steward_records r", "records")
    assert kept
    assert not secrets_in(repr(kept).encode())


def test_a_wrong_password_of_the_central_store(server: GuardedPostgres, scratch: pathlib.Path) -> None:
    run = _maintain(server, WRONG, scratch, central=True)
    assert run.status != 0
    assert "password authentication failed" in run.output
    _assert_nothing_shows(run, server)
