# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done: the tree on disk, the index of the last run and a listing of the target, merged in one pass.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

All three come in the order of the keys, so none of them has to be in memory. The plan is a file of lines, too:

``=`` and a line of the index   it stays as it is, or could not be looked at and is as it was
``+`` and a line of the index   a directory or a link that is new or altered; there is nothing to send
``s`` and a piece of work       a file that has to be read, and sent where its bytes are not there yet
``d`` and a piece of work       what is not in the tree any more
``r`` and a piece of work       what is a link by now, and was a file
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .index import Entry, is_same_file, line_of, other_entry
from .target import Held
from .walk import BLIND, DIRECTORY, FILE, MOUNT, Found

SAME, ALTERED, SEND, GONE, REPLACED = b"=", b"+", b"s", b"d", b"r"

NEW, CHANGED, LOST, UNKNOWN = "new", "changed", "lost", "unknown"
_MOST_TOLD = 20


@dataclasses.dataclass
class Tally:
    """What a plan comes to."""

    files: int = 0
    bytes: int = 0
    directories: int = 0
    symlinks: int = 0
    #: Files that are kept already, by the index or by the listing, and those of them that the tree does not have.
    known: int = 0
    gone: int = 0
    listed: int = 0
    #: Files to be read, by why, and what they come to.
    send: dict[str, int] = dataclasses.field(default_factory=dict)
    send_bytes: int = 0
    #: Directories and links with other properties.
    altered: int = 0
    #: Places that could not be looked at, with the cause, and how many there are.
    blind: list[str] = dataclasses.field(default_factory=list)
    blind_count: int = 0
    mounts: int = 0
    #: Entries of the last index below those places, which are taken over.
    carried: int = 0
    #: Objects that are not as the last index says, and what became of them.
    lost: list[str] = dataclasses.field(default_factory=list)
    lost_count: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)

    def tell(self, kept: list[str], what: str) -> None:
        if len(kept) < _MOST_TOLD:
            kept.append(what)


def make_plan(
    found: t.Iterable[Found],
    before: t.Iterable[tuple[bytes, Entry]],
    held: t.Iterable[Held],
    out: t.BinaryIO,
    unfinished: t.Container[str] = (),
) -> Tally:
    """Write the plan, and return what it comes to.

    :param unfinished: the keys that a killed run kept. That they are others than the last index says is no loss.
    """
    merge = _Merge(out, unfinished)
    merge.run(iter(found), iter(before), iter(held))
    return merge.tally


