# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place in which certificates are issued by Pebble, behind the proxy that injects what goes wrong."""

from __future__ import annotations

import datetime
import pathlib
import re
import typing as t

from cryptography import x509

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue import issue
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_arguments import (
    ISSUE_ARGUMENTS,
    issue_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_settings import Outcome
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result

from .acme_dns import Dns
from .acme_proxy import AcmeProxy
from .certificates import now
from .pebble import Pebble

NAME = "site.example.com"


class Place:
    """One certificate, and one account, in a directory of their own."""

    def __init__(self, directory: pathlib.Path, pebble: Pebble, proxy: AcmeProxy, dns: Dns) -> None:
        self.place = directory
        self.pebble = pebble
        self.proxy = proxy
        self.dns = dns
        self.issued = directory / "issued"
        self.current = self.issued / "current"
        self.account = directory / "account"

    def arguments(self, **about: t.Any) -> dict[str, t.Any]:
        """What a user would write."""
        return {
            "names": [NAME],
            "directory": str(self.issued),
            "directory_url": self.proxy.directory_url,
            "directory_trust": self.pebble.trust,
            "account_directory": str(self.account),
            "terms_agreed": True,
            "http_address": "127.0.0.1",
            "http_port": self.pebble.http_port,
            "look_at": ["127.0.0.1"],
            "timeout": "10s",
            "order_timeout": "30s",
            **about,
        }

    def issue(self, check_mode: bool = False, **about: t.Any) -> tuple[Result, Outcome]:
        params = {name: spec.get("default") for name, spec in ISSUE_ARGUMENTS.items()}
        outcome = Outcome()
        settings = issue_settings_from({**params, **self.arguments(**about)})
        return issue(settings, check_mode, outcome), outcome

    def certificate(self) -> t.Any:
        return x509.load_pem_x509_certificate((self.current / "fullchain.pem").read_bytes())

    def key(self) -> bytes:
        return (self.current / "privkey.pem").read_bytes()

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.issued / "versions").iterdir())

    def leftovers(self) -> list[str]:
        """What no run may leave behind when it has ended well."""
        found = [path.name for path in self.place.rglob("*") if ".new" in path.name or path.name == "pending.pem"]
        return found + [line for line in self.dns.records.read_text().splitlines() if line]

    def ask_again(self) -> None:
        """Whatever the authority said, and when to ask next: the next run asks."""
        state = self.issued / "issue.json"
        state.write_text(re.sub(r'"asks_again": "[^"]*"', '"asks_again": ""', state.read_text()))

    def due_now(self) -> None:
        """From now on the authority wants all renewed, and says so at once."""
        self.proxy.window = window(-2, -1)


def window(start: float, end: float) -> dict[str, t.Any]:
    """An answer of renewalInfo, in hours from now."""

    def moment(hours: float) -> str:
        return (now() + datetime.timedelta(hours=hours)).isoformat()

    return {"suggestedWindow": {"start": moment(start), "end": moment(end)}}
