# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slips of the pen: one error that names the key, the value and what would be right; and nothing is touched."""

from __future__ import annotations

import typing as t

import pytest
from support.postgres import SHOP, PrivatePostgres
from support.postgres_faults import REINDEX, REVIEW, VACUUM, issued, maintain, neglect

pytest_plugins = ("support.postgres_fixtures",)

_WORDS = ("VACUUM", "ANALYZE", "REINDEX", "DROP INDEX", "ALTER")


def _touched(server: PrivatePostgres) -> list[list[str]]:
    return [issued(server, word) for word in _WORDS]


def _refused(server: PrivatePostgres, module: str, **wrong: t.Any) -> str:
    """What the module says to that; it must not have touched anything."""
    before = _touched(server)
    answer = maintain(module, server, **wrong)
    assert answer["failed"] is True
    assert answer.get("changed", False) is False
    assert not answer.get("done")
    assert _touched(server) == before
    return str(answer.get("reason") or answer["msg"])


@pytest.mark.parametrize("module", [VACUUM, REINDEX, REVIEW])
def test_a_database_that_does_not_exist(shop: PrivatePostgres, module: str) -> None:
    neglect(shop)

    told = _refused(shop, module, databases=["shpo"])

    assert "'shpo'" in told
    assert SHOP in told


@pytest.mark.parametrize("module", [VACUUM, REINDEX, REVIEW])
def test_an_option_that_does_not_exist(shop: PrivatePostgres, module: str) -> None:
    assert "databse" in _refused(shop, module, databse=SHOP)


@pytest.mark.parametrize(("tables", "named"), [(["public.bussy"], "public.bussy"), (["busy"], "busy")])
def test_a_table_that_does_not_exist(shop: PrivatePostgres, tables: list[str], named: str) -> None:
    neglect(shop)

    told = _refused(shop, VACUUM, skip_tables=tables)

    assert "skip_tables" in told
    assert named in told
    assert "public.busy" in told, "what would be right"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", "an hour"),
        ("budget", "-5s"),
        ("lock_timeout", "5"),
        ("lock_wait", "7x"),
        ("yield_after", "soon"),
        ("yield_after", "0s"),
        ("deadline", "tomorrow"),
        ("deadline", "2026-11-23T04:00:00"),
        ("dangerously_terminate_after", "yes"),
        ("jobs", 0),
        ("attempts", 0),
        ("replica_lag_bytes", -1),
    ],
)
def test_a_value_that_cannot_be(postgres: PrivatePostgres, name: str, value: t.Any) -> None:
    told = _refused(postgres, VACUUM, databases=[], **{name: value})

    assert str(value) in told
    assert name in told


def test_a_value_that_cannot_be_for_a_rebuild(postgres: PrivatePostgres) -> None:
    """It has the same options, read by the same code."""
    assert "'2026-11-23T04:00:00'" in _refused(postgres, REINDEX, databases=[], deadline="2026-11-23T04:00:00")


@pytest.mark.parametrize(
    ("name", "value"),
    [("cost_delay", 101.0), ("cost_limit", 0), ("parallel_workers", 5000), ("index_cleanup", "maybe")],
)
def test_a_value_out_of_the_servers_range(shop: PrivatePostgres, name: str, value: t.Any) -> None:
    neglect(shop)

    told = _refused(shop, VACUUM, **{name: value})

    assert name in told
    assert str(value) in told


@pytest.mark.parametrize(
    ("name", "value", "since"),
    [
        ("buffer_usage_limit", "1MB", 16),
        ("process_main", False, 16),
        ("process_toast", False, 14),
        ("index_cleanup", "auto", 14),
    ],
)
def test_an_option_that_the_servers_version_lacks(shop: PrivatePostgres, name: str, value: t.Any, since: int) -> None:
    neglect(shop)
    if shop.major >= since:
        assert maintain(VACUUM, shop, **{name: value})["verdict"] == "ok"
        return

    told = _refused(shop, VACUUM, **{name: value})

    assert name in told
    assert f"PostgreSQL {since}" in told
    assert f"{shop.major}." in told
