# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx with two listeners, unprivileged or not, in a directory of its own."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import time
import typing as t

from .postgres import free_port
from .tls_service import TlsService

_CONFIGURATION = """
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        {listen}
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        return 204;
    }}
}}
"""


class NginxService(TlsService):
    """The same as a test's own service, by nginx."""

    def __init__(
        self,
        directory: pathlib.Path,
        certificate: pathlib.Path,
        key: pathlib.Path,
        hosts: t.Sequence[str] = ("127.0.0.1", "127.0.0.2"),
    ) -> None:
        super().__init__(directory, certificate, key, hosts)
        self.port = free_port()
        self.configuration = directory / "service.conf"
        self.configuration.write_text(self.write_configuration(certificate, key))

    def write_configuration(self, certificate: pathlib.Path, key: pathlib.Path) -> str:
        listen = "\n        ".join(f"listen {host}:{self.port} ssl;" for host in self.hosts)
        return _CONFIGURATION.format(place=self.directory, listen=listen, certificate=certificate, key=key)

    @property
    def program(self) -> list[str]:
        return ["nginx", "-p", str(self.directory), "-c", str(self.configuration)]

    @property
    def start_command(self) -> list[str]:
        return self.program

    def __enter__(self) -> NginxService:
        with (self.directory / "told.log").open("wb") as told:
            self.process = subprocess.Popen(self.start_command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        for _ in range(400):
            # Apache opens its port, closes it again and opens it anew before it serves anything.
            with contextlib.suppress(OSError):
                for host in self.hosts:
                    self.served(host)
                return self
            time.sleep(0.05)
        self.process.kill()
        logs = [path.read_text() for path in self.directory.glob("*.log")]
        raise AssertionError(f"{self.program[0]} did not start:\n{''.join(logs)}")

    def __exit__(self, *_exc: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    @property
    def test_command(self) -> list[str]:
        return [*self.program, "-t", "-q"]

    @property
    def reload_command(self) -> list[str]:
        return [*self.program, "-s", "reload"]
