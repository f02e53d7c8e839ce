# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_issue with a real ACME server that refuses every other nonce."""

from __future__ import annotations

import datetime
import json
import pathlib
import stat

import pytest
from cryptography import x509
from support.acme import NAME, Place, window
from support.modules import run_module
from support.pebble import EAB_KEY, EAB_KEY_ID, Pebble

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.x509 import certificates_in
from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time

pytest_plugins = ("support.acme_fixtures",)
pytestmark = pytest.mark.pebble


def test_from_check_mode_to_the_second_run(acme: Place) -> None:
    foretold = run_module("certificate_issue", acme.arguments(), check=True)
    assert (foretold["changed"], foretold["why"], foretold["verdict"]) == (True, "there is none yet", "ok")
    assert not acme.issued.exists()
    assert not acme.account.exists()
    assert {each.method for each in acme.proxy.asked} == {"GET"}

    done = run_module("certificate_issue", acme.arguments())
    assert (done["changed"], done["verdict"], done["figures"]["issued"]) == (True, "ok", 1), done
    assert done["fullchain"] == str(acme.issued / "versions" / done["version"] / "fullchain.pem")
    assert (acme.current / "fullchain.pem").samefile(done["fullchain"])
    for path in (done["key"], acme.account / "account.pem", acme.issued / "issue.json"):
        assert stat.S_IMODE(pathlib.Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(acme.account.stat().st_mode) == 0o700
    assert acme.key().decode().splitlines()[1] not in json.dumps(done)
    assert acme.leftovers() == []
    assert len(acme.proxy.orders()) == 1

    acme.proxy.asked.clear()
    again = run_module("certificate_issue", acme.arguments())
    assert (again["changed"], again["verdict"], again["why"]) == (False, "ok", "")
    assert (again["renewal"]["source"], again["renewal"]["fallback"]) == ("lifetime", "absent")
    assert {each.method for each in acme.proxy.asked} == {"GET"}


def test_each_renewal_has_a_fresh_key_and_says_what_it_replaces(acme: Place) -> None:
    acme.issue()
    first, key, one = acme.certificate(), acme.key(), acme.versions()
    acme.due_now()
    result, outcome = acme.issue()
    assert (result.verdict, outcome.changed, outcome.previous) == ("ok", True, one[0])
    assert "its authority wants it renewed" in outcome.why
    assert acme.key() != key
    assert acme.certificate().serial_number != first.serial_number
    assert (acme.issued / "versions" / one[0] / "privkey.pem").read_bytes() == key
    replaces = acme.proxy.orders()[-1]["replaces"]
    paths = [each.path for each in acme.proxy.asked if each.path.startswith("/renewal-info/")]
    assert paths[0] == f"/renewal-info/{replaces}"
    # For the new one the authority says later.
    acme.proxy.window = window(24, 48)
    assert acme.issue()[1].changed is False


def test_the_moment_is_drawn_once_and_moves_only_with_the_window(acme: Place) -> None:
    acme.issue()
    acme.proxy.window, acme.proxy.retry_after = window(24, 480), "0"
    drawn = [acme.issue()[1].renewal["at"] for _run in range(3)]
    assert len(set(drawn)) == 1
    # Asked once: even "0" means not before a minute has passed.
    assert acme.proxy.count("/renewal-info/") == 1
    acme.ask_again()
    assert acme.issue()[1].renewal["at"] == drawn[0]
    acme.proxy.window, acme.proxy.retry_after = window(500, 600), str(10 * 365 * 86400)
    acme.ask_again()
    moved = acme.issue()[1].renewal
    assert moved["at"] > drawn[0]
    # And ten years mean twelve hours.
    assert moved["asks_again"] < window(12.1, 13)["suggestedWindow"]["start"]


def test_names_key_type_and_compromise_make_it_due(acme: Place) -> None:
    acme.issue()
    for about, why in (
        ({"names": [NAME, "127.0.0.1"]}, "is without 127.0.0.1"),
        ({"names": [NAME, "127.0.0.1"], "key_type": "rsa-2048"}, "a key of another type"),
    ):
        assert why in acme.issue(check_mode=True, **about)[1].why
        result, outcome = acme.issue(**about)
        assert (result.verdict, outcome.changed, acme.issue(**about)[1].changed) == ("ok", True, False), result
    about = {**about, "compromised": [outcome.fingerprint]}
    assert "not secret" in acme.issue(**about)[1].why
    assert acme.issue(**about)[1].changed is False


def test_dns_01_by_a_hook_and_a_webroot(acme: Place) -> None:
    by_dns = {
        "names": ["*.example.org", "example.org"],
        "challenge": "dns-01",
        "dns_hook": [str(acme.dns.hook)],
        "resolvers": [f"127.0.0.1#{acme.dns.port}"],
        "propagation_timeout": "5s",
    }
    result, _outcome = acme.issue(**by_dns)
    assert (result.verdict, acme.leftovers()) == ("ok", []), result
    # A hook that says that it did, and did not: the authority is not asked.
    lies = acme.place / "lies"
    lies.write_text("#!/bin/sh\n")
    lies.chmod(0o755)
    acme.proxy.asked.clear()
    by_dns = {**by_dns, "names": ["other.example.org"], "dns_hook": [str(lies)], "propagation_timeout": "1s"}
    result, outcome = acme.issue(**by_dns)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "no TXT records there" in result.reason
    assert acme.proxy.count("/chalZ/") == 0


def test_profiles_and_chains_are_those_that_the_authority_offers(acme: Place) -> None:
    acme.proxy.profiles = {"classic": "", "shortlived": ""}
    result, _outcome = acme.issue(profile="shortlivd")
    assert result.verdict == "failed"
    assert "did you mean 'shortlived'?" in result.reason
    roots = [acme.pebble.managed(f"roots/{number}") for number in (0, 1)]
    other = x509.load_pem_x509_certificate(roots[1]).subject.rfc4514_string().removeprefix("CN=")
    (acme.place / "root.pem").write_bytes(roots[1])
    result, outcome = acme.issue(profile="shortlived", preferred_chain=other, trust=str(acme.place / "root.pem"))
    assert (result.verdict, outcome.changed) == ("ok", True), result
    assert acme.proxy.orders()[-1]["profile"] == "shortlived"
    result, _outcome = acme.issue(profile="classic", preferred_chain="Somebody Else")
    assert [finding.id for finding in result.findings] == ["chain-not-offered"]
    # What leads somewhere else than is wanted is not put into place.
    acme.due_now()
    before = acme.certificate().serial_number
    result, outcome = acme.issue(profile="classic", trust=acme.pebble.trust)
    assert (result.verdict, result.findings[-1].id, outcome.changed) == ("failed", "issue-refused", False)
    assert acme.certificate().serial_number == before


def test_an_account_that_the_authority_has_to_know(acme: Place, tmp_path: pathlib.Path) -> None:
    with Pebble(tmp_path / "external", acme.dns.port, external=True, lifetime=6 * 86400) as pebble:
        about = {"directory_url": pebble.directory_url, "directory_trust": pebble.trust, "http_port": pebble.http_port}
        assert "eab_key_id" in acme.issue(**about)[0].reason
        wrong = run_module("certificate_issue", acme.arguments(**about, eab_key_id="kid-9", eab_key=EAB_KEY))
        assert wrong["failed"]
        assert EAB_KEY not in json.dumps(wrong)
        right = {**about, "eab_key_id": EAB_KEY_ID, "eab_key": EAB_KEY, "retry_now": True}
        result, outcome = acme.issue(**right)
        assert (result.verdict, outcome.changed) == ("ok", True), result
        # It lives for six days, and no run issues it anew before half of them are over.
        assert (outcome.renewal["at"], acme.issue(**right)[1].changed) == (acme.issue(**right)[1].renewal["at"], False)
        own = certificates_in((acme.current / "fullchain.pem").read_bytes())[0]
        half = own.not_before + datetime.timedelta(days=3)
        assert abs(parse_time(outcome.renewal["at"]) - half) < datetime.timedelta(minutes=1)
