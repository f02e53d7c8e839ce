# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small parts of a restore: names, marks, and what is read from PostgreSQL's own texts."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_choice import parse_moment
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_dressing import (
    setting_statements,
    split_names,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_naming import (
    LONGEST_NAME,
    OLD,
    SIDE,
    Mark,
    old_name,
    read_mark,
    side_name,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_needs import (
    roles_in,
    tablespaces_in,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_rights import owners_in
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_roles import chosen
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.restore_tables import chosen_tables

RUN = "20261126T093000Z"

names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=63).filter(
    lambda name: len(name.encode()) <= LONGEST_NAME
)


@given(names, names)
def test_names_fit_and_never_collide(one: str, other: str) -> None:
    made = {name: {side_name(name, RUN), old_name(name, RUN)} for name in (one, other)}
    for name, pair in made.items():
        assert len(pair) == 2
        assert all(len(word.encode()) <= LONGEST_NAME for word in pair)
        assert name not in pair
    assert one == other or not made[one] & made[other]


def test_names_stay_recognisable() -> None:
    assert side_name("shop", RUN) == "shop_restore_20261126T093000Z"
    assert old_name("shop", RUN) == "shop_old_20261126T093000Z"
    assert side_name("x" * 38, RUN) == "x" * 38 + "_restore_20261126T093000Z"
    cut = side_name("x" * 39, RUN)
    assert cut.startswith("x" * 29 + "~")
    assert cut.endswith("_restore_20261126T093000Z")
    assert side_name("ü" * 31, RUN).startswith("ü" * 14 + "~")


marks = st.builds(
    Mark,
    kind=st.sampled_from([SIDE, OLD]),
    of=names,
    oid=st.integers(1, 2**32 - 1),
    run=st.just(RUN),
    backup=st.just(RUN),
    since=st.just("2026-11-26T09:30:00Z"),
    replaced_by=st.integers(0, 2**32 - 1),
    comment=st.none() | st.text(),
)


@given(marks)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert read_mark(mark.text(), mark.oid) == mark
    assert read_mark(mark.text(), mark.oid + 1) is None


@pytest.mark.parametrize("spoil", ["", "x", "steward.maintenance: was shop {}", "steward.maintenance: {"])
def test_what_is_no_mark(spoil: str) -> None:
    assert read_mark(spoil, 7) is None


def test_a_mark_that_somebody_changed_counts_for_nothing() -> None:
    mark = Mark(OLD, "shop", 7, RUN, since="2026-11-26T09:30:00Z")
    assert read_mark(dataclasses.replace(mark, since="yesterday").text(), 7) is None
    assert read_mark(mark.text().replace('"kind": "old"', '"kind": "new"'), 7) is None
    assert read_mark(mark.text().replace('"run"', '"ran"'), 7) is None
    assert read_mark(mark.text()[:-1], 7) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ('""', [""]),
        ('"$user", public', ["$user", "public"]),
        ('public,"odd, one","q""q"', ["public", "odd, one", 'q"q']),
    ],
)
def test_lists_of_names(value: str, expected: list[str]) -> None:
    assert split_names(value) == expected


def test_settings_are_written_as_pg_dump_does() -> None:
    settings = [
        ("", 'search_path="$user", "o, o"'),
        ("a b", "work_mem=8MB"),
        ("", "x.y=it's\\"),
        ("", "DateStyle=ISO, MDY"),
    ]
    assert list(setting_statements('d"b', settings)) == [
        'ALTER DATABASE "d""b" SET "search_path" TO \'$user\', \'o, o\'',
        'ALTER ROLE "a b" IN DATABASE "d""b" SET "work_mem" TO \'8MB\'',
        'ALTER DATABASE "d""b" SET "x.y" TO E\'it\'\'s\\\\\'',
        'ALTER DATABASE "d""b" SET "DateStyle" TO \'ISO, MDY\'',
    ]


def test_roles_and_tablespaces_that_a_dump_names() -> None:
    script = """
ALTER TABLE public.orders OWNER TO app;
GRANT SELECT ON TABLE public."to nobody" TO "Odd ""Role";
GRANT ALL ON TABLE public.orders TO PUBLIC;
REVOKE ALL ON SCHEMA public FROM former;
ALTER DEFAULT PRIVILEGES FOR ROLE chief IN SCHEMA public GRANT SELECT ON TABLES TO reader;
CREATE POLICY mine ON public.orders TO clerk, "Odd ""Role" USING (true);
CREATE USER MAPPING FOR far SERVER away OPTIONS (
    SELECT 'ALTER TABLE x OWNER TO ghost';
SET default_tablespace = fast;
SET default_tablespace = "Slow ""disk";
SET default_tablespace = '';
"""
    listed = "; comment app\n12; 2613 16500 BLOB - 16500 big owner\n"
    known = {"app", 'Odd "Role', "former", "chief", "reader", "clerk", "far", "ghost", "big owner", "unused"}
    assert roles_in(script, listed, known) == known - {"ghost", "unused"}
    assert tablespaces_in(script) == {"fast", 'Slow "disk'}


def test_only_what_concerns_the_missing_roles_is_taken_from_the_globals() -> None:
    found = [
        "SET x = on",
        "CREATE ROLE app",
        "ALTER ROLE app WITH LOGIN PASSWORD 'x'",
        "CREATE ROLE apple",
        'CREATE ROLE "Odd ""One"',
        "COMMENT ON ROLE app IS 'CREATE ROLE apple'",
        "GRANT reader TO app WITH INHERIT TRUE GRANTED BY chief",
        "GRANT gone TO app",
        "GRANT reader TO writer",
    ]
    assert chosen(found, {"app", 'Odd "One'}, {"app", 'Odd "One', "gone", "apple"}) == [
        "CREATE ROLE app",
        "ALTER ROLE app WITH LOGIN PASSWORD 'x'",
        'CREATE ROLE "Odd ""One"',
        "COMMENT ON ROLE app IS 'CREATE ROLE apple'",
        "GRANT reader TO app WITH INHERIT TRUE",
    ]


def test_moments_need_their_zone() -> None:
    assert parse_moment("2026-11-26T10:30:00+01:00") == parse_moment("2026-11-26T09:30:00Z")
    for wrong in ("noon", "2026-11-26", "2026-11-26T10:30:00"):
        with pytest.raises(InputError, match="cannot be read"):
            parse_moment(wrong)


def test_tables_are_named_with_or_without_their_schema() -> None:
    stored = [("public", "orders"), ("public", "a.b"), ("audit", "orders")]
    entry = {"stored_tables": [{"schema": schema, "name": name, "rows": 1} for schema, name in stored]}
    assert chosen_tables(["orders", "audit.orders", "public.orders"], entry) == [
        ("public", "orders"),
        ("audit", "orders"),
    ]
    assert chosen_tables(["public.a.b"], entry) == [("public", "a.b")]
    with pytest.raises(InputError, match=r"did you mean 'audit\.orders'"):
        chosen_tables(["audit.order"], entry)


def test_the_owners_are_read_from_the_script() -> None:
    script = 'ALTER TABLE public.orders OWNER TO app;\nALTER FUNCTION "a b"() OWNER TO "Odd ""one""";\n'
    assert owners_in(script + "COMMENT ON TABLE t IS 'ALTER TABLE x OWNER TO nobody;';\n") == {"app", 'Odd "one"'}
