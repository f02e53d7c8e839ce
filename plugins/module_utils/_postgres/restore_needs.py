# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup needs of the server that it is restored into, asked before anything is touched.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core.result import Finding
from .._core.sizes import format_size
from .backup_sets import BackupSet
from .binaries import find_binary
from .connection import Login, PostgresError, StatementError, query, quote, server_version
from .headroom import is_local
from .processes import run
from .restore_catalog import Database
from .restore_choice import Choice
from .restore_opening import Opening
from .restore_rights import missing_rights

_GROWTH = 1.2
_MOST_NAMED = 5

#: Can be created, and restored, without being preloaded.
_NEEDS_NO_PRELOAD = ("pg_stat_statements",)

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
#: The lines of a schema's script that name a role: owners, grants, policies, user mappings, default privileges.
_ROLE_LINE = re.compile(r"(?:ALTER|GRANT|REVOKE|CREATE POLICY|CREATE USER MAPPING|SET SESSION AUTHORIZATION)\b.*")
_ROLE = re.compile(rf"\b(?:OWNER TO|TO|FROM|FOR ROLE|FOR|AUTHORIZATION|GRANTED BY) ({_NAME}(?:, {_NAME})*)")
_TABLESPACE = re.compile(rf"SET default_tablespace = ({_NAME});")

_AVAILABLE = """
SELECT name, bool_or(superuser), bool_or(trusted) FROM pg_available_extension_versions GROUP BY name"""

_KNOWN_LOCALES = (
    "SELECT datcollate FROM pg_database UNION SELECT collcollate FROM pg_collation WHERE collprovider = 'c'"
)

# What the system or ICU says of a locale is asked by a collation that is never committed.
_PROBE_LIBC = "CREATE COLLATION pg_temp.steward_probe (provider = libc, lc_collate = %s, lc_ctype = %s)"
_PROBE_ICU = "CREATE COLLATION pg_temp.steward_probe (provider = icu, locale = %s)"
_PROBE_ICU_RULES = "CREATE COLLATION pg_temp.steward_probe (provider = icu, locale = %s, rules = %s)"
#: SQLSTATEs of a locale or rules that nobody here knows, and of a server without ICU.
_NO_SUCH_LOCALE = ("22023", "0A000", "XX000")

_PLACE = """
SELECT CASE WHEN spcname = 'pg_default' THEN (SELECT setting FROM pg_settings WHERE name = 'data_directory')
  ELSE pg_tablespace_location(oid) END
FROM pg_tablespace WHERE spcname = %s"""


@dataclasses.dataclass
class Needs:
    """What is missing (each a sentence that names it), and what somebody should know all the same."""

    problems: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    missing_roles: list[str] = dataclasses.field(default_factory=list)
    needed_bytes: int = 0
    free_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Extent:
    """How much of what a backup says is to come back.

    :param create_roles: whether those that are missing are created.
    :param with_owners: whether everything gets its owner, and the database its place.
    """

    create_roles: bool
    with_tablespaces: bool = True
    with_owners: bool = True


def require_version(backup: BackupSet, version: int, bin_dir: str) -> str:
    """The path of the server's own pg_restore.

    :raises PostgresError: when the server is older than the backup, or when its programs are not there.
    """
    major = version // 10000
    made_by = backup.manifest["server"]["version_number"] // 10000
    if major < made_by:
        raise PostgresError(
            f"backup {backup.name} is of PostgreSQL {made_by} and the server is {major}: a dump can only be restored"
            " into the same or a newer major version"
        )
    return find_binary("pg_restore", major, bin_dir)


def look(
    conn: t.Any,
    login: Login,
    choice: Choice,
    opening: Opening,
    live: Database | None,
    pg_restore: str,
    extent: Extent,
) -> Needs:
    """All that is missing, not only the first of it: a person at three in the morning wants to mend it once."""
    needs = Needs()
    opening.require(choice.backup)
    with opening.contents(choice.backup, choice.entry) as source:
        script = run([pg_restore, "--schema-only", "--file=-", source])
        listed = run([pg_restore, "--list", source])
    _look_at_roles(conn, choice, script, listed, extent.create_roles, needs)
    if extent.with_owners:
        owner = live.properties.owner if live else str(choice.entry["owner"])
        needs.problems += missing_rights(conn, script, owner, needs.missing_roles, replaces=live is not None)
    _look_at_extensions(conn, choice, needs)
    if extent.with_tablespaces:
        _look_at_tablespaces(conn, choice, script, live, needs)
    _look_at_locale(conn, choice, live, needs)
    _look_at_space(conn, login, choice, tablespace_for(choice, live, extent.with_tablespaces), needs)
    return needs


