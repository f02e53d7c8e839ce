# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong at an authority, on the way to it and here: each is named, and none issues twice or breaks a pair.

The server is a real one (Pebble) that refuses every other nonce in all of these.
"""

from __future__ import annotations

import http.server
import os
import pathlib
import re
import resource
import signal
import threading
import typing as t

import pytest
from support.acme import NAME, Place, window
from support.acme_proxy import Fault, problem
from support.certificates import Authority
from support.pebble import BLOCKED

pytest_plugins = ("support.acme_fixtures",)
pytestmark = pytest.mark.pebble

_UNAVAILABLE = {"type": "about:blank", "detail": "try later"}


def _is_whole(acme: Place) -> bool:
    """Whether there is one pair in place whose files belong together, and nothing half made beside it."""
    files = {path.name: path.read_bytes() for path in acme.current.iterdir()}
    return files["combined.pem"] == files["fullchain.pem"] + files["privkey.pem"]


@pytest.mark.parametrize(
    ("fallback", "answer", "fault"),
    [
        ("absent", None, None),
        ("unreachable", window(-2, -1), Fault("/renewal-info/", 500, _UNAVAILABLE, times=99)),
        ("refused", window(-2, -1), Fault("/renewal-info/", 404, problem("malformed", "no such certificate"))),
        ("malformed", window(-1, -2), None),
        ("malformed", window(-1, -1), None),
        ("malformed", {"suggestedWindow": {"start": "tomorrow"}}, None),
        ("malformed", ["not", "an", "object"], None),
        ("malformed", window(-2, -1), Fault("/renewal-info/", 200, b"<html>", times=99)),
        ("too-late", window(80 * 24, 81 * 24), None),
        ("too-late", window(20 * 8760, 21 * 8760), None),
    ],
)  # fmt: skip
def test_each_fault_of_ari_has_its_name_and_the_lifetime_decides(
    acme: Place, fallback: str, answer: t.Any, fault: Fault | None
) -> None:
    _have_one(acme)
    acme.proxy.window = answer
    acme.proxy.faults = [fault] if fault else []
    result, outcome = acme.issue()
    assert (outcome.renewal["fallback"], outcome.renewal["source"]) == (fallback, "lifetime")
    assert (outcome.changed, result.figures["ari_fallbacks"]) == (False, 1)
    assert result.verdict == ("ok" if fallback == "absent" else "findings")
    # It stands in the way of nothing: what is due by its lifetime is issued.
    result, outcome = acme.issue(check_mode=True, renew_left="99.9999999%")
    assert (outcome.changed, outcome.why.endswith("of its lifetime are left")) == (True, True)


_KEPT: dict[str, bytes] = {}


def _have_one(acme: Place) -> None:
    """A pair in place. It is issued once for all tests of this file that only look at it."""
    if not _KEPT:
        acme.proxy.reset()
        assert acme.issue()[0].verdict == "ok"
        for path in acme.issued.rglob("*"):
            if path.is_file() and "current" not in path.parts:
                _KEPT[str(path.relative_to(acme.issued))] = path.read_bytes()
    for name, content in _KEPT.items():
        path = acme.issued / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    version = next(iter((acme.issued / "versions").iterdir())).name
    if not acme.current.is_symlink():
        acme.current.symlink_to(pathlib.Path("versions", version))


def test_an_authority_that_was_once_heard_is_believed_while_it_is_silent(acme: Place) -> None:
    _have_one(acme)
    acme.proxy.window, acme.proxy.retry_after = window(24, 48), "0"
    heard = acme.issue()[1].renewal["at"]
    acme.ask_again()
    acme.proxy.faults = [Fault("/renewal-info/", 503, _UNAVAILABLE, {"Retry-After": "120"}, times=99)]
    result, outcome = acme.issue()
    assert (outcome.renewal["at"], outcome.renewal["source"]) == (heard, "ari")
    assert [finding.id for finding in result.findings] == ["ari-unreachable"]


def test_rate_limits_are_kept_to_and_waited_for(acme: Place) -> None:
    _have_one(acme)
    before = acme.certificate().serial_number
    acme.due_now()
    acme.proxy.faults = [
        Fault("/order-plz", 429, problem("rateLimited", "too many certificates"), {"Retry-After": "5000"}),
    ]
    result, outcome = acme.issue()
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "too many certificates" in result.reason
    assert acme.proxy.count("/order-plz") > 0
    # The next run does not even ask, for this certificate or another one with the name, also when told to hurry.
    acme.proxy.asked.clear()
    for about in ({}, {"retry_now": True}, {"directory": str(acme.place / "other")}):
        result, _outcome = acme.issue(**about)
        assert (result.verdict, result.findings[-1].id) == ("failed", "issue-waiting")
        assert "the authority asked for that: too many certificates" in result.reason
    assert acme.proxy.count("/order-plz") == 0
    assert (acme.certificate().serial_number, _is_whole(acme)) == (before, True)
    (acme.account / "attempts.json").unlink()
    assert acme.issue()[1].changed


@pytest.mark.parametrize(
    "place", ["/dir", "/nonce-plz", "/sign-me-up", "/order-plz", "/authZ/", "/chalZ/", "/finalize-order/", "/certZ/"]
)
def test_a_server_that_fails_everywhere_once_costs_at_most_a_run(acme: Place, place: str) -> None:
    acme.proxy.faults = [Fault(place, 500, b"<html>oops</html>")]
    result, _outcome = acme.issue()
    assert result.verdict in ("ok", "failed")
    if result.verdict == "failed":
        assert "500" in result.reason
        assert not acme.current.exists()
        result, _outcome = acme.issue(retry_now=True)
    assert (result.verdict, result.reason, _is_whole(acme), acme.leftovers()) == ("ok", "", True, [])
    assert len(acme.proxy.orders()) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("/order-plz", 200, b"{"), "did not say where it is"),
        (Fault("/dir", 200, b"[]", times=99), "no directory of an ACME server"),
        (Fault("/dir", 200, {"newNonce": 7}, times=99), "has no newAccount"),
        (Fault("/order-plz", 403, problem("unauthorized", "a\nvery " + "long " * 200)), "..."),
        (Fault("/order-plz", delay=3), "no answer in time"),
    ],
)  # fmt: skip
def test_malformed_and_slow_answers_are_named(acme: Place, fault: Fault, told: str) -> None:
    acme.proxy.faults = [fault]
    result, outcome = acme.issue(timeout="1s")
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert told in result.reason
    assert len(result.reason.splitlines()) == 1
    assert not acme.current.exists()


def test_an_answer_of_a_byte_now_and_then_holds_up_nothing(acme: Place) -> None:
    """No byte is late by itself; the whole would take ten minutes."""
    _have_one(acme)
    acme.due_now()
    acme.proxy.faults = [Fault("/renewal-info/", 200, b"x" * 2000, drips=0.3)]
    result, outcome = acme.issue(timeout="1s")
    assert (outcome.renewal["fallback"], outcome.renewal["source"], outcome.changed) == (
        "unreachable",
        "lifetime",
        False,
    )
    assert "has not answered to the end in 3 s" in result.findings[0].message
    acme.ask_again()
    assert acme.issue()[1].changed


def test_an_answer_that_was_lost_is_not_an_order_that_was_lost(acme: Place) -> None:
    """The request to finalize arrived, and its answer did not."""
    acme.proxy.faults = [Fault("/finalize-order/", 502, b"", after=True, times=1)]
    result, _outcome = acme.issue()
    result, outcome = (result, _outcome) if result.verdict == "ok" else acme.issue(retry_now=True)
    assert (result.verdict, outcome.changed) == ("ok", True), result
    assert len(acme.proxy.orders()) == 1


def test_an_order_is_placed_without_replaces_where_that_is_refused(acme: Place) -> None:
    _have_one(acme)
    acme.due_now()
    refusal = problem("alreadyReplaced", "replaced already")
    acme.proxy.faults = [Fault("/order-plz", 409, refusal, having="replaces")]
    result, outcome = acme.issue()
    assert (result.verdict, outcome.changed) == ("findings", True), result
    assert [finding.id for finding in result.findings] == ["replaces-refused"]
    assert "replaced already" in result.findings[0].message
    assert ["replaces" in order for order in acme.proxy.orders()] == [False]


def test_an_authority_that_wants_to_be_left_alone_is_not_even_asked_for_its_directory(acme: Place) -> None:
    acme.proxy.faults = [Fault("/dir", 503, _UNAVAILABLE, {"Retry-After": "5000"}, times=99)]
    assert acme.issue(check_mode=True)[0].verdict == "failed"
    assert not acme.account.exists()
    result, _outcome = acme.issue()
    assert "tried again from" in result.reason
    acme.proxy.asked.clear()
    result, _outcome = acme.issue(retry_now=True)
    assert (result.verdict, result.findings[-1].id, acme.proxy.asked) == ("failed", "issue-waiting", [])


def test_what_is_issued_again_and_again_is_stopped_before_the_authority_stops_it(acme: Place) -> None:
    """Such as by two that work in one directory. What is compromised does not wait."""
    for number in range(5):
        kind = ("ecdsa-p256", "ecdsa-p384")[number % 2]
        assert acme.issue(key_type=kind)[0].verdict == "ok"
    acme.proxy.asked.clear()
    result, outcome = acme.issue(key_type="ecdsa-p384")
    assert (result.verdict, result.findings[-1].id, outcome.changed) == ("failed", "issue-too-often", False)
    assert acme.proxy.count("/order-plz") == 0
    assert acme.issue(key_type="ecdsa-p384", names=["other.example.com"], directory=str(acme.place / "other"))[
        1
    ].changed
    assert acme.issue(compromised=[outcome.fingerprint])[1].changed
    assert acme.issue(key_type="ecdsa-p384", retry_now=True)[1].changed


def test_a_name_that_was_not_ordered_gets_no_proof(acme: Place) -> None:
    """Whoever sits on the way may ask for another one, to get a certificate for it."""
    challenge = {"type": "http-01", "url": acme.proxy.directory_url, "token": "t" * 43, "status": "pending"}
    other = {"identifier": {"type": "dns", "value": "bank.example.com"}, "status": "pending", "challenges": [challenge]}
    acme.proxy.faults = [Fault("/authZ/", 200, other, times=99)]
    result, _outcome = acme.issue()
    assert "wants a proof for bank.example.com, which was not ordered" in result.reason
    assert (acme.proxy.count("/chalZ/"), acme.leftovers()) == (0, [])


def test_a_proof_that_cannot_be_taken_away_is_told_until_it_is(acme: Place) -> None:
    hook = acme.place / "hook"
    hook.write_text(f'#!/bin/sh\n[ $1 = cleanup ] && {{ echo not today >&2; exit 4; }}\n{acme.dns.hook} "$@"\n')
    hook.chmod(0o755)
    usual = {"names": ["left.example.org"], "challenge": "dns-01", "resolvers": [f"127.0.0.1#{acme.dns.port}"]}
    for changed in (True, False):
        result, outcome = acme.issue(**usual, dns_hook=[str(hook)])
        assert (result.verdict, outcome.changed) == ("findings", changed), result
        assert [finding.id for finding in result.findings] == ["challenge-left"]
        assert "_acme-challenge.left.example.org: " in result.findings[0].message
        assert "ended with status 4: not today" in result.findings[0].message
    result, _outcome = acme.issue(**usual, dns_hook=[str(acme.dns.hook)])
    assert (result.verdict, acme.leftovers()) == ("ok", [])


def test_a_name_that_the_authority_refuses(acme: Place) -> None:
    result, _outcome = acme.issue(names=[NAME, BLOCKED])
    assert result.verdict == "failed"
    assert BLOCKED in result.reason
    assert "tried again from" in result.reason


def test_a_clock_that_is_off_by_a_day_orders_nothing(acme: Place) -> None:
    acme.proxy.clock_ahead = -86400
    result, outcome = acme.issue()
    assert (result.verdict, result.findings[-1].id, outcome.changed) == ("failed", "clock-wrong", False)
    assert "1 d ahead of the authority's" in result.reason
    assert {each.method for each in acme.proxy.asked} == {"GET"}
    # One that is behind never lets anything come due, so it is told before.
    _have_one(acme)
    acme.proxy.clock_ahead = 86400
    result, outcome = acme.issue()
    assert (result.verdict, outcome.changed) == ("findings", False)
    assert [(finding.id, finding.severity) for finding in result.findings] == [("clock-wrong", "high")]
    # The authority tells whole seconds, and its answer is a moment old when it is read.
    assert re.search(r"(1 d|23 h 59 min) behind the authority's", result.findings[0].message)


@pytest.mark.parametrize(
    ("names", "left", "told"),
    [
        ((NAME,), 60, "belongs to another certificate"),
        (("other.example.com",), 60, "not valid for"),
        ((NAME,), -1, "ended"),
    ],
)
def test_what_the_authority_should_not_have_issued_is_not_put_into_place(
    acme: Place, names: tuple[str, ...], left: float, told: str
) -> None:
    _have_one(acme)
    before = acme.certificate().serial_number
    acme.due_now()
    acme.proxy.faults = [Fault("/certZ/", 200, Authority().issue(*names, left=left).pem, times=9)]
    result, outcome = acme.issue()
    assert (result.verdict, outcome.changed, result.findings[-1].id) == ("failed", False, "issue-refused"), result
    assert told in result.reason
    assert (acme.certificate().serial_number, _is_whole(acme), acme.leftovers()) == (before, True, [])


def test_a_hook_that_fails_or_hangs_is_named_and_cleared_up_after(acme: Place) -> None:
    hook = acme.place / "hook"
    usual = {
        "names": ["hooked.example.org"], "challenge": "dns-01", "dns_hook": [str(hook)], "dns_hook_timeout": "1s",
        "resolvers": [f"127.0.0.1#{acme.dns.port}"], "retry_now": True,
    }  # fmt: skip
    for script, told in (("echo no right >&2; exit 3", "ended with status 3: no right"), ("sleep 600", "after 1 s")):
        hook.write_text(f'#!/bin/sh\n{acme.dns.hook} "$@"\n[ $1 = cleanup ] && exit 0\n{script}\n')
        hook.chmod(0o755)
        result, _outcome = acme.issue(**usual)
        assert (result.verdict, told in result.reason) == ("failed", True), result
        assert acme.dns.records.read_text() == ""
    assert acme.proxy.count("/chalZ/") == 0
    assert acme.issue(**{**usual, "dns_hook": [str(acme.dns.hook)]})[0].figures["orders_resumed"] == 1


class _Web:
    """The web server of somebody who has a redirect, or another site, where the challenge should be."""

    def __init__(self, port: int, root: pathlib.Path, location: str = "") -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *given: t.Any) -> None:
                super().__init__(*given, directory=str(root))

            def do_GET(self) -> None:
                if not location:
                    return super().do_GET()
                self.send_response(302)
                self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None

            def log_message(self, *_given: t.Any) -> None:
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> _Web:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_challenge_that_is_not_seen_from_here_is_not_shown_to_the_authority(acme: Place) -> None:
    webroot, other = acme.place / "webroot", acme.place / "other-root"
    for directory in (webroot, other):
        directory.mkdir()
    port = acme.pebble.http_port
    about = {"webroot": str(webroot), "retry_now": True}
    result, _outcome = acme.issue(**about)
    assert "does not answer on port" in result.reason
    with _Web(port, other):
        result, _outcome = acme.issue(**about)
        assert (result.verdict, "answers 404 to" in result.reason) == ("failed", True), result
    with _Web(port, other, f"http://127.0.0.1:{port}/elsewhere"):
        assert "redirects 10 times" in acme.issue(**about)[0].reason
    with _Web(port, other, "ftp://127.0.0.1/"):
        assert "where no authority follows" in acme.issue(**about)[0].reason
    assert "the authority was not asked" in result.reason
    assert acme.proxy.count("/chalZ/") == 0
    with _Web(port, webroot):
        result, _outcome = acme.issue(**about)
    assert (result.verdict, result.figures["orders_resumed"]) == ("ok", 1), result
    assert len(acme.proxy.orders()) == 1
    assert [path for path in webroot.rglob("*") if path.is_file()] == []


def test_a_challenge_that_the_authority_does_not_see_fails_once_and_waits(acme: Place) -> None:
    about = {"webroot": str(acme.place), "look_first": False}
    result, _outcome = acme.issue(**about)
    assert "does not take the proof for" in result.reason
    result, _outcome = acme.issue(**about)
    assert result.findings[-1].id == "issue-waiting"
    assert acme.proxy.count("/chalZ/") > 0
    assert len(acme.proxy.orders()) == 1
    # Once it is mended, a new order is placed: that one is over.
    assert acme.issue(retry_now=True)[0].verdict == "ok"
    assert acme.issue()[1].changed is False


def test_a_full_disk_leaves_the_old_pair_and_the_order(acme: Place) -> None:
    _have_one(acme)
    before = acme.certificate().serial_number
    acme.due_now()
    child = os.fork()
    if child == 0:
        try:
            # Every file may have this many bytes: the chain is longer, the key is not.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200))
            result, outcome = acme.issue()
            os._exit(0 if result.verdict == "failed" and not outcome.changed and "too large" in result.reason else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (acme.certificate().serial_number, _is_whole(acme)) == (before, True)
    ordered = len(acme.proxy.orders())
    result, outcome = acme.issue()
    assert (result.verdict, outcome.changed, result.figures["orders_resumed"]) == ("ok", True, 1), result
    assert len(acme.proxy.orders()) == ordered == 1
