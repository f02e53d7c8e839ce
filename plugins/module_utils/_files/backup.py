# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees backed up: what changed is sent and proved, what went is kept, then the run gets its index, then old ones go.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import filecmp
import json
import os
import socket
import time
import typing as t

from .._core.clock import stamp, utc_now, write_time
from .._core.durations import format_duration
from .._core.locks import Busy
from .._core.result import Result, merge
from .._core.sizes import format_size
from .._s3.checksums import digest_of_file
from .._s3.errors import S3Error
from .common import first_of, lock, moment_of, one_line, open_index, scratch
from .index import Entry, IndexDamaged, Reader, Writer
from .keeping import find_expired, prune
from .plan import Tally, make_plan
from .sending import REFUSED, UNREADABLE, UNSTEADY, VANISHED, Counts, Sending
from .settings import Place, Tree
from .target import CURRENT, INDEX, KEPT, RUNS, TREE, Refused, Target, TargetError, in_order, stamps
from .telling import Told, foretold, summary_of
from .walk import FILE, Walk

_FORMAT = 1


class Stopped(Exception):
    """A tree is not backed up, and nothing of it was touched; the text says why."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How trees are backed up; the retention in seconds, the most deleted in percent."""

    retention: int
    most_deleted: int
    allow_deletions: bool = False
    adopt: bool = False


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    planned: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    runs: dict[str, str] = dataclasses.field(default_factory=dict)
    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)

    def beside(self) -> dict[str, t.Any]:
        before, after = ("".join(f"{line}\n" for line in lines) for lines in (self.before, self.after))
        return {"planned": self.planned, "runs": self.runs, "diff": {"before": before, "after": after}}


