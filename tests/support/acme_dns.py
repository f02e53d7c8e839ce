# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DNS server for Pebble: every name is this host, and TXT records are lines of a file that a hook writes.

What is asked about a zone of somebody else's goes on to its server.
"""

from __future__ import annotations

import pathlib
import socket
import struct
import threading

_A, _TXT = 1, 16


class Dns:
    """Answers over UDP; use it as a context manager."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.records = directory / "records"
        self.records.touch()
        self.hook = directory / "acme-record"
        # What a user's hook does with nsupdate or an API, here with a file.
        self.hook.write_text(
            "#!/bin/sh\nset -e\n"
            f'if [ "$1" = present ]; then echo "$2 $3" >>{self.records}\n'
            f'else cd {directory}; grep -v -F "$2 $3" records >records.new || true; mv records.new records\n'
            "fi\n"
        )
        self.hook.chmod(0o755)
        #: The zone of another server, and the port at which that one is.
        self.delegated: tuple[str, int] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Dns:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                query, peer = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(query), peer)
            except OSError:
                return

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += query[at] + 1
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        name, answers = ".".join(labels), []
        if kind == _TXT and self.delegated and name.endswith(self.delegated[0]):
            return self._ask(query, self.delegated[1])
        if kind == _A:
            answers.append(b"\x7f\0\0\1")
        if kind == _TXT:
            lines = [line.split() for line in self.records.read_text().splitlines()]
            answers += [bytes([len(text)]) + text.encode() for record, text in lines if record == name]
        head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(answers), 0, 0)
        body = [struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(data)) + data for data in answers]
        return head + query[12 : at + 5] + b"".join(body)

    @staticmethod
    def _ask(query: bytes, port: int) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.sendto(query, ("127.0.0.1", port))
            return asking.recv(4096)
