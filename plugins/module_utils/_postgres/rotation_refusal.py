# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a login was refused, as the SQLSTATE that the server sends and libpq keeps to itself.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"The password is wrong" is the one refusal that says something of a password. That the server is down, has no connection
left, or has no line for this client in pg_hba.conf says nothing, and the words of all of them are in the server's
language. So the login is tried once more over the wire protocol (version 3.0) as far as its authentication goes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import socket
import ssl
import struct

from .connection import Login, PostgresError
from .rotation_scram import prepared

WRONG_PASSWORD = "28P01"  # noqa: S105 (an SQLSTATE)

_PROTOCOL = 196608
_SSL_REQUEST = 80877103
_OK, _CLEAR, _MD5, _SASL, _SASL_MORE, _SASL_END = 0, 3, 5, 10, 11, 12
_MECHANISM = "SCRAM-SHA-256"
_LARGEST = 2**20


class _Unclear(Exception):
    """The server does something else than expected."""


def sqlstate_of_login(login: Login, database: str) -> str:
    """The SQLSTATE with which the login is refused; an empty text when it is not.

    :raises PostgresError: when the server cannot be asked in this way.
    """
    if login.service or "," in login.host:
        raise PostgresError("a refused login cannot be looked into here: name one host in app_host")
    try:
        with contextlib.closing(_connected(login)) as stream:
            return _authenticate(stream, login, database)
    except (OSError, ValueError, struct.error, _Unclear) as exc:
        raise PostgresError(f"{login.place} cannot be asked why it refuses the login: {exc}") from None


def _connected(login: Login) -> socket.socket:
    host = login.host or login.unix_socket
    if not host or host.startswith("/"):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(login.connect_timeout)
        stream.connect(os.path.join(host or "/var/run/postgresql", f".s.PGSQL.{login.port}"))
        return stream
    stream = socket.create_connection((host, login.port), timeout=login.connect_timeout)
    if login.ssl_mode == "disable":
        return stream
    stream.sendall(struct.pack("!ii", 8, _SSL_REQUEST))
    if _exactly(stream, 1) != b"S":
        if login.ssl_mode in ("allow", "prefer"):
            return stream
        raise _Unclear("it has no TLS")
    context = ssl.create_default_context(cafile=login.ca_cert or None)
    context.check_hostname = login.ssl_mode == "verify-full"
    if login.ssl_mode not in ("verify-ca", "verify-full"):
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(stream, server_hostname=host)


def _authenticate(stream: socket.socket, login: Login, database: str) -> str:
    words = ("user", login.user, "database", database, "application_name", "steward.maintenance:secret")
    body = struct.pack("!i", _PROTOCOL) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
    stream.sendall(struct.pack("!i", len(body) + 4) + body)
    exchange: _Scram | None = None
    while True:
        kind, content = _message(stream)
        if kind == b"E":
            return _fields(content).get("C", "")
        if kind == b"Z":
            return ""
        if kind != b"R":
            continue
        (asked,) = struct.unpack("!i", content[:4])
        if asked == _CLEAR:
            _send(stream, login.password.encode() + b"\0")
        elif asked == _MD5:
            _send(stream, _md5(login, content[4:8]) + b"\0")
        elif asked == _SASL:
            if _MECHANISM not in content[4:].decode().split("\0"):
                raise _Unclear(f"it does not offer {_MECHANISM}")
            exchange = _Scram(login.password)
            first = exchange.first.encode()
            _send(stream, _MECHANISM.encode() + b"\0" + struct.pack("!i", len(first)) + first)
        elif asked == _SASL_MORE and exchange:
            _send(stream, exchange.answer(content[4:].decode()).encode())
        elif asked not in (_OK, _SASL_END):
            raise _Unclear(f"it asks for an authentication of kind {asked}")


class _Scram:
    """The client's side of RFC 5802, without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = prepared(password)
        self._nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        self._bare = f"n=,r={self._nonce}"
        self.first = f"n,,{self._bare}"

    def answer(self, challenge: str) -> str:
        told = dict(part.split("=", 1) for part in challenge.split(","))
        if not told["r"].startswith(self._nonce):
            raise _Unclear("it answers with another nonce")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(told["s"]), int(told["i"]))
        key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
        last = f"c=biws,r={told['r']}"
        message = ",".join((self._bare, challenge, last)).encode()
        signature = hmac.new(hashlib.sha256(key).digest(), message, hashlib.sha256).digest()
        proof = bytes(one ^ other for one, other in zip(key, signature))
        return f"{last},p={base64.b64encode(proof).decode()}"


def _md5(login: Login, salt: bytes) -> bytes:
    inner = hashlib.md5(login.password.encode() + login.user.encode()).hexdigest()  # noqa: S324 (the server's choice)
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()  # noqa: S324


def _send(stream: socket.socket, content: bytes) -> None:
    stream.sendall(b"p" + struct.pack("!i", len(content) + 4) + content)


def _message(stream: socket.socket) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!ci", _exactly(stream, 5))
    if not 4 <= length <= _LARGEST:
        raise _Unclear("it does not speak the protocol")
    return kind, _exactly(stream, length - 4)


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise _Unclear("it closed the connection")
        data += part
    return data


def _fields(content: bytes) -> dict[str, str]:
    parts = content.decode("utf-8", "replace").split("\0")
    return {part[0]: part[1:] for part in parts if part}
