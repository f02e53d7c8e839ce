# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small service that gives out API keys, over a program of its own, and rotations of one of its keys.

The service has two keys at most, knows when each was used, and lets nobody in by one that is closed.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import traceback
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core import journal
from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time, utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key import Waits
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.api_key_work import (
    ApiKeyOutcome,
    ApiKeyWork,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.placing import ENV, Placed
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider import Key, Provider, find
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider_command import COMMANDS, Command
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate_api_key import rotate_api_key
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import Secret, Store, new_token

from .canary import RIGHT
from .secrets import DAY, files_store, kill_at_line

WAITS = Waits(ready=5, quiet=DAY, rest=7 * DAY)
FIRST_ID = "key-first"

_SERVICE = """
import datetime, fcntl, json, os, secrets, sys

place, order, *words = sys.argv[1:]
lock = open(os.path.join(place, "lock"), "w")
fcntl.flock(lock, fcntl.LOCK_EX)
path = os.path.join(place, "keys.json")
state = json.load(open(path))
keys = state["keys"]
moment = datetime.datetime.utcnow() + datetime.timedelta(seconds=state["ahead"])
now = moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def end(status, text=""):
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.rename(path + ".new", path)
    sys.stdout.write(text)
    sys.exit(status)


state["orders"].append(" ".join([order, *words]))
if order == "list":
    names = ("active", "created") if state["blind"] else ("active", "created", "last_used")
    end(0, json.dumps([{"id": key, **{name: keys[key][name] for name in names}} for key in keys]))
if order == "create":
    if len(keys) == 2:
        sys.stderr.write("two keys are the most")
        end(3)
    made = {"id": "key-" + secrets.token_hex(4), "secret": secrets.token_hex(20)}
    keys[made["id"]] = {"secret": made["secret"], "active": True, "created": now, "last_used": None}
    end(0, json.dumps(made))
if order == "check":
    given = json.load(sys.stdin)
    key = keys.get(given["id"])
    if not key or not key["active"] or key["secret"] != given["secret"]:
        sys.stderr.write("refused: " + given["secret"])
        end(1)
    key["last_used"] = now
    end(0)
if words[0] not in keys:
    end(4)
if order == "delete":
    del keys[words[0]]
else:
    keys[words[0]]["active"] = order == "enable"
end(0)
"""


class Service:
    """The service below a directory, and what it knows."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.path = directory / "keys.json"
        self.program = directory / "service.py"
        self.program.write_text(_SERVICE)
        created = (utc_now() - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        first = {"secret": RIGHT, "active": True, "created": created, "last_used": None}
        self.write({"keys": {FIRST_ID: first}, "orders": [], "ahead": 0, "blind": False})

    def write(self, state: dict[str, t.Any]) -> None:
        new = self.path.with_suffix(".near")
        new.write_text(json.dumps(state))
        new.rename(self.path)  # whoever is killed leaves a whole one

    @property
    def state(self) -> dict[str, t.Any]:
        return dict(json.loads(self.path.read_text()))

    def now(self) -> str:
        return write_time(utc_now() + datetime.timedelta(seconds=self.state["ahead"]))

    @property
    def keys(self) -> dict[str, t.Any]:
        return dict(self.state["keys"])

    def command(self, order: str) -> list[str]:
        words = ["{id}"] if order in ("enable", "disable", "delete") else []
        return [sys.executable, "-S", "-E", str(self.program), str(self.directory), order, *words]

    @property
    def provider(self) -> Command:
        return Command({order: tuple(self.command(order)) for order in COMMANDS}, 20)

    def lets_in(self, key: str, secret: str) -> bool:
        """The application uses a key."""
        given = json.dumps({"id": key, "secret": secret})
        done = subprocess.run(self.command("check"), input=given.encode(), capture_output=True, check=False)
        return done.returncode == 0


class Near:
    """The same service without its program: for tests that ask it some thousand times."""

    id_field, secret_field = "id", "secret"

    def __init__(self, service: Service) -> None:
        self.service = service
        self.place = "the service nearby"

    def list_keys(self) -> list[Key]:
        names = ("created", "last_used")
        return [
            Key(key, entry["active"], *(parse_time(entry[name]) if entry[name] else None for name in names))
            for key, entry in self.service.keys.items()
        ]

    def create(self) -> dict[str, str]:
        assert len(self.service.keys) < 2, "a third key is asked for"
        made = {"id": f"key-{new_token()[:8]}", "secret": new_token()}
        now = self.service.now()
        self._change(made["id"], {"secret": made["secret"], "active": True, "created": now, "last_used": None})
        return made

    def refusal(self, value: t.Mapping[str, t.Any]) -> str:
        entry = self.service.keys.get(value["id"])
        if not entry or not entry["active"] or entry["secret"] != value["secret"]:
            return "refused"
        self._change(value["id"], {**entry, "last_used": self.service.now()})
        return ""

    def enable(self, key: str) -> None:
        self._change(key, {**self.service.keys[key], "active": True})

    def disable(self, key: str) -> None:
        self._change(key, {**self.service.keys[key], "active": False})

    def delete(self, key: str) -> None:
        state = self.service.state
        state["keys"].pop(key, None)
        self.service.write(state)

    def _change(self, key: str, entry: dict[str, t.Any]) -> None:
        state = self.service.state
        state["keys"][key] = entry
        self.service.write(state)


@dataclasses.dataclass
class KeyShop:
    """A key in a store of encrypted files and in a file of the application."""

    directory: pathlib.Path
    provider: Provider
    store: Store
    first: dict[str, str]
    health: Health = dataclasses.field(default_factory=Health)
    more: tuple[Consumer, ...] = ()
    waits: Waits = WAITS
    ahead: float = 0

    @property
    def env(self) -> pathlib.Path:
        return self.directory / "key.env"

    def work(self, **settings: t.Any) -> ApiKeyWork:
        names = {"KEY_ID": self.provider.id_field, "KEY_SECRET": self.provider.secret_field}
        placed = Placed(str(self.env), ENV, values={name: f"{{{field}}}" for name, field in names.items()})
        defaults: dict[str, t.Any] = {"period": 365 * DAY, "from_percent": 80, "force": False, "emergency": False}
        return ApiKeyWork(
            store=self.store,
            provider=self.provider,
            waits=self.waits,
            consumers=(Consumer("application", (placed,)), *self.more),
            health=self.health,
            state_dir=str(self.directory / "state"),
            now=lambda: utc_now() + datetime.timedelta(seconds=self.ahead),
            **{**defaults, **settings},
        )

    def rotate(self, check: bool = False, rollback: bool = False, **settings: t.Any) -> tuple[Result, ApiKeyOutcome]:
        outcome = ApiKeyOutcome()
        work = self.work(**settings)
        journal.utc_now = work.now  # type: ignore[attr-defined]
        try:
            return rotate_api_key(work, check, outcome, rollback), outcome
        finally:
            journal.utc_now = utc_now  # type: ignore[attr-defined]

    def rotate_and_be_killed(self, point: str, rollback: bool = False, **settings: t.Any) -> bool:
        """As support.secrets.Shop does."""
        child = os.fork()
        if child == 0:
            try:
                kill_at_line(point)
                self.rotate(rollback=rollback, **settings)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - reported by its exit status
                traceback.print_exc()
                os._exit(9)
        _pid, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        assert os.WEXITSTATUS(status) == 0
        return False

    def current(self) -> Secret:
        secret = self.store.read("current")
        assert secret is not None
        return secret

    def current_id(self) -> str:
        return str(self.current().value[self.provider.id_field])

    def in_file(self) -> tuple[str, str]:
        values = dict(line.split("=", 1) for line in self.env.read_text().splitlines())
        return values["KEY_ID"], values["KEY_SECRET"]

    def is_open(self, key: str) -> bool:
        found = find(self.provider.list_keys(), key)
        return found is not None and found.active


def key_shop(directory: pathlib.Path, provider: Provider, first: dict[str, str]) -> KeyShop:
    shop = KeyShop(directory, provider, files_store(directory, "key"), first)
    shop.store.create_first(new_token(), first)
    shop.env.write_text(f"KEY_ID={first[provider.id_field]}\nKEY_SECRET={first[provider.secret_field]}\n")
    return shop


def service_shop(directory: pathlib.Path) -> tuple[KeyShop, Service]:
    place = directory / "service"
    place.mkdir()
    service = Service(place)
    return key_shop(directory, service.provider, {"id": FIRST_ID, "secret": RIGHT}), service


def near_shop(directory: pathlib.Path) -> tuple[KeyShop, Service]:
    """The same with the service nearby."""
    shop, service = service_shop(directory)
    shop.provider = Near(service)
    return shop, service


def later(shop: KeyShop, service: Service, seconds: float) -> None:
    """Time passes, for both."""
    shop.ahead += seconds
    service.write({**service.state, "ahead": shop.ahead})
