# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_issue by dns-01 with a real nsupdate and a real BIND, whose records a real ACME server asks for."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest
from support.acme import Place
from support.modules import run_module
from support.named import ZONE, Named

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.dns_query import texts_of
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.dns_records import Updates

pytest_plugins = ("support.acme_fixtures",)
pytestmark = pytest.mark.pebble

RECORD = f"_acme-challenge.{ZONE}"


@pytest.fixture
def named(acme: Place, tmp_path: pathlib.Path) -> t.Iterator[Named]:
    with Named(tmp_path / "named") as server:
        acme.dns.delegated = (ZONE, server.port)
        yield server
        acme.dns.delegated = None


def test_records_are_made_looked_at_and_removed(acme: Place, named: Named) -> None:
    usual = {
        "names": [f"*.{ZONE}", ZONE],
        "challenge": "dns-01",
        "nsupdate_server": named.server,
        "propagation_timeout": "5s",
        "retry_now": True,
    }
    # Unsigned, and with another key: the server refuses it, and the authority is not asked.
    wrong = named.write_key("wrong.key", base64.b64encode(b"0" * 32).decode())
    for about, told in (({}, "REFUSED"), ({"nsupdate_key": wrong}, "NOTAUTH(BADSIG)")):
        result, outcome = acme.issue(**usual, **about)
        assert (result.verdict, outcome.changed) == ("failed", False), result
        assert f"the record {RECORD} was not made: nsupdate at {named.server} ended with status 2" in result.reason
        assert told in result.reason
    assert acme.proxy.count("/chalZ/") == 0

    # Both names have their proof in one record, at the same time. Of that nothing is left, and what somebody else has
    # there stays: the same name may be proved elsewhere at the same time.
    Updates(named.server, named.key).present(RECORD, "foreign")
    answer = run_module("certificate_issue", acme.arguments(**usual, nsupdate_key=named.key))
    assert (answer["verdict"], answer["changed"]) == ("ok", True), f"{answer}\n{named.log}"
    assert named.log.count(f"adding an RR at '{RECORD}' TXT") == 3
    assert texts_of(RECORD, named.server, 5) == ["foreign"]
    assert named.secret not in json.dumps(answer)
    again = {**usual, "nsupdate_key": named.key, "nsupdate_zone": ZONE, "names": [ZONE]}
    assert acme.issue(**again)[0].verdict == "ok"
    assert texts_of(RECORD, named.server, 5) == ["foreign"]
    assert acme.leftovers() == []
