# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How VACUUM and ANALYZE are to be done, and what this server cannot do so.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.suggest import InputError, did_you_mean
from . import catalog_tables
from .connection import Login, StatementError, connect, query, server_version

_PG14, _PG16 = 140000, 160000

#: What VACUUM (PARALLEL n) takes; it is no setting that the server would tell.
_MOST_PARALLEL_WORKERS = 1024

_NEEDS = {
    "process_toast": _PG14,
    "process_main": _PG16,
    "buffer_usage_limit": _PG16,
}

#: Options that are settings of the server, which knows their range.
_SETTINGS = {
    "cost_delay": "vacuum_cost_delay",
    "cost_limit": "vacuum_cost_limit",
    "buffer_usage_limit": "vacuum_buffer_usage_limit",
}

_FOR_VACUUM_ONLY = ("parallel_workers", "index_cleanup", "truncate", "process_toast", "process_main", "freeze")


#: Documented by the module postgres_vacuum; what is not given is left to the server.
OPTION_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "cost_delay": {"type": "float"},
    "cost_limit": {"type": "int"},
    "buffer_usage_limit": {"type": "str"},
    "parallel_workers": {"type": "int"},
    "index_cleanup": {"type": "str", "choices": ["auto", "on", "off"]},
    "truncate": {"type": "bool"},
    "process_toast": {"type": "bool"},
    "process_main": {"type": "bool"},
    "freeze": {"type": "bool", "default": False},
    "skip_tables": {"type": "list", "elements": "str", "default": []},
}


@dataclasses.dataclass(frozen=True)
class Options:
    """None leaves it to the server."""

    cost_delay: float | None = None  # milliseconds
    cost_limit: int | None = None
    buffer_usage_limit: str | None = None
    parallel_workers: int | None = None
    index_cleanup: str | None = None  # auto, on, off
    truncate: bool | None = None
    process_toast: bool | None = None
    process_main: bool | None = None
    freeze: bool = False
    skip_tables: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, str]:
        """What a session must set."""
        given = {setting: getattr(self, name) for name, setting in _SETTINGS.items()}
        return {setting: str(value) for setting, value in given.items() if value is not None}

    def words(self) -> list[str]:
        """What stands in the brackets behind VACUUM."""
        given = {
            "PARALLEL": self.parallel_workers,
            "INDEX_CLEANUP": self.index_cleanup,
            "TRUNCATE": self.truncate,
            "PROCESS_TOAST": self.process_toast,
            "PROCESS_MAIN": self.process_main,
        }
        words = ["FREEZE"] if self.freeze else []
        return words + [f"{word} {value}".upper() for word, value in given.items() if value is not None]

    def check(self, task: str) -> None:
        """
        :raises InputError: for what no server can do.
        """
        wrong = [name for name in _FOR_VACUUM_ONLY if getattr(self, name) is not None]
        wrong = [name for name in wrong if name != "freeze" or self.freeze]
        if task != "vacuum" and wrong:
            raise InputError(f"{wrong[0]} is an option of VACUUM: task {task!r} has no use for it")
        if self.parallel_workers is not None and not 0 <= self.parallel_workers <= _MOST_PARALLEL_WORKERS:
            right = f"it must be between 0 and {_MOST_PARALLEL_WORKERS}"
            raise InputError(f"parallel_workers is {self.parallel_workers}: {right}")
        if self.process_toast is False and self.process_main is False:
            raise InputError("process_toast and process_main are both false: nothing would be vacuumed")

    def check_on(self, login: Login, conn: t.Any, databases: t.Sequence[str]) -> None:
        """
        :raises InputError: for what this server cannot do, naming the option.
        """
        needs = {name: least for name, least in _NEEDS.items() if getattr(self, name) is not None}
        if self.index_cleanup == "auto":
            needs["index_cleanup auto"] = _PG14
        version = server_version(conn)
        for name, least in needs.items():
            if version < least:
                here = f"the server at {login.place} is {version // 10000}.{version % 10000}"
                raise InputError(f"{name} needs PostgreSQL {least // 10000}, {here}")
        for name, setting in _SETTINGS.items():
            value = getattr(self, name)
            if value is None:
                continue
            try:  # for this one query only: the server says whether it would take it
                query(conn, "SELECT pg_catalog.set_config(%s, %s, true)", (setting, str(value)))
            except StatementError as exc:
                if exc.connection_lost:
                    raise
                raise InputError(f"{name} is {value}: {exc}") from None
        self._check_skipped(login, databases)

    def _check_skipped(self, login: Login, databases: t.Sequence[str]) -> None:
        unknown, existing = set(self.skip_tables), set()
        for database in databases if unknown else ():
            conn = connect(login, database, "list")
            try:
                existing |= catalog_tables.names(conn)
            finally:
                conn.close()
        for name in sorted(unknown - existing):
            near = did_you_mean(name, existing) if len(existing) < 1000 else "write it as schema.table"
            raise InputError(f"skip_tables: there is no table {name!r} in {', '.join(databases)}; {near}")


def options_from(params: t.Mapping[str, t.Any]) -> Options:
    """The options that the module's parameters describe.

    :raises InputError: for what no server can do.
    """
    given = {name: params[name] for name in OPTION_ARGUMENTS if name != "skip_tables"}
    options = Options(**given, skip_tables=tuple(params["skip_tables"]))
    options.check(params["task"])
    return options
