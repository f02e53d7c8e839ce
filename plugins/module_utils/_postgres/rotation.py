# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of a password rotation: what is set, tried out, watched and closed in PostgreSQL.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

It knows nothing of stores, labels and consumers. _secrets leads the steps and asks for these methods; the module puts
the two together.

Single: one role, whose password is replaced. Between the change and the moment at which the last consumer has the new
one, whoever logs in with the old one is refused. Alternating: two login roles that both act as one owner role, so that
all objects have one owner and all grants one place. The one that is not in use gets the new password, and both log in
until the old one is closed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
import typing as t
import urllib.parse

from . import rotation_login, rotation_roles
from .connection import Login, PostgresError, connect, is_standby, query, quote
from .rotation_failures import SERVER, FailedLogins, FileReader, ServerReader
from .rotation_login import Expected, Place, Uses
from .rotation_scram import salt_of, verifier

SINGLE, ALTERNATING = "single", "alternating"

_TASK = "secret"
_PAUSE = 0.5
_LOG_PATIENCE = 5


class Occupied(PostgresError):
    """Somebody else rotates this password now."""


class Unfit(PostgresError):
    """The roles are not as they must be; the text says what to do."""


class HasSecret(t.Protocol):
    """A version of the secret, as the store gave it."""

    @property
    def version(self) -> str: ...

    @property
    def value(self) -> t.Mapping[str, t.Any]: ...

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class DatabaseSettings:
    """Whose password it is, and where the application logs in."""

    users: tuple[str, ...]
    owner: str = ""
    databases: tuple[str, ...] = ("postgres",)
    app_host: str = ""
    app_port: int = 0
    app_ssl_mode: str = ""
    standbys: tuple[tuple[str, int], ...] = ()
    standby_timeout: int = 60
    statements: tuple[str, ...] = ()
    failed_logins_log: str = ""

    @property
    def strategy(self) -> str:
        return ALTERNATING if self.owner else SINGLE


