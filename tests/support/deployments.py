# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service with a pair in use and another one to be deployed, for tests here and in processes that are killed."""

from __future__ import annotations

import dataclasses
import pathlib
import threading
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.deploy import Outcome, Settings, deploy
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.handshake import Endpoint
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.service import Service
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.store import Rights
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import Trust
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result

from .certificates import Authority, Issued
from .tls_service import TlsService

NAME = "www.example.com"


class Site:
    """One service with two listeners that reads its pair from the module's directory; use it as a context manager."""

    def __init__(self, directory: pathlib.Path, kind: type[TlsService] = TlsService) -> None:
        self.place = directory
        self.store = directory / "store"
        self.current = self.store / "current"
        self.state = directory / "state"
        self.authority = Authority("Intermediate", Authority())
        assert self.authority.parent is not None
        self.trust = self.authority.parent.write(directory)
        self.service = kind(directory / "service", self.current / "fullchain.pem", self.current / "privkey.pem")
        self.test_command = ["test", "-s", str(self.current / "fullchain.pem")]

    def __enter__(self) -> Site:
        first = self.stage(self.authority.issue(NAME, left=30))
        bare = self.settings(first, reloading=["true"], listeners=())
        assert deploy(bare, False, Outcome()).verdict == "ok"
        self.service.__enter__()
        self.first = first
        return self

    def __exit__(self, *exc: object) -> None:
        self.service.__exit__(*exc)

    def stage(self, issued: Issued) -> Issued:
        """Put a pair where the authority's client puts it."""
        issued.write(self.place / "issued")
        return issued

    def endpoints(self, *hosts: str) -> tuple[Endpoint, ...]:
        wanted = hosts or self.service.hosts
        return (Endpoint(NAME, self.service.port, tuple(wanted), NAME, names=(NAME,)),)

    def settings(self, _staged: Issued | None = None, **about: t.Any) -> Settings:
        reloading = about.pop("reloading", None) or self.service.reload_command
        testing = about.pop("testing", self.test_command)
        listeners = about.pop("listeners", None)
        settings = Settings(
            certificate=str(self.place / "issued" / "site.pem"),
            key=str(self.place / "issued" / "site.key"),
            chain="",
            directory=str(self.store),
            rights=Rights(),
            names=(NAME,),
            listeners=self.endpoints() if listeners is None else listeners,
            trust=Trust(self.trust),
            service=Service((tuple(testing),), (tuple(reloading),), 20),
            state_dir=str(self.state),
            patience=10,
            handshakes=1,
        )
        return dataclasses.replace(settings, **about)

    def deploy(self, check_mode: bool = False, **about: t.Any) -> tuple[Result, Outcome]:
        outcome = Outcome()
        return deploy(self.settings(**about), check_mode, outcome), outcome

    def served(self) -> set[str]:
        return {self.service.served(host) for host in self.service.hosts}

    def in_use(self) -> bytes:
        """The chain to which the link leads; with its key, always a whole pair."""
        return (self.current / "fullchain.pem").read_bytes()

    def leftovers(self) -> list[str]:
        """What no run may leave behind."""
        return [str(path) for path in self.store.rglob("*") if ".new" in path.name]


class Clients:
    """Shakes hands with a service all the time; keeps how often it failed and which certificates it saw."""

    def __init__(self, site: Site, pause: float = 0) -> None:
        self._site = site
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(host,), daemon=True) for host in site.service.hosts]
        self.failures: list[str] = []
        self.seen: dict[str, int] = {}

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, host: str) -> None:
        while not self._over.wait(self._pause):
            try:
                fingerprint = self._site.service.served(host)
            except OSError as exc:
                self.failures.append(f"{host}: {exc}")
            else:
                self.seen[fingerprint] = self.seen.get(fingerprint, 0) + 1
