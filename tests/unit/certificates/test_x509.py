# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys read as plain data, and the share of a lifetime that is left."""

from __future__ import annotations

import datetime

import pytest
from support.certificates import CLIENT, DAY, Authority, Issued, ec_key, now, pem_of_key, rsa_key, self_signed

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.x509 import (
    Certificate,
    CertificateError,
    certificates_in,
    public_key_of,
)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Intermediate", Authority())


def _read(issued: Issued) -> Certificate:
    return certificates_in(issued.pem)[0]


def test_what_is_asked_of_a_certificate_is_told(authority: Authority) -> None:
    issued = authority.issue("www.example.com", "192.0.2.7", "2001:db8::7", days=90, left=60, ocsp="http://ocsp.test")
    found = _read(issued)
    assert found.names == ("www.example.com", "192.0.2.7", "2001:db8::7")
    assert (found.subject, found.issuer) == ("CN=www.example.com", "CN=Intermediate")
    assert (found.key_type, found.key_size, found.signature_hash) == ("ec", 256, "sha256")
    assert found.fingerprint == issued.fingerprint
    assert found.not_after - found.not_before == 90 * DAY
    assert found.not_after.tzinfo is datetime.timezone.utc
    assert found.ocsp_urls == ("http://ocsp.test",)
    assert found.serves
    assert not found.must_staple
    assert not found.is_self_signed


def test_all_certificates_of_a_file_come_in_its_order(authority: Authority) -> None:
    issued = authority.issue("www.example.com")
    junk = b"subject=CN = www.example.com\r\n"
    found = certificates_in(junk + issued.fullchain.replace(b"\n", b"\r\n") + junk)
    assert [each.subject for each in found] == ["CN=www.example.com", "CN=Intermediate"]
    assert found[1].is_authority


def test_a_certificate_without_names_has_none(authority: Authority) -> None:
    found = _read(authority.issue())
    assert (found.names, found.common_name) == ((), "nameless")


def test_usages_and_must_staple_are_read(authority: Authority) -> None:
    assert not _read(authority.issue("a.example", usages=CLIENT)).serves
    assert _read(authority.issue("a.example", usages=None)).serves
    assert _read(authority.issue("a.example", must_staple=True)).must_staple
    assert _read(self_signed("a.example")).is_self_signed


@pytest.mark.parametrize("days", [90, 64, 47, 45, 6, 160 / 24])
def test_the_share_that_is_left_does_not_depend_on_the_length_of_the_life(authority: Authority, days: float) -> None:
    found = _read(authority.issue("a.example", days=days, left=days / 4))
    # The last second counts as well.
    assert found.fraction_left(now()) == pytest.approx(0.25, abs=0.0001)
    assert found.fraction_left(found.not_after + days * DAY) == pytest.approx(-1, abs=0.0001)
    assert found.fraction_left(found.not_before - DAY) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it has no certificate in PEM format"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "its last certificate was cut off"),
        (b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n", "certificate 1 in it cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 in it cannot be read"),
    ],
)
def test_what_is_no_certificate_is_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(CertificateError, match=said):
        certificates_in(data)


def test_one_damaged_certificate_of_several_is_named(authority: Authority) -> None:
    first, second = authority.issue("a.example").pem, authority.issue("b.example").pem
    with pytest.raises(CertificateError, match="certificate 2 in it cannot be read"):
        certificates_in(first + second.replace(second[100:140], b"A" * 40))
    with pytest.raises(CertificateError, match="its last certificate was cut off"):
        certificates_in(first + second[:200])


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ec", "rsa"])
def test_a_key_is_known_by_its_public_half(authority: Authority, key: object) -> None:
    issued = authority.issue("a.example", key=key)
    assert public_key_of(issued.key_pem) == _read(issued).public_key
    assert public_key_of(pem_of_key(ec_key())) != _read(issued).public_key
    assert public_key_of(issued.fullchain + issued.key_pem) == _read(issued).public_key


def test_an_encrypted_key_is_no_key_for_a_server() -> None:
    with pytest.raises(CertificateError, match="encrypted: no server could start"):
        public_key_of(pem_of_key(ec_key(), b"secret"))


def test_a_damaged_key_is_refused_without_a_word_of_it() -> None:
    whole = pem_of_key(ec_key())
    body = whole.splitlines()[1].decode()
    with pytest.raises(CertificateError, match="it is damaged") as caught:
        public_key_of(whole.replace(whole[60:80], b"A" * 20))
    assert body[:10] not in str(caught.value)
    with pytest.raises(CertificateError, match="it has no private key"):
        public_key_of(b"hello")
    with pytest.raises(CertificateError, match="it has 2 private keys"):
        public_key_of(whole + whole)
