# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real handshakes with servers that are well, sick, dead, mute or no TLS servers at all."""

from __future__ import annotations

import pathlib
import socket
import ssl
import sys
import typing as t

import pytest
from support.certificates import CLIENT, DAY, Authority, Issued, now, rsa_key, self_signed
from support.tls_servers import DIALOGUES, Server, context_of, drips, free_address, says

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.handshake import (
    Clients,
    Endpoint,
    Look,
    addresses_of,
    look,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.judging import (
    Rules,
    findings_at_address,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import Trust
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._core.thresholds import parse_limits

NAME = "www.example.com"
#: From 3.10 on Python tells what came beside the server's own certificate.
TELLS_CHAIN = sys.version_info >= (3, 10)


class Place:
    """A root, an authority below it, and clients that trust the root."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.root = Authority()
        self.authority = Authority("Intermediate", self.root)
        self.clients = Clients(Trust(self.root.write(directory)))

    def look(self, issued: Issued | None, **about: t.Any) -> Look:
        dialogue = about.pop("dialogue", None)
        host = about.pop("host", "127.0.0.1")
        timeout = about.pop("timeout", 10)
        context = context_of(issued, self.directory) if issued else None
        with Server(context, dialogue, host) as server:
            endpoint = Endpoint(NAME, server.port, (host,), NAME, names=(NAME,), **about)
            return look(endpoint, host, self.clients, timeout)

    def ids(self, issued: Issued, **about: t.Any) -> list[str]:
        seen = self.look(issued, **about)
        assert seen.reason == ""
        rules = Rules(parse_limits({"high": "< 10%", "medium": "< 25%"}, "percent"), now())
        return [finding.id for finding in findings_at_address(seen, rules)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("handshakes"))


@pytest.mark.parametrize("protocol", sorted(DIALOGUES))
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_healthy_server_is_seen_as_such(place: Place, protocol: str, host: str) -> None:
    issued = place.authority.issue(NAME)
    seen = place.look(issued, dialogue=DIALOGUES[protocol], starttls=protocol, host=host)
    assert seen.reason == ""
    assert seen.certificate is not None
    assert seen.certificate.fingerprint == issued.fingerprint
    assert (seen.is_trusted, seen.out_of_date, seen.protocol) == (True, False, "TLSv1.3")
    assert place.ids(issued, dialogue=DIALOGUES[protocol], starttls=protocol, host=host) == []


def test_the_chain_is_told_as_it_was_served_or_as_not_known(place: Place) -> None:
    chain = place.look(place.authority.issue(NAME)).chain
    if TELLS_CHAIN:
        assert [each.subject for each in chain or ()] == [f"CN={NAME}", "CN=Intermediate"]
    else:
        assert chain is None


def test_a_server_that_is_well_sees_one_connection(place: Place) -> None:
    with Server(context_of(place.authority.issue(NAME), place.directory)) as server:
        look(Endpoint(NAME, server.port, server_name=NAME), "127.0.0.1", place.clients, 10)
        assert server.handshakes <= 1  # it may not have noted its end yet


@pytest.mark.parametrize(
    ("about", "ids"),
    [
        ({"left": -1}, ["certificate-expired"]),
        ({"left": 90 + 1}, ["certificate-not-yet-valid"]),
        ({"left": 20}, ["certificate-ends-soon"]),
        ({"usages": CLIENT}, ["certificate-usage"]),
        ({"must_staple": True}, ["certificate-must-staple"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else "-".join(value),
)
def test_each_check_that_fails_is_told_by_itself(place: Place, about: dict[str, t.Any], ids: list[str]) -> None:
    assert place.ids(place.authority.issue(NAME, **about)) == ids


def test_a_wrong_name_is_told(place: Place) -> None:
    assert place.ids(place.authority.issue("other.example.com")) == ["certificate-name"]
    assert place.ids(place.authority.issue()) == ["certificate-name"]


def test_who_is_not_trusted_is_told_with_the_reason(place: Place) -> None:
    stranger = Authority("Stranger").issue(NAME)
    for issued, said in (
        (stranger, "its issuer is neither sent with it nor in the trust bundle"),
        (self_signed(NAME), "it is self-signed"),
        (Issued(stranger.certificate, stranger.key, (Authority("Stranger").certificate,)), "in the trust bundle"),
    ):
        seen = place.look(issued)
        assert seen.is_trusted is False
        assert seen.problem is not None
        assert said in seen.problem.text
        assert place.ids(issued)[0] == "certificate-untrusted"


def test_a_chain_that_is_not_sent_is_told(place: Place) -> None:
    issued = place.authority.issue(NAME)
    assert place.ids(Issued(issued.certificate, issued.key)) == ["certificate-untrusted"]


def test_two_faults_at_once_are_two_findings(place: Place) -> None:
    ids = place.ids(Authority("Stranger").issue("other.example.com", left=-1))
    assert ids == ["certificate-expired", "certificate-name", "certificate-untrusted"]


def test_an_authority_out_of_date_is_not_taken_for_the_certificate(place: Place) -> None:
    old = Authority("Old", place.root, now() - 100 * DAY, now() - DAY)
    assert place.ids(old.issue(NAME)) == ["chain-out-of-date"]
    assert place.ids(old.issue(NAME, left=-2)) == ["certificate-expired"] + ["chain-out-of-date"] * TELLS_CHAIN


def test_a_chain_out_of_order_is_told_where_it_is_known(place: Place) -> None:
    above = Authority("Second", place.authority)
    issued = above.issue(NAME)
    mixed = Issued(issued.certificate, issued.key, (place.authority.certificate, above.certificate))
    assert place.ids(mixed) == ["chain-order"] * TELLS_CHAIN


def test_a_key_that_is_too_weak_is_looked_at(place: Place) -> None:
    issued = place.authority.issue(NAME, key=rsa_key(1024))
    files = issued.write(place.directory, "weak")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(str(files.certificate), str(files.key))
    with Server(context) as server:
        seen = look(Endpoint(NAME, server.port, server_name=NAME), "127.0.0.1", place.clients, 10)
    assert seen.reason == ""
    found = findings_at_address(seen, Rules({}, now()))
    assert "certificate-key-weak" in [finding.id for finding in found]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_server_with_old_protocols_alone_is_looked_at_all_the_same(place: Place) -> None:
    context = context_of(place.authority.issue(NAME), place.directory)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with Server(context) as server:
        seen = look(Endpoint(NAME, server.port, server_name=NAME), "127.0.0.1", place.clients, 10)
    assert (seen.reason, seen.protocol, seen.is_trusted) == ("", "TLSv1.1", None)
    assert [finding.id for finding in findings_at_address(seen, Rules({}, now()))] == ["handshake-weak"]


# -- what cannot be looked at --------------------------------------------------------------------------------


def test_dead_mute_and_foreign_servers_could_not_be_looked_at(place: Place) -> None:
    dead = look(Endpoint(NAME, free_address()), "127.0.0.1", place.clients, 5)
    assert "connection failed: Connection refused" in dead.reason
    assert "TLS handshake was not over after 300 ms" in place.look(None, timeout=0.3).reason
    assert "no TLS handshake" in place.look(None, dialogue=says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).reason
    gone = place.look(None, dialogue=lambda _connection: False).reason
    assert "handshake" in gone


def test_a_server_that_drips_takes_no_longer_than_its_time(place: Place) -> None:
    seen = place.look(None, dialogue=drips, starttls="smtp", timeout=0.4)
    assert seen.reason == "its request for TLS was not over after 400 ms"


def test_what_says_no_to_tls_is_told(place: Place) -> None:
    assert place.look(None, dialogue=says(b"N"), starttls="postgres").reason == "it has no TLS (ssl is off)"


def test_a_name_has_its_addresses_and_no_others() -> None:
    assert addresses_of(Endpoint("localhost", 443, family="ipv4")) == ["127.0.0.1"]
    assert addresses_of(Endpoint("nowhere", 443, ("192.0.2.2", "192.0.2.1", "192.0.2.2"))) == ["192.0.2.2", "192.0.2.1"]
    with pytest.raises(socket.gaierror):
        addresses_of(Endpoint("nowhere.invalid", 443))


def test_a_bundle_that_cannot_be_read_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Clients(Trust(str(tmp_path / "none.pem")))
    empty = tmp_path / "empty.pem"
    empty.write_text("hello\n")
    with pytest.raises(InputError, match="no certificate in PEM format"):
        Clients(Trust(str(empty)))
