# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of an account and of certificates, and a planted key of an external account, are looked for in all that the
modules for certificates print, in the system's log, in files beside their own, and on every command line."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from support.acme import NAME, Place
from support.canary import RIGHT, CommandLines, secrets_in, sweep
from support.certificates import Authority, pem_of_key
from support.modules import start_module
from support.syslog import Syslog

pytest_plugins = ("support.acme_fixtures",)
pytestmark = pytest.mark.pebble


def _forms(path: pathlib.Path) -> set[str]:
    """A private key as somebody could show it: lines of its PEM, and its number in the ways that it is written."""
    pem = path.read_bytes()
    key: t.Any = serialization.load_pem_private_key(pem, None)
    number = key.private_numbers().private_value
    encoded = base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
    return {*pem.decode().splitlines()[1:-1], encoded, f"{number:x}", str(number)}


class Heard:
    """Everything that the modules said, and the log that they wrote to."""

    def __init__(self, log: Syslog) -> None:
        self.log = log
        self.texts: list[str] = []

    def call(self, module: str, check: bool = False, **args: t.Any) -> dict[str, t.Any]:
        process = start_module(module, args, check, prefix=self.log.prefix)
        stdout, stderr = process.communicate(timeout=60)
        self.texts.append((stdout + stderr).decode())
        return dict(json.loads(stdout))


def test_no_key_of_an_account_or_certificate_is_anywhere(acme: Place, tmp_path: pathlib.Path) -> None:
    arguments = acme.arguments()
    there, old = tmp_path / "there", tmp_path / "old-key"
    authority = Authority("Own")
    (tmp_path / "own.pem").write_bytes(authority.pem)
    (tmp_path / "own.key").write_bytes(pem_of_key(authority.key, RIGHT.encode()))
    own = {"authority_certificate": str(tmp_path / "own.pem"), "authority_key": str(tmp_path / "own.key")}
    with Syslog() as log, CommandLines(keep=True) as lines:
        heard = Heard(log)
        # One account is refused, since the authority does not know the other one that it is bound to; one is made.
        elsewhere = {"directory": str(tmp_path / "refused"), "account_directory": str(tmp_path / "bound")}
        bound = {**arguments, **elsewhere, "eab_key_id": "kid", "eab_key": RIGHT}
        refused = heard.call("certificate_issue", **bound)
        issued = heard.call("certificate_issue", **arguments)
        again = heard.call("certificate_issue", check=True, **arguments)
        wrong = heard.call("certificate_issue", **arguments, no_such_option=1)
        first = heard.call(
            "certificate_issue",
            names=[NAME],
            directory=str(tmp_path / "from-own"),
            provider="own_ca",
            authority_passphrase=RIGHT,
            **own,
        )
        # It is brought to another host.
        which = {"fingerprint": issued["fingerprint"]}
        asked = heard.call("certificate_hand_over", act="ask", directory=str(there), **which)
        old.write_bytes((there / "receive.pem").read_bytes())
        given = heard.call(
            "certificate_hand_over",
            act="give",
            directory=str(acme.issued),
            recipients={"there": asked["recipient"]},
            **which,
        )
        taken = heard.call(
            "certificate_hand_over", act="take", directory=str(there), sealed=given["sealed"]["there"], **which
        )
    assert (refused["verdict"], issued["verdict"], again["verdict"]) == ("failed", "ok", "ok"), (refused, issued)
    assert (first["verdict"], taken["verdict"], wrong["failed"]) == ("ok", "ok", True), (first, taken)

    account = acme.account / "account.pem"
    other = tmp_path / "bound" / "account.pem"
    keys = {account: _forms(account), other: _forms(other), old: _forms(old)}
    for place in (acme.issued, there, tmp_path / "from-own"):
        keys[place / "current" / "privkey.pem"] = _forms(place / "current" / "privkey.pem")
    forms = set().union(*keys.values())
    assert len(forms) >= 5 * len(keys) - 5
    told = log.content.decode(errors="replace")
    assert told.count("Invoked with") >= len(heard.texts) - 1, "the system's log was not heard"
    for text in (*heard.texts, told):
        assert not [form for form in forms if form in text]
        assert not secrets_in(text.encode())
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.with_any(forms)
    assert not lines.caught
    holding = {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if path.is_file() and any(form in path.read_bytes().decode(errors="replace") for form in forms)
    }
    # What has a key is the file of an account, and the two of each pair.
    kept = {*(str(path.relative_to(tmp_path)) for path in (account, other)), old.name}
    for place, answer in ((acme.issued, issued), (there, taken), (tmp_path / "from-own", first)):
        version = (place / "versions" / answer["version"]).relative_to(tmp_path)
        kept |= {str(version / "privkey.pem"), str(version / "combined.pem")}
    assert holding == kept
    assert not sweep(tmp_path)
    assert not (there / "receive.pem").exists()
