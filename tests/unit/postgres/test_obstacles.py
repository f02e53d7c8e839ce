# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused by the server's version, of which no package is to be had any more, and what counts as an effect."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import types
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import vacuum_proof
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.catalog_indexes import Index
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.headroom import HeadRoom
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.index_need import DROP, REBUILD, Job
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.index_obstacles import Obstacles
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.session import Politeness
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.work import Outcome, Plan

INDEX = Index(
    oid=7, schema="public", name="orders_id", table_oid=1, table="public.orders", method="btree", valid=True,
    bytes=8192, rows=10.0, fillfactor=90, shape="", constraint="", owner="shop", may_maintain=True, may_drop=True,
    being_built=False, modified=0, table_rows=10.0, table_live=10, partial=False, path="",
)  # fmt: skip


class _Server:
    """A connection to a server of some version, which is asked for nothing but the name of this application."""

    def cursor(self) -> t.Any:
        answer = types.SimpleNamespace(
            execute=lambda *_given: None, description=("setting",), fetchall=lambda: [("steward.maintenance:reindex",)]
        )
        return contextlib.nullcontext(answer)


def _lasting(version: int, action: str = REBUILD) -> t.Any:
    session: t.Any = types.SimpleNamespace(conn=_Server(), version=version, politeness=Politeness())
    obstacles = Obstacles(session, "shop", HeadRoom("elsewhere", ""), Outcome("reindex"))
    return obstacles.lasting(Job(INDEX, Plan("shop", INDEX.label, action, "bloated")))


@pytest.mark.parametrize("version", [140000, 140001, 140002, 140003])
def test_concurrent_rebuilds_are_refused_where_the_server_can_corrupt_them(version: int) -> None:
    refused = _lasting(version)

    assert (refused.kind, refused.severity) == ("refused", "high")
    assert "14.0 to 14.3" in refused.reason
    assert refused.advice == "update PostgreSQL 14 to its latest minor version"
    assert _lasting(version, DROP) is None, "to drop a leftover is safe everywhere"


@pytest.mark.parametrize("version", [130023, 140004, 140020, 150000, 180000])
def test_concurrent_rebuilds_are_done_on_all_other_versions(version: int) -> None:
    assert _lasting(version) is None


EARLY = datetime.datetime(2026, 11, 26, 1, tzinfo=datetime.timezone.utc)
LATE = EARLY + datetime.timedelta(microseconds=1)


@dataclasses.dataclass(frozen=True)
class _Times:
    vacuumed: datetime.datetime | None = None
    analyzed: datetime.datetime | None = None


@pytest.mark.parametrize(
    ("before", "after", "vacuumed", "analyzed", "expected"),
    [
        (_Times(), _Times(), True, False, False),
        (_Times(), _Times(EARLY), True, False, True),
        (_Times(EARLY), _Times(EARLY), True, False, False),
        (_Times(EARLY), _Times(LATE), True, False, True),
        (_Times(EARLY, EARLY), _Times(LATE, EARLY), True, True, False),  # its second half is not told yet
        (_Times(EARLY, EARLY), _Times(EARLY, LATE), True, True, False),
        (_Times(EARLY, EARLY), _Times(LATE, LATE), True, True, True),
        (_Times(EARLY), _Times(EARLY, EARLY), False, True, True),
    ],
)
def test_it_happened_when_the_catalog_says_a_later_time_of_each_half(
    before: t.Any, after: t.Any, vacuumed: bool, analyzed: bool, expected: bool
) -> None:
    assert vacuum_proof.moved(before, after, vacuumed, analyzed) is expected


@pytest.mark.parametrize(
    ("may_maintain", "warnings", "kind"),
    [
        (False, ('WARNING:  skipping "orders" --- only table or database owner can vacuum it',), "forbidden"),
        (False, ("WARNUNG:  überspringe »orders« --- nur Eigentümer der Tabelle können sie vacuumen",), "forbidden"),
        (True, ('WARNING:  skipping vacuum of "orders" --- lock not available',), "blocked"),
        (True, (), "blocked"),
    ],
)
def test_what_the_server_skipped_is_not_done_with_its_words(
    may_maintain: bool, warnings: tuple[str, ...], kind: str
) -> None:
    after = t.cast(t.Any, types.SimpleNamespace(may_maintain=may_maintain))
    skipped = vacuum_proof.skipped(Plan("shop", "public.orders", "VACUUM", "due"), after, warnings)

    assert skipped.kind == kind
    assert skipped.reason == ("; ".join(warnings) or "the server reported success, but the catalog shows no effect")
