# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One order at an ACME server, from the first request to the certificate; taken up again where a killed run left it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What has been done is asked of the server: it knows the order by its address, which is on the disk as soon as we know
it. The key was there before.
"""

from __future__ import annotations

import base64
import dataclasses
import re
import time
import typing as t

from .acme_account import Account
from .acme_transport import AcmeError, Answer
from .challenge_look import ChallengeError
from .challenges import Challenges, ChallengeSettings, Proof, handed_out
from .issue_state import State, StateFile
from .keys import load_key, new_key, pem_of_key, request_for
from .names import is_address
from .x509 import Certificate, CertificateError, certificates_in

_NOT_FOUND, _FORBIDDEN, _SERVER_ERROR = 404, 403, 500
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30
#: The server has no opinion on `replaces`; what it says is about all orders.
_ABOUT_ALL_ORDERS = ("rateLimited", "badNonce", "unreachable", "accountDoesNotExist", "userActionRequired")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is ordered."""

    names: tuple[str, ...]
    key_type: str
    profile: str = ""
    preferred_chain: str = ""
    #: Which certificate it is going to replace (RFC 9773, 5); empty where the server does not want to know.
    replaces: str = ""
    patience: float = 300


@dataclasses.dataclass
class Issued:
    """What came of it."""

    key: bytes = dataclasses.field(repr=False)
    certificates: list[Certificate] = dataclasses.field(default_factory=list)
    #: Whether a killed run had begun it.
    was_resumed: bool = False
    #: Why the server did not take `replaces`.
    replaces_refused: str = ""
    #: The chain that was preferred is none that the server offers.
    chain_missing: bool = False


