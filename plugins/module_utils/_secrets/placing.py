# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in the files of those who use them: written in one move, with the owner and the mode that the file has.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A file has to be there already: who may read it is the choice of whoever made it. In an env file and in a userlist only
the lines that are named are replaced. No copy of the old contents is kept: it would be one more place with a secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import typing as t

from .._core.files import beside, replace_contents
from .._core.suggest import InputError, did_you_mean

TEXT, ENV, USERLIST = "text", "env", "userlist"
KINDS = (TEXT, ENV, USERLIST)

_FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./~!^*?-]*")
_LARGEST = 2**20

Fields = t.Mapping[str, str]


class PlacingError(Exception):
    """A file that cannot be read or written; the text names it and the cause."""


@dataclasses.dataclass(frozen=True)
class Placed:
    """One file of a consumer.

    :param values: of an env file, what each variable is to be.
    :param content: of a text, all of it; of a userlist, what stands for the password.
    """

    path: str
    kind: str
    content: str = ""
    values: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def check(self, known: t.Iterable[str]) -> None:
        """:raises InputError: for a field that the secret has not."""
        fields = sorted(known)
        for template in (self.content, *self.values.values()):
            for name in _FIELD.findall(template):
                if name not in fields:
                    raise InputError(f"{self.path}: {{{name}}} is unknown; {did_you_mean(name, fields)}")

    def is_right(self, fields: Fields) -> bool:
        """Whether the file says what it should."""
        present = _read(_real(self.path))
        return self._wanted(present, fields) == present

    def tidy(self) -> None:
        """Remove what a killed run left beside it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside(_real(self.path)))

    def write(self, fields: Fields) -> None:
        """:raises PlacingError: naming the file and the cause; then it is as it was."""
        path = _real(self.path)
        wanted = self._wanted(_read(path), fields)
        try:
            replace_contents(path, wanted.encode())
        except OSError as exc:
            raise PlacingError(f"{self.path} cannot be written: {exc.strerror or exc}") from None
        if _read(path) != wanted:
            raise PlacingError(f"{self.path} is not what was written")

    def drop(self, user: str) -> bool:
        """Take the lines of a user out of a userlist; whether there were any."""
        path = _real(self.path)
        present = _read(path)
        kept = [line for line in present.splitlines() if not _is_of(line, user)]
        if len(kept) == len(present.splitlines()):
            return False
        try:
            replace_contents(path, "".join(f"{line}\n" for line in kept).encode())
        except OSError as exc:
            raise PlacingError(f"{self.path} cannot be written: {exc.strerror or exc}") from None
        return True

    def _wanted(self, present: str, fields: Fields) -> str:
        if self.kind == TEXT:
            return filled(self.content, fields)
        if self.kind == ENV:
            return self._env(present, fields)
        return self._userlist(present, fields)

    def _env(self, present: str, fields: Fields) -> str:
        lines = present.splitlines()
        for name, template in self.values.items():
            value = filled(template, fields)
            pattern = re.compile(rf"(?P<before>\s*(?:export\s+)?{re.escape(name)}=)(?P<old>.*)")
            found = False
            for number, line in enumerate(lines):
                match = pattern.fullmatch(line)
                if match:
                    lines[number] = match.group("before") + self._quoted(name, value, match.group("old"))
                    found = True
            if not found:
                lines.append(f"{name}={self._quoted(name, value, '')}")
        return "\n".join(lines) + "\n"

    def _quoted(self, name: str, value: str, old: str) -> str:
        """The value, quoted as the one before it was: whoever reads the file knows no other way, perhaps."""
        mark = old[:1] if old[:1] in ("'", '"') else ""
        if not mark and _BARE.fullmatch(value):
            return value
        mark = mark or "'"
        wrong = (mark, "\n", "\r", "\0") if mark == "'" else (mark, "\\", "$", "`", "\n", "\r", "\0")
        if any(sign in value for sign in wrong):
            raise PlacingError(
                f"{self.path}: the value of {name} has signs that all readers of env files read otherwise"
            )
        return f"{mark}{value}{mark}"

    def _userlist(self, present: str, fields: Fields) -> str:
        user, secret = (_quoted(text) for text in (fields["username"], filled(self.content, fields)))
        wanted = f"{user} {secret}"
        lines = present.splitlines()
        mine = [number for number, line in enumerate(lines) if _is_of(line, fields["username"])]
        if not mine:
            return "\n".join([*lines, wanted]) + "\n"
        lines[mine[0]] = wanted
        return "\n".join(line for number, line in enumerate(lines) if number not in mine[1:]) + "\n"


def _quoted(text: str) -> str:
    """A word of a userlist."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _is_of(line: str, user: str) -> bool:
    """Whether a line of a userlist is that user's."""
    return line.lstrip().startswith(f"{_quoted(user)} ")


def filled(template: str, fields: Fields) -> str:
    """A template with what stands for its fields."""
    return _FIELD.sub(lambda match: fields[match.group(1)], template)


def _real(path: str) -> str:
    """The file itself, where the path is a link to it."""
    return os.path.realpath(path)


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise PlacingError(f"{path} is not there: make it, with the owner and mode that it is to have") from None
    except OSError as exc:
        raise PlacingError(f"{path} cannot be read: {exc.strerror}") from None
    if len(content) > _LARGEST:
        raise PlacingError(f"{path} has more than {_LARGEST} bytes: it is no file of secrets")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise PlacingError(f"{path} is not UTF-8") from None
