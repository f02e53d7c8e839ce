# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server was set to: its settings, and the files that say who may log in. A dump has none of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .connection import StatementError, query

#: The settings as one file, and the directory below which the server's files lie under their own paths.
SETTINGS = "server.settings.json"
FILES = "server.files"

# What was set for this session, or computed, is not the server's.
_SETTINGS = """
SELECT name, setting, unit, source, sourcefile, pending_restart FROM pg_settings
WHERE source NOT IN ('default', 'override', 'client', 'session', 'interactive', 'test')
ORDER BY 1"""

_PLACES = """
SELECT current_setting('config_file'), current_setting('hba_file'), current_setting('ident_file'),
  current_setting('data_directory') || '/postgresql.auto.conf'"""

_INCLUDED = "SELECT DISTINCT sourcefile FROM pg_file_settings ORDER BY 1"
_CONTENTS = "SELECT pg_read_binary_file(%s, 0, 100000000, true)"
_RULES = "SELECT to_jsonb(r) FROM pg_hba_file_rules r"


@dataclasses.dataclass
class Saved:
    """What could be read: contents by path below the backup; and what could not, with the reason."""

    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)


def server_settings(conn: t.Any) -> Saved:
    """Everything that this login may read, and what it may not."""
    saved = Saved()
    settings: dict[str, t.Any] = {
        "settings": [
            {
                "name": name,
                "setting": setting,
                "unit": unit,
                "source": source,
                "file": place,
                "pending_restart": pending,
            }
            for name, setting, unit, source, place, pending in query(conn, _SETTINGS)
        ]
    }
    places = _ask(conn, _PLACES, saved, "the places of the server's files")
    if places:
        config, hba, ident, auto = places[0]
        included = [name for (name,) in _ask(conn, _INCLUDED, saved, "the list of included files")]
        for path in dict.fromkeys([config, auto, hba, ident, *included]):
            if path:
                _read(conn, path, saved)
        if hba in saved.missing:
            rules = _ask(conn, _RULES, saved, "pg_hba_file_rules")
            if rules:
                settings["hba_rules"] = [rule for (rule,) in rules]
    saved.files[SETTINGS] = (json.dumps(settings, indent=1, ensure_ascii=False) + "\n").encode("utf-8")
    return saved


def _ask(conn: t.Any, sql: str, saved: Saved, what: str, parameters: t.Any = None) -> list[t.Any]:
    try:
        return query(conn, sql, parameters)
    except StatementError as exc:
        if exc.connection_lost:
            raise
        saved.missing[what] = str(exc)
        return []


def _read(conn: t.Any, path: str, saved: Saved) -> None:
    """A file as the server sees it, which may be on another host; one that is not there is no loss."""
    rows = _ask(conn, _CONTENTS, saved, path, (path,))
    if rows and rows[0][0] is not None:
        saved.files[os.path.join(FILES, _below(path))] = bytes(rows[0][0])


def _below(path: str) -> str:
    """An absolute path as a relative one that cannot lead out of the backup."""
    return os.path.normpath("/" + path).lstrip("/")
