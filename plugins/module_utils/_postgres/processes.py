# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running PostgreSQL's programs: none outlives us, none runs as root that must not, each tells why it failed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import pwd
import shutil
import signal
import subprocess
import sys
import typing as t

from .connection import Login, PostgresError, one_line

_PR_SET_PDEATHSIG = 1
_REASON_LINES = 4
_LOOK_SECONDS = 0.2

#: How a program gives way to others at the disk, in the words of ionice(1).
IO_CLASSES = {"idle": ("-c", "3"), "best-effort": ("-c", "2", "-n", "7"), "none": ()}


class ProgramFailed(PostgresError):
    """A program that ended with an error; the text is what it said itself."""

    def __init__(self, program: str, code: int, said: str) -> None:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        # The cause stands in the last lines; what comes before it is progress and warnings.
        words = one_line("\n".join(said.strip().splitlines()[-_REASON_LINES:]))
        self.program = os.path.basename(program)
        super().__init__(f"{os.path.basename(program)} {ended}: {words or 'it said nothing'}")


@dataclasses.dataclass(frozen=True)
class Account:
    """The operating system's account that a program runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def account_for(run_as: str = "") -> Account | None:
    """Whom a server is to run as: nobody else when we are no root, else `run_as`, else postgres, else nobody.

    :raises PostgresError: when that account does not exist or is root itself (PostgreSQL refuses root).
    """
    if os.geteuid() != 0:
        return None
    candidates = [run_as] if run_as else ["postgres", "nobody"]
    for name in candidates:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise PostgresError(f"run_as is {name!r}: PostgreSQL's server refuses to run as root")
        groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)
    raise PostgresError(f"there is no account {' or '.join(candidates)} to run a server as: name one in run_as")


def give_way_at_the_disk(io_class: str) -> None:
    """Let this process and all that it starts from now on give way to others at the disk, where there is an ionice.

    :param io_class: one of IO_CLASSES.
    """
    ionice = shutil.which("ionice")
    if not ionice or not IO_CLASSES[io_class]:
        return
    with contextlib.suppress(ProgramFailed):  # a system that forbids it is no reason to prove nothing
        run([ionice, *IO_CLASSES[io_class], "-p", str(os.getpid())])


def connection_string(login: Login, database: str) -> str:
    """Where a client program connects to, without the password.

    It goes by argument, because a service file outranks the environment: one that names a database would have us dump
    that database under another one's name.
    """
    words = {name: value for name, value in login.parameters(database).items() if name != "password"}
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in words.items()}
    return " ".join(f"{name}='{value}'" for name, value in sorted(quoted.items()))


def client_environment(login: Login) -> dict[str, str]:
    """The environment of a client program: the password is in it, and its words come in English."""
    environment = {**login.environment(), "LC_ALL": "C"}
    # A dump has the encoding of its database, whatever the environment of this run says.
    environment.pop("PGCLIENTENCODING", None)
    return environment


def spawn(
    argv: t.Sequence[str],
    env: t.Mapping[str, str] | None = None,
    account: Account | None = None,
    nice: int = 0,
    stdout: t.Any = subprocess.PIPE,
    stderr: t.Any = subprocess.PIPE,
    death_signal: int = signal.SIGTERM,
    stdin: t.Any = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program that dies with us (on Linux) and writes files that only its owner reads.

    It dies with the very thread that started it, so that thread has to wait for it.
    :raises PostgresError: when it cannot be started.
    """
    prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
    parent = os.getpid()

    def enter() -> None:
        os.umask(0o077)
        if nice:
            os.nice(nice)
        if account:
            os.setgroups(list(account.groups))
            os.setgid(account.gid)
            os.setuid(account.uid)
        if prctl:  # after setuid, which forgets it
            prctl(_PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

    try:
        return subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(env) if env is not None else None,
            cwd="/",
            preexec_fn=enter,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise PostgresError(f"cannot start {argv[0]}: {exc}") from exc


def wait(process: subprocess.Popen[bytes], between: t.Callable[[], None] | None = None) -> str:
    """Wait for the end of a program and return what it wrote.

    :param between: called again and again while it runs; what it raises ends the waiting.
    :raises ProgramFailed: when it did not end with status 0.
    """
    while True:
        try:
            stdout, stderr = process.communicate(timeout=_LOOK_SECONDS if between else None)
            break
        except subprocess.TimeoutExpired:
            if between:
                between()
    if process.returncode:
        said = stderr or stdout
        raise ProgramFailed(program_of(process), process.returncode, (said or b"").decode("utf-8", "replace"))
    return (stdout or b"").decode("utf-8", "replace")


def run(
    argv: t.Sequence[str],
    env: t.Mapping[str, str] | None = None,
    account: Account | None = None,
    nice: int = 0,
    stdout: t.Any = subprocess.PIPE,
) -> str:
    """Run a program to its end and return what it wrote.

    :raises ProgramFailed: when it did not end with status 0.
    """
    process = spawn(argv, env, account, nice, stdout)
    try:
        return wait(process)
    finally:
        stop(process)


def output_of(argv: t.Sequence[str], env: t.Mapping[str, str] | None = None) -> bytes:
    """Run a program to its end and return the very bytes that it wrote.

    :raises ProgramFailed: when it did not end with status 0.
    """
    process = spawn(argv, env)
    try:
        stdout, stderr = process.communicate()
    finally:
        stop(process)
    if process.returncode:
        raise ProgramFailed(argv[0], process.returncode, stderr.decode("utf-8", "replace"))
    return bytes(stdout)


def stop(process: subprocess.Popen[bytes], sign: int = signal.SIGTERM, patience: float = 10) -> None:
    """End a program of ours, politely first; nothing happens when it has ended."""
    if process.poll() is None:
        process.send_signal(sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def program_of(process: subprocess.Popen[bytes]) -> str:
    argv = process.args
    return str(argv[0]) if isinstance(argv, (list, tuple)) else str(argv)
