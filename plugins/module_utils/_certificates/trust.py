# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is trusted: OpenSSL is the judge, in a handshake and of files.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import ssl

from .._core.application import ApplicationError, run_command
from .._core.suggest import InputError

#: OpenSSL's verdicts (x509_vfy.h) about dates, and about what a certificate is for.
NOT_YET_VALID, EXPIRED = 9, 10
WRONG_USAGE = 26
#: X509_V_FLAG_NO_CHECK_TIME: dates are judged from the certificates, where they can be told apart.
_NO_CHECK_TIME = 0x200000
_VERDICT = re.compile(r"error (\d+) at \d+ depth lookup: ?(.*?)(?: error |$)")
_PATIENCE = 20

#: Types of keys that twins have, and OpenSSL's words for the ciphers of each. Those of Ed25519 are among the latter.
_AUTHENTICATED_BY = {"rsa": "ECDHE+aRSA:DHE+aRSA:kRSA", "ecdsa": "ECDHE+aECDSA"}
KEY_TYPES = ("any", "ecdsa", "rsa")

#: What OpenSSL's verdicts mean for whoever has to mend it.
_MEANINGS = {
    2: "the issuer of the highest certificate is missing",
    18: "it is self-signed, and not in the trust bundle",
    19: "the chain ends in an authority that is not in the trust bundle",
    20: "its issuer is neither sent with it nor in the trust bundle",
    21: "its issuer is neither sent with it nor in the trust bundle",
    WRONG_USAGE: "it is not meant for servers (extended key usage)",
    66: "its key is too weak",
    67: "the key of an authority in its chain is too weak",
    68: "a signature in its chain uses a broken digest",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Why a chain does not lead to somebody who is trusted: OpenSSL's number, and words."""

    code: int
    text: str


def problem_of(exc: ssl.SSLCertVerificationError) -> Problem:
    return _problem(exc.verify_code, exc.verify_message)


def _problem(code: int, said: str) -> Problem:
    meaning = _MEANINGS.get(code)
    return Problem(code, f"{meaning} ({said})" if meaning else said or f"OpenSSL's verdict is {code}")


@dataclasses.dataclass(frozen=True)
class Trust:
    """The authorities that are trusted: those of a file, or of the system when it is empty."""

    bundle: str = ""

    def context(self, check_time: bool = True) -> ssl.SSLContext:
        """A client that checks the chain. Names are compared by us, who can tell which ones there are.

        :raises InputError: when the bundle cannot be read.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # which older Pythons leave to the system
        try:
            if self.bundle:
                context.load_verify_locations(cafile=self.bundle)
            else:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        except OSError as exc:
            why = "it has no certificate in PEM format" if isinstance(exc, ssl.SSLError) else exc.strerror
            raise InputError(f"trust {self.bundle!r} cannot be read as a bundle of certificates: {why}") from None
        if not check_time:
            context.verify_flags |= _NO_CHECK_TIME
        return context

    def problem_of_file(self, path: str) -> Problem | None:
        """Why the first certificate of a file, with the others in it, does not lead to an authority; dates apart.

        :raises ApplicationError: when that cannot be found out.
        """
        program = shutil.which("openssl")
        if not program:
            raise ApplicationError("the program openssl is not in PATH")
        options = ["-no_check_time", "-purpose", "sslserver", "-untrusted", path, *self._places()]
        status, said = run_command([program, "verify", *options, path], _PATIENCE)
        if status == 0:
            return None
        match = _VERDICT.search(said)
        if not match:
            raise ApplicationError(f"openssl verify ended with status {status}: {said}")
        return _problem(int(match.group(1)), match.group(2))

    def _places(self) -> list[str]:
        if self.bundle:
            return ["-CAfile", self.bundle, "-no-CApath"]
        # Python's OpenSSL and the program may be two, with defaults of their own.
        paths = ssl.get_default_verify_paths()
        options = ["-CAfile", paths.cafile] if paths.cafile else ["-no-CAfile"]
        return options + (["-CApath", paths.capath] if paths.capath and os.path.isdir(paths.capath) else ["-no-CApath"])


def blind_context() -> ssl.SSLContext:
    """A client that takes whatever is served, old protocols and weak keys too: to look at it, not to trust it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def only_with(context: ssl.SSLContext, key_type: str) -> ssl.SSLContext:
    """The same client, to which a server with twins shows the one with this type of key.

    What a client takes of signatures, Python lets nobody choose in TLS 1.3. In TLS 1.2 the cipher says it.
    """
    if key_type != "any":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        level = ":@SECLEVEL=0" if context.verify_mode == ssl.CERT_NONE else ""
        context.set_ciphers(_AUTHENTICATED_BY[key_type] + level)
    return context


def shake_hands_in_memory(certificates: str, key: str, client: ssl.SSLContext, name: str) -> None:
    """A TLS handshake between a server with this pair of files and a client, without a socket.

    :raises ssl.SSLError: what the server says when it loads the pair, or the client when it is offered it.
    :raises OSError: when a file cannot be read.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates, key, password="")  # an encrypted key must not ask on a terminal
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    waiting = [
        client.wrap_bio(to_client, to_server, server_hostname=name or None),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _round in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            return
    raise ssl.SSLError("the handshake came to no end")
