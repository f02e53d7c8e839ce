# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real BIND with one zone, which takes updates that are signed with its key, in a directory of its own."""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import socket
import subprocess
import time

from .postgres import free_port

ZONE = "example.net"

_CONFIGURATION = """
options {{
    directory "{place}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    lock-file none;
    recursion no;
    dnssec-validation no;
}};
controls {{ }};
include "acme.key";
zone "{zone}" {{
    type primary;
    file "zone";
    update-policy {{ grant acme name _acme-challenge.{zone}. TXT; }};
}};
"""
_ZONE = f"""$TTL 60
@ IN SOA ns.{ZONE}. root.{ZONE}. 1 60 60 60 60
@ IN NS ns.{ZONE}.
ns IN A 127.0.0.1
"""


class Named:
    """Use it as a context manager. Only the records of challenges may be updated, and only with the key."""

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.secret = base64.b64encode(os.urandom(32)).decode()
        self.key = self.write_key("acme.key", self.secret)
        (directory / "zone").write_text(_ZONE)
        configuration = _CONFIGURATION.format(place=directory, port=self.port, zone=ZONE)
        (directory / "named.conf").write_text(configuration)

    def write_key(self, name: str, secret: str) -> str:
        path = self.directory / name
        path.write_text(f'key "acme" {{ algorithm hmac-sha256; secret "{secret}"; }};\n')
        path.chmod(0o600)
        return str(path)

    @property
    def server(self) -> str:
        return f"127.0.0.1#{self.port}"

    def __enter__(self) -> Named:
        with (self.directory / "log").open("wb") as log:
            program = ["named", "-g", "-n", "1", "-c", str(self.directory / "named.conf")]
            self.process = subprocess.Popen(
                program, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError(f"named did not start:\n{self.log}")

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")
