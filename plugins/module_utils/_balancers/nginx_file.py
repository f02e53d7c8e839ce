# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of an upstream in a file of nginx's configuration, and the one word that takes one of them out.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"down marks the server as permanently unavailable", says the manual of the directive `server`, of both
ngx_http_upstream_module and ngx_stream_upstream_module. Words are told apart as ngx_conf_read_token() of nginx's
src/core/ngx_conf_file.c does it. Everything is done on the bytes of the file, and all but that word stays as it is.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from .model import BalancerError

_BLANKS = b" \t\r\n"
_DOWN, _BACKUP = "down", "backup"
_ESCAPED = re.compile(rb"\\([\"'\\trn])")
_MEANT = {b"t": b"\t", b"r": b"\r", b"n": b"\n"}
_PORT = 80


@dataclasses.dataclass(frozen=True)
class Word:
    """One word: what it means, and where it stands, quotes included."""

    value: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Statement:
    """The words before a semicolon or an opening brace, or none before a closing one; `end` is behind that sign."""

    words: tuple[Word, ...]
    sign: str
    end: int


@dataclasses.dataclass(frozen=True)
class Server:
    """One directive `server` of an upstream."""

    words: tuple[Word, ...]
    end: int

    @property
    def address(self) -> str:
        return self.words[1].value

    @property
    def is_down(self) -> bool:
        return self._has(_DOWN)

    @property
    def is_backup(self) -> bool:
        return self._has(_BACKUP)

    @property
    def has_service(self) -> bool:
        """Whether the name server tells the port."""
        return any(word.value.startswith("service=") for word in self.words[2:])

    def _has(self, parameter: str) -> bool:
        return any(word.value == parameter for word in self.words[2:])

    def text_when(self, data: bytes, down: bool) -> str:
        """The directive as it is written, or would be."""
        new = self.taken_out(data) if down else self.let_in(data)
        return new[self.words[0].start : self.end + len(new) - len(data)].decode("utf-8", "replace")

    def taken_out(self, data: bytes) -> bytes:
        """The file with this server down."""
        at = self.words[-1].end
        return data if self.is_down else data[:at] + f" {_DOWN}".encode() + data[at:]

    def let_in(self, data: bytes) -> bytes:
        """The file with this server not down: without the word, and without the blanks before it on its line."""
        for number in range(len(self.words) - 1, 1, -1):
            if self.words[number].value == _DOWN:
                start = self.words[number].start
                while start > self.words[number - 1].end and data[start - 1 : start] in (b" ", b"\t"):
                    start -= 1
                data = data[:start] + data[self.words[number].end :]
        return data


class _Reader:
    """The statements of a file, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def statements(self) -> t.Iterator[Statement]:
        words: list[Word] = []
        while self._skip():
            sign = self._now()
            if sign not in (b";", b"{", b"}"):
                words.append(self._word())
                continue
            if (sign == b"}") == bool(words):
                raise BalancerError(f"line {self._line(self._at)} has a {sign.decode()!r} that nobody expects")
            self._at += 1
            if sign == b"{" and words[0].value.endswith("_by_lua_block"):
                line = self._line(words[0].start)
                raise BalancerError(f"line {line} begins a block of Lua: have the upstream in a file without one")
            yield Statement(tuple(words), sign.decode(), self._at)
            words = []
        if words:
            raise BalancerError(f"the statement of line {self._line(words[0].start)} does not end")

    def _now(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _line(self, at: int) -> int:
        return self._data.count(b"\n", 0, at) + 1

    def _skip(self) -> bool:
        """Go on to a word or a sign; whether there is one."""
        while self._at < len(self._data):
            if self._now() == b"#":
                end = self._data.find(b"\n", self._at)
                self._at = len(self._data) if end < 0 else end
            elif self._now() in _BLANKS:
                self._at += 1
            else:
                return True
        return False

    def _word(self) -> Word:
        start = self._at
        quote = self._now() if self._now() in (b'"', b"'") else b""
        self._at += len(quote)
        variable = False
        while self._at < len(self._data):
            sign = self._now()
            if sign == b"{" and variable:
                # As in ${name}.
                self._at += 1
                continue
            variable = sign == b"$"
            if sign == b"\\":
                self._at += 2
                continue
            if quote and sign == quote:
                self._at += 1
                after = self._now()
                if after and after not in _BLANKS + b";{)":
                    raise BalancerError(f"line {self._line(self._at)} goes on behind a quotation mark")
                return Word(_meant(self._data[start + 1 : self._at - 1]), start, self._at)
            if not quote and sign in _BLANKS + b";{":
                return Word(_meant(self._data[start : self._at]), start, self._at)
            self._at += 1
        raise BalancerError(f"the word at the end of line {self._line(start)} does not end")


def _meant(written: bytes) -> str:
    plain = _ESCAPED.sub(lambda match: _MEANT.get(match.group(1), match.group(1)), written)
    return plain.decode("utf-8", "surrogateescape")


def statements_of(data: bytes) -> list[Statement]:
    """:raises BalancerError: naming the line at which it cannot be read."""
    return list(_Reader(data).statements())


def servers_of(data: bytes, pool: str) -> list[Server]:
    """All servers of the one upstream of this name, in their order.

    :raises BalancerError: when there is none, or another one, when a server is there twice, or some are elsewhere.
    """
    found: list[Server] = []
    inside: list[bool] = []
    blocks = 0
    for statement in statements_of(data):
        values = [word.value for word in statement.words]
        if statement.sign == "{":
            inside.append(values == ["upstream", pool])
            blocks += inside[-1]
        elif statement.sign == "}":
            if not inside:
                raise BalancerError("it has a closing brace too many")
            inside.pop()
        elif inside and inside[-1] and values[0] == "include":
            raise BalancerError(f"the upstream {pool!r} includes other files: have all of its servers in this one")
        elif inside and inside[-1] and values[0] == "server" and len(values) > 1:
            found.append(Server(statement.words, statement.end))
    if inside:
        raise BalancerError("it has a closing brace too few")
    if blocks != 1:
        raise BalancerError(f"it has {'no' if not blocks else 'more than one'} upstream {pool!r}")
    _refuse_twice(found, pool)
    return found


def _refuse_twice(servers: t.Iterable[Server], pool: str) -> None:
    seen = set()
    for server in servers:
        place = endpoint_of(server.address) or server.address
        if place in seen:
            raise BalancerError(
                f"the upstream {pool!r} has the server {server.address!r} twice: write it once, with a weight"
            )
        seen.add(place)


def endpoint_of(address: str) -> tuple[str, int] | None:
    """Host and port of what `server` names; None of a Unix socket. Without a port it is 80, says the manual."""
    if address.startswith("unix:"):
        return None
    match = re.fullmatch(r"(?:\[([^]]*)\]|([^:]*))(?::([0-9]{1,5}))?", address)
    if not match:
        return None
    host = match.group(1) or match.group(2)
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        host = host.lower()
    return host, int(match.group(3) or _PORT)
