# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, as an operator runs it, on a real server to which something is done first.

Injected: a wrong password, a stopped server, a full disk under the backups, missing programs, records that cannot be
written. What must happen: exit status non-zero, each activity that met the fault `failed` or `unknown` with a reason
that names the cause, and a record of it wherever one can be written. And check mode tells the work and touches nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

import pytest
from conftest import COLLECTIONS, ROOT
from support.backups import remount, small_disk
from support.postgres import PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store

NEGLECT = (
    "CREATE TABLE orders (id int PRIMARY KEY, note text)",
    "INSERT INTO orders SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 40000) g",
    "UPDATE orders SET note = note || 'x' WHERE id % 2 = 0",
    "CREATE TABLE customers (id int, email text)",
    "INSERT INTO customers SELECT g, 'c' || g % 50 FROM generate_series(1, 1000) g",
)
INVALID_INDEXES = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
#: Everything in the catalog that maintenance could alter, in one comparable value.
CATALOG = """
SELECT c.oid, c.relname, c.relfilenode, c.relfrozenxid, c.relpages, c.reltuples, i.indisvalid,
       pg_stat_get_vacuum_count(c.oid), pg_stat_get_analyze_count(c.oid)
FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid ORDER BY c.oid"""


class Job:
    """One database host on this machine, with its own server, and the main job to run on it."""

    def __init__(self, server: PrivatePostgres, directory: pathlib.Path) -> None:
        self.server = server
        self.directory = directory
        self.records = directory / "records" / "db1.jsonl"
        self.backups = directory / "backups"
        self.variables: dict[str, t.Any] = {
            "maintenance_postgres_login": {
                "host": "127.0.0.1",
                "port": server.port,
                "user": server.superuser,
                "password": server.password,
                "ssl_mode": "disable",
            },
            "maintenance_postgres_os_user": "",
            "maintenance_postgres_bin_dir": server.bin_dir,
            "maintenance_records": str(self.records),
            "backup_path": str(self.backups),
            "postgres_maintenance_state_dir": str(directory / "state"),
            "cycle_report_path": str(directory / "report.html"),
        }

    def run(self, *arguments: str, **variables: t.Any) -> tuple[int, str]:
        """Exit status, and what was printed as one line."""
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"postgres": {"hosts": {"db1": {**host, **self.variables, **variables}}}}
        path = self.directory / "inventory.json"
        path.write_text(json.dumps(inventory), encoding="utf-8")
        path.chmod(0o600)
        done = subprocess.run(
            [
                str(pathlib.Path(sys.executable).parent / "ansible-playbook"),
                "-i", str(path), "steward.maintenance.run_maintenance", *arguments,
            ],
            env=dict(
                os.environ,
                HOME=str(self.directory),
                ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
                ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
                ANSIBLE_LOCAL_TEMP=str(self.directory / "tmp"),
                ANSIBLE_REMOTE_TEMP=str(self.directory / "tmp"),
                ANSIBLE_NOCOLOR="1",
            ),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )  # fmt: skip
        return done.returncode, re.sub(r"\s+", " ", done.stdout)

    def recorded(self) -> dict[str, dict[str, t.Any]]:
        """The last record of each activity; the chain has to be whole."""
        store = open_store(str(self.records))
        assert store.verify().intact
        return {record["activity"]: record for record in store.read()}


@pytest.fixture(scope="module")
def server() -> t.Iterator[PrivatePostgres]:
    with PrivatePostgres() as running:
        running.run_sql("CREATE DATABASE shop")
        for statement in NEGLECT:
            running.run_sql(statement, "shop")
        with pytest.raises(Exception, match="could not create unique index"):
            running.run_sql("CREATE UNIQUE INDEX CONCURRENTLY customers_email ON customers (email)", "shop")
        running.run_sql("DELETE FROM customers WHERE id > 50", "shop")
        yield running


@pytest.fixture
def job(server: PrivatePostgres) -> t.Iterator[Job]:
    # Not pytest's own directory: the account of the throwaway server has to reach it.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="steward-job-"))
    directory.chmod(0o755)
    yield Job(server, directory)
    shutil.rmtree(directory)


def assert_bad(record: dict[str, t.Any], cause: str) -> None:
    assert record["verdict"] in ("failed", "unknown"), record
    assert cause in record["reason"], record["reason"]


def files_below(directory: pathlib.Path) -> dict[str, str]:
    """Every file with the hash of its content, but for Ansible's own scratch and our inventory."""
    ours = ("tmp", ".ansible", "inventory.json")
    found = [path for path in sorted(directory.rglob("*")) if path.relative_to(directory).parts[0] not in ours]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory" for path in found
    }


