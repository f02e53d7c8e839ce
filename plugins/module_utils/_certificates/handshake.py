# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one address really serves: a connection, a TLS handshake, and the certificates that came.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A certificate that nobody should trust is looked at all the same. First as a client that checks everything; when that
fails because of dates, as one that leaves them out, so that dates and chain are told apart; else as one that takes what
comes. A server that is well sees one connection, a sick one up to three.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import socket
import ssl
import threading
import time

from .._core.durations import format_duration
from .names import is_address
from .stapling import staples
from .starttls import NoTls, ask_for_tls
from .trust import EXPIRED, NOT_YET_VALID, Problem, Trust, blind_context, only_with, problem_of
from .x509 import Certificate, CertificateError, certificate_from_der

_DER = 2  # _ssl.ENCODING_DER, of the classes that Python 3.10 to 3.12 have without documenting them


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Something that serves a certificate, at one address or at several."""

    host: str
    port: int
    #: Empty: all addresses that the name has.
    addresses: tuple[str, ...] = ()
    #: What the client asks for (SNI).
    server_name: str = ""
    starttls: str = "none"
    #: any, ipv4 or ipv6
    family: str = "any"
    #: For all of these it must be valid.
    names: tuple[str, ...] = ()
    #: The newest certificate among these files is the one that should be served; empty: that is not known.
    certificate: str = ""
    #: Of twins behind one name, the one with this type of key: any, ecdsa or rsa.
    key_type: str = "any"
    #: Look as well whether it staples an OCSP answer.
    asks_stapling: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + (f" ({self.key_type})" if self.key_type != "any" else "")

    def at(self, address: str) -> str:
        """The endpoint and one of its addresses, for people."""
        return str(self) if address in ("", self.host) else f"{self} at {address}"


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen at one address of an endpoint."""

    endpoint: Endpoint
    address: str
    #: Why it could not be looked at.
    reason: str = ""
    #: All that came, the server's own first.
    certificate: Certificate | None = None
    #: None: this Python cannot tell what came beside the server's own.
    chain: tuple[Certificate, ...] | None = None
    #: Why the chain does not lead to an authority that is trusted, dates apart.
    problem: Problem | None = None
    #: OpenSSL refused something in the chain because of its dates.
    out_of_date: bool = False
    protocol: str = ""
    #: Why a client with the usual settings does not get so far.
    weak: str = ""
    #: Whether an OCSP answer comes with it. None: nobody asked, or that cannot be seen in TLS 1.2.
    staples: bool | None = None

    @property
    def subject(self) -> str:
        return self.endpoint.at(self.address)

    @property
    def is_trusted(self) -> bool | None:
        """None: that is not known, for no client that checks it came so far."""
        return None if self.weak or not self.certificate else self.problem is None


class Clients:
    """The three clients. They are made once and shared by all threads: reading the system's authorities takes long."""

    def __init__(self, trust: Trust, key_type: str = "any") -> None:
        self.strict = only_with(trust.context(), key_type)
        self.timeless = only_with(trust.context(check_time=False), key_type)
        self.blind = only_with(blind_context(), key_type)
        self._trust = trust
        self._others: dict[str, Clients] = {}
        self._making = threading.Lock()

    def that_take(self, key_type: str) -> Clients:
        """Three others that have a server with twins show the one with this type of key."""
        if key_type == "any":
            return self
        with self._making:
            if key_type not in self._others:
                self._others[key_type] = Clients(self._trust, key_type)
            return self._others[key_type]


@dataclasses.dataclass(frozen=True)
class _Seen:
    served: tuple[bytes, ...]
    whole: bool
    protocol: str


class _Unseen(Exception):
    """It could not be looked at; the text says why."""


def look(endpoint: Endpoint, address: str, clients: Clients, timeout: float) -> Look:
    """Look at one address, for no longer than `timeout` seconds in all."""
    deadline = time.monotonic() + timeout
    clients = clients.that_take(endpoint.key_type)
    problem: Problem | None = None
    out_of_date, weak = False, ""
    try:
        try:
            seen = _shake_hands(endpoint, address, clients.strict, deadline, timeout)
        except ssl.SSLCertVerificationError as exc:
            problem = problem_of(exc)
            out_of_date = problem.code in (EXPIRED, NOT_YET_VALID)
            seen, problem = _second_look(endpoint, address, clients, (deadline, timeout), problem)
        except ssl.SSLError as exc:
            weak = _said(exc)
            seen = _shake_hands(endpoint, address, clients.blind, deadline, timeout)
        certificates = tuple(certificate_from_der(der) for der in seen.served)
    except ssl.SSLError as exc:
        who = "" if endpoint.key_type == "any" else f", by TLS 1.2 and with a key of the type {endpoint.key_type},"
        return Look(endpoint, address, f"there is no TLS handshake with it{who} ({_said(exc)})")
    except (_Unseen, CertificateError) as exc:
        return Look(endpoint, address, str(exc))
    chain = certificates if seen.whole else None
    stapled = _staples(endpoint, address, deadline) if endpoint.asks_stapling else None
    return Look(endpoint, address, "", certificates[0], chain, problem, out_of_date, seen.protocol, weak, stapled)


