# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of files encrypted with age or ansible-vault: a directory for each secret, a file for each version, an index.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The index says which version bears which label and when it was made; it holds no value and is replaced in one move, so
that labels never stand between two versions. A version's file is written before the index names it: a file that the
index does not name is what a killed run left, and counts only once its own token comes again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.files import sync_directory, write_all
from .._core.locks import Busy, lock
from .._core.sealing import SUFFIX as AGE_SUFFIX
from .._core.sealing import SealError, seal, unseal
from . import store
from .ansible_vault import SUFFIX as VAULT_SUFFIX
from .ansible_vault import VaultError, decrypt, encrypt
from .store import CURRENT, PENDING, PREVIOUS, Secret, StoreError, Value, Version, check_token

_INDEX = "index.json"
_PATIENCE = 10

Entries = t.Dict[str, t.Dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class Files:
    """One secret below a directory.

    :param recipients: public keys of age that each version is encrypted to.
    :param identity_file: file with the private key, without which nothing can be read.
    :param password_file: file with the password of ansible-vault, in the place of keys of age.
    """

    directory: str
    name: str
    recipients: tuple[str, ...]
    identity_file: str
    password_file: str = ""

    @property
    def place(self) -> str:
        return os.path.join(self.directory, self.name)

    def versions(self) -> list[Version]:
        return [
            Version(version, tuple(entry["stages"]), parse_time(entry["created"]))
            for version, entry in self._load().items()
        ]

    def read(self, stage: str) -> Secret | None:
        version = store.labelled(self.versions(), stage)
        return self.read_version(version.id) if version else None

    def read_version(self, version: str) -> Secret | None:
        return self._open(version) if version in self._load() else None

    def create_first(self, token: str, value: Value) -> None:
        check_token(token)
        with self._changing() as entries:
            current = _bearer(entries, CURRENT)
            if current not in ("", token):
                raise StoreError(f"{self.place} has a current version already: {current}")
            self._keep(entries, token, value)
            _label(entries, CURRENT, token)

    def create_pending(self, token: str, value: Value) -> None:
        check_token(token)
        with self._changing() as entries:
            pending, current = _bearer(entries, PENDING), _bearer(entries, CURRENT)
            if pending not in ("", token, current):
                raise store.PendingElsewhere(f"{self.place}: version {pending} is pending")
            self._keep(entries, token, value)
            if token != current:
                _label(entries, PENDING, token)

    def promote(self, token: str, replaces: str = "") -> None:
        with self._changing() as entries:
            self._must_have(entries, token)
            current = _bearer(entries, CURRENT)
            if current != token:
                if replaces and current != replaces:
                    raise store.Overtaken(f"{self.place}: version {current} has become the current one meanwhile")
                if _bearer(entries, PENDING) != token:
                    raise StoreError(f"{self.place}: version {token} is not pending")
                _label(entries, PREVIOUS, current)
                _label(entries, CURRENT, token)
            _unlabel(entries, PENDING, token)

    def restore(self, version: str, token: str) -> None:
        with self._changing() as entries:
            self._must_have(entries, version)
            _label(entries, CURRENT, version)
            for stage in (PENDING, PREVIOUS):
                _unlabel(entries, stage, token)
            _unlabel(entries, PREVIOUS, version)

    def withdraw(self, token: str) -> None:
        with self._changing() as entries:
            _unlabel(entries, PENDING, token)

    def retire(self, version: str) -> None:
        with self._changing() as entries:
            _unlabel(entries, PREVIOUS, version)

    def _keep(self, entries: Entries, token: str, value: Value) -> None:
        """Have the value in the file of its token: in the one that is there, when it holds this very value."""
        known = token in entries
        present = self._open(token) if known or os.path.exists(self._path(token)) else None
        if present is not None and dict(present.value) != dict(value):
            if known:
                raise store.TokenReused(f"{self.place}: token {token} has made another value already")
            present = None  # what a killed run left, which nobody was ever told of
        if present is None:
            self._write(self._path(token), self._seal(store.encode(value).encode()))
            if self._open(token).value != dict(value):
                raise StoreError(f"{self.place}: version {token} is not what was written")
        if not known:
            entries[token] = {"created": write_time(utc_now()), "stages": []}

    def _seal(self, content: bytes) -> bytes:
        try:
            return encrypt(content, self.password_file) if self.password_file else seal(content, self.recipients)
        except (SealError, VaultError) as exc:
            raise StoreError(f"{self.place}: {exc}") from None

    def _open(self, version: str) -> Secret:
        path = self._path(version)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as exc:
            other = self._other_path(version)
            if os.path.exists(other):
                raise StoreError(f"{other} was encrypted in another way than this store is") from None
            raise StoreError(f"{path} cannot be read: {exc.strerror}") from exc
        try:
            clear = decrypt(content, self.password_file) if self.password_file else unseal(content, self.identity_file)
        except (SealError, VaultError) as exc:
            raise StoreError(f"{path} cannot be opened: {exc}") from None
        return Secret(version, store.decode(clear, path))

    def _path(self, version: str) -> str:
        return os.path.join(self.place, version + (VAULT_SUFFIX if self.password_file else AGE_SUFFIX))

    def _other_path(self, version: str) -> str:
        return os.path.join(self.place, version + (AGE_SUFFIX if self.password_file else VAULT_SUFFIX))

    def _must_have(self, entries: Entries, version: str) -> None:
        if version not in entries:
            raise StoreError(f"{self.place} has no version {version}")

    def _load(self) -> Entries:
        path = os.path.join(self.place, _INDEX)
        try:
            with open(path, "rb") as file:
                loaded = json.loads(file.read())
            entries = loaded["versions"]
            for entry in entries.values():
                parse_time(entry["created"])
                list(entry["stages"])
        except FileNotFoundError:
            self._must_be_mounted()
            return {}
        except OSError as exc:
            raise StoreError(f"{path} cannot be read: {exc.strerror}") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise StoreError(f"{path} is damaged: {type(exc).__name__}") from None
        return t.cast("Entries", entries)

    def _must_be_mounted(self) -> None:
        # A disk that is not mounted is not an empty store.
        if not os.path.isdir(self.directory):
            raise StoreError(f"the directory {self.directory} of the store does not exist: make it, closed to others")

    @contextlib.contextmanager
    def _changing(self) -> t.Iterator[Entries]:
        self._must_be_mounted()
        try:
            os.makedirs(self.place, mode=0o700, exist_ok=True)
            with lock(os.path.join(self.place, ".lock"), _PATIENCE):
                entries = self._load()
                before = json.dumps(entries, sort_keys=True)
                yield entries
                if json.dumps(entries, sort_keys=True) != before:
                    text = json.dumps({"versions": entries}, sort_keys=True, indent=1) + "\n"
                    self._write(os.path.join(self.place, _INDEX), text.encode())
        except Busy as exc:
            raise StoreError(str(exc)) from None
        except OSError as exc:
            raise StoreError(f"{self.place} cannot be written: {exc.strerror or exc}") from exc

    def _write(self, path: str, content: bytes) -> None:
        temporary = f"{path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, path)
        sync_directory(self.place)


def _bearer(entries: Entries, stage: str) -> str:
    return next((version for version, entry in entries.items() if stage in entry["stages"]), "")


def _label(entries: Entries, stage: str, version: str) -> None:
    """Put the label on that version and take it off all others."""
    for other in entries:
        _unlabel(entries, stage, other)
    if version:
        entries[version]["stages"].append(stage)


def _unlabel(entries: Entries, stage: str, version: str) -> None:
    if version in entries and stage in entries[version]["stages"]:
        entries[version]["stages"].remove(stage)