def tablespace_for(choice: Choice, live: Database | None, with_tablespaces: bool) -> str:
    """Where the copy goes: where the database is that it replaces, else where it was."""
    if live is not None:
        return live.tablespace
    return str(choice.entry["tablespace"]) if with_tablespaces else "pg_default"


def roles_in(script: str, listed: str, known: t.Collection[str]) -> set[str]:
    """The roles of the manifest that a dump names, as owner or otherwise."""
    found: set[str] = set()
    for line in script.splitlines():
        if _ROLE_LINE.match(line):
            for group in _ROLE.findall(line):
                found.update(_unquoted(name) for name in re.findall(_NAME, group))
    # The list ends each line with the owner; large objects stand in no script.
    for line in listed.splitlines():
        found.update(role for role in known if not line.startswith(";") and line.endswith(f" {role}"))
    return found & set(known)


def tablespaces_in(script: str) -> set[str]:
    return {_unquoted(name) for name in _TABLESPACE.findall(script)} - {""}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _look_at_roles(conn: t.Any, choice: Choice, script: str, listed: str, create_roles: bool, needs: Needs) -> None:
    entry = choice.entry
    wanted = roles_in(script, listed, choice.backup.manifest["roles"])
    wanted |= {entry["owner"], *(role for role, _setting in entry["settings"] if role)}
    for item in entry.get("acl") or ():
        wanted |= {_unquoted(word) for word in _acl_roles(item)}
    there = {name for (name,) in query(conn, "SELECT rolname FROM pg_roles")}
    needs.missing_roles = sorted(wanted - there)
    if needs.missing_roles and not create_roles:
        what = f"roles are missing on the server: {_first(needs.missing_roles)}"
        needs.problems.append(f"{what}; create them, or let create_roles=true take them from the backup's globals")


def _acl_roles(item: str) -> list[str]:
    """Grantee and grantor of "reader=c/owner"; nobody for the public."""
    grantee, _equals, rest = item.rpartition("=")
    return [word for word in (grantee, rest.partition("/")[2]) if word]


def _look_at_extensions(conn: t.Any, choice: Choice, needs: Needs) -> None:
    wanted = choice.entry["extensions"]
    available = {name: (superuser, trusted) for name, superuser, trusted in query(conn, _AVAILABLE)}
    missing = sorted(set(wanted) - set(available))
    if missing:
        what = f"extensions are not installed on the server's host: {_first(missing)}"
        needs.problems.append(f"{what}; install their packages")
    if not query(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]:
        barred = [name for name in sorted(wanted) if name in available and available[name] == (True, False)]
        if barred:
            needs.problems.append(f"only a superuser can create the extensions {_first(barred)}: log in as one")
    wants = [
        name
        for name in choice.backup.manifest["server"].get("preload_libraries", [])
        if name in wanted and name not in _NEEDS_NO_PRELOAD
    ]
    if wants:
        _look_at_preloaded(conn, wants, needs)


def _look_at_preloaded(conn: t.Any, wants: t.Sequence[str], needs: Needs) -> None:
    rows = query(conn, "SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'")
    there = {word.strip() for word in rows[0][0].split(",")} if rows else set()
    for name in wants:
        if name not in there:
            where = "is not here" if rows else "may not be here, which this login may not see"
            message = f"extension {name} was preloaded where the backup was made and {where}: its creation may fail"
            action = f"add {name} to shared_preload_libraries and restart the server"
            if not rows:
                action = f"GRANT pg_read_all_settings to the login, or look yourself: {action}"
            needs.findings.append(Finding("restore-not-preloaded", "medium", name, message, action=action))


def _look_at_tablespaces(conn: t.Any, choice: Choice, script: str, live: Database | None, needs: Needs) -> None:
    wanted = tablespaces_in(script) | ({choice.entry["tablespace"]} if live is None else set())
    there = {name for (name,) in query(conn, "SELECT spcname FROM pg_tablespace")}
    missing = sorted(wanted - there)
    if missing:
        what = f"tablespaces are missing on the server: {_first(missing)}"
        needs.problems.append(f"{what}; create them, or let ignore_tablespaces=true put all into the default one")


