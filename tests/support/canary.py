# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planted password, and where to look for it: in texts, below a directory, on every command line."""

from __future__ import annotations

import base64
import collections.abc
import pathlib
import threading

RIGHT = "kanarienvogel-3f9a1c7e"
WRONG = "distelfink-b82d40f6"


class CommandLines(threading.Thread):
    """Reads the command lines of all processes, over and over, and keeps those that hold a secret.

    :param keep: keep all of them, and all environments, for secrets that are made meanwhile: see L{with_any}.
    :param pause: seconds between two looks, where what is looked at lives for longer and has the processor to share.
    :param secrets: what is looked for.
    """

    def __init__(
        self, keep: bool = False, pause: float = 0, secrets: collections.abc.Sequence[str] = (RIGHT, WRONG)
    ) -> None:
        super().__init__(daemon=True)
        self._secrets = secrets
        self._pause = pause
        self.rounds = 0
        self.caught: set[str] = set()
        self._kept: set[bytes] | None = set() if keep else None
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes()
                    if self._kept is not None:
                        self._kept |= {line, path.with_name("environ").read_bytes()}
                except OSError:
                    continue  # the process ended meanwhile, or is another account's
                if found := secrets_in(line, self._secrets):
                    self.caught.add(f"{found} in {line.decode(errors='replace')}")
            self.rounds += 1
            self._over.wait(self._pause)

    def with_any(self, secrets: set[str]) -> list[bytes]:
        """Of what was kept, what holds one of these."""
        return [line for line in self._kept or () if any(secret.encode() in line for secret in secrets)]

    def __enter__(self) -> CommandLines:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self.join()


def _forms(secret: str) -> list[bytes]:
    """The secret as it is, and as base64 at each of the three places it can start."""
    plain = secret.encode()
    return [plain, *(base64.b64encode(b"\0" * shift + plain)[(0, 2, 3)[shift] : -4] for shift in range(3))]


def secrets_in(content: bytes, secrets: collections.abc.Sequence[str] = (RIGHT, WRONG)) -> list[str]:
    return [secret for secret in secrets if any(form in content for form in _forms(secret))]


def sweep(directory: pathlib.Path) -> dict[str, list[str]]:
    """The files below a directory that hold a secret."""
    return {
        str(path.relative_to(directory)): found
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and (found := secrets_in(path.read_bytes()))
    }
