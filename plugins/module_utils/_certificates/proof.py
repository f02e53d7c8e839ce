# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the listeners of a service serve, held against what they should.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t

from .._core.clock import write_time
from .._core.durations import format_duration
from .endpoints import Pace, look_at_all
from .handshake import Clients, Endpoint, Look
from .names import is_valid_for
from .trust import Trust
from .x509 import Certificate

_PAUSE = 0.2

#: What was served at each address: how to look there again, and a fingerprint, or nothing where nobody answered.
Before = t.List[t.Dict[str, t.Any]]


class Listeners:
    """All listeners of a service at all of their addresses."""

    def __init__(self, endpoints: t.Sequence[Endpoint], trust: Trust, timeout: float, patience: float) -> None:
        self._endpoints = endpoints
        self._clients = Clients(trust)
        self._pace = Pace(timeout, max(timeout, patience))
        self._patience = patience

    def look(self) -> list[Look]:
        return look_at_all(self._endpoints, self._clients, self._pace)

    def served(self) -> Before:
        return [_remember(seen) for seen in self.look()]

    def problem(self, wanted: t.Sequence[Certificate]) -> str:
        """Why these certificates are not what is served, at the first address where they are not."""
        return next(filter(None, (_problem(seen, wanted) for seen in self.look())), "")

    def wait_for(self, wanted: t.Sequence[Certificate], handshakes: int = 1) -> str:
        """Wait until all serve them, so many times in a row. The last problem when they do not.

        Servers reload in their own time: for a moment, old and new processes of nginx accept connections side by side.
        """
        return self._wait(lambda: next(filter(None, (self.problem(wanted) for _number in range(handshakes))), ""))

    def difference(self, before: Before, also: str) -> str:
        """Why it is not served what was served before, or the certificate with the fingerprint `also`."""
        # Where nobody answered before, nobody has to now.
        answered = [each for each in before if each["fingerprint"]]
        looks = look_at_all([_recall(each) for each in answered], self._clients, self._pace)
        for seen, then in zip(looks, answered):
            if seen.certificate is None:
                return f"{seen.subject} does not answer: {seen.reason}"
            if seen.certificate.fingerprint not in (then["fingerprint"], also):
                return f"{seen.subject} serves another certificate than before"
        return ""

    def wait_for_before(self, before: Before, also: str, handshakes: int) -> str:
        """Wait until it is served what was, so many times in a row. The last difference when it is not."""

        def difference() -> str:
            return next(filter(None, (self.difference(before, also) for _number in range(handshakes))), "")

        return self._wait(difference)

    def _wait(self, problem: t.Callable[[], str]) -> str:
        deadline = time.monotonic() + self._patience
        while True:
            found = problem()
            if not found or time.monotonic() + _PAUSE >= deadline:
                return f"{found} (looked for {format_duration(self._patience)})" if found else ""
            time.sleep(_PAUSE)


def _remember(seen: Look) -> dict[str, t.Any]:
    endpoint = seen.endpoint
    about = {"host": endpoint.host, "port": endpoint.port, "server_name": endpoint.server_name}
    fingerprint = seen.certificate.fingerprint if seen.certificate else ""
    about.update(starttls=endpoint.starttls, key_type=endpoint.key_type)
    return {**about, "address": seen.address, "fingerprint": fingerprint}


def _recall(then: t.Mapping[str, t.Any]) -> Endpoint:
    """The very address, whatever the name leads to by now."""
    address = (then["address"],)
    key_type = then.get("key_type", "any")  # which a journal of an older version does not have
    return Endpoint(then["host"], then["port"], address, then["server_name"], then["starttls"], key_type=key_type)


def name_of(then: t.Mapping[str, t.Any]) -> str:
    return _recall(then).at(then["address"])


def _problem(seen: Look, wanted: t.Sequence[Certificate]) -> str:
    found = seen.certificate
    if found is None:
        return f"{seen.subject}: {seen.reason}"
    if found.fingerprint != wanted[0].fingerprint:
        return f"{seen.subject} still serves the certificate that ends on {write_time(found.not_after)}"
    if seen.problem:
        return f"{seen.subject}: clients do not trust it: {seen.problem.text}"
    if seen.weak:
        return f"{seen.subject}: no handshake with the usual settings: {seen.weak}"
    if seen.out_of_date:
        return f"{seen.subject}: something in the chain is out of date"
    missing = [name for name in seen.endpoint.names if not is_valid_for(found.names, name)]
    if missing:
        return f"{seen.subject}: it is not valid for {', '.join(missing)}"
    served = {each.fingerprint for each in seen.chain or wanted}
    if any(each.fingerprint not in served for each in wanted if not each.is_self_signed):
        return f"{seen.subject} serves the certificate without its new chain"
    return ""
