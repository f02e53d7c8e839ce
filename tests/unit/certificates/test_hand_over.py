# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair from the host that has it to another one: what is given, what is taken, and what is refused."""

from __future__ import annotations

import base64
import json
import pathlib
import stat
import typing as t

import pytest
from support.certificates import Authority, Issued

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.hand_over import Outcome, hand_over
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.hand_over_arguments import (
    HAND_OVER_ARGUMENTS,
    hand_over_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.pair import read_pair
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.store import Rights, Store
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

AUTHORITY = Authority()
NAME = "www.example.com"
ISSUER = {"provider": "acme", "authority": "https://ca.example.com/dir", "profile": ""}


def _call(act: str, directory: pathlib.Path, fingerprint: str, check: bool = False, **about: t.Any) -> t.Any:
    params = {name: spec.get("default") for name, spec in HAND_OVER_ARGUMENTS.items()}
    given = {"act": act, "directory": str(directory), "fingerprint": fingerprint, **about}
    outcome = Outcome()
    return hand_over(hand_over_settings_from({**params, **given}), check, outcome), outcome


def _keep(directory: pathlib.Path, issued: Issued) -> str:
    staged = issued.write(directory.parent / "staged")
    pair = read_pair(str(staged.certificate), str(staged.key))
    store = Store(str(directory), Rights())
    version = store.version_for(pair)
    store.put(version, pair)
    store.switch(version)
    staged.key.unlink()
    return version


@pytest.fixture
def issued() -> Issued:
    return AUTHORITY.issue(NAME)


@pytest.fixture
def here(tmp_path: pathlib.Path, issued: Issued) -> pathlib.Path:
    directory = tmp_path / "here"
    _keep(directory, issued)
    (directory / "issue.json").write_text(json.dumps({"issuer": ISSUER}))
    return directory


def _bring(here: pathlib.Path, there: pathlib.Path, fingerprint: str) -> tuple[Result, Outcome, str]:
    asked = _call("ask", there, fingerprint)[1]
    given = _call("give", here, fingerprint, recipients={"web2": asked.recipient})[1]
    result, outcome = _call("take", there, fingerprint, sealed=given.sealed["web2"])
    return result, outcome, given.sealed["web2"]


def test_a_pair_gets_there_closed_and_a_second_time_is_no_change(
    here: pathlib.Path, tmp_path: pathlib.Path, issued: Issued
) -> None:
    there = tmp_path / "there"
    result, outcome = _call("ask", there, issued.fingerprint, check=True)
    assert (result.verdict, outcome.holds, outcome.recipient, there.exists()) == ("ok", False, "", False)
    result, outcome, sealed = _bring(here, there, issued.fingerprint)
    assert (result.verdict, outcome.changed, outcome.holds) == ("ok", True, True), result
    key = there / "current" / "privkey.pem"
    assert key.read_bytes() == (here / "current" / "privkey.pem").read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (there / "current" / "fullchain.pem").read_bytes() == issued.fullchain
    assert pathlib.Path(outcome.key).samefile(key)
    # It knows whose it is, so it could go on as the one that has it issued.
    assert json.loads((there / "issue.json").read_text())["issuer"] == ISSUER
    # The key of this one time is gone, and with it the last chance to open what was sent.
    assert not list(there.glob("receive*"))
    for line in issued.key_pem.splitlines()[1:-1]:
        assert line not in base64.b64decode(sealed)
        assert line.decode() not in sealed
    for act in ("ask", "take"):
        result, outcome = _call(act, there, issued.fingerprint, **({"sealed": sealed} if act == "take" else {}))
        assert (result.verdict, outcome.changed, outcome.holds, outcome.recipient) == ("ok", False, True, "")


def test_what_was_sealed_for_an_earlier_key_does_not_open(
    here: pathlib.Path, tmp_path: pathlib.Path, issued: Issued
) -> None:
    there = tmp_path / "there"
    asked = _call("ask", there, issued.fingerprint)[1]
    sealed = _call("give", here, issued.fingerprint, recipients={"web2": asked.recipient})[1].sealed["web2"]
    assert stat.S_IMODE((there / "receive.pem").stat().st_mode) == 0o600
    again = _call("ask", there, issued.fingerprint)[1]
    assert again.recipient != asked.recipient
    result, outcome = _call("take", there, issued.fingerprint, sealed=sealed)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "sealed for another key or purpose" in result.reason
    (there / "receive.pem").unlink()
    assert "ask" in _call("take", there, issued.fingerprint, sealed=sealed)[0].reason
    assert not (there / "current").exists()


def test_only_the_wanted_pair_is_given_and_taken(here: pathlib.Path, tmp_path: pathlib.Path, issued: Issued) -> None:
    there, other = tmp_path / "there", AUTHORITY.issue(NAME)
    asked = _call("ask", there, other.fingerprint)[1]
    result, outcome = _call("give", here, other.fingerprint, recipients={"web2": asked.recipient})
    assert (result.verdict, outcome.sealed) == ("failed", {})
    assert f"the newest one here is {issued.fingerprint}" in result.reason
    # Sealed for one certificate, it does not open as another one.
    sealed = _call("give", here, issued.fingerprint, recipients={"web2": asked.recipient})[1].sealed["web2"]
    result, _outcome = _call("take", there, other.fingerprint, sealed=sealed)
    assert "sealed for another key or purpose" in result.reason
    assert "no public key" in _call("give", here, issued.fingerprint, recipients={"web2": "QUJD"})[0].reason


def test_a_newer_one_replaces_what_the_host_had_and_old_ones_go(
    here: pathlib.Path, tmp_path: pathlib.Path, issued: Issued
) -> None:
    there = tmp_path / "there"
    versions = [_keep(there, AUTHORITY.issue(NAME, left=number)) for number in (10, 20, 30)]
    asked = _call("ask", there, issued.fingerprint)[1]
    sealed = _call("give", here, issued.fingerprint, recipients={"web2": asked.recipient})[1].sealed["web2"]
    result, outcome = _call("take", there, issued.fingerprint, sealed=sealed, keep=0)
    assert (result.verdict, outcome.removed) == ("ok", versions[:2])
    assert (there / "versions" / versions[2]).is_dir(), "the previous one stays"
    # A key that was lost here is brought once more.
    pathlib.Path(outcome.key).write_bytes(b"lost")
    result, outcome, _sealed = _bring(here, there, issued.fingerprint)
    assert (result.verdict, outcome.changed) == ("ok", True)
    assert pathlib.Path(outcome.key).read_bytes() == (here / "current" / "privkey.pem").read_bytes()


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"act": "give"}, "recipients is missing where act is 'give'"),
        ({"act": "take"}, "sealed is missing where act is 'take'"),
        ({"act": "ask", "sealed": "x"}, "sealed is of no use where act is 'ask'"),
        ({"act": "take", "sealed": "x", "recipients": {"a": "b"}}, "recipients is of no use"),
        ({"act": "ask", "directory": "here"}, "directory is 'here': write an absolute path"),
        ({"act": "ask", "fingerprint": "12"}, "fingerprint has '12'"),
        ({"act": "ask", "keep": -1}, "keep is -1"),
    ],
)
def test_what_cannot_be_right_is_refused(about: dict[str, t.Any], told: str) -> None:
    params = {name: spec.get("default") for name, spec in HAND_OVER_ARGUMENTS.items()}
    with pytest.raises(InputError, match=told):
        hand_over_settings_from({**params, "directory": "/x", "fingerprint": "0" * 64, **about})
