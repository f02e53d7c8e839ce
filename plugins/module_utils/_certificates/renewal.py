# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate is renewed: at a share of its lifetime, or when its authority says so (ARI, RFC 9773).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The authority's word is asked for twice a day, one moment of its window is drawn once and kept, and whatever is wrong
with it has a name and the share of the lifetime to fall back on. It never stands in the way of a renewal.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import parse_time, write_time
from .._core.suggest import InputError
from .x509 import Certificate

#: What is left of a lifetime when it is renewed, and for short-lived certificates, as authorities advise.
LEFT, LEFT_SHORT = 1 / 3, 1 / 2
#: Those that live less long than this are short-lived (CA/B Forum Baseline Requirements, 1.6.1).
SHORT_LIVED = 10 * 86400
#: RFC 9773, 4.3.2: the authority says when to ask again, within these bounds; and what holds where it does not.
SOONEST, LATEST, USUAL = 60, 12 * 3600, 6 * 3600

_MOMENT_LENGTH = 19


class AriFault(Exception):
    """The authority's word cannot be had or used.

    :param name: `absent`, `no-identifier`, `unreachable`, `refused`, `malformed` or `too-late`.
    """

    def __init__(self, name: str, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.name = name
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True)
class Window:
    """What the authority said."""

    start: datetime.datetime
    end: datetime.datetime
    explanation: str = ""
    retry_after: float | None = None


@dataclasses.dataclass
class Ari:
    """What is kept of it between two runs."""

    certificate: str = ""
    start: str = ""
    end: str = ""
    chosen: str = ""
    asks_again: str = ""
    fault: str = ""
    told: str = ""
    explanation: str = ""


@dataclasses.dataclass(frozen=True)
class Moment:
    """From when on a certificate is due, and by whose word."""

    at: datetime.datetime
    #: `ari` or `lifetime`.
    source: str
    ari: Ari


def usual_moment(certificate: Certificate, left: float = 0) -> datetime.datetime:
    """When the share of the lifetime that is left has come down to what it is renewed at.

    :param left: that share; 0 is the usual one.
    """
    return certificate.not_before + datetime.timedelta(
        seconds=certificate.lifetime * (1 - (left or usual_share(certificate)))
    )


def usual_share(certificate: Certificate) -> float:
    return LEFT_SHORT if certificate.lifetime < SHORT_LIVED else LEFT


def moment_of(
    certificate: Certificate,
    kept: Ari,
    now: datetime.datetime,
    ask: t.Callable[[], Window],
    draw: t.Callable[[], float],
    left: float = 0,
) -> Moment:
    """When the certificate is due.

    :param ask: asks the authority, or raises AriFault.
    :param draw: a random number from 0 to 1.
    """
    usual = usual_moment(certificate, left)
    if certificate.left(now) < 0:
        # RFC 9773, 4.3: nobody asks about a certificate that has ended.
        return Moment(usual, "lifetime", Ari(certificate.fingerprint))
    ari = kept if kept.certificate == certificate.fingerprint else Ari(certificate.fingerprint)
    if not ari.asks_again or _is_over(ari.asks_again, now):
        ari = _asked(certificate, ari, now, ask, draw, left)
    if ari.chosen:
        return Moment(parse_time(ari.chosen), "ari", ari)
    return Moment(usual, "lifetime", ari)


def _is_over(text: str, now: datetime.datetime) -> bool:
    try:
        then = parse_time(text)
    except InputError:
        return True
    # A clock that was wrong for a day must not keep us from asking for a year.
    return then <= now or then > now + datetime.timedelta(seconds=LATEST)


def _asked(
    certificate: Certificate,
    ari: Ari,
    now: datetime.datetime,
    ask: t.Callable[[], Window],
    draw: t.Callable[[], float],
    left: float,
) -> Ari:
    try:
        window = ask()
        start, end = write_time(window.start), write_time(window.end)
        if ari.chosen and (ari.start, ari.end) == (start, end):
            chosen = ari.chosen
        else:
            chosen = write_time(_choose(certificate, window, draw, left))
    except AriFault as exc:
        # A moment that was drawn before stays: only what the authority says next can move it.
        asks_again = _next(now, exc.retry_after)
        kept = dataclasses.replace(ari, asks_again=asks_again, fault=exc.name, told=str(exc))
        return kept if exc.name == "unreachable" else dataclasses.replace(kept, start="", end="", chosen="")
    again = _next(now, window.retry_after)
    return Ari(certificate.fingerprint, start, end, chosen, again, explanation=window.explanation)


def _choose(certificate: Certificate, window: Window, draw: t.Callable[[], float], left: float) -> datetime.datetime:
    """A moment in the window that leaves half of the usual share for what goes wrong."""
    spare = (left or usual_share(certificate)) / 2
    last = usual_moment(certificate, spare)
    if window.start > last:
        told = f"its window begins on {write_time(window.start)}, too late for a certificate that ends on"
        raise AriFault("too-late", f"{told} {write_time(certificate.not_after)}", window.retry_after)
    return window.start + (min(window.end, last) - window.start) * draw()


def _next(now: datetime.datetime, retry_after: float | None) -> str:
    seconds = USUAL if retry_after is None else min(max(retry_after, SOONEST), LATEST)
    return write_time(now + datetime.timedelta(seconds=seconds))


def window_of(answer: t.Any, retry_after: float | None = None) -> Window:
    """:raises AriFault: when the answer is not what RFC 9773 says."""
    if not isinstance(answer, dict) or not isinstance(answer.get("suggestedWindow"), dict):
        raise AriFault("malformed", "its answer has no suggestedWindow", retry_after)
    given = answer["suggestedWindow"]
    try:
        start, end = _moment(given.get("start")), _moment(given.get("end"))
    except (TypeError, ValueError, OverflowError):
        raise AriFault("malformed", "its window has no start or no end that is a moment", retry_after) from None
    if start >= end:
        raise AriFault("malformed", f"its window ends ({write_time(end)}) before it begins", retry_after)
    told = answer.get("explanationURL")
    explanation = told if isinstance(told, str) and told.startswith(("https://", "http://")) else ""
    return Window(start, end, explanation[:500], retry_after)


def _moment(text: t.Any) -> datetime.datetime:
    """RFC 3339, in any zone and with any fraction of a second; Python 3.8 reads less than that."""
    head, rest = text[:_MOMENT_LENGTH].upper().replace(" ", "T"), text[_MOMENT_LENGTH:].upper()
    moment = datetime.datetime.strptime(f"{head}+0000", "%Y-%m-%dT%H:%M:%S%z")
    if rest.startswith("."):
        rest = rest[1:].lstrip("0123456789")
    zone = "+0000" if rest == "Z" else rest.replace(":", "")
    offset = datetime.datetime.strptime(zone, "%z").utcoffset() or datetime.timedelta()
    return moment - offset
