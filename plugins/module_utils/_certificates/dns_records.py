# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TXT records made and taken away: by a program of the user's, or by dynamic updates (RFC 2136) with nsupdate.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
import typing as t

from .._core.application import ApplicationError, run_command

_LIFE = 60
#: What stands in a line that nsupdate reads; nothing else is written into one.
_RECORD = re.compile(r"[A-Za-z0-9_.-]+")
_TEXT = re.compile(r"[A-Za-z0-9_=-]+")


class Records(t.Protocol):
    """Both may be called twice for the same record.

    :raises ApplicationError: from both, when it was not done, saying why.
    """

    def present(self, record: str, text: str) -> None: ...

    def cleanup(self, record: str, text: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class Hook:
    """A program that is started with `present` or `cleanup`, the name of the record, and its text."""

    argv: tuple[str, ...]
    timeout: float = 120

    def present(self, record: str, text: str) -> None:
        self._run("present", record, text)

    def cleanup(self, record: str, text: str) -> None:
        self._run("cleanup", record, text)

    def _run(self, *words: str) -> None:
        status, said = run_command((*self.argv, *words), self.timeout)
        if status:
            told = said or "it said nothing"
            raise ApplicationError(f"{self.argv[0]} {words[0]} ended with status {status}: {told}")


@dataclasses.dataclass(frozen=True)
class Updates:
    """A DNS server that takes updates of its zone, signed with a key that stays in its file."""

    #: An address, with a port behind a # where it is not 53.
    server: str
    key: str = ""
    zone: str = ""
    timeout: float = 120

    def present(self, record: str, text: str) -> None:
        self._send("add", record, f'{_LIFE} TXT "{text}"', text)

    def cleanup(self, record: str, text: str) -> None:
        # This very record: another certificate of the name may have its own beside it.
        self._send("delete", record, f'TXT "{text}"', text)

    def _send(self, action: str, record: str, rest: str, text: str) -> None:
        if not _RECORD.fullmatch(record) or not _TEXT.fullmatch(text):
            raise ApplicationError(f"{record!r} or its text is nothing for a line of nsupdate")
        host, _hash, port = self.server.partition("#")
        zone = f"zone {self.zone}.\n" if self.zone else ""
        lines = f"server {host} {port or 53}\n{zone}update {action} {record}. {rest}\nsend\n"
        with tempfile.NamedTemporaryFile("w", prefix="steward-nsupdate-", encoding="ascii") as script:
            script.write(lines)
            script.flush()
            key = ("-k", self.key) if self.key else ()
            # It ends by itself, with the reason, before we would end it.
            waits = ("-t", str(max(1, int(self.timeout) - 1)))
            status, said = run_command(("nsupdate", *waits, *key, script.name), self.timeout)
        if status:
            told = said or "it said nothing"
            raise ApplicationError(f"nsupdate at {self.server} ended with status {status}: {told}")