def _staples(endpoint: Endpoint, address: str, deadline: float) -> bool | None:
    try:
        with contextlib.closing(_connect(address, endpoint.port, deadline)) as connection:
            ask_for_tls(endpoint.starttls, connection, deadline)
            return staples(connection, endpoint.server_name, deadline)
    except (NoTls, OSError, ValueError):
        return None


def _second_look(
    endpoint: Endpoint, address: str, clients: Clients, limits: tuple[float, float], problem: Problem
) -> tuple[_Seen, Problem | None]:
    """Look again, after a client refused what it was offered; what remains of the problem without the dates."""
    if problem.code in (EXPIRED, NOT_YET_VALID):
        try:
            return _shake_hands(endpoint, address, clients.timeless, *limits), None
        except ssl.SSLCertVerificationError as exc:
            problem = problem_of(exc)
    return _shake_hands(endpoint, address, clients.blind, *limits), problem


def _shake_hands(endpoint: Endpoint, address: str, context: ssl.SSLContext, deadline: float, timeout: float) -> _Seen:
    """:raises ssl.SSLError: when there is no handshake.
    :raises _Unseen: when it does not even come to one.
    """
    doing = "connection"
    try:
        with contextlib.closing(_connect(address, endpoint.port, deadline)) as connection:
            doing = "request for TLS"
            ask_for_tls(endpoint.starttls, connection, deadline)
            doing = "TLS handshake"
            connection.settimeout(_left(deadline))
            name = endpoint.server_name or None
            with context.wrap_socket(connection, server_hostname=name, do_handshake_on_connect=False) as tls:
                tls.do_handshake()
                seen = _seen(tls)
                _take_leave(tls)
                return seen
    except NoTls as exc:
        raise _Unseen(str(exc)) from None
    except socket.timeout:
        raise _Unseen(f"its {doing} was not over after {format_duration(timeout)}") from None
    except ssl.SSLError:
        raise
    except (OSError, ValueError) as exc:
        # ValueError: a server name that Python does not take, such as one with a dot at its beginning.
        raise _Unseen(f"its {doing} failed: {getattr(exc, 'strerror', None) or exc}") from None


def _connect(address: str, port: int, deadline: float) -> socket.socket:
    family, kind, protocol, _name, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(_left(deadline))
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _seen(tls: ssl.SSLSocket) -> _Seen:
    own = tls.getpeercert(binary_form=True)
    if not own:
        raise _Unseen("it offers no certificate")
    chain = _chain_of(tls)
    return _Seen(tuple(chain or (own,)), bool(chain), tls.version() or "")


def _take_leave(tls: ssl.SSLSocket) -> None:
    """Say that the connection ends (close_notify), and do not wait for an answer.

    Servers such as Exim log a connection that just stops as an error of TLS.
    """
    with contextlib.suppress(OSError, ValueError):
        tls.settimeout(0)
        tls.unwrap()


def _chain_of(tls: ssl.SSLSocket) -> list[bytes]:
    """All certificates as they came; empty where Python cannot tell: it can from 3.10, and says so from 3.13 on."""
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return [bytes(der) for der in public()]
    private = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    if private is None:
        return []
    return [certificate.public_bytes(_DER) for certificate in private() or ()]


def _said(exc: ssl.SSLError) -> str:
    return str(exc.reason or exc.strerror or exc)


def addresses_of(endpoint: Endpoint) -> list[str]:
    """The addresses at which to look, each once, in the order in which the name has them.

    :raises OSError: when the name cannot be resolved.
    """
    if endpoint.addresses:
        return list(dict.fromkeys(endpoint.addresses))
    families = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
    found = socket.getaddrinfo(endpoint.host, endpoint.port, families[endpoint.family], socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


def family_of(address: str) -> str:
    version = ipaddress.ip_address(address.partition("%")[0]).version if is_address(address) else 0
    return {4: "ipv4", 6: "ipv6"}.get(version, "any")


def unlooked(endpoint: Endpoint, address: str, why: object) -> Look:
    return Look(endpoint, address, str(getattr(why, "strerror", None) or why))
