# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bin/demo as a new user has it: `python3 check_demo.py CHECKOUT`, run as that user, with Python's own library only.

Each check prints one line; the last line counts them. The exit status is 0 when none failed.
"""

from __future__ import annotations

import html
import os
import pathlib
import re
import subprocess
import sys
import time

SECONDS_AFTER_DOWNLOAD = 180
HOSTS = ("demo-app", "demo-control", "demo-db")
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Checks:
    """Counts what held and what did not."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def __call__(self, what: str, problem: object) -> None:
        """`problem` is what is wrong; nothing (empty, None, 0) means that it holds."""
        self.passed += not problem
        self.failed += bool(problem)
        print(f"{'FAILED' if problem else 'ok    '} {what}" + (f": {problem}" if problem else ""), flush=True)


def run(checkout: pathlib.Path, *command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout, flush=True)
    return done


def tree(checkout: pathlib.Path) -> set[str]:
    """All names in the checkout but Git's own."""
    names = (path.relative_to(checkout) for path in checkout.rglob("*"))
    return {str(name) for name in names if ".git" not in name.parts}


def activities(checkout: pathlib.Path) -> list[str]:
    """The names in the catalogue, read without a YAML library."""
    text = (checkout / "roles" / "cycle" / "vars" / "activities.yml").read_text(encoding="utf-8")
    return re.findall(r"^  ([a-z_]+\.[a-z_0-9]+):", text, re.MULTILINE)


def recap(log: str) -> dict[str, tuple[int, int, int]]:
    """Changed, unreachable and failed of each host."""
    lines = RECAP.findall(log.rpartition("PLAY RECAP")[2])
    return {name: (int(changed), int(lost), int(failed)) for name, changed, lost, failed in lines}


def complaints(hosts: dict[str, tuple[int, int, int]], idle: bool) -> str:
    """What is wrong with a run: a host missing, unreachable or failed, and if it should be idle, changed."""
    if sorted(hosts) != sorted(HOSTS):
        return f"hosts reached: {sorted(hosts)}"
    bad = {name: counts for name, counts in hosts.items() if any(counts[0 if idle else 1 :])}
    return f"changed, unreachable, failed: {bad}" if bad else ""


def ours_running(scratch: str) -> list[str]:
    """Processes that have anything to do with that scratch directory; zombies are nobody's."""
    found = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            told = (directory / "cmdline").read_bytes() + b"\0" + (directory / "environ").read_bytes()
        except OSError:
            continue
        if scratch.encode() in told and directory.name != str(os.getpid()):
            found.append(f"{directory.name} {told[:120]!r}")
    return found


def main(checkout: pathlib.Path) -> int:
    check = Checks()
    before, scratch_before = tree(checkout), set(pathlib.Path("/var/tmp").glob("steward-demo*"))

    started = time.monotonic()
    demo = run(checkout, "bin/demo")
    check("bin/demo ends with status 0", demo.returncode and f"status {demo.returncode}")
    state = checkout / ".demo"
    if demo.returncode:
        for log in sorted((state / "log").glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-6000:]}")
    told = re.search(r"total\s+(\d+) s", demo.stdout)
    seconds = int(told[1]) if told else round(time.monotonic() - started)
    check("it takes less than 3 minutes after the download", seconds >= SECONDS_AFTER_DOWNLOAD and f"{seconds} s")

    if demo.returncode == 0:
        check_state(check, checkout, state, demo.stdout)
    scratch = (state / "scratch").read_text(encoding="utf-8").strip() if (state / "scratch").exists() else ""
    cleaned = run(checkout, "bin/demo", "clean")
    check("bin/demo clean ends with status 0", cleaned.returncode)
    check("clean leaves nothing in the checkout", sorted(tree(checkout) - before)[:5])
    check("clean leaves no scratch directory", set(pathlib.Path("/var/tmp").glob("steward-demo*")) - scratch_before)
    check("clean leaves no process", scratch and ours_running(scratch))
    print(f"\n{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


def check_state(check: Checks, checkout: pathlib.Path, state: pathlib.Path, output: str) -> None:
    """What must be true while the demonstration stands."""
    logs = state / "log"
    first, second = (recap((logs / f"{name}-run.log").read_text(encoding="utf-8")) for name in ("first", "second"))
    check("the first run reached every host and failed on none", complaints(first, idle=False))
    check("the first run changed something", not any(host[0] for host in first.values()) and first)
    check("the second run reports changed=0 on every host", complaints(second, idle=True))
    page = html.unescape((state / "report.html").read_text(encoding="utf-8"))
    names = activities(checkout)
    check("the catalogue is not empty", not names and "no activity found")
    check("the report has a row for every activity", [name for name in names if name not in page])
    scratch = pathlib.Path((state / "scratch").read_text(encoding="utf-8").strip())
    check("the summary names each activity that was done", [name for name in recorded(scratch) if name not in output])
    check("no password in output, logs, records, metrics or report", leaks(state, scratch, output))
    by_hand = run(checkout, "sh", "-c", ". .demo/env && ansible-playbook steward.maintenance.run_maintenance")
    check("typed by hand it works too", by_hand.returncode or complaints(recap(by_hand.stdout), idle=True))


def recorded(scratch: pathlib.Path) -> list[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in (scratch / "records").glob("*.jsonl"))
    found = sorted(set(re.findall(r'"activity": ?"([^"]+)"', text)))
    return found or ["(nothing was recorded)"]


def leaks(state: pathlib.Path, scratch: pathlib.Path, output: str) -> list[str]:
    """Where a password can be read that should not be there."""
    secrets = [(state / name).read_text(encoding="utf-8").strip() for name in ("password", "application-password")]
    places = [state / "log", scratch / "records", scratch / "metrics"]
    files = [state / "report.html", *(path for place in places for path in place.iterdir() if path.is_file())]
    texts = {str(path): path.read_text(encoding="utf-8", errors="replace") for path in files} | {"the output": output}
    return [where for where, text in texts.items() if any(secret in text for secret in secrets)]


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
