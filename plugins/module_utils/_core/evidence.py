# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays of an update: lists of parts before and after, what changed, how the tests ended, and with which programs.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

One directory for each update, named after what it was to do: doing the same again writes it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import typing as t

from .files import sync_directory, write_all

_SLUG = re.compile(r"[^A-Za-z0-9.-]+")


def place_of(directory: str, project: str, plan: str) -> str:
    """Where the evidence of an update is."""
    slug = _SLUG.sub("-", os.path.basename(project)).strip("-.") or "project"
    return os.path.join(directory, f"{slug}-{hashlib.sha256(project.encode()).hexdigest()[:8]}", plan[:12])


def write_evidence(place: str, files: t.Mapping[str, t.Any]) -> dict[str, str]:
    """All of it or nothing, closed to others; the SHA-256 of each file.

    :param files: by name: bytes as they are, all else as JSON.
    :raises OSError: when it cannot be written.
    """
    parent = os.path.dirname(place)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    beside = f"{place}.new"
    for left in (beside, f"{place}.old"):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(left)
    os.mkdir(beside, 0o700)
    digests = {}
    for name, content in sorted(files.items()):
        data = content if isinstance(content, bytes) else json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"
        file = os.open(os.path.join(beside, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        digests[name] = hashlib.sha256(data).hexdigest()
    sync_directory(beside)
    if os.path.isdir(place):
        os.rename(place, f"{place}.old")
    os.rename(beside, place)
    sync_directory(parent)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(f"{place}.old")
    return digests
