# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept between two runs of an issue: the order that is open, its key, and when to ask and to try again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Whether an order is done is asked of the authority, and whether a pair is there of the disk. Nothing in these files is a
secret beside the key, which lies in a file of its own that is closed to all others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.files import sync_directory, write_all
from .._core.locks import lock
from .._core.suggest import InputError
from .renewal import Ari
from .x509 import CertificateError

_STATE, _PENDING, _ATTEMPTS = "issue.json", "pending.pem", "attempts.json"
#: Let's Encrypt's advice: after a minute, after ten, after a hundred, then once a day.
_STEPS = (60, 600, 6000, 86400)
#: However long an authority wants us to wait, somebody should look at it by then.
_LONGEST_WAIT = 30 * 86400
_PATIENCE = 30


@dataclasses.dataclass
class State:
    """What one certificate's issue left behind."""

    #: Whose the certificate in place is: provider, directory and profile.
    issuer: dict[str, str] = dataclasses.field(default_factory=dict)
    #: The order that was begun: its address, and what it is for.
    order: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    #: What was put somewhere for the authority to look at, to be taken away again.
    challenges: list[dict[str, str]] = dataclasses.field(default_factory=list)
    ari: Ari = dataclasses.field(default_factory=Ari)


class StateFile:
    """The state of one certificate, in its directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._path = os.path.join(directory, _STATE)
        self.pending = os.path.join(directory, _PENDING)

    def read(self) -> State:
        """What is kept, or nothing where it cannot be read: then the authority and the disk are all there is to ask."""
        given = _read(self._path)
        ari = given.get("ari")
        known = {field.name for field in dataclasses.fields(Ari)}
        kept = {key: str(value) for key, value in ari.items() if key in known} if isinstance(ari, dict) else {}
        challenges = given.get("challenges")
        return State(
            issuer=_texts(given.get("issuer")),
            order=given["order"] if isinstance(given.get("order"), dict) else {},
            challenges=[_texts(each) for each in challenges] if isinstance(challenges, list) else [],
            ari=Ari(**kept),
        )

    def write(self, state: State) -> None:
        _write(self._path, json.dumps(dataclasses.asdict(state), sort_keys=True).encode(), 0o600)

    def read_pending(self) -> bytes:
        """The key of the order that is open, or nothing."""
        try:
            with open(self.pending, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as exc:
            raise CertificateError(f"{self.pending} cannot be read: {exc.strerror or exc}") from None

    def write_pending(self, key: bytes) -> None:
        _write(self.pending, key, 0o600)

    def drop_pending(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.pending)
            sync_directory(self.directory)


@dataclasses.dataclass(frozen=True)
class Wait:
    """A name that is not asked for before a moment."""

    name: str
    until: datetime.datetime
    why: str
    #: The authority said so itself, so that nobody should overrule it.
    is_asked: bool


class Attempts:
    """What went wrong lately, by name, for all certificates of one account."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _ATTEMPTS)

    def waits(self, names: t.Iterable[str], now: datetime.datetime | None = None) -> list[Wait]:
        """Those of the names that have to wait, the longest first."""
        now, found, wanted = now or utc_now(), [], _bare(names)
        for name, entry in _read(self._path).items():
            if name not in wanted or not isinstance(entry, dict):
                continue
            for key in ("asked_until", "until"):
                until = _moment_of(entry.get(key))
                if until and now < until <= now + datetime.timedelta(seconds=_LONGEST_WAIT):
                    found.append(Wait(name, until, str(entry.get("why", "")), key == "asked_until"))
        return sorted(found, key=lambda wait: wait.until, reverse=True)

    def failed(
        self,
        names: t.Iterable[str],
        why: str,
        retry_after: float | None = None,
        left: float = 0,
        now: datetime.datetime | None = None,
    ) -> datetime.datetime:
        """Keep that it failed; from when on it may be tried again.

        :param left: the seconds until the certificate in place ends: the less, the sooner it is tried again.
        """
        now = now or utc_now()
        latest = now
        with self._changed() as entries:
            for name in _bare(names):
                kept = entries.get(name)
                entry = kept if isinstance(kept, dict) else {}
                before = entry.get("failures")
                count = (before if isinstance(before, int) else 0) + 1
                step: float = _STEPS[min(count, len(_STEPS)) - 1]
                if left > 0:
                    step = min(step, max(_STEPS[0], left / 10))
                until = now + datetime.timedelta(seconds=step)
                about = {"failures": count, "until": write_time(until), "why": why}
                if retry_after is not None:
                    asked = now + datetime.timedelta(seconds=min(max(retry_after, 1), _LONGEST_WAIT))
                    about["asked_until"] = write_time(asked)
                    until = max(until, asked)
                entries[name] = about
                latest = max(latest, until)
        return latest

    def succeeded(self, names: t.Iterable[str]) -> None:
        wanted = _bare(names)
        if wanted & set(_read(self._path)):
            with self._changed() as entries:
                for name in wanted:
                    entries.pop(name, None)

    @contextlib.contextmanager
    def _changed(self) -> t.Iterator[dict[str, t.Any]]:
        make_closed(os.path.dirname(self._path))
        with lock(f"{self._path}.lock", _PATIENCE):
            entries = _read(self._path)
            yield entries
            _write(self._path, json.dumps(entries, sort_keys=True).encode(), 0o600)


def _bare(names: t.Iterable[str]) -> set[str]:
    """An authority counts *.example.com and example.com as one name, and calls both by the latter."""
    return {name[2:] if name.startswith("*.") else name for name in names}


def make_closed(directory: str) -> None:
    """Make a directory that nobody else may look into, with all above it. What is there stays as it is."""
    if not os.path.isdir(directory):
        os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)


def write_closed(path: str, data: bytes) -> None:
    """Replace a file at once by one that nobody else may read."""
    _write(path, data, 0o600)


def read_json(path: str) -> dict[str, t.Any]:
    return _read(path)


def _moment_of(text: t.Any) -> datetime.datetime | None:
    try:
        return parse_time(text)
    except InputError:
        return None


def _texts(given: t.Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}


def _read(path: str) -> dict[str, t.Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read().decode())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: str, data: bytes, mode: int) -> None:
    new = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(new, path)
    sync_directory(os.path.dirname(path))
