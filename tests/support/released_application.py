# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that is released: its server, which is in each release, and the command of a host that restarts it.

    python released_application.py restart DIRECTORY PORT
    python released_application.py stop DIRECTORY
    python releases/ID/app.py PORT                             (a copy of this file)

The server answers `/health` with 200 unless its release has a file `broken` or its host has a file `sick` (or the file
`broken_on` in its release names the directory of its host), `/version` with its release, and anything else with the
versions of the packages of its release. It ends after five minutes,
unless it is told otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import threading
import time
import typing as t
import wsgiref.simple_server

_LIFE = float(os.environ.get("SHOP_LIFE", "300"))
_HERE = pathlib.Path(__file__).resolve().parent


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        """Without a question to the name service."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_words: object) -> None:
        pass

    def address_string(self) -> str:
        return str(self.client_address[0])


def versions() -> dict[str, str]:
    """Of the packages of this release, as they are found where it runs."""
    found = {}
    with contextlib.suppress(ImportError, AttributeError):
        found["jinja2"] = __import__("jinja2").version
    for path in _HERE.glob("node_modules/*/package.json"):
        found[path.parent.name] = json.loads(path.read_text())["version"]
    return found


def application(environ: dict[str, t.Any], start_response: t.Callable[..., t.Any]) -> list[bytes]:
    path, status = environ["PATH_INFO"], "200 OK"
    if path == "/health":
        host = _HERE.parent.parent
        ill = (_HERE / "broken").exists() or (host / "sick").exists()
        with contextlib.suppress(FileNotFoundError):
            ill = ill or host.name in (_HERE / "broken_on").read_text().split()
        status, said = ("500 Internal Server Error", "ill") if ill else (status, "well")
    elif path == "/version":
        said = _HERE.name
    else:
        said = json.dumps(_VERSIONS)
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(said)))])
    return [said.encode()]


_VERSIONS = versions()


def serve(port: int) -> None:
    with _Server((os.environ.get("SHOP_ADDRESS", "127.0.0.1"), port), _Handler) as server:
        server.set_app(application)
        threading.Timer(_LIFE, lambda: os._exit(0)).start()
        server.serve_forever(poll_interval=0.05)


def stop(directory: pathlib.Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        pid = int((directory / "pid").read_text())
        os.kill(pid, signal.SIGKILL if "--hard" in sys.argv else signal.SIGTERM)
        for _attempt in range(200):
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state in "ZX":
                return
            time.sleep(0.02)


def restart(directory: pathlib.Path, port: str) -> None:
    stop(directory)
    release = (directory / "current").resolve()
    with (directory / "restarts").open("a") as file:
        file.write(f"{release.name}\n")
    own = release / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    words = [python, "-B", str(release / "app.py"), port]
    with (directory / "log").open("a") as log:
        process = subprocess.Popen(
            words, cwd=release, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    (directory / "pid.new").write_text(str(process.pid))
    (directory / "pid.new").rename(directory / "pid")


if __name__ == "__main__":
    if sys.argv[1] == "restart":
        restart(pathlib.Path(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "stop":
        stop(pathlib.Path(sys.argv[2]))
    else:
        serve(int(sys.argv[1]))
