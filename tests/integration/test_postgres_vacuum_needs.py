# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Needs that a table's own rows do not show, and a VACUUM that left no trace."""

from __future__ import annotations

import typing as t

from support.postgres import SHOP, PrivatePostgres, settle, wait_for
from support.postgres_faults import VACUUM, maintain, neglect, subjects

from ansible_collections.steward.maintenance.plugins.module_utils._core.durations import format_duration

pytest_plugins = ("support.postgres_fixtures",)

#: Letters of so many bytes are cut into 97 pieces each.
_LETTERS, _PIECES = 20, 97


def _toast(server: PrivatePostgres) -> str:
    sql = "SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'letters'::regclass"
    return str(server.run_sql(sql, SHOP)[0][0])


def _letters(server: PrivatePostgres) -> None:
    """A table of few rows, each of which was written anew: only the pieces of its letters are many."""
    server.run_sql(
        "CREATE TABLE letters (id int, body text); ALTER TABLE letters ALTER body SET STORAGE EXTERNAL", SHOP
    )
    server.run_sql(
        f"INSERT INTO letters SELECT g, repeat(md5(g::text), 6000) FROM generate_series(1, {_LETTERS}) AS g", SHOP
    )
    settle(server, _toast(server), _LETTERS * _PIECES)
    server.run_sql("VACUUM ANALYZE", SHOP)
    server.run_sql("UPDATE letters SET body = body || 'x'", SHOP)
    settle(server, _toast(server), 3 * _LETTERS * _PIECES)


def _of_toast(server: PrivatePostgres) -> t.Any:
    sql = "SELECT n_dead_tup, vacuum_count FROM pg_stat_all_tables WHERE relid = %s::regclass"
    return server.run_sql(sql, SHOP, (_toast(server),))[0]


def test_dead_rows_of_the_toast_table_alone_are_a_need_and_are_gone_afterwards(shop: PrivatePostgres) -> None:
    _letters(shop)
    dead = _LETTERS * _PIECES
    assert _of_toast(shop) == (dead, 1)

    told = maintain(VACUUM, shop, check=True)
    answer = maintain(VACUUM, shop)

    (plan,) = told["planned"]
    assert (plan["subject"], plan["action"]) == ("public.letters", "VACUUM")
    assert plan["reason"] == f"{dead} dead rows in its TOAST table, over {50 + dead // 5}"
    assert plan["estimate"]["seconds"] == round(plan["estimate"]["bytes"] / 50e6, 1) > 0
    assert f", about {format_duration(plan['estimate']['seconds'])}\n" in told["diff"]["after"]
    assert (answer["verdict"], subjects(answer["done"])) == ("ok", {"public.letters"})
    assert answer["done"][0]["before"].startswith(f"{dead + _LETTERS} dead rows")
    assert answer["done"][0]["after"].startswith("0 dead rows")
    assert _of_toast(shop) == (0, 2)
    assert maintain(VACUUM, shop)["changed"] is False


def test_the_age_of_the_toast_table_alone_is_a_need_and_is_gone_afterwards(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE letters (body text) WITH (toast.autovacuum_freeze_max_age = 100000)", SHOP)
    shop.run_sql("DO $$ BEGIN FOR i IN 1..1100 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$", SHOP)

    answer = maintain(VACUUM, shop, freeze_percent=1)

    assert (answer["verdict"], subjects(answer["done"])) == ("ok", {"public.letters"})
    reason = answer["done"][0]["reason"]
    assert reason.startswith("oldest unfrozen row in its TOAST table is 11"), reason
    assert reason.endswith("transactions old, over 1000 (1 % of autovacuum_freeze_max_age)"), reason
    age = "SELECT age(relfrozenxid) FROM pg_class WHERE oid = %s::regclass"
    assert shop.run_sql(age, SHOP, (_toast(shop),))[0][0] < 1000
    assert maintain(VACUUM, shop, freeze_percent=1)["changed"] is False


def test_no_more_dead_rows_are_left_than_the_cap_of_the_table_or_the_server(shop: PrivatePostgres) -> None:
    """autovacuum_vacuum_max_threshold: by the scale factor alone, 4,050 dead rows would be left in each of these."""
    cap = "autovacuum_vacuum_max_threshold"
    if shop.major < 18:
        assert shop.run_sql("SELECT FROM pg_settings WHERE name = %s", parameters=(cap,)) == []
        return
    for name, option in (("capped", f"WITH ({cap} = 100)"), ("without", f"WITH ({cap} = -1)"), ("usual", "")):
        shop.run_sql(f"CREATE TABLE {name} (id int) {option}", SHOP)
        shop.run_sql(f"INSERT INTO {name} SELECT generate_series(1, 20000)", SHOP)
        shop.run_sql(f"VACUUM ANALYZE {name}", SHOP)
        shop.run_sql(f"DELETE FROM {name} WHERE id <= 200", SHOP)
        settle(shop, name, 20200)
    by_table = maintain(VACUUM, shop)
    shop.run_sql(f"ALTER SYSTEM SET {cap} = 150")
    try:
        shop.run_sql("SELECT pg_reload_conf()")
        wait_for(lambda: shop.run_sql(f"SHOW {cap}") == [("150",)], "the setting")
        by_server = maintain(VACUUM, shop)
    finally:
        shop.run_sql(f"ALTER SYSTEM RESET {cap}")
        shop.run_sql("SELECT pg_reload_conf()")

    done = [(entry["subject"], entry["reason"]) for answer in (by_table, by_server) for entry in answer["done"]]
    assert done == [("public.capped", "200 dead rows, over 100"), ("public.usual", "200 dead rows, over 150")]


def test_success_without_a_trace_in_the_catalog_is_not_done(shop: PrivatePostgres) -> None:
    """The server keeps no record of a VACUUM in a session whose track_counts is off."""
    neglect(shop)
    shop.run_sql(f"ALTER DATABASE {SHOP} SET track_counts = off")

    answer = maintain(VACUUM, shop)

    assert (answer["verdict"], answer["changed"], answer["done"]) == ("skipped", False, [])
    (entry,) = answer["not_done"]
    assert (entry["subject"], entry["kind"]) == ("public.busy", "blocked")
    assert entry["reason"] == "the server reported success, but the catalog shows no effect"
