# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's log as a test hears it: /dev/log of the processes that it starts, and of no others.

Each Ansible module writes its invocation there. The processes get a mount namespace, in which /dev has a socket that
this process listens to. Where the kernel lets nobody have one, and there is no /dev/log yet, the socket is put there.
"""

from __future__ import annotations

import contextlib
import pathlib
import socket
import subprocess
import tempfile
import threading

_LOG = pathlib.Path("/dev/log")
_FILES = ("null", "zero", "full", "random", "urandom", "tty")
_DIRECTORIES = ("shm", "pts")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_ENTER = """
set -e
dev=$1; shift
for name in {files}; do test ! -e /dev/$name || mount --bind /dev/$name "$dev/$name"; done
for name in {directories}; do test ! -d /dev/$name || mount --rbind /dev/$name "$dev/$name"; done
mount --rbind "$dev" /dev
exec "$@"
""".format(files=" ".join(_FILES), directories=" ".join(_DIRECTORIES))
_LARGEST = 2**20


class Syslog(threading.Thread):
    """Use it as a context manager, and start what is to be heard with L{prefix}."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.messages: list[bytes] = []
        self.prefix: list[str] = []
        self._over = threading.Event()

    def __enter__(self) -> Syslog:
        self._place = tempfile.TemporaryDirectory(prefix="steward-syslog-")
        dev = pathlib.Path(self._place.name)
        dev.chmod(0o755)
        for name in _FILES:
            (dev / name).touch()
        for name in _DIRECTORIES:
            (dev / name).mkdir()
        for name, target in {**_LINKS, "ptmx": "pts/ptmx"}.items():
            (dev / name).symlink_to(target)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = dev / "log"
        inside = [["unshare", *words, "sh", "-c", _ENTER, "sh", str(dev)] for words in (["-m"], ["-m", "-U", "-r"])]
        self.prefix = next((words for words in inside if _works(words)), [])
        if not self.prefix:
            assert not _LOG.exists(), "no mount namespace can be had, and /dev/log is somebody else's"
            self._path = _LOG
        self._socket.bind(str(self._path))
        self._path.chmod(0o666)
        self._socket.settimeout(0.1)
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self.join()
        self._socket.close()
        self._path.unlink()
        self._place.cleanup()

    def run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(socket.timeout):
                self.messages.append(self._socket.recv(_LARGEST))

    @property
    def content(self) -> bytes:
        return b"\n".join(self.messages)


def _works(words: list[str]) -> bool:
    return subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
