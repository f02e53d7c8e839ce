# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_review_info on a real server: silent on a healthy one, and honest about what it could not see."""

from __future__ import annotations

import threading
import typing as t

import pytest
from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres
from support.reviews import add_shop, healthy_server, review, settled, told

pytestmark = pytest.mark.contrib

_CHECKS = 25

#: Not made in a healthy database: they want other programs, or to be loaded first.
_LEFT_OUT = ("plperl", "plpython", "pltcl", "sepgsql", "bool_plperl", "hstore_pl", "jsonb_pl", "ltree_pl")

#: All that a well kept database may have, none of it a reason to say anything.
_HEALTHY = """
CREATE SCHEMA "Odd ""Schema";
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE states (id int PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO states SELECT g, 'state ' || g FROM generate_series(1, 10) AS g;
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, born date, mood mood, bio text);
INSERT INTO people (name, born, bio) SELECT 'person ' || g, '2000-01-01'::date + g % 9000, repeat(md5(g::text), 5)
  FROM generate_series(1, 20000) AS g;
CREATE INDEX people_name ON people (lower(name));
CREATE INDEX people_name_born ON people (name, born);
CREATE INDEX people_born ON people (born);
CREATE INDEX people_recent ON people (name) WHERE born > '2010-01-01';
CREATE INDEX people_born_brin ON people USING brin (born);
CREATE INDEX people_bio ON people USING gin (to_tsvector('simple', bio));
CREATE TABLE "Odd ""Schema"."Größe ""x" (
  id serial PRIMARY KEY, person bigint REFERENCES people, state int REFERENCES states);
INSERT INTO "Odd ""Schema"."Größe ""x" (person, state) SELECT 1 + g % 20000, 1 + g % 10
  FROM generate_series(1, 60000) AS g;
CREATE INDEX ON "Odd ""Schema"."Größe ""x" (person);
CREATE TABLE orders (id bigserial, at date, person bigint REFERENCES people, PRIMARY KEY (id, at))
  PARTITION BY RANGE (at);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY RANGE (at);
CREATE TABLE orders_2a PARTITION OF orders_2 FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE orders_rest (at date NOT NULL, person bigint, unused int, id bigint NOT NULL);
ALTER TABLE orders_rest DROP COLUMN unused;
ALTER TABLE orders ATTACH PARTITION orders_rest DEFAULT;
CREATE INDEX orders_person ON orders (person);
INSERT INTO orders (at, person) SELECT '2025-01-01'::date + g % 800, 1 + g % 20000 FROM generate_series(1, 60000) AS g
  WHERE '2025-01-01'::date + g % 800 NOT BETWEEN '2026-07-01' AND '2026-12-31';
CREATE TABLE lines (order_id bigint, at date, line int, note text, FOREIGN KEY (order_id, at) REFERENCES orders);
CREATE UNIQUE INDEX lines_key ON lines (at, order_id, line) INCLUDE (note);
CREATE TABLE rooms (house int, room int, PRIMARY KEY (house, room)); INSERT INTO rooms VALUES (1, 1);
INSERT INTO rooms SELECT g, 2 FROM generate_series(2, 30000) AS g; DELETE FROM rooms WHERE house = 30000;
CREATE TABLE beds (house int, room int, bed int, PRIMARY KEY (house, bed), FOREIGN KEY (house, room) REFERENCES rooms);
INSERT INTO beds SELECT g, 2, g % 3 FROM generate_series(2, 29999) AS g;
CREATE UNLOGGED TABLE cache (id int PRIMARY KEY, word text) WITH (fillfactor = 50);
INSERT INTO cache SELECT g, md5(g::text) FROM generate_series(1, 20000) AS g;
CREATE MATERIALIZED VIEW by_year AS SELECT extract(year FROM born) AS year, count(*) FROM people GROUP BY 1;
CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children (extra int) INHERITS (parents);
CREATE SEQUENCE round MAXVALUE 10 CYCLE; SELECT setval('round', 10);
CREATE STATISTICS people_together ON name, born FROM people;
ALTER TABLE people REPLICA IDENTITY USING INDEX people_pkey
"""


@pytest.fixture(scope="module")
def server() -> t.Iterator[PrivatePostgres]:
    server = healthy_server()
    for name in ("weak", "watcher"):
        server.run_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'geheim42'")
    server.run_sql("GRANT pg_monitor TO watcher")
    yield server
    server.close()


@pytest.fixture
def shop(server: PrivatePostgres) -> t.Iterator[PrivatePostgres]:
    add_shop(server)
    yield server
    server.run_sql(f"DROP DATABASE {SHOP} WITH (FORCE)")


