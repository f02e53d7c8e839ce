# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server is asked for TLS in a protocol that begins without it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Nothing may follow a server's consent: what somebody on the way puts behind it would be taken for what came encrypted.
"""

from __future__ import annotations

import io
import re
import socket
import struct
import time
import typing as t

#: Where each protocol is usually spoken.
PORTS = {"none": 443, "smtp": 25, "imap": 143, "postgres": 5432, "ldap": 389}

_LONGEST_LINE = 4096
_MOST_LINES = 200
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_LDAP_OID = b"1.3.6.1.4.1.1466.20037"
#: LDAPMessage 1, ExtendedRequest, requestName (RFC 4511, 4.14.1)
_LDAP_REQUEST = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + _LDAP_OID
_LDAP_EXTENDED_RESPONSE = 0x78
_BER_LONG = 0x80
_NO_LDAP = "its answer is not that of an LDAP server"
#: RFC 5321, 4.1.2. Hosts may be called otherwise, and servers such as Exim refuse what is not of this kind.
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)


class NoTls(Exception):
    """The server did not consent; the text says what it said."""


class Conversation:
    """A connection on which every wait counts against one deadline, however slowly the bytes come."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = b""

    @property
    def own_address(self) -> str:
        """The address from which it is spoken, as an IP address."""
        return str(self._connection.getsockname()[0])

    def send(self, data: bytes) -> None:
        self._allow()
        self._connection.sendall(data)

    def line(self) -> str:
        """The next line, without its end."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise NoTls("it sent a line without an end")
            self._buffer += self._receive()
        line, _end, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += self._receive()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def end(self) -> None:
        """:raises NoTls: when there is something behind the consent."""
        if self._buffer:
            raise NoTls("it sent something behind its consent to TLS, which must not be trusted")

    def _receive(self) -> bytes:
        self._allow()
        data = self._connection.recv(_LONGEST_LINE)
        if not data:
            raise NoTls("it closed the connection before TLS began")
        return data

    def _allow(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        self._connection.settimeout(left)


def ask_for_tls(protocol: str, connection: socket.socket, deadline: float) -> None:
    """Bring the connection to where the TLS handshake begins.

    :raises NoTls: when the server does not consent.
    """
    if protocol != "none":
        conversation = Conversation(connection, deadline)
        _DIALOGUES[protocol](conversation)
        conversation.end()


def _smtp(conversation: Conversation) -> None:
    _expect_smtp(_reply(conversation), "220", "greeted")
    conversation.send(f"EHLO {_own_name(conversation)}\r\n".encode("ascii"))
    offered = _reply(conversation)
    _expect_smtp(offered, "250", "answered EHLO")
    if not any(line[4:].strip().upper() == "STARTTLS" for line in offered):
        raise NoTls("it does not offer STARTTLS")
    conversation.send(b"STARTTLS\r\n")
    _expect_smtp(_reply(conversation), "220", "answered STARTTLS")


def _own_name(conversation: Conversation) -> str:
    """The host's name, or its address where that is no name of a domain (RFC 5321, 4.1.4)."""
    name = socket.gethostname()
    if _DOMAIN.fullmatch(name):
        return name
    address = conversation.own_address.partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _reply(conversation: Conversation) -> list[str]:
    """The lines of one answer: all but the last have a dash behind the code (RFC 5321, 4.2.1)."""
    lines = []
    for _number in range(_MOST_LINES):
        lines.append(conversation.line())
        if lines[-1][3:4] != "-":
            return lines
    raise NoTls("its answer has no end")


def _expect_smtp(lines: t.Sequence[str], code: str, did: str) -> None:
    if lines[-1][:3] != code:
        raise NoTls(f"it {did} with {lines[-1][:80]!r}")


def _imap(conversation: Conversation) -> None:
    greeting = conversation.line()
    if not greeting.upper().startswith("* OK"):
        raise NoTls(f"it greeted with {greeting[:80]!r}")
    conversation.send(b"a1 STARTTLS\r\n")
    for _number in range(_MOST_LINES):
        line = conversation.line()
        if line.lower().startswith("a1 "):
            if not line.upper().startswith("A1 OK"):
                raise NoTls(f"it answered STARTTLS with {line[:80]!r}")
            return
    raise NoTls("its answer has no end")


def _postgres(conversation: Conversation) -> None:
    conversation.send(_SSL_REQUEST)
    answer = conversation.exactly(1)
    if answer == b"N":
        raise NoTls("it has no TLS (ssl is off)")
    if answer != b"S":
        raise NoTls("its answer is not that of a PostgreSQL server")


def _ldap(conversation: Conversation) -> None:
    conversation.send(_LDAP_REQUEST)
    message = _reading(_element(conversation.exactly, 0x30))
    _element(message, 0x02)
    response = _reading(_element(message, _LDAP_EXTENDED_RESPONSE))
    code = int.from_bytes(_element(response, 0x0A), "big")
    if code:
        _element(response, 0x04)
        said = _element(response, 0x04).decode("utf-8", "replace")
        raise NoTls(f"it answered StartTLS with result {code} ({said[:80]})")


def _element(read: t.Callable[[int], bytes], tag: int) -> bytes:
    """The value of the next element in BER, which must have this tag."""
    found, length = read(2)
    if length & _BER_LONG:
        length = int.from_bytes(read(min(length & ~_BER_LONG, 4) or 1), "big")
    if found != tag or length > _LONGEST_LINE:
        raise NoTls(_NO_LDAP)
    return read(length)


def _reading(data: bytes) -> t.Callable[[int], bytes]:
    stream = io.BytesIO(data)

    def read(count: int) -> bytes:
        found = stream.read(count)
        if len(found) < count:
            raise NoTls(_NO_LDAP)
        return found

    return read


_DIALOGUES: dict[str, t.Callable[[Conversation], None]] = {
    "smtp": _smtp,
    "imap": _imap,
    "postgres": _postgres,
    "ldap": _ldap,
}
