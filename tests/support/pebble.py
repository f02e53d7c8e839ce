# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ACME server, Pebble, that refuses every other nonce, in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time
import typing as t
import urllib.request

from .certificates import Authority
from .postgres import free_port

#: Refused by policy, as Pebble's configuration says.
BLOCKED = "blocked.example.com"
EAB_KEY_ID = "kid-1"
EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


class Pebble:
    """Use it as a context manager.

    :param dns: port of the DNS server that it asks.
    :param nonces: the percentage of nonces that it refuses.
    """

    def __init__(
        self, directory: pathlib.Path, dns: int, lifetime: int = 90 * 86400, nonces: int = 50, external: bool = False
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port, self.management, self.http_port = free_port(), free_port(), free_port()
        #: For its own certificate, not for what it issues.
        self.authority = Authority("Front of Pebble")
        self.trust = self.authority.write(directory, "front.pem")
        self.pair = self.authority.issue("localhost", "127.0.0.1").write(directory, "server")
        settings: dict[str, t.Any] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.pair.certificate),
            "privateKey": str(self.pair.key),
            "httpPort": self.http_port,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": external,
            "domainBlocklist": [BLOCKED],
            "certificateValidityPeriod": lifetime,
        }
        if external:
            settings["externalAccountMACKeys"] = {EAB_KEY_ID: EAB_KEY}
        (directory / "pebble.json").write_text(json.dumps({"pebble": settings}))
        self._program = ["pebble", "-strict", "-dnsserver", f"127.0.0.1:{dns}", "-config", "pebble.json"]
        self._faults = {
            "PEBBLE_WFE_NONCEREJECT": str(nonces),
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_AUTHZREUSE": "0",
            "PEBBLE_ALTERNATE_ROOTS": "1",
            "PEBBLE_CHAIN_LENGTH": "2",
        }

    def __enter__(self) -> Pebble:
        self._log = (self.directory / "pebble.log").open("wb")
        self.process = subprocess.Popen(
            self._program,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self._faults},
        )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError(f"Pebble did not start:\n{self.log}")

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()

    @property
    def log(self) -> str:
        return (self.directory / "pebble.log").read_text(errors="replace")

    @property
    def directory_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    def managed(self, path: str) -> bytes:
        """From the port on which it tells about itself: roots/0, cert-status-by-serial/..."""
        context = ssl.create_default_context(cafile=self.trust)
        with urllib.request.urlopen(f"https://127.0.0.1:{self.management}/{path}", context=context) as answer:
            return bytes(answer.read())
