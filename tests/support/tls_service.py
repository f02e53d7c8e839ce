# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TLS service in a process of its own that loads its pair anew when it is told to: `python tls_service.py DIRECTORY`.

DIRECTORY has settings.json (certificate, key, and the addresses to listen at), and may have a file `faults` with one
word a line: `deaf` ignores the signal, `half` leaves the last listener as it was, `dies` ends at the signal. It writes
`ready` with its port. SIGHUP has it load the pair; with files that it cannot load it goes on with the old ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import typing as t


def load(settings: dict[str, t.Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["certificate"], settings["key"])
    return context


def serve(listener: socket.socket, contexts: list[ssl.SSLContext], number: int) -> None:
    while True:
        connection, _peer = listener.accept()
        threading.Thread(target=talk, args=(connection, contexts[number]), daemon=True).start()


def talk(connection: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError), connection:
        connection.settimeout(20)
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)


def main(directory: pathlib.Path) -> None:
    # Blocked in all threads and waited for in one: a handler would run when the main thread comes to it, if it does.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    settings = json.loads((directory / "settings.json").read_text())
    listeners = []
    for host in settings["hosts"]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, listeners[0].getsockname()[1] if listeners else settings["port"]))
        listener.listen(128)
        listeners.append(listener)
    contexts = [load(settings) for _ in listeners]
    loads = 1

    def reload() -> None:
        nonlocal loads
        path = directory / "faults"
        faults = path.read_text().split() if path.exists() else []
        if "dies" in faults:
            os._exit(1)
        if "deaf" in faults:
            return
        with contextlib.suppress(OSError):
            context = load(settings)
            loads += 1
            for number in range(len(contexts) - ("half" in faults)):
                contexts[number] = context
        (directory / "loads").write_text(str(loads))

    for number, listener in enumerate(listeners):
        threading.Thread(target=serve, args=(listener, contexts, number), daemon=True).start()
    (directory / "ready.new").write_text(str(listeners[0].getsockname()[1]))
    (directory / "ready.new").rename(directory / "ready")
    while True:
        signal.sigwait([signal.SIGHUP])
        reload()


class TlsService:
    """The service as a test has it; use it as a context manager."""

    def __init__(
        self,
        directory: pathlib.Path,
        certificate: pathlib.Path,
        key: pathlib.Path,
        hosts: t.Sequence[str] = ("127.0.0.1", "127.0.0.2"),
    ) -> None:
        self.directory = directory
        self.hosts = tuple(hosts)
        directory.mkdir(parents=True, exist_ok=True)
        self._settings = {"certificate": str(certificate), "key": str(key), "hosts": self.hosts}
        self._settle(0)

    def _settle(self, port: int) -> None:
        """Have it listen at this port from the next start on; 0 is any."""
        (self.directory / "settings.json").write_text(json.dumps({**self._settings, "port": port}))

    def __enter__(self) -> TlsService:
        (self.directory / "ready").unlink(missing_ok=True)
        program = [sys.executable, __file__, str(self.directory)]
        self.process = subprocess.Popen(program, stdin=subprocess.DEVNULL)
        for _ in range(400):
            if (self.directory / "ready").exists():
                self.port = int((self.directory / "ready").read_text())
                self._settle(self.port)
                return self
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError("the service did not start")

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def reload_command(self) -> list[str]:
        return ["kill", "-HUP", str(self.process.pid)]

    @property
    def loads(self) -> int:
        path = self.directory / "loads"
        return int(path.read_text() or 0) if path.exists() else 1

    def break_by(self, *faults: str) -> None:
        (self.directory / "faults").write_text("\n".join(faults))

    def served(self, host: str = "127.0.0.1") -> str:
        """The fingerprint of what is served, by a plain client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection((host, self.port), 10) as connection, context.wrap_socket(connection) as tls:
            return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