class DatabasePassword:
    """One database password. L{busy} takes the lock that keeps all others out, wherever they run; L{close} ends it."""

    errors: tuple[type[Exception], ...] = (PostgresError,)

    def __init__(self, login: Login, settings: DatabaseSettings) -> None:
        self.login = login
        self.settings = settings
        self._conn: t.Any = None
        self._failed = self._failed_logins()

    @property
    def name(self) -> str:
        return f"{self.settings.owner or self.settings.users[0]} at {self.login.place}"

    @property
    def strategy(self) -> str:
        return self.settings.strategy

    @property
    def overlaps(self) -> bool:
        """Whether the old password is good until it is closed."""
        return self.strategy == ALTERNATING

    # -- the lock ------------------------------------------------------------------------------------------------

    def busy(self) -> str:
        """Take the lock: an empty text, or who has it."""
        try:
            self._admin()
        except Occupied as exc:
            return str(exc)
        return ""

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _admin(self) -> t.Any:
        """The administrator's session, which holds the lock; a new one when it was lost."""
        if self._conn is not None:
            try:
                query(self._conn, "SELECT 1")
                return self._conn
            except PostgresError:
                self.close()
        conn = connect(self.login, application=_TASK)
        try:
            for user in sorted(self.settings.users):
                if not query(conn, "SELECT pg_catalog.pg_try_advisory_lock(%s)", (_key(user),))[0][0]:
                    raise Occupied(f"the password of {user} is being rotated by another run{_holder(conn, user)}")
            if is_standby(conn):
                raise Unfit(f"{self.login.place} is a standby: roles are changed on its primary")
        except BaseException:
            conn.close()
            raise
        self._conn = conn
        return conn

    # -- looking -------------------------------------------------------------------------------------------------

    def moment(self) -> str:
        """The server's clock, in UTC."""
        return str(
            query(self._admin(), "SELECT (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::text || '+00'")[0][0]
        )

    def seconds_ago(self, seconds: float) -> str:
        """The moment of the server's clock that lies so long ago."""
        sql = "SELECT ((pg_catalog.clock_timestamp() - %s * interval '1 second') AT TIME ZONE 'UTC')::text || '+00'"
        return str(query(self._admin(), sql, (seconds,))[0][0])

    def opens(self, secret: HasSecret) -> bool:
        """Whether this version logs in, where the application does."""
        return rotation_login.opens(self._place(self.settings.databases[0]), secret.username, secret.password)

    def fits(self, secret: HasSecret) -> bool:
        """Whether a value that lies in the store is one of this password's at all."""
        return secret.username in self.settings.users and bool(secret.password)

    def prepare(self, current: HasSecret) -> dict[str, str]:
        """Who has the new password and who the old one, after looking whether they can.

        :raises Unfit: naming what has to be done first.
        """
        conn = self._admin()
        if current.username not in self.settings.users:
            known = " and ".join(self.settings.users)
            raise Unfit(f"the current secret is one of {current.username!r}, not of {known}: it is another's secret")
        lacking = rotation_roles.lacking(conn, self.settings.users)
        if lacking:
            raise Unfit(lacking)
        self.watch_failures()
        rotation_login.refuses_wrong(self._place(self.settings.databases[0]), current.username)
        self._must_see_failures(current.username)
        user = current.username
        if self.overlaps:
            user = next(name for name in self.settings.users if name != current.username)
            self._check_twins(conn, current.username, user)
        return {"user": user, "old_user": current.username}

    def others(self, user: str) -> list[str]:
        return [name for name in self.settings.users if name != user]

    # -- refused logins ------------------------------------------------------------------------------------------

    def _failed_logins(self) -> FailedLogins | None:
        source = self.settings.failed_logins_log
        if not source:
            return None
        return FailedLogins(ServerReader(self._admin) if source == SERVER else FileReader(source))

    def watch_failures(self) -> None:
        """Count refused logins from now on, where it is said where they are to be seen."""
        if self._failed:
            self._failed.begin()

    def failed_logins(self, user: str) -> int | None:
        """Refused logins of a role since then; nothing where nobody looks."""
        return self._failed.count(user) if self._failed else None

    def _must_see_failures(self, user: str) -> None:
        """The login that was refused just now has to be seen, or none would be."""
        deadline = time.monotonic() + _LOG_PATIENCE
        while self.failed_logins(user) == 0:
            if time.monotonic() >= deadline:
                raise Unfit(
                    f"a login of {user} was refused just now, and failed_logins_log {self.settings.failed_logins_log}"
                    " does not tell of it: it is another server's log, its words are not English and it has no"
                    " SQLSTATE (%e in log_line_prefix), or log_min_messages is above FATAL"
                )
            time.sleep(_PAUSE)

    def _check_twins(self, conn: t.Any, used: str, twin: str) -> None:
        owner = self.settings.owner
        role = rotation_roles.find_role(conn, used)
        if rotation_roles.find_role(conn, owner) is None:
            raise Unfit(f"there is no role {owner}, as which {used} and {twin} are to act: make it, with NOLOGIN")
        if role is None or owner not in role.member_of or role.acts_as != owner:
            name, own = quote(used), quote(owner)
            raise Unfit(
                f"{used} does not act as {owner}, so what it makes would belong to it alone. Once, in each database:"
                f" GRANT {own} TO {name}; ALTER ROLE {name} SET role TO {own}; REASSIGN OWNED BY {name} TO {own};"
            )
        uses = self._sessions(twin)
        if uses:
            raise Unfit(f"{twin} is to get a new password, but is in use: {'; '.join(map(str, uses))}")

    def owned(self) -> dict[str, int]:
        """How many objects belong to a login role, and not to the owner."""
        return rotation_roles.owned_by(self._admin(), self.settings.users) if self.overlaps else {}

    # -- the steps -----------------------------------------------------------------------------------------------

    def new_value(self, current: t.Mapping[str, t.Any], user: str, password: str) -> dict[str, t.Any]:
        """All that the current value has, with another password, of another user where they alternate."""
        return {**current, "username": user, "password": password}

    def set(self, secret: HasSecret, old: HasSecret | None) -> None:
        """Have the new password open the database; the old one, too, where they alternate."""
        conn = self._admin()
        if not self.overlaps:
            rotation_roles.set_password(conn, secret.username, self._verifier(secret))
            return
        model = rotation_roles.find_role(conn, old.username) if old else None
        if model is None:
            raise Unfit(f"there is no role {old.username if old else ''} after whose likeness its twin is made")
        rotation_roles.make_twin(conn, secret.username, model, self.settings.owner, self._verifier(secret))

    def reopen(self, old: HasSecret) -> None:
        """Have the old password open, and see that it does, before anybody is sent back to it."""
        if not (self.overlaps and self._still_opens(old)):
            rotation_roles.set_password(self._admin(), old.username, self._verifier(old), login=self.overlaps)
            if not self.opens(old):
                raise PostgresError(f"the old password of {old.username} does not log in although it was set again")

    def _still_opens(self, old: HasSecret) -> bool:
        try:
            return self.opens(old)
        except PostgresError:
            return False

    def set_back(self, secret: HasSecret | None, old: HasSecret | None) -> None:
        """Take L{set} back: the old password opens, and only then is the new one closed."""
        if old is None:
            raise PostgresError("the store has the old password no more, so the new one is not closed")
        self.reopen(old)
        conn = self._admin()
        if self.overlaps and secret and rotation_roles.find_role(conn, secret.username) is not None:
            rotation_roles.close_role(conn, secret.username)

    def test(self, secret: HasSecret, old: HasSecret | None) -> int:
        """Log in as the application does, in each of its databases and on each standby; how many logins that were.

        :raises PostgresError: naming what is not as it must be.
        """
        acts_as = self.settings.owner or secret.username
        if self.overlaps and old:
            conn = self._admin()
            twins = [rotation_roles.find_role(conn, name) for name in (old.username, secret.username)]
            apart = rotation_roles.differences(*twins) if all(twins) else ["one of them is gone"]  # type: ignore[arg-type]
            if apart:
                raise Unfit(f"{old.username} and {secret.username} are not alike: {'; '.join(apart)}")
        for number, database in enumerate(self.settings.databases):
            statements = () if number else self.settings.statements
            expected = Expected(secret.username, secret.password, acts_as, statements)
            rotation_login.try_out(self._place(database), expected)
        for standby in self._standby_places():
            self._wait_for_standby(standby, secret)
        return len(self.settings.databases) + len(self.settings.standbys)

    def _wait_for_standby(self, standby: Place, secret: HasSecret) -> None:
        """A standby knows the password once it has replayed the change."""
        deadline = time.monotonic() + self.settings.standby_timeout
        while not rotation_login.opens(standby, secret.username, secret.password):
            if time.monotonic() >= deadline:
                raise PostgresError(
                    f"the standby {standby.login.place} still refuses the new password of {secret.username} after"
                    f" {self.settings.standby_timeout} s: look at its replication"
                )
            time.sleep(_PAUSE)

    # -- who uses what -------------------------------------------------------------------------------------------

    def old_uses(self, old_user: str, user: str, since: str) -> list[str]:
        """Who was let in by the old password and is still there, on the primary and on each standby.

        :param since: the moment of the server's clock at which the new one was set.
        """
        return [str(use) for use in self._sessions(old_user, before="" if old_user != user else since)]

    def new_uses(self, user: str, after: str, application: str) -> list[str]:
        """Who was let in by the new password after a moment."""
        return [str(use) for use in self._sessions(user, after=after, application=application)]

    def end_old(self, old_user: str, user: str, since: str) -> int:
        """End all that the old password let in. On standbys, too."""
        before = None if old_user != user else since
        return sum(self._everywhere(lambda conn: [rotation_login.end_sessions(conn, old_user, before)]))

    def retire(self, old_user: str, user: str) -> None:
        """Close the role of the old password; with a single role there is nothing to close, it is replaced already."""
        if old_user != user:
            rotation_roles.close_role(self._admin(), old_user)

    def is_retired(self, old_user: str, user: str) -> bool:
        """Whether the old password's role lets nobody in; a single role has another password."""
        role = rotation_roles.find_role(self._admin(), old_user) if old_user != user else None
        return role is None or not role.attributes["login"]

    def _sessions(self, user: str, before: str = "", after: str = "", application: str = "") -> list[Uses]:
        return self._everywhere(
            lambda conn: rotation_login.sessions_of(conn, user, before or None, after or None, application)
        )

    def _everywhere(self, look: t.Callable[[t.Any], list[t.Any]]) -> list[t.Any]:
        """What there is to see on the primary and on each standby. One that cannot be seen is an error, not nothing."""
        found = look(self._admin())
        for host, port in self.settings.standbys:
            conn = connect(dataclasses.replace(self.login, host=host, port=port, unix_socket="", service=""))
            try:
                found += look(conn)
            finally:
                conn.close()
        return found

    # -- for consumers -------------------------------------------------------------------------------------------

    def fields(self, secret: HasSecret) -> dict[str, str]:
        """What may stand in a consumer's file: all that the value has, and what is made of it."""
        plain = {name: str(value) for name, value in secret.value.items() if isinstance(value, (str, int))}
        quoted = urllib.parse.quote(secret.password, safe="")
        return {**plain, "password_url": quoted, "verifier": self._verifier(secret)}

    def hidden(self, secret: HasSecret) -> t.AbstractSet[str]:
        """What of it must not be in anything that is told."""
        fields = self.fields(secret)
        return {fields[name] for name in ("password", "password_url", "verifier") if fields.get(name)}

    def _verifier(self, secret: HasSecret) -> str:
        return verifier(secret.password, salt_of(secret.version, secret.username))

    def _place(self, database: str) -> Place:
        login = self.login
        if self.settings.app_host:
            login = dataclasses.replace(login, host=self.settings.app_host, unix_socket="", service="")
        if self.settings.app_port:
            login = dataclasses.replace(login, port=self.settings.app_port)
        if self.settings.app_ssl_mode:
            login = dataclasses.replace(login, ssl_mode=self.settings.app_ssl_mode)
        return Place(login, database)

    def _standby_places(self) -> list[Place]:
        first = self._place(self.settings.databases[0])
        return [
            Place(dataclasses.replace(first.login, host=host, port=port, unix_socket="", service=""), first.database)
            for host, port in self.settings.standbys
        ]


def _key(user: str) -> int:
    """The advisory lock of a role's password: the same for everybody who logs in to the same login_database."""
    return int.from_bytes(hashlib.sha256(f"steward.secret\0{user}".encode()).digest()[:8], "big", signed=True)


def _holder(conn: t.Any, user: str) -> str:
    key = _key(user)
    rows = query(
        conn,
        "SELECT pid, coalesce(pg_catalog.host(client_addr), 'a socket') FROM pg_catalog.pg_locks"
        " JOIN pg_catalog.pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND classid = %s::bigint::oid AND objid = %s::bigint::oid AND objsubid = 1"
        " AND granted",
        ((key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF),
    )
    return f" (server process {rows[0][0]}, from {rows[0][1]})" if rows else ""
