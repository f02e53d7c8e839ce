# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of certificates in files and at addresses, and what is refused before anything is looked at."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from support.certificates import DAY, Authority, Issued, ec_key, now, pem_of_key, rsa_key

from ansible_collections.steward.maintenance.plugins.module_utils._certificates import x509
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.arguments import settings_from
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.disk import (
    CertificateFile,
    look_at_file,
    newest_of,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.handshake import Endpoint, Look
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.info import Told, look_around
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.judging import (
    Rules,
    difference_to_disk,
    differences_between,
    findings_at_address,
    findings_in_file,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import Trust
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.x509 import (
    CertificateError,
    certificates_in,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Finding
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._core.thresholds import parse_limits

NAME = "www.example.com"
LIMITS = parse_limits({"high": "< 10%", "medium": "< 25%"}, "percent")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Intermediate", Authority())


@pytest.fixture
def trust(tmp_path: pathlib.Path, authority: Authority) -> Trust:
    assert authority.parent is not None
    return Trust(authority.parent.write(tmp_path))


def _in_file(issued: Issued, trust: Trust, directory: pathlib.Path, **about: t.Any) -> list[Finding]:
    pair = issued.write(directory)
    file = CertificateFile(str(pair.certificate), str(about.pop("key", pair.key)), names=(NAME,))
    seen = look_at_file(file, trust)
    assert seen.reason == ""
    return findings_in_file(seen, Rules(LIMITS, now()))


@pytest.mark.parametrize("days", [90, 64, 47, 45, 6, 160 / 24])
def test_soon_is_a_share_of_the_lifetime(
    authority: Authority, trust: Trust, tmp_path: pathlib.Path, days: float
) -> None:
    for share, severities in ((0.26, []), (0.24, ["medium"]), (0.09, ["high"]), (0.001, ["high"])):
        issued = authority.issue(NAME, days=days, left=days * share)
        found = _in_file(issued, trust, tmp_path)
        assert [finding.severity for finding in found] == severities, f"{share} of {days} days"
        assert {finding.id for finding in found} <= {"certificate-ends-soon"}


@pytest.mark.parametrize(("left", "id"), [(-0.001, "certificate-expired"), (91, "certificate-not-yet-valid")])
def test_out_of_date_is_told_apart(
    authority: Authority, trust: Trust, tmp_path: pathlib.Path, left: float, id: str
) -> None:
    (finding,) = _in_file(authority.issue(NAME, left=left), trust, tmp_path)
    assert (finding.id, finding.severity) == (id, "high")


def test_a_file_is_judged_like_what_is_served(authority: Authority, trust: Trust, tmp_path: pathlib.Path) -> None:
    assert _in_file(authority.issue(NAME), trust, tmp_path) == []
    assert [each.id for each in _in_file(Authority("X").issue("a.example"), trust, tmp_path)] == [
        "certificate-name",
        "certificate-untrusted",
    ]
    issued = authority.issue(NAME)
    alone = _in_file(Issued(issued.certificate, issued.key), trust, tmp_path)
    assert [each.id for each in alone] == ["certificate-untrusted"]
    assert "neither sent with it nor in the trust bundle" in alone[0].message


def test_what_is_wrong_with_a_key_is_told(authority: Authority, trust: Trust, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other.key"
    (missing,) = _in_file(authority.issue(NAME), trust, tmp_path, key=other)
    assert (missing.id, missing.severity) == ("key-missing", "critical")
    other.write_bytes(pem_of_key(ec_key()))
    other.chmod(0o600)
    (mismatch,) = _in_file(authority.issue(NAME), trust, tmp_path, key=other)
    assert (mismatch.id, mismatch.severity) == ("key-mismatch", "critical")
    issued = authority.issue(NAME)
    pair = issued.write(tmp_path / "exposed")
    pair.key.chmod(0o644)
    (exposed,) = _in_file(authority.issue(NAME, key=issued.key), trust, tmp_path, key=pair.key)
    assert (exposed.id, exposed.severity) == ("key-exposed", "high")


def test_a_bundle_of_authorities_has_all_its_dates_judged(trust: Trust, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bundle.pem"
    old = Authority("Old", begins=now() - 100 * DAY, ends=now() - DAY)
    path.write_bytes(Authority("New").pem + old.pem)
    seen = look_at_file(CertificateFile(str(path), authorities=True), trust)
    (finding,) = findings_in_file(seen, Rules(LIMITS, now()))
    assert finding.id == "certificate-expired"
    assert finding.message.startswith("CN=Old ended on ")


def test_what_cannot_be_read_was_not_looked_at(
    trust: Trust, tmp_path: pathlib.Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No such file" in look_at_file(CertificateFile(str(tmp_path / "none")), trust).reason
    (tmp_path / "junk").write_text("junk")
    assert "no certificate in PEM format" in look_at_file(CertificateFile(str(tmp_path / "junk")), trust).reason
    pair = authority.issue(NAME).write(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = look_at_file(CertificateFile(str(pair.certificate)), trust)
    assert "the program openssl is not in PATH" in seen.reason
    assert seen.is_trusted is None


def test_a_broken_digest_is_told(authority: Authority) -> None:
    seen = _seen(authority.issue(NAME))
    assert seen.certificate is not None
    weak = dataclasses.replace(seen.certificate, signature_hash="sha1")
    found = findings_at_address(dataclasses.replace(seen, certificate=weak), Rules(LIMITS, now()))
    assert [finding.id for finding in found] == ["certificate-digest-weak"]


# -- differences ---------------------------------------------------------------------------------------------


def _seen(issued: Issued, address: str = "192.0.2.1") -> Look:
    endpoint = Endpoint(NAME, 443, names=(NAME,))
    return Look(endpoint, address, certificate=certificates_in(issued.pem)[0])


def test_the_newest_on_the_disk_is_what_should_be_served(authority: Authority, tmp_path: pathlib.Path) -> None:
    old, new = authority.issue(NAME, left=20), authority.issue(NAME, left=89)
    for number, issued in enumerate((new, old)):
        issued.write(tmp_path, f"chain{number}")
    newest = newest_of(str(tmp_path / "chain*.pem"))
    assert newest.fingerprint == new.fingerprint
    assert difference_to_disk(_seen(new), newest) == []
    (finding,) = difference_to_disk(_seen(old), newest)
    assert (finding.id, finding.value, finding.threshold) == ("served-differs", old.fingerprint, new.fingerprint)
    assert "still serves an older one" in finding.message
    (finding,) = difference_to_disk(_seen(authority.issue(NAME, left=89.5)), newest)
    assert "not on the disk" in finding.message


def test_an_rsa_twin_is_compared_with_its_kind(authority: Authority, tmp_path: pathlib.Path) -> None:
    twin = authority.issue(NAME, left=80, key=rsa_key())
    twin.write(tmp_path, "chain-rsa")
    newest = authority.issue(NAME, left=89)
    newest.write(tmp_path, "chain-ec")
    pattern = str(tmp_path / "chain-*.pem")
    assert newest_of(pattern, "rsa").fingerprint == twin.fingerprint
    assert newest_of(pattern, "ec").fingerprint == newest.fingerprint
    assert newest_of(pattern, "ed25519").fingerprint == newest.fingerprint


def test_when_a_file_cannot_be_read_nobody_knows_the_newest(authority: Authority, tmp_path: pathlib.Path) -> None:
    with pytest.raises(CertificateError, match="no file is named like"):
        newest_of(str(tmp_path / "*.pem"))
    authority.issue(NAME).write(tmp_path, "a")
    (tmp_path / "b.pem").write_text("cut off")
    with pytest.raises(CertificateError, match=r"b\.pem: it has no certificate"):
        newest_of(str(tmp_path / "*.pem"))


def test_addresses_behind_one_name_serve_the_same(authority: Authority) -> None:
    old, new = authority.issue(NAME, left=20), authority.issue(NAME, left=89)
    blind = Look(Endpoint(NAME, 443), "192.0.2.9", reason="dead")
    looks = [_seen(new, "192.0.2.1"), _seen(old, "192.0.2.2"), _seen(new, "192.0.2.3"), blind]
    (finding,) = differences_between(looks)
    assert (finding.id, finding.subject) == ("addresses-differ", f"{NAME}:443 at 192.0.2.2")
    assert differences_between([blind]) == []


# -- what is refused -----------------------------------------------------------------------------------------


def _parameters(**given: t.Any) -> dict[str, t.Any]:
    usual = {"endpoints": [], "certificates": [], "trust": "", "limits": {"high": "< 10%"}, "jobs": 10}
    usual.update(calendar=[], stapling=False)
    return {**usual, "timeout": "5s", "deadline": "1m", **given}


def _endpoint(**given: t.Any) -> dict[str, t.Any]:
    usual = {"host": NAME, "port": 0, "addresses": [], "address_family": "any", "server_name": "", "names": None}
    return {**usual, "starttls": "none", "certificate": "", **given}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "endpoints and certificates are empty"),
        ({"endpoints": [_endpoint(host="https://a.example")]}, r"endpoints\[0\]\.host is 'https://a\.example'"),
        ({"endpoints": [_endpoint(host="a.example:443")]}, "without port and scheme"),
        ({"endpoints": [_endpoint(port=70000)]}, r"endpoints\[0\]\.port is 70000"),
        ({"endpoints": [_endpoint(addresses=["www"])]}, "addresses has 'www': write IP addresses"),
        ({"endpoints": [_endpoint(addresses=["::1"], address_family="ipv4")]}, "which is not ipv4"),
        ({"endpoints": [_endpoint(server_name="a b")]}, "server_name is 'a b'"),
        ({"endpoints": [_endpoint(names=["x" * 70 + "ü"])]}, "is no DNS name"),
        ({"endpoints": [_endpoint(certificate="site.pem")]}, "write an absolute path"),
        ({"endpoints": [_endpoint(), _endpoint()]}, r"endpoints\[1\] is the same as endpoints\[0\]"),
        ({"endpoints": [_endpoint()], "jobs": 0}, "jobs is 0"),
        ({"endpoints": [_endpoint()], "limits": {"hihg": "< 10%"}}, "did you mean 'high'"),
        ({"endpoints": [_endpoint()], "limits": {"high": "< 10d"}}, "shares of the lifetime"),
        ({"endpoints": [_endpoint()], "timeout": "5"}, "timeout: duration '5' has no unit"),
        ({"endpoints": [_endpoint()], "timeout": "2m"}, "deadline is '1m', shorter than timeout"),
        (
            {"certificates": [{"path": "/a", "key": "/b", "names": [], "kind": "authorities"}]},
            "has neither key nor names",
        ),
        ({"certificates": [{"path": "a", "key": "", "names": [], "kind": "server"}]}, "write an absolute path"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(given: dict[str, t.Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings_from(_parameters(**given))


def test_what_is_left_out_has_its_usual_meaning() -> None:
    given = [_endpoint(host="Mail.Example.com.", starttls="smtp"), _endpoint(host="[2001:DB8::1]", names=[])]
    mail, address = settings_from(_parameters(endpoints=given)).endpoints
    assert (mail.host, mail.port, mail.server_name, mail.names) == (
        "mail.example.com", 25, "mail.example.com", ("mail.example.com",),
    )  # fmt: skip
    assert (address.host, address.names, str(address)) == ("2001:DB8::1", (), "[2001:DB8::1]:443")


def test_without_the_library_nothing_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(x509, "x509", None)
    result = look_around(settings_from(_parameters(endpoints=[_endpoint()])), Told())
    assert (result.verdict, result.looked, result.of) == ("unknown", 0, 1)
    assert "python3-cryptography" in result.reason
