# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that speak TLS, at once or when they are asked to; some hang, some send a byte now and then."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import ssl
import struct
import threading
import time
import typing as t

from .certificates import Issued

Dialogue = t.Callable[[socket.socket], bool]


def context_of(pair: Issued, directory: pathlib.Path) -> ssl.SSLContext:
    files = pair.write(directory, pair.fingerprint[:16])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(files.certificate), str(files.key))
    return context


class Server:
    """Listens on a free port of a loopback address; use it as a context manager.

    :param context: what it serves; without one it accepts connections and says nothing.
    :param dialogue: what is spoken before TLS; True when TLS begins.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        dialogue: Dialogue | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.context = context
        self.handshakes = 0
        self._dialogue = dialogue
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self._socket.listen(512)
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self._open: list[socket.socket] = []

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._socket.accept()
            except OSError:
                return
            if self.context is None and self._dialogue is None:
                self._open.append(connection)  # hold it, and say nothing
            else:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            if self._dialogue is not None and not self._dialogue(connection):
                return
            if self.context is None:
                return
            with self.context.wrap_socket(connection, server_side=True) as tls:
                self.handshakes += 1
                tls.recv(1)


def free_address() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return line
        line += byte
    return line


def smtp(connection: socket.socket) -> bool:
    connection.sendall(b"220-mail.example.com ESMTP\r\n220 at your service\r\n")
    if not _line(connection).startswith(b"EHLO "):
        return False
    connection.sendall(b"250-mail.example.com\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 HELP\r\n")
    if _line(connection) != b"STARTTLS\r\n":
        return False
    connection.sendall(b"220 go ahead\r\n")
    return True


def imap(connection: socket.socket) -> bool:
    connection.sendall(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
    tag, command = _line(connection).split()
    if command != b"STARTTLS":
        return False
    connection.sendall(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK begin TLS\r\n")
    return True


def postgres(connection: socket.socket) -> bool:
    if connection.recv(8) != struct.pack("!ii", 8, 80877103):
        return False
    connection.sendall(b"S")
    return True


def ldap(connection: socket.socket) -> bool:
    if b"1.3.6.1.4.1.1466.20037" not in connection.recv(256):
        return False
    # LDAPMessage 1, ExtendedResponse: success, no matchedDN, no message, the name of the operation
    name = b"1.3.6.1.4.1.1466.20037"
    response = b"\x0a\x01\x00\x04\x00\x04\x00\x8a" + bytes([len(name)]) + name
    message = b"\x02\x01\x01\x78" + bytes([len(response)]) + response
    connection.sendall(b"\x30\x84" + struct.pack("!I", len(message)) + message)
    return True


def says(data: bytes) -> Dialogue:
    """Says this, waits for the client to go, and never comes to TLS."""

    def dialogue(connection: socket.socket) -> bool:
        connection.sendall(data)
        while connection.recv(256):
            continue
        return False

    return dialogue


def drips(connection: socket.socket) -> bool:
    """One byte now and then, so that no wait of a client is ever long."""
    for _ in range(200):
        connection.sendall(b"2")
        time.sleep(0.05)
    return False


DIALOGUES: dict[str, Dialogue | None] = {
    "none": None,
    "smtp": smtp,
    "imap": imap,
    "postgres": postgres,
    "ldap": ldap,
}
