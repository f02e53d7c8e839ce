# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of the tests' application as archives with their SHA-256: archives.py TARGET"""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
_APPLICATION = ROOT / "tests" / "support" / "released_application.py"


def files(version: str, broken: bool) -> dict[str, str]:
    manifest = json.dumps({"name": "qs", "version": version})
    found = {
        "app.py": _APPLICATION.read_text(),
        "lock.json": json.dumps({"qs": version}),
        "vendor/qs/package.json": manifest,
    }
    return {**found, "broken": ""} if broken else found


def main() -> None:
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name, version in (("first", "6.0.0"), ("second", "6.0.5"), ("third", "6.0.6"), ("broken", "6.1.0")):
        path = target / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for inside, text in files(version, name == "broken").items():
                entry = tarfile.TarInfo(inside)
                entry.size, entry.mode = len(text.encode()), 0o644
                archive.addfile(entry, io.BytesIO(text.encode()))
        path.with_name(f"{name}.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
