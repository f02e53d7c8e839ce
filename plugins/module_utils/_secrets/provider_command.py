# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys of any service, by commands of the user.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Each command is a list of words that no shell reads; `{id}` in a word is the identifier of a key. Secrets go through
pipes only: what the command that makes a key prints, and what the command that tries one reads. None of that is shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import typing as t

from .._core.clock import parse_time
from .._core.durations import format_duration
from .._core.masking import mask_secrets
from .._core.suggest import InputError
from .provider import Key, ProviderError

COMMANDS = ("list", "create", "check", "enable", "disable", "delete")

_LARGEST = 2**20
_SHOWN = 300

Argv = t.Tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Command:
    """The keys of one account, by what the user's commands do and say.

    :param argv: the words of each of L{COMMANDS}.
    """

    argv: t.Mapping[str, Argv]
    timeout: float = 60

    id_field: t.ClassVar[str] = "id"
    secret_field: t.ClassVar[str] = "secret"  # noqa: S105 - the name of a field

    @property
    def place(self) -> str:
        return f"the service of {self.argv['list'][0]}"

    def list_keys(self) -> list[Key]:
        said = self._must("list")
        try:
            return [_key(entry) for entry in json.loads(said)]
        except (ValueError, TypeError, KeyError, AttributeError, InputError):
            right = '[{"id": "k1", "active": true, "created": "2026-01-31T10:00:00Z", "last_used": null}]'
            raise ProviderError(f"command list did not print JSON like {right}") from None

    def create(self) -> dict[str, str]:
        said = self._must("create")
        try:
            made = json.loads(said)
            value = {str(name): str(text) for name, text in made.items()}
        except (ValueError, AttributeError):
            value = {}
        if not value.get(self.id_field) or not value.get(self.secret_field):
            raise ProviderError('command create did not print JSON like {"id": "k2", "secret": "..."}')
        return value

    def refusal(self, value: t.Mapping[str, t.Any]) -> str:
        given = json.dumps({name: value[name] for name in (self.id_field, self.secret_field)})
        status, _said, told = self._run("check", str(value[self.id_field]), given)
        if status == 0:
            return ""
        if status == 1:
            return self._hiding(told, value) or "command check ended with status 1"
        raise ProviderError(f"command check ended with status {status}, so it could not look")

    def enable(self, key: str) -> None:
        self._must("enable", key)

    def disable(self, key: str) -> None:
        self._must("disable", key)

    def delete(self, key: str) -> None:
        if any(found.id == key for found in self.list_keys()):
            self._must("delete", key)

    def _hiding(self, told: str, value: t.Mapping[str, t.Any]) -> str:
        return told.replace(str(value[self.secret_field]), "********")

    def _must(self, name: str, key: str = "") -> str:
        status, said, told = self._run(name, key)
        if status:
            # Whoever makes a key may tell its secret where he tells of his trouble.
            why = told if name != "create" else ""
            raise ProviderError(f"command {name} ended with status {status}{': ' if why else ''}{why}")
        return said

    def _run(self, name: str, key: str = "", given: str = "") -> tuple[int, str, str]:
        """Exit status, what it printed, and the end of its messages."""
        argv = [word.replace("{id}", key) for word in self.argv[name]]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or type(exc).__name__
            raise ProviderError(f"command {name}: {argv[0]} cannot be run: {why}") from None
        try:
            said, told = process.communicate(given.encode(), timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise ProviderError(
                f"command {name}: {argv[0]} has not ended after {format_duration(self.timeout)} and was killed"
            ) from None
        finally:
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if len(said) > _LARGEST:
            raise ProviderError(f"command {name} printed more than {_LARGEST} bytes")
        words = " ".join(told.decode("utf-8", "replace").split())[-_SHOWN:]
        return process.returncode, said.decode("utf-8", "replace"), str(mask_secrets(words))


def _key(entry: t.Mapping[str, t.Any]) -> Key:
    if not isinstance(entry["id"], str) or not isinstance(entry["active"], bool):
        raise TypeError("id")
    created, used = entry.get("created"), entry.get("last_used")
    return Key(
        entry["id"],
        entry["active"],
        parse_time(created) if created else None,
        parse_time(used) if used else None,
        "last_used" in entry,
    )
