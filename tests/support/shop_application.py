# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small application that uses a database: a real process with a port, started and stopped by commands.

    python shop_application.py DIRECTORY start

`DIRECTORY/config.json` says where it listens, what it connects to and what it asks there, `DIRECTORY/mode` how it
behaves: `well` answers /health by asking its database, `ill` answers 500, `mute` accepts and never answers, `drip`
sends a byte now and then, and `stubborn` does not stop when told to. Whatever happens, it ends after three minutes.
"""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

_LIFE = 180


class _Handler(http.server.BaseHTTPRequestHandler):
    directory = pathlib.Path()
    dsn = query = ""

    def do_GET(self) -> None:
        mode = (self.directory / "mode").read_text()
        if mode == "mute":
            time.sleep(_LIFE)
        if mode == "drip":
            for byte in b"HTTP/1.0 200 OK\r\nX: " + b"x" * _LIFE:
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)
        self.send_response(500 if mode == "ill" else self._ask_the_database())
        self.end_headers()

    def _ask_the_database(self) -> int:
        import psycopg2

        try:
            conn = psycopg2.connect(self.dsn)
            conn.cursor().execute(self.query)
            conn.close()
        except psycopg2.Error:
            return 503
        return 200

    def log_message(self, *_words: object) -> None:
        pass


def serve(directory: pathlib.Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    if (directory / "mode").read_text() == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _Handler.directory, _Handler.dsn, _Handler.query = directory, config["dsn"], config["query"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", config["port"]), _Handler)
    server.daemon_threads = True
    threading.Timer(_LIFE, lambda: os._exit(0)).start()
    (directory / "pid").write_text(str(os.getpid()))
    server.serve_forever()


def alive(directory: pathlib.Path) -> bool:
    try:
        pid = int((directory / "pid").read_text())
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, ValueError):
        return False


def main() -> int:
    directory, verb = pathlib.Path(sys.argv[1]), sys.argv[2]
    with (directory / "told").open("a") as told:
        told.write(f"{verb} {os.getuid()}\n")
    if verb == "serve":
        serve(directory)
    if verb == "start" and not alive(directory):
        (directory / "pid").unlink(missing_ok=True)
        # The output stays open in the server, as with many a start script.
        subprocess.Popen([sys.executable, __file__, str(directory), "serve"], start_new_session=True)
        for _attempt in range(200):
            if alive(directory):
                return 0
            time.sleep(0.05)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