def _look_at_locale(conn: t.Any, choice: Choice, live: Database | None, needs: Needs) -> None:
    entry = choice.entry
    if server_version(conn) < 150000 and entry.get("locale_provider", "c") != "c":
        needs.problems.append("the database sorts by ICU, which PostgreSQL 13 and 14 do not offer for a database")
    refused = _refused_locale(conn, entry)
    if refused:
        needs.problems.append(refused)
    known = {_plain(name) for (name,) in query(conn, _KNOWN_LOCALES) if name}
    for name in sorted({entry["collate"], entry["ctype"]}):
        if not refused and _plain(name) not in known | {"c", "posix"}:
            message = f"nothing on the server uses the locale {name} yet: only the creation of the copy will tell"
            action = "generate the locale on the server's host, when the restore fails for it"
            needs.findings.append(Finding("restore-locale-unknown", "low", entry["name"], message, action=action))
    if live is not None:
        now = (live.encoding, live.collate, live.ctype)
        then = (entry["encoding"], entry["collate"], entry["ctype"])
        if now != then:
            message = (
                f"encoding and locale are {', '.join(then)} in the backup and {', '.join(now)} in the database in use"
            )
            action = "the restored database has those of the backup; look whether the application minds"
            needs.findings.append(Finding("restore-other-locale", "medium", entry["name"], message, action=action))


def _refused_locale(conn: t.Any, entry: t.Mapping[str, t.Any]) -> str:
    """Why the server cannot have a database of that locale; empty when it can, or when it cannot be asked."""
    collate, ctype = entry["collate"], entry["ctype"]
    reason = _why_refused(conn, _PROBE_LIBC, collate, ctype)
    if reason:
        names = " and ".join(dict.fromkeys((collate, ctype)))
        return f"the server's host has no locale {names} ({reason}): generate it there, and restart the server"
    if entry.get("locale_provider") != "i" or query(conn, "SHOW server_encoding") != [("UTF8",)]:
        return ""
    rules = entry.get("icu_rules")
    reason = _why_refused(
        conn, *((_PROBE_ICU_RULES, entry["locale"], rules) if rules else (_PROBE_ICU, entry["locale"]))
    )
    with_rules = f" with the rules {rules}" if rules else ""
    return f"the server's ICU does not take the locale {entry['locale']}{with_rules}: {reason}" if reason else ""


def _why_refused(conn: t.Any, probe: str, *words: str) -> str:
    query(conn, "BEGIN")
    try:
        query(conn, probe, words)
    except StatementError as exc:
        if exc.connection_lost:
            raise
        # Another reason, such as a missing right or the encoding of the database that we are in, says nothing of it.
        return str(exc) if exc.sqlstate in _NO_SUCH_LOCALE else ""
    finally:
        query(conn, "ROLLBACK")
    return ""


def _plain(locale: str) -> str:
    """Systems write the same locale as en_US.UTF-8 and en_US.utf8."""
    return locale.lower().replace("-", "")


def _look_at_space(conn: t.Any, login: Login, choice: Choice, tablespace: str, needs: Needs) -> None:
    needs.needed_bytes = int(int(choice.entry["bytes"]) * _GROWTH)
    rows = query(conn, _PLACE, (tablespace,))
    place = rows[0][0] if rows else ""
    try:
        room = os.statvfs(place) if place and is_local(login.host or login.unix_socket) else None
    except OSError:
        room = None
    if room is None:
        message = f"the server's disk cannot be seen from here; the copy needs about {format_size(needs.needed_bytes)}"
        action = "look at the free space of the server before a large restore, or run this on the server's own host"
        needs.findings.append(Finding("restore-space-unseen", "info", choice.entry["name"], message, action=action))
        return
    needs.free_bytes = room.f_bavail * room.f_frsize
    if needs.free_bytes < needs.needed_bytes:
        sizes = f"{format_size(needs.needed_bytes)}, {format_size(needs.free_bytes)} are free"
        needs.problems.append(f"not enough space in {place}: the restored copy needs about {sizes}")


def stays_behind(conn: t.Any, live: Database | None) -> list[Finding]:
    """What belongs to the database in use and cannot come along: it stays with the old one."""
    if live is None:
        return []
    found = []
    slots = [
        name for (name,) in query(conn, "SELECT slot_name FROM pg_replication_slots WHERE datoid = %s", (live.oid,))
    ]
    if slots:
        message = f"logical replication slots stay with the old database: {_first(slots)}"
        action = "create them again for the restored database, and let their consumers start anew"
        found.append(Finding("restore-slots-stay", "high", live.name, message, len(slots), action=action))
    return found


def require_no_prepared(conn: t.Any, live: Database | None) -> None:
    """:raises PostgresError: naming the prepared transactions, for a database that has one cannot be renamed."""
    held = query(conn, "SELECT gid FROM pg_prepared_xacts WHERE database = %s", (live.name,)) if live else []
    if held and live:
        names = _first([gid for (gid,) in held])
        raise PostgresError(
            f"database {quote(live.name)} has prepared transactions ({names}) and cannot be renamed: COMMIT PREPARED or"
            " ROLLBACK PREPARED them first"
        )


def _first(names: t.Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
