# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy before servers on loopback, and clients that ask it all the time and count what failed."""

from __future__ import annotations

import collections
import contextlib
import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import typing as t

from .postgres import free_port

_CONFIGURATION = """
global
    stats socket {place}/admin.sock mode 600 level admin
    stats socket {place}/reader.sock mode 600 level user
    stats timeout 20s
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    timeout queue 20s
    timeout check 5s
frontend front
    bind 127.0.0.1:{port}
    default_backend shop
backend shop
    balance roundrobin
    option httpchk GET /health
    default-server check inter 200ms rise 2 fall 2
{servers}
backend blind
    server one 127.0.0.1:{port}
    server two 127.0.0.1:{port}
"""


class HAProxy:
    """Use as a context manager. It never tries a request again: what a server drops, a client sees."""

    def __init__(self, directory: pathlib.Path, servers: t.Mapping[str, int]) -> None:
        self.directory = directory
        self.port = free_port()
        self.socket = directory / "admin.sock"
        self.reader = directory / "reader.sock"
        lines = "\n".join(f"    server {name} 127.0.0.1:{port}" for name, port in servers.items())
        directory.mkdir(parents=True, exist_ok=True)
        self._configuration = directory / "haproxy.cfg"
        self._configuration.write_text(_CONFIGURATION.format(place=directory, port=self.port, servers=lines))

    def __enter__(self) -> HAProxy:
        program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "the program haproxy is missing"
        self.process = subprocess.Popen([program, "-db", "-f", str(self._configuration)], stdin=subprocess.DEVNULL)
        for _attempt in range(200):
            with contextlib.suppress(OSError):
                self.ask("show info")
                return self
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError("HAProxy did not start")

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait(20)

    def ask(self, text: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(text.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def status(self, server: str, pool: str = "shop") -> str:
        """As HAProxy's statistics tell it."""
        for line in self.ask("show stat").splitlines():
            fields = line.split(",")
            if fields[:2] == [pool, server]:
                return fields[17]
        raise AssertionError(f"no server {server}")

    def wait_for(self, server: str, status: str) -> None:
        for _attempt in range(200):
            if self.status(server) == status:
                return
            time.sleep(0.05)
        raise AssertionError(f"{server} is {self.status(server)}, not {status}")


class Load:
    """Clients that ask all the time, each request over a connection of its own; use it as a context manager."""

    def __init__(self, port: int, clients: int = 2, pause: float = 0.08) -> None:
        self._port = port
        self._pause = pause
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _number in range(clients)]
        self.answers: collections.Counter[str] = collections.Counter()
        self.failed: list[str] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def count(self) -> int:
        return sum(self.answers.values()) + len(self.failed)

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
                connection.request("GET", "/")
                answer = connection.getresponse()
                said = answer.read().decode()
                connection.close()
            except (OSError, http.client.HTTPException) as exc:
                self._note("", f"{type(exc).__name__}: {exc}")
            else:
                self._note(said, "" if answer.status == 200 else f"{answer.status}: {said[:200]}")

    def _note(self, said: str, problem: str) -> None:
        with self._lock:
            if problem:
                self.failed.append(problem)
            else:
                self.answers[said] += 1
