# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and endpoints looked at in one go: the result, and the list of what was seen.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import typing as t

from .._core.clock import utc_now, write_time
from .._core.durations import format_duration
from .._core.result import Finding, Result
from .._core.thresholds import Threshold
from .disk import CertificateFile, FileLook, look_at_file, newest_of
from .endpoints import Pace, look_at_all
from .handshake import Clients, Endpoint, Look
from .judging import Rules, difference_to_disk, differences_between, findings_at_address, findings_in_file
from .names import is_valid_for
from .trust import Trust
from .web_pki import findings_of
from .x509 import Certificate, CertificateError, need_library

_MOST_REASONS = 5


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is to be looked at, and what it is held against."""

    files: tuple[CertificateFile, ...]
    endpoints: tuple[Endpoint, ...]
    trust: Trust
    limits: t.Mapping[str, Threshold]
    pace: Pace
    #: Whose announced changes are told.
    calendar: tuple[str, ...] = ()


@dataclasses.dataclass
class Told:
    """What the module returns beside the result."""

    certificates: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    endpoints: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)


def look_around(settings: Settings, told: Told) -> Result:
    """:raises InputError: when the trust bundle cannot be read."""
    begun = time.monotonic()
    try:
        need_library()
    except CertificateError as exc:
        count = len(settings.files) + len(settings.endpoints)
        return Result("unknown", "no certificate was looked at", str(exc), of=count)
    clients = Clients(settings.trust)
    looks = look_at_all(settings.endpoints, clients, settings.pace)
    files = [look_at_file(file, settings.trust) for file in settings.files]
    rules = Rules(settings.limits, utc_now())
    gathered = _Gathered(rules, told)
    gathered.add(findings_of(rules.now.date(), settings.calendar))
    for seen in files:
        gathered.add_file(seen)
    for endpoint in settings.endpoints:
        gathered.add_endpoint(endpoint, [seen for seen in looks if seen.endpoint is endpoint])
    return gathered.result(time.monotonic() - begun, len(settings.endpoints))


class _Gathered:
    def __init__(self, rules: Rules, told: Told) -> None:
        self._rules = rules
        self._told = told
        self._findings: list[Finding] = []
        self._reasons: list[str] = []
        self._looked = self._of = 0
        self._ends: list[tuple[float, str, Certificate]] = []

    def add(self, findings: t.Iterable[Finding]) -> None:
        self._findings += findings

    def add_file(self, seen: FileLook) -> None:
        self._count(seen.reason)
        self._findings += findings_in_file(seen, self._rules)
        own = seen.certificates[0] if seen.certificates else None
        about = {
            "path": seen.file.path,
            "looked": not seen.reason,
            "reason": seen.reason,
            "trusted": seen.is_trusted,
            "certificates": [_describe(each, self._rules.now) for each in seen.certificates],
            "key_matches": not any(kind != "exposed" for kind, _words in seen.key_problems)
            if seen.file.key and own
            else None,
        }
        self._told.certificates.append(about)
        for each in seen.certificates:
            self._ends.append((each.fraction_left(self._rules.now), seen.subject, each))

    def add_endpoint(self, endpoint: Endpoint, looks: t.Sequence[Look]) -> None:
        for seen in looks:
            reason = seen.reason
            matches = None
            self._findings += findings_at_address(seen, self._rules)
            if seen.certificate and endpoint.certificate:
                try:
                    newest = newest_of(endpoint.certificate, seen.certificate.key_type)
                    differences = difference_to_disk(seen, newest)
                    self._findings += differences
                    matches = not differences
                except CertificateError as exc:
                    reason = f"what it should serve is not known: {exc}"
            self._count(f"{seen.subject}: {reason}" if reason else "")
            self._told.endpoints.append(_about(seen, reason, matches, self._rules.now))
            if seen.certificate:
                fraction = seen.certificate.fraction_left(self._rules.now)
                self._ends.append((fraction, seen.subject, seen.certificate))
        if not endpoint.certificate:
            self._findings += differences_between(looks)

    def _count(self, reason: str) -> None:
        self._of += 1
        self._looked += not reason
        if reason:
            self._reasons.append(reason)

    def result(self, seconds: float, endpoints: int) -> Result:
        unlooked = self._of - self._looked
        parts = [f"{self._looked} of {self._of} places looked at"]
        figures: dict[str, float] = {
            "duration_seconds": round(seconds, 2),
            "endpoints": endpoints,
            "places": self._of,
            "unlooked_places": unlooked,
        }
        if self._ends:
            fraction, subject, certificate = min(self._ends, key=lambda each: each[0])
            figures["least_left_percent"] = round(100 * fraction, 2)
            figures["first_end_seconds"] = round(min(each.left(self._rules.now) for _f, _s, each in self._ends))
            figures["first_end_timestamp_seconds"] = min(each.not_after.timestamp() for _f, _s, each in self._ends)
            left = certificate.left(self._rules.now)
            ends = f"in {format_duration(left)}" if left >= 0 else f"{format_duration(-left)} ago"
            share = f"{max(0.0, 100 * fraction):.0f} % of its lifetime left"
            parts.append(f"the least lifetime is left to {subject}: ends {ends}, {share}")
        summary = "; ".join(parts)
        if unlooked:
            more = f"; and {unlooked - _MOST_REASONS} more" if unlooked > _MOST_REASONS else ""
            reason = "; ".join(self._reasons[:_MOST_REASONS]) + more
            verdict = "unknown"
        else:
            reason, verdict = "", "findings" if self._findings else "ok"
        return Result(verdict, summary, reason, tuple(self._findings), figures, self._looked, self._of)


def _about(seen: Look, reason: str, matches: bool | None, now: datetime.datetime) -> dict[str, t.Any]:
    endpoint = seen.endpoint
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "address": seen.address,
        "starttls": endpoint.starttls,
        "looked": not reason,
        "reason": reason,
        "protocol": seen.protocol,
        "staples": seen.staples,
        "trusted": seen.is_trusted,
        "names_match": _names_match(seen),
        "matches_disk": matches,
        "certificate": _describe(seen.certificate, now) if seen.certificate else None,
        "chain": None if seen.chain is None else [_describe(each, now) for each in seen.chain[1:]],
    }


def _names_match(seen: Look) -> bool | None:
    if not seen.certificate or not seen.endpoint.names:
        return None
    return all(is_valid_for(seen.certificate.names, name) for name in seen.endpoint.names)


def _describe(certificate: Certificate, now: datetime.datetime) -> dict[str, t.Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "fingerprint": certificate.fingerprint,
        "names": list(certificate.names),
        "not_before": write_time(certificate.not_before),
        "not_after": write_time(certificate.not_after),
        "lifetime_seconds": round(certificate.lifetime),
        "left_seconds": round(certificate.left(now)),
        "left_percent": round(100 * certificate.fraction_left(now), 2),
        "key_type": certificate.key_type,
        "key_size": certificate.key_size,
        "signature_hash": certificate.signature_hash,
        "must_staple": certificate.must_staple,
        "ocsp_urls": list(certificate.ocsp_urls),
    }
