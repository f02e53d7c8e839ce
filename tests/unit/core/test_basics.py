# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import json
import pathlib
import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._core import (
    clock,
    masking,
    outcome,
    recording,
    version,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.chain import RecordsError
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import (
    InputError,
    nearest,
    refuse_unknown,
)

ROOT = pathlib.Path(__file__).resolve().parents[3]


# -- suggest -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "expected"), [("evry", "every"), ("EVERY", "every"), ("windw", "window"), ("xyzzy", None), ("", None)]
)
def test_nearest_names_what_was_meant_or_nothing(word: str, expected: str | None) -> None:
    assert nearest(word, ["every", "window", "owner"]) == expected


@pytest.mark.parametrize(
    ("what", "given_words", "message"),
    [
        (
            "cycle_activities: unknown key %s in database.vacuum",
            ["owner", "evry"],
            "cycle_activities: unknown key 'evry' in database.vacuum; did you mean 'every'?",
        ),
        ("cycle_only: activity", "evry", "cycle_only: activity 'evry' is unknown; did you mean 'every'?"),
        ("unknown key", [7], "unknown key 7; known are: every, owner"),
    ],
)
def test_an_unknown_word_is_refused_with_the_right_one(what: str, given_words: t.Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        refuse_unknown(what, given_words, ["owner", "every"])
    assert str(caught.value) == message


def test_known_words_pass() -> None:
    refuse_unknown("key", ["every", "owner"], ["owner", "every", "window"])
    refuse_unknown("key", "every", ["every"])
    refuse_unknown("key", {"every": 1}, {"every": 2})


# -- clock ---------------------------------------------------------------------------------------------------


@given(st.datetimes(timezones=st.just(datetime.timezone.utc)))
def test_a_written_time_reads_back_to_the_second(moment: datetime.datetime) -> None:
    assert clock.parse_time(clock.write_time(moment)) == moment.replace(microsecond=0)


def test_time_is_written_in_utc() -> None:
    paris = datetime.timezone(datetime.timedelta(hours=1))
    moment = datetime.datetime(2026, 11, 23, 6, 13, 39, 999999, tzinfo=paris)
    assert clock.write_time(moment) == "2026-11-23T05:13:39Z"
    assert clock.stamp(moment) == "20261123T051339Z"
    assert clock.parse_time("2026-11-23T05:13:39.999+00:00") == moment.replace(microsecond=0)
    with pytest.raises(InputError, match="no time zone"):
        clock.write_time(datetime.datetime(2026, 11, 23))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("text", ["", "2026-11-23", "2026-11-23T05:13:39", "2026-13-23T05:13:39Z", "now", None, 7])
def test_a_time_that_is_none_is_refused(text: t.Any) -> None:
    with pytest.raises(InputError) as caught:
        clock.parse_time(text)
    assert repr(text) in str(caught.value)
    assert '"2026-11-23T05:13:39Z"' in str(caught.value)


# -- version -------------------------------------------------------------------------------------------------


def test_the_version_is_that_of_the_collection() -> None:
    found = re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    assert found is not None
    assert found.group(1) == version.COLLECTION_VERSION


# -- masking -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("cannot reach postgresql://steward:hunter2@db/x", "cannot reach postgresql://steward:********@db/x"),
        ("redis://:hunter2@cache", "redis://:********@cache"),
        ("conninfo: host=db password=hunter2 user=x", "conninfo: host=db password=******** user=x"),
        ("PGPASSWORD='hunter two' psql", "PGPASSWORD=******** psql"),
        ("--password=hunter2", "--password=********"),
        ("api_key = hunter2, next", "api_key = ********, next"),
        ("password authentication failed for user x", "password authentication failed for user x"),
        ("https://example.org:8443/a?b=c", "https://example.org:8443/a?b=c"),
        ("12:30@noon", "12:30@noon"),
    ],
)
def test_secrets_in_texts_are_masked(text: str, masked: str) -> None:
    assert masking.mask_secrets(text) == masked
    assert masking.mask_secrets({"a": [text, 1, None], "b": {"c": (text,)}}) == {
        "a": [masked, 1, None],
        "b": {"c": [masked]},
    }


# -- outcome -------------------------------------------------------------------------------------------------


class Ended(Exception):
    pass


class Module:
    """Stands where AnsibleModule does: it takes the answer and ends."""

    def __init__(self) -> None:
        self.answer: dict[str, t.Any] = {}
        self.failed = False

    def exit_json(self, **answer: t.Any) -> t.NoReturn:
        self.answer = answer
        raise Ended

    def fail_json(self, msg: str, **answer: t.Any) -> t.NoReturn:
        self.failed = True
        self.answer = dict(answer, msg=msg)
        raise Ended


