# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider `acme`: what an issue needs of an ACME server, and what goes wrong there kept for the next run.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.clock import utc_now, write_time
from .._core.suggest import did_you_mean
from .acme_account import Account, AccountSettings
from .acme_order import Issued, Order, OrderError, Wanted
from .acme_transport import AcmeError, Transport
from .ari import ask, certificate_id
from .challenge_look import ChallengeError
from .challenges import Challenges, ChallengeSettings
from .issuances import Issuances
from .issue_state import Attempts, State, StateFile, Wait
from .renewal import AriFault, Window
from .x509 import Certificate, CertificateError


class Wish(t.Protocol):
    """What of the settings counts here."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def key_type(self) -> str: ...

    @property
    def profile(self) -> str: ...

    @property
    def preferred_chain(self) -> str: ...

    @property
    def patience(self) -> float: ...


class AcmeIssuer:
    """One ACME server as an issue sees it. Until something is ordered, it is asked what anybody may ask."""

    def __init__(self, account: AccountSettings, challenges: ChallengeSettings) -> None:
        self._settings = account
        self._challenges = challenges
        self._attempts = Attempts(account.place)
        self._names: tuple[str, ...] = ()
        self._issuances = Issuances(account.place)
        self._transports: list[Transport] = []
        self._directory: Transport | None = None
        #: Why proofs could not be taken away.
        self.left_behind: list[str] = []

    @property
    def ahead(self) -> float | None:
        """By how many seconds the authority's clock is ahead of ours; None where it was not asked."""
        return self._directory.ahead if self._directory else None

    @property
    def transport(self) -> Transport:
        """:raises AcmeError: when the server does not answer."""
        if self._directory is None:
            self._directory = Transport(
                self._settings.directory_url, trust=self._settings.trust, timeout=self._settings.timeout
            )
            self._transports.append(self._directory)
        return self._directory

    def asking(self, certificate: Certificate) -> t.Callable[[], Window]:
        """How to ask when the certificate should be renewed."""

        def asked() -> Window:
            try:
                transport = self.transport
            except AcmeError as exc:
                raise AriFault("unreachable", str(exc), exc.retry_after) from None
            return ask(transport, certificate)

        return asked

    def refuse_profile(self, profile: str) -> None:
        """:raises AcmeError: when the authority does not answer.

        :raises CertificateError: when it does not have the profile.
        """
        offered = self.transport.meta.get("profiles")
        if not profile:
            return
        known = list(offered) if isinstance(offered, dict) else []
        if profile not in known:
            raise CertificateError(f"profile {profile!r} is none of this authority; {did_you_mean(profile, known)}")

    def waits(self, names: t.Iterable[str]) -> list[Wait]:
        return self._attempts.waits(names)

    def too_often(self, names: t.Sequence[str]) -> str:
        """Why these very names are not ordered once more now: so many of their certificates are young."""
        return self._issuances.too_often(names)

    def failed(self, names: t.Sequence[str], why: str, retry_after: float | None, left: float) -> str:
        """Keep that it failed. From when on it is tried again, in words."""
        until = self._attempts.failed(names, why, retry_after, left)
        return f"{why}; it is tried again from {write_time(until)} on"

    def succeeded(self, lifetime: float) -> None:
        self._attempts.succeeded(self._names)
        self._issuances.note(self._names, lifetime)

    def clear(self, state: State, file: StateFile) -> None:
        """Take away what a killed run left for the authority to look at."""

        def keep(placed: list[dict[str, str]]) -> None:
            state.challenges = placed
            file.write(state)

        self.left_behind += Challenges(self._challenges, keep).clear(state.challenges)

    def issue(self, wish: Wish, file: StateFile, state: State, used: Certificate | None) -> Issued:
        """:raises CertificateError: when it came to nothing; what went wrong is kept for the next run.

        :raises HandedOut: when others have to show the proofs first.
        """
        self._names = wish.names
        left = used.left(utc_now()) if used else 0
        try:
            account = Account(self._settings)
            self._transports.append(account.transport)
            wanted = Wanted(
                names=wish.names,
                key_type=wish.key_type,
                profile=wish.profile,
                preferred_chain=wish.preferred_chain,
                replaces=certificate_id(used) if used and account.transport.directory.get("renewalInfo") else "",
                patience=wish.patience,
            )
            return Order(account, wanted, self._challenges, file, state, self.left_behind).obtain()
        except OrderError as exc:
            if exc.is_over:
                state.order = {}
                file.write(state)
                file.drop_pending()
            raise CertificateError(self.failed(exc.names or wish.names, str(exc), exc.retry_after, left)) from None
        except ChallengeError as exc:
            raise CertificateError(self.failed(wish.names, str(exc), None, left)) from None
        except AcmeError as exc:
            blamed = [name for name in exc.names if {name, f"*.{name}"} & set(wish.names)]
            raise CertificateError(self.failed(blamed or wish.names, str(exc), exc.retry_after, left)) from None

    def figures(self) -> dict[str, float]:
        return {
            "requests": sum(each.requests for each in self._transports),
            "nonces_refused": sum(each.nonces_refused for each in self._transports),
        }
