# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_revoke never revokes what is in use, or may be."""

from __future__ import annotations

import pathlib
import shutil
import typing as t

import pytest
from support.acme import NAME, Place
from support.tls_service import TlsService

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.revoke import Outcome, revoke
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.revoke_arguments import (
    REVOKE_ARGUMENTS,
    revoke_settings_from,
)

pytest_plugins = ("support.acme_fixtures",)
pytestmark = pytest.mark.pebble


def test_only_what_is_served_nowhere_is_revoked_and_only_once(acme: Place, tmp_path: pathlib.Path) -> None:
    old = acme.issue()[1]
    serial = f"{acme.certificate().serial_number:x}"
    status = f"cert-status-by-serial/{serial}"
    used = tmp_path / "used"
    shutil.copytree(acme.current, used)
    service = TlsService(tmp_path / "service", used / "fullchain.pem", used / "privkey.pem", ("127.0.0.1",))

    def ask(**about: t.Any) -> dict[str, t.Any]:
        listener = {"host": NAME, "port": service.port, "addresses": ["127.0.0.1"], "address_family": "any"}
        listener.update(server_name="", starttls="none", names=None)
        names = ("directory_url", "directory_trust", "account_directory", "directory")
        usual = {name: value for name, value in acme.arguments().items() if name in names}
        arguments = {**usual, "fingerprints": [old.fingerprint], "listeners": [listener], **about}
        params = {name: spec.get("default") for name, spec in REVOKE_ARGUMENTS.items()}
        outcome = Outcome()
        result = revoke(revoke_settings_from({**params, **arguments}), False, outcome)
        return {**result.to_dict(), "changed": outcome.changed, "revoked": outcome.revoked}

    with service:
        told = ask()
        assert (told["verdict"], "it is the newest" in told["reason"]) == ("failed", True), told
        new = acme.issue(compromised=[old.fingerprint])[1]
        told = ask()
        assert (told["verdict"], "still serves it" in told["reason"]) == ("failed", True), told
        # However long that takes: what nobody could revoke without its certificate is not removed.
        for _renewal in range(2):
            acme.due_now()
            new = acme.issue(compromised=[old.fingerprint], keep=0)[1]
        assert old.version in acme.versions()
    told = ask()
    assert (told["verdict"], "cannot be seen" in told["reason"]) == ("unknown", True), told
    assert "no certificate with the fingerprint" in ask(fingerprints=["0" * 64])["reason"]
    assert b"Valid" in acme.pebble.managed(status)
    for name in ("fullchain.pem", "privkey.pem"):
        shutil.copy(pathlib.Path(new.fullchain).parent / name, used / name)
    with service:
        told = ask()
        assert (told["verdict"], told["changed"], told["revoked"]) == ("ok", True, [old.fingerprint]), told
        assert b"Revoked" in acme.pebble.managed(status)
        assert ask()["changed"] is False
        # Also when nobody remembers: the authority does.
        shutil.rmtree(acme.issued / "revoked")
        assert ask()["changed"] is False
        # It stays in the list of the site when it is gone here, and when the service is down.
        acme.due_now()
        assert old.version in acme.issue(compromised=[old.fingerprint], keep=0)[1].removed
    told = ask()
    assert (told["verdict"], told["changed"]) == ("ok", False), told
