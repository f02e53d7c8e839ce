# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody should know about a certificate: one finding for each thing that is not as it should be.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import write_time
from .._core.durations import format_duration
from .._core.result import Finding
from .._core.thresholds import Threshold, judge
from .disk import FileLook
from .handshake import Look
from .names import is_valid_for
from .trust import WRONG_USAGE, Problem
from .x509 import Certificate

#: The fewest bits that a public authority signs (CA/B Forum Baseline Requirements, 6.1.5).
_LEAST_BITS = {"rsa": 2048, "ec": 256}
_BROKEN_DIGESTS = ("md5", "sha1")
_KEY_SEVERITIES = {"missing": "critical", "mismatch": "critical", "exposed": "high"}
_KEY_ACTIONS = {
    "missing": "put the key back, or issue a new certificate",
    "mismatch": "deploy certificate and key together, see certificate_deploy",
    "exposed": "take the rights away, and have the certificate issued again with a new key",
}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a certificate is held against: the share of the lifetime in percent by severity, and the moment."""

    limits: t.Mapping[str, Threshold]
    now: datetime.datetime


class Judge:
    """Collects the findings about one subject.

    :param refused: the severity of what makes clients refuse the certificate.
    """

    def __init__(self, subject: str, rules: Rules, refused: str) -> None:
        self.findings: list[Finding] = []
        self._subject = subject
        self._rules = rules
        self._refused = refused

    def find(self, id: str, severity: str, message: str, action: str, **about: t.Any) -> None:
        self.findings.append(Finding(id, severity, self._subject, message, action=action, **about))

    def dates(self, certificate: Certificate, whose: str = "it") -> None:
        now, left = self._rules.now, certificate.left(self._rules.now)
        if certificate.not_before > now:
            begins = write_time(certificate.not_before)
            message = f"{whose} is not valid before {begins}, and the clock here says {write_time(now)}"
            action = "set the clock, or take another certificate"
            self.find("certificate-not-yet-valid", self._refused, message, action, value=begins)
        elif left < 0:
            ended = write_time(certificate.not_after)
            message = f"{whose} ended on {ended}, {format_duration(-left)} ago"
            self.find("certificate-expired", self._refused, message, "renew and deploy it now", value=ended)
        else:
            self._ends_soon(certificate, whose, left)

    def _ends_soon(self, certificate: Certificate, whose: str, left: float) -> None:
        percent = 100 * certificate.fraction_left(self._rules.now)
        message = (
            f"{whose} ends on {write_time(certificate.not_after)}, in {format_duration(left)}: {percent:.0f} % of its"
            f" {format_duration(certificate.lifetime)} are left"
        )
        found = judge(
            round(percent, 2),
            self._rules.limits,
            id="certificate-ends-soon",
            subject=self._subject,
            message=message,
            action="see why it was not renewed yet",
        )
        if found:
            self.findings.append(found)

    def names(self, certificate: Certificate, wanted: t.Iterable[str]) -> None:
        missing = [name for name in wanted if not is_valid_for(certificate.names, name)]
        if missing:
            has = ", ".join(certificate.names[:10]) or f"no name at all (the common name {certificate.common_name!r}"
            has += "" if certificate.names else " does not count)"
            message = f"it is not valid for {', '.join(missing)}: it has {has}"
            action = "deploy the certificate that has the name, or mend which one the server chooses by name"
            self.find("certificate-name", self._refused, message, action, value=list(certificate.names))

    def trust(self, certificate: Certificate, problem: Problem | None) -> None:
        if problem and (certificate.serves or problem.code != WRONG_USAGE):
            action = "have the server send its whole chain, or name the bundle of the right authority in `trust`"
            message = f"clients do not trust it: {problem.text}"
            self.find("certificate-untrusted", self._refused, message, action, value=problem.code)

    def quality(self, certificate: Certificate, stapled: bool | None = None) -> None:
        """What is wrong with the certificate whoever serves it.

        :param stapled: whether an OCSP answer comes with it; None where that is not known.
        """
        if not certificate.serves:
            message = "it is not meant for servers: its extended key usage lacks serverAuth"
            self.find("certificate-usage", self._refused, message, "have one issued that is")
        least = _LEAST_BITS.get(certificate.key_type, 0)
        if certificate.key_size < least or certificate.key_type in ("dsa", "unknown"):
            kind = f"{certificate.key_type} of {certificate.key_size} bits"
            self.find("certificate-key-weak", "high", f"its key is {kind}", "issue it again with an ECDSA P-256 key")
        if certificate.signature_hash in _BROKEN_DIGESTS and not certificate.is_self_signed:
            message = f"it is signed with {certificate.signature_hash}"
            self.find("certificate-digest-weak", "high", message, "issue it again")
        if certificate.must_staple:
            message = "it says must-staple: clients that obey refuse it wherever no OCSP answer is stapled"
            message += {None: "", True: "; one is here", False: ", and here is none"}[stapled]
            action = "issue it without (tls-feature): authorities end OCSP, Let's Encrypt did in August 2025"
            severity = "high" if stapled is False else "medium"
            self.find("certificate-must-staple", severity, message, action, value=list(certificate.ocsp_urls))
        if stapled:
            message = (
                "an OCSP answer is stapled to it: the day its authority ends OCSP, as Let's Encrypt has, it grows stale"
            )
            action = "take stapling out of the server's configuration, unless its authority wants it"
            self.find("ocsp-stapled", "low", message, action, value=list(certificate.ocsp_urls))

    def chain(self, chain: t.Sequence[Certificate], out_of_date: bool = False) -> None:
        """What came beside the certificate itself.

        :param out_of_date: OpenSSL refused something because of its dates, whatever that was.
        """
        now = self._rules.now
        old = [each for each in chain[1:] if each.left(now) < 0 or each.not_before > now]
        if old:
            told = ", ".join(f"{each.subject} ({_span(each)})" for each in old)
            message = f"in its chain is out of date: {told}"
            action = "have the server send the authority's present chain"
            self.find("chain-out-of-date", self._refused, message, action)
        elif out_of_date and chain and chain[0].not_before <= now <= chain[0].not_after:
            message = "an authority above it is out of date, and it is none that the server sent"
            self.find("chain-out-of-date", self._refused, message, "renew the trust bundle, or the chain")
        for before, after in zip(chain, chain[1:]):
            if before.issuer != after.subject:
                message = (
                    f"its chain is not in order: {after.subject} follows {before.subject}, issued by {before.issuer}"
                )
                action = "put the server's own certificate first, and each issuer behind what it issued"
                self.find("chain-order", "low", message, action)
                return


def _span(certificate: Certificate) -> str:
    return f"{write_time(certificate.not_before)} to {write_time(certificate.not_after)}"


def findings_at_address(seen: Look, rules: Rules) -> list[Finding]:
    """What is to be said about one address by itself."""
    certificate = seen.certificate
    if not certificate:
        return []
    judging = Judge(seen.subject, rules, "critical")
    judging.dates(certificate)
    judging.names(certificate, seen.endpoint.names)
    judging.trust(certificate, seen.problem)
    judging.quality(certificate, seen.staples)
    judging.chain(seen.chain or (certificate,), seen.out_of_date)
    if seen.weak:
        message = f"a client with the usual settings has no handshake with it ({seen.weak}); {seen.protocol} was taken"
        judging.find("handshake-weak", "high", message, "let the server speak TLS 1.2 or newer, with present ciphers")
    return judging.findings


def findings_in_file(seen: FileLook, rules: Rules) -> list[Finding]:
    judging = Judge(seen.subject, rules, "high")
    if seen.file.authorities:
        for each in seen.certificates:
            judging.dates(each, each.subject or each.fingerprint)
        return judging.findings
    for certificate in seen.certificates[:1]:
        judging.dates(certificate)
        judging.names(certificate, seen.file.names)
        judging.trust(certificate, seen.problem)
        judging.quality(certificate)
        judging.chain(seen.certificates)
    for kind, message in seen.key_problems:
        judging.find(f"key-{kind}", _KEY_SEVERITIES[kind], message, _KEY_ACTIONS[kind])
    return judging.findings


def difference_to_disk(seen: Look, newest: Certificate) -> list[Finding]:
    """Served is not what lies on the disk."""
    served = seen.certificate
    if served is None or served.fingerprint == newest.fingerprint:
        return []
    if served.not_before < newest.not_before:
        ends, begins = write_time(served.not_after), write_time(newest.not_before)
        message = f"it still serves an older one, which ends on {ends}; the newest on the disk is valid from {begins}"
        action = "reload the server, and see why that did not happen or did not help"
    else:
        message = "it serves one that is not on the disk, and no older one"
        action = "see which file the server reads, and whether this is the server that was meant"
    return [_difference("served-differs", seen, message, action, newest)]


def differences_between(looks: t.Sequence[Look]) -> list[Finding]:
    """Addresses behind one name that do not serve the newest certificate that is served there."""
    seen = [(look, look.certificate) for look in looks if look.certificate]
    newest = max((each for _look, each in seen), key=lambda each: (each.not_before, each.not_after), default=None)
    if newest is None:
        return []
    where = next(look.address for look, each in seen if each is newest)
    message = f"it serves another certificate than {where}, which has the newest of this name"
    action = "reload the server at this address, or deploy the certificate there too"
    return [
        _difference("addresses-differ", look, message, action, newest)
        for look, each in seen
        if each.fingerprint != newest.fingerprint
    ]


def _difference(id: str, seen: Look, message: str, action: str, newest: Certificate) -> Finding:
    served = seen.certificate.fingerprint if seen.certificate else ""
    return Finding(id, "high", seen.subject, message, value=served, threshold=newest.fingerprint, action=action)
