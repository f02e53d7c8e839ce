# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_info asks a real Exim, a real Dovecot and a real slapd for TLS, each in its own protocol."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest
from support.certificates import Authority, Issued
from support.directory_server import Slapd
from support.mail_servers import Dovecot, Exim, EximThatHelpsItself
from support.modules import finish_module, run_module, start_module
from support.postgres import wait_for
from support.unpacked import UnpackedServer

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import write_time

pytestmark = pytest.mark.mail

NAME = "mail.example.com"
PROTOCOLS: dict[type[UnpackedServer], str] = {Exim: "smtp", EximThatHelpsItself: "smtp", Dovecot: "imap", Slapd: "ldap"}

every_server = pytest.mark.parametrize("kind", [Exim, Dovecot, Slapd])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Intermediate", Authority())


@pytest.fixture
def trust(tmp_path: pathlib.Path, authority: Authority) -> str:
    assert authority.parent is not None
    return authority.parent.write(tmp_path)


def _at(server: UnpackedServer, starttls: str, **about: t.Any) -> dict[str, t.Any]:
    return {"host": NAME, "port": server.port, "addresses": ["127.0.0.1"], "starttls": starttls, **about}


def _look(server: UnpackedServer, trust: str, stapling: bool = False, **about: t.Any) -> dict[str, t.Any]:
    endpoint = _at(server, PROTOCOLS[type(server)], **about)
    return run_module("certificate_info", {"endpoints": [endpoint], "trust": trust, "stapling": stapling})


def _served(server: UnpackedServer, trust: str) -> str:
    (seen,) = _look(server, trust)["endpoints"]
    return str(seen["certificate"]["fingerprint"]) if seen["looked"] else str(seen["reason"])


def _ids(answer: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(finding["id"], finding["severity"]) for finding in answer["findings"]]


@every_server
def test_what_a_real_server_serves_is_read_rightly(
    kind: type[UnpackedServer], tmp_path: pathlib.Path, authority: Authority, trust: str
) -> None:
    issued = authority.issue(NAME, "example.com", days=90, left=60)
    pair = issued.write(tmp_path)
    with kind(issued) as server:
        answer = _look(server, trust, stapling=True, certificate=str(pair.certificate))
    assert (answer["verdict"], answer["findings"], answer["reason"]) == ("ok", [], "")
    assert answer["coverage"] == {"looked": 1, "of": 1}
    (seen,) = answer["endpoints"]
    assert (seen["trusted"], seen["names_match"], seen["matches_disk"], seen["staples"]) == (True, True, True, False)
    told, certificate = seen["certificate"], issued.certificate
    assert told["fingerprint"] == issued.fingerprint
    assert told["names"] == [NAME, "example.com"]
    assert told["not_before"] == write_time(certificate.not_valid_before_utc)
    assert told["not_after"] == write_time(certificate.not_valid_after_utc)
    assert told["serial"] == f"{certificate.serial_number:x}"
    assert told["issuer"] == "CN=Intermediate"
    assert [above["fingerprint"] for above in seen["chain"]] == [Issued(authority.certificate, None).fingerprint]


@every_server
def test_after_the_exchange_the_new_certificate_is_told(
    kind: type[UnpackedServer], authority: Authority, trust: str
) -> None:
    old, new = authority.issue(NAME, left=40), authority.issue(NAME, left=89)
    with kind(old) as server:
        assert _served(server, trust) == old.fingerprint
        server.exchange(new)
        server.take_up()
        wait_for(lambda: _served(server, trust) == new.fingerprint, "the new certificate is served")


@pytest.mark.parametrize("kind", [Dovecot, Slapd])
def test_a_server_that_was_not_told_of_the_exchange_is_found(
    kind: type[UnpackedServer], tmp_path: pathlib.Path, authority: Authority, trust: str
) -> None:
    """Exim is left out: it watches its files, and takes them up some seconds later."""
    old, new = authority.issue(NAME, left=40), authority.issue(NAME, left=89)
    pair = new.write(tmp_path)
    with kind(old) as server:
        assert _served(server, trust) == old.fingerprint
        server.exchange(new)
        answer = _look(server, trust, certificate=str(pair.certificate))
    assert _ids(answer) == [("served-differs", "high")]
    assert answer["endpoints"][0]["certificate"]["fingerprint"] == old.fingerprint


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Exim, "it does not offer STARTTLS"),
        (Dovecot, """it answered STARTTLS with "a1 BAD TLS support isn't enabled.\""""),
        (Slapd, "it answered StartTLS with result 2 (unsupported extended operation)"),
    ],
)
def test_a_server_without_tls_is_unknown_and_it_is_said_why(kind: type[UnpackedServer], why: str, trust: str) -> None:
    with kind(None) as server:
        answer = _look(server, trust)
    assert (answer["failed"], answer["verdict"]) == (True, "unknown")
    assert answer["coverage"] == {"looked": 0, "of": 1}
    assert answer["reason"] == f"{NAME}:{server.port} at 127.0.0.1: {why}"
    assert (answer["endpoints"][0]["looked"], answer["endpoints"][0]["certificate"]) == (False, None)


