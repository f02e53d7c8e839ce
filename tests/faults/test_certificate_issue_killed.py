# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An issue killed with SIGKILL at any of its changes on the disk: the next run uses the order that is there."""

from __future__ import annotations

import os
import signal
import traceback
import typing as t

import pytest
from support.acme import Place

pytest_plugins = ("support.acme_fixtures",)
pytestmark = pytest.mark.pebble

#: What is changed on the disk: files that are there to stay, names, links.
_POINTS = ("fsync", "rename", "symlink", "unlink")


def _killed(acme: Place, at: int, about: dict[str, t.Any]) -> bool:
    """Issue in a process of its own that is killed at its at-th change on the disk; False when it has ended before."""
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the tests of its parent.
        try:
            left = [at]

            def deadly(function: t.Any) -> t.Any:
                def killed(*given: t.Any, **named: t.Any) -> t.Any:
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*given, **named)

                return killed

            for name in _POINTS:
                setattr(os, name, deadly(getattr(os, name)))
            result, _outcome = acme.issue(**about)
            os._exit(0 if result.verdict == "ok" else 8)
        except BaseException:  # noqa: BLE001 - reported by its exit status
            traceback.print_exc()
            os._exit(9)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def test_killed_anywhere_the_next_run_uses_what_is_there(acme: Place) -> None:
    """Renewal after renewal, each killed a little later; what the authority looks at is on the disk as well."""
    about = {
        "names": ["killed.example.org"],
        "challenge": "dns-01",
        "dns_hook": [str(acme.dns.hook)],
        "resolvers": [f"127.0.0.1#{acme.dns.port}"],
    }
    assert acme.issue(**about)[0].verdict == "ok"
    acme.due_now()
    at, resumed, lost = 1, 0, []
    while True:
        acme.proxy.asked.clear()
        before = acme.certificate().serial_number
        killed = _killed(acme, at, about)
        switched = acme.certificate().serial_number != before
        # Whoever looks now finds a whole pair.
        parts = [(acme.current / name).read_bytes() for name in ("fullchain.pem", "privkey.pem", "combined.pem")]
        assert parts[0] + parts[1] == parts[2], at
        if killed and switched:
            # The new one is in place; for it the authority does not say that it is due.
            acme.proxy.window = {"suggestedWindow": {"start": "2126-01-01T00:00:00Z", "end": "2126-01-02T00:00:00Z"}}
        if killed:
            result, outcome = acme.issue(**about)
            assert result.verdict in ("ok", "findings"), (at, result)
            resumed += int(result.figures.get("orders_resumed", 0))
            assert outcome.changed is not switched, at
            acme.ask_again()
        acme.due_now()
        assert (acme.certificate().serial_number != before, acme.leftovers()) == (True, []), at
        if len(acme.proxy.orders()) > 1:
            lost.append(at)
        if not killed:
            break
        at += 5
    assert at > 25
    # Between the answer to an order and its address on the disk nobody but the server knows of it.
    assert len(lost) <= 1
    assert resumed > 2