def back_up(place: Place, trees: t.Sequence[Tree], settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Back up each tree; one's failure leaves the others their backup, and its own of before as it was."""
    return merge(_back_up_one(place, tree, settings, check, outcome) for tree in trees)


def _back_up_one(place: Place, tree: Tree, settings: Settings, check: bool, outcome: Outcome) -> Result:
    try:
        _refuse_inside(place, tree)
        with place.open(tree.name) as target, scratch() as directory:
            run = _Run(target, tree, settings, directory, place.streams, outcome)
            if check:
                return run.foretell()
            with lock(place.state_dir, target.place):
                return run.go()
    except (S3Error, TargetError, Refused, IndexDamaged, Busy, Stopped, OSError) as exc:
        return Result("failed", f"{tree.name} was not backed up", f"{tree.name}: {one_line(exc, place.secret)}", of=1)


def _refuse_inside(place: Place, tree: Tree) -> None:
    """:raises Stopped: when the tree would be kept in itself."""
    if not place.directory:
        return
    ours, theirs = (os.path.join(os.path.realpath(path), "") for path in (tree.path, place.directory))
    if ours.startswith(theirs) or theirs.startswith(ours):
        raise Stopped(f"{place.directory} lies in or around {tree.path}: a tree cannot be kept in itself")


class _Run:
    def __init__(
        self, target: Target, tree: Tree, settings: Settings, directory: str, streams: int, outcome: Outcome
    ) -> None:
        self.target = target
        self.tree = tree
        self.settings = settings
        self.outcome = outcome
        self.streams = streams
        self.directory = directory
        self.plan_path = os.path.join(directory, "plan")
        self.began = time.monotonic()
        self.now = utc_now()
        self.told = Told(tree.name)
        self.last: Entry = {}
        self.run = ""
        self.is_first = self.is_adopted = False
        self.walk = Walk(tree.path, tree.rules)

    def foretell(self) -> Result:
        """What a run would do; the target and the tree are only read."""
        self._claim()
        tally = self._plan()
        gone_stay = self._refuses_deletions(tally)
        would_expire = find_expired(self.target, self._border())
        self._tell_plan(tally, gone_stay)
        if would_expire.runs:
            self._plan_removal(would_expire.runs)
        changes = not self._is_idle(tally, gone_stay) or bool(would_expire.runs)
        self.outcome.changed = self.outcome.changed or changes
        self.told.tell_troubles(tally, Counts())
        return self.told.result(foretold(self.tree.name, tally), self._figures(tally, Counts()), tally, Counts())

    def go(self) -> Result:
        self._claim()
        tally = self._plan()
        gone_stay = self._refuses_deletions(tally)
        self._tell_plan(tally, gone_stay)
        counts = Counts()
        idle = self._is_idle(tally, gone_stay)
        if not idle:
            self.outcome.changed = True
            counts = self._carry_out(gone_stay)
        self.told.tell_troubles(tally, counts)
        figures = self._figures(tally, counts)
        if not self.told.failures:
            figures["pruned_objects"] = self._prune()
        figures["duration_seconds"] = round(time.monotonic() - self.began, 3)
        summary = summary_of(self.tree.name, self.target.place, tally, counts, figures, idle)
        return self.told.result(summary, figures, tally, counts)

    def _is_idle(self, tally: Tally, gone_stay: bool) -> bool:
        """Whether there is nothing to do but to say so."""
        changes = tally.send or tally.altered or (tally.gone and not gone_stay)
        return not changes and not self.is_first and not self.is_adopted

    def _claim(self) -> None:
        """:raises Stopped: when another tree is kept at this place: each would take the other's files for deleted."""
        content = self.target.read(TREE)
        if content is None:
            return
        try:
            kept = json.loads(content)
            theirs = (str(kept["host"]), str(kept["path"]))
        except (ValueError, KeyError, TypeError) as exc:
            raise Stopped(f"{self.target.place}/{TREE} is not what this collection writes: {exc!r}") from exc
        ours = (socket.gethostname(), self.tree.path)
        self.is_adopted = theirs != ours
        if theirs != ours and not self.settings.adopt:
            raise Stopped(
                f"{self.target.place} holds {theirs[1]} of the host {theirs[0]}, not {ours[1]} of {ours[0]}: give each"
                " tree a name of its own, or set adopt when this tree goes on in the place of that one"
            )

    def _plan(self) -> Tally:
        """:raises Stopped: when the tree cannot be looked at."""
        runs = stamps(self.target, RUNS)
        self.run, self.is_first = self._stamp(runs), not runs
        reader = open_index(self.target, runs[-1], self.directory) if runs else None
        before: t.Iterable[tuple[bytes, Entry]] = reader or ()
        held = in_order(self.target.listing(CURRENT), f"{self.target.place}/{CURRENT}")
        if not os.path.isdir(self.tree.path):
            why = "is no directory" if os.path.lexists(self.tree.path) else "is not there"
            raise Stopped(f"{self.tree.path} {why}; nothing that was kept of it is touched")
        with open(self.plan_path, "wb") as plan:
            tally = make_plan(self.walk, before, held, plan, self._unfinished(runs[-1] if runs else ""))
        self.last = reader.last if isinstance(reader, Reader) else {}
        self._refuse_emptied(tally)
        return tally

    def _unfinished(self, last: str) -> set[str]:
        """The keys of what runs kept that were killed before they wrote an index."""
        kept = [run for run in stamps(self.target, KEPT) if run > last]
        return {held.key for run in kept for held in self.target.listing(f"{KEPT}{run}/")}

    def _stamp(self, runs: t.Sequence[str]) -> str:
        """The name of this run: now, and in any case after all there are."""
        last = max([*runs, *stamps(self.target, KEPT)], default="")
        if last < stamp(self.now):
            return stamp(self.now)
        moment = moment_of(last) + datetime.timedelta(seconds=1)
        if moment > self.now + datetime.timedelta(days=1):
            raise Stopped(f"the last run at {self.target.place} was at {last}, which is to come: set the clock right")
        return stamp(moment)

    def _refuse_emptied(self, tally: Tally) -> None:
        """An unmounted disk leaves an empty directory behind."""
        if tally.known and not tally.files and not tally.blind_count and not self.settings.allow_deletions:
            raise Stopped(
                f"{self.tree.path} has no file any more, and {tally.known} are kept: is a disk not mounted? Nothing was"
                " touched. Set allow_deletions once when that is right"
            )

    def _refuses_deletions(self, tally: Tally) -> bool:
        share = 100 * tally.gone / tally.known if tally.known else 0
        if share <= self.settings.most_deleted or self.settings.allow_deletions:
            return False
        self.told.fail(
            f"{tally.gone} of {tally.known} files are not there any more ({share:.0f} %, and most_deleted is"
            f" {self.settings.most_deleted}), so none was taken for deleted; set allow_deletions once if that is right"
        )
        return True

    def _carry_out(self, gone_stay: bool) -> Counts:
        self.target.settle(self._description())
        sending = Sending(self.target, self.tree.path, self.run, self.streams)
        index = os.path.join(self.directory, f"{self.run}-new")
        with open(self.plan_path, "rb") as plan:
            sending.remove(plan, gone_stay)
        with open(self.plan_path, "rb") as plan, Writer(index, self._head()) as writer:
            sending.send(plan, writer, gone_stay)
            writer.end(ended=write_time(utc_now()))
        wrong = self._wrong_in(index)
        if wrong:
            # What is in the target is not what was sent there: this run has no index, and the next one looks anew.
            self.told.fail(f"{len(wrong)} files are not there as they were sent: {first_of(wrong, len(wrong))}")
            return sending.counts
        self._commit(index)
        self.told.figures["aborted_uploads"] = self.target.tidy()
        self.outcome.runs[self.tree.name] = self.run
        return sending.counts

    def _wrong_in(self, index: str) -> list[str]:
        """What of an index a new listing does not show."""
        wrong: list[str] = []
        held = iter(in_order(self.target.listing(CURRENT), f"{self.target.place}/{CURRENT}"))
        there = next(held, None)
        for _line, entry in Reader(index, "the index that was just written"):
            if entry["type"] != FILE:
                continue
            while there is not None and there.key < entry["key"]:
                there = next(held, None)
            if there is None or there.key != entry["key"]:
                wrong.append(f"{entry['key']} is not listed")
            elif (there.bytes, there.etag) != (entry["size"], entry["etag"]):
                wrong.append(f"{entry['key']} has {there.bytes} bytes and the ETag {there.etag}")
        return wrong

    def _commit(self, index: str) -> None:
        key = f"{RUNS}{self.run}{INDEX}"
        self.target.send_file(key, index, digest_of_file(index, self.target.part_bytes))
        back = os.path.join(self.directory, "back")
        self.target.download(key, back)
        if not filecmp.cmp(index, back, shallow=False):
            self.target.remove(key)
            raise TargetError(f"{self.target.place}/{key} does not read back as it was written")

    def _head(self) -> dict[str, t.Any]:
        root = os.stat(self.tree.path)
        return {
            "tree": self.tree.name,
            "host": socket.gethostname(),
            "path": self.tree.path,
            "began": write_time(self.now),
            "root": {"mode": root.st_mode & 0o7777, "uid": root.st_uid, "gid": root.st_gid, "mtime": root.st_mtime_ns},
        }

    def _description(self) -> bytes:
        said = {"format": _FORMAT, "tree": self.tree.name, "host": socket.gethostname(), "path": self.tree.path}
        return json.dumps(said, indent=1, sort_keys=True).encode() + b"\n"

    def _border(self) -> str:
        return stamp(self.now - datetime.timedelta(seconds=self.settings.retention))

    def _prune(self) -> int:
        try:
            what = find_expired(self.target, self._border())
            if not what.runs:
                return 0
            self._plan_removal(what.runs)
            self.outcome.changed = True
            return prune(self.target, what)
        except (S3Error, TargetError) as exc:
            message = f"what has had its time was not removed: {one_line(exc)}"
            action = "see to it: the next run tries again, and until then it takes space"
            self.told.find("files-not-pruned", "medium", message, action)
            return 0

    def _plan_removal(self, count: int) -> None:
        reason = f"older than {format_duration(self.settings.retention)}, and a younger run is whole"
        self.outcome.planned.append(self.told.planned("remove", reason, {"runs": count}))

    def _tell_plan(self, tally: Tally, gone_stay: bool) -> None:
        if self.last:
            size = format_size(self.last["bytes"])
            self.outcome.before.append(f"{self.tree.name}: {self.last['files']} files, {size}")
        self.outcome.after.append(f"{self.tree.name}: {tally.files} files, {format_size(tally.bytes)}")
        self.outcome.after += [f"{self.tree.name}: {one}" for one in tally.examples]
        if tally.send:
            reason = ", ".join(f"{count} {why}" for why, count in sorted(tally.send.items()))
            estimate = {"bytes": tally.send_bytes, "objects": sum(tally.send.values())}
            self.outcome.planned.append(self.told.planned("send", reason, estimate))
        if tally.gone and not gone_stay:
            reason = f"{tally.gone} files are not there any more"
            self.outcome.planned.append(self.told.planned("keep", reason, {"objects": tally.gone}))

    def _figures(self, tally: Tally, counts: Counts) -> dict[str, float]:
        return {
            **self.told.figures,
            "files": tally.files,
            "bytes": tally.bytes,
            "directories": tally.directories,
            "symlinks": tally.symlinks,
            "listed_objects": tally.listed,
            "sent_files": counts.count("sent"),
            "sent_bytes": counts.sent_bytes,
            "kept_files": counts.kept,
            "removed_files": counts.removed,
            "lost_files": tally.lost_count,
            "vanished_files": counts.count(VANISHED) + self.walk.passed.vanished,
            "unsteady_files": counts.count(UNSTEADY),
            "unreadable_files": counts.count(UNREADABLE) + tally.blind_count,
            "refused_files": counts.count(REFUSED),
            "special_files": self.walk.passed.special,
            "excluded": self.walk.passed.excluded,
            "other_filesystems": tally.mounts,
        }
