# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs that a name is ours: put where the authority looks, looked at from here first, taken away again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

An authority counts failed proofs and lets only a few pass in an hour. So it is asked only when a look of our own, at
every address of the name and along every redirect, has seen what it is going to look for.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import os
import re
import socket
import threading
import time
import typing as t

from .._core.application import ApplicationError
from .challenge_look import ChallengeError, look_at_http
from .dns_query import DnsError, texts_of
from .dns_records import Hook, Records

_PLACE = "/.well-known/acme-challenge/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")
_PAUSE = 0.5
_OPEN = 0o755


@dataclasses.dataclass(frozen=True)
class ChallengeSettings:
    """How proofs are given and looked at."""

    #: `http-01` or `dns-01`.
    kind: str
    webroot: str = ""
    #: Where a server of our own listens when there is no webroot; empty is everywhere.
    address: str = ""
    port: int = 80
    #: How TXT records are made, for `dns-01`.
    records: Records = dataclasses.field(default_factory=lambda: Hook(()))
    #: Give the proofs to the caller, for other hosts to show them as well, and ask nobody yet.
    hand_out: bool = False
    #: Look by ourselves first.
    look_first: bool = True
    look_at: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    timeout: float = 10
    patience: float = 120


@dataclasses.dataclass(frozen=True)
class Proof:
    """What one name has to show."""

    name: str
    token: str
    authorization: str

    @property
    def record(self) -> str:
        return f"_acme-challenge.{self.name}"

    @property
    def text(self) -> str:
        """What the TXT record holds (RFC 8555, 8.4)."""
        digest = hashlib.sha256(self.authorization.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


class Challenges:
    """Puts proofs in their places for as long as the context lasts.

    :param keep: called with what is in place before it is put there, so that a killed run's can be taken away.
    :param left: gets why something could not be taken away at the end.
    """

    def __init__(
        self,
        settings: ChallengeSettings,
        keep: t.Callable[[list[dict[str, str]]], None],
        left: list[str] | None = None,
    ) -> None:
        self._settings = settings
        self._keep = keep
        self._left: list[str] = [] if left is None else left
        self._placed: list[dict[str, str]] = []
        self._server: _Server | None = None

    def __enter__(self) -> Challenges:
        settings = self._settings
        if settings.kind == "http-01" and not settings.webroot:
            self._server = _Server(settings.address, settings.port)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._server:
            self._server.stop()
        self._left += self.clear(self._placed)

    def put(self, proof: Proof) -> None:
        """:raises ChallengeError: when it cannot be put there, or is not seen there."""
        _refuse_token(proof)
        if self._settings.kind == "dns-01":
            self._put_record(proof)
        else:
            self._put_file(proof)

    def clear(self, placed: list[dict[str, str]]) -> list[str]:
        """Take away what was put somewhere; what could not be taken away, in words."""
        left = []
        for each in list(placed):
            try:
                if each.get("path"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(each["path"])
                elif each.get("record"):
                    self._settings.records.cleanup(each["record"], each["text"])
                placed.remove(each)
            except (OSError, ApplicationError) as exc:
                left.append(str(exc))
        self._keep(placed)
        return left

    def _put_file(self, proof: Proof) -> None:
        if self._server:
            self._server.answers[_PLACE + proof.token] = proof.authorization
        else:
            directory = self._settings.webroot + _PLACE
            path = directory + proof.token
            self._placed.append({"path": path})
            self._keep(self._placed)
            try:
                _make_readable(self._settings.webroot, directory)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                # The directory may be another account's: no link of its making is followed.
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(path, flags, 0o644), "w", encoding="ascii") as file:
                    os.fchmod(file.fileno(), 0o644)
                    file.write(proof.authorization)
            except OSError as exc:
                raise ChallengeError(f"the challenge cannot be put into {directory}: {exc.strerror or exc}") from None
        if self._settings.look_first:
            look_at_http(proof.name, _PLACE + proof.token, proof.authorization, self._settings)

    def _put_record(self, proof: Proof) -> None:
        self._placed.append({"record": proof.record, "text": proof.text})
        self._keep(self._placed)
        try:
            self._settings.records.present(proof.record, proof.text)
        except ApplicationError as exc:
            raise ChallengeError(f"the record {proof.record} was not made: {exc}") from None
        if self._settings.look_first:
            self._wait_for_record(proof)

    def _wait_for_record(self, proof: Proof) -> None:
        deadline = time.monotonic() + self._settings.patience
        while True:
            missing = self._without_record(proof)
            if not missing:
                return
            if time.monotonic() + _PAUSE >= deadline:
                raise ChallengeError(f"the record {proof.record} is not seen: {missing}")
            time.sleep(_PAUSE)

    def _without_record(self, proof: Proof) -> str:
        for server in self._settings.resolvers:
            try:
                found = texts_of(proof.record, server, self._settings.timeout)
            except DnsError as exc:
                return str(exc)
            if proof.text not in found:
                return f"{server} has {len(found) or 'no'} TXT records there, and none with our text"
        return ""


class _Server:
    """Answers for the challenges and for nothing else."""

    def __init__(self, address: str, port: int) -> None:
        self.answers: dict[str, str] = {}
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                content = answers.get(self.path, "").encode("ascii")
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_given: t.Any) -> None:
                pass

        try:
            self._server = _listen(address, port, Handler)
        except OSError as exc:
            where = f"port {port}" + (f" of {address}" if address else "")
            told = f"{where} is not free for the challenge ({exc.strerror or exc})"
            raise ChallengeError(f"{told}: have the server that is there serve it, and name its webroot") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _listen(address: str, port: int, handler: t.Any) -> http.server.HTTPServer:
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address or not address else socket.AF_INET

        def server_bind(self) -> None:
            if not address:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            # Not HTTPServer's own, which asks the DNS for the name of the host.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(self.server_address)
            self.server_name, self.server_port = address or "localhost", port

    try:
        return Server((address, port), handler)
    except OSError:
        if address:
            raise
    # A host without IPv6.
    Server.address_family = socket.AF_INET
    address = "0.0.0.0"  # noqa: S104 - the authority comes from anywhere
    return Server((address, port), handler)


def handed_out(proof: Proof) -> dict[str, str]:
    """What another host has to show below its webroot. Nothing in it is a secret: the authority asks for it in clear.

    :raises ChallengeError: when it is nothing to make a name of a file of.
    """
    _refuse_token(proof)
    return {"name": proof.name, "path": (_PLACE + proof.token)[1:], "content": proof.authorization}


def _refuse_token(proof: Proof) -> None:
    if not _TOKEN.fullmatch(proof.token):
        raise ChallengeError(f"the authority's token for {proof.name} is not one of RFC 8555: nothing was written")


def _make_readable(webroot: str, directory: str) -> None:
    """Make what is missing below the webroot, for the server to read whatever the umask is."""
    path = webroot
    for part in directory[len(webroot) :].strip("/").split("/"):
        path = os.path.join(path, part)
        if not os.path.isdir(path):
            os.mkdir(path)
            os.chmod(path, _OPEN)
