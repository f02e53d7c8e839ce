# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests of the review: a server that gives it nothing to say, and what it said."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from support.modules import run_module
from support.postgres import SHOP, PrivatePostgres, wait_for

#: What a good administrator sets; the checksums are switched on below.
_HEALTHY = {
    "fsync": "on",
    "synchronous_commit": "off",  # quick, and nobody's business
    "shared_preload_libraries": "pg_stat_statements",
    "max_slot_wal_keep_size": "-1",
}


@dataclasses.dataclass(frozen=True)
class Defect:
    """What is planted, and what must be told about it."""

    kind: str
    subject: str
    action: str  # a part of it
    sql: str
    arguments: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    after: tuple[str, ...] = ()  # statements that need a connection of their own
    says: str = ""  # a part of the message


def healthy_server(checksums: bool = True, own_cluster: bool = False, **settings: str) -> PrivatePostgres:
    """A running server in whose settings the review finds nothing; close() it at the end.

    :param checksums: of data pages; what a version of initdb does by itself does not matter.
    :param own_cluster: with a system identifier that no other server here has.
    """
    server = PrivatePostgres(settings={**_HEALTHY, **settings}, own_cluster=own_cluster)
    server.create()
    has_them = "checksum version:           0" not in server.program("pg_controldata", "-D", str(server.data))
    if has_them is not checksums:
        switch = "--enable" if checksums else "--disable"
        server.program("pg_checksums", switch, "--no-sync", "-D", str(server.data))
    server.start()
    return server


def add_shop(server: PrivatePostgres) -> None:
    server.run_sql(f"CREATE DATABASE {SHOP}")
    for extension in ("pgstattuple", "pg_stat_statements"):
        server.run_sql(f"CREATE EXTENSION {extension}", SHOP)


def review(server: PrivatePostgres, **arguments: t.Any) -> dict[str, t.Any]:
    return run_module("postgres_review_info", {**server.login_arguments, "databases": [SHOP], **arguments})


def told(answer: dict[str, t.Any]) -> list[tuple[str, str]]:
    """What was found, in short: the kind and the subject."""
    return sorted((finding["id"].rpartition(".")[2], finding["subject"]) for finding in answer["findings"])


def settled(server: PrivatePostgres) -> None:
    """Wait until the statistics know what the sessions before did: a session that ends may still be telling."""
    others = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    wait_for(lambda: not server.run_sql(others), "the end of all other sessions")
    if server.major < 15:
        time.sleep(0.6)  # they travel through a collector; and not in SQL, which would be a slow query
