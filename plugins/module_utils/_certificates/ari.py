# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority's word on when a certificate should be renewed, asked over HTTP (RFC 9773).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import base64

from .acme_transport import AcmeError, Transport
from .keys import authority_identifier
from .renewal import AriFault, Window, window_of
from .x509 import Certificate

_SERVER_ERROR, _TOO_MANY = 500, 429


def certificate_id(certificate: Certificate) -> str:
    """What the authority knows the certificate by (RFC 9773, 4.1); empty where it has no authorityKeyIdentifier."""
    identifier = authority_identifier(certificate.der)
    if not identifier:
        return ""
    serial = int(certificate.serial, 16)
    # As in DER: one more octet where the first bit would make it negative.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{_encoded(identifier)}.{_encoded(octets)}"


def ask(transport: Transport, certificate: Certificate) -> Window:
    """:raises AriFault: when there is no answer that can be used."""
    base = transport.directory.get("renewalInfo")
    if not isinstance(base, str) or not base:
        raise AriFault("absent", "the authority says nothing about renewals")
    identifier = certificate_id(certificate)
    if not identifier:
        raise AriFault("no-identifier", "the certificate does not name its authority's key")
    try:
        answer = transport.get(f"{base.rstrip('/')}/{identifier}")
    except AcmeError as exc:
        if exc.kind == "unreadable":
            raise AriFault("malformed", str(exc), exc.retry_after) from None
        silent = exc.kind in ("unreachable", "slow")
        temporary = silent or exc.status >= _SERVER_ERROR or exc.status == _TOO_MANY
        raise AriFault("unreachable" if temporary else "refused", str(exc), exc.retry_after) from None
    return window_of(answer.body, answer.retry_after)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
