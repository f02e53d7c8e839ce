# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a certificate before its time, when another one is in use and proved: never while it is still served.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import dataclasses
import glob
import os
import time
import typing as t

from .._core.clock import utc_now
from .._core.result import Result, ok_or_findings
from .acme_account import Account, AccountSettings
from .acme_transport import AcmeError
from .disk import certificates_of
from .handshake import Endpoint
from .proof import Listeners
from .store import FULLCHAIN, revocation_mark
from .trust import Trust
from .x509 import Certificate, CertificateError, need_library

#: RFC 5280, 5.3.1, as far as authorities take them from those that have a certificate.
REASONS = {"unspecified": 0, "key_compromise": 1, "superseded": 4, "cessation_of_operation": 5}
_ALREADY = "alreadyRevoked"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which certificates, who issued them, and where they must not be served any more."""

    fingerprints: tuple[str, ...]
    #: Where the issued pairs are: the directory of certificate_issue.
    directory: str
    reason: str
    account: AccountSettings
    listeners: tuple[Endpoint, ...]
    trust: Trust
    timeout: float = 5


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    revoked: list[str] = dataclasses.field(default_factory=list)


class _StillUsedError(Exception):
    """It is in use, or nobody could tell."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def revoke(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Have the authority revoke them, or say why that must not be yet."""
    begun, of = time.monotonic(), len(settings.fingerprints)
    try:
        need_library()
        wanted = _found(settings)
        if wanted:
            _refuse_used(settings)
            _revoke(settings, wanted, check_mode, outcome)
    except _StillUsedError as exc:
        return Result(exc.verdict, "nothing was revoked", str(exc), looked=0, of=of)
    except (CertificateError, AcmeError) as exc:
        summary = f"{len(outcome.revoked)} of {of} certificates were revoked"
        return Result("failed", summary, str(exc), looked=len(outcome.revoked), of=of)
    figures = {"revoked": len(outcome.revoked), "duration_seconds": round(time.monotonic() - begun, 2)}
    word = "would be" if check_mode else "were"
    summary = (
        f"{len(outcome.revoked)} of {of} certificates {word} revoked; the others are revoked or have ended already"
    )
    return ok_or_findings(summary, (), figures, of, of)


def _found(settings: Settings) -> list[Certificate]:
    """Those of which nobody has seen yet that they are revoked or have ended.

    :raises CertificateError: when one of them is nowhere: then nobody can revoke it.
    """
    found, marks = {}, (revocation_mark(settings.directory, each) for each in settings.fingerprints)
    # The list of a site grows, and the version of what was revoked long ago is removed in the end.
    left = [each for each, mark in zip(settings.fingerprints, marks) if not os.path.exists(mark)]
    for path in sorted(glob.glob(os.path.join(glob.escape(settings.directory), "versions", "*", FULLCHAIN))):
        own = certificates_of(path)[0]
        found[own.fingerprint] = own
    missing = [each for each in left if each not in found]
    if missing:
        told = f"no certificate with the fingerprint {missing[0]} is below {settings.directory}"
        raise CertificateError(f"{told}: to be revoked, it must be there")
    current = os.path.join(settings.directory, "current", FULLCHAIN)
    if os.path.exists(current) and certificates_of(current)[0].fingerprint in settings.fingerprints:
        told = f"it is the newest in {settings.directory}: issue and deploy another one first"
        raise _StillUsedError("failed", f"{told} (certificate_issue, compromised)")
    return [found[each] for each in left]


def _refuse_used(settings: Settings) -> None:
    """:raises _StillUsedError: when one of them is still served, or that cannot be seen."""
    listeners = Listeners(settings.listeners, settings.trust, settings.timeout, settings.timeout)
    for seen in listeners.look():
        if seen.certificate is None:
            told = f"whether it is still served cannot be seen: {seen.subject}: {seen.reason}"
            raise _StillUsedError("unknown", told)
        if seen.certificate.fingerprint in settings.fingerprints:
            raise _StillUsedError("failed", f"{seen.subject} still serves it: deploy another one first")


def _revoke(settings: Settings, wanted: t.Iterable[Certificate], check_mode: bool, outcome: Outcome) -> None:
    account: Account | None = None
    for certificate in wanted:
        mark = revocation_mark(settings.directory, certificate.fingerprint)
        if certificate.left(utc_now()) <= 0:
            # No authority keeps lists of what has ended.
            if not check_mode:
                _remember(mark)
            continue
        if not check_mode:
            if account is None:
                account = Account(settings.account)
                account.ready()
            encoded = base64.urlsafe_b64encode(certificate.der).rstrip(b"=").decode("ascii")
            content = {"certificate": encoded, "reason": REASONS[settings.reason]}
            try:
                account.post(account.transport.place("revokeCert"), content)
            except AcmeError as exc:
                if exc.kind != _ALREADY:
                    raise
                _remember(mark)
                continue
            _remember(mark)
        outcome.revoked.append(certificate.fingerprint)
        outcome.changed = True


def _remember(mark: str) -> None:
    """So that no later run asks again. Where that cannot be written, the authority says that it is revoked already."""
    try:
        os.makedirs(os.path.dirname(mark), exist_ok=True)
        with open(mark, "wb"):
            pass
    except OSError:
        return
