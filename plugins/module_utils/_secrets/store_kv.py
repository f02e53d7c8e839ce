# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One secret in a KV version 2 engine of HashiCorp Vault or OpenBao, over its HTTP API.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Whoever reads a path without naming a version gets the newest one, so the newest one must never be a pending value.
The path therefore only ever holds what is current, and what was. A pending value lies beside it, at `<path>.pending`,
together with its token. It is made with check-and-set 0, which only one of two controllers can win, and promoted by
writing it to the path with check-and-set of the version that it replaces. Which version a token made, and which one is
the previous, stands in the custom metadata of the path, beside whatever others keep there.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .._core.clock import parse_time, utc_now
from .._core.suggest import InputError
from . import store
from .store import CURRENT, PENDING, PREVIOUS, Secret, StoreError, Value, Version, check_token

_IDS, _PREVIOUS = "steward_versions", "steward_previous"
_KEPT_IDS = 5
_LARGEST = 4 * 2**20
_TOKEN, _VALUE = "steward_token", "value"


@dataclasses.dataclass(frozen=True)
class KvSettings:
    """Where the engine is, and who asks."""

    url: str
    token: str = dataclasses.field(repr=False)
    mount: str = "secret"
    namespace: str = ""
    ca_cert: str = ""
    timeout: int = 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token must not follow to another server; a standby that redirects is told."""

    def redirect_request(self, *_args: t.Any) -> None:
        return None


@dataclasses.dataclass
class _Path:
    """What the metadata of a path says."""

    exists: bool
    newest: int
    versions: dict[int, dict[str, t.Any]]
    custom: dict[str, str]
    ids: dict[int, str]
    max_versions: int

    def id_of(self, number: int) -> str:
        return self.ids.get(number) or f"version-{number}"

    def number_of(self, version: str) -> int:
        """The newest number with that identifier: a version that was restored has a new one."""
        return max((number for number in self.versions if self.id_of(number) == version), default=0)

    @property
    def previous(self) -> int:
        return int(self.custom.get(_PREVIOUS) or 0)


class Kv:
    """One secret, by its path below the mount."""

    def __init__(self, settings: KvSettings, path: str) -> None:
        self.settings = settings
        self.path = path
        context = ssl.create_default_context(cafile=settings.ca_cert or None) if settings.url[:5] == "https" else None
        handlers: list[t.Any] = [_NoRedirect(), urllib.request.ProxyHandler({})]
        if context:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def place(self) -> str:
        return f"secret {self.settings.mount}/{self.path} at {self.settings.url}"

    def versions(self) -> list[Version]:
        path = self._look()
        stages: dict[str, list[str]] = {}
        created: dict[str, datetime.datetime | None] = {}
        for number, entry in sorted(path.versions.items()):
            gone = _moment(entry.get("deletion_time"))
            if entry.get("destroyed") or (gone is not None and gone <= utc_now()):
                continue
            version = path.id_of(number)
            # One that was restored was written again; it is as old as it was the first time.
            created.setdefault(version, _moment(entry.get("created_time")))
            labels = stages.setdefault(version, [])
            labels += [CURRENT] if number == path.newest else []
            labels += [PREVIOUS] if number == path.previous else []
        pending = self._pending()
        if pending:
            stages.setdefault(pending.version, []).append(PENDING)
            if pending.version not in created:
                created[pending.version] = self._pending_since()
        return [Version(version, tuple(labels), created[version]) for version, labels in stages.items()]

    def read(self, stage: str) -> Secret | None:
        if stage == PENDING:
            return self._pending()
        path = self._look()
        number = path.newest if stage == CURRENT else path.previous
        return self._read_number(path, number)

    def read_version(self, version: str) -> Secret | None:
        path = self._look()
        found = self._read_number(path, path.number_of(version))
        pending = None if found else self._pending()
        return pending if pending and pending.version == version else found

    def create_first(self, token: str, value: Value) -> None:
        check_token(token)
        path = self._look()
        current = self._read_number(path, path.newest)
        if current:
            if dict(current.value) != dict(value):
                raise StoreError(f"{self.place} has a current version already: {current.version}")
        else:
            self._write(self.path, value, path.newest)
        self._note(token)

    def create_pending(self, token: str, value: Value) -> None:
        check_token(token)
        path = self._look()
        if path.max_versions == 1:
            raise StoreError(f"{self.place} keeps one version only (max_versions): there would be no way back")
        made = self._read_number(path, path.number_of(token))
        pending = self._pending()
        if pending and pending.version != token:
            raise store.PendingElsewhere(f"{self.place}: version {pending.version} is pending")
        for present in (made, pending):
            if present and dict(present.value) != dict(value):
                raise store.TokenReused(f"{self.place}: token {token} has made another value already")
        if made or pending:
            return
        lost = f"{self.place}: another version was made pending at this very moment"
        self._write(f"{self.path}.pending", {_TOKEN: token, _VALUE: dict(value)}, 0, lost)

    def promote(self, token: str, replaces: str = "") -> None:
        path = self._look()
        pending = self._pending()
        current = self._read_number(path, path.newest)
        is_ours = pending is not None and pending.version == token
        is_written = is_ours and current is not None and pending is not None and current.value == pending.value
        if replaces and not is_written and path.id_of(path.newest) not in (replaces, token):
            raise store.Overtaken(f"{self.place}: version {path.id_of(path.newest)} has become current meanwhile")
        if pending and is_ours:
            if not is_written:
                self._write(self.path, pending.value, path.newest)
            self._note(token)
            self.withdraw(token)
        elif path.number_of(token) != path.newest:
            raise StoreError(f"{self.place}: version {token} is not pending")

    def restore(self, version: str, token: str) -> None:
        path = self._look()
        if path.id_of(path.newest) != version:
            old = self._read_number(path, path.number_of(version))
            if old is None:
                raise StoreError(f"{self.place} has no version {version} any more")
            current = self._read_number(path, path.newest)
            if current is None or dict(current.value) != dict(old.value):
                self._write(self.path, old.value, path.newest)
        self._note(version, previous=False)
        self.withdraw(token)

    def withdraw(self, token: str) -> None:
        pending = self._pending()
        if pending and pending.version == token:
            self._request("DELETE", "metadata", f"{self.path}.pending")

    def retire(self, version: str) -> None:
        path = self._look()
        if path.previous and path.id_of(path.previous) == version:
            self._describe(path, path.ids, 0)

    def _note(self, token: str, previous: bool = True) -> None:
        """Write down that the newest version is that of the token, and that the one below it was in use before."""
        path = self._look()
        before = path.previous
        if path.ids.get(path.newest) != token:
            before = path.newest - 1 if previous and path.newest - 1 in path.versions else 0
        elif not previous:
            before = 0
        self._describe(path, {**path.ids, path.newest: token}, before)

    def _describe(self, path: _Path, ids: t.Mapping[int, str], previous: int) -> None:
        kept = {str(number): ids[number] for number in sorted(ids)[-_KEPT_IDS:]}
        custom = {**path.custom, _IDS: json.dumps(kept, separators=(",", ":")), _PREVIOUS: str(previous)}
        if custom != path.custom:
            self._request("POST", "metadata", self.path, {"custom_metadata": custom})

    def _look(self) -> _Path:
        answer = self._request("GET", "metadata", self.path)
        if answer is None:
            return _Path(False, 0, {}, {}, {}, 0)
        data = answer.get("data") or {}
        custom = {str(name): str(text) for name, text in (data.get("custom_metadata") or {}).items()}
        try:
            ids = {int(number): str(version) for number, version in json.loads(custom.get(_IDS) or "{}").items()}
            versions = {int(number): dict(entry) for number, entry in (data.get("versions") or {}).items()}
            newest = int(data.get("current_version") or 0)
        except (ValueError, TypeError, AttributeError):
            raise StoreError(f"{self.place}: its metadata cannot be read") from None
        return _Path(True, newest, versions, custom, ids, int(data.get("max_versions") or 0))

    def _read_number(self, path: _Path, number: int) -> Secret | None:
        if not number:
            return None
        answer = self._request("GET", "data", self.path, query=f"?version={number}")
        value = ((answer or {}).get("data") or {}).get("data")
        return Secret(path.id_of(number), dict(value)) if isinstance(value, dict) else None

    def _pending(self) -> Secret | None:
        answer = self._request("GET", "data", f"{self.path}.pending")
        data = ((answer or {}).get("data") or {}).get("data")
        if not isinstance(data, dict):
            return None
        token, value = data.get(_TOKEN), data.get(_VALUE)
        if not isinstance(token, str) or not isinstance(value, dict):
            raise StoreError(f"{self.place}: {self.path}.pending is not what was written there: remove it")
        return Secret(token, value)

    def _pending_since(self) -> datetime.datetime | None:
        answer = self._request("GET", "metadata", f"{self.path}.pending")
        return _moment(((answer or {}).get("data") or {}).get("updated_time"))

    def _write(self, path: str, value: Value, check_and_set: int, lost: str = "") -> None:
        body = {"options": {"cas": check_and_set}, "data": dict(value)}
        try:
            self._request("POST", "data", path, body)
        except _Refused as exc:
            if "check-and-set" in exc.said:
                told = lost or f"{self.place} was written by somebody else at this very moment"
                raise store.Overtaken(told) from None
            raise

    def _request(
        self, method: str, kind: str, path: str, body: t.Any = None, query: str = ""
    ) -> dict[str, t.Any] | None:
        """One request; nothing when there is no such path or version."""
        mount, quoted = (urllib.parse.quote(word, safe="/") for word in (self.settings.mount, path))
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            f"{self.settings.url.rstrip('/')}/v1/{mount}/{kind}/{quoted}{query}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"X-Vault-Token": self.settings.token, "X-Vault-Request": "true"},
        )
        request.add_header("Content-Type", "application/json")
        if self.settings.namespace:
            request.add_header("X-Vault-Namespace", self.settings.namespace)
        try:
            with self._opener.open(request, timeout=self.settings.timeout) as answer:
                text = answer.read(_LARGEST)
        except urllib.error.HTTPError as exc:
            text = exc.read(_LARGEST)
            said = _errors(text)
            if exc.code == 404 and not said:
                # No such path, or a version that was deleted. With words, it is the engine that is not there.
                return None
            raise _Refused(f"{self.place} refuses to {_VERBS[method]} it: {_status(exc.code)}", said) from None
        except (OSError, ValueError) as exc:
            why = getattr(exc, "reason", None) or exc
            raise StoreError(f"{self.place} cannot be reached: {type(why).__name__ if why is exc else why}") from None
        if not text:
            return {}
        try:
            loaded = json.loads(text)
        except ValueError:
            raise StoreError(f"{self.place}: the answer is no JSON") from None
        return loaded if isinstance(loaded, dict) else {}


_VERBS = {"GET": "read", "POST": "write", "DELETE": "remove"}
_STATUSES = {
    400: "the request is not accepted (status 400)",
    403: "the token may not do this, or has expired (status 403)",
    404: "there is no such engine (status 404)",
    429: "it is a standby, or too many requests came (status 429)",
    473: "it is a standby (status 473)",
    503: "it is sealed or in maintenance (status 503)",
}


class _Refused(StoreError):
    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def _status(code: int) -> str:
    return _STATUSES.get(code, f"status {code}")


def _errors(text: bytes) -> str:
    """What the engine said, to tell its errors apart; it is never shown, for it may quote what was sent."""
    try:
        return " ".join(str(error) for error in json.loads(text)["errors"])
    except (ValueError, KeyError, TypeError):
        return ""


def _moment(text: t.Any) -> datetime.datetime | None:
    try:
        return parse_time(str(text))
    except InputError:
        return None
