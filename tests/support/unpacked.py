# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose packages are unpacked and not installed, with its files where it looks for them.

Their paths below /usr are built into such servers, and so are the names of accounts. In a namespace of its own the
unpacked files lie over /usr, and the accounts are the one that runs it; nobody else sees either. It needs no root: with
root, the server runs as nobody.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t

from .certificates import Issued
from .postgres import free_port, wait_for

#: The one account that there is, by whatever name the server wants it.
ACCOUNTS = ("steward", "Debian-exim")

_SCRIPT = """
set -e
if [ -d "$1/usr" ]; then mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr; fi
for file in passwd group; do mount --bind "$2/$file" "/etc/$file"; done
shift 2
exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"
"""
_NAMESPACE = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", _SCRIPT, "sh"]


class UnpackedServer:
    """Use as a context manager. Everything that it reads and writes of its own is below one directory.

    :param issued: what it serves; without one it has no TLS.
    """

    #: The name that bin/test gives its files.
    tree: str
    program: str

    def __init__(self, issued: Issued | None) -> None:
        # pytest's tmp_path is closed to nobody when root runs the tests.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"steward-{self.tree}-"))
        self.port = free_port()
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
        self._user, self._group = account.pw_uid, account.pw_gid
        users = [f"{name}:x:{self._user}:{self._group}::{self.directory}:/bin/false\n" for name in ACCOUNTS]
        self._write("passwd", "".join(users))
        self._write("group", "".join(f"{name}:x:{self._group}:\n" for name in ACCOUNTS))
        self._own()
        self._write("server.conf", self.configuration(issued is not None))
        if issued is not None:
            self.exchange(issued)
        self._own()

    def configuration(self, has_tls: bool) -> str:
        raise NotImplementedError

    def arguments(self) -> list[str]:
        """Those with which the program stays in the foreground."""
        raise NotImplementedError

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def _own(self) -> None:
        if os.geteuid() == 0:
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, self._user, self._group)

    def exchange(self, issued: Issued) -> None:
        """Put another certificate and its key in place; that the server takes them up is another matter."""
        issued.write(self.directory)
        self._own()

    def __enter__(self) -> UnpackedServer:
        self._start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _command(self, *arguments: str) -> list[str]:
        tree = os.environ.get("STEWARD_UNPACKED", "") + f"/{self.tree}"
        return [*_NAMESPACE, tree, str(self.directory), self.program, *arguments]

    def _surroundings(self) -> dict[str, t.Any]:
        # libldap would read the system's configuration.
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LDAPNOINIT": "1"}
        account = {"user": self._user, "group": self._group, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"stdin": subprocess.DEVNULL, "cwd": "/", "env": env, **account}

    def told_by(self, *arguments: str) -> str:
        """What the program says to these and ends."""
        done = subprocess.run(self._command(*arguments), capture_output=True, **self._surroundings(), check=True)
        return done.stdout.decode()

    def _start(self) -> None:
        with (self.directory / "told.log").open("wb") as told:
            self.process = subprocess.Popen(
                self._command(*self.arguments()),
                stdout=told,
                stderr=told,
                start_new_session=True,
                **self._surroundings(),
            )
        for _attempt in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        log = self.log
        self.__exit__()
        raise AssertionError(f"{self.program} did not start:\n{log}")

    def _stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        # Exim's children talk to the end, and write their log meanwhile.
        wait_for(self._is_gone, f"the end of {self.program}")

    def _is_gone(self) -> bool:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return True
        return False

    def take_up(self) -> None:
        """Have it take up what was exchanged."""
        self.process.send_signal(signal.SIGHUP)

    def restart(self) -> None:
        self._stop()
        self._start()

    @property
    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))