class OrderError(Exception):
    """The order came to nothing; the text says why.

    :param names: those that it is about; all of the order's when there are none.
    :param is_over: the order cannot come to anything any more.
    """

    def __init__(
        self, words: str, names: t.Sequence[str] = (), is_over: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(words)
        self.names = tuple(names)
        self.is_over = is_over
        self.retry_after = retry_after


class HandedOut(Exception):
    """The order waits for its proofs to be shown by other hosts, too; the authority has not been asked to look."""

    def __init__(self, challenges: list[dict[str, str]]) -> None:
        super().__init__(f"{len(challenges)} challenges are to be shown")
        self.challenges = challenges


class Order:
    """The order of one certificate.

    :param left_behind: gets why a proof could not be taken away.
    """

    def __init__(
        self,
        account: Account,
        wanted: Wanted,
        challenges: ChallengeSettings,
        file: StateFile,
        state: State,
        left_behind: list[str],
    ) -> None:
        self._left_behind = left_behind
        self._account = account
        self._wanted = wanted
        self._challenge_settings = challenges
        self._file = file
        self._state = state
        self._deadline = time.monotonic() + wanted.patience
        self._next_pause = _FIRST_PAUSE

    def obtain(self) -> Issued:
        """Have the certificate issued.

        :raises OrderError: when it is not.
        :raises HandedOut: when others have to show the proofs first.
        :raises AcmeError: when the server does not do what it is asked.
        """
        address = self._account.ready()
        issued = Issued(b"")
        self._left_behind += Challenges(self._challenge_settings, self._keep).clear(self._state.challenges)
        body = self._taken_up(address)
        issued.was_resumed = body is not None
        if body is None:
            body = self._begin(address, issued)
        issued.key = self._file.read_pending()
        if body.get("status") == "pending":
            self._prove(body)
            body = self._wait(("pending",))
        if body.get("status") == "ready":
            request = base64.urlsafe_b64encode(request_for(load_key(issued.key), self._wanted.names)).rstrip(b"=")
            try:
                self._account.post(_text(body, "finalize"), {"csr": request.decode("ascii")})
            except AcmeError as exc:
                if exc.status != _FORBIDDEN or exc.kind != "orderNotReady":
                    raise self._over(exc) from None
        body = self._wait(("ready", "processing"))
        if body.get("status") != "valid":
            raise self._refused(body)
        self._download(_text(body, "certificate"), issued)
        return issued

    def _taken_up(self, address: str) -> dict[str, t.Any] | None:
        """The order that an earlier run left, where it is one of what is wanted now and may come to something."""
        kept = self._state.order
        if not kept.get("url") or {**kept, "url": ""} != self._about(address) or not self._file.read_pending():
            return None
        try:
            body = self._body(self._account.fetch(kept["url"]))
        except AcmeError as exc:
            if exc.status not in (_NOT_FOUND, _FORBIDDEN):
                raise
            return None
        return body if body.get("status") in ("pending", "ready", "processing", "valid") else None

    def _about(self, address: str) -> dict[str, t.Any]:
        wanted = self._wanted
        about = {"names": sorted(wanted.names), "key_type": wanted.key_type, "profile": wanted.profile}
        return {"url": "", "account": address, **about}

    def _begin(self, address: str, issued: Issued) -> dict[str, t.Any]:
        # A fresh key each time, and on the disk before the server hears of the order.
        self._state.order = {}
        self._file.write(self._state)
        self._file.write_pending(pem_of_key(new_key(self._wanted.key_type)))
        answer = self._order(issued)
        if not answer.location:
            raise AcmeError("the server took an order and did not say where it is", "unreadable")
        self._state.order = {**self._about(address), "url": answer.location}
        self._file.write(self._state)
        return self._body(answer)

    def _order(self, issued: Issued) -> Answer:
        wanted, place = self._wanted, self._account.transport.place("newOrder")
        kinds = [("ip" if is_address(name) else "dns", name) for name in wanted.names]
        content: dict[str, t.Any] = {"identifiers": [{"type": kind, "value": name} for kind, name in kinds]}
        if wanted.profile:
            content["profile"] = wanted.profile
        if wanted.replaces:
            try:
                return self._account.post(place, {**content, "replaces": wanted.replaces})
            except AcmeError as exc:
                if exc.kind in _ABOUT_ALL_ORDERS or not exc.status or exc.status >= _SERVER_ERROR:
                    raise
                # Replaced already, or not a thing of this server: the order stands without it as well.
                issued.replaces_refused = str(exc)
        return self._account.post(place, content)

    def _prove(self, body: dict[str, t.Any]) -> None:
        settings = self._challenge_settings
        with Challenges(settings, self._keep, self._left_behind) as challenges:
            waiting: list[tuple[str, str]] = []
            handed: list[dict[str, str]] = []
            for url in body.get("authorizations") or ():
                authorization = self._body(self._account.fetch(url))
                name = self._name_of(authorization)
                if authorization.get("status") == "valid":
                    continue
                challenge = self._challenge_of(name, authorization)
                token = _text(challenge, "token")
                proof = Proof(name, token, self._account.authorization_of(token))
                try:
                    if settings.hand_out:
                        handed.append(handed_out(proof))
                        continue
                    challenges.put(proof)
                except ChallengeError as exc:
                    # The authority was not asked: the order stays as it is, and costs nothing.
                    raise OrderError(f"{exc}; the authority was not asked", (name,), is_over=False) from None
                if challenge.get("status") == "pending":
                    self._account.post(_text(challenge, "url"), {})
                waiting.append((name, url))
            if handed:
                raise HandedOut(handed)
            for name, url in waiting:
                self._wait_for_proof(name, url)

    def _name_of(self, authorization: t.Mapping[str, t.Any]) -> str:
        """Nothing is shown for a name that was not ordered, whoever asks for it."""
        identifier = authorization.get("identifier")
        name = str(identifier.get("value") if isinstance(identifier, dict) else None)
        if not {name, f"*.{name}"} & set(self._wanted.names):
            raise OrderError(f"the authority wants a proof for {_line(name)}, which was not ordered; none was given")
        return name

    def _challenge_of(self, name: str, authorization: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        if authorization.get("status") != "pending":
            raise OrderError(_why_invalid(name, authorization), (name,))
        kind = self._challenge_settings.kind
        offered = [each for each in authorization.get("challenges") or () if isinstance(each, dict)]
        found = [each for each in offered if each.get("type") == kind]
        if not found:
            kinds = ", ".join(sorted(str(each.get("type")) for each in offered))
            raise OrderError(f"the authority takes no {kind} for {name}, but {kinds or 'nothing at all'}", (name,))
        return found[0]

    def _wait_for_proof(self, name: str, url: str) -> None:
        while True:
            answer = self._account.fetch(url)
            authorization = self._body(answer)
            status = authorization.get("status")
            if status == "valid":
                return
            if status not in ("pending", "processing"):
                raise OrderError(_why_invalid(name, authorization), (name,))
            self._pause(answer, f"the authority has not looked at the proof for {name}")

    def _wait(self, while_it_is: t.Collection[str]) -> dict[str, t.Any]:
        """The order as soon as it is something else than it is."""
        while True:
            answer = self._account.fetch(self._state.order["url"])
            body = self._body(answer)
            if body.get("status") == "invalid":
                raise self._refused(body)
            if body.get("status") not in while_it_is:
                return body
            self._pause(answer, f"the order is still {body.get('status')}")

    def _pause(self, answer: Answer, what: str) -> None:
        # Twice as long each time, unless the authority says how long.
        wanted, self._next_pause = self._next_pause, min(2 * self._next_pause, _LONGEST_PAUSE)
        if answer.retry_after is not None:
            wanted = min(max(answer.retry_after, _FIRST_PAUSE), _LONGEST_PAUSE)
        if time.monotonic() + wanted >= self._deadline:
            raise OrderError(f"{what} after {self._wanted.patience:.0f} s; the next run goes on with it", is_over=False)
        time.sleep(wanted)

    def _download(self, url: str, issued: Issued) -> None:
        answer = self._account.fetch(url)
        issued.certificates = _chain(answer.text)
        preferred = self._wanted.preferred_chain
        if not preferred or _leads_to(issued.certificates, preferred):
            return
        for alternate in answer.alternates:
            chain = _chain(self._account.fetch(alternate).text)
            if _leads_to(chain, preferred):
                issued.certificates = chain
                return
        issued.chain_missing = True

    def _keep(self, placed: list[dict[str, str]]) -> None:
        self._state.challenges = placed
        self._file.write(self._state)

    def _over(self, exc: AcmeError) -> Exception:
        """A request that will never be taken ends its order; all else is worth another try."""
        if exc.kind in _ABOUT_ALL_ORDERS or not exc.status or exc.status >= _SERVER_ERROR:
            return exc
        return OrderError(f"the authority refused the request: {exc}", exc.names, retry_after=exc.retry_after)

    def _refused(self, body: t.Mapping[str, t.Any]) -> OrderError:
        error = body.get("error")
        told = error.get("detail") if isinstance(error, dict) else None
        return OrderError(f"the order is {body.get('status')}: {_line(told or 'the authority does not say why')}")

    @staticmethod
    def _body(answer: Answer) -> dict[str, t.Any]:
        if not isinstance(answer.body, dict):
            raise AcmeError("the server's answer is no JSON object, as RFC 8555 says it is", "unreadable")
        return answer.body


def _text(body: t.Mapping[str, t.Any], key: str) -> str:
    found = body.get(key)
    if not isinstance(found, str) or not found:
        raise AcmeError(f"the server's answer has no {key}, which RFC 8555 says it has", "unreadable")
    return found


def _why_invalid(name: str, authorization: t.Mapping[str, t.Any]) -> str:
    for challenge in authorization.get("challenges") or ():
        error = challenge.get("error") if isinstance(challenge, dict) else None
        if isinstance(error, dict):
            return f"the authority does not take the proof for {name}: {_line(error.get('detail'))}"
    return f"the authorization for {name} is {authorization.get('status')}"


def _line(text: t.Any) -> str:
    return " ".join(str(text).split())[:300]


def _chain(text: str) -> list[Certificate]:
    try:
        return certificates_in(text.encode())
    except CertificateError as exc:
        raise AcmeError(f"what the authority issued cannot be used: {exc}", "unreadable") from None


def _leads_to(chain: t.Sequence[Certificate], preferred: str) -> bool:
    """Whether the last certificate was issued by an authority of this common name."""
    names = re.findall(r"(?:^|[,+])CN=((?:\\.|[^,+])*)", chain[-1].issuer)
    return any(re.sub(r"\\(.)", r"\1", name) == preferred for name in names)
