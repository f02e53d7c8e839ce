# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup, a restore and a verification of a tree share: its lock, its newest index, its errors in one line.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import hashlib
import os
import shutil
import tempfile
import typing as t

from .._core.clock import parse_time, stamp
from .._core.locks import Busy, held
from .._core.locks import lock as lock_file
from .._core.suggest import InputError
from .index import Reader
from .target import INDEX, RUNS, Target, stamps

_SCRATCH = "steward-files-"
_LOCK = "lock"


class NoRun(Exception):
    """There is no index of a run that could be used; the text says where it was looked for."""


def lock(state_dir: str, place: str) -> t.ContextManager[None]:
    """One run at a time for each place of a tree.

    :raises Busy: when somebody else holds it.
    """
    return held(state_dir, f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.lock")


def moment_of(run: str) -> datetime.datetime:
    """The moment that a stamp names."""
    return datetime.datetime.strptime(run, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


@contextlib.contextmanager
def scratch(place: str = "/var/tmp") -> t.Iterator[str]:  # noqa: S108 (what is made in it is closed to others)
    """A directory closed to others, for the plan and for indexes; they can be too large for memory.

    What killed runs left there goes first: nobody holds its lock any more.
    """
    for left in glob.glob(os.path.join(glob.escape(place), f"{_SCRATCH}*", _LOCK)):
        with contextlib.suppress(Busy, OSError):
            if os.lstat(os.path.dirname(left)).st_uid == os.geteuid():
                with lock_file(left):
                    shutil.rmtree(os.path.dirname(left))
    made = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=place)
    with made as directory, lock_file(os.path.join(directory, _LOCK)):
        yield directory


def run_at(target: Target, at: str) -> str:
    """The stamp of the newest run that began no later than a moment; of the newest one where none is given.

    :raises InputError: when the moment cannot be read, or lies before the oldest run.
    :raises NoRun: when there is none.
    """
    limit = ""
    if at:
        try:
            limit = stamp(parse_time(at))
        except InputError as exc:
            raise InputError(f"at: {exc}") from None
    runs = stamps(target, RUNS)
    if not runs:
        raise NoRun(f"there is no index of a run in {target.place}/{RUNS}")
    chosen = [run for run in runs if not limit or run <= limit]
    if not chosen:
        raise InputError(f"at is {at!r}: the oldest run that can be restored in {target.place} began at {runs[0]}")
    return chosen[-1]


def open_index(target: Target, run: str, directory: str) -> Reader:
    """The index of a run, fetched into a directory.

    :raises IndexDamaged: when it is not what was written.
    """
    path = os.path.join(directory, f"{run}{INDEX}")
    if not os.path.exists(path):
        target.download(f"{RUNS}{run}{INDEX}", path)
    return Reader(path, f"{target.place}/{RUNS}{run}{INDEX}")


def one_line(text: object, secret: str = "") -> str:
    """A message as one line, without the secret key, should it ever be in it."""
    flat = " ".join(line.strip() for line in str(text).splitlines() if line.strip())
    return flat.replace(secret, "********") if len(secret) > 3 else flat


def first_of(names: t.Sequence[str], count: int, most: int = 5) -> str:
    """The first few of what is told, and how many more there are."""
    told = "; ".join(names[:most])
    return f"{told}; and {count - most} more" if count > most and len(names) >= most else told