def test_check_mode_tells_what_why_and_how_much_and_changes_nothing(job: Job) -> None:
    before = job.server.run_sql(CATALOG, "shop"), files_below(job.directory)
    status, told = job.run("--check", "--diff", postgres_maintenance_reindex_every_index=True)
    assert status == 0, told
    assert (job.server.run_sql(CATALOG, "shop"), files_below(job.directory)) == before
    for wanted in ("orders", "dead rows", "customers_email", "invalid", "backup"):
        assert wanted in told, f"{wanted} is not in: {told}"
    assert "check mode" in told
    assert re.search(r"orders: VACUUM \(ANALYZE\) would be done, [\d.]+ [kM]B, about \d+ m?s", told), (
        f"no estimate in: {told}"
    )
    # A valid index without any bloat: only the variable makes it one to be rebuilt.
    assert "public.orders_pkey: every index is to be rebuilt" in told
    assert re.search(r"orders_pkey: REINDEX INDEX CONCURRENTLY would be done, [\d.]+ [kM]B, about [\d.]+ m?s", told), (
        f"no estimate in: {told}"
    )


def test_wrong_password(job: Job) -> None:
    login = dict(job.variables["maintenance_postgres_login"], password="nobody knows it")
    status, told = job.run(maintenance_postgres_login=login)
    assert status != 0
    recorded = job.recorded()
    assert len(recorded) == 7
    for name in set(recorded) - {"backup.verify"}:
        assert_bad(recorded[name], "password authentication failed")
    assert_bad(recorded["backup.verify"], "there is no backup")
    assert "db1 needs attention" in told
    assert "nobody knows it" not in told
    assert "nobody knows it" not in job.records.read_text(encoding="utf-8")


def test_stopped_server_and_the_run_stays_red_until_a_good_attempt(job: Job) -> None:
    job.server.stop()
    try:
        status, told = job.run()
        assert status != 0
        assert_bad(job.recorded()["database.vacuum"], "Connection refused")
        assert_bad(job.recorded()["backup.database"], "Connection refused")
        count = open_store(str(job.records)).verify().length
        status, told = job.run()
        assert status != 0, "the last attempts were bad and are not tried again yet: that is not green"
        assert "cycle_force" in told
        assert open_store(str(job.records)).verify().length == count
    finally:
        job.server.start()
    status, told = job.run("-e", "cycle_force=true")
    assert status == 0, told
    assert {record["verdict"] for record in job.recorded().values()} <= {"ok", "findings"}
    assert job.server.run_sql(INVALID_INDEXES, "shop") == [(0,)]


def test_what_the_cycle_finds_due_is_backed_up_however_young_the_last_backup_is(job: Job) -> None:
    for count in (1, 2):
        status, told = job.run("-e", "cycle_force=true", cycle_only=["backup.database"])
        assert status == 0, told
        assert len([path for path in job.backups.iterdir() if re.fullmatch(r"\d{8}T\d{6}Z", path.name)]) == count


def test_full_disk_under_the_backups(job: Job) -> None:
    with small_disk(job.backups, "1m"):
        status, told = job.run(cycle_only=["backup.database"])
        assert status != 0
        assert_bad(job.recorded()["backup.database"], "space")
        assert [path.name for path in job.backups.iterdir() if re.fullmatch(r"\d{8}T\d{6}Z.*", path.name)] == []
        assert str(job.backups) in told


def test_missing_programs(job: Job) -> None:
    nothing = job.directory / "nothing"
    nothing.mkdir()
    status, _told = job.run(maintenance_postgres_bin_dir=str(nothing), cycle_only=["backup.database"])
    assert status != 0
    assert_bad(job.recorded()["backup.database"], "pg_dump")
    assert str(nothing) in job.recorded()["backup.database"]["reason"]


def test_records_that_cannot_be_written_stop_the_host_before_it_acts(job: Job) -> None:
    vacuumed = job.server.run_sql("SELECT sum(vacuum_count + analyze_count) FROM pg_stat_all_tables", "shop")
    job.records.parent.mkdir()
    with small_disk(job.records.parent, "1m"):
        remount(job.records.parent, "ro")
        status, told = job.run("-e", "cycle_force=true")
        assert status != 0
        assert "Read-only file system" in told
        assert str(job.records) in told
        assert not job.records.exists()
    assert not job.backups.exists()
    assert job.server.run_sql("SELECT sum(vacuum_count + analyze_count) FROM pg_stat_all_tables", "shop") == vacuumed
