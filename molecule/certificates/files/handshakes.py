# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shakes hands with what serves TLS on this host, all the time, until it is told to end (SIGTERM).

    python3 handshakes.py /srv/handshakes.json

It uses nothing of the collection. The file then says what failed, which certificates were seen how often by address and
port, and which ones the links of the services led to before and after, each by its SHA-256 fingerprint.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading

STORE = "/etc/steward/certificates"
NGINX, SHARED, HAPROXY, POSTGRES = 4431, 4433, 4432, 5432
OVER = threading.Event()


def in_use() -> list[str]:
    found = []
    for path in sorted(glob.glob(f"{STORE}/*/current/fullchain.pem")):
        with open(path, encoding="ascii") as file:
            own = file.read().partition("-----END CERTIFICATE-----")
        found.append(hashlib.sha256(ssl.PEM_cert_to_DER_cert(own[0] + own[1])).hexdigest())
    return found


def shake_hands(host: str, port: int, context: ssl.SSLContext) -> str:
    with socket.create_connection((host, port), 10) as connection:
        if port == POSTGRES:
            connection.sendall(struct.pack("!ii", 8, 80877103))
            if connection.recv(1) != b"S":
                return "no TLS"
        with context.wrap_socket(connection, server_hostname="www.example.com") as tls:
            return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()


def run(host: str, port: int, told: dict[str, object]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    failures: list[str] = []
    seen: dict[str, int] = {}
    told[f"{host}:{port}"] = {"failures": failures, "seen": seen}
    while not OVER.wait(0.05):
        try:
            found = shake_hands(host, port, context)
        except OSError as exc:
            failures.append(repr(exc))
        else:
            seen[found] = seen.get(found, 0) + 1


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_given: OVER.set())
    before = in_use()
    places = [(host, port) for port in (NGINX, SHARED) for host in ("127.0.0.1", "::1")]
    # PostgreSQL of these hosts listens at one address.
    beside = [("127.0.0.1", POSTGRES)] if os.path.exists(f"{STORE}/database") else []
    places += beside or [("127.0.0.1", HAPROXY), ("::1", HAPROXY)]
    served: dict[str, object] = {}
    threads = [threading.Thread(target=run, args=(host, port, served)) for host, port in places]
    for thread in threads:
        thread.start()
    while not OVER.wait(0.2):
        pass
    for thread in threads:
        thread.join()
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"before": before, "after": in_use(), "served": list(served.values())}, file)


if __name__ == "__main__":
    main()
