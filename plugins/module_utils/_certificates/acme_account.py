# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account at an ACME server: its key in a directory of its own, and its address.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The key is on the disk before the server hears of it, so a killed run leaves no account whose key is lost. Asked with
the same key again, the server answers with the account that is there (RFC 8555, 7.3.1).
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import typing as t

from .._core.locks import Busy, lock
from .acme_transport import AcmeError, Answer, Transport, need_acme
from .disk import read_file
from .issue_state import make_closed, read_json, write_closed
from .keys import load_key, new_key, pem_of_key
from .x509 import CertificateError

try:
    from josepy import jwk
except ImportError:  # told by need_acme(), where somebody can read it
    jwk = None  # type: ignore[assignment]

_KEY, _ACCOUNT = "account.pem", "account.json"
_PATIENCE = 60


@dataclasses.dataclass(frozen=True)
class AccountSettings:
    """Where the account is, and how it is made where it is not."""

    directory_url: str
    place: str
    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    key_id: str = ""
    mac_key: str = dataclasses.field(default="", repr=False)
    trust: str = ""
    timeout: float = 30


class Account:
    """Requests in the name of an account; it is made when it is first needed."""

    def __init__(self, settings: AccountSettings) -> None:
        need_acme()
        self.settings = settings
        self.transport = Transport(settings.directory_url, self._key(), settings.trust, settings.timeout)

    def ready(self) -> str:
        """The address of the account, under which requests are signed from now on.

        :raises AcmeError: when the server does not make one.
        """
        with self._locked():
            kept = read_json(os.path.join(self.settings.place, _ACCOUNT))
            address = kept.get("account") if kept.get("directory") == self.settings.directory_url else ""
            if not isinstance(address, str) or not address:
                address = self._register()
        self.transport.act_as(address)
        return address

    def fetch(self, url: str) -> Answer:
        return t.cast("Answer", self._known(lambda: self.transport.fetch(url)))

    def post(self, url: str, content: t.Mapping[str, t.Any]) -> Answer:
        return t.cast("Answer", self._known(lambda: self.transport.post(url, content)))

    def authorization_of(self, token: str) -> str:
        """What a challenge with this token has to show (RFC 8555, 8.1)."""
        thumbprint = base64.urlsafe_b64encode(self._jwk.thumbprint()).rstrip(b"=").decode("ascii")
        return f"{token}.{thumbprint}"

    def _known(self, ask: t.Callable[[], t.Any]) -> t.Any:
        """Ask, and once more as a new account where the server has forgotten ours, as staging servers do."""
        try:
            return ask()
        except AcmeError as exc:
            if exc.kind != "accountDoesNotExist":
                raise
        with self._locked():
            address = self._register()
        self.transport.act_as(address)
        return ask()

    def _register(self) -> str:
        settings = self.settings
        if self.transport.meta.get("termsOfService") and not settings.terms_agreed:
            told = f"the authority wants its terms of service agreed to ({self.transport.meta['termsOfService']})"
            raise AcmeError(f"{told}: read them, and set terms_agreed", "userActionRequired")
        content: dict[str, t.Any] = {"termsOfServiceAgreed": settings.terms_agreed}
        if settings.contact:
            content["contact"] = [f"mailto:{each}" for each in settings.contact]
        if settings.key_id:
            content["externalAccountBinding"] = self.transport.binding(settings.key_id, settings.mac_key)
        elif self.transport.meta.get("externalAccountRequired"):
            told = "the authority makes accounts only for those that it knows: set eab_key_id and eab_key"
            raise AcmeError(told, "externalAccountRequired")
        self.transport.act_as("")
        address = self.transport.post(self.transport.place("newAccount"), content).location
        if not address:
            raise AcmeError("the server made an account and did not say where it is", "malformed")
        about = {"account": address, "directory": settings.directory_url}
        write_closed(os.path.join(settings.place, _ACCOUNT), json.dumps(about).encode())
        return address

    def _key(self) -> t.Any:
        path = os.path.join(self.settings.place, _KEY)
        with self._locked():
            if not os.path.exists(path):
                write_closed(path, pem_of_key(new_key("ecdsa-p256")))
        try:
            key = load_key(read_file(path))
        except CertificateError as exc:
            raise CertificateError(str(exc) if path in str(exc) else f"{path}: {exc}") from None
        kind: t.Any = jwk.JWKRSA if hasattr(key, "decrypt") else jwk.JWKEC
        self._jwk: t.Any = kind(key=key)
        return self._jwk

    @contextlib.contextmanager
    def _locked(self) -> t.Iterator[None]:
        make_closed(self.settings.place)
        try:
            with lock(os.path.join(self.settings.place, "lock"), _PATIENCE):
                yield
        except Busy as exc:
            raise CertificateError(str(exc)) from None
