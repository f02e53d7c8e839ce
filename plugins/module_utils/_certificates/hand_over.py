# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair that one host had issued, brought to another one, and readable to nobody between the two.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The host that is to have it makes a key for this one purpose and tells its public half. The one that has it seals the
pair for that key, and the other one opens it, keeps it where its own would have been issued, and removes the key. So
what passes through a controller, its memory and whatever it writes down is of no use to anybody, now or later.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import os
import typing as t

from .._core.locks import Busy, lock
from .._core.result import Finding, Result, ok_or_findings
from .._core.suggest import InputError
from .disk import read_file
from .hpke import HpkeError, public_bytes, seal, unseal
from .issue_state import StateFile, write_closed
from .keys import load_key, new_key, pem_of_key
from .pair import Pair, read_pair
from .renewal import Ari
from .store import FULLCHAIN, KEY, Rights, Store
from .x509 import Certificate, CertificateError, certificates_in, need_library, public_key_of

#: The key of the host that is to have it, from the moment it asks until it has it.
_TRANSFER = "receive.pem"
_PURPOSE = "steward.maintenance certificate_hand_over 1 "
_PATIENCE = 30


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which pair, where, and what is done on this host."""

    #: `ask` and `take` on the host that is to have it, `give` on the one that has it.
    act: str
    directory: str
    #: SHA-256 of the certificate: nothing else is given or taken.
    fingerprint: str
    #: By host, the public half of its key.
    recipients: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    sealed: str = dataclasses.field(default="", repr=False)
    keep: int = 3


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    #: Whether the pair is on this host.
    holds: bool = False
    #: The public half of the key to which it is to be sealed; empty when the pair is here.
    recipient: str = ""
    #: By host, the pair, sealed.
    sealed: dict[str, str] = dataclasses.field(default_factory=dict)
    version: str = ""
    fullchain: str = ""
    key: str = ""
    removed: list[str] = dataclasses.field(default_factory=list)


def hand_over(settings: Settings, check_mode: bool, outcome: Outcome) -> Result:
    """Do what this host has to do, or say why not."""
    run = _Run(settings, outcome)
    reason = ""
    try:
        need_library()
        if settings.act == "give":
            return run.give()
        if check_mode:
            return run.foretell()
        os.makedirs(settings.directory, mode=0o755, exist_ok=True)
        with lock(os.path.join(settings.directory, "lock"), _PATIENCE):
            return run.ask() if settings.act == "ask" else run.take()
    except (CertificateError, InputError, Busy) as exc:
        reason = str(exc)
    except OSError as exc:
        reason = f"{exc.filename or settings.directory}: {exc.strerror or exc}"
    return Result("failed", "the certificate was not handed over", reason, of=1)


class _Run:
    def __init__(self, settings: Settings, outcome: Outcome) -> None:
        self._settings = settings
        self._outcome = outcome
        self._store = Store(settings.directory, Rights())
        self._transfer = os.path.join(settings.directory, _TRANSFER)
        self._findings: list[Finding] = []

    def foretell(self) -> Result:
        if self._settings.act == "take" or not self._is_here():
            self._outcome.changed = True
            return self._told("would be brought here")
        return self._told("is here")

    def ask(self) -> Result:
        """Make a key to which the pair can be sealed, unless it is here."""
        if self._is_here():
            self._drop_transfer()
            return self._told("is here")
        key = new_key("ecdsa-p256")
        write_closed(self._transfer, pem_of_key(key))
        self._outcome.changed = True
        self._outcome.recipient = base64.b64encode(public_bytes(key)).decode("ascii")
        return self._told("is wanted here")

    def give(self) -> Result:
        """Seal it for each host that asked."""
        settings = self._settings
        version = self._store.current()
        if not self._is_here():
            found = self._store.certificate_of(version)
            told = f"the newest one here is {found.fingerprint}" if found else "there is none here"
            raise CertificateError(f"{settings.directory} does not have {settings.fingerprint} as its newest: {told}")
        pair = read_pair(self._outcome.fullchain, self._outcome.key)
        about = {"fullchain": pair.fullchain.decode("ascii"), "key": pair.key.decode("ascii")}
        message = json.dumps({**about, "issuer": StateFile(settings.directory).read().issuer}).encode()
        for host, text in settings.recipients.items():
            try:
                sealed = seal(base64.b64decode(text, validate=True), self._purpose(), message)
            except (binascii.Error, HpkeError) as exc:
                raise InputError(f"recipients: what {host} gave cannot be sealed to: {exc}") from None
            self._outcome.sealed[host] = base64.b64encode(sealed).decode("ascii")
        return self._told(f"was sealed for {', '.join(settings.recipients)}")

    def take(self) -> Result:
        """Open what was sealed for this host, and keep it as if it had been issued here."""
        if self._is_here():
            self._drop_transfer()
            return self._told("is here")
        pair, issuer = self._opened()
        version = self._store.version_for(pair)
        if not self._store.has(version, pair):
            self._store.put(version, pair)
        previous = self._store.current()
        self._store.switch(version)
        self._outcome.changed = True
        self._drop_transfer()
        # So that this host can go on as the one that has it issued. What an authority said was of another one.
        file = StateFile(self._settings.directory)
        state = file.read()
        state.issuer, state.ari = issuer, Ari()
        file.write(state)
        self._describe(version)
        self._prune(previous)
        return self._told("is here now")

    def _opened(self) -> tuple[Pair, dict[str, str]]:
        settings = self._settings
        if not os.path.exists(self._transfer):
            raise CertificateError(f"{self._transfer} is not there: what was sealed for it can be opened no more; ask")
        try:
            message = unseal(
                load_key(read_file(self._transfer)), self._purpose(), base64.b64decode(settings.sealed, validate=True)
            )
            told = json.loads(message)
            certificates = tuple(certificates_in(told["fullchain"].encode()))
            key = told["key"].encode()
            issuer = {str(name): str(text) for name, text in told["issuer"].items()}
        except (binascii.Error, HpkeError) as exc:
            raise CertificateError(f"what was given cannot be opened: {exc}") from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise CertificateError("what was given is no certificate with its key") from None
        pair = Pair(settings.directory, certificates, key, public_key_of(key))
        if pair.own.fingerprint != settings.fingerprint:
            raise CertificateError(f"what was given is another certificate: {pair.own.fingerprint}")
        if pair.public_key != pair.own.public_key:
            raise CertificateError("the key that was given belongs to another certificate")
        return pair, issuer

    def _purpose(self) -> bytes:
        return (_PURPOSE + self._settings.fingerprint).encode("ascii")

    def _is_here(self) -> bool:
        """Whether the newest pair is the wanted one, with its own key."""
        version = self._store.current()
        own = self._store.certificate_of(version)
        if own is None or own.fingerprint != self._settings.fingerprint or not self._has_key(version, own):
            return False
        self._describe(version)
        return True

    def _has_key(self, version: str, own: Certificate) -> bool:
        try:
            data = read_file(os.path.join(self._settings.directory, "versions", version, KEY))
            return public_key_of(data) == own.public_key
        except CertificateError:
            return False

    def _describe(self, version: str) -> None:
        place, outcome = os.path.join(self._settings.directory, "versions", version), self._outcome
        outcome.holds, outcome.version = True, version
        outcome.fullchain, outcome.key = os.path.join(place, FULLCHAIN), os.path.join(place, KEY)

    def _drop_transfer(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._transfer)

    def _prune(self, previous: str) -> None:
        try:
            self._outcome.removed = self._store.prune(self._settings.keep, (previous,))
        except OSError as exc:
            message = f"old versions cannot be removed: {exc.filename}: {exc.strerror or exc}"
            action = "remove them by hand: there are keys in them"
            self._findings.append(Finding("versions-left", "low", self._settings.directory, message, action=action))

    def _told(self, what: str) -> Result:
        return ok_or_findings(f"the certificate {self._settings.fingerprint[:16]} {what}", self._findings, {}, 1, 1)
