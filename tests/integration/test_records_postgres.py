# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The central store of records, on a real PostgreSQL."""

from __future__ import annotations

import sys
import typing as t

import pytest
from support.postgres import PrivatePostgres, free_port
from support.scripts import finish_scripts, run_script, start_script

from ansible_collections.steward.maintenance.plugins.module_utils._core.chain import GENESIS, ChainReport
from ansible_collections.steward.maintenance.plugins.module_utils._core.records import (
    RecordsError,
    RecordStore,
    open_store,
)

PASSWORD = "central-hunter2"
FIELDS: dict[str, t.Any] = {"activity": "database.vacuum", "verdict": "ok", "summary": "vacuumed “3” tables\n\x00 é 🐘"}


@pytest.fixture(scope="module")
def server() -> t.Iterator[PrivatePostgres]:
    with PrivatePostgres() as running:
        running.run_sql(f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}'")
        running.run_sql(f"CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}'")
        running.run_sql("CREATE DATABASE records OWNER keeper")
        yield running


@pytest.fixture
def database(server: PrivatePostgres) -> t.Iterator[str]:
    """A database without the table; one for all tests, because making one takes longer than the test."""
    server.run_sql("DROP TABLE IF EXISTS steward_records", "records")
    yield "records"
    server.run_sql("ALTER DATABASE records RESET ALL")


def location(server: PrivatePostgres, database: str, user: str = "keeper") -> str:
    return f"postgresql://{user}@127.0.0.1:{server.port}/{database}?sslmode=disable"


def store_at(server: PrivatePostgres, database: str, user: str = "keeper") -> RecordStore:
    return open_store(location(server, database, user), PASSWORD)


def fields(number: int = 0, host: str = "db1", **other: t.Any) -> dict[str, t.Any]:
    return {**FIELDS, "host": host, "figures": {"number": number}, **other}


def test_one_chain_for_each_host(server: PrivatePostgres, database: str) -> None:
    store = store_at(server, database)
    assert (store.read(), store.verify(), store.check_writable()) == ([], ChainReport(), "")
    written = [store.append(fields(number, host)) for number, host in enumerate(["db1", "db2", "db1", "db2"])]
    assert store.verify() == ChainReport(4, True, "", 0)
    assert store.read(host="db1") == [written[0], written[2]]
    assert store.scan("db2") == ([written[1], written[3]], ChainReport(2, True, "", 0))
    assert [record["previous"] for record in written] == [GENESIS, GENESIS, written[0]["hash"], written[1]["hash"]]
    assert sorted(record["id"] for record in store.read()) == sorted(record["id"] for record in written)
    assert [record["id"] for record in store.read(["database.vacuum"], 1, "db1")] == [written[2]["id"]]
    assert store.check_writable() == ""


def test_the_same_fields_as_in_a_file_with_the_same_meaning(
    server: PrivatePostgres, database: str, tmp_path: t.Any
) -> None:
    in_table = store_at(server, database).append(fields())
    in_file = open_store(str(tmp_path / "records.jsonl")).append(
        {**fields(), **{name: in_table[name] for name in ("id", "started", "ended")}}
    )
    assert in_table == in_file


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("UPDATE steward_records SET record = replace(record, 'ber\":1', 'ber\":7')", "record 2 of db1 was altered"),
        ("DELETE FROM steward_records WHERE seq = 2", "record 2 of db1 does not follow the one before it"),
        ("DELETE FROM steward_records WHERE seq = 1", "record 1 of db1 does not follow the one before it"),
        ("UPDATE steward_records SET hash = repeat('0', 64) WHERE seq = 3", "record 3 of db1 does not agree with"),
        ("UPDATE steward_records SET host = 'db2' WHERE seq = 1", "record 1 of db1 does not follow"),
        ("UPDATE steward_records SET seq = 9 WHERE seq = 1", "record 1 of db1 does not follow the one before it"),
        ("UPDATE steward_records SET record = 'x' WHERE seq = 3", "record 3 of db1 is not a record"),
    ],
)
def test_tampering_is_found(server: PrivatePostgres, database: str, tampering: str, problem: str) -> None:
    store = store_at(server, database)
    for number in range(3):
        store.append(fields(number))
    assert store.verify().intact
    server.run_sql(tampering, database)
    report = store.verify()
    assert not report.intact
    assert report.problem.startswith(problem)
    store.append(fields(4))
    assert not store.verify().intact
    assert 4 in [record["figures"]["number"] for record in store.read(host="db1")]


