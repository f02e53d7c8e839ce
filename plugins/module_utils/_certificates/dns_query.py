# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question to one DNS server: the TXT records of a name (RFC 1035), which the standard library cannot ask for.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import socket
import struct

_TXT, _IN = 16, 1
_NO_SUCH_NAME = 3
_TRUNCATED = 0x0200
_LARGEST = 65535
_POINTER = 0xC0
_MOST_JUMPS = 64


class DnsError(Exception):
    """The server gave no answer that can be read; the text says why."""


def system_resolvers(path: str = "/etc/resolv.conf") -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return re.findall(r"^\s*nameserver\s+(\S+)", file.read(), re.MULTILINE)
    except OSError:
        return []


def texts_of(name: str, server: str, timeout: float) -> list[str]:
    """The TXT records of a name, also behind aliases; none where there is no such name.

    :param server: an address, with a port behind a # where it is not 53.
    :raises DnsError: when there is no answer.
    """
    host, _hash, port = server.partition("#")
    number = int.from_bytes(os.urandom(2), "big")
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack("!HH", _TXT, _IN)
    query = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question
    place = (host, int(port or 53))
    try:
        answer = _over_udp(query, place, timeout)
        if struct.unpack("!H", answer[2:4])[0] & _TRUNCATED:
            answer = _over_tcp(query, place, timeout)
        return _read(answer, number)
    except OSError as exc:
        raise DnsError(f"the DNS server {server} does not answer: {exc.strerror or exc}") from None
    except (struct.error, IndexError, ValueError):
        raise DnsError(f"the DNS server {server} gave an answer that cannot be read") from None


def _over_udp(query: bytes, place: tuple[str, int], timeout: float) -> bytes:
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(timeout)
        asking.connect(place)
        asking.send(query)
        return asking.recv(_LARGEST)


def _over_tcp(query: bytes, place: tuple[str, int], timeout: float) -> bytes:
    with socket.create_connection(place, timeout) as asking:
        asking.sendall(struct.pack("!H", len(query)) + query)
        with asking.makefile("rb") as answering:
            length = struct.unpack("!H", answering.read(2))[0]
            return answering.read(length)


def _read(answer: bytes, number: int) -> list[str]:
    head = struct.unpack("!HHHHHH", answer[:12])
    if head[0] != number:
        raise ValueError("the answer to another question")
    code = head[1] & 0xF
    if code == _NO_SUCH_NAME:
        return []
    if code:
        raise DnsError(f"the DNS server answered with code {code}")
    at = 12
    for _question in range(head[2]):
        at = _after_name(answer, at) + 4
    found = []
    for _record in range(head[3]):
        at = _after_name(answer, at)
        kind, _class, _ttl, length = struct.unpack("!HHIH", answer[at : at + 10])
        data, at = answer[at + 10 : at + 10 + length], at + 10 + length
        if kind == _TXT:
            found.append(_joined(data))
    return found


def _after_name(answer: bytes, at: int) -> int:
    for _jump in range(_MOST_JUMPS):
        length = answer[at]
        if length & _POINTER == _POINTER:
            return at + 2
        at += length + 1
        if not length:
            return at
    raise ValueError("a name without an end")


def _joined(data: bytes) -> str:
    """A record is a list of short strings that belong together."""
    text, at = b"", 0
    while at < len(data):
        text, at = text + data[at + 1 : at + 1 + data[at]], at + 1 + data[at]
    return text.decode("ascii", "replace")
