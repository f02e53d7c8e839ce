# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a recovery is to go: to the end of the archive, to a moment, a transaction, a name, a place in the WAL.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import re

from .._core.suggest import InputError

#: Words of a user, and what pgBackRest and the server's settings call it.
KINDS = ("latest", "time", "xid", "name", "lsn", "immediate")

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:Z|\+00:00)")
_LONGEST_NAME = 63
_RIGHT = {
    "time": (_MOMENT, 'write it in UTC like "2026-11-23T05:13:39Z", a fraction of the second may follow'),
    "xid": (re.compile(r"\d{1,20}"), "write the number of a transaction"),
    "lsn": (re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}"), 'write it like "0/5000148"'),
    "name": (re.compile(r"[^\x00-\x1f]+"), "write the name that was given to pg_create_restore_point"),
}


@dataclasses.dataclass(frozen=True)
class Target:
    """:raises InputError: for a value that does not fit its kind."""

    kind: str = "latest"
    value: str = ""
    inclusive: bool = True

    def __post_init__(self) -> None:
        if self.kind not in _RIGHT:
            if self.value:
                raise InputError(f"target is {self.value!r}, but target_type {self.kind} takes none: leave it out")
            return
        pattern, right = _RIGHT[self.kind]
        if not pattern.fullmatch(self.value) or len(self.value.encode()) > _LONGEST_NAME:
            raise InputError(f"target is {self.value!r}, with target_type {self.kind}: {right}")

    @property
    def written(self) -> str:
        """As PostgreSQL and pgBackRest read it."""
        moment = _MOMENT.fullmatch(self.value) if self.kind == "time" else None
        return f"{moment.group(1)} {moment.group(2)}+00" if moment else self.value

    def options(self) -> list[str]:
        """For pgbackrest restore, which chooses the backup by it."""
        if self.kind == "latest":
            return ["--type=default"]
        target = [] if self.kind == "immediate" else [f"--target={self.written}"]
        return [f"--type={self.kind}", *target, "--target-action=promote"]

    def settings(self) -> dict[str, str]:
        """For the server that recovers."""
        if self.kind == "latest":
            return {}
        if self.kind == "immediate":
            # The end of the backup is on the timeline of the backup; there is nothing to look for on a later one.
            return {
                "recovery_target": "immediate",
                "recovery_target_timeline": "current",
                "recovery_target_action": "promote",
            }
        return {
            f"recovery_target_{self.kind}": self.written,
            "recovery_target_inclusive": "on" if self.inclusive else "off",
            "recovery_target_action": "promote",
        }

    def __str__(self) -> str:
        words = {"latest": "the end of the archive", "immediate": "the end of the backup", "name": "restore point"}
        word = words.get(self.kind, self.kind)
        return f"{word} {self.value}" if self.value else word
