# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of an S3 server that does to chosen requests what broken lines and broken stores do.

It checks the checksums that come with a request, as S3 does and moto does not: BadDigest is the answer to what does not
fit.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.client
import http.server
import os
import re
import socket
import struct
import sys
import threading
import time
import typing as t
import urllib.parse

_HOP_BY_HOP = ("connection", "transfer-encoding", "expect", "keep-alive")


@dataclasses.dataclass
class Request:
    """What came in, and where it goes to."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return urllib.parse.unquote(self.path.partition("?")[0])

    def __str__(self) -> str:
        return f"{self.method} {urllib.parse.unquote(self.path)}"


@dataclasses.dataclass
class Answer:
    """What goes back."""

    status: int
    headers: dict[str, str]
    body: bytes
    #: Send this much of the body and break the connection off.
    cut_at: int | None = None


class BrokenConnection(Exception):
    """The proxy sends a TCP reset instead of an answer."""


class Forward(t.Protocol):
    """Hands a request on to the server; `checked` refuses it first if it does not fit its checksum."""

    def __call__(self, request: Request, checked: bool = True) -> Answer: ...


Action = t.Callable[[Request, Forward], Answer]


@dataclasses.dataclass
class Fault:
    """What is done to the next `times` requests whose "METHOD path?query" the pattern is found in."""

    pattern: str
    action: Action
    times: int = 10**9
    hits: int = 0


class FaultyStore:
    """Use as a context manager. `url` is the proxy's; :meth:`inject` says what goes wrong from now on."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.requests: list[str] = []

    def __enter__(self) -> FaultyStore:
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def inject(self, pattern: str, action: Action, times: int = 10**9) -> Fault:
        fault = Fault(pattern, action, times)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()

    def fault_for(self, request: Request) -> Fault | None:
        """What is to go wrong with a request; it counts as having gone wrong."""
        told = str(request)
        with self._lock:
            self.requests.append(told)
            for fault in self._faults:
                if fault.hits < fault.times and re.search(fault.pattern, told):
                    fault.hits += 1
                    return fault
        return None

    def forward(self, request: Request, checked: bool = True) -> Answer:
        refused = _refuse_damaged(request) if checked else None
        if refused:
            return refused
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        try:
            connection.request(request.method, request.path, request.body, request.headers)
            response = connection.getresponse()
            body = response.read()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Answer(response.status, headers, body)
        finally:
            connection.close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that was killed, or that was broken off from, is what this is for."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: FaultyStore

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        request = Request(self.command, self.path, headers, b"")
        fault = self.store.fault_for(request)
        request.body = self.rfile.read(length // 2 if fault and fault.action is resetting_half_way else length)
        try:
            answer = fault.action(request, self.store.forward) if fault else self.store.forward(request)
        except BrokenConnection:
            self._reset()
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        told = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", told or str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut_at])
        if answer.cut_at is not None:
            self.wfile.flush()
            self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        os.close(self.connection.detach())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 (the names that http.server looks for)

    def log_message(self, *_args: object) -> None:
        """The requests are kept in FaultyStore.requests."""


def _refuse_damaged(request: Request) -> Answer | None:
    lower = {name.lower(): value for name, value in request.headers.items()}
    for name, algorithm in (("x-amz-checksum-sha256", "sha256"), ("content-md5", "md5")):
        if name in lower and request.method == "PUT":
            found = base64.b64encode(hashlib.new(algorithm, request.body).digest()).decode()
            if found != lower[name]:
                return error(400, "BadDigest", "the checksum did not match")
    return None


def error(status: int, code: str, message: str = "", more: str = "") -> Answer:
    """An answer as S3 words its refusals."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def refusing(status: int, code: str, message: str = "", more: str = "") -> Action:
    return lambda _request, _forward: error(status, code, message, more)


def resetting_half_way(_request: Request, _forward: Forward) -> Answer:
    """A reset when half of the body has arrived: the handler reads no more than that for this one."""
    raise BrokenConnection


def losing_the_answer(request: Request, forward: Forward) -> Answer:
    """The store does it, and the connection breaks before it can say so."""
    forward(request)
    raise BrokenConnection


def slow(seconds: float) -> Action:
    def wait(request: Request, forward: Forward) -> Answer:
        time.sleep(seconds)
        return forward(request)

    return wait


def flipping(request: Request, forward: Forward) -> Answer:
    """The line flips a bit: what arrives is not what was sent, and the checksum that came with it tells."""
    return forward(dataclasses.replace(request, body=_flipped(request.body)))


class Liar:
    """A store that keeps other bytes than those that it was sent, and answers as if they were the right ones."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, str]] = {}

    def put(self, request: Request, forward: Forward) -> Answer:
        dropped = ("content-md5", "x-amz-checksum-sha256")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        answer = forward(dataclasses.replace(request, headers=headers, body=_flipped(request.body)))
        self._said[request.key] = words_of(request.body)
        return self._as_said(request, answer)

    def head(self, request: Request, forward: Forward) -> Answer:
        """It sticks to it when it is asked again: only the bytes themselves tell."""
        return self._as_said(request, forward(request))

    def _as_said(self, request: Request, answer: Answer) -> Answer:
        said = self._said.get(request.key)
        if not said:
            return answer
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in ("etag", "x-amz-checksum-sha256")
        }
        return dataclasses.replace(answer, headers={**kept, **said})


def words_of(body: bytes) -> dict[str, str]:
    """What a store says that took a body."""
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"ETag": f'"{hashlib.md5(body).hexdigest()}"', "x-amz-checksum-sha256": checksum}  # noqa: S324


def saying_another_checksum(request: Request, forward: Forward) -> Answer:
    answer = forward(request)
    wrong = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "x-amz-checksum-sha256"}
    return dataclasses.replace(answer, headers={**headers, "x-amz-checksum-sha256": wrong})


def without_sha256(request: Request, forward: Forward) -> Answer:
    """A store from before 2022: it ignores the header, and never says a SHA-256."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if not name.lower().startswith(("x-amz-checksum", "x-amz-sdk-checksum"))
    }
    answer = forward(dataclasses.replace(request, headers=headers))
    told = {name: value for name, value in answer.headers.items() if not name.lower().startswith("x-amz-checksum")}
    return dataclasses.replace(answer, headers=told)


def dropping(request: Request, _forward: Forward) -> Answer:
    """It says 200 and keeps nothing; the words are those of a store that took it."""
    return Answer(200, words_of(request.body), b"")


def truncating(request: Request, forward: Forward) -> Answer:
    answer = forward(request)
    return dataclasses.replace(answer, cut_at=len(answer.body) // 2)


def giving_other_bytes(request: Request, forward: Forward) -> Answer:
    """What was stored well comes back altered, as from a disk that rots."""
    answer = forward(request)
    return dataclasses.replace(answer, body=_flipped(answer.body))


def saying_begun_now(request: Request, forward: Forward) -> Answer:
    """moto says of every upload in parts that it was begun in 2010."""
    answer = forward(request)
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()).encode()
    return dataclasses.replace(answer, body=re.sub(rb"(?<=<Initiated>)[^<]+", now, answer.body))


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body
