# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and their copies in tests: backups of random bytes with true manifests, and the modules called on them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import itertools
import json
import os
import pathlib
import subprocess
import typing as t
from unittest import mock

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets

from .modules import start_module
from .postgres import wait_for
from .s3_server import Bucket, without_credentials

OFFSITE = "postgres_backup_offsite"
VERIFY = "postgres_backup_offsite_verify"
FETCH = "postgres_backup_fetch"

SYSTEM = "7436170295543345117"
#: Small files, an empty one, one with a name that has to be quoted, and one of several parts.
FILES = {"globals.sql": 700, "shop/toc.dat": 3000, "shop/1.dat": 0, "o%2Fdd ü+x/2.dat": 9000, "shop/3.dat": 300_000}

_buckets = itertools.count(1)


def new_bucket(server: t.Any, lock: bool = False) -> Bucket:
    return Bucket(server, f"backups-{next(_buckets)}", lock)


class Offsite:
    """A directory of backups and a bucket for their copies, perhaps behind a proxy that breaks things."""

    def __init__(self, bucket: Bucket, path: pathlib.Path, url: str = "") -> None:
        self.bucket = bucket
        self.path = path
        self.url = url or bucket.server.url

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return self.bucket.arguments(path=str(self.path), endpoint_url=self.url, **more)

    def copy(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module_here(OFFSITE, {**self.arguments(), **more}, check)

    def start(self, **more: t.Any) -> subprocess.Popen[bytes]:
        return start_module(OFFSITE, {**self.arguments(), **more}, env=without_credentials())

    def fetch(self, path: pathlib.Path, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module_here(FETCH, {**self.arguments(), "path": str(path), **more}, check)

    def verify(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        arguments = {name: value for name, value in self.arguments().items() if name != "path"}
        return run_module_here(VERIFY, {**arguments, **more}, check)

    def make(
        self, name: str, files: t.Mapping[str, int] = FILES, verified: bool = True, system: str = SYSTEM
    ) -> backup_sets.BackupSet:
        """A backup as postgres_backup leaves it, but for its files, which are random bytes."""
        place = self.path / name
        for file, size in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(os.urandom(size))
        moment = backup_sets.moment_of(name)
        body = {
            "format": backup_sets.FORMAT,
            "started": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "server": {
                "system_identifier": system,
                "version_number": 150000,
                "preload_libraries": [],
                "bootstrap_role": "postgres",
                "standby": False,
            },
            "roles": [],
            "databases": [{"name": "shop", "directory": "shop", "bytes": 1000, "extensions": {}}],
            "failed": [],
            "files": [{"path": file, "bytes": size, "sha256": sha256(place / file)} for file, size in files.items()],
        }
        backup_sets.write_manifest(str(place), body)
        if verified:
            self.declare(name, backup_sets.VERIFIED)
        return self.read(name)

    def read(self, name: str) -> backup_sets.BackupSet:
        return next(one for one in backup_sets.read_sets(str(self.path)) if one.name == name)

    def declare(self, name: str, statement: str) -> None:
        backup_sets.declare(self.read(name), statement, {"verified": "2026-11-20T00:00:00Z", "reason": "planted"})

    def base(self, name: str, system: str = SYSTEM) -> str:
        return f"steward/{system}/{name}"

    def wait_until_older(self, name: str, seconds: float) -> None:
        """Wait until nothing was added to a copy for longer than that; one of which nothing is left is old."""

        def is_old() -> bool:
            found = self.bucket.client.list_objects_v2(Bucket=self.bucket.name, Prefix=self.base(name))
            moments = [entry["LastModified"] for entry in found.get("Contents", [])]
            return not moments or bool((utc_now() - max(moments)).total_seconds() > seconds)

        wait_for(is_old, f"{name} is older than {seconds} s")

    def listed(self, system: str = SYSTEM) -> list[str]:
        """The names of the copies that have a manifest, seen from outside."""
        base = f"steward/{system}/"
        return sorted(key.split("/")[2] for key in self.bucket.listing(base) if key.endswith("/manifest.json"))

    def wrong_in(self, name: str, system: str = SYSTEM) -> list[str]:
        """What in a copy is not as its own manifest says, seen from outside, byte by byte."""
        base = self.base(name, system)
        manifest = json.loads(self.bucket.read(f"{base}/manifest.json"))
        keys = set(self.bucket.listing(base))
        return [
            entry["path"]
            for entry in manifest["files"]
            if f"{base}/{entry['path']}" not in keys
            or hashlib.sha256(self.bucket.read(f"{base}/{entry['path']}")).hexdigest() != entry["sha256"]
        ]

    def assert_sound(self, *names: str) -> None:
        """These copies are listed as complete and no others, each is right, and no upload is left."""
        assert self.listed() == sorted(names)
        assert {name: self.wrong_in(name) for name in names} == {name: [] for name in names}
        assert self.bucket.uploads() == []


def run_module_here(name: str, args: t.Mapping[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    """Run a module in this process: to import the SDK takes ten times as long as the work on a small backup.

    What must be killed, or whose process is looked at, is started as a process: see :meth:`Offsite.start`.
    """
    basic = importlib.import_module("ansible.module_utils.basic")
    module = importlib.import_module(f"ansible_collections.steward.maintenance.plugins.modules.{name}")
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check, "_ansible_diff": True}})
    printed = io.StringIO()
    changes = {"_ANSIBLE_ARGS": given.encode(), "_ANSIBLE_PROFILE": "legacy"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(basic, create=True, **changes))
        stack.enter_context(mock.patch.dict(os.environ, without_credentials(), clear=True))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.suppress(SystemExit))
        module.main()
    answer: dict[str, t.Any] = json.loads(printed.getvalue())
    answer.setdefault("failed", False)
    return answer


def sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
