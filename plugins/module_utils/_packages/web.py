# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to indexes and advisory services over HTTP, with a deadline and a limit, and the age of the answer.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Proxies are those of the environment, credentials those of the address or of `~/.netrc`. Neither shows in a message.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import email.message
import email.utils
import http.client
import json
import netrc
import ssl
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .._core.durations import format_duration
from .running import shortened

_MOST_BYTES = 64 * 1024 * 1024
_CHUNK = 64 * 1024


class NoAnswer(Exception):
    """Nobody could be asked, or what was answered is no answer; the text says what happened."""


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: email.message.Message
    body: bytes

    def json(self) -> t.Any:
        """:raises NoAnswer: when it is no JSON, one that was cut for example."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            told = "an empty answer" if not self.body.strip() else "an answer that is no whole JSON"
            raise NoAnswer(told) from None

    @property
    def age_seconds(self) -> float:
        """How old the answer says it is, by its Age or, through a proxy that does not tell that, by its Date."""
        ages = [0.0]
        age = (self.headers.get("Age") or "").strip()
        if age.isdigit():
            ages.append(float(age[:12]))
        try:
            made = email.utils.parsedate_to_datetime(self.headers.get("Date") or "")
        except (TypeError, ValueError, IndexError):
            made = None
        if made is not None and made.tzinfo is not None:
            ages.append((datetime.datetime.now(datetime.timezone.utc) - made).total_seconds())
        return max(ages)


class Http:
    """Asks, each time on a connection of its own; any number of threads may."""

    def __init__(self, timeout: float, certificates: str = "") -> None:
        self._timeout = timeout
        self._context = ssl.create_default_context(cafile=certificates or None)

    def ask(
        self, url: str, body: t.Any = None, accept: str = "application/json", secret: tuple[str, str] | None = None
    ) -> Answer:
        """The answer, whatever its status.

        :param secret: a header with a token.
        :raises NoAnswer: when there is none, or not all of it within the time.
        """
        plain, credentials = _without_credentials(url)
        headers = {"Accept": accept, "User-Agent": "steward.maintenance"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        parts = urllib.parse.urlsplit(plain)
        if parts.scheme not in ("http", "https"):
            raise NoAnswer(f"{shown(plain)} is no address of the web")
        request = urllib.request.Request(plain, data=data, headers=headers)  # noqa: S310 - the scheme was looked at
        if secret:
            request.add_unredirected_header(*secret)
        elif credentials:
            # Not to whom the answer may send us on.
            request.add_unredirected_header("Authorization", credentials)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=self._context))
        deadline = time.monotonic() + self._timeout
        try:
            with opener.open(request, timeout=self._timeout) as answer:
                return Answer(answer.status, answer.headers, _read(answer, deadline))
        except urllib.error.HTTPError as exc:
            exc.close()
            return Answer(exc.code, exc.headers, b"")
        except TimeoutError:
            raise NoAnswer(f"{shown(plain)} did not answer within {format_duration(self._timeout)}") from None
        except (OSError, http.client.HTTPException, ValueError) as exc:
            reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
            if isinstance(reason, TimeoutError):
                raise NoAnswer(f"{shown(plain)} did not answer within {format_duration(self._timeout)}") from None
            raise NoAnswer(f"{shown(plain)}: {shortened(str(reason) or type(reason).__name__)}") from None

    def found(self, url: str, body: t.Any = None, accept: str = "application/json") -> Answer:
        """:raises NoAnswer: for any status but 200, too."""
        answer = self.ask(url, body, accept)
        if answer.status != http.HTTPStatus.OK:
            raise NoAnswer(f"{shown(url)} answered {answer.status}")
        return answer


def shown(url: str) -> str:
    """The address without what may be a secret."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _read(answer: t.Any, deadline: float) -> bytes:
    """All of it. A server that lets it drip does not hold us for longer than the deadline."""
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = answer.read1(_CHUNK)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    length = answer.headers.get("Content-Length") or ""
    if length.isdigit() and int(length) != size:
        raise ValueError(f"cut off after {size} of {length} bytes")
    return b"".join(pieces)


def _without_credentials(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    user, password = parts.username, parts.password
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if user is None and parts.hostname:
        try:
            known = netrc.netrc().authenticators(parts.hostname)
        except (OSError, netrc.NetrcParseError):
            known = None
        if known:
            user, password = known[0], known[2]
    if user is None:
        return bare, ""
    pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password or '')}"
    return bare, "Basic " + base64.b64encode(pair.encode()).decode()
