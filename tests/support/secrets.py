# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application's role on a real server, its password in a real store of encrypted files, and rotations of it."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import traceback
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import Journal
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import (
    rotation,
    rotation_login,
    rotation_roles,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.connection import (
    Login,
    PostgresError,
    connect,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation import (
    DatabasePassword,
    DatabaseSettings,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.placing import ENV, Placed
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rollback import roll_back
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate import rotate
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotation import Others, Policy
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import Secret, Store, new_token
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_files import Files
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.work import Need, Outcome, Work

from .canary import RIGHT
from .postgres import PrivatePostgres, wait_for

SINGLE, ALTERNATING = "single", "alternating"
USER, TWIN, OWNER, DATABASE = "shop_a", "shop_b", "shop_owner", "shop_secrets"
#: The password with which all begins: the canary.
FIRST = RIGHT
DAY = 86400
_NEWEST = 4


def age_key(directory: pathlib.Path) -> tuple[str, str]:
    """A new key pair of age: the path of the private key, and the public key."""
    path = directory / "identity"
    if not path.exists():
        subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", str(path)], check=True, capture_output=True, text=True)
    return str(path), public.stdout.strip()


def files_store(directory: pathlib.Path, name: str = "shop") -> Files:
    identity, recipient = age_key(directory)
    place = directory / "store"
    place.mkdir(mode=0o700, exist_ok=True)
    return Files(str(place), name, (recipient,), identity)


def vault_files_store(directory: pathlib.Path, name: str = "shop") -> Files:
    """The same with a password of ansible-vault."""
    place, password = directory / "store", directory / "vault-password"
    place.mkdir(mode=0o700, exist_ok=True)
    password.write_text("drei lange Worte\n")
    password.chmod(0o600)
    return Files(str(place), name, (), "", str(password))


def make_older(store: Files, days: float) -> None:
    """Have every version of the store made so many days ago."""
    path = pathlib.Path(store.place, "index.json")
    content = json.loads(path.read_text())
    for entry in content["versions"].values():
        entry["created"] = write_time(utc_now() - _days(days))
    path.write_text(json.dumps(content))


def _days(days: float) -> t.Any:
    import datetime

    return datetime.timedelta(days=days)


@dataclasses.dataclass
class Shop:
    """One strategy's roles on a server, and everything of a rotation below one directory."""

    server: PrivatePostgres
    directory: pathlib.Path
    strategy: str
    store: Store
    consumers: tuple[Consumer, ...] = ()
    health: Health = dataclasses.field(default_factory=Health)
    policy: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    target: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    login: Login | None = None
    others: Others = dataclasses.field(default_factory=Others)

    @property
    def settings(self) -> DatabaseSettings:
        roles: dict[str, t.Any] = {"users": (USER,)}
        if self.strategy == ALTERNATING:
            roles = {"users": (USER, TWIN), "owner": OWNER}
        return DatabaseSettings(**{"databases": (DATABASE,), **roles, **self.target})

    @property
    def admin(self) -> Login:
        return self.login or self.server.login

    def make_roles(self) -> None:
        """The roles as they are before the first rotation, and a table of the application."""
        drop_roles(self.server)
        run = self.server.run_sql
        run(f"CREATE ROLE {OWNER} NOLOGIN")
        run(f"CREATE ROLE {USER} LOGIN PASSWORD '{FIRST}'")
        owner = USER
        if self.strategy == ALTERNATING:
            owner = OWNER
            run(f"GRANT {OWNER} TO {USER}")
            run(f"ALTER ROLE {USER} SET role TO {OWNER}")
        run(f"CREATE DATABASE {DATABASE} OWNER {owner}")
        run(f"CREATE TABLE orders (id int); ALTER TABLE orders OWNER TO {owner}", DATABASE)

    def fill_store(self) -> Secret:
        secret = Secret(
            new_token(), {"username": USER, "password": FIRST, "host": "127.0.0.1", "port": self.server.port}
        )
        self.store.create_first(secret.version, secret.value)
        return secret

    def work(self, **need: t.Any) -> Work:
        policy = {"observe_for": 0, "observe_timeout": 5, "old_sessions": "wait", **self.policy}
        return Work(
            store=self.store,
            target=DatabasePassword(self.admin, self.settings),  # type: ignore[arg-type]
            consumers=self.consumers,
            health=self.health,
            policy=Policy(**policy),
            need=Need(**{"period": 90 * DAY, "force": True, **need}),
            state_dir=str(self.directory / "state"),
            others=self.others,
        )

    def roll_back(self) -> tuple[Result, Outcome]:
        outcome = Outcome()
        return roll_back(self.work(), False, outcome), outcome

    def rotate(self, check: bool = False, **need: t.Any) -> tuple[Result, Outcome]:
        outcome = Outcome()
        return rotate(self.work(**need), check, outcome), outcome

    def logs_in(self, secret: Secret | None) -> bool:
        return secret is not None and logs_in(self.server, secret.username, secret.password)

    def current(self) -> Secret:
        secret = self.store.read("current")
        assert secret is not None
        return secret

    def journal(self) -> list[dict[str, t.Any]]:
        with Journal(str(self.directory / "state"), self.work().subject) as journal:
            path = pathlib.Path(journal.path)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def events(self) -> list[dict[str, t.Any]]:
        """The journal of a rotation that another thread is leading now."""
        found = list((self.directory / "state").glob("*.journal"))
        return [json.loads(line) for line in found[0].read_text().splitlines()] if found else []

    def rotate_and_be_killed(self, point: str | int, **need: t.Any) -> bool:
        """Rotate in a process of its own that is killed with SIGKILL at a point; False when it did not come there.

        Points are the lines of the journal, "intent set" or "done set", before ("-") and after ("+") they are written,
        or numbers, see L{kill_at_call}.
        """
        child = os.fork()
        if child == 0:
            try:
                kill_at_line(point) if isinstance(point, str) else kill_at_call(point)
                result, _outcome = self.rotate(**need)
                os._exit(0 if result.verdict in ("ok", "findings") else 3)
            except BaseException:  # noqa: BLE001 - reported by its exit status
                traceback.print_exc()
                os._exit(9)
        _pid, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            # The server holds its lock until it notices.
            ours = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'steward.maintenance:secret'"
            wait_for(lambda: not self.server.run_sql(ours), "the end of the killed run's session")
            return True
        assert os.WEXITSTATUS(status) in (0, 3)
        return False


def kill_at_call(number: int) -> None:
    """Kill this process before the so-manieth statement, write to disk or renaming that it makes from now on."""
    left = [number]

    def counted(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def call(*args: t.Any, **words: t.Any) -> t.Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **words)

        return call

    for module in (rotation, rotation_roles, rotation_login):
        module.query = counted(module.query)  # type: ignore[attr-defined]
        if hasattr(module, "connect"):
            module.connect = counted(module.connect)
    os.fsync, os.rename = counted(os.fsync), counted(os.rename)


def kill_at_line(point: str) -> None:
    when, wanted = point[0], point[1:]
    append = Journal._append

    def appending(self: Journal, event: dict[str, t.Any]) -> None:
        here = f"{event['event']} {event.get('step', '')}".strip() == wanted
        if here and when == "-":
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, event)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal._append = appending  # type: ignore[method-assign]


def logs_in(server: PrivatePostgres, user: str, password: str, database: str = DATABASE) -> bool:
    login = Login(host="127.0.0.1", port=server.port, user=user, password=password, ssl_mode="disable")
    try:
        connect(login, database, "test").close()
    except PostgresError:
        return False
    return True


def drop_roles(server: PrivatePostgres) -> None:
    server.run_sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    for role in (TWIN, USER, OWNER):
        server.run_sql(f"DROP ROLE IF EXISTS {role}")


def stages(store: Store) -> dict[str, str]:
    return {stage: version.id for version in store.versions() for stage in version.stages}


def shop_with_file(server: PrivatePostgres, directory: pathlib.Path, strategy: str, env_file: pathlib.Path) -> Shop:
    placed = Placed(str(env_file), ENV, values={"DB_USER": "{username}", "DB_PASSWORD": "{password}"})
    shop = Shop(server, directory, strategy, files_store(directory), (Consumer("api", (placed,)),))
    shop.make_roles()
    shop.fill_store()
    placed.write(shop.work().target.fields(shop.current()))
    return shop


def in_file(env_file: pathlib.Path) -> tuple[str, str]:
    values = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
    assert values["OTHER"] == "kept"
    assert env_file.stat().st_mode & 0o777 == 0o640
    return values["DB_USER"], values["DB_PASSWORD"]


def converged(shop: Shop, env_file: pathlib.Path) -> None:
    """One current secret, which opens, which the consumer has, and nothing else that opens or is labelled."""
    current = shop.current()
    assert stages(shop.store) == {"current": current.version}
    assert shop.logs_in(current)
    assert in_file(env_file) == (current.username, current.password)
    for version in shop.store.versions()[-_NEWEST:]:
        if version.id != current.version:
            assert not shop.logs_in(shop.store.read_version(version.id)), f"{version.id} still opens"
