# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration application: a small shop service over the database that is being maintained.

    GET /health          the process answers
    GET /health/db       a query through a fresh connection
    GET /health/cache    the product cache keeps and forgets what it should
    GET /products/<id>   a product, read through the cache

Health answers are JSON with status 200, or 503 and the reason. Run as `python application.py CONFIG.json`; when started
by root it binds, then gives root up (config key `account`).
"""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import sys
import threading
import time
import typing as t

import psycopg2
import psycopg2.errors
import psycopg2.extras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from demo.processes import become


class Cache:
    """Products by id for a while; the oldest leave when it is full."""

    def __init__(self, limit: int = 500, seconds: float = 30) -> None:
        self._limit, self._seconds = limit, seconds
        self._entries: dict[str, tuple[float, t.Any]] = {}
        self._lock = threading.Lock()
        self.hits = self.misses = 0

    def get(self, key: str, counted: bool = True) -> t.Any:
        with self._lock:
            expires, value = self._entries.get(key, (0.0, None))
            hit = expires > time.monotonic()
            if counted:
                self.hits += hit
                self.misses += not hit
            if not hit:
                self._entries.pop(key, None)
                return None
            return value

    def put(self, key: str, value: t.Any, seconds: float | None = None) -> None:
        with self._lock:
            while len(self._entries) >= self._limit:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (time.monotonic() + (self._seconds if seconds is None else seconds), value)

    def __len__(self) -> int:
        return len(self._entries)

    def problem(self) -> str:
        """Write, read back, let expire: what went wrong, or nothing."""
        probe = f"health probe {time.monotonic_ns()}"
        self.put(probe, probe)
        if self.get(probe, counted=False) != probe:
            return "an entry just written does not come back"
        self.put(probe, probe, seconds=-1)
        if self.get(probe, counted=False) is not None:
            return "an expired entry still comes back"
        if len(self) > self._limit:
            return f"it holds {len(self)} entries, more than its limit of {self._limit}"
        return ""


class Shop:
    """What the application does, apart from HTTP."""

    def __init__(self, database: dict[str, t.Any]) -> None:
        self._database = database
        self.cache = Cache()
        self.started = time.monotonic()

    def _query(self, sql: str, parameters: tuple[t.Any, ...] = ()) -> t.Any:
        connection = psycopg2.connect(
            **self._database, connect_timeout=3, application_name="demo shop", options="-c statement_timeout=3000"
        )
        try:
            with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchone()
        finally:
            connection.close()

    def health(self) -> tuple[int, dict[str, t.Any]]:
        return 200, {"status": "ok", "uptime_seconds": round(time.monotonic() - self.started, 1)}

    def health_db(self) -> tuple[int, dict[str, t.Any]]:
        started = time.monotonic()
        try:
            self._query("SELECT id FROM catalog.products ORDER BY id LIMIT 1")
        except psycopg2.Error as exc:
            return 503, {"status": "failed", "reason": str(exc).strip()}
        return 200, {"status": "ok", "milliseconds": round((time.monotonic() - started) * 1000, 1)}

    def health_cache(self) -> tuple[int, dict[str, t.Any]]:
        problem = self.cache.problem()
        figures = {"entries": len(self.cache), "hits": self.cache.hits, "misses": self.cache.misses}
        return (
            (503, {"status": "failed", "reason": problem, **figures}) if problem else (200, {"status": "ok", **figures})
        )

    def product(self, number: str) -> tuple[int, dict[str, t.Any]]:
        found = self.cache.get(number)
        if found is None:
            try:
                found = self._query("SELECT id, sku, name FROM catalog.products WHERE id = %s", (int(number),))
            except ValueError:
                return 400, {"reason": f"{number!r} is not a product number"}
            except psycopg2.Error as exc:
                return 503, {"reason": str(exc).strip()}
            if found is None:
                return 404, {"reason": f"there is no product {number}"}
            self.cache.put(number, found)
        return 200, dict(found)


def handler(shop: Shop) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            routes = {"/health": shop.health, "/health/db": shop.health_db, "/health/cache": shop.health_cache}
            if self.path in routes:
                status, body = routes[self.path]()
            elif self.path.startswith("/products/"):
                status, body = shop.product(self.path.rpartition("/")[2])
            else:
                status, body = 404, {"reason": f"nothing at {self.path}"}
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: t.Any) -> None:
            print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), format % args, flush=True)

    return Handler


def main() -> None:
    config = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", config["port"]), handler(Shop(config["database"])))
    if os.geteuid() == 0:
        become(config["account"])
    print(f"listening on 127.0.0.1:{server.server_port} as uid {os.geteuid()}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
