# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application of the database shop: /health answers 200 as long as there is an order, 503 else."""

from __future__ import annotations

import http.server

import psycopg2

CONNECTION = psycopg2.connect(dbname="shop")  # kept open, as a pool does: in the way of whoever renames the database
CONNECTION.autocommit = True


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with CONNECTION.cursor() as cursor:
            cursor.execute("SELECT 1 FROM orders LIMIT 1")
            well = self.path == "/health" and cursor.fetchone() is not None
        self.send_response(200 if well else 503)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
