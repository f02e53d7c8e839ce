# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packed dump restored through pipes by the real pg_restore and zstd: nothing is lost, and what breaks is told."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import typing as t

import pytest
from support.postgres import PrivatePostgres, wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import contents, streaming
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.processes import (
    ProgramFailed,
    client_environment,
    connection_string,
)

pytest_plugins = ("support.postgres_fixtures",)

_ROWS = 400
_ORIGINAL = f"""
CREATE SCHEMA "public a"; CREATE SCHEMA "odd 'one'";
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT g, 'a' || chr(9) || 'b\\' || g FROM generate_series(1, {_ROWS}) g;
CREATE TABLE "public a".b (id int); INSERT INTO "public a".b VALUES (1), (2);
CREATE TABLE "a b" (id int); INSERT INTO "a b" VALUES (3);
CREATE TABLE "odd 'one'"."two
lines; 9" (id int REFERENCES orders); INSERT INTO "odd 'one'"."two
lines; 9" VALUES (1), (7);
CREATE TABLE parent (id int); CREATE TABLE child (own text) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 'two'), (3, NULL);
CREATE TABLE parts (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts VALUES (1, 1), (2, 2);
CREATE TABLE nothing (id serial PRIMARY KEY); SELECT setval('nothing_id_seq', 77);
CREATE MATERIALIZED VIEW summed AS SELECT count(*) FROM orders;
SELECT lo_from_bytea(0, 'large'), lo_from_bytea(0, 'larger')"""
_TABLES = 8


class Dump:
    """A dump as pg_dump up to 15 and the program zstd leave it, whatever pg_dump can do itself."""

    def __init__(self, server: PrivatePostgres, place: pathlib.Path, database: str = "original") -> None:
        self.server = server
        self.place = place
        self.packed = place / "packed"
        server.run_sql(f"CREATE DATABASE {database}")
        if database == "original":
            server.run_sql(_ORIGINAL, database)
        self.database = database

    def make(self) -> None:
        self._program("pg_dump", "-Fd", "--compress=0", "-f", str(self.packed), self.database)
        for path in self.packed.glob("*.dat"):
            if path.name != "toc.dat":
                subprocess.run(["zstd", "--quiet", "--rm", str(path)], check=True)

    def _program(self, name: str, *arguments: str) -> None:
        login = ["-h", self.server.socket_dir, "-p", str(self.server.port), "-U", self.server.superuser]
        subprocess.run([os.path.join(self.server.bin_dir, name), *login, *arguments], check=True)

    def streamed(self, target: pathlib.Path) -> streaming.StreamedDump:
        conn = self.server.connect(self.database)
        with contextlib.closing(conn):
            tables = contents.tables(conn)
        zstd = shutil.which("zstd")
        assert zstd
        pg_restore = os.path.join(self.server.bin_dir, "pg_restore")
        return streaming.StreamedDump(zstd, pg_restore, str(self.packed), str(target), tables)

    def restore(self, streamed: streaming.StreamedDump, database: str, jobs: int) -> None:
        self.server.run_sql(f"CREATE DATABASE {database} TEMPLATE template0")
        login = self.server.login
        argv = [os.path.join(self.server.bin_dir, "pg_restore"), "--exit-on-error", f"--jobs={jobs}", "--no-password"]
        argv.append(f"--dbname={connection_string(login, database)}")
        with contextlib.closing(self.server.connect(database)) as conn:
            streamed.restore(conn, argv, client_environment(login))

    def measured(self, database: str) -> t.Any:
        with contextlib.closing(self.server.connect(database)) as conn:
            conn.cursor().execute("BEGIN")
            tables = contents.measure(conn, contents.tables(conn), checksums=True)
            return tables, contents.large_objects_checksum(conn)


@pytest.fixture
def dump(postgres: PrivatePostgres, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Dump]:
    monkeypatch.setattr(streaming, "SMALLEST", 1)
    yield Dump(postgres, tmp_path)
    for (name,) in postgres.run_sql("SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template)'"):
        postgres.run_sql(f"DROP DATABASE {name} WITH (FORCE)")


def _pipes(target: pathlib.Path) -> int:
    return sum(stat.S_ISFIFO(path.stat().st_mode) for path in target.iterdir())


@pytest.mark.parametrize("jobs", [1, 3])
def test_nothing_is_lost_on_the_way(dump: Dump, jobs: int) -> None:
    dump.make()
    target = dump.place / "clear"
    streamed = dump.streamed(target)
    assert 0 < streamed.unpacked_share < 1  # the table of contents, and the large objects
    streamed.prepare()
    assert _pipes(target) == 0
    dump.restore(streamed, "copy", jobs)
    assert _pipes(target) == _TABLES
    assert dump.measured("copy") == dump.measured("original")
    assert dump.server.run_sql("SELECT last_value FROM nothing_id_seq", "copy") == [(77,)]
    assert dump.server.run_sql("SELECT count FROM summed", "copy") == [(_ROWS,)]
    constraints = "SELECT conname, contype, convalidated FROM pg_constraint WHERE conrelid >= 16384 ORDER BY 1"
    assert dump.server.run_sql(constraints, "copy") == dump.server.run_sql(constraints, "original")


def test_small_tables_are_unpacked(dump: Dump, monkeypatch: pytest.MonkeyPatch) -> None:
    dump.make()
    monkeypatch.setattr(streaming, "SMALLEST", (dump.packed / _largest(dump)).stat().st_size)
    target = dump.place / "clear"
    streamed = dump.streamed(target)
    streamed.prepare()
    dump.restore(streamed, "copy", 2)
    assert _pipes(target) == 1
    assert dump.measured("copy") == dump.measured("original")


def _largest(dump: Dump) -> str:
    return max(dump.packed.glob("*.zst"), key=lambda path: path.stat().st_size).name


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_zstd_cannot_read_ends_it(dump: Dump, jobs: int) -> None:
    dump.server.run_sql("INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1000, 90000) g", "original")
    dump.make()
    streamed = dump.streamed(dump.place / "clear")
    streamed.prepare()
    path = dump.packed / _largest(dump)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ProgramFailed, match="zstd"):
        dump.restore(streamed, "copy", jobs)
    assert all(writer.process.poll() is not None for writer in streamed._writers)


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_the_server_refuses_is_told_in_its_words(dump: Dump, jobs: int) -> None:
    dump.server.run_sql(
        "CREATE TABLE choosy (id int CHECK (current_database() = 'original'));"
        "INSERT INTO choosy SELECT generate_series(1, 100000)",
        "original",
    )
    dump.make()
    streamed = dump.streamed(dump.place / "clear")
    streamed.prepare()
    with pytest.raises(ProgramFailed, match=r"pg_restore ended .*violates check constraint"):
        dump.restore(streamed, "copy", jobs)
    assert all(writer.process.poll() is not None for writer in streamed._writers)


def test_a_killed_run_leaves_no_program_behind(dump: Dump) -> None:
    dump.server.run_sql("INSERT INTO orders SELECT g, md5(g::text) FROM generate_series(1000, 300000) g", "original")
    dump.make()
    target = dump.place / "clear"
    streamed = dump.streamed(target)
    streamed.prepare()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            dump.restore(streamed, "copy", 2)
        os._exit(9)
    wait_for(lambda: _pipes(target) == _TABLES and any("zstd" in line for line in _at_work(dump)), "zstd is at work")
    os.kill(child, signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    wait_for(lambda: not _at_work(dump), "the end of pg_restore and zstd")


def _at_work(dump: Dump) -> list[str]:
    """The command lines of all processes that name our directory, but for this one's children that are not reaped."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if str(dump.place) in line]