def _as(user: str) -> dict[str, str]:
    return {"login_user": user, "login_password": "geheim42"}


def _fill(server: PrivatePostgres) -> None:
    for statement in _HEALTHY.split(";\n"):
        server.run_sql(statement, SHOP)
    server.run_sql("VACUUM ANALYZE", SHOP)
    settled(server)


def test_a_healthy_database_with_all_of_contrib_gives_no_finding(shop: PrivatePostgres) -> None:
    made = []
    for (name,) in shop.run_sql("SELECT name FROM pg_available_extensions WHERE installed_version IS NULL ORDER BY 1"):
        if not name.startswith(_LEFT_OUT):
            shop.run_sql(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE', SHOP)
            made.append(name)
    assert {"amcheck", "citext", "hstore", "pg_trgm"} <= set(made)
    _fill(shop)

    answer = review(shop, databases=[])

    assert answer["findings"] == []
    assert answer["verdict"] == "ok"
    assert answer["coverage"] == {"looked": 39, "of": 39}  # the database postgres as well
    facts = answer["facts"]["databases"][SHOP]
    assert facts["size_bytes"] > 0
    assert facts["largest_tables"][0]["table"] == "public.people"
    figures = answer["figures"]
    assert {f"database_bytes[{SHOP}]", "database_bytes[template0]", f"table_bytes[{SHOP}.public.people]"} <= set(
        figures
    )
    assert len([name for name in figures if name.startswith(("table_bytes", "index_bytes"))]) == 20


def test_one_connection_is_opened_to_each_database_and_one_more_while_it_measures(shop: PrivatePostgres) -> None:
    shop.configure(log_connections="on")
    shop.run_sql("SELECT pg_reload_conf()")

    small, opened = _connections(shop)
    shop.run_sql("CREATE TABLE large (id int PRIMARY KEY); INSERT INTO large SELECT generate_series(1, 60000)", SHOP)
    shop.run_sql("VACUUM ANALYZE large", SHOP)
    settled(shop)
    large, opened_for_large = _connections(shop)

    assert (small["verdict"], opened) == ("ok", 2)
    assert (large["verdict"], opened_for_large) == ("ok", 3), "large_pkey is over minimum_bytes, and so was measured"


def _connections(server: PrivatePostgres) -> tuple[dict[str, t.Any], int]:
    """A review, and how many connections the server saw."""
    told_of = "application_name=steward.maintenance:review"
    already = server.log().count(told_of)
    answer = review(server, databases=["postgres", SHOP])
    return answer, server.log().count(told_of) - already


def test_a_monitoring_role_sees_all_but_the_numbers_of_sequences(shop: PrivatePostgres) -> None:
    _fill(shop)

    answer = review(shop, **_as("watcher"))

    assert [finding["action"] for finding in answer["findings"]] == [
        'GRANT SELECT ON ALL SEQUENCES IN SCHEMA "Odd ""Schema", "public" TO "watcher"'
    ]
    assert answer["coverage"] == {"looked": _CHECKS - 1, "of": _CHECKS}

    shop.run_sql('GRANT SELECT ON ALL SEQUENCES IN SCHEMA "Odd ""Schema", public TO watcher', SHOP)
    again = review(shop, **_as("watcher"))
    assert (again["verdict"], again["findings"]) == ("ok", [])


def test_a_role_without_a_grant_is_told_the_grant_for_what_it_does_not_see(shop: PrivatePostgres) -> None:
    _fill(shop)
    shop.run_sql(f"REVOKE CONNECT ON DATABASE {SHOP} FROM PUBLIC; GRANT CONNECT ON DATABASE {SHOP} TO weak")
    for _number in range(3):
        shop.run_sql("SELECT pg_sleep(0.01)", SHOP)
    holder = shop.connect(SHOP)
    try:
        holder.autocommit = False
        holder.cursor().execute("SELECT txid_current()")

        answer = review(shop, transaction_age="1s", **_as("weak"))
    finally:
        holder.close()

    assert answer["verdict"] == "findings"
    assert not answer["failed"]
    assert {finding["id"] for finding in answer["findings"]} == {"postgres.review.cannot_look"}
    grants = {finding["message"].partition(": ")[2]: finding["action"] for finding in answer["findings"]}
    monitor = 'GRANT pg_monitor TO "weak"'
    assert grants["role weak does not see the transactions of others"] == monitor
    assert grants["role weak does not see who is connected"] == monitor
    assert grants["slow queries: role weak does not see the texts of others"] == monitor
    missing = len(answer["findings"])
    assert answer["coverage"] == {"looked": _CHECKS - missing, "of": _CHECKS}

    shop.run_sql(
        "GRANT pg_monitor TO weak; GRANT pg_read_all_data TO weak" if shop.major >= 14 else "GRANT pg_monitor TO weak"
    )
    after = review(shop, transaction_age="1h", **_as("weak"))
    assert [finding["action"] for finding in after["findings"]] == (
        [] if shop.major >= 14 else ['GRANT SELECT ON ALL SEQUENCES IN SCHEMA "Odd ""Schema", "public" TO "weak"']
    )
    shop.run_sql("REVOKE pg_monitor FROM weak")


def test_a_database_that_the_role_may_not_connect_to_is_told_with_the_grant(shop: PrivatePostgres) -> None:
    shop.run_sql(f"REVOKE CONNECT ON DATABASE {SHOP} FROM PUBLIC")

    answer = review(shop, databases=["postgres", SHOP], **_as("watcher"))

    assert [finding["action"] for finding in answer["findings"] if SHOP in finding["subject"]] == [
        f'GRANT CONNECT ON DATABASE "{SHOP}" TO "watcher"'
    ]
    assert answer["verdict"] == "findings"
    assert answer["coverage"]["of"] - answer["coverage"]["looked"] >= 14


def test_a_check_that_takes_too_long_is_unknown_and_named_and_the_others_stand(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE TABLE twice (id int); CREATE INDEX one ON twice (id); CREATE INDEX two ON twice (id)", SHOP)
    blocker = shop.connect(SHOP)
    try:
        blocker.autocommit = False
        blocker.cursor().execute("LOCK TABLE pg_catalog.pg_sequence IN ACCESS EXCLUSIVE MODE")

        answer = review(shop, check_timeout="1s")
    finally:
        blocker.close()

    assert answer["failed"]
    assert answer["verdict"] == "unknown"
    assert answer["reason"] == f"{SHOP}: sequences near their end: canceling statement due to statement timeout"
    assert answer["coverage"] == {"looked": _CHECKS - 1, "of": _CHECKS}
    assert told(answer) == [("duplicate_index", f"{SHOP}: public.two")]


def test_a_table_that_somebody_locks_hides_no_other(shop: PrivatePostgres) -> None:
    for name in ("held", "sick"):
        shop.run_sql(f"CREATE TABLE {name} (id int, word text) WITH (fillfactor = 20)", SHOP)
        shop.run_sql(f"INSERT INTO {name} SELECT g, md5(g::text) FROM generate_series(1, 20000) AS g", SHOP)
        shop.run_sql(f"ALTER TABLE {name} RESET (fillfactor)", SHOP)
        shop.run_sql(f"VACUUM ANALYZE {name}", SHOP)
    settled(shop)
    blocker = shop.connect(SHOP)
    try:
        blocker.autocommit = False
        blocker.cursor().execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")

        answer = review(shop)
    finally:
        blocker.close()

    assert answer["verdict"] == "unknown"
    assert "table bloat: 1 could not be measured, first of all public.held: " in answer["reason"]
    assert told(answer) == [("table_bloat", f"{SHOP}: public.sick")]


def test_a_database_that_cannot_be_reached_is_unknown_and_the_others_stand(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    try:
        missing = review(shop, databases=["shopp"])
        answer = review(shop, databases=["closed", SHOP])
    finally:
        shop.run_sql("DROP DATABASE closed")

    assert "database 'shopp' does not exist; there are: " in missing["reason"]
    assert answer["verdict"] == "unknown"
    assert "closed" in answer["reason"]
    assert answer["coverage"]["of"] - answer["coverage"]["looked"] == 14
    assert SHOP in answer["facts"]["databases"]


def test_a_missing_extension_is_a_finding_and_counted_as_not_looked_at(shop: PrivatePostgres) -> None:
    shop.run_sql("DROP EXTENSION pg_stat_statements; DROP EXTENSION pgstattuple", SHOP)
    shop.run_sql("CREATE TABLE sick (id int, word text) WITH (fillfactor = 20)", SHOP)
    shop.run_sql("INSERT INTO sick SELECT g, md5(g::text) FROM generate_series(1, 20000) AS g", SHOP)
    shop.run_sql("ALTER TABLE sick RESET (fillfactor)", SHOP)
    shop.run_sql("VACUUM ANALYZE sick", SHOP)
    settled(shop)

    answer = review(shop)

    assert not answer["failed"]
    assert answer["verdict"] == "findings"
    assert answer["coverage"] == {"looked": _CHECKS - 2, "of": _CHECKS}
    bloat, slow = answer["findings"]
    assert "the free space of 1 tables is not measured: public.sick" in bloat["message"]
    assert bloat["action"] == "CREATE EXTENSION pgstattuple"
    assert "pg_stat_statements is in none" in slow["message"]


def test_slow_queries_are_told_without_passwords_and_not_for_dropped_databases(shop: PrivatePostgres) -> None:
    shop.run_sql("CREATE DATABASE gone")
    for seconds in (0.2, 0.2, 0.3):
        shop.run_sql("SELECT pg_sleep(0.21), 'gone'", "gone")
        shop.run_sql(f"SELECT pg_sleep({seconds})", SHOP)
    shop.run_sql("DROP DATABASE gone")
    shop.run_sql("ALTER ROLE weak PASSWORD 'geheim42'")

    answer = review(shop, slow_mean_ms=150)

    (slow,) = answer["findings"]
    assert slow["id"] == "postgres.review.slow_query"
    assert "SELECT pg_sleep($1)" in slow["message"]
    assert slow["message"].startswith("3 calls, mean 2")
    assert "geheim42" not in str(answer)
    assert "(dropped)" in {fact["database"] for fact in answer["facts"]["slow_queries"]}
    assert ("since 20" in slow["message"]) == (shop.major >= 14)
    assert answer["facts"]["statements"]["evicted"] == (0 if shop.major >= 14 else None)
    fact = _fact(answer, "SELECT pg_sleep($1)")
    mean, deviation, longest = shop.run_sql(_TIMES, SHOP, ("SELECT pg_sleep($1)",))[0]
    # By hand, the 95th percentile of a normal distribution: it lies between the usual ones and the longest one.
    assert fact["p95_ms"] == pytest.approx(min(mean + 1.645 * deviation, longest), abs=0.02)
    assert mean + 50 < fact["p95_ms"] <= longest + 0.01
    assert f", about 95 % under {fact['p95_ms']} ms, " in slow["message"]


_TIMES = """SELECT mean_exec_time, stddev_exec_time, max_exec_time FROM pg_stat_statements
  WHERE query = %s AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def _fact(answer: dict[str, t.Any], query: str) -> dict[str, t.Any]:
    (fact,) = [fact for fact in answer["facts"]["slow_queries"] if (fact["query"], fact["database"]) == (query, SHOP)]
    return dict(fact)


def test_a_quick_query_that_takes_most_of_the_time_is_told_with_its_share(shop: PrivatePostgres) -> None:
    """It begins to matter at a minute of work in all: thirty sessions do that in two seconds."""
    sessions = [threading.Thread(target=shop.run_sql, args=("SELECT pg_sleep(2.1)", SHOP)) for _number in range(30)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()

    answer = review(shop, slow_mean_ms=10000)
    of_all = review(shop, slow_mean_ms=10000, slow_share_percent=100)

    (heavy,) = answer["findings"]
    assert heavy["id"] == "postgres.review.slow_query"
    assert heavy["subject"].endswith(f" in {SHOP}")
    assert heavy["message"].startswith("30 calls, mean 21")
    fact = _fact(answer, "SELECT pg_sleep($1)")
    assert f"{fact['share_percent']} % of all time" in heavy["message"]
    assert (round(heavy["value"], 1), heavy["threshold"]) == (fact["share_percent"], 25)
    assert 50 < heavy["value"] < 100
    assert of_all["findings"] == []


def test_statements_that_were_forgotten_are_told() -> None:
    settings = {"pg_stat_statements.max": "100"}
    server = healthy_server(**settings)
    try:
        add_shop(server)
        conn = server.connect(SHOP)
        for number in range(1, 700):
            conn.cursor().execute("SELECT " + ", ".join("1" for _column in range(number)))
        conn.close()
        answer = review(server)
        known = server.major >= 14
    finally:
        server.close()

    assert told(answer) == ([("statements_evicted", "pg_stat_statements")] if known else [])


def test_what_cannot_be_right_is_refused_by_name(server: PrivatePostgres) -> None:
    for arguments, text in (
        ({"previous": {"time": "yesterday", "figures": {}}}, "previous: time is 'yesterday', must be a moment"),
        ({"previous": {"time": "2026-01-01T00:00:00", "figures": {}}}, "without a zone"),
        ({"previous": {"figures": {}, "tme": ""}}, "previous: unknown key 'tme'"),
        ({"previous": {"time": "2026-01-01T00:00:00Z", "figures": {"x": "1"}}}, "figure 'x' is '1', must be a number"),
        ({"standbys": [{"port": 5433}]}, "standbys: entry 1 says neither host nor unix_socket nor service"),
        ({"blocked_after": "soon"}, "duration 'soon'"),
    ):
        answer = run_module("postgres_review_info", {**server.login_arguments, **arguments})
        assert answer["failed"]
        assert text in answer["msg"], answer["msg"]
