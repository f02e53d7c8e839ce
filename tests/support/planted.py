# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defects of a database, one of each kind, and what the review has to say of each."""

from __future__ import annotations

from support.postgres import SHOP
from support.reviews import Defect

MANY = "SELECT g, 'word ' || (g * 7919 % 100000) FROM generate_series(1, 60000) AS g"

DEFECTS = {
    "dead rows": Defect(
        "dead_rows",
        f"{SHOP}: public.sick",
        'VACUUM "public"."sick"',
        f"CREATE TABLE sick (id int, word text); INSERT INTO sick {MANY}; ANALYZE sick;"
        "DELETE FROM sick WHERE id % 2 = 0",
        says="30000 dead rows, 50 %",
    ),
    "autovacuum off for a table": Defect(
        "autovacuum_off",
        f"{SHOP}: public.sick",
        'ALTER TABLE "public"."sick" RESET (autovacuum_enabled)',
        "CREATE TABLE sick (id int) WITH (autovacuum_enabled = off)",
    ),
    "autovacuum off for a TOAST table": Defect(
        "autovacuum_off",
        f"{SHOP}: public.sick",
        'ALTER TABLE "public"."sick" RESET (toast.autovacuum_enabled)',
        "CREATE TABLE sick (word text) WITH (toast.autovacuum_enabled = false)",
    ),
    "statistics never gathered": Defect(
        "never_analyzed",
        f"{SHOP}: Odd Schema.sick",
        'ANALYZE "Odd Schema"."sick"',
        'CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema".sick AS SELECT generate_series(1, 2000) AS id',
    ),
    "statistics of a partitioned table never gathered": Defect(
        "never_analyzed",
        f"{SHOP}: public.sick",
        'ANALYZE "public"."sick"',
        "CREATE TABLE sick (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE sick_all PARTITION OF sick FOR VALUES FROM (0) TO (10000);"
        "INSERT INTO sick SELECT generate_series(1, 2000); ANALYZE sick_all",
        says="autovacuum never does it",
    ),
    "table bloat": Defect(
        "table_bloat",
        f"{SHOP}: public.sick",
        'VACUUM (FULL) "public"."sick"',
        f"CREATE TABLE sick (id int, word text) WITH (fillfactor = 20); INSERT INTO sick {MANY};"
        "ALTER TABLE sick RESET (fillfactor)",
        after=("VACUUM ANALYZE sick",),
        says="pgstattuple_approx",
    ),
    "index bloat": Defect(
        "bloat",
        f"{SHOP}: public.sick_id",
        'REINDEX INDEX CONCURRENTLY "public"."sick_id"',
        f"CREATE TABLE sick (id int, word text); INSERT INTO sick {MANY};"
        "CREATE INDEX sick_id ON sick (id) WITH (fillfactor = 20); ALTER INDEX sick_id SET (fillfactor = 90);"
        "ANALYZE sick",
        says="pgstatindex",
    ),
    "duplicate index": Defect(
        "duplicate_index",
        f"{SHOP}: public.sick_again",
        'DROP INDEX CONCURRENTLY "public"."sick_again"',
        "CREATE TABLE sick (id int, word text); CREATE INDEX sick_word ON sick (word) WITH (fillfactor = 70);"
        "CREATE INDEX sick_again ON sick (word)",
        says="the same as public.sick_word",
    ),
    "duplicate of a primary key": Defect(
        "duplicate_index",
        f"{SHOP}: public.sick_id",
        'DROP INDEX CONCURRENTLY "public"."sick_id"',
        "CREATE TABLE sick (id int); CREATE UNIQUE INDEX sick_id ON sick (id); ALTER TABLE sick ADD PRIMARY KEY (id)",
        says="the same as public.sick_pkey",
    ),
    "covered index": Defect(
        "covered_index",
        f"{SHOP}: public.sick_word",
        'DROP INDEX CONCURRENTLY "public"."sick_word"',
        "CREATE TABLE sick (id int, word text); CREATE INDEX sick_word ON sick (lower(word));"
        "CREATE INDEX sick_both ON sick (lower(word), id)",
        says="public.sick_both begins with the same columns",
    ),
    "covered index of a partitioned table": Defect(
        "covered_index",
        f"{SHOP}: public.sick_word",
        'DROP INDEX "public"."sick_word"',
        "CREATE TABLE sick (id int, word text) PARTITION BY RANGE (id);"
        "CREATE TABLE sick_all PARTITION OF sick FOR VALUES FROM (0) TO (10000);"
        "CREATE INDEX sick_word ON sick (word); CREATE INDEX sick_both ON sick (word, id)",
    ),
    "foreign key without index": Defect(
        "missing_index",
        f"{SHOP}: public.sick.sick_parent_fkey",
        'CREATE INDEX CONCURRENTLY ON "public"."sick" ("parent")',
        "CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents SELECT generate_series(0, 99);"
        "CREATE TABLE sick (id int, parent int REFERENCES parents, word text);"
        "INSERT INTO sick SELECT g, g % 50, 'word' FROM generate_series(1, 60000) AS g;"
        "DELETE FROM parents WHERE id = 99; ANALYZE sick",
        says="1 rows were deleted there",
    ),
    "foreign key of a partitioned table without index": Defect(
        "missing_index",
        f"{SHOP}: public.sick.sick_parent_fkey",
        'CREATE INDEX ON "public"."sick" ("parent")',
        "CREATE TABLE parents (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE parents_all PARTITION OF parents FOR VALUES FROM (0) TO (100);"
        "INSERT INTO parents SELECT generate_series(0, 99);"
        "CREATE TABLE sick (id int, parent int REFERENCES parents, word text) PARTITION BY RANGE (id);"
        "CREATE TABLE sick_a PARTITION OF sick FOR VALUES FROM (0) TO (30000);"
        "CREATE TABLE sick_b PARTITION OF sick FOR VALUES FROM (30000) TO (70000);"
        "INSERT INTO sick SELECT g, g % 50, 'word' FROM generate_series(1, 60000) AS g;"
        "UPDATE parents SET id = id WHERE id = 7; ANALYZE sick; ANALYZE parents",
    ),
    "integer column on a bigint sequence": Defect(
        "sequence",
        f"{SHOP}: public.sick.id",
        'ALTER TABLE "public"."sick" ALTER COLUMN "id" TYPE bigint',
        "CREATE SEQUENCE big; CREATE TABLE sick (id int DEFAULT nextval('big')); SELECT setval('big', 2000000000)",
        says="type int4 ends at 2147483647, 147483647 are left",
    ),
    "sequence shared by two columns": Defect(
        "sequence",
        f"{SHOP}: public.sick.id",
        'ALTER COLUMN "id" TYPE integer',
        "CREATE SEQUENCE big; CREATE TABLE well (id bigint DEFAULT nextval('big'));"
        "CREATE TABLE sick (id smallint DEFAULT nextval('big')); SELECT setval('big', 30000)",
        says="type int2 ends at 32767",
    ),
    "serial near the end of its type": Defect(
        "sequence",
        f"{SHOP}: public.sick.id",
        'ALTER SEQUENCE "public"."sick_id_seq" AS bigint NO MAXVALUE, after the type of column public.sick.id',
        "CREATE TABLE sick (id serial); SELECT setval('sick_id_seq', 2147483000)",
    ),
    "identity near the end of its type": Defect(
        "sequence",
        f"{SHOP}: public.sick.id",
        "changed to bigint",
        "CREATE TABLE sick (id smallint GENERATED ALWAYS AS IDENTITY); SELECT setval('sick_id_seq', 32000)",
    ),
    "sequence with a maximum of its own": Defect(
        "sequence",
        f"{SHOP}: public.sick",
        'ALTER SEQUENCE "public"."sick" NO MAXVALUE',
        "CREATE SEQUENCE sick MAXVALUE 1000; SELECT setval('sick', 900); SELECT nextval('sick');"
        "CREATE SEQUENCE round MAXVALUE 1000 CYCLE; SELECT setval('round', 900)",
        says="the sequence ends at 1000, 99 are left",
    ),
    "sequence that counts down": Defect(
        "sequence",
        f"{SHOP}: public.sick",
        'ALTER SEQUENCE "public"."sick" NO MINVALUE',
        "CREATE SEQUENCE sick INCREMENT -1 MINVALUE -1000; SELECT setval('sick', -990)",
        says="10 are left",
    ),
    "collation drift": Defect(
        "collation",
        f"{SHOP}: collation public.german",
        'first REINDEX INDEX CONCURRENTLY "public"."sick_word", then ALTER COLLATION "public"."german" REFRESH VERSION',
        "CREATE COLLATION german (provider = icu, locale = 'de'); CREATE TABLE sick (word text);"
        'CREATE INDEX sick_word ON sick (word COLLATE german); CREATE COLLATION unused (provider = icu, locale = "fr");'
        "UPDATE pg_collation SET collversion = '1.2.3' WHERE collname IN ('german', 'unused')",
        says="from version 1.2.3",
    ),
    "slow query": Defect(
        "slow_query",
        SHOP,  # checked by its end: the number before it is not ours
        "EXPLAIN (ANALYZE, BUFFERS)",
        "",
        {"slow_mean_ms": 150},
        after=("SELECT pg_sleep(0.2)",) * 3,
        says="3 calls, mean 2",
    ),
    "cache that hits too rarely": Defect(
        "cache",
        SHOP,
        "shared_buffers",
        "CREATE TABLE sick AS SELECT g AS id, repeat('x', 400) AS word FROM generate_series(1, 10000) AS g;"
        "ANALYZE sick; DO 'BEGIN FOR i IN 1..220 LOOP PERFORM count(*) FROM sick; END LOOP; END'",
        {"cache_hit_percent": 100},
    ),
    "growth": Defect(
        "growth",
        f"table {SHOP}.public.sick",
        "partition or archive",
        f"CREATE TABLE sick (id int, word text); INSERT INTO sick {MANY}; ANALYZE sick",
        {
            "growth_bytes": 100000,
            "previous": {
                "time": "2026-01-01T00:00:00Z",
                "figures": {f"table_bytes[{SHOP}.public.sick]": 8192, f"table_bytes[{SHOP}.public.gone]": 1},
            },
        },
        says="it grew from 8.2 kB to",
    ),
    "fsync off": Defect(
        "setting",
        "setting fsync",
        "ALTER SYSTEM SET fsync = on",
        "ALTER SYSTEM SET fsync = off",
        says="fsync is off: a crash can destroy the databases",
    ),
    "autovacuum off": Defect(
        "setting",
        "setting autovacuum",
        "ALTER SYSTEM SET autovacuum = on, then SELECT pg_reload_conf()",
        "ALTER SYSTEM SET autovacuum = off",
        says="autovacuum is off: dead rows pile up and the wraparound comes nearer",
    ),
    "connections near their limit": Defect(
        "connections", "connections", "connection pool", "", {"connections_percent": 1}
    ),
    "slot without a consumer": Defect(
        "slot",
        "slot idle",
        "SELECT pg_drop_replication_slot('idle')",
        "SELECT pg_create_physical_replication_slot('idle', true)",
        says="nobody uses this physical slot",
    ),
}
