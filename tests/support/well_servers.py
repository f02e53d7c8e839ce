# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers behind a load balancer: each is well or not, and answers requests for /slow when it may."""

from __future__ import annotations

import http.server
import threading
import typing as t


class Server(http.server.ThreadingHTTPServer):
    """A server that is well or not, and answers requests for /slow when it may."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, keeps_connections: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = "HTTP/1.1" if keeps_connections else "HTTP/1.0"
        self.requests = 0
        self.well = True
        self.may_answer = threading.Event()
        self.began = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def setup(self) -> None:
        super().setup()
        self.protocol_version = self.server.version

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.server.began.set()
            self.server.may_answer.wait(20)
        if self.path != "/health":
            self.server.requests += 1
        well = self.path != "/health" or self.server.well
        self.send_response(200 if well else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_words: t.Any) -> None:
        return
