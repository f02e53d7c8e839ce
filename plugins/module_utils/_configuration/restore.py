# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration brought back as it was at some moment: with owner and mode, and looked at again afterwards.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import grp
import os
import pwd
import stat
import typing as t

from .._core.clock import stamp, utc_now, write_time
from .._core.files import sync_directory, write_all
from .._core.locks import Busy, held
from .._core.result import Finding, Result, ok_or_findings
from .._core.sealing import SealError, unseal
from .._core.suggest import InputError, refuse_unknown
from .backup import Place
from .contents import Manifest, ManifestError, stored_name
from .git import GitError
from .looking import DIRECTORY, LINK, is_below, shown
from .repository import Repository

#: The ending of a file in which lines with secrets are not what they were.
FILTERED = ".filtered"

_MOST_LISTED = 50


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to bring back and where to; to where it was when no directory is given."""

    place: Place
    paths: tuple[str, ...] = ()
    at: datetime.datetime | None = None
    commit: str = ""
    directory: str = ""
    overwrite: bool = False
    identity_file: str = ""


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    commit: str = ""
    restored: list[str] = dataclasses.field(default_factory=list)
    replaced: str = ""

    def beside(self) -> dict[str, t.Any]:
        return {"commit": self.commit, "restored": self.restored[:_MOST_LISTED], "replaced": self.replaced}


@dataclasses.dataclass(frozen=True)
class Item:
    """One thing to have at a path."""

    target: str
    path: str
    told: t.Mapping[str, t.Any]
    content: bytes = b""

    @property
    def kind(self) -> str:
        return str(self.told["kind"])

    @property
    def mode(self) -> int:
        return int(self.told["mode"], 8)


def restore(settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Bring it back; whatever goes wrong is in the result.

    :raises InputError: naming what cannot be right; nothing was touched then.
    """
    try:
        repository = settings.place.open()
        if check:
            return _Restore(settings, repository, outcome).go(check=True)
        with held(settings.place.state_dir):
            return _Restore(settings, repository, outcome).go(check=False)
    except Busy as exc:
        return Result("unknown", "nothing was restored", str(exc))
    except (GitError, ManifestError, SealError, OSError) as exc:
        return Result("failed", "not all was restored", " ".join(str(exc).split()))


