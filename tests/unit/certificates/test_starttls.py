# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How servers are asked for TLS, and what they may answer instead."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from support.tls_servers import DIALOGUES, Server, drips, says

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.starttls import NoTls, ask_for_tls


def _ask(server: Server, protocol: str, seconds: float = 10) -> None:
    with contextlib.closing(socket.create_connection((server.host, server.port))) as connection:
        ask_for_tls(protocol, connection, time.monotonic() + seconds)


@pytest.mark.parametrize("protocol", sorted(DIALOGUES))
def test_a_server_that_consents_is_brought_to_where_tls_begins(protocol: str) -> None:
    with Server(None, DIALOGUES[protocol]) as server:
        _ask(server, protocol)


@pytest.mark.parametrize(
    ("protocol", "answer", "said"),
    [
        ("smtp", b"554 no\r\n", "it greeted with '554 no'"),
        ("smtp", b"220 hi\r\n250-a\r\n250 SIZE\r\n", "it does not offer STARTTLS"),
        ("smtp", b"220 hi\r\n502 what\r\n", "it answered EHLO with '502 what'"),
        ("smtp", b"220 hi\r\n250 STARTTLS\r\n454 not now\r\n", "it answered STARTTLS with '454 not now'"),
        ("smtp", b"220 hi\r\n250 STARTTLS\r\n220 go\r\n250 stolen\r\n", "behind its consent"),
        ("smtp", b"220-" + b"x" * 9000, "a line without an end"),
        ("smtp", b"220-hi\r\n" * 300, "its answer has no end"),
        ("imap", b"* BYE full\r\n", r"it greeted with '\* BYE full'"),
        ("imap", b"* OK hi\r\na1 NO never\r\n", "it answered STARTTLS with 'a1 NO never'"),
        ("imap", b"* OK hi\r\n" + b"* OK more\r\n" * 300, "its answer has no end"),
        ("imap", b"* OK hi\r\na1 OK go\r\n* stolen\r\n", "behind its consent"),
        ("postgres", b"N", "it has no TLS"),
        ("postgres", b"HTTP/1.1 400", "not that of a PostgreSQL server"),
        ("postgres", b"SE", "behind its consent"),
        ("ldap", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00", "result 2"),
        ("ldap", b"HTTP/1.1 400", "not that of an LDAP server"),
        ("ldap", b"\x30\x84\xff\xff\xff\xff", "not that of an LDAP server"),
        ("ldap", b"\x30\x03\x02\x01\x01", "not that of an LDAP server"),
    ],
)
def test_a_server_that_does_not_consent_is_told(protocol: str, answer: bytes, said: str) -> None:
    with Server(None, says(answer)) as server, pytest.raises(NoTls, match=said):
        _ask(server, protocol)


@pytest.mark.parametrize(
    ("own", "host", "said"),
    [
        ("web1.example.com", "127.0.0.1", "web1.example.com"),
        ("localhost", "127.0.0.1", "localhost"),
        ("web_1", "127.0.0.1", "[127.0.0.1]"),
        ("wéb", "127.0.0.1", "[127.0.0.1]"),
        ("web1\r\nSTARTTLS", "127.0.0.1", "[127.0.0.1]"),
        ("web1.example.com.", "127.0.0.1", "[127.0.0.1]"),
        ("", "127.0.0.1", "[127.0.0.1]"),
        ("web_1", "::1", "[IPv6:::1]"),
    ],
)
def test_a_mail_server_is_told_a_name_of_a_domain_or_the_address(
    own: str, host: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    def listen(connection: socket.socket) -> bool:
        connection.sendall(b"220 hi\r\n")
        heard.append(connection.recv(256))
        connection.sendall(b"250 STARTTLS\r\n")
        connection.recv(256)
        connection.sendall(b"220 go ahead\r\n")
        return True

    monkeypatch.setattr(socket, "gethostname", lambda: own)
    with Server(None, listen, host) as server:
        _ask(server, "smtp")
    assert heard == [f"EHLO {said}\r\n".encode()]


@pytest.mark.parametrize("protocol", ["smtp", "imap", "postgres", "ldap"])
def test_a_server_that_says_nothing_is_not_waited_for_for_long(protocol: str) -> None:
    with Server(None) as server, pytest.raises(socket.timeout):
        _ask(server, protocol, 0.2)


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
def test_a_server_that_drips_has_one_deadline_for_all(protocol: str) -> None:
    with Server(None, drips) as server, pytest.raises(socket.timeout):
        _ask(server, protocol, 0.3)


def test_a_server_that_goes_away_is_told() -> None:
    with Server(None, lambda _connection: False) as server, pytest.raises(NoTls, match="closed the connection"):
        _ask(server, "smtp")
