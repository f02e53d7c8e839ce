# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx, which has no runtime API: one word in the file with its upstream, a reload, and what is seen of its processes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A reload starts new workers, and tells those of before to end what they are at ("Controlling nginx" of its manual). As
long as one of those lives, it may still choose a server by the old configuration: a request whose body is still coming
in has chosen none yet. So a server gets nothing any more when no worker has a connection to it, and those are gone.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import socket
import stat
import subprocess
import time
import typing as t

from .._core.application import ApplicationError, run_command
from .._core.durations import format_duration
from .._core.files import replace_contents
from .._core.health import Health
from .._core.locks import Busy, lock
from .model import BalancerError, Member, Standing, digest_of
from .nginx_file import Server, endpoint_of, servers_of
from .nginx_processes import Processes, connections_of, endpoints_of, look

_UP, _DOWN = "up", "down"
_LARGEST = 4 << 20
_POLL = 0.05
_LOCK_PATIENCE = 30
_HEALTH_PATIENCE = 2.0
_AT_ONCE = 32
#: What was seen of the servers themselves holds for so long.
_FRESH = 1.0
#: A process begins with a tick of the clock, and a file is changed with one.
_TICK = 0.02
#: As the dump of `nginx -T` begins each file.
_DUMPED = re.compile(rb"^# configuration file [^\n]+:\n", re.MULTILINE)
#: As nginx ends what it says of a wrong line; what the line has is nobody's business.
_PLACE = re.compile(r" in (\S+:\d+)$", re.MULTILINE)


