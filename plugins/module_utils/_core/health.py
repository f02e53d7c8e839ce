# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the application is well: an URL that answers as expected, or a command that ends well, within a time.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import codecs
import dataclasses
import socket
import threading
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .application import ApplicationError, run_command
from .durations import format_duration, parse_duration
from .masking import mask_secrets
from .suggest import InputError

#: The arguments of every module that asks how an application is; documented by steward.maintenance._application.
HEALTH_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "health_url": {"type": "str", "default": ""},
    "health_status": {"type": "int", "default": 200},
    "health_command": {"type": "list", "elements": "str", "default": []},
    "health_timeout": {"type": "str", "default": "1m"},
}

#: Host names need it, and later we may be an account that may not read Python's library.
codecs.lookup("idna")

_PAUSE = 0.2
_ATTEMPT = 5.0
_SHORTEST = 1.0
_STATUSES = range(100, 600)


class _AsItIs(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer; where it leads to is another question."""

    def redirect_request(self, *_args: t.Any) -> None:
        return None


@dataclasses.dataclass(frozen=True)
class Health:
    """What is asked, and how long the answer may take."""

    url: str = ""
    status: int = 200
    command: tuple[str, ...] = ()
    timeout: float = 60
    #: What the environment of the command has beside ours.
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def asks(self) -> bool:
        return bool(self.url or self.command)

    @property
    def question(self) -> str:
        """For people."""
        asked = [f"{mask_secrets(self.url)} answers {self.status}"] if self.url else []
        asked += [f"{self.command[0]} ends with status 0"] if self.command else []
        return " and ".join(asked)

    def problem(self, patience: float = _ATTEMPT) -> str:
        """Ask once: why it is not well, or an empty text when it is, or when nothing is to be asked."""
        wrong = self._ask_url(patience) if self.url else ""
        return wrong or (self._ask_command(patience) if self.command else "")

    def wait(self) -> str:
        """Ask until it is well or the time is over, give or take a second: the last problem, or an empty text."""
        deadline = time.monotonic() + self.timeout
        while True:
            left = deadline - time.monotonic()
            # Whoever is given no time to answer has not said that anything is wrong.
            wrong = self.problem(max(_SHORTEST, min(_ATTEMPT, left)))
            if not wrong:
                return ""
            if time.monotonic() + _PAUSE >= deadline:
                return f"{wrong} (asked for {format_duration(self.timeout)})"
            time.sleep(_PAUSE)

    def _ask_url(self, patience: float) -> str:
        # A server that sends a byte now and then keeps a socket's timeout from ever striking: a thread can be left.
        told: list[str] = []
        asking = threading.Thread(target=lambda: told.append(self._fetch(patience)), daemon=True)
        asking.start()
        asking.join(patience)
        return told[0] if told else _mute(mask_secrets(self.url), patience)

    def _fetch(self, patience: float) -> str:
        opener = urllib.request.build_opener(_AsItIs, urllib.request.ProxyHandler({}))
        place = mask_secrets(self.url)
        try:
            with opener.open(self.url, timeout=patience) as answer:
                status = answer.status
        except urllib.error.HTTPError as exc:
            status = exc.code
        except Exception as exc:  # noqa: BLE001 - in a thread of its own nobody else would hear of it
            why = getattr(exc, "reason", None) or exc
            if isinstance(why, socket.timeout):  # the socket's patience ended before that of whoever waits for us
                return _mute(place, patience)
            return f"{place} cannot be asked: {mask_secrets(str(why))}"
        return "" if status == self.status else f"{place} answered {status} instead of {self.status}"

    def _ask_command(self, patience: float) -> str:
        try:
            status, said = run_command(self.command, patience, more=self.environment)
        except ApplicationError as exc:
            return str(exc)
        return f"{self.command[0]} ended with status {status}: {said or 'it said nothing'}" if status else ""


def _mute(place: str, patience: float) -> str:
    return f"{place} did not answer within {format_duration(patience)}"


def health_from(params: t.Mapping[str, t.Any]) -> Health:
    """The question that a module's parameters describe.

    :raises InputError: naming the option, the value and what would be right.
    """
    url = params["health_url"] or ""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as exc:
        raise InputError(f"health_url {mask_secrets(url)!r} cannot be read: {exc}") from None
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise InputError(f'health_url {mask_secrets(url)!r} is no URL: write it like "http://127.0.0.1:8080/health"')
    if params["health_status"] not in _STATUSES:
        raise InputError(f"health_status is {params['health_status']}: it must be an HTTP status like 200")
    try:
        timeout = parse_duration(params["health_timeout"])
    except InputError as exc:
        raise InputError(f"health_timeout: {exc}") from None
    return Health(url, params["health_status"], tuple(params["health_command"]), timeout)
