# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a challenge over HTTP as the authority is going to take it: at every address, along redirects.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import typing as t
import urllib.parse

from .names import is_address

_MOST_HOPS = 10
_MOST_BYTES = 2048
_OK, _REDIRECTS = 200, (301, 302, 303, 307, 308)
#: This host has no way to such an address, which says nothing of the address.
_NO_WAY = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ChallengeError(Exception):
    """The proof is not where the authority looks for it; the text says where and what is there instead."""


class LookSettings(t.Protocol):
    """What of the settings counts here."""

    @property
    def look_at(self) -> tuple[str, ...]: ...

    @property
    def port(self) -> int: ...

    @property
    def timeout(self) -> float: ...


def look_at_http(name: str, path: str, wanted: str, settings: LookSettings) -> None:
    """:raises ChallengeError: when it is not seen at every address that can be reached, or at none."""
    seen = 0
    for address in settings.look_at or _addresses_of(name):
        try:
            _look(name, address, path, wanted, settings)
            seen += 1
        except OSError as exc:
            if exc.errno not in _NO_WAY:
                why = exc.strerror or str(exc) or type(exc).__name__
                raise ChallengeError(f"{name} at {address} does not answer on port {settings.port}: {why}") from None
    if not seen:
        raise ChallengeError(f"no address of {name} can be reached from here: set look_first to false if that is right")


def _addresses_of(name: str) -> list[str]:
    if is_address(name):
        return [name]
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise ChallengeError(f"{name} has no address: {exc.strerror or exc}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _look(name: str, address: str, path: str, wanted: str, settings: LookSettings) -> None:
    where, connection = f"http://{name}{path}", _plain(name, address, settings)
    for _hop in range(_MOST_HOPS):
        status, location, content = _ask(connection, urllib.parse.urlsplit(where))
        if status in _REDIRECTS and location:
            where = urllib.parse.urljoin(where, location)
            connection = _redirected(name, where, settings)
            continue
        if status != _OK:
            raise ChallengeError(f"{name} at {address} answers {status} to {where}, where the challenge should be")
        if content.strip() != wanted.encode("ascii"):
            told = f"something else ({len(content)} bytes)" if content else "nothing"
            raise ChallengeError(f"{name} at {address} serves {told} as {where}, where the challenge should be")
        return
    raise ChallengeError(f"{name} at {address} redirects {_MOST_HOPS} times, last to {where}")


def _plain(name: str, address: str, settings: LookSettings) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(address, settings.port, timeout=settings.timeout)
    connection.connect()
    # The connection goes to the address, the request to the name.
    connection.host, connection.port = name, 80
    return connection


def _redirected(name: str, where: str, settings: LookSettings) -> http.client.HTTPConnection:
    """Authorities follow to http and https at their usual ports, and take any certificate there."""
    parts = urllib.parse.urlsplit(where)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise ChallengeError(f"{name} redirects to {where}, where no authority follows")
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port or settings.port, timeout=settings.timeout)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port or 443, timeout=settings.timeout, context=context)


def _ask(connection: http.client.HTTPConnection, parts: urllib.parse.SplitResult) -> tuple[int, str, bytes]:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location") or "", answer.read(_MOST_BYTES)
    except http.client.HTTPException as exc:
        raise OSError(None, f"it does not speak HTTP ({type(exc).__name__})") from None
    finally:
        connection.close()
