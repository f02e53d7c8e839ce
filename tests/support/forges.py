# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in on loopback for the merge requests of GitLab and the pull requests of GitHub."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t
import urllib.parse

TOKEN = "kanarienvogel-3f9a1c7e"  # the canary: see support.canary


class FakeForge:
    """Use as a context manager. `requests` are those that were made; `status` is answered instead, when it is set."""

    def __init__(self) -> None:
        self.requests: list[dict[str, t.Any]] = []
        self.status = 0
        handler = type("Handler", (_Handler,), {"forge": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeForge:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    forge: FakeForge

    def log_message(self, *_args: t.Any) -> None:
        return

    def _kind(self) -> str:
        """Which of the two it is, when place and token are right."""
        path = urllib.parse.urlsplit(self.path).path
        if path == "/api/v4/projects/group%2Fshop/merge_requests" and self.headers["PRIVATE-TOKEN"] == TOKEN:
            return "gitlab"
        if path == "/repos/group/shop/pulls" and self.headers["Authorization"] == f"Bearer {TOKEN}":
            return "github"
        return ""

    def do_GET(self) -> None:
        kind = self._kind()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        wanted = query.get("source_branch") or query.get("head", "").partition("group:")[2]
        state = {"gitlab": "opened", "github": "open"}.get(kind)
        found = [one for one in self.forge.requests if one["branch"] == wanted and one["kind"] == kind]
        self._answer(200 if kind and query.get("state") == state else 401, [self._told(one) for one in found])

    def do_POST(self) -> None:
        kind = self._kind()
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        one = {
            "kind": kind,
            "branch": asked.get("source_branch") or asked.get("head"),
            "target": asked.get("target_branch") or asked.get("base"),
            "title": asked["title"],
            "text": asked.get("description") or asked.get("body"),
        }
        if kind and not self.forge.status:
            self.forge.requests.append(one)
        self._answer(201 if kind else 401, self._told(one))

    def _told(self, one: dict[str, t.Any]) -> dict[str, t.Any]:
        number = self.forge.requests.index(one) + 1 if one in self.forge.requests else 0
        key = "web_url" if one["kind"] == "gitlab" else "html_url"
        return {key: f"{self.forge.url}/group/shop/{number}"}

    def _answer(self, status: int, content: t.Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(self.forge.status or status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
