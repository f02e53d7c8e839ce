# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One certificate on several hosts: who has a part in it, and what is told of each host in the end."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.challenge_look import ChallengeError
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.challenges import Proof, handed_out
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.several_hosts import (
    chosen_certificates,
    result_of_hosts,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

KNOWN = ["web1", "web2", "web3", "db1"]
SHARED = {"name": "www", "hosts": ["web1", "web2"], "webroot": "/srv/www"}
NEW, OLD = "ab" * 32, "cd" * 32
ISSUED = {"verdict": "ok", "summary": "issued", "fingerprint": NEW}


def _part(entry: dict[str, t.Any], host: str) -> tuple[t.Any, ...] | None:
    found = chosen_certificates([entry], host, KNOWN)
    return (found[0]["hosts"], found[0]["alone"], found[0]["leads"]) if found else None


def test_the_first_host_or_the_issuer_leads_and_others_have_no_part() -> None:
    assert _part(SHARED, "web1") == (["web1", "web2"], False, True)
    assert _part(SHARED, "web2") == (["web1", "web2"], False, False)
    assert _part(SHARED, "web3") is None
    named = {**SHARED, "issuer": "web2"}
    assert [_part(named, host)[2] for host in ("web1", "web2")] == [False, True]  # type: ignore[index]
    assert _part({"name": "own"}, "db1") == (["db1"], True, True)
    assert _part({**SHARED, "hosts": ["db1"]}, "db1") == (["db1"], True, True)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"hosts": "web1"}, "'www': hosts is no list"),
        ({"hosts": []}, "'www': hosts is empty"),
        ({"hosts": ["web1", "web1"]}, "'web1' is there twice"),
        ({"hosts": ["web1", "web22"]}, "'web22'.*did you mean 'web2'"),
        ({"issuer": "web3"}, "issuer is none of its hosts 'web3'"),
        ({"hosts": None, "issuer": "web1"}, "has an issuer and no hosts"),
        ({"webroot": ""}, "on several hosts and has no webroot: .* or use dns-01"),
    ],
)
def test_hosts_that_cannot_be_right_are_refused_on_every_host(about: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        chosen_certificates([{**SHARED, **about}], "db1", KNOWN)


def test_only_http_needs_a_webroot_everywhere() -> None:
    for about in ({"challenge": "dns-01"}, {"provider": "own_ca"}):
        assert _part({**SHARED, "webroot": "", **about}, "web2") is not None


def test_a_token_that_is_no_name_of_a_file_is_not_handed_out() -> None:
    assert handed_out(Proof("www.example.com", "tok-1_", "tok-1_.print")) == {
        "name": "www.example.com",
        "path": ".well-known/acme-challenge/tok-1_",
        "content": "tok-1_.print",
    }
    with pytest.raises(ChallengeError, match="nothing was written"):
        handed_out(Proof("www.example.com", "../../index.html", "x"))


def _look(issued: str, deployed: str, served: str) -> dict[str, t.Any]:
    def seen(fingerprint: str) -> dict[str, t.Any]:
        return {"fingerprint": fingerprint, "not_after": {NEW: "2027-02-24", OLD: "2026-12-01"}[fingerprint]}

    files = [{"certificates": [seen(one)] if one else []} for one in (issued, deployed)]
    listener = {"host": "www", "port": 443, "address": "127.0.0.1", "reason": "" if served else "it refuses"}
    return {"certificates": files, "endpoints": [{**listener, "certificate": seen(served) if served else None}]}


GOOD = _look(NEW, NEW, NEW)
DEPLOYED = {"verdict": "ok", "summary": "in use now", "changed": True, "version": "2", "previous": "1"}
FAILED = {
    "verdict": "failed",
    "summary": "not in use",
    "reason": "nginx says no",
    "findings": [{"id": "deploy-failed", "severity": "high", "subject": "/etc", "message": "nginx says no"}],
}


def _result(told: dict[str, t.Any], looks: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return result_of_hosts("www", ISSUED, ["web1", "web2", "web3"], told, looks, **more)


def test_all_have_use_and_serve_it() -> None:
    everywhere = dict.fromkeys(("web1", "web2", "web3"), GOOD)
    result = _result({"web1": DEPLOYED}, everywhere)
    assert (result["verdict"], result["complete"], result["changed"]) == ("ok", True, True)
    assert result["coverage"] == {"looked": 3, "of": 3}
    (done,) = result["done"]
    assert (done["subject"], done["before"], done["after"]) == ("www on web1", "1", "2")


def test_one_that_fails_is_named_with_its_three_facts_and_so_is_the_one_after_it() -> None:
    looks = {"web1": GOOD, "web2": _look(NEW, OLD, OLD), "web3": _look("", OLD, OLD)}
    result = _result({"web1": DEPLOYED, "web2": FAILED}, looks)
    assert (result["verdict"], result["complete"]) == ("failed", False)
    assert "web2: issued: it; deployed: the one that ends on 2026-12-01; served: the one" in result["reason"]
    assert "(nginx says no)" in result["reason"]
    assert "web3: issued: none;" in result["reason"]
    assert "it was not its turn after web2" in result["reason"]
    assert [finding["subject"] for finding in result["findings"]] == ["web2: /etc", "www on web2", "www on web3"]
    assert {finding["value"] for finding in result["findings"][1:]} == {OLD}


@pytest.mark.parametrize("served", [OLD, ""])
def test_what_a_task_said_does_not_count_against_what_is_served(served: str) -> None:
    looks = {"web1": GOOD, "web2": _look(NEW, NEW, served), "web3": GOOD}
    result = _result(dict.fromkeys(("web1", "web2", "web3"), DEPLOYED), looks)
    assert (result["verdict"], result["complete"]) == ("failed", False)
    assert "web2: issued: it; deployed: it; served: " in result["reason"]
    assert ("it refuses" in result["reason"]) == (not served)


def test_one_that_cannot_be_asked_is_unknown_and_the_certificate_not_done() -> None:
    gone = {"unreachable": True, "msg": "Connection\nrefused"}
    result = _result({"web1": DEPLOYED, "web3": gone}, {"web1": GOOD, "web2": GOOD, "web3": gone})
    assert (result["verdict"], result["complete"]) == ("unknown", False)
    assert result["reason"] == "web3: what it has and serves is not known: Connection refused"
    assert [finding["id"] for finding in result["findings"]] == ["host-unreachable"]
    # A module that broke has seen nothing, either.
    assert _result({}, {"web1": GOOD, "web2": GOOD, "web3": {"msg": "no Python"}})["verdict"] == "unknown"
    assert _result({}, {"web1": GOOD, "web2": GOOD})["verdict"] == "unknown"


def test_a_check_mode_says_how_many_have_it_and_fails_nobody() -> None:
    result = _result({}, {"web1": GOOD, "web2": _look("", OLD, OLD), "web3": GOOD}, check=True)
    assert (result["verdict"], result["complete"], result["changed"]) == ("ok", False, False)
    assert "2 of 3 hosts" in result["summary"]
    assert result["summary"].endswith("it would be brought to web2")
    nothing = result_of_hosts("www", {**ISSUED, "fingerprint": ""}, ["web1"], {}, {}, check=True)
    assert (nothing["verdict"], nothing["complete"]) == ("ok", False)
    assert result_of_hosts("www", {"msg": "no"}, ["web1"], {}, {})["verdict"] == "failed"


def test_a_challenge_that_is_left_is_told() -> None:
    looks = dict.fromkeys(("web1", "web2", "web3"), GOOD)
    result = _result({}, looks, left=[{"msg": "read-only"}])
    assert (result["verdict"], result["complete"]) == ("findings", True)
    assert "read-only" in result["findings"][0]["message"]