class _Restore:
    def __init__(self, settings: Settings, repository: Repository, outcome: Outcome) -> None:
        self.settings = settings
        self.repository = repository
        self.outcome = outcome
        self.findings: list[Finding] = []
        self.tree: dict[str, tuple[str, str]] = {}
        self._kept = os.path.join(settings.place.state_dir, "replaced", stamp(utc_now()))

    def go(self, check: bool) -> Result:
        if not check and self.settings.place.remote:
            self._fetch()
        commit = self._choose()
        self.tree = self.repository.tree(commit)
        chosen = self._chosen(self.repository.manifest(self.tree))
        items = [item for item in map(self._item, sorted(chosen), [chosen[path] for path in sorted(chosen)]) if item]
        wanted = [item for item in items if not self._is_there(item)]
        self._refuse_to_overwrite(wanted)
        self.outcome.commit = commit
        moment = write_time(self.repository.moment_of(commit))
        if not check:
            for item in wanted:
                self._write(item)
            # A directory that is closed to us is closed when all is in it.
            for item in reversed([one for one in items if one.kind == DIRECTORY]):
                self._dress(item)
            wrong = [shown(item.target) for item in items if not self._is_there(item)]
            if wrong:
                raise OSError(0, f"written, but not as it was kept: {', '.join(wrong[:5])}")
        self.outcome.changed = bool(wanted)
        self.outcome.restored = [shown(item.target) for item in wanted]
        verb = "would be restored" if check else "restored"
        summary = f"{len(wanted)} of {len(items)} paths {verb} as of {moment} (commit {commit[:10]})"
        figures: dict[str, float] = {"restored_paths": len(wanted), "paths": len(items)}
        return ok_or_findings(summary, self.findings, figures, len(items), len(chosen))

    def _fetch(self) -> None:
        """The copy here will do when the other repository cannot be asked: it may be down in just that disaster."""
        self.repository.make()
        try:
            self.repository.fetch()
        except GitError as exc:
            if not self.repository.head():
                raise
            message = f"the repository could not be asked, so the copy on this host was taken: {exc}"
            action = "see whether something newer is there when it answers"
            self.findings.append(
                Finding("configuration-not-asked", "medium", self.settings.place.branch, message, action=action)
            )

    def _choose(self) -> str:
        branch, place = self.settings.place.branch, self.settings.place.repository
        if not self.repository.head():
            raise InputError(f"branch {branch!r} is not in {place}: nothing was kept there under this name")
        commit = self.repository.commit_of(self.settings.at, self.settings.commit)
        if not commit and self.settings.commit:
            raise InputError(f"commit {self.settings.commit!r} is not in the history of branch {branch!r}")
        if not commit:
            oldest = write_time(self.repository.moment_of(self.repository.oldest()))
            raise InputError(f"at is before anything was kept: the oldest commit is of {oldest}")
        return commit

    def _chosen(self, manifest: Manifest) -> Manifest:
        if not self.settings.paths:
            return manifest
        roots = [path.lstrip("/") for path in self.settings.paths]
        for root in roots:
            if not any(is_below(path, root) for path in manifest):
                known = [f"/{path}" for path in manifest]
                refuse_unknown("paths: %s was not kept then: unknown path", f"/{root}", known)
        return {path: told for path, told in manifest.items() if any(is_below(path, root) for root in roots)}

    def _item(self, path: str, told: t.Mapping[str, t.Any]) -> Item | None:
        """What is to be there, or a finding that says why that is not known."""
        target = os.path.join(self.settings.directory or "/", path)
        if "left_out" in told:
            self._tell("configuration-not-kept", target, f"its content was never kept: {told['left_out']}")
            return None
        name = stored_name(path, told)
        if not name:
            return Item(target, path, told)
        content = self.repository.read(self.tree[name][1])
        if "sealed" in told:
            if not self.settings.identity_file:
                self._tell("configuration-sealed", target, "it is encrypted, and identity_file is empty")
                return None
            content = unseal(content, self.settings.identity_file)
        if "filtered" in told:
            lines = f"{told['filtered']} of its lines had secrets, which were not kept"
            if not self.settings.directory:
                self._tell("configuration-filtered", target, f"{lines}: restore it into a directory and mend it")
                return None
            self._tell("configuration-filtered", target + FILTERED, f"{lines}: fill them in before you use it")
            return Item(target + FILTERED, path, told, content)
        return Item(target, path, told, content)

    def _tell(self, finding: str, target: str, message: str) -> None:
        self.findings.append(Finding(finding, "medium", shown(target), message, action="restore that by hand"))

    def _is_there(self, item: Item) -> bool:
        try:
            found = os.lstat(item.target)
            if item.kind == LINK:
                return stat.S_ISLNK(found.st_mode) and os.fsencode(os.readlink(item.target)) == item.content
            if stat.S_IMODE(found.st_mode) != item.mode or not self._is_owned(found, item):
                return False
            if item.kind == DIRECTORY:
                return stat.S_ISDIR(found.st_mode)
            with open(item.target, "rb") as handle:
                return stat.S_ISREG(found.st_mode) and handle.read() == item.content
        except FileNotFoundError:
            return False

    def _refuse_to_overwrite(self, wanted: t.Sequence[Item]) -> None:
        """What is there and is something else is not touched unless that is asked for, and its kind never changes."""
        for item in wanted:
            if not os.path.lexists(item.target):
                continue
            found = os.lstat(item.target).st_mode
            is_directory = stat.S_ISDIR(found)
            if is_directory != (item.kind == DIRECTORY):
                is_one = "a" if is_directory else "no"
                raise InputError(f"{shown(item.target)} is {is_one} directory: move it away first")
            if not self.settings.overwrite:
                raise InputError(f"{shown(item.target)} is there and is something else: set overwrite")

    def _write(self, item: Item) -> None:
        parent = os.path.dirname(item.target)
        if item.kind == DIRECTORY:
            with contextlib.suppress(FileExistsError):
                os.makedirs(item.target, mode=0o700)
            return
        os.makedirs(parent, mode=0o755, exist_ok=True)
        self._put_aside(item)
        temporary = f"{item.target}.steward-new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if item.kind == LINK:
            os.symlink(os.fsdecode(item.content), temporary)
        else:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                write_all(file, item.content)
                self._own(file, item)
                os.fchmod(file, item.mode)
                os.fsync(file)
            finally:
                os.close(file)
        os.rename(temporary, item.target)
        sync_directory(parent)

    def _put_aside(self, item: Item) -> None:
        """A copy of what is replaced, on the disk before that is; only this account reads it."""
        if not os.path.lexists(item.target):
            return
        self.outcome.replaced = self._kept
        kept = os.path.join(self._kept, item.path)
        os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
        if os.path.islink(item.target):
            with contextlib.suppress(FileExistsError):
                os.symlink(os.readlink(item.target), kept)
            return
        with open(item.target, "rb") as source:
            content = source.read()
        file = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)

    def _dress(self, item: Item) -> None:
        file = os.open(item.target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._own(file, item)
            os.fchmod(file, item.mode)
            os.fsync(file)
        finally:
            os.close(file)

    def _own(self, file: int, item: Item) -> None:
        ids = self._ids(item)
        if ids and os.geteuid() == 0:
            os.fchown(file, *ids)

    def _is_owned(self, found: os.stat_result, item: Item) -> bool:
        ids = self._ids(item)
        if not ids or os.geteuid() != 0:
            if os.geteuid() != 0 and ids and (found.st_uid, found.st_gid) != ids:
                self._tell_once("configuration-owner", item.target, "only root can give it to whom it belonged to")
            return True
        return (found.st_uid, found.st_gid) == ids

    def _ids(self, item: Item) -> tuple[int, int] | None:
        """The numbers of owner and group on this host, which may be others than they were."""
        try:
            return _uid(str(item.told["owner"])), _gid(str(item.told["group"]))
        except KeyError:
            owner = f"{item.told['owner']}:{item.told['group']}"
            self._tell_once("configuration-owner", item.target, f"it belonged to {owner}, whom this host does not know")
            return None

    def _tell_once(self, finding: str, target: str, message: str) -> None:
        if not any((one.id, one.subject) == (finding, shown(target)) for one in self.findings):
            self._tell(finding, target, message)


def _uid(name: str) -> int:
    return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
