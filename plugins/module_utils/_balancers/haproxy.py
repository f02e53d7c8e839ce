# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy by its runtime API: one command a connection, over a Unix socket or TCP.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

See "9.3. Unix Socket commands" of its management guide. Most commands answer an empty line when they are obeyed and a
text when they are not, so whatever is said is taken for a refusal, and what was set is read back.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import socket
import typing as t

from .model import BalancerError, Member, Standing

_PATIENCE = 10.0
_MOST = 64 << 20
_WORD = re.compile(r"[A-Za-z0-9_.:-]+")
#: Bits of the administrative state: forced by somebody, inherited, by the configuration or by the resolver.
_FORCED_MAINTENANCE, _FORCED_DRAIN = 0x01, 0x08
_MAINTENANCE, _DRAIN = 0x01 | 0x02 | 0x04 | 0x20, 0x08 | 0x10
_READY, _DRAINED, _MAINT = "ready", "drain", "maint"
_UNCHECKED = "no check"


@dataclasses.dataclass(frozen=True)
class HAProxy:
    """One process."""

    address: str

    @property
    def name(self) -> str:
        return f"HAProxy at {self.address}"

    def standings(self, pool: str) -> dict[str, Standing]:
        states = self._states(pool)
        found = {}
        for row in self._statistics():
            name = row.get("svname", "")
            if row.get("pxname") != pool or name in ("FRONTEND", "BACKEND") or row.get("bck") == "1":
                continue
            if name not in states:
                raise BalancerError(f"{self.name} knows no state of {pool}/{name}")
            found[name] = self._standing(row, states[name])
        if not found:
            raise BalancerError(f"{self.name} has no servers in a backend {pool!r}")
        return found

    def drain(self, member: Member) -> None:
        self._set(member, _DRAINED)

    def admit(self, member: Member) -> None:
        self._set(member, _READY)

    def restore(self, member: Member, settings: str) -> None:
        if settings not in (_READY, _DRAINED, _MAINT):
            raise BalancerError(f"{member.told} was {settings!r} before, which is no state of a server of HAProxy")
        self._set(member, settings)

    def end(self, member: Member) -> None:
        self._command(f"shutdown sessions server {member.told}")

    def _set(self, member: Member, state: str) -> None:
        for word in (member.pool, member.server):
            if not _WORD.fullmatch(word):
                raise BalancerError(f"{word!r} is no name of a backend or a server of HAProxy")
        self._command(f"set server {member.told} state {state}")

    def _standing(self, row: t.Mapping[str, str], admin: int) -> Standing:
        status = row["status"]
        settings = _MAINT if admin & _FORCED_MAINTENANCE else _DRAINED if admin & _FORCED_DRAIN else _READY
        # Of a server that is drained or in maintenance the status says that, and nothing of how it is. With a count
        # behind it ("UP 1/3") its checks fail, or have not been good often enough yet.
        up = None if status == _UNCHECKED else status == "UP"
        admitted = not admin & (_MAINTENANCE | _DRAIN) and int(row["weight"] or 0) > 0
        return Standing(settings, admitted, up, int(row["scur"] or 0) + int(row["qcur"] or 0), status)

    def _states(self, pool: str) -> dict[str, int]:
        """The administrative state of each server of a backend."""
        if not _WORD.fullmatch(pool):
            raise BalancerError(f"{pool!r} is no name of a backend of HAProxy")
        lines = self._ask(f"show servers state {pool}").splitlines()
        header = next((line[1:].split() for line in lines if line.startswith("#")), [])
        if "srv_admin_state" not in header or "srv_name" not in header:
            said = " ".join(" ".join(lines).split())[:200]
            raise BalancerError(f"{self.name} tells no states of the servers of {pool!r}: {said or 'it said nothing'}")
        name, state = header.index("srv_name"), header.index("srv_admin_state")
        rows = [line.split() for line in lines if line and not line.startswith("#") and len(line.split()) > state]
        try:
            return {row[name]: int(row[state]) for row in rows}
        except ValueError as exc:
            raise BalancerError(f"{self.name} tells states that cannot be read: {exc}") from None

    def _statistics(self) -> list[dict[str, str]]:
        said = self._ask("show stat -1 4 -1")
        rows = list(csv.DictReader(io.StringIO(said[2:] if said.startswith("# ") else said)))
        wanted = {"pxname", "svname", "status", "weight", "scur", "qcur", "bck"}
        if not rows or not wanted <= set(rows[0]):
            told = " ".join(said.split())[:200] or "nothing"
            raise BalancerError(f"{self.name} tells no statistics that can be read: {told}")
        return rows

    def _command(self, text: str) -> None:
        said = " ".join(self._ask(text).split())
        if said:
            raise BalancerError(f"{self.name} refuses {text!r}: {said[:200]}")

    def _ask(self, text: str) -> str:
        """:raises BalancerError: when there is no whole answer."""
        try:
            with self._connected() as connection:
                connection.settimeout(_PATIENCE)
                connection.sendall(text.encode() + b"\n")
                parts = []
                size = 0
                while True:
                    part = connection.recv(1 << 16)
                    if not part:
                        break
                    parts.append(part)
                    size += len(part)
                    if size > _MOST:
                        raise BalancerError(f"{self.name} does not stop talking")
        except OSError as exc:
            raise BalancerError(f"{self.name} cannot be asked: {exc.strerror or exc}") from None
        answer = b"".join(parts).decode("utf-8", "replace")
        if not answer.endswith("\n"):
            # An answer that is cut off must not be taken for a shorter one.
            raise BalancerError(f"{self.name} broke off its answer to {text!r}")
        return answer

    def _connected(self) -> socket.socket:
        if self.address.startswith("/"):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(_PATIENCE)
                connection.connect(self.address)
            except OSError:
                connection.close()
                raise
            return connection
        host, _colon, port = self.address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), _PATIENCE)
