# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one call takes for 500 endpoints of which one in twenty is dead or hangs.

    python benchmarks/bench_certificates.py [--endpoints 500] [--rounds 3] [--timeout 5s]

The servers run in processes of their own, on addresses of the loopback: plain TLS, and STARTTLS in all four protocols.
Of the sick ones half are closed ports and half accept connections and say nothing. The time is that of the whole
module, from before its Python starts until its answer was read. A round counts only when every healthy endpoint was
seen with the certificate that it serves, and every sick one was told as not looked at. Ends with
`bar certificate_info_500_seconds VALUE 15 ok|short`, and with exit status 1 when it is short. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import pathlib
import statistics
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
from bars import Bars, NotWorked, ends_cleanly_when_told, say  # noqa: E402
from support.certificates import Authority, Issued  # noqa: E402
from support.modules import run_with_start  # noqa: E402
from support.tls_servers import DIALOGUES, Server, context_of, free_address  # noqa: E402

STANDARD = 500
TIMEOUT = "5s"
LIMIT = 15
NAME = "www.example.com"
#: One in twenty is sick, by turns mute and dead.
_EVERY = 20


def _serve(protocol: str, issued: Issued | None, directory: str, told: t.Any) -> None:
    """One server in a process of its own, until that is ended."""
    context = context_of(issued, pathlib.Path(directory)) if issued else None
    with Server(context, DIALOGUES[protocol] if issued else None, host="0.0.0.0") as server:
        told.send(server.port)
        while True:
            time.sleep(3600)


class Servers:
    """A process for each protocol, and one that says nothing: the port of each."""

    def __init__(self, issued: Issued, directory: pathlib.Path) -> None:
        self.ports: dict[str, int] = {"dead": free_address()}
        self._wanted: dict[str, Issued | None] = {**dict.fromkeys(DIALOGUES, issued), "mute": None}
        self._directory = str(directory)
        self._processes: list[t.Any] = []

    def __enter__(self) -> Servers:
        forks = multiprocessing.get_context("fork")
        for protocol, issued in self._wanted.items():
            mine, its = forks.Pipe()
            process = forks.Process(target=_serve, args=(protocol, issued, self._directory, its), daemon=True)
            process.start()
            self._processes.append(process)
            if not mine.poll(20):
                raise NotWorked(f"the server for {protocol} did not start")
            self.ports[protocol] = mine.recv()
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()


def _kind(number: int) -> str:
    if number % _EVERY == 0:
        return "mute" if number // _EVERY % 2 else "dead"
    return sorted(DIALOGUES)[number % len(DIALOGUES)]


def _endpoint(number: int, ports: dict[str, int]) -> dict[str, t.Any]:
    kind = _kind(number)
    address = f"127.0.{3 + number // 250}.{1 + number % 250}"
    return {
        "host": NAME,
        "port": ports[kind],
        "addresses": [address],
        "starttls": kind if kind in DIALOGUES else "none",
    }


def _round(arguments: dict[str, t.Any], fingerprint: str) -> float:
    """Seconds of one call.

    :raises NotWorked: when something was not seen as it is.
    """
    begun = time.monotonic()
    answer = run_with_start("certificate_info", arguments)
    seconds = time.monotonic() - begun
    seen, count = answer.get("endpoints", []), len(arguments["endpoints"])
    if len(seen) != count:
        raise NotWorked(f"{len(seen)} of {count} endpoints are told: {answer.get('msg')}")
    for number, look in enumerate(seen):
        sick = _kind(number) in ("mute", "dead")
        if look["looked"] is sick or (not sick and look["certificate"]["fingerprint"] != fingerprint):
            raise NotWorked(f"{_kind(number)} endpoint {number} is told as {look['reason'] or look['certificate']}")
    if answer["findings"]:
        raise NotWorked(f"findings where there is nothing to find: {answer['findings'][:3]}")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=STANDARD)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", default=TIMEOUT, help="what one endpoint may take")
    options = parser.parse_args()
    ends_cleanly_when_told()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-certificates-")))
        authority = Authority("Intermediate", Authority())
        issued = authority.issue(NAME)
        assert authority.parent is not None
        trust = authority.parent.write(directory)
        try:
            servers = stack.enter_context(Servers(issued, directory))
            endpoints = [_endpoint(number, servers.ports) for number in range(options.endpoints)]
            arguments = {"endpoints": endpoints, "trust": trust, "timeout": options.timeout}
            rounds = [_round(arguments, issued.fingerprint) for _ in range(options.rounds)]
        except NotWorked as exc:
            say(f"no result: {exc}")
            return 1
    sick = sum(_kind(number) in ("mute", "dead") for number in range(options.endpoints))
    each = ", ".join(f"{seconds:.2f}" for seconds in rounds)
    say(f"{options.endpoints} endpoints, {sick} of them dead or mute, one call: {each} s")
    if options.endpoints != STANDARD or options.timeout != TIMEOUT:
        say(f"certificate_info_seconds {statistics.median(rounds):.2f}")
        return 0
    bars = Bars()
    bars.judge("certificate_info_500_seconds", statistics.median(rounds), LIMIT)
    return bars.status


if __name__ == "__main__":
    sys.exit(main())
