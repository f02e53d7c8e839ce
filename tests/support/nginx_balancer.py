# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx before servers on loopback. Its upstream is in a file of its own, which is there by a symbolic link."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import subprocess
import time
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._balancers.arguments import (
    BALANCER_ARGUMENTS,
    balancer_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._balancers.draining import Outcome, balance
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result

from .postgres import free_port
from .well_servers import Server

#: No request is tried again: what a server drops, a client sees.
_CONFIGURATION = """
daemon off;
worker_processes 2;
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
    proxy_next_upstream off;
    include {place}/enabled/*;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
_UPSTREAM = """# Written by hand; `server {first} down;` is how it looks in maintenance.
upstream other {{ server {first} weight=3; }}
upstream shop {{
    least_conn;
    server {first} weight=2; # the first
    server {second}
        max_fails=0
        ;
\tserver {third} max_fails=0;
    server 127.0.0.1:1 backup;
    keepalive 8;
}}
"""


class NginxBalancer:
    """Three servers behind nginx, and the module; use it as a context manager."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.place = directory / "nginx"
        self.port = free_port()
        self.configuration = self.place / "nginx.conf"
        #: The file itself, and the link by which nginx and the module know it.
        self.upstream = self.place / "available" / "shop"
        self.link = self.place / "enabled" / "shop"
        for one in (self.upstream, self.link):
            one.parent.mkdir(parents=True)
        self.servers = [Server(keeps_connections=True) for _number in range(3)]
        self.addresses = [f"127.0.0.1:{one.server_address[1]}" for one in self.servers]
        self.first, self.second, self.third = self.addresses
        self.original = _UPSTREAM.format(first=self.first, second=self.second, third=self.third).encode()
        self.upstream.write_bytes(self.original)
        self.upstream.chmod(0o640)
        self.link.symlink_to("../available/shop")
        self.configure()
        self.program = ["nginx", "-p", str(self.place), "-c", str(self.configuration)]

    def configure(self, more: str = "") -> None:
        text = _CONFIGURATION.format(place=self.place, port=self.port)
        self.configuration.write_text(text.replace("http {", f"http {{\n{more}", 1))

    def __enter__(self) -> NginxBalancer:
        self.process = subprocess.Popen(self.program, stdin=subprocess.DEVNULL)
        for _attempt in range(400):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return self
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError("nginx did not start")

    def __exit__(self, *_exc: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        for server in self.servers:
            server.may_answer.set()
            server.shutdown()
            server.server_close()

    def arguments(self, state: str, *addresses: str, **more: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in BALANCER_ARGUMENTS.items()}
        given = {
            "state": state,
            "servers": [{"pool": "shop", "server": address} for address in addresses],
            "nginx_file": str(self.link),
            "nginx_pid_file": str(self.place / "nginx.pid"),
            "nginx_test_command": [*self.program, "-T", "-q"],
            "nginx_reload_command": [*self.program, "-s", "reload"],
            "nginx_health_path": "/health",
            "timeout": "10s",
            "state_dir": str(self.directory / "state"),
        }
        return {**defaults, **given, **more}

    def do(self, state: str, *addresses: str, check: bool = False, **more: t.Any) -> tuple[Result, Outcome]:
        outcome = Outcome()
        return balance(balancer_settings_from(self.arguments(state, *addresses, **more)), check, outcome), outcome

    def reload(self) -> None:
        """By hand, until the workers of before are gone."""
        before = self.workers()
        subprocess.run([*self.program, "-s", "reload"], check=True)
        self.wait_for(lambda: self.workers() and not self.workers() & before, "new workers")

    def workers(self) -> set[int]:
        """All of them, those that are shutting down among them."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return {int(line.split()[0]) for line in listed.stdout.splitlines() if "worker process" in line}

    def connections(self, address: str) -> int:
        """Established ones to a server of loopback, as the kernel lists them."""
        port = f"0100007F:{int(address.rpartition(':')[2]):04X}"
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(line.split()[2] == port and line.split()[3] == "01" for line in lines)

    def ask_slowly(self) -> tuple[socket.socket, str]:
        """A request that one of the servers is at, and which."""
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
        self.wait_for(lambda: any(server.began.is_set() for server in self.servers), "a server at the request")
        return client, next(one for one, server in zip(self.addresses, self.servers) if server.began.is_set())

    def wait_for(self, condition: t.Callable[[], t.Any], what: str) -> None:
        for _attempt in range(400):
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"there is not: {what}")
