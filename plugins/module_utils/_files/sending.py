# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan carried out: what went is kept and removed, what came is read and sent, and the new index is written.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Nothing in ``current/`` is replaced or removed before it was seen to lie in ``kept/``. Each file is looked at again
after it was read: one that does not stand still is tried once more, then told and left there as it was.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import time
import typing as t
from concurrent import futures

from .._s3.checksums import Digest, digest_of_bytes, digest_of_file
from .._s3.errors import S3Error
from .index import Entry, Writer, file_entry, line_of
from .names import path_of
from .plan import ALTERED, GONE, REPLACED, SAME, SEND, work_of
from .reading import Unsteady, Vanished, is_altered, look, read_small
from .target import CURRENT, Held, Refused, Target

#: What is larger is not read into memory whole.
SMALL = 2**20
_ATTEMPTS = 2
_MOST_TOLD = 20
#: Lines of the plan that are under way; so many small files may wait for a large one before their place in the index.
_WINDOW = 2048

SENT, HELD, VANISHED, UNSTEADY, UNREADABLE, REFUSED = "sent", "held", "vanished", "unsteady", "unreadable", "refused"


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of one file, and its entry in the new index; None when it is not in it."""

    entry: Entry | None
    outcome: str
    bytes: int = 0
    kept: bool = False
    why: str = ""


@dataclasses.dataclass
class Counts:
    """What came of a plan."""

    outcomes: dict[str, int] = dataclasses.field(default_factory=dict)
    sent_bytes: int = 0
    kept: int = 0
    removed: int = 0
    #: Files that are not as they should be in the target, with the cause.
    troubles: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def count(self, outcome: str) -> int:
        return self.outcomes.get(outcome, 0)

    def add(self, line: bytes, done: Done) -> None:
        """:param line: the line of the plan that it comes from."""
        self.outcomes[done.outcome] = self.count(done.outcome) + 1
        self.sent_bytes += done.bytes
        self.kept += done.kept
        if done.outcome in (UNSTEADY, UNREADABLE, REFUSED):
            told = self.troubles.setdefault(done.outcome, [])
            if len(told) < _MOST_TOLD:
                key = work_of(line)[0]
                told.append(f"{key}: {done.why}" if done.why else key)


class Sending:
    """One plan for one tree.

    :param run: the stamp of this run.
    """

    def __init__(self, target: Target, root: str, run: str, streams: int) -> None:
        self.counts = Counts()
        self._target = target
        self._root = os.fsencode(root)
        self._run = run
        self._streams = streams

    def remove(self, plan: t.Iterable[bytes], gone_stay: bool) -> None:
        """Have what is not in the tree any more kept, and then removed. It comes first, for a file may have been
        replaced by a directory of its name.

        :param gone_stay: only what was replaced by a link.
        :raises S3Error: or TargetError, when the target does not work; then the index of before still says what is.
        """
        kinds = (REPLACED,) if gone_stay else (GONE, REPLACED)
        work = (line for line in plan if line[:1] in kinds)
        for line, done in self._each(work, self._remove_one):
            if done.outcome == REFUSED:
                self.counts.add(line, done)
            else:
                self.counts.removed += 1
                self.counts.kept += done.kept

    def send(self, plan: t.Iterable[bytes], writer: Writer, gone_stay: bool) -> None:
        """Send what has to be, and write the new index.

        :param gone_stay: what is not in the tree any more stays, there and in the index.
        :raises S3Error: or TargetError, as above.
        """
        over = (REPLACED,) if gone_stay else (GONE, REPLACED)
        lines = (line for line in plan if line[:1] not in over)
        for line, result in self._each_line(lines):
            if isinstance(result, Done):
                self.counts.add(line, result)
                if result.entry is not None:
                    writer.add(line_of(result.entry), result.entry.get("size"))
            else:
                writer.add(line[1:], result)

    def _each_line(self, lines: t.Iterable[bytes]) -> t.Iterator[tuple[bytes, t.Any]]:
        """Each line of the plan in its place with what came of it: a :class:`Done`, or the size of what stays."""
        under_way: collections.deque[tuple[bytes, t.Any]] = collections.deque()
        with futures.ThreadPoolExecutor(self._streams, "file") as pool:
            try:
                for line in lines:
                    kind = line[:1]
                    if kind == SEND:
                        under_way.append((line, pool.submit(self._send_one, line)))
                    elif kind in (SAME, ALTERED):
                        under_way.append((line, _size_in(line)))
                    else:
                        under_way.append((line, Done(work_of(line)[1], HELD)))
                    while len(under_way) >= _WINDOW:
                        yield _settled(under_way.popleft())
                while under_way:
                    yield _settled(under_way.popleft())
            finally:
                _cancel(under_way)

    def _each(self, lines: t.Iterable[bytes], work: t.Callable[[bytes], Done]) -> t.Iterator[tuple[bytes, Done]]:
        under_way: collections.deque[tuple[bytes, t.Any]] = collections.deque()
        with futures.ThreadPoolExecutor(self._streams, "file") as pool:
            try:
                for line in lines:
                    under_way.append((line, pool.submit(work, line)))
                    if len(under_way) >= _WINDOW:
                        yield _settled(under_way.popleft())
                while under_way:
                    yield _settled(under_way.popleft())
            finally:
                _cancel(under_way)

    def _remove_one(self, line: bytes) -> Done:
        key, _old, held = work_of(line)
        if held is None:
            return Done(None, HELD)  # told as lost by whoever counts what was listed
        try:
            self._target.keep(held, self._run)
            self._target.remove(CURRENT + key)
        except Refused as exc:
            return Done(None, REFUSED, why=str(exc))
        return Done(None, HELD, kept=True)

    def _send_one(self, line: bytes) -> Done:
        key, old, held = work_of(line)
        path = os.path.join(self._root, path_of(key))
        # What is there stays as it is, unless it was not there as the last index says.
        stays = old if old and held and (held.bytes, held.etag) == (old["size"], old["etag"]) else None
        try:
            for _attempt in range(_ATTEMPTS):
                try:
                    return self._try(key, path, stays, held)
                except Unsteady:
                    pass
        except Vanished:
            return Done(stays, VANISHED)
        except Refused as exc:
            return Done(stays, REFUSED, why=str(exc))
        except OSError as exc:
            return Done(stays, UNREADABLE, why=exc.strerror or str(exc))
        return Done(stays, UNSTEADY)

    def _try(self, key: str, path: bytes, stays: Entry | None, held: Held | None) -> Done:
        began = time.time_ns()
        status = look(path)
        if status.st_size > SMALL:
            return self._try_large(key, path, stays, held, began)
        status, data = read_small(path)
        digest = digest_of_bytes(data)
        etag = self._held_already(stays, held, digest)
        if etag is not None:
            return Done(file_entry(key, status, digest.sha256, etag, began), HELD)
        if held:
            self._target.keep(held, self._run)
        etag = self._target.send(CURRENT + key, data, digest)
        return Done(file_entry(key, status, digest.sha256, etag, began), SENT, digest.size, kept=held is not None)

    def _try_large(self, key: str, path: bytes, stays: Entry | None, held: Held | None, began: int) -> Done:
        status = look(path)
        name = os.fsdecode(path)
        digest = digest_of_file(name, self._target.part_bytes)
        if is_altered(status, look(path)):
            raise Unsteady
        etag = self._held_already(stays, held, digest)
        if etag is not None:
            return Done(file_entry(key, status, digest.sha256, etag, began), HELD)
        if held:
            self._target.keep(held, self._run)
        try:
            etag = self._target.send_file(CURRENT + key, name, digest)
        except (S3Error, Refused) as exc:
            # Its parts are read anew, and a part that is not what was hashed is refused.
            if is_altered(status, look(path)):
                raise Unsteady from exc
            raise
        return Done(file_entry(key, status, digest.sha256, etag, began), SENT, digest.size, kept=held is not None)

    def _held_already(self, stays: Entry | None, held: Held | None, digest: Digest) -> str | None:
        """The ETag of the object that has these bytes already; None when they have to be sent."""
        if held is None:
            return None
        if stays is not None:
            return held.etag if (stays["size"], stays["sha256"]) == (digest.size, digest.sha256) else None
        # An object that the last index does not know, from a run that was killed before it wrote its own.
        return held.etag if self._target.holds(held, digest) else None


def _cancel(under_way: t.Iterable[tuple[bytes, t.Any]]) -> None:
    for _line, one in under_way:
        if isinstance(one, futures.Future):
            one.cancel()


def _settled(one: tuple[bytes, t.Any]) -> tuple[bytes, t.Any]:
    line, result = one
    return line, result.result() if isinstance(result, futures.Future) else result


def _size_in(line: bytes) -> int | None:
    """The size in a line of an index, which has it in the form of index.line_of; None of what is no file."""
    place = line.find(b',"size":')
    if place < 0:
        return None
    end = place + 8
    while line[end : end + 1].isdigit():
        end += 1
    return int(line[place + 8 : end])
