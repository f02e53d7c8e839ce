# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demonstration tells: recaps read rightly, tables that fit, an application honest about its health."""

from __future__ import annotations

import http.server
import json
import pathlib
import subprocess
import threading

import pytest

from demo import application, environment, postgres, runs, summary
from demo.seed import Condition

OUTPUT = """
TASK [debug] ***
ok: [demo-db] => msg: "x : ok=1 changed=5 unreachable=0 failed=0 "

PLAY RECAP *********************************************************************
demo-app                   : ok=3    changed=0    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0
demo-db                    : ok=21   changed=4    unreachable=0    failed=1    skipped=2    rescued=1    ignored=0
"""


def test_the_recap_is_read_from_the_recap_only() -> None:
    assert runs.recap(OUTPUT) == {"demo-app": runs.HostRecap(0, 0, 0), "demo-db": runs.HostRecap(4, 0, 1)}
    assert runs.recap("ERROR! no playbook") == {}


def test_a_run_names_the_hosts_that_changed(tmp_path: pathlib.Path) -> None:
    assert runs.Run(0, 1.0, tmp_path, runs.recap(OUTPUT)).changed == ["demo-db (4)"]


def record(**fields: object) -> dict[str, object]:
    return {
        "activity": "database.vacuum",
        "verdict": "ok",
        "summary": "vacuumed 3 tables",
        "reason": "",
        "figures": {"duration_seconds": 1.26},
        "started": "2026-11-23T05:00:00Z",
        "ended": "2026-11-23T05:00:02Z",
        **fields,
    }


def test_the_table_fits_its_width_and_loses_no_word() -> None:
    long = record(activity="backup.verify", summary=" ".join(f"word{n}" for n in range(60)), reason="a reason")
    table = summary.activities_table([record(), long], 80)
    assert max(map(len, table.splitlines())) <= 80
    assert "1.3 s" in table
    assert all(f"word{n}" in table for n in range(60))
    assert "(a reason)" in " ".join(table.split())


def test_a_duration_that_was_not_measured_is_not_told() -> None:
    assert summary.activities_table([record(figures={})], 80).splitlines()[-1].endswith("tables")


def test_records_of_all_hosts_come_in_the_order_of_their_end(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b.jsonl").write_text(json.dumps(record(activity="first", ended="2026-11-23T05:00:01Z")) + "\n")
    (tmp_path / "a.jsonl").write_text(json.dumps(record(activity="second")) + "\n\n")
    assert [found["activity"] for found in summary.read_records(tmp_path)] == ["first", "second"]


def test_effects_show_both_sides() -> None:
    before, after = Condition(180000, 1, 16 * 2**20, 40), Condition(0, 0, 2**20, 0)
    proved = [record(figures={"restore_seconds": 1.05}), record(figures={"backup_bytes": 8 * 2**20})]
    table = summary.effects_table(before, after, proved, 80)
    assert "8.4 MB" in table
    assert "1.1 s" in table
    assert "restore" not in summary.effects_table(before, after, [record()], 80)
    assert "180,000" in table
    assert "17 MB" in table
    assert "1.0 MB" in table


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (999, "999 B"), (8192, "8.2 kB"), (10**9, "1.0 GB")])
def test_bytes_for_people(number: int, text: str) -> None:
    assert summary.human_bytes(number) == text


def test_the_environment_file_survives_a_shell() -> None:
    text = environment.exports({"A": "it's; $HOME", "PATH": "never this"})
    shown = subprocess.run(["sh", "-c", text + 'printf %s "$A"'], capture_output=True, text=True, check=True)
    assert shown.stdout == "it's; $HOME"
    assert "never this" not in text


def test_the_newest_complete_set_of_programs_is_taken(tmp_path: pathlib.Path) -> None:
    for version, programs in (("9", postgres.NEEDED), ("13", postgres.NEEDED), ("17", ("pg_dump", "psql"))):
        directory = tmp_path / version / "bin"
        directory.mkdir(parents=True)
        for program in programs:
            (directory / program).write_text(f'#!/bin/sh\necho "postgres (PostgreSQL) {version}.4 (Debian)"\n')
            (directory / program).chmod(0o755)
    found = postgres.system_binaries([f"{tmp_path}/*/bin"])
    assert found == tmp_path / "13" / "bin"
    assert postgres.program_version(found) == "13.4"
    assert postgres.system_binaries([f"{tmp_path}/absent/*/bin"]) is None


def test_the_cache_keeps_forgets_and_counts() -> None:
    cache = application.Cache(limit=2, seconds=60)
    cache.put("1", "one")
    assert cache.get("1") == "one"
    assert cache.get("2") is None
    assert (cache.hits, cache.misses) == (1, 1)
    assert cache.problem() == ""
    assert (cache.hits, cache.misses) == (1, 1), "the health check does not count itself"
    cache.put("2", "two")
    cache.put("3", "three")
    assert len(cache) == 2
    assert cache.get("1") is None


def test_a_broken_cache_is_told() -> None:
    class Forgetful(application.Cache):
        def get(self, key: str, counted: bool = True) -> None:
            assert key.startswith("health probe")
            assert not counted

    shop = application.Shop({})
    shop.cache = Forgetful()
    status, body = shop.health_cache()
    assert (status, body["status"]) == (503, "failed")
    assert "does not come back" in body["reason"]


def test_health_of_the_database_over_http_when_there_is_none() -> None:
    shop = application.Shop({"host": "127.0.0.1", "port": postgres.free_port(), "user": "x", "dbname": "x"})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), application.handler(shop)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        answers = {path: environment.probe(url + path) for path in ("/health", "/health/db", "/health/cache", "/no")}
        with runs.Watch(url) as watch:
            while watch.asked < 1:
                pass
        server.shutdown()
    assert {path: answer[0] for path, answer in answers.items()} == {
        "/health": 200,
        "/health/db": 503,
        "/health/cache": 200,
        "/no": 404,
    }
    assert "refused" in json.loads(answers["/health/db"][1])["reason"]
    assert watch.problems
    assert watch.problems[0].startswith("503")


def test_no_answer_is_no_status() -> None:
    status, reason = environment.probe(f"http://127.0.0.1:{postgres.free_port()}/health")
    assert status == 0
    assert "refused" in reason
