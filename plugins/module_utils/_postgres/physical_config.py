# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration file for pgBackRest: composed of settings and secrets, written whole, readable for its group only.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import grp
import os
import re
import tempfile
import typing as t

from .._core.result import Result, ok_or_findings
from .._core.suggest import InputError
from .connection import PostgresError, one_line
from .durable import flush
from .processes import account_for

_MODE = 0o640
_MASK = "********"
_SECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?::[a-z-]+)?")
_OPTION = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
#: Options whose value is a secret: keys, tokens and passphrases, not the paths of files with them.
_SECRET = re.compile(r"repo\d+-(?:cipher-pass|s3-key-secret|s3-token|azure-key|sftp-private-key-passphrase|gcs-token)")
#: What is not shown either, although it may stand among the settings.
_MASKED = rf"(?:{_SECRET.pattern}|repo\d+-s3-key)"
_NOTE = "# Written by steward.maintenance; what is changed here by hand is overwritten by its next run.\n"

Value = t.Union[str, int, bool, t.Sequence[t.Any]]


def compose(settings: t.Mapping[str, t.Any], secrets: t.Mapping[str, t.Any]) -> str:
    """The text of the file: sections as pgBackRest knows them, and the secrets in the section ``global``.

    :raises InputError: naming the key, the value where it is no secret, and what would be right.
    """
    if not settings:
        raise InputError(
            'settings is empty: give sections with options, like {"global": {"repo1-path": "/srv/backup"}}'
        )
    sections: dict[str, list[str]] = {"global": []}
    for section, options in settings.items():
        if not _SECTION.fullmatch(str(section)):
            raise InputError(f'settings: section {section!r} is no name: write "global" or the name of a stanza')
        if not isinstance(options, dict):
            raise InputError(f"settings: section {section!r} is not a dictionary: give the options and their values")
        lines = sections.setdefault(str(section), [])
        for name, value in options.items():
            _require_option("settings", name)
            if _SECRET.fullmatch(name):
                raise InputError(f"settings: {name} is a secret: give it in secrets, which is never shown")
            lines += [f"{name}={word}" for word in _words(name, value)]
    for name, value in secrets.items():
        _require_option("secrets", name)
        if not isinstance(value, str) or not value or _has_break(value):
            raise InputError(f"secrets: {name} must be a text of one line (its value is not shown)")
        sections["global"].append(f"{name}={value}")
    return _NOTE + "".join(
        f"\n[{section}]\n" + "".join(f"{line}\n" for line in lines) for section, lines in sections.items()
    )


def _require_option(where: str, name: object) -> None:
    if not isinstance(name, str) or not _OPTION.fullmatch(name):
        raise InputError(f'{where}: option {name!r} is no name: write it as pgBackRest does, like "repo1-path"')


def _words(name: str, value: Value) -> list[str]:
    """An option may stand there several times; yes and no are y and n."""
    if isinstance(value, bool):
        return ["y" if value else "n"]
    if isinstance(value, (list, tuple)):
        return [word for one in value for word in _words(name, one)]
    if not isinstance(value, (str, int)) or _has_break(str(value)) or str(value).strip() == "":
        raise InputError(f"settings: {name} is {value!r}: give a text of one line, a number, true, false or a list")
    return [str(value)]


def _has_break(value: str) -> bool:
    return any(ord(letter) < 32 for letter in value)


def masked(text: str) -> str:
    """The file for a diff: what is a secret is not in it, whoever wrote it."""

    def hide(match: t.Match[str]) -> str:
        return f"{match.group(1)}{_MASK}"

    return re.sub(rf"^(\s*{_MASKED}\s*=).*$", hide, text, flags=re.MULTILINE)


def read(path: str) -> str:
    """What is there; nothing where there is no file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def is_as_wanted(path: str, text: str, gid: int) -> bool:
    """Whether the file has this text, and nobody but its owner and the group can read it."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return found.st_mode & 0o7777 == _MODE and found.st_gid == gid and read(path) == text


def group_id(group: str) -> int:
    """The group that is to read the file; when none is named, that of the account that pgBackRest runs as.

    :raises InputError: when there is no such group.
    """
    if not group:
        account = account_for()
        return account.gid if account else os.getegid()
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise InputError(f"group is {group!r}: there is no such group on this host") from None


def write(path: str, text: str, gid: int) -> None:
    """Write it under another name that only the owner reads, then let it take its place.

    :raises InputError: when the directory that its own would be in is not there.
    """
    directory = os.path.dirname(path)
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise InputError(
            f"path is {path!r}: there is no directory {os.path.dirname(directory)}; make it first"
        ) from None
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fchown(handle.fileno(), -1, gid)
            os.fchmod(handle.fileno(), _MODE)
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    flush(directory)


def configure(
    path: str, settings: t.Mapping[str, t.Any], secrets: t.Mapping[str, t.Any], group: str, check: bool
) -> tuple[Result, bool, dict[str, str]]:
    """Have the file as it should be: the result, whether something was changed, and the diff.

    :raises InputError: for what cannot be right, before anything is touched.
    """
    text = compose(settings, secrets)
    try:
        gid = group_id(group)
        if is_as_wanted(path, text, gid):
            return (
                ok_or_findings(f"the configuration of pgBackRest in {path} is as it should be", (), {}, 1, 1),
                False,
                {},
            )
        diff = {"before": masked(read(path)), "after": masked(text)}
        if not check:
            write(path, text, gid)
    except (OSError, PostgresError) as exc:
        return Result("failed", f"{path} was not written", one_line(exc), of=1), False, {}
    done = "would be" if check else "was"
    return ok_or_findings(f"the configuration of pgBackRest {done} written to {path}", (), {}, 1, 1), True, diff
