# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of npm as a registry has them: their manifest, their tarball and what it tells of that."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import io
import json
import tarfile
import typing as t

Table = dict[str, t.Any]


def npm_manifest(name: str, version: str, more: Table) -> Table:
    """The package.json of a version; `more` may also have uploaded, and changelog, a text in its tarball."""
    told = {key: value for key, value in more.items() if key not in ("uploaded", "changelog")}
    return {"name": name, "version": version, **told}


@functools.cache
def _tarball_of(manifest: str, changelog: str) -> bytes:
    """A real tarball, the same bytes each time."""
    buffer = io.BytesIO()
    files = {"package.json": manifest, "index.js": f"module.exports = {manifest}.version;\n"}
    files.update({"CHANGELOG.md": changelog} if changelog else {})
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size, entry.mode = len(text.encode()), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def npm_tarball(name: str, version: str, more: Table) -> bytes:
    return _tarball_of(json.dumps(npm_manifest(name, version, more)), more.get("changelog", ""))


def npm_dist(registry: str, name: str, version: str, more: Table) -> Table:
    data = npm_tarball(name, version, more)
    integrity = base64.b64encode(hashlib.sha512(data).digest()).decode()
    file = f"{name.rpartition('/')[2]}-{version}.tgz"
    return {
        "tarball": f"{registry}{name}/-/{file}",
        "integrity": f"sha512-{integrity}",
        "shasum": hashlib.sha1(data).hexdigest(),  # noqa: S324 - what npm calls it
    }