@pytest.mark.parametrize(
    ("verdict", "failed"), [("ok", False), ("skipped", False), ("unknown", True), ("failed", True)]
)
def test_what_was_not_proved_fails_the_task_with_all_keys(verdict: str, failed: bool) -> None:
    module = Module()
    with pytest.raises(Ended):
        outcome.finish(module, Result(verdict, "a sentence", "a reason"), changed=True, beside=1)
    assert module.failed is failed
    assert set(module.answer) - {"msg"} == {
        "verdict", "summary", "reason", "findings", "figures", "coverage", "changed", "beside",
    }  # fmt: skip
    assert module.answer.get("msg", "a sentence: a reason") == "a sentence: a reason"


# -- recording -----------------------------------------------------------------------------------------------

ABOUT = {"activity": "database.vacuum", "host": "db1", "guide": "2.3", "type": "preventive", "started": None}
GOOD = {
    "verdict": "findings",
    "summary": "vacuumed 2 of 3 tables",
    "reason": "",
    "findings": [{"id": "a.b", "severity": "low", "subject": "t", "message": "m", "value": 3}],
    "figures": {"duration_seconds": 1.5},
    "coverage": {"looked": 3, "of": 3},
    "changed": True,
    "planned": ["left out of the record"],
}


def test_a_result_becomes_a_record() -> None:
    record = recording.record_of(
        dict(ABOUT, started="2026-11-23T05:13:39.5+00:00"), GOOD, {"awx_job_id": 7, "revision": ""}
    )
    assert record["verdict"] == "findings"
    assert record["findings"][0]["threshold"] is None
    assert record["figures"] == {"duration_seconds": 1.5}
    assert record["started"] == "2026-11-23T05:13:39Z"
    assert record["ended"] >= record["started"]
    assert record["collection_version"] == version.COLLECTION_VERSION
    assert record["ran"]["awx_job_id"] == 7
    assert record["ran"]["user"]
    assert record["ran"]["account"]
    assert "revision" not in record["ran"]
    assert "planned" not in record


def test_who_became_root_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert recording.record_of(ABOUT, GOOD, {})["ran"]["user"] == "ada"
    assert recording.record_of(ABOUT, GOOD, {"user": "grace"})["ran"]["user"] == "grace"


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (None, "without saying what it did"),
        ({}, "without saying what it did"),
        ("done", "must be a dictionary, not str"),
        ({"msg": "MODULE FAILURE", "rc": 1}, "the result has no verdict (got None); it said: MODULE FAILURE"),
        ({"verdict": "fine", "summary": "s"}, "verdict is 'fine', must be one of"),
        (
            {"verdict": "ok", "summary": "s", "figures": {"a": "3"}},
            "figures.a of the result must be a number (got '3')",
        ),
        ({"verdict": "ok", "summary": "s", "figures": [1]}, "figures of the result must be a dictionary, not list"),
        ({"verdict": "ok", "summary": "s", "coverage": {"looked": None}}, "coverage.looked"),
        ({"verdict": "ok", "summary": "s", "findings": ["x"]}, "findings"),
        ({"verdict": "ok", "summary": "s", "findings": [{"id": "x"}]}, "findings"),
        ({"verdict": "findings", "summary": "s"}, "must list at least one"),
        ({"verdict": "failed", "summary": "s"}, "must give its reason"),
    ],
)
def test_a_malformed_result_is_not_lost(result: t.Any, names: str) -> None:
    record = recording.record_of(ABOUT, result, {})
    assert record["verdict"] == "failed"
    assert names in record["reason"]
    assert record["activity"] in record["summary"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(["verdict", "summary", "reason", "findings", "figures", "coverage"]),
)
def test_whatever_stands_in_a_result_a_record_comes_of_it(junk: t.Any, key: str) -> None:
    for result in (junk, dict(GOOD, **{key: junk})):
        record = recording.record_of(ABOUT, result, {})
        assert record["verdict"] in ("ok", "findings", "unknown", "failed", "skipped")
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_no_secret_is_recorded() -> None:
    result = {
        "verdict": "failed",
        "summary": "s",
        "reason": "connect postgresql://a:hunter2@b failed, password=hunter2",
    }
    assert "hunter2" not in json.dumps(recording.record_of(ABOUT, result, {"controller": "x://y:hunter2@z"}))


def test_a_record_needs_an_activity_and_a_host() -> None:
    with pytest.raises(RecordsError, match="no host given"):
        recording.record_of({"activity": "a.b"}, GOOD, {})
    with pytest.raises(RecordsError, match="unknown field 'hosst'; did you mean 'host'"):
        recording.record_of({"activity": "a.b", "hosst": "x"}, GOOD, {})
    with pytest.raises(InputError, match="time 'yesterday' cannot be read"):
        recording.record_of(dict(ABOUT, started="yesterday"), GOOD, {})
