# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stage before says of a release: on every host, by its last record, all the same, long enough."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._releases.evidence import NotTested, StageBefore

NOW = datetime.datetime(2026, 11, 27, 12, 0, tzinfo=datetime.timezone.utc)
EVIDENCE = {
    "release": "a" * 16,
    "commit": "a" * 40,
    "archive_sha256": "",
    "locks": {"requirements.txt": "1" * 64},
    "inventory_sha256": "2" * 64,
    "contents_sha256": "3" * 64,
    "packages": ["pypi jinja2 3.1.1"],
}


def record(ended: str = "2026-11-27T10:00:00Z", verdict: str = "ok", **more: t.Any) -> dict[str, t.Any]:
    done = [
        {"subject": more.pop("subject", "shop"), "action": "release", "after": {**EVIDENCE, **more.pop("after", {})}}
    ]
    return {"verdict": verdict, "check_mode": False, "ended": ended, "done": done, **more}


def answer(*records: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return {"records": list(records), "chain": {"intact": True, "problem": ""}, **more}


def judged(*answers: t.Any, soak: float = 0, compare: str = "contents") -> dict[str, t.Any]:
    hosts = [f"s{number}" for number in range(1, len(answers) + 1)]
    return StageBefore("staging", hosts, answers, compare, soak).evidence("shop", "a" * 16, NOW)


def test_the_last_record_of_each_host_tells_it() -> None:
    older = record("2026-11-26T10:00:00Z", after={"release": "b" * 16})
    assert judged(answer(older, record()), answer(record()))["contents_sha256"] == "3" * 64
    # Neither a rehearsal nor a run that was not to be says anything, and other applications have nothing to do with it.
    later = "2026-11-27T11:00:00Z"
    silent = [
        record(later, check_mode=True, after={"release": "c" * 16}),
        record(later, verdict="skipped", done=[]),
        record(later, subject="billing", after={"release": "d" * 16}),
    ]
    assert judged(answer(record(), *silent))["release"] == "a" * 16


@pytest.mark.parametrize(
    ("answers", "verdict", "why"),
    [
        ([answer()], "failed", "s1 in staging has no record of a release of shop"),
        ([answer(record(subject="billing"))], "failed", "s1 in staging has no record of a release of shop"),
        (
            [answer(record(after={"release": "b" * 16}))],
            "failed",
            "s1 in staging has the release bbbbbbbbbbbbbbbb of shop, not aaaaaaaaaaaaaaaa",
        ),
        (
            [answer(record(), record("2026-11-27T11:00:00Z", verdict="failed", done=[]))],
            "failed",
            "the last release of shop on s1 in staging ended failed",
        ),
        (
            [answer(record()), answer(record(after={"contents_sha256": "4" * 64}))],
            "failed",
            (
                "in staging, s1 and s2 do not have the same: the packages, by the digest 3333333333333333 there,"
                " 4444444444444444 here (the same versions with other contents)"
            ),
        ),
        (
            [answer(record(), chain={"intact": False, "problem": "record 3 was altered"})],
            "unknown",
            "the records of s1 in staging are no evidence: record 3 was altered",
        ),
        (
            [{"unreachable": True, "msg": "no route to host"}],
            "unknown",
            "the records of s1 in staging could not be read: no route to host",
        ),
        ([answer(record()), None], "unknown", "the records of s2 in staging could not be read: it gave no records"),
    ],
)  # fmt: skip
def test_anything_else_stops_it(answers: list[t.Any], verdict: str, why: str) -> None:
    with pytest.raises(NotTested) as stopped:
        judged(*answers)
    assert (stopped.value.verdict, str(stopped.value)) == (verdict, why)


def test_it_has_to_be_in_use_there_for_long_enough() -> None:
    since = [record("2026-11-27T08:00:00Z"), record("2026-11-27T11:59:00Z")]
    assert judged(answer(*since), soak=4 * 3600)["release"] == "a" * 16
    with pytest.raises(NotTested) as stopped:
        judged(answer(*since), soak=4 * 3600 + 1)
    assert stopped.value.verdict == "skipped"
    assert "since 2026-11-27T08:00:00Z, which is less than 4 h" in str(stopped.value)
    # After another release the time begins anew.
    between = record("2026-11-27T09:00:00Z", after={"release": "b" * 16})
    with pytest.raises(NotTested, match="since 2026-11-27T11:59:00Z"):
        judged(answer(since[0], between, since[1]), soak=4 * 3600)


def test_what_is_compared_and_how_the_difference_is_told() -> None:
    tested = StageBefore("staging", ["s1"], [answer(record())], "contents")
    assert tested.mismatch(EVIDENCE, EVIDENCE) == ""
    # What is not known yet is compared later.
    assert tested.mismatch(EVIDENCE, {"commit": "a" * 40, "locks": EVIDENCE["locks"]}) == ""
    told = tested.mismatch(EVIDENCE, {"commit": "b" * 40})
    assert told == "the commit aaaaaaaaaaaaaaaa there, bbbbbbbbbbbbbbbb here"
    told = tested.mismatch(EVIDENCE, {"locks": {}})
    assert told == "the locks requirements.txt 1111111111111111 there, none here"
    other = {**EVIDENCE, "contents_sha256": "5" * 64, "inventory_sha256": "6" * 64, "packages": ["pypi jinja2 3.1.2"]}
    assert tested.mismatch(EVIDENCE, other).endswith("(pypi jinja2 3.1.1, pypi jinja2 3.1.2)")
    by_versions = StageBefore("staging", ["s1"], [answer(record())], "versions")
    assert by_versions.mismatch(EVIDENCE, {**EVIDENCE, "contents_sha256": "5" * 64}) == ""
    assert by_versions.mismatch(EVIDENCE, {**EVIDENCE, "inventory_sha256": "6" * 64}).startswith("the packages")


def test_a_stage_without_hosts_says_nothing() -> None:
    with pytest.raises(InputError, match="the stage staging has no hosts"):
        StageBefore("staging", [], [], "contents")
    with pytest.raises(InputError, match="2 hosts and 1 answers"):
        StageBefore("staging", ["s1", "s2"], [answer()], "contents")
