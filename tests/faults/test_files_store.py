# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the place does in which a tree is kept, and what must happen: a reason that names the cause, what was kept
before stays restorable, and the next run puts everything right."""

from __future__ import annotations

import hashlib
import os
import subprocess

import pytest
from support import s3_faults as faults
from support.s3_faults import FaultyStore
from support.trees import BASE, NAME, Kept, see

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3


def fill(kept: Kept) -> None:
    for name in ("a", "b", "c/d", "c/e"):
        kept.file(name, name)
    kept.file("c/large", os.urandom(1_300_000))


def assert_failed_and_healed(kept: Kept, proxy: FaultyStore, *told: str) -> None:
    answer = kept.back_up()
    assert answer["verdict"] == "failed", answer
    for words in told:
        assert words in answer["reason"]
    proxy.heal()
    again = kept.back_up()
    assert again["verdict"] == "ok", again
    kept.assert_sound()


@pytest.mark.parametrize(
    ("where", "action", "times"),
    [
        (r"PUT .*/current/a", faults.resetting_half_way, 1),
        (r"PUT .*/current/c/d", faults.losing_the_answer, 1),
        (r"PUT .*/runs/", faults.resetting_half_way, 1),
        (r"PUT ", faults.refusing(503, "SlowDown"), 2),
    ],
)
def test_a_storm_that_passes(
    behind_proxy: Kept, proxy: FaultyStore, where: str, action: faults.Action, times: int
) -> None:
    fill(behind_proxy)
    fault = proxy.inject(where, action, times=times)
    answer = behind_proxy.back_up()
    assert answer["verdict"] == "ok", answer
    assert fault.hits == times
    behind_proxy.assert_sound()


@pytest.mark.parametrize(
    ("where", "action", "told"),
    [
        (r"PUT .*/current/a", faults.resetting_half_way, "broke the connection off, in 3 attempts"),
        (r"PUT .*/current/c/e", faults.refusing(503, "SlowDown"), "it kept answering SlowDown to PutObject"),
        (r"PUT .*/current/b", faults.refusing(507, "InsufficientStorage"), "the store is full"),
        (r"PUT .*/runs/", faults.refusing(403, "AccessDenied"), "these credentials lack s3:PutObject on"),
        (r"PUT .*/current/a", faults.saying_another_checksum, "the store answered with the SHA-256"),
        (r"PUT .*/current/a", faults.dropping, "1 files are not there as they were sent: a is not listed"),
        (r"PUT .*/current/a", faults.flipping, "1 files could not be kept: a: "),
        (
            r"GET .*prefix=[^&]*/current/",
            faults.refusing(403, "AccessDenied"),
            "these credentials lack s3:ListBucket on",
        ),
        (r"GET ", faults.refusing(403, "SignatureDoesNotMatch"), "the store does not accept these credentials"),
    ],
)
def test_a_fault_that_does_not_pass(
    behind_proxy: Kept, proxy: FaultyStore, where: str, action: faults.Action, told: str
) -> None:
    fill(behind_proxy)
    proxy.inject(where, action)
    assert_failed_and_healed(behind_proxy, proxy, told)


def test_nothing_is_replaced_that_could_not_be_kept(behind_proxy: Kept, proxy: FaultyStore) -> None:
    fill(behind_proxy)
    behind_proxy.backed_up()
    behind_proxy.file("a", "altered")
    (behind_proxy.tree / "b").unlink()
    proxy.inject(r"PUT .*/kept/", faults.refusing(403, "AccessDenied"))
    answer = behind_proxy.back_up()
    assert answer["verdict"] == "failed"
    assert "lack s3:GetObject or s3:PutObject on" in answer["reason"]
    assert (behind_proxy.read("current/a"), behind_proxy.read("current/b")) == (b"a", b"b")
    proxy.heal()
    assert behind_proxy.back_up()["verdict"] == "ok"
    behind_proxy.assert_sound()


def test_a_listing_that_breaks_off_deletes_nothing(behind_proxy: Kept, proxy: FaultyStore) -> None:
    fill(behind_proxy)
    behind_proxy.backed_up()

    def cut(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        answer = forward(request)
        answer.body = answer.body.replace(b"<IsTruncated>false", b"<IsTruncated>true")
        return answer

    proxy.inject(r"GET .*prefix=[^&]*/current/", cut)
    assert_failed_and_healed_unchanged(behind_proxy, proxy, "breaks off without saying how to go on")


def test_a_listing_out_of_order_deletes_nothing(behind_proxy: Kept, proxy: FaultyStore) -> None:
    fill(behind_proxy)
    behind_proxy.backed_up()

    def swap(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        answer = forward(request)
        answer.body = answer.body.replace(b"/current/a<", b"/current/z<")
        return answer

    proxy.inject(r"GET .*prefix=[^&]*/current/", swap)
    assert_failed_and_healed_unchanged(behind_proxy, proxy, "is not in the order of the keys")


def assert_failed_and_healed_unchanged(kept: Kept, proxy: FaultyStore, told: str) -> None:
    answer = kept.back_up()
    assert (answer["verdict"], answer["changed"]) == ("failed", False)
    assert told in answer["reason"]
    proxy.heal()
    assert not kept.back_up()["changed"]


def test_an_index_that_was_altered(kept: Kept) -> None:
    fill(kept)
    run = kept.backed_up()
    content = kept.read(f"runs/{run}.json.gz")
    kept.write(f"runs/{run}.json.gz", content[:-20])
    answer = kept.back_up()
    assert answer["verdict"] == "failed"
    assert f"runs/{run}.json.gz" in answer["reason"]
    assert kept.verify()["verdict"] == "failed"
    assert kept.restore(kept.tree.parent / "x")["verdict"] == "failed"


def test_rot_in_the_bucket_is_found(behind_proxy: Kept, proxy: FaultyStore) -> None:
    fill(behind_proxy)
    behind_proxy.backed_up()
    proxy.inject(r"GET .*/current/(a|c/large)", faults.giving_other_bytes)
    answer = behind_proxy.verify()
    assert answer["verdict"] == "failed"
    assert "2 files are not there as they were sent" in answer["reason"]
    into = behind_proxy.tree.parent / "back"
    refused = behind_proxy.restore(into)
    assert refused["verdict"] == "failed"
    assert refused["coverage"] == {"looked": 3, "of": 5}
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*")) == ["b", "c", "c/d", "c/e"]
    proxy.heal()
    assert not behind_proxy.restore(into)["failed"]
    assert see(into) == see(behind_proxy.tree)


def test_what_could_not_be_looked_at_is_unknown(behind_proxy: Kept, proxy: FaultyStore) -> None:
    fill(behind_proxy)
    behind_proxy.backed_up()
    proxy.inject(r"GET .*/current/", faults.refusing(503, "SlowDown"))
    answer = behind_proxy.verify()
    assert answer["verdict"] == "unknown"
    assert answer["failed"]


def test_two_at_once(kept: Kept) -> None:
    fill(kept)
    place = f"s3://{kept.bucket.name}/{BASE}" if kept.bucket else f"{kept.directory}/{BASE}"
    kept.state.mkdir()
    lock = kept.state / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.lock"
    holder = subprocess.Popen(["flock", str(lock), "sh", "-c", "echo held; sleep 60"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        answer = kept.back_up()
    finally:
        holder.kill()
        holder.wait()
    assert "another run holds" in answer["reason"]
    assert kept.listing() == []


def test_a_name_that_the_target_cannot_carry(kept: Kept) -> None:
    """Each byte of it takes three in the key. The others are kept, and the verdict says that this one is not."""
    kept.file("a", "a")
    deep = kept.tree
    for _level in range(2):
        deep = deep / os.fsdecode(b"\xff" * 200)
        deep.mkdir()
    (deep / "file").write_text("x")
    answer = kept.back_up()
    assert answer["verdict"] == "failed"
    assert "1 files could not be kept" in answer["reason"]
    assert ("S3 allows 1024" if kept.bucket else "File name too long") in answer["reason"]
    assert answer["coverage"] == {"looked": 1, "of": 2}
    assert kept.read("current/a") == b"a"
    assert NAME in answer["runs"]
