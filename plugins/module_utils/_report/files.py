# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that other programs read at any moment: they see the old one or the new one, never half of one.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import tempfile

_MODE = 0o644


class FileError(Exception):
    """A file that could not be read or written; the message names its path and the cause."""


def read_text(path: str) -> str:
    """The file's text, or "" when there is none yet."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise FileError(f"cannot read {path}: {exc.strerror}") from exc


def check_writable(path: str) -> None:
    """For check mode: raise what `write_atomically` would raise for a directory it cannot write to."""
    directory = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise FileError(f"cannot write {path}: it is a directory")
    if not os.path.isdir(directory):
        raise FileError(f"cannot write {path}: there is no directory {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise FileError(f"cannot write {path}: directory {directory} is not writable for user id {os.geteuid()}")


def write_atomically(path: str, text: str) -> None:
    """Write beside, flush to disk, rename; readable by everybody (web server, node exporter).

    The temporary name is hidden and has no `.prom` at its end: the node exporter must not read half a file.
    """
    directory, name = os.path.split(os.path.abspath(path))
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
        temporary = ""
        _flush_directory(directory)
    except OSError as exc:
        raise FileError(f"cannot write {path}: {exc.strerror}") from exc
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _flush_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
