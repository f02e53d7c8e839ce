# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to an ACME server (RFC 8555), signed and sent by Certbot's library `acme`.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

From the library are signatures, nonces, external account bindings and HTTP. Ours is what it leaves out or hides: it
tries a refused nonce again once, drops Retry-After with every error and the problem document with a conflict (409), and
knows no `replaces`. Its versions from 2.0 on differ in many other things; in those used here they are the same.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import email.utils
import json
import queue
import threading
import time
import typing as t

from .x509 import CertificateError

try:
    import requests
    from acme import client, errors, messages
    from josepy import jwa
    from josepy.errors import Error as JoseError
except ImportError:  # told by need_acme(), where somebody can read it
    client = None  # type: ignore[assignment]

_USER_AGENT = "steward.maintenance"
_NONCES = 25
_TRIES = 4
_LONGEST_PAUSE = 10
_LONGEST_DETAIL = 300
_SERVER_ERROR = 500
#: One question may be three requests: for a connection, for a nonce, and for what is asked.
_REQUESTS = 3
_PREFIX = "urn:ietf:params:acme:error:"


class AcmeError(Exception):
    """The authority did not do what was asked; the text says what it said.

    :param kind: the type of its problem document, `unreachable`, `slow`, `unreadable`, or empty.
    """

    def __init__(
        self,
        words: str,
        kind: str = "",
        status: int = 0,
        retry_after: float | None = None,
        names: t.Sequence[str] = (),
    ) -> None:
        super().__init__(words)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        #: Those that it names in subproblems.
        self.names = tuple(names)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the authority answered."""

    body: t.Any
    text: str
    location: str
    retry_after: float | None
    alternates: tuple[str, ...]


def need_acme() -> None:
    """:raises CertificateError: when the library is missing."""
    if client is None:
        raise CertificateError("acme is missing for this Python: install python3-acme 2.0 or newer")
    if hasattr(client, "BackwardsCompatibleClientV2"):
        raise CertificateError("the acme of this Python is too old: install python3-acme 2.0 or newer")


class _Body:
    """A plain dictionary as the library takes one; never false, for it takes that for no body at all."""

    def __init__(self, content: t.Mapping[str, t.Any]) -> None:
        self._content = dict(content)

    def json_dumps(self, **options: t.Any) -> str:
        return json.dumps(self._content, **options)


class Transport:
    """One ACME server, and the account that asks it."""

    def __init__(self, directory_url: str, key: t.Any = None, trust: str = "", timeout: float = 30) -> None:
        need_acme()
        self.directory_url = directory_url
        self.requests = 0
        self.nonces_refused = 0
        #: By how many seconds the authority's clock is ahead of ours; None until it said so.
        self.ahead: float | None = None
        self._key = key
        self._answer: t.Any = None
        self._longest = _REQUESTS * timeout
        self._asking: threading.Thread | None = None
        algorithm = jwa.RS256 if key is None or key.typ == "RSA" else jwa.ES256
        self._net = client.ClientNetwork(key, alg=algorithm, user_agent=_USER_AGENT, timeout=int(timeout))
        self._net.verify_ssl = trust or True  # type: ignore[assignment]
        self._net.session.hooks["response"].append(self._note)
        self.directory = self._directory()

    @property
    def meta(self) -> dict[str, t.Any]:
        meta = self.directory.get("meta")
        return meta if isinstance(meta, dict) else {}

    def act_as(self, account: str) -> None:
        """Sign as this account (its address) from now on; empty: with the key itself."""
        resource = messages.RegistrationResource(uri=account, body=messages.Registration()) if account else None
        self._net.account = resource

    def place(self, name: str) -> str:
        """:raises AcmeError: when the directory does not have it."""
        found = self.directory.get(name)
        if not isinstance(found, str) or not found:
            raise AcmeError(f"the directory {self.directory_url} has no {name}: it is no ACME server (RFC 8555)")
        return found

    def binding(self, key_id: str, mac_key: str) -> t.Any:
        """:raises AcmeError: when the key is none."""
        directory = messages.Directory.from_json(copy.deepcopy(self.directory))
        try:
            return messages.ExternalAccountBinding.from_data(self._key.public_key(), key_id, mac_key, directory)
        except Exception:  # noqa: BLE001 - whatever it is, its text may quote the key
            raise AcmeError("the key of the external account is no key in base64url") from None

    def get(self, url: str) -> Answer:
        """A plain GET, once."""
        return self._once(lambda: self._net.get(url, content_type=self._net.JSON_CONTENT_TYPE))

    def fetch(self, url: str) -> Answer:
        """POST-as-GET, tried again in the same way: it changes nothing."""
        return self._again(lambda: self._net.post(url, None, new_nonce_url=self.place("newNonce")))

    def post(self, url: str, content: t.Mapping[str, t.Any]) -> Answer:
        """A POST, not tried again when nobody knows whether the first one arrived."""
        nonce = self.place("newNonce")
        return self._once(lambda: self._net.post(url, _Body(content), new_nonce_url=nonce))

    def _directory(self) -> dict[str, t.Any]:
        body = self._again(lambda: self._net.get(self.directory_url)).body
        if not isinstance(body, dict):
            raise AcmeError(f"{self.directory_url} is no directory of an ACME server (RFC 8555, 7.1.1)")
        return body

    def _again(self, ask: t.Callable[[], t.Any]) -> Answer:
        for tried in range(1, _TRIES + 1):
            try:
                return self._once(ask)
            except AcmeError as exc:
                temporary = exc.kind == "unreachable" or exc.status >= _SERVER_ERROR
                pause = exc.retry_after if exc.retry_after is not None else 0.2 * 2**tried
                if not temporary or tried == _TRIES or pause > _LONGEST_PAUSE:
                    raise
                time.sleep(pause)
        raise AcmeError("it was never asked")

    def _once(self, ask: t.Callable[[], t.Any]) -> Answer:
        for _refused in range(_NONCES):
            self._answer = None
            try:
                return _read(self._bounded(ask))
            except messages.Error as exc:
                if exc.code == "badNonce":
                    self.nonces_refused += 1
                    continue
                raise self._problem(exc) from None
            except errors.MissingNonce:
                # The library cares for the next request. What was asked is done, and this is the answer.
                return _read(self._answer)
            except (errors.Error, JoseError, ValueError) as exc:
                raise self._problem(exc) from None
            except requests.exceptions.RequestException as exc:
                raise AcmeError(f"{self.directory_url} does not answer: {_why(exc)}", "unreachable") from None
        raise AcmeError(f"the server refused {_NONCES} nonces in a row, each a new one of its own", "badNonce")

    def _bounded(self, ask: t.Callable[[], t.Any]) -> t.Any:
        """What was asked for, or an error in time: a server that sends a byte now and then is never late by itself."""
        done: queue.SimpleQueue[tuple[t.Any, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put((ask(), None))
            except BaseException as exc:  # noqa: BLE001 - raised again where it was asked
                done.put((None, exc))

        self._asking = threading.Thread(target=work, daemon=True)
        self._asking.start()
        try:
            answer, exc = done.get(timeout=self._longest)
        except queue.Empty:
            told = f"{self.directory_url} has not answered to the end in {self._longest:.0f} s"
            raise AcmeError(told, "slow") from None
        if exc is not None:
            raise exc
        return answer

    def _problem(self, exc: Exception) -> AcmeError:
        """What went wrong, from the answer itself: exceptions of the library have lost half of it."""
        answer = self._answer
        if answer is None:
            return AcmeError(f"{self.directory_url}: {_short(str(exc)) or type(exc).__name__}", "unreachable")
        retry_after = _retry_after(answer)
        try:
            problem = answer.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or not isinstance(problem.get("type"), str):
            if answer.ok:
                return AcmeError("the server's answer is not what RFC 8555 says", "unreadable", 0, retry_after)
            told = f"the server answered {answer.status_code} without a problem document"
            return AcmeError(told, "", answer.status_code, retry_after)
        kind = problem["type"]
        kind = kind[len(_PREFIX) :] if kind.startswith(_PREFIX) else kind
        names, details = [], [str(problem.get("detail") or kind)]
        for each in problem.get("subproblems") or ():
            identifier = each.get("identifier") if isinstance(each, dict) else None
            if isinstance(identifier, dict):
                names.append(str(identifier.get("value")))
                details.append(f"{identifier.get('value')}: {each.get('detail')}")
        return AcmeError(_short("; ".join(details)), kind, answer.status_code, retry_after, names)

    def _note(self, answer: t.Any, *_given: t.Any, **_named: t.Any) -> None:
        if threading.current_thread() is not self._asking:
            return  # the end of what nobody waits for any more
        self._answer = answer
        self.requests += 1
        then = answer.headers.get("Date")
        try:
            moment = email.utils.parsedate_to_datetime(then) if then else None
        except (TypeError, ValueError):
            moment = None
        if moment is not None and moment.tzinfo is not None:
            self.ahead = (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def _read(answer: t.Any) -> Answer:
    try:
        body = answer.json()
    except ValueError:
        body = None
    links = requests.utils.parse_header_links(answer.headers.get("Link", ""))
    alternates = [link["url"] for link in links if link.get("rel") == "alternate" and link.get("url")]
    location = answer.headers.get("Location", "")
    return Answer(body, answer.text, location, _retry_after(answer), tuple(alternates))


def _retry_after(answer: t.Any) -> float | None:
    """Seconds from now, of both forms (RFC 9110, 10.2.3); None when there is none that can be read."""
    text = (answer.headers.get("Retry-After") or "").strip()
    if text.isdigit():
        return float(text[:12])
    try:
        moment = email.utils.parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


def _why(exc: Exception) -> str:
    if isinstance(exc, requests.exceptions.SSLError):
        return "its own certificate is not trusted here; name its authority in directory_trust"
    if isinstance(exc, requests.exceptions.Timeout):
        return "no answer in time"
    return "no connection" if isinstance(exc, requests.exceptions.ConnectionError) else _short(str(exc))


def _short(text: str) -> str:
    """Words of others: one line, and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else f"{line[:_LONGEST_DETAIL]}..."
