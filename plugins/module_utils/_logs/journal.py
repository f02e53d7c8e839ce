# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd journal from where the last archive ended, in the format that journalctl exports and can import again.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import typing as t

from .rotated import LogsError

_TIMEOUT = 3600
_LOOK_TIMEOUT = 120
_CURSOR = re.compile(r"^__CURSOR=(\S+)$", re.MULTILINE)
#: journalctl(1) says so unless --quiet: who is neither root nor of a group that may, sees only its own messages.
_UNSEEN = re.compile(r"not seeing messages|insufficient permissions|Users in groups")
_REALTIME = re.compile(r"(?:^|;)t=([0-9a-f]+)")


@dataclasses.dataclass(frozen=True)
class Journal:
    """The journal of this host, or the files in a directory."""

    directory: str = ""

    def unseen(self) -> str:
        """What journalctl says that this account may not see of it; an empty text when it sees all."""
        argv = [word for word in self.argv("--lines=0") if word != "--quiet"]
        said = self._complete(argv).stderr.decode("utf-8", "replace")
        return " ".join(line.strip() for line in said.splitlines() if _UNSEEN.search(line))

    def argv(self, *more: str) -> list[str]:
        program = shutil.which("journalctl")
        if not program:
            raise LogsError("the program journalctl is not in PATH: there is no journal here, so do not ask for it")
        where = [f"--directory={self.directory}"] if self.directory else []
        return [program, "--quiet", "--no-pager", "--output=export", *where, *more]

    def first_from(self, cursor: str) -> str:
        """The cursor of the first entry at or after that one; empty when there is none."""
        done = self._run(self.argv("--lines=1", f"--cursor={cursor}"))
        found = _CURSOR.search(done.decode("utf-8", "replace"))
        return found.group(1) if found else ""

    def export(self, after: str, is_gone: bool, path: str, cursor_file: str) -> str:
        """Write all entries after a cursor into a file; the cursor of the last one, or an empty text.

        journalctl notes the cursor itself: in what it exports, a message could pretend to be one.

        :param is_gone: the entry of that cursor is not there any more; journalctl would show nothing after it.
        """
        argv = self.argv(f"--cursor-file={cursor_file}")
        moment = _REALTIME.search(after)
        if is_gone and moment:
            argv.append(f"--since=@{int(moment.group(1), 16) // 1_000_000}")
        elif after and not is_gone:
            with open(cursor_file, "w", encoding="ascii") as handle:
                handle.write(after)
        with open(path, "wb") as target:
            self._run(argv, target)
        if not os.path.getsize(path):
            return ""
        with open(cursor_file, encoding="ascii") as handle:
            return handle.read().strip()

    @staticmethod
    def _complete(argv: t.Sequence[str], target: t.Any = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
                timeout=_LOOK_TIMEOUT if target is subprocess.PIPE else _TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise LogsError(f"journalctl: {exc}") from exc

    def _run(self, argv: t.Sequence[str], target: t.Any = subprocess.PIPE) -> bytes:
        done = self._complete(argv, target)
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        # With an empty journal some versions end with status 1 and say nothing.
        if done.returncode and (said or done.returncode != 1):
            raise LogsError(f"journalctl ended with status {done.returncode}: {said or 'it said nothing'}")
        return done.stdout or b""


def seconds_between(cursor: str, other: str) -> float | None:
    """The time between two entries, as far as their cursors tell it."""
    found = [_REALTIME.search(one) for one in (cursor, other)]
    if not all(found):
        return None
    first, second = (int(one.group(1), 16) for one in found if one)
    return (second - first) / 1e6