class Nginx:
    """One master process and its workers."""

    def __init__(
        self,
        file: str,
        pid_file: str,
        testing: t.Sequence[str],
        reloading: t.Sequence[str],
        health_path: str,
        timeout: float,
        state_dir: str,
    ) -> None:
        self.file = file
        self._pid_file = pid_file
        self._testing = tuple(testing)
        self._reloading = tuple(reloading)
        self._health_path = health_path
        self._timeout = timeout
        place = os.path.join(state_dir, digest_of(self.name))
        self._lock = f"{place}.edit.lock"
        #: Which file nginx has taken over; empty from before a change until then.
        self._taken = f"{place}.taken"
        self._seen: dict[str, tuple[float, bool | None]] = {}

    @property
    def name(self) -> str:
        return f"nginx with {self.file}"

    def standings(self, pool: str) -> dict[str, Standing]:
        data = self._read()
        servers = [one for one in self._servers(data, pool) if not one.is_backup]
        if not servers:
            raise BalancerError(f"{self.name} has no servers in an upstream {pool!r}")
        processes = look(self._pid_file)
        is_settled = self._is_settled(processes)
        held = connections_of(processes)
        still = ""
        if processes.leaving:
            named = ", ".join(str(pid) for pid in sorted(one.pid for one in processes.leaving))
            still = f"workers of {self.name} that were told to end still run (processes {named})"
        found = {}
        for server, is_up in zip(servers, self._looked_at(servers)):
            settings = _DOWN if server.is_down else _UP
            words = {True: "answers", False: "does not answer", None: "nobody asks it"}[is_up]
            unread = "" if is_settled else " in the file, which nginx has not read since it was changed"
            told = f"{settings}{unread}, {words}"
            place = endpoint_of(server.address)
            count = sum(held.get(one, 0) for one in (endpoints_of(*place) if place else ()))
            out, back = (server.text_when(data, down) for down in (True, False))
            shown = {"drain": out, _DOWN: out, "ready": back, _UP: back}
            found[server.address] = Standing(
                settings, not server.is_down, is_up, count, told, is_settled=is_settled, still=still, shown=shown
            )
        return found

    def drain(self, member: Member) -> None:
        self._set(member, True)

    def admit(self, member: Member) -> None:
        self._set(member, False)

    def restore(self, member: Member, settings: str) -> None:
        if settings not in (_UP, _DOWN):
            raise BalancerError(f"{member.told} was {settings!r} before, which is no state of a server of nginx")
        self._set(member, settings == _DOWN)

    def end(self, member: Member) -> None:
        raise BalancerError(f"nginx cannot end the connections to {member.told} alone")

    # -- the servers themselves, which nginx does not look at ----------------------------------------------------------

    def _looked_at(self, servers: t.Sequence[Server]) -> list[bool | None]:
        """Of each, whether it answers; of all at once, for one that does not answer takes its time."""
        now = time.monotonic()
        due = [one for one in servers if one.address not in self._seen or now - self._seen[one.address][0] > _FRESH]
        if due:
            with concurrent.futures.ThreadPoolExecutor(min(len(due), _AT_ONCE)) as pool:
                for server, answer in zip(due, pool.map(self._answers, due)):
                    self._seen[server.address] = (time.monotonic(), answer)
        return [self._seen[one.address][1] for one in servers]

    def _answers(self, server: Server) -> bool | None:
        place = endpoint_of(server.address)
        if server.has_service or (self._health_path and not place):
            return None
        if self._health_path and place:
            host = f"[{place[0]}]" if ":" in place[0] else place[0]
            return not Health(f"http://{host}:{place[1]}{self._health_path}").problem(_HEALTH_PATIENCE)
        try:
            if place:
                socket.create_connection(place, _HEALTH_PATIENCE).close()
            else:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    connection.settimeout(_HEALTH_PATIENCE)
                    connection.connect(server.address[len("unix:") :])
        except (OSError, UnicodeError):
            return False
        return True

    # -- the file ------------------------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        """The file itself, where the name is that of a link."""
        return os.path.realpath(self.file)

    def _read(self) -> bytes:
        try:
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                raise BalancerError(f"{self.file} is no file: name the one with the upstream")
            with open(self._path, "rb") as file:
                data = file.read(_LARGEST + 1)
        except OSError as exc:
            raise BalancerError(f"{self.file} cannot be read: {exc.strerror or exc}") from None
        if len(data) > _LARGEST:
            raise BalancerError(f"{self.file} has more than {_LARGEST} bytes: it is no file of nginx's configuration")
        return data

    def _servers(self, data: bytes, pool: str) -> list[Server]:
        try:
            return servers_of(data, pool)
        except BalancerError as exc:
            raise BalancerError(f"{self.file}: {exc}") from None

    def _is_settled(self, processes: Processes) -> bool:
        """Whether nginx runs by what is in the file: it was seen to, or all its workers have begun since the change."""
        with contextlib.suppress(FileNotFoundError), open(self._taken, encoding="ascii") as file:
            taken = file.read()
            if taken in ("", self._identity()):
                return bool(taken)
        if not processes.current:
            return False
        try:
            changed = max(os.stat(self._path).st_ctime, os.lstat(self.file).st_ctime)
        except OSError as exc:
            raise BalancerError(f"{self.file} cannot be looked at: {exc.strerror or exc}") from None
        return all(one.began + _TICK >= changed for one in processes.current)

    def _identity(self) -> str:
        """Which file it is, and in which state: of the link, where it is one, and of the file itself."""
        both = (os.lstat(self.file), os.stat(self._path))
        return " ".join(f"{one.st_dev}:{one.st_ino}:{one.st_ctime_ns}" for one in both)

    def _keep(self, identity: str) -> None:
        with open(self._taken, "w", encoding="ascii") as file:
            file.write(identity)

    # -- a change ------------------------------------------------------------------------------------------------------

    def _set(self, member: Member, down: bool) -> None:
        """:raises BalancerError: naming what went wrong; the file is as it was then."""
        try:
            # Two at once would each write the file that the other has not seen.
            with lock(self._lock, _LOCK_PATIENCE + self._timeout):
                self._change(member, down)
        except Busy as exc:
            raise BalancerError(str(exc)) from None
        except OSError as exc:
            raise BalancerError(f"{exc.filename or self.file} cannot be written: {exc.strerror or exc}") from None
        finally:
            self._seen.clear()

    def _change(self, member: Member, down: bool) -> None:
        before = self._read()
        server = next((one for one in self._servers(before, member.pool) if one.address == member.server), None)
        if not server:
            raise BalancerError(f"{self.file}: the upstream {member.pool!r} has no server {member.server!r}")
        after = server.taken_out(before) if down else server.let_in(before)
        processes = look(self._pid_file)
        was_settled = self._is_settled(processes)
        self._test(before, "before anything was changed")
        self._keep("")
        tested = False
        try:
            if after != before:
                replace_contents(self._path, after)
            identity = self._identity()
            if after != before:
                self._test(after, "so the file is as it was")
            tested = True
            self._reload(processes)
        except BaseException:
            if after != before and self._read() == after:
                replace_contents(self._path, before)
                if tested:
                    # Should nginx take the change over yet, it is to take this over next. The next run looks at it.
                    with contextlib.suppress(BalancerError):
                        self._tell_to_reload()
                elif was_settled:
                    self._keep(self._identity())
            raise
        self._keep(identity)

    def _test(self, content: bytes, otherwise: str) -> None:
        """:raises BalancerError: when nginx refuses its configuration, or does not read the file."""
        ran = self._ask(self._testing)
        command = f"nginx_test_command {self._testing[0]}"
        if ran.returncode:
            places = sorted(set(_PLACE.findall(ran.stderr.decode("utf-8", "replace"))))
            where = f" at {', '.join(places)}" if places else ""
            raise BalancerError(
                f"{command} ended with status {ran.returncode}{where}, {otherwise}; run it to see what it says"
            )
        if not any(ran.stdout.startswith(content, match.end()) for match in _DUMPED.finditer(ran.stdout)):
            raise BalancerError(
                f"{command} does not show that nginx reads {self.file}: name a file that it includes, and -T"
            )

    def _reload(self, before: Processes) -> None:
        """:raises BalancerError: when the workers of before are not told to end, or the master is another one."""
        command = f"nginx_reload_command {self._reloading[0]}"
        status = self._tell_to_reload()
        if status:
            raise BalancerError(f"{command} ended with status {status}, so the file is as it was")
        deadline = time.monotonic() + self._timeout
        while True:
            now = look(self._pid_file)
            if now.master != before.master:
                raise BalancerError(
                    f"{command} started nginx anew, instead of a reload: the master process is another one"
                )
            if now.current and not now.current & before.current:
                return
            if time.monotonic() >= deadline:
                missed = f"nginx has not taken the change over {format_duration(self._timeout)} after {command}"
                raise BalancerError(f"{missed}, so the file is as it was; see its log")
            time.sleep(_POLL)

    def _tell_to_reload(self) -> int:
        """The status of the command. What it starts may live on."""
        try:
            return run_command(self._reloading, self._timeout, more={"PATH": _path_with_sbin()})[0]
        except ApplicationError as exc:
            raise BalancerError(str(exc)) from None

    def _ask(self, argv: t.Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=self._timeout,
                env={**os.environ, "LC_ALL": "C", "PATH": _path_with_sbin()},
            )
        except OSError as exc:
            raise BalancerError(f"{argv[0]} cannot be started: {exc.strerror or exc}") from None
        except subprocess.TimeoutExpired:
            raise BalancerError(f"{argv[0]} has not ended after {format_duration(self._timeout)}") from None


def _path_with_sbin() -> str:
    """Where programs are looked for; nginx is often where an account that is not root does not look."""
    return os.pathsep.join(filter(None, [os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
