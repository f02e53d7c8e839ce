# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate with its chain and its key: read once, so that what was checked is what is deployed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import ssl
import time
import typing as t

from .._core.clock import stamp, utc_now, write_time
from .._core.result import Finding
from .disk import CertificateFile, FileLook, read_file
from .judging import Rules, findings_in_file
from .trust import EXPIRED, NOT_YET_VALID, Problem, Trust, problem_of, shake_hands_in_memory
from .x509 import Certificate, CertificateError, certificates_in, key_blocks, public_key_of

#: From this severity on the pair is refused.
_REFUSED = ("high", "critical")
#: How far the clock may be behind the file that it stamped.
_SKEW = 60


@dataclasses.dataclass(frozen=True)
class Pair:
    """What is to be deployed. The key is in memory, and no representation shows it."""

    source: str
    certificates: tuple[Certificate, ...]
    key: bytes = dataclasses.field(repr=False)
    public_key: str

    @property
    def own(self) -> Certificate:
        return self.certificates[0]

    @property
    def fullchain(self) -> bytes:
        return b"".join(ssl.DER_cert_to_PEM_cert(each.der).encode("ascii") for each in self.certificates)

    @property
    def version(self) -> str:
        """The name of this pair in the store: names in order are certificates in the order of their issue."""
        return f"{stamp(self.own.not_before)}-{hashlib.sha256(self.fullchain).hexdigest()[:16]}"


def read_pair(certificate: str, key: str, chain: str = "") -> Pair:
    """:raises CertificateError: when a file cannot be read, naming it."""
    certificates = _certificates_of(certificate) + (_certificates_of(chain) if chain else [])
    data = read_file(key)
    try:
        public_key = public_key_of(data)
    except CertificateError as exc:
        raise CertificateError(f"{key}: {exc}") from None
    # The same certificate twice: the chain was in both files.
    unique = {each.fingerprint: each for each in certificates}
    return Pair(certificate, tuple(unique.values()), key_blocks(data)[0] + b"\n", public_key)


def _certificates_of(path: str) -> list[Certificate]:
    try:
        return certificates_in(read_file(path))
    except CertificateError as exc:
        raise CertificateError(str(exc) if path in str(exc) else f"{path}: {exc}") from None


def look_before_deploying(pair: Pair, names: t.Iterable[str], trust: Trust) -> list[Finding]:
    """All that is to be said about a pair. Whether it loads and is trusted is tried by a handshake in memory.

    :raises CertificateError: when that could not be tried.
    """
    key_problems: tuple[tuple[str, str], ...] = ()
    problem: Problem | None = None
    if pair.public_key != pair.own.public_key:
        key_problems = (("mismatch", "its key belongs to another certificate"),)
    else:
        problem = _problem_of(pair, trust)
    file = CertificateFile(pair.source, names=tuple(dict.fromkeys(names)))
    seen = FileLook(file, "", pair.certificates, problem is None, problem, key_problems)
    return findings_in_file(seen, Rules({}, utc_now())) + _clock_findings(pair.source)


def refusals(findings: t.Iterable[Finding]) -> list[Finding]:
    """Those for which a pair is not deployed."""
    return [finding for finding in findings if finding.severity in _REFUSED]


def _problem_of(pair: Pair, trust: Trust) -> Problem | None:
    """Why a client refuses it, dates apart: those of all certificates are judged by themselves."""
    with _unnamed_file(pair.fullchain) as certificates, _unnamed_file(pair.key) as key:
        try:
            shake_hands_in_memory(certificates, key, trust.context(check_time=False), "")
        except ssl.SSLCertVerificationError as exc:
            found = problem_of(exc)
            return None if found.code in (EXPIRED, NOT_YET_VALID) else found
        except ssl.SSLError as exc:
            return Problem(0, f"OpenSSL does not take the pair ({exc.reason or exc})")
        except OSError as exc:
            raise CertificateError(f"the handshake in memory could not be tried: {exc.strerror or exc}") from None
    return None


@contextlib.contextmanager
def _unnamed_file(data: bytes) -> t.Iterator[str]:
    """A file in memory: OpenSSL loads pairs from files only, and another copy of a key has no place on a disk."""
    try:
        file = os.memfd_create("steward", os.MFD_CLOEXEC)
    except (AttributeError, OSError) as exc:
        raise CertificateError(f"this system has no files in memory (memfd_create): {exc}") from None
    try:
        os.write(file, data)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)


def _clock_findings(source: str) -> list[Finding]:
    try:
        ahead = os.stat(source).st_mtime - time.time()
    except OSError:
        return []
    if ahead <= _SKEW:
        return []
    message = f"the clock here says {write_time(utc_now())}, and the file is {ahead:.0f} s younger than that"
    return [Finding("clock-wrong", "high", source, message, action="set the clock: every date is judged by it")]
