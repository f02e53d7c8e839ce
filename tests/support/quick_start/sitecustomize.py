# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every Python that a test starts does first: nothing that a program could see, but it starts sooner.

Ansible sends each module in a zip file, and of what Python imports from one it compiles every file in every process:
more than half of the time of a short module. Here what was compiled is kept, by the digest of its source. And the
garbage of a process that lives for a second is not collected a hundred times.

The tests of this checkout ask for it (see tests/conftest.py); benchmarks and users have nothing of it.
"""

from __future__ import annotations

import gc
import os


def keep_what_zips_hold(directory: str) -> None:
    """From now on take what zipimport would compile from a directory, if it was compiled by this Python before."""
    import _imp
    import hashlib
    import marshal
    import sys
    import zipimport

    compile_source = zipimport._compile_source  # type: ignore[attr-defined]

    def kept(pathname, source):  # type: ignore[no-untyped-def]
        name = f"{sys.implementation.cache_tag}-{hashlib.sha256(source).hexdigest()}"
        path = os.path.join(directory, name)
        try:
            with open(path, "rb") as file:
                code = marshal.loads(file.read())  # noqa: S302 - the tests' own files
        except (OSError, ValueError, EOFError, TypeError):
            code = compile_source(pathname, source)
            keep(path, marshal.dumps(code))
            return code
        _imp._fix_co_filename(code, pathname)
        return code

    zipimport._compile_source = kept  # type: ignore[attr-defined]


def keep(path: str, content: bytes) -> None:
    """Write a file that is there as a whole or not at all; that it cannot be written is no harm."""
    half = f"{path}.{os.getpid()}"
    try:
        with open(half, "wb") as file:
            file.write(content)
        os.rename(half, path)
    except OSError:
        pass


if os.environ.get("STEWARD_KEPT_CODE"):
    gc.set_threshold(50_000, 20, 20)
    keep_what_zips_hold(os.environ["STEWARD_KEPT_CODE"])
