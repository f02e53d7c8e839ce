# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration kept in Git: a commit when something changed, none when nothing did, and nothing lost without a word.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
import typing as t

from .._core.locks import Busy, held
from .._core.records import default_path
from .._core.result import Finding, Result, ok_or_findings
from .._core.sealing import SealError
from .._core.suggest import InputError
from .contents import MANIFEST, Contents, ManifestError, Policy, assemble
from .filtering import Secrets, load_key
from .git import GitError, Remote
from .looking import DIRECTORY, Seen, look, shown
from .repository import Author, Change, Moved, Repository
from .telling import diff_of, sealed_names, told

_ATTEMPTS = 5
_PAUSE = 0.5
_SHORT = 10
_MOST_LISTED = 50


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the history is."""

    repository: str
    branch: str
    remote: Remote | None
    state_dir: str
    timeout: float = 300

    @property
    def path(self) -> str:
        """The repository itself, or the copy of it on this host."""
        if not self.remote:
            return self.repository
        name = hashlib.sha256(self.repository.encode()).hexdigest()[:16]
        return os.path.join(self.state_dir, f"{name}.git")

    def open(self) -> Repository:
        """:raises InputError: when a branch cannot have that name."""
        repository = Repository(self.path, self.branch, self.timeout, self.remote)
        if not repository.check_branch():
            raise InputError(f"branch is {self.branch!r}: git takes no such name")
        return repository


@dataclasses.dataclass(frozen=True)
class Settings:
    place: Place
    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    secrets: tuple[str, ...]
    policy: Policy
    author: Author


@dataclasses.dataclass
class Outcome:
    """What the module returns beside the result."""

    changed: bool = False
    commit: str = ""
    changes: list[dict[str, str]] = dataclasses.field(default_factory=list)
    diff: str = ""

    def beside(self) -> dict[str, t.Any]:
        return {"commit": self.commit, "changes": self.changes, "diff": {"prepared": self.diff}}


def state_directory(given: str) -> str:
    """Where the key of the placeholders and copies of repositories are: beside the records, unless told otherwise."""
    return given or os.path.join(os.path.dirname(default_path()), "configuration")


def back_up(settings: Settings, check: bool, outcome: Outcome) -> Result:
    """Keep it; whatever goes wrong is in the result.

    :raises InputError: naming what cannot be right.
    """
    began = time.monotonic()
    try:
        repository = settings.place.open()
        if check:
            secrets = Secrets(settings.secrets, load_key(settings.place.state_dir, make=False))
            return _Backup(settings, repository, secrets, outcome).foretell(began)
        with held(settings.place.state_dir):
            secrets = Secrets(settings.secrets, load_key(settings.place.state_dir, make=True))
            repository.make()
            return _Backup(settings, repository, secrets, outcome).go(began)
    except Busy as exc:
        return Result("unknown", "the configuration was not looked at", str(exc))
    except (GitError, ManifestError, SealError, ValueError, OSError) as exc:
        if isinstance(exc, InputError):
            raise
        return Result("failed", "the configuration was not kept", " ".join(str(exc).split()))


class _Backup:
    def __init__(self, settings: Settings, repository: Repository, secrets: Secrets, outcome: Outcome) -> None:
        self.settings = settings
        self.repository = repository
        self.secrets = secrets
        self.outcome = outcome
        self.findings: list[Finding] = []
        self._sealed: set[str] = set()

    def foretell(self, began: float) -> Result:
        """What would be kept, compared with the branch; with a remote one, as it was when it was last asked."""
        seen, made, changes, _wanted = self._compare(self.repository.head())
        self.outcome.changed = bool(changes)
        return self._result(seen, made, changes, "would be kept", began)

    def go(self, began: float) -> Result:
        for attempt in range(_ATTEMPTS):
            try:
                return self._attempt(began)
            except Moved:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE * (attempt + 1))
        raise AssertionError("unreachable")

    def _attempt(self, began: float) -> Result:
        self.findings = []
        strange = self.repository.fetch()
        if strange:
            action = "find out who rewrote it, and protect the branch against that"
            self.findings.append(
                Finding("configuration-history", "high", self.settings.place.branch, strange, action=action)
            )
        parent = self.repository.head()
        seen, made, changes, wanted = self._compare(parent)
        if changes:
            summary = f"{self.settings.place.branch}: {told(changes, self._sealed)}"
            commit = self.repository.commit(parent, changes, made.tree, self.settings.author, f"{summary}\n")
            self.outcome.changed = True
            found = self.repository.tree(commit)
            if found != wanted:
                wrong = sorted(path for path in {*found, *wanted} if found.get(path) != wanted.get(path))
                named = ", ".join(map(shown, wrong[:5]))
                raise GitError(f"commit {commit} does not hold what was given to it: {named}")
        self.repository.send()
        self.outcome.commit = self.repository.head()
        return self._result(seen, made, changes, "kept", began)

    def _compare(self, parent: str) -> tuple[Seen, Contents, list[Change], dict[str, tuple[str, str]]]:
        old = self.repository.tree(parent)
        manifest = self.repository.manifest(old)
        policy = self.settings.policy
        seen = look(self.settings.paths, self.settings.exclude, policy.largest)
        made = assemble(seen, policy, self.secrets, old, manifest)
        self._sealed = sealed_names([manifest, made.manifest])
        changes, wanted = self.repository.compare(old, made.tree)
        return seen, made, changes, wanted

    def _result(self, seen: Seen, made: Contents, changes: t.Sequence[Change], verb: str, began: float) -> Result:
        self.outcome.diff = diff_of(changes, self._sealed)
        self.outcome.changes = [{"path": shown(one.path), "change": one.kind} for one in changes[:_MOST_LISTED]]
        self._tell_problems(seen, made)
        files = len(made.tree) - 1
        kinds = [change.kind for change in changes if change.path != MANIFEST]
        figures: dict[str, float] = {
            "files": files,
            "directories": sum(told["kind"] == DIRECTORY for told in made.manifest.values()),
            "added_files": kinds.count("added"),
            "changed_files": kinds.count("changed"),
            "deleted_files": kinds.count("deleted"),
            "sealed_files": made.sealed,
            "filtered_lines": made.filtered_lines,
            "duration_seconds": round(time.monotonic() - began, 3),
        }
        if changes:
            commit = f"; commit {self.outcome.commit[:_SHORT]}" if self.outcome.commit else ""
            summary = f"{told(changes, self._sealed)} {verb}, of {files} files{commit}"
        else:
            summary = f"nothing changed in {files} files"
        missing = len(made.left_out) + len(seen.unreadable) + len(seen.vanished)
        return ok_or_findings(summary, self.findings, figures, files, files + missing)

    def _tell_problems(self, seen: Seen, made: Contents) -> None:
        for path in seen.vanished:
            known = seen_before(path, made)
            message = "it is not there any more; what was kept of it stays" if known else "it is not there"
            action = "name another path, or take it off the list: then its deletion is committed"
            severity = "high" if known else "medium"
            self.findings.append(Finding("configuration-vanished", severity, shown(path), message, action=action))
        for path, why in sorted(seen.unreadable.items()):
            message = f"it cannot be read: {why}; what was kept of it stays"
            action = "let this account read it, or exclude it"
            self.findings.append(Finding("configuration-unreadable", "high", shown(path), message, action=action))
        for path, why in sorted(made.left_out.items()):
            action = "exclude it, or let it be encrypted"
            self.findings.append(Finding("configuration-left-out", "medium", f"/{shown(path)}", why, action=action))


def seen_before(path: str, made: Contents) -> bool:
    name = path.lstrip("/")
    return any(known == name or known.startswith(f"{name}/") for known in made.manifest)
