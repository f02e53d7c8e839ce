# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where trees are kept, whatever it is: what a run asks of a bucket and of a directory alike.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Below ``<prefix>/<name of the tree>/`` lie

``tree.json``              whose tree it is: host and path
``current/<key>``          each file as it was at the last run
``kept/<run>/<key>``       what a run replaced or found deleted, as it was before
``runs/<run>.json.gz``     the index of a run, written when all of it was proved
"""

from __future__ import annotations

import re
import typing as t

from .._s3.checksums import Digest

TREE = "tree.json"
CURRENT = "current/"
KEPT = "kept/"
RUNS = "runs/"
INDEX = ".json.gz"

_STAMP = re.compile(r"\d{8}T\d{6}Z")


class TargetError(Exception):
    """Something about a directory that is a target did not work; the text names the path and the cause."""


class Refused(Exception):
    """One file cannot be kept there, whatever is tried; the others can. The text says why."""


class Held(t.NamedTuple):
    """One object as a listing tells it; the ETag is whatever the target tells a changed object by."""

    key: str
    bytes: int
    etag: str


class Target(t.Protocol):
    """The place of one tree. Keys are those below it; may be used by several threads at the same time.

    :raises S3Error: or :class:`TargetError`, from every method, naming the cause.
    """

    #: As people write it.
    place: str
    #: Files larger than this are sent by :meth:`send_file`, and may be sent in parts of this size.
    part_bytes: int

    def listing(self, below: str) -> t.Iterator[Held]:
        """What lies below a prefix that ends in a slash, by the rest of its key, in the order of the keys."""

    def words(self, below: str) -> list[str]:
        """The words that come next after a prefix that ends in a slash, in their order."""

    def read(self, key: str) -> bytes | None:
        """All bytes of a small object; None when it is not there."""

    def download(self, key: str, path: str) -> None:
        """An object of any size, into a file that is there."""

    def settle(self, data: bytes) -> None:
        """Write what the tree is, and find out by it what the target is able to prove."""

    def holds(self, held: Held, digest: Digest) -> bool:
        """Whether what a listing tells proves that an object's bytes are these."""

    def send(self, key: str, data: bytes, digest: Digest) -> str:
        """Send a file's bytes and return the ETag that a listing will tell."""

    def send_file(self, key: str, path: str, digest: Digest) -> str:
        """The same for a file of any size."""

    def keep(self, held: Held, run: str) -> None:
        """Have what lies at ``current/`` also at ``kept/<run>/``, and see that it is there."""

    def remove(self, key: str) -> None:
        """Remove one object; that it is not there any more is no error."""

    def remove_below(self, below: str) -> int:
        """Remove all below a prefix, all versions where there are any, and return how many those were."""

    def blocks(self, key: str, size: int) -> t.Iterator[bytes]:
        """An object's bytes, piece by piece; what they come to is for the caller to see.

        :param size: as it should be. What is no larger than `part_bytes` comes in one piece.
        """

    def tidy(self) -> int:
        """Remove what killed runs left half sent; how much that was."""


def stamps(target: Target, below: str) -> list[str]:
    """The runs that have an index, or that something was kept by, oldest first."""
    ending = INDEX if below == RUNS else ""
    found = [word[: len(word) - len(ending)] for word in target.words(below) if word.endswith(ending)]
    return sorted(word for word in found if _STAMP.fullmatch(word))


def in_order(held: t.Iterable[Held], place: str) -> t.Iterator[Held]:
    """The same listing.

    :raises TargetError: when it is not in the order of the keys. Compared with a sorted tree, it would make of objects
        that are there some that are not.
    """
    before = ""
    for one in held:
        if one.key <= before:
            raise TargetError(f"the listing of {place} is not in the order of the keys: {one.key!r} after {before!r}")
        before = one.key
        yield one
