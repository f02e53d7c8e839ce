# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server staples an OCSP answer (RFC 6066, 8), which Python's ssl lets nobody ask for.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A greeting of TLS 1.2 by hand: the server says in its own greeting, in clear, whether it is going to staple. There the
connection ends.
"""

from __future__ import annotations

import os
import socket
import struct
import time
import typing as t

from .names import is_address

_HANDSHAKE, _SERVER_HELLO = 22, 2
_TLS_1_2 = 0x0303
_SERVER_NAME, _STATUS_REQUEST, _GROUPS, _POINTS, _SIGNATURES = 0, 5, 10, 11, 13
_LONGEST = 1 << 14
#: ECDHE with AES-GCM and ChaCha20 for ECDSA and RSA, then what older servers have.
_CIPHERS = (0xC02B, 0xC02C, 0xCCA9, 0xC02F, 0xC030, 0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035)
_CURVES = (0x001D, 0x0017, 0x0018)
_ALGORITHMS = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807)


def greet(name: str) -> bytes:
    """The first record of a client that would like an OCSP answer."""
    extensions = b""
    if name and not is_address(name):
        host = name.encode("ascii")
        entry = b"\0" + struct.pack("!H", len(host)) + host
        extensions += _extension(_SERVER_NAME, struct.pack("!H", len(entry)) + entry)
    extensions += _extension(_STATUS_REQUEST, b"\x01\0\0\0\0")
    extensions += _extension(_GROUPS, _numbers(_CURVES)) + _extension(_POINTS, b"\x01\0")
    extensions += _extension(_SIGNATURES, _numbers(_ALGORITHMS))
    hello = struct.pack("!H", _TLS_1_2) + os.urandom(32) + b"\0" + _numbers(_CIPHERS) + b"\x01\0"
    hello += struct.pack("!H", len(extensions)) + extensions
    message = b"\x01" + struct.pack("!I", len(hello))[1:] + hello
    return struct.pack("!BHH", _HANDSHAKE, 0x0301, len(message)) + message


def staples(connection: socket.socket, name: str, deadline: float) -> bool | None:
    """Whether an OCSP answer would come with its certificate. None: it does not greet a client of TLS 1.2.

    :raises OSError: when it does not answer in time.
    """
    connection.settimeout(max(0.01, deadline - time.monotonic()))
    connection.sendall(greet(name))
    try:
        kind, _version, length = struct.unpack("!BHH", _exactly(connection, 5, deadline))
        if kind != _HANDSHAKE or length > _LONGEST:
            return None
        return _says_so(_exactly(connection, length, deadline))
    except (struct.error, IndexError):
        return None


def _says_so(message: bytes) -> bool | None:
    if message[0] != _SERVER_HELLO:
        return None
    body = message[4 : 4 + int.from_bytes(message[1:4], "big")]
    at = 2 + 32
    at += 1 + body[at] + 2 + 1  # its session, the cipher, the compression
    end = at + 2 + struct.unpack("!H", body[at : at + 2])[0] if at < len(body) else 0
    at += 2
    while at < end:
        kind, length = struct.unpack("!HH", body[at : at + 4])
        if kind == _STATUS_REQUEST:
            return True
        at += 4 + length
    return False


def _exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
    data = b""
    while len(data) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        connection.settimeout(left)
        more = connection.recv(count - len(data))
        if not more:
            raise struct.error("it closed the connection")
        data += more
    return data


def _extension(kind: int, content: bytes) -> bytes:
    return struct.pack("!HH", kind, len(content)) + content


def _numbers(values: t.Sequence[int]) -> bytes:
    packed = b"".join(struct.pack("!H", value) for value in values)
    return struct.pack("!H", len(packed)) + packed