def test_eight_writers_at_once_lose_nothing_not_even_while_the_table_is_made(
    server: PrivatePostgres, database: str
) -> None:
    script = (
        "for number in range(12):\n"
        "    fields = dict(activity=f'{sys.argv[3]}.{number}', host='db1', verdict='ok', summary='s')\n"
        "    open_store(sys.argv[1], sys.argv[2]).append(fields)\n"
    )
    finish_scripts([start_script(script, location(server, database), PASSWORD, who) for who in range(8)])
    store = store_at(server, database)
    assert store.verify() == ChainReport(96, True, "", 0)
    seen = [record["activity"] for record in store.read(host="db1")]
    assert sorted(seen) == sorted(f"{who}.{number}" for who in range(8) for number in range(12))


def test_an_account_that_may_only_select_and_insert_is_enough_and_cannot_rewrite(
    server: PrivatePostgres, database: str
) -> None:
    writer = store_at(server, database, "writer")
    if server.major >= 15:
        assert "writer needs CREATE on its first schema" in writer.check_writable()
        with pytest.raises(RecordsError, match="cannot be written: permission denied for schema public"):
            writer.append(fields())
    store_at(server, database).append(fields(0))
    assert "writer needs SELECT and INSERT on the table steward_records" in writer.check_writable()
    with pytest.raises(RecordsError, match="permission denied for table steward_records"):
        writer.append(fields())
    with pytest.raises(RecordsError, match="cannot be read: permission denied for table steward_records"):
        writer.verify()
    server.run_sql("GRANT SELECT, INSERT ON steward_records TO writer", database)
    assert writer.check_writable() == ""
    writer.append(fields(1))
    assert writer.verify() == ChainReport(2, True, "", 0)


def test_a_wrong_password_is_named_as_the_cause_and_not_shown(server: PrivatePostgres, database: str) -> None:
    store = open_store(location(server, database), "wrong-hunter2")
    with pytest.raises(RecordsError) as caught:
        store.append(fields())
    assert 'password authentication failed for user "keeper"' in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert 'password authentication failed for user "keeper"' in store.check_writable()


def test_no_password_no_server_and_no_database_are_named(server: PrivatePostgres, database: str) -> None:
    closed = free_port()
    for address, password, cause in (
        (location(server, database), None, "no password supplied"),
        (location(server, "missing"), PASSWORD, 'database "missing" does not exist'),
        (f"postgresql://keeper@127.0.0.1:{closed}/x", PASSWORD, "Connection refused"),
    ):
        store = open_store(address, password)
        with pytest.raises(RecordsError) as caught:
            store.verify()
        assert cause in str(caught.value)
        assert address in str(caught.value)
        assert cause in store.check_writable()


def test_a_read_only_server_and_a_poor_encoding_are_told_before_anything_is_due(
    server: PrivatePostgres, database: str
) -> None:
    store = store_at(server, database)
    server.run_sql(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    assert "the server is read-only" in store.check_writable()
    with pytest.raises(RecordsError, match="read-only transaction"):
        store.append(fields())
    server.run_sql("CREATE DATABASE poor OWNER keeper ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert "the database has the encoding LATIN1" in store_at(server, "poor").check_writable()
    with pytest.raises(RecordsError, match="has no equivalent in encoding"):
        store_at(server, "poor").append(fields())


def test_a_writer_that_never_ends_is_an_error_not_a_hang(
    server: PrivatePostgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(server, database)
    store.append(fields())
    monkeypatch.setattr(sys.modules[type(store).__module__], "_LOCK_TIMEOUT", "200ms")
    blocker = server.connect(database)
    try:
        with blocker.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('steward_records'), hashtext('db1'))")
        with pytest.raises(RecordsError, match="lock timeout"):
            store.append(fields(1))
        store.append(fields(1, host="db2"))
    finally:
        blocker.close()
    assert store.verify() == ChainReport(2, True, "", 0)


def test_a_server_killed_after_the_answer_still_has_the_record(server: PrivatePostgres, database: str) -> None:
    store = store_at(server, database)
    store.append(fields(0))
    server.stop("immediate")
    assert "Connection refused" in store.check_writable()
    server.start()
    assert store.verify() == ChainReport(1, True, "", 0)


def test_missing_psycopg2_names_the_package() -> None:
    script = "sys.modules['psycopg2'] = None; print(open_store('postgresql://a@b/c', 'hunter2').check_writable())"
    (told,) = run_script(script)
    assert f"for {sys.executable}: install the package python3-psycopg2 or, with pip, psycopg2-binary" in told
    assert "hunter2" not in told
