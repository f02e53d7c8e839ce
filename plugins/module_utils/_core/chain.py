# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One record, and the chain that makes tampering visible. Both stores share it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A record is one line: the canonical JSON (sorted keys, UTF-8, no spaces) of everything but its hash, and then the hash,
the SHA-256 of exactly that canonical JSON. The hash stands last, so that a reader verifies the very bytes on disk and
never has to write the JSON again, and a writer finds the end of the chain in the last 75 bytes. Each record carries the
hash of the one before it. Whoever can rewrite a whole store can also compute a new chain: a store elsewhere helps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t
import uuid

from .clock import utc_now, write_time
from .suggest import InputError, refuse_unknown
from .version import COLLECTION_VERSION

Record = t.Dict[str, t.Any]

SCHEMA = 1

#: What the first record of a chain has for `previous`.
GENESIS = "0" * 64

_HASH_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"}')
_HASH_TAIL_LENGTH = 75

_REQUIRED = ("activity", "host", "verdict", "summary")
_OPTIONAL: Record = {
    "guide": "",
    "type": "",
    "reason": "",
    "findings": [],
    "figures": {},
    "coverage": {"looked": 0, "of": 0},
    "changed": False,
    "check_mode": False,
    "change": "",
    "ran": {},
}
_FILLED_IN = ("schema", "id", "started", "ended", "collection_version")
_ALL = frozenset(_REQUIRED) | frozenset(_OPTIONAL) | frozenset(_FILLED_IN)
#: Only where there is something to say: what was done one by one, each with how it was found and left.
_AT_TIMES = frozenset({"done"})


class RecordsError(Exception):
    """The records cannot be read or written; the message names where they are and the cause."""


@dataclasses.dataclass(frozen=True)
class ChainReport:
    """What is known about the records as evidence.

    `intact` says that every record that was ever acknowledged is there as it was written, as far as the chain can tell.
    A `torn` line is a record whose writer was killed before it was acknowledged: it breaks nothing, but it is told.
    """

    length: int = 0
    intact: bool = True
    problem: str = ""
    torn: int = 0

    def to_dict(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


def complete(fields: t.Mapping[str, t.Any]) -> Record:
    """Everything a record has but its place in the chain.

    :raises RecordsError: for a missing or unknown field, or a value that JSON cannot carry.
    """
    what = f"record of {fields.get('activity') or 'an unnamed activity'}"
    try:
        refuse_unknown(f"{what}: unknown field %s", fields, _ALL | _AT_TIMES)
        missing = [name for name in _REQUIRED if not fields.get(name)]
        if missing:
            raise RecordsError(f"{what}: no {' and no '.join(missing)} given")
        now = write_time(utc_now())
        ended = fields.get("ended") or now
        filled_in = {
            "schema": SCHEMA,
            "id": str(uuid.uuid4()),
            "started": ended,
            "ended": ended,
            "collection_version": COLLECTION_VERSION,
        }
        given = {name: value for name, value in fields.items() if value not in (None, "")}
        return _as_json_carries_it({**_OPTIONAL, **filled_in, **given})
    except InputError as exc:
        raise RecordsError(str(exc)) from exc
    except (TypeError, ValueError, RecursionError) as exc:
        raise RecordsError(f"{what} cannot be written as JSON: {exc}") from exc


def _as_json_carries_it(record: Record) -> Record:
    # What is hashed must be what a reader gets back: tuples become lists, keys become texts, a measured NaN becomes
    # null, and half a character (from a file name that is not UTF-8) becomes a question mark.
    text = json.dumps(record, default=str, ensure_ascii=False).encode("utf-8", "replace")
    return t.cast(Record, json.loads(text, parse_constant=lambda _constant: None))


def canonical(record: Record) -> bytes:
    """The bytes that are hashed."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def seal(record: Record, previous: str) -> tuple[Record, bytes]:
    """The record with its place in the chain, and its line without the line end."""
    linked = dict(record, previous=previous)
    body = canonical(linked)
    own = hashlib.sha256(body).hexdigest()
    return dict(linked, hash=own), body[:-1] + b',"hash":"' + own.encode() + b'"}'


def link_of(line: bytes) -> str:
    """What the record after this line must have for `previous`; a damaged line is still linked to, by its bytes."""
    tail = _HASH_TAIL.fullmatch(line[-_HASH_TAIL_LENGTH:])
    return tail.group(1).decode() if tail else hashlib.sha256(line).hexdigest()


class ChainWalk:
    """Reads the lines of one chain in order and remembers what is wrong with it."""

    def __init__(self, name: str = "") -> None:
        self.length = 0
        self.problems: list[str] = []
        self._name = f" of {name}" if name else ""
        self._previous = GENESIS

    def read(self, line: bytes) -> Record | None:
        """The record on this line, or None when it is not as it was written: then it is no evidence."""
        self.length += 1
        expected, self._previous = self._previous, link_of(line)
        body = line[:-_HASH_TAIL_LENGTH] + b"}"
        if not _HASH_TAIL.fullmatch(line[-_HASH_TAIL_LENGTH:]):
            self._note("is not a record")
            return None
        if hashlib.sha256(body).hexdigest() != self._previous:
            self._note("was altered: its hash does not match")
            return None
        try:
            record = json.loads(body)
        except (ValueError, RecursionError) as exc:
            self._note(f"is not JSON ({exc})")
            return None
        if not isinstance(record, dict) or record.get("schema") != SCHEMA or not record.keys() >= _ALL:
            self._note(f"is not of schema {SCHEMA}")
            return None
        if record.get("previous") != expected:
            # The record itself is as it was written; what is missing or was moved is beside it.
            self._note("does not follow the one before it")
        record["hash"] = self._previous
        return t.cast(Record, record)

    def _note(self, problem: str) -> None:
        self.problems.append(f"record {self.length}{self._name} {problem}")


def report(walks: t.Sequence[ChainWalk], torn: int = 0, note: str = "") -> ChainReport:
    """Join what the walks over all chains of a store found."""
    problems = [problem for walk in walks for problem in walk.problems]
    told = problems[:1] + ([f"and {len(problems) - 1} more"] if len(problems) > 1 else []) + ([note] if note else [])
    return ChainReport(sum(walk.length for walk in walks), not problems, "; ".join(told), torn)
