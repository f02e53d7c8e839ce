# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, requests, and certificates of our own."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from support.certificates import Authority, ec_key, pem_of_key, rsa_key

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.ari import certificate_id
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.keys import (
    KINDS,
    is_of_kind,
    is_signed_by,
    load_key,
    new_key,
    request_for,
    sign,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.x509 import (
    CertificateError,
    certificates_in,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now

NAMES = ("www.example.com", "*.example.com", "192.0.2.7", "2001:db8::7")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rsa-4096"])
def test_a_key_of_each_kind_makes_a_certificate_of_that_kind(kind: str) -> None:
    key = new_key(kind)
    own = certificates_in(sign(key, NAMES, 86400, utc_now()))[0]
    assert is_of_kind(own, kind)
    assert [is_of_kind(own, other) for other in KINDS].count(True) == 1
    assert set(own.names) == set(NAMES)
    assert own.serves
    assert not own.is_authority
    assert is_signed_by(own.der, own.der)
    request = x509.load_der_x509_csr(request_for(key, NAMES))
    assert request.is_signature_valid
    assert list(request.subject) == []
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(NAMES[:2])


def test_a_certificate_of_a_new_authority_lives_as_long_as_it_should() -> None:
    """It begins when its authority does, which is later than five minutes ago."""
    begins = utc_now().replace(microsecond=0)
    authority = Authority(begins=begins)
    own = certificates_in(sign(ec_key(), NAMES, 90 * 86400, utc_now(), authority.certificate, authority.key))[0]
    assert (own.not_before, own.lifetime) == (begins, 90 * 86400 + 1)


def test_a_certificate_never_outlives_its_authority() -> None:
    ends = utc_now().replace(microsecond=0) + datetime.timedelta(days=10)
    authority = Authority(ends=ends)
    own = certificates_in(sign(ec_key(), NAMES, 90 * 86400, utc_now(), authority.certificate, authority.key))[0]
    assert own.not_after == ends
    assert is_signed_by(own.der, certificates_in(authority.pem)[0].der)
    assert not is_signed_by(own.der, certificates_in(Authority().pem)[0].der)


@pytest.mark.parametrize("key", [ec_key(), rsa_key()])
def test_a_key_that_cannot_be_read_is_named_and_not_quoted(key: object) -> None:
    pem, locked = pem_of_key(key), pem_of_key(key, b"open")
    numbers = [each.public_key().public_numbers() for each in (load_key(pem), load_key(locked, "open"))]
    assert numbers[0] == numbers[1]
    for data, phrase, told in (
        (pem, "open", "is not encrypted"), (locked, "", "is encrypted"), (locked, "shut", "the passphrase is wrong"),
        (b"nothing", "", "is damaged"),
    ):  # fmt: skip
        with pytest.raises(CertificateError, match=told):
            load_key(data, phrase)


def test_the_identifier_of_a_certificate_is_that_of_the_standard() -> None:
    """The example of RFC 9773, 4.1: this key identifier, and a serial number whose first bit is set."""
    identifier = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    key, name, now = ec_key(), x509.Name([]), utc_now()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(0x87654321).not_valid_before(now).not_valid_after(now)
    named = builder.add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
    pem = named.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert certificate_id(certificates_in(pem)[0]) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    without = builder.sign(key, hashes.SHA256())
    assert certificate_id(certificates_in(without.public_bytes(serialization.Encoding.PEM))[0]) == ""