class _Merge:
    def __init__(self, out: t.BinaryIO, unfinished: t.Container[str]) -> None:
        self._write = out.write
        self._unfinished = unfinished
        self.tally = Tally()
        self._blind = ""

    def run(self, found: t.Iterator[Found], before: t.Iterator[tuple[bytes, Entry]], held: t.Iterator[Held]) -> None:
        tree, old, there = next(found, None), next(before, None), next(held, None)
        while tree or old or there:
            keys = [one for one in (tree and tree.key, old and old[1]["key"], there and there.key) if one is not None]
            key = min(keys)
            if tree and tree.key == key and tree.kind in (BLIND, MOUNT):
                self._pass_over(tree)
                tree = next(found, None)
                continue
            here = tree if tree and tree.key == key else None
            known = old if old and old[1]["key"] == key else None
            kept = there if there and there.key == key else None
            self._decide(key, here, known, kept)
            tree = next(found, None) if here else tree
            old = next(before, None) if known else old
            there = next(held, None) if kept else there

    def _pass_over(self, found: Found) -> None:
        self._blind = found.key
        if found.kind == MOUNT:
            self.tally.mounts += 1
        else:
            self.tally.blind_count += 1
            self.tally.tell(self.tally.blind, f"{found.key}: {found.detail}")

    def _decide(self, key: str, found: Found | None, old: tuple[bytes, Entry] | None, held: Held | None) -> None:
        if held:
            self.tally.listed += 1
        if held or (old and old[1]["type"] == FILE):
            self.tally.known += 1
        if found is None:
            self._decide_missing(key, old, held)
        elif found.kind == FILE:
            self._decide_file(found, old, held)
        else:
            self._decide_other(found, old, held)

    def _decide_missing(self, key: str, old: tuple[bytes, Entry] | None, held: Held | None) -> None:
        if self._is_blind(key):
            self.tally.carried += 1
            if old:
                self._write(SAME + old[0])
        elif held or (old and old[1]["type"] == FILE):
            self.tally.gone += 1
            self.tally.tell(self.tally.examples, f"remove {key}")
            if held is None and key not in self._unfinished:
                self.tally.lost_count += 1
                self.tally.tell(self.tally.lost, f"{key} was not there any more, and the file is gone, too")
            self._work(GONE, key, old and old[1], held)
        elif old:
            self.tally.altered += 1  # a directory or a link

    def _decide_file(self, found: Found, old: tuple[bytes, Entry] | None, held: Held | None) -> None:
        tally, status = self.tally, t.cast("t.Any", found.stat)
        tally.files += 1
        tally.bytes += status.st_size
        entry = old[1] if old and old[1]["type"] == FILE else None
        is_there = entry is not None and held is not None and (held.bytes, held.etag) == (entry["size"], entry["etag"])
        if old and entry and is_there and is_same_file(status, entry):
            self._write(SAME + old[0])
            return
        if entry is None:
            why = UNKNOWN if held else NEW
        elif not is_there and found.key in self._unfinished:
            why = UNKNOWN
        elif is_there:
            why = CHANGED
        else:
            why = LOST
            tally.lost_count += 1
            tally.tell(tally.lost, f"{found.key} {'is another object' if held else 'was not there any more'}")
        tally.send[why] = tally.send.get(why, 0) + 1
        tally.send_bytes += status.st_size
        tally.tell(tally.examples, f"send {found.key} ({why})")
        self._work(SEND, found.key, entry, held, size=status.st_size)

    def _decide_other(self, found: Found, old: tuple[bytes, Entry] | None, held: Held | None) -> None:
        """A directory or a symbolic link."""
        if found.kind == DIRECTORY:
            self.tally.directories += 1
        else:
            self.tally.symlinks += 1
        entry = other_entry(found.key, found.kind, t.cast("t.Any", found.stat), found.detail)
        if held or (old and old[1]["type"] == FILE):
            # It was a file when it was sent.
            self._work(REPLACED, found.key, None, held)
        if old and not held and old[1]["type"] == found.kind and _is_alike(old[1], entry):
            self._write(SAME + old[0])
            return
        self.tally.altered += 1
        self.tally.tell(self.tally.examples, f"note {found.key}")
        self._write(ALTERED + line_of(entry))

    def _is_blind(self, key: str) -> bool:
        blind = self._blind
        return bool(blind) and (key.startswith(blind) if blind.endswith("/") else key == blind)

    def _work(self, kind: bytes, key: str, old: Entry | None, held: Held | None, **more: t.Any) -> None:
        work = {"key": key, "old": old, "held": [held.bytes, held.etag] if held else None, **more}
        self._write(kind + json.dumps(work, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


def work_of(line: bytes) -> tuple[str, Entry | None, Held | None]:
    """The piece of work of a line of the plan: the key, what the last index says, what is there."""
    work = json.loads(line[1:])
    held = work["held"]
    return work["key"], work["old"], Held(work["key"], held[0], held[1]) if held else None


def _is_alike(old: Entry, new: Entry) -> bool:
    """The time of a directory alone says nothing: whatever was made or removed in it is told by itself."""
    names = ("mode", "uid", "gid") if new["type"] == DIRECTORY else ("target", "uid", "gid", "mtime")
    return all(old.get(name) == new[name] for name in names)
