# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start processes that outlive us, and stop exactly those again.

A process is known by its id, the moment it started and the boot it started in: an id alone may belong to somebody else
by the time `clean` runs. The child writes that down itself before it becomes the program, so there is no moment in
which a killed demonstration leaves a process behind that nobody knows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import pwd
import signal
import subprocess
import time
import typing as t

from .layout import DemoError


@dataclasses.dataclass(frozen=True)
class Identity:
    """A process, told apart from any later one with the same id."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        return cls(pid, _stat(pid)[1], _boot())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie nobody has reaped does not)."""
        try:
            state, started = _stat(self.pid)
        except OSError:
            return False
        return state not in "ZX" and started == self.started and _boot() == self.boot


def _stat(pid: int) -> tuple[str, int]:
    """State letter and start time in clock ticks; the name in between may hold anything, so read from its end."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _boot() -> str:
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def unprivileged_account() -> str | None:
    """The account that servers run under when we are root (PostgreSQL refuses root); None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    raise DemoError("PostgreSQL refuses to run as root, and there is neither an account postgres nor nobody")


def become(account: str) -> None:
    """Give up root for good."""
    entry = pwd.getpwnam(account)
    os.initgroups(account, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def give(path: pathlib.Path, account: str | None) -> None:
    """Hand a file or directory over to the account of the servers."""
    if account:
        entry = pwd.getpwnam(account)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def spawn(
    directory: pathlib.Path,
    name: str,
    argv: list[str],
    log: pathlib.Path,
    account: str | None = None,
    env: t.Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
) -> Identity:
    """Start a process in its own session, its identity kept in `directory`/`name`."""
    note = directory / name

    def before_exec() -> None:
        note.write_text(json.dumps(dataclasses.asdict(Identity.of(os.getpid()))), encoding="utf-8")
        if account:
            become(account)

    with log.open("ab") as stream:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before_exec,
            cwd=cwd or "/",
            env=dict(env) if env is not None else None,
        )
    # It is to outlive us: no complaint about an unreaped child when this object goes.
    child.returncode = 0
    identity = known(directory, name)
    if identity is None:
        raise DemoError(f"{name} did not start: {' '.join(argv)}")
    return identity


def known(directory: pathlib.Path, name: str) -> Identity | None:
    """The identity kept for `name`, alive or not."""
    try:
        return Identity(**json.loads((directory / name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def stop(directory: pathlib.Path, name: str, gently: signal.Signals = signal.SIGTERM, seconds: float = 30) -> bool:
    """Stop what runs under `name`: ask first, then insist. Return whether there was anything to stop."""
    identity = known(directory, name)
    stopped = False
    if identity and identity.alive:
        stopped = True
        for number, patience in ((gently, seconds), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, number)
            if wait_for(identity, patience):
                break
        else:
            raise DemoError(f"process {identity.pid} ({name}) does not end, not even by SIGKILL")
    (directory / name).unlink(missing_ok=True)
    return stopped


def wait_for(identity: Identity, seconds: float) -> bool:
    """Whether it ended within that time."""
    deadline = time.monotonic() + seconds
    while identity.alive:
        if time.monotonic() > deadline:
            return False
        with contextlib.suppress(OSError):
            os.waitpid(identity.pid, os.WNOHANG)
        time.sleep(0.05)
    return True
