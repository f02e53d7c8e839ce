# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signers and verifiers of real tokens, each with a cache of its own and a clock that a test moves."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import signal
import subprocess
import traceback
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import Health
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.key_work import KeyOutcome, KeyWork
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.keys import HS256, Lives
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.placing import TEXT, Placed
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate_keys import rotate_keys
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import Store

from .secrets import DAY, files_store, kill_at_line

LIVES = Lives(cache=120, signer=60, token=300, skew=10)
_CONTENT = '{"kid": "{signing_kid}", "key": "{signing_key}", "accepted": {secrets_by_kid}}'


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sign_hs256(kid: str, secret: str, claims: t.Mapping[str, t.Any]) -> str:
    words = ({"alg": "HS256", "typ": "JWT", "kid": kid}, claims)
    text = ".".join(b64(json.dumps(word).encode()) for word in words)
    return f"{text}.{b64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def claims_of(token: str) -> dict[str, t.Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def accepts_hs256(secrets: t.Iterable[str], token: str, now: float) -> bool:
    text, _dot, signature = token.rpartition(".")
    fits = any(
        hmac.compare_digest(b64(hmac.new(one.encode(), text.encode(), hashlib.sha256).digest()), signature)
        for one in secrets
    )
    return fits and claims_of(token)["exp"] > now


@dataclasses.dataclass
class Service:
    """Somebody who reads the consumer's file again when what he has is older than his cache allows."""

    path: pathlib.Path
    life: int
    read_at: float = -(10**9)
    has: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def keys(self, now: float) -> dict[str, t.Any]:
        if now - self.read_at >= self.life:
            self.has, self.read_at = json.loads(self.path.read_text()), now
        return self.has


@dataclasses.dataclass
class Tokens:
    """Keys in a store of encrypted files, a consumer's file, and a clock in seconds."""

    directory: pathlib.Path
    store: Store
    lives: Lives = LIVES
    algorithm: str = HS256
    content: str = _CONTENT
    now: float = 0
    more: tuple[Consumer, ...] = ()
    begun: datetime.datetime = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.timezone.utc)

    @property
    def path(self) -> pathlib.Path:
        return self.directory / "keys.json"

    def work(self, **settings: t.Any) -> KeyWork:
        consumer = Consumer("services", (Placed(str(self.path), TEXT, self.content),))
        defaults: dict[str, t.Any] = {"period": 90 * DAY, "from_percent": 80, "force": False, "emergency": False}
        return KeyWork(
            store=self.store,
            algorithm=self.algorithm,
            lives=self.lives,
            consumers=(consumer, *self.more),
            health=Health(),
            state_dir=str(self.directory / "state"),
            now=lambda: self.begun + datetime.timedelta(seconds=self.now),
            **{**defaults, **settings},
        )

    def rotate(self, check: bool = False, rollback: bool = False, **settings: t.Any) -> tuple[Result, KeyOutcome]:
        outcome = KeyOutcome()
        return rotate_keys(self.work(**settings), check, outcome, rollback), outcome

    def rotate_and_be_killed(self, point: str, **settings: t.Any) -> bool:
        """As support.secrets.Shop does."""
        child = os.fork()
        if child == 0:
            try:
                kill_at_line(point)
                self.rotate(**settings)
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

    def kids(self) -> list[str]:
        current = self.store.read("current")
        assert current is not None
        return [key["kid"] for key in current.value["keys"]]

    def signing(self) -> str:
        current = self.store.read("current")
        assert current is not None
        return str(current.value["signing"])


def tokens_in(directory: pathlib.Path, **more: t.Any) -> Tokens:
    made = Tokens(directory, files_store(directory, "jwt"), **more)
    made.path.write_text("")
    return made


def openssl(*words: str, content: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=content, check=True, capture_output=True).stdout


class World:
    """One signer, verifiers whose caches end at different moments, and all tokens that were ever signed."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.signer = Service(tokens.path, LIVES.signer)
        self.verifiers = [Service(tokens.path, LIVES.cache, read_at=-offset) for offset in (0, 40, 80, 119)]
        self.issued: list[str] = []
        self.looked = 0
        for verifier in self.verifiers:
            verifier.has = json.loads(tokens.path.read_text())

    def tick(self, seconds: int) -> None:
        self.tokens.now += seconds
        now = self.tokens.now
        has = self.signer.keys(now)
        self.issued.append(sign_hs256(has["kid"], has["key"], {"exp": now + LIVES.token}))
        for verifier in self.verifiers:
            accepted = verifier.keys(now)["accepted"].values()
            for token in self.issued:
                if claims_of(token)["exp"] > now:
                    self.looked += 1
                    assert accepts_hs256(accepted, token, now), f"a valid token was refused at {now}"


def arguments(tokens: Tokens, **more: t.Any) -> dict[str, t.Any]:
    store: t.Any = tokens.store
    files = [{"path": str(tokens.path), "kind": "text", "content": tokens.content}]
    return {
        "name": "jwt",
        "store": {
            "kind": "files",
            "directory": store.directory,
            "recipients": list(store.recipients),
            "identity_file": store.identity_file,
        },
        "algorithm": "HS256",
        "token_life": "5m",
        "cache_life": "0s",
        "clock_skew": "0s",
        "state_dir": str(tokens.directory / "state"),
        "consumers": [{"name": "services", "files": files}],
        **more,
    }
