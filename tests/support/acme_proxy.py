# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In front of Pebble: adds what it does not have (ARI, profiles), and injects what goes wrong elsewhere.

It adds the new fields to the directory and answers for renewalInfo itself. Orders go on to Pebble as the client signed
them, `replaces` and `profile` included: Pebble ignores fields that it does not know.
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import http.server
import json
import ssl
import threading
import time
import typing as t

from .pebble import Pebble

_PROBLEM = "application/problem+json"
_CREATED = 201


@dataclasses.dataclass
class Fault:
    """What is answered instead of, or after, what Pebble says, for so many requests to a place."""

    place: str
    status: int = 0
    body: t.Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    times: int = 1
    #: Seconds before it answers.
    delay: float = 0
    #: Seconds between the bytes of its answer.
    drips: float = 0
    #: Hand the request to Pebble all the same, and lose its answer.
    after: bool = False
    #: Only to the requests whose payload has this key.
    having: str = ""


@dataclasses.dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    payload: dict[str, t.Any]
    #: What Pebble answered, if it was asked.
    status: int = 0


class AcmeProxy:
    """Use it as a context manager."""

    def __init__(self, pebble: Pebble) -> None:
        self._pebble = pebble
        self._context = ssl.create_default_context(cafile=pebble.trust)
        self.asked: list[Asked] = []
        self.reset()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two writes: the second would wait for 40 ms.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                proxy.serve(self)

            def do_POST(self) -> None:
                proxy.serve(self)

            def do_HEAD(self) -> None:
                proxy.serve(self)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + proxy.clock_ahead if timestamp is None else timestamp)

            def log_message(self, *_given: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pebble.pair.certificate, pebble.pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def reset(self) -> None:
        """As it is when nothing goes wrong."""
        self.faults: list[Fault] = []
        #: The answer of renewalInfo; None: there is no ARI at all.
        self.window: t.Any = None
        self.retry_after = "21600"
        self.profiles: dict[str, str] = {}
        self.clock_ahead = 0.0
        self.asked.clear()

    def __enter__(self) -> AcmeProxy:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def directory_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    def count(self, place: str) -> int:
        return sum(each.path.startswith(place) for each in self.asked)

    def orders(self) -> list[dict[str, t.Any]]:
        """The orders that Pebble took."""
        return [each.payload for each in self.asked if each.path == "/order-plz" and each.status == _CREATED]

    def serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        content = handler.rfile.read(length)
        asked = Asked(handler.command, handler.path, _payload(content))
        self.asked.append(asked)
        fault = self._fault(asked)
        if fault and fault.delay:
            time.sleep(fault.delay)
        if handler.path.startswith("/renewal-info/") and not (fault and fault.status):
            self._answer(handler, 200, json.dumps(self.window).encode(), {"Retry-After": self.retry_after})
            return
        if fault and fault.after:
            asked.status = self._forward(handler, content)[0]
        if fault and fault.status:
            body = fault.body if isinstance(fault.body, bytes) else json.dumps(fault.body).encode()
            kind = _PROBLEM if fault.status >= 400 else "application/json"
            self._answer(handler, fault.status, body, {"Content-Type": kind, **fault.headers}, fault.drips)
            return
        status, headers, body = self._forward(handler, content)
        asked.status = status
        if handler.path == "/dir":
            body = self._directory(body)
        self._answer(handler, status, body, headers)

    def _fault(self, asked: Asked) -> Fault | None:
        for fault in self.faults:
            if (
                fault.times
                and asked.path.startswith(fault.place)
                and (not fault.having or fault.having in asked.payload)
            ):
                fault.times -= 1
                return fault
        return None

    def _forward(
        self, handler: http.server.BaseHTTPRequestHandler, content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        # One connection to Pebble for each of ours.
        connection = getattr(handler, "onward", None)
        if connection is None:
            port = self._pebble.port
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=self._context)
            handler.onward = connection  # type: ignore[attr-defined]
        # Pebble writes its addresses, and checks those that were signed, by the name it is asked by: ours.
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        connection.request(handler.command, handler.path, content or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        dropped = ("content-length", "connection", "transfer-encoding", "date")
        kept: dict[str, str] = {}
        for name, value in answer.getheaders():
            if name.lower() not in dropped:
                kept[name] = f"{kept[name]}, {value}" if name in kept else value
        return answer.status, kept, body

    def _directory(self, body: bytes) -> bytes:
        found = json.loads(body)
        # Newer versions of Pebble have both; here the test decides.
        found.pop("renewalInfo", None)
        found["meta"].pop("profiles", None)
        if self.window is not None:
            found["renewalInfo"] = f"https://127.0.0.1:{self.port}/renewal-info"
        if self.profiles:
            found["meta"]["profiles"] = self.profiles
        return json.dumps(found).encode()

    @staticmethod
    def _answer(
        handler: http.server.BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        drips: float = 0,
    ) -> None:
        try:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            if handler.command != "HEAD":
                for at in range(len(body) if drips else 0):
                    handler.wfile.write(body[at : at + 1])
                    time.sleep(drips)
                handler.wfile.write(b"" if drips else body)
        except OSError:
            handler.close_connection = True


def problem(kind: str, detail: str) -> dict[str, str]:
    return {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}


def _payload(content: bytes) -> dict[str, t.Any]:
    try:
        text = json.loads(content)["payload"]
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
