# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_issue by an authority of our own and by nobody, and what it refuses before it touches anything."""

from __future__ import annotations

import datetime
import json
import pathlib
import ssl
import typing as t

import pytest
from support.certificates import DAY, Authority, now, pem_of_key
from support.modules import run_module

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue import issue
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_arguments import (
    ISSUE_ARGUMENTS,
    issue_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_settings import Outcome
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import (
    Trust,
    shake_hands_in_memory,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

NAMES = ["DB1.example.com", "192.0.2.7", "2001:DB8:0::7"]


def _arguments(place: pathlib.Path, authority: Authority, **about: t.Any) -> dict[str, t.Any]:
    key = place / "authority.key"
    key.write_bytes(pem_of_key(authority.key, b"open sesame"))
    chain = place / "authority.pem"
    chain.write_bytes(authority.pem + (authority.parent.pem if authority.parent else b""))
    return {
        "names": NAMES,
        "directory": str(place / "issued"),
        "provider": "own_ca",
        "authority_certificate": str(chain),
        "authority_key": str(key),
        "authority_passphrase": "open sesame",
        **about,
    }


def _issue(arguments: t.Mapping[str, t.Any]) -> tuple[Result, Outcome]:
    params = {name: spec.get("default") for name, spec in ISSUE_ARGUMENTS.items()}
    outcome = Outcome()
    return issue(issue_settings_from({**params, **arguments}), False, outcome), outcome


def test_an_authority_of_our_own(tmp_path: pathlib.Path) -> None:
    root = Authority()
    arguments = _arguments(tmp_path, Authority("Intermediate", root), lifetime="6d")
    done = run_module("certificate_issue", arguments)
    assert (done["changed"], done["verdict"], done["figures"]["issued"]) == (True, "ok", 1), done
    assert "open sesame" not in json.dumps(done)
    # A client that trusts the root takes it: the chain came with it.
    context = Trust(root.write(tmp_path, "root.pem")).context()
    for name in NAMES:
        shake_hands_in_memory(done["fullchain"], done["key"], context, name.lower())
    assert run_module("certificate_issue", arguments)["changed"] is False

    result, outcome = _issue({**arguments, "renew_left": "99.95%"})
    assert (result.verdict, outcome.changed) == ("ok", True)
    assert outcome.why == "100 % of its lifetime are left"
    other = _arguments(tmp_path, Authority("Another"), lifetime="6d")
    result, outcome = _issue(other)
    assert (outcome.changed, outcome.why) == (True, "the one in place is from another authority")
    assert len(list((tmp_path / "issued" / "versions").iterdir())) == 3
    assert _issue(other)[1].changed is False
    # The key beside it was damaged.
    pathlib.Path(outcome.key).write_bytes(b"")
    result, outcome = _issue(other)
    assert (result.verdict, outcome.changed, "its key" in outcome.why or "key of the one" in outcome.why) == (
        "ok", True, True,
    )  # fmt: skip


def test_an_authority_that_ends_soon_or_cannot_be_used(tmp_path: pathlib.Path) -> None:
    result, outcome = _issue(_arguments(tmp_path, Authority(ends=now() + 10 * DAY)))
    assert (result.verdict, outcome.changed) == ("findings", True)
    assert [finding.id for finding in result.findings] == ["lifetime-cut"]
    good = Authority()
    for authority, about, told in (
        (Authority(ends=now() - DAY), {}, "has ended"),
        (good, {"authority_passphrase": "close"}, "the passphrase is wrong"),
        (good, {"authority_certificate": str(tmp_path / "authority.key")}, "it has no certificate in PEM format"),
    ):
        arguments = {**_arguments(tmp_path, authority), "directory": str(tmp_path / "other"), **about}
        result, outcome = _issue(arguments)
        assert (result.verdict, outcome.changed, outcome.fullchain) == ("failed", False, "")
        assert told in result.reason
        assert "close" not in result.reason


def test_with_fewer_than_three_runs_left_a_failure_is_severe(tmp_path: pathlib.Path) -> None:
    """Whatever the share is: of thirty hours two runs are left at the start."""
    for lifetime, severity in (("30h", "high"), ("90d", "medium")):
        arguments = _arguments(tmp_path, Authority(), lifetime=lifetime, directory=str(tmp_path / lifetime))
        assert _issue(arguments)[0].verdict == "ok"
        result, _outcome = _issue({**arguments, "authority_passphrase": "close", "renew_left": "99.99%"})
        assert [(finding.id, finding.severity) for finding in result.findings] == [("issue-failed", severity)]


def test_one_that_signs_itself_and_the_check_mode(tmp_path: pathlib.Path) -> None:
    arguments = {"names": ["*.example.com"], "directory": str(tmp_path / "own"), "provider": "self_signed"}
    foretold = run_module("certificate_issue", arguments, check=True)
    assert (foretold["changed"], foretold["fullchain"], (tmp_path / "own").exists()) == (True, "", False)
    result, outcome = _issue({**arguments, "key_type": "rsa-2048"})
    assert (result.verdict, outcome.changed) == ("ok", True)
    assert ssl.PEM_cert_to_DER_cert(pathlib.Path(outcome.fullchain).read_text())
    at = datetime.datetime.strptime(outcome.renewal["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    assert abs((at - now()) - 60 * DAY) < datetime.timedelta(hours=1)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"names": []}, "names is empty"),
        ({"names": ["a b"]}, r"names\[0\] is 'a b': write a DNS name or an address"),
        ({"provider": "acme", "names": ["*.example.com"]}, "only with the challenge dns-01"),
        ({"provider": "acme", "challenge": "dns-01"}, "dns_hook and nsupdate_server are empty"),
        ({"provider": "acme", "challenge": "dns-01", "nsupdate_server": "ns1"}, "nsupdate_server is 'ns1': write an"),
        (
            {"provider": "acme", "challenge": "dns-01", "nsupdate_server": "192.0.2.53", "nsupdate_key": "/no"},
            "nsupdate_key '/no' is no file",
        ),
        ({"provider": "acme", "nsupdate_server": "192.0.2.53"}, "of no use to the challenge http-01"),
        ({"names": ['a"b.example.com']}, "write a DNS name or an address"),
        ({"names": ["a.example.com\nserver 192.0.2.66"]}, "write a DNS name or an address"),
        ({"provider": "acme", "names": ["192.0.2.7"], "challenge": "dns-01", "dns_hook": ["/x"]}, "only the challenge"),
        ({"provider": "acme", "challenge": "dns-01", "dns_hook": ["hook"]}, "write the absolute path of a program"),
        ({"provider": "acme", "directory_url": "http://ca.example"}, "write the https address"),
        ({"provider": "acme", "webroot": "/nowhere"}, "webroot '/nowhere' is no directory"),
        ({"provider": "acme", "contact": ["mailto:a@b"]}, "write mail addresses"),
        ({"provider": "acme", "eab_key_id": "kid"}, "eab_key is missing"),
        ({"provider": "acme", "look_at": ["www"]}, "look_at has 'www': write IP addresses"),
        ({"provider": "own_ca", "authority_certificate": "/x"}, "authority_key is empty"),
        ({"directory": "issued"}, "directory is 'issued': write an absolute path"),
        ({"renew_left": "30d"}, "write the share of the lifetime that is left"),
        ({"renew_left": "0%"}, "write the share"),
        ({"lifetime": "90"}, "lifetime: duration '90' has no unit"),
        ({"compromised": ["ab:cd"]}, "64 hexadecimal digits"),
        ({"keep": -1}, "keep is -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_before_anything_is_touched(
    tmp_path: pathlib.Path, about: dict[str, t.Any], told: str
) -> None:
    params = {name: spec.get("default") for name, spec in ISSUE_ARGUMENTS.items()}
    usual = {"names": NAMES[:1], "directory": str(tmp_path / "issued"), "provider": "self_signed"}
    with pytest.raises(InputError, match=told):
        issue_settings_from({**params, **usual, **about})
    assert list(tmp_path.iterdir()) == []