def test_another_protocol_at_the_port_fails_in_time_and_it_is_said_why(authority: Authority, trust: str) -> None:
    issued = authority.issue(NAME)
    mute, no_ldap = "its request for TLS was not over after 2 s", "its answer is not that of an LDAP server"
    no_postgres, no_tls = "its answer is not that of a PostgreSQL server", "there is no TLS handshake with it ("
    gone = "it closed the connection before TLS began"
    with Exim(issued) as exim, Dovecot(issued) as dovecot, Slapd(issued) as slapd:
        asked = [
            *((exim, "imap", "it greeted with '220 mail.example.com ESMTP Exim"), (exim, "ldap", no_ldap)),
            *((exim, "postgres", no_postgres), (exim, "none", no_tls)),
            *((dovecot, "smtp", "it greeted with '* OK [CAPABILITY IMAP4rev1"), (dovecot, "ldap", no_ldap)),
            *((dovecot, "postgres", no_postgres), (dovecot, "none", no_tls)),
            *((slapd, "smtp", mute), (slapd, "imap", mute), (slapd, "postgres", gone), (slapd, "none", no_tls)),
        ]
        endpoints = [_at(server, protocol) for server, protocol, _why in asked]
        answer = run_module("certificate_info", {"endpoints": endpoints, "trust": trust, "timeout": "2s"})
    assert (answer["failed"], answer["verdict"]) == (True, "unknown")
    assert answer["coverage"] == {"looked": 0, "of": len(asked)}
    reasons = [seen["reason"] for seen in answer["endpoints"]]
    assert [reason[: len(why)] for reason, (_server, _protocol, why) in zip(reasons, asked)] == [
        why for _server, _protocol, why in asked
    ]


@every_server
def test_what_nobody_should_trust_is_looked_at_all_the_same(kind: type[UnpackedServer], trust: str) -> None:
    issued = Authority("Somebody Else").issue("other.example.com", left=-1)
    with kind(issued) as server:
        answer = _look(server, trust)
    assert (answer["failed"], answer["verdict"]) == (False, "findings")
    found = {(each, "critical") for each in ("certificate-expired", "certificate-name", "certificate-untrusted")}
    assert set(_ids(answer)) == found
    assert answer["endpoints"][0]["certificate"]["fingerprint"] == issued.fingerprint


def test_the_certificate_that_exim_makes_up_for_want_of_one_is_not_taken_for_well(trust: str) -> None:
    with EximThatHelpsItself(None) as server:
        answer = _look(server, trust)
    assert answer["verdict"] == "findings"
    assert ("certificate-untrusted", "critical") in _ids(answer)


def test_exim_is_greeted_by_a_host_whose_name_is_none_of_a_domain(authority: Authority, trust: str) -> None:
    """Exim refuses an EHLO with a name such as this one, which Linux takes."""
    renamed = "import os, socket, sys; socket.sethostname('mail_host'); os.execvp(sys.argv[1], sys.argv[1:])"
    namespace = ["unshare", "--user", "--map-current-user", "--keep-caps", "--uts", sys.executable, "-c", renamed]
    with Exim(authority.issue(NAME)) as server:
        arguments = {"endpoints": [_at(server, "smtp")], "trust": trust}
        answer = finish_module(start_module("certificate_info", arguments, prefix=namespace))
    assert (answer["verdict"], answer["reason"]) == ("ok", "")


def test_exim_logs_no_error_of_a_look(authority: Authority, trust: str) -> None:
    with Exim(authority.issue(NAME)) as server:
        assert _look(server, trust)["verdict"] == "ok"
        # The first one was made to see whether it has started.
        wait_for(lambda: server.log.count(" D=") == 2, "the end of both connections in the log")
        log = server.log
    assert "TLS error" not in log
