# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records: what was done, when, with which result. This is the door to both stores.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
import urllib.parse

from .chain import ChainReport, Record, RecordsError, complete
from .records_jsonl import JsonLinesStore

__all__ = ["RECORDS_ARGUMENTS", "ChainReport", "Record", "RecordStore", "RecordsError", "complete", "open_store"]

#: The arguments of every module that reads or writes records; documented by the fragment steward.maintenance._records.
RECORDS_ARGUMENTS: dict[str, t.Any] = {
    "records": {"type": "str", "default": ""},
    "records_password": {"type": "str", "no_log": True},
}


class RecordStore(t.Protocol):
    """Where records are kept. They come oldest first; one that is not as it was written is left out of all readings."""

    location: str

    def append(self, fields: t.Mapping[str, t.Any]) -> Record:
        """Complete the fields, link them to the chain, write them and have them on disk before returning."""

    def read(
        self, activities: t.Collection[str] | None = None, limit: int | None = None, host: str | None = None
    ) -> list[Record]:
        """The records of these activities and this host; of those the last `limit`."""

    def scan(self, host: str | None = None) -> tuple[list[Record], ChainReport]:
        """All records of a host and the state of their chain, in one pass."""

    def verify(self) -> ChainReport:
        """Whether every record is there as it was written."""

    def check_writable(self) -> str:
        """Empty when a record could be written now, else the reason; nothing is altered."""


def open_store(location: str, password: str | None = None) -> RecordStore:
    """The store at a location: "" for the default file, a path, or "postgresql://user@host:port/database".

    Nothing is opened or created before the first use.

    :raises RecordsError: for a location that is none of these, or that holds a password.
    """
    if "://" in location:
        return _postgres_store(location, password)
    path = os.path.expanduser(location) if location else default_path()
    if not os.path.isabs(path) or path.endswith("/"):
        raise RecordsError(
            f"the records location {location!r} is neither the absolute path of a file nor a postgresql:// URL;"
            ' write for example "/var/lib/steward/records.jsonl" or "postgresql://steward@host:5432/steward"'
        )
    return JsonLinesStore(path)


def default_path() -> str:
    """Root keeps the records of the machine; everybody else their own."""
    if os.geteuid() == 0:
        return "/var/lib/steward/records.jsonl"
    state = os.environ.get("XDG_STATE_HOME", "")
    # A relative one must be ignored, says the XDG base directory specification.
    base = state if os.path.isabs(state) else os.path.expanduser("~/.local/state")
    return os.path.join(base, "steward", "records.jsonl")


def _postgres_store(location: str, password: str | None) -> RecordStore:
    scheme, rest = location.split("://", 1)
    if scheme not in ("postgresql", "postgres"):
        raise RecordsError(f"the records location starts with {scheme}://, must be a path or postgresql://")
    try:
        url = urllib.parse.urlsplit(location)
        options = urllib.parse.parse_qs(url.query)
    except ValueError as exc:
        raise RecordsError(f"the records location is not a URL: {exc}") from exc
    # A password with a slash in it is not where the rules for URLs look for it.
    before_host = rest.split("?")[0].rpartition("@")[0]
    if url.password or ":" in before_host or any(name.endswith("password") for name in options):
        # The location shows in logs and records; naming it here would show the password as well.
        raise RecordsError("the records location holds a password; take it out and give it as the records password")
    from .records_postgres import PostgresStore  # only who keeps records in PostgreSQL pays for it

    return PostgresStore(location, password)
