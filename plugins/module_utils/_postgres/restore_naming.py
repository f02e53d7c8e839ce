# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the databases of a restore are called, and how they are known again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A name alone proves nothing: anybody may call a database ``shop_old_20261126T093000Z``. So a database that we made or
put aside bears a mark in its comment, and the mark counts only for the very database (by its OID) that it names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

from .._core.clock import parse_time
from .._core.suggest import InputError

#: PostgreSQL cuts longer names without an error (NAMEDATALEN).
LONGEST_NAME = 63

SIDE = "side"
OLD = "old"

#: States of a side database: being filled, whole, compared with the manifest.
RESTORING = "restoring"
FILLED = "filled"
PROVED = "proved"

#: State of a database that was put aside by a rollback: nobody means it who says "back" once more.
ROLLED_BACK = "rolled back"

_PREFIX = "steward.maintenance: "
_SENTENCES = {
    SIDE: "restored beside {of}, not in use",
    OLD: "was {of} until {since}; the role restore gives it back (rollback) or drops it (retire)",
}


def side_name(database: str, run: str) -> str:
    return _named(database, f"_restore_{run}")


def old_name(database: str, run: str) -> str:
    return _named(database, f"_old_{run}")


def side_schema(schema: str, run: str) -> str:
    return _named(schema, f"_restore_{run}")


def _named(stem: str, suffix: str) -> str:
    """Stem and suffix in at most 63 bytes. A stem that has to be cut gets a hash: two long names never become one."""
    room = LONGEST_NAME - len(suffix)
    stored = stem.encode()
    if len(stored) <= room:
        return stem + suffix
    digest = "~" + hashlib.sha256(stored).hexdigest()[:8]
    # Cut by bytes, but never inside of a character.
    return stored[: room - len(digest)].decode("utf-8", "ignore") + digest + suffix


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a database of ours says of itself."""

    kind: str
    of: str  # the name that it has, had or is to have
    oid: int  # its own: a comment that was copied to another database counts for nothing
    run: str
    backup: str = ""
    state: str = ""
    since: str = ""  # when it was put aside
    replaced_by: int = 0  # OID of the database that took its name
    comment: str | None = None  # its own comment, given back together with its name

    def text(self) -> str:
        sentence = _SENTENCES[self.kind].format(of=json.dumps(self.of, ensure_ascii=False), since=self.since)
        return f"{_PREFIX}{sentence} {json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)}"


def read_mark(comment: str | None, oid: int) -> Mark | None:
    """The mark in a database's comment; None when there is none, or when it is another database's."""
    if not comment or not comment.startswith(_PREFIX):
        return None
    try:
        # The sentence holds the name, and a name may hold anything: the data begins behind the sentence's last word.
        start = next(at for at in _braces(comment) if _is_whole(comment[at:]))
        data: t.Any = json.loads(comment[start:])
        mark = Mark(**data)
        if mark.since:
            parse_time(mark.since)
    except (StopIteration, ValueError, TypeError, InputError):
        return None
    sound = mark.kind in _SENTENCES and isinstance(mark.of, str) and isinstance(mark.run, str)
    return mark if sound and mark.oid == oid else None


def _braces(text: str) -> t.Iterator[int]:
    at = text.find("{")
    while at >= 0:
        yield at
        at = text.find("{", at + 1)


def _is_whole(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
