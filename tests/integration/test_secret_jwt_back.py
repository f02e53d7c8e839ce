# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of tokens: the way back, hosts that have them, too, and how old they are."""

from __future__ import annotations

import datetime
import json
import pathlib

import pytest
from support.modules import run_module
from support.secret_tokens import LIVES, World, accepts_hs256, arguments, sign_hs256, tokens_in
from support.secrets import DAY, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time, utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotation import Others
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token


@pytest.mark.parametrize("after", ["published", "signing"])
def test_a_rotation_of_keys_is_taken_back_and_no_valid_token_is_refused(tmp_path: pathlib.Path, after: str) -> None:
    """The new key may have signed: its tokens stay valid as long as they are, and the old key signs again."""
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    old = tokens.signing()
    world = World(tokens)
    assert tokens.rotate(rollback=True)[0].verdict == "failed", "there is nothing to go back to"
    tokens.rotate(force=True)
    new = next(kid for kid in tokens.kids() if kid != old)
    while after == "signing" and tokens.signing() == old:
        world.tick(17)
        tokens.rotate()
    for _while in range(6):
        world.tick(17)
    assert tokens.rotate(check=True, rollback=True)[1].moves == ["sign_back"]
    moves = []
    result, outcome = tokens.rotate(rollback=True)
    assert (result.verdict, tokens.signing()) == ("ok", old), result
    assert set(tokens.kids()) == {old, new}
    assert tokens.rotate(rollback=True)[0].verdict == "failed", "it goes back once"
    moves += outcome.moves
    taken = json.loads(tokens.path.read_text())["accepted"][new]
    for _end in range(40):
        moves += tokens.rotate()[1].moves
        world.tick(17)
    assert moves == ["sign_back", "note_signed", "remove"]
    assert tokens.kids() == [old]
    for _more in range(LIVES.cache // 17 + 1):
        world.tick(17)
    forged = sign_hs256(new, taken, {"exp": tokens.now + 10**6})
    for verifier in world.verifiers:
        assert not accepts_hs256(verifier.keys(tokens.now)["accepted"].values(), forged, tokens.now)
    # The old one is as old as it was: what was due still is.
    tokens.now += 72 * DAY
    assert tokens.rotate()[1].moves == ["publish", "note_published"]


@pytest.mark.parametrize("line", ["-done bring", "-done reload"])
def test_a_key_that_can_have_signed_nothing_goes_at_once(tmp_path: pathlib.Path, line: str) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    old = tokens.signing()
    assert tokens.rotate_and_be_killed(line, force=True)
    assert len(tokens.kids()) == 2
    result, outcome = tokens.rotate(rollback=True)
    assert result.verdict == "ok", result
    assert outcome.moves == (["withdraw"] if line == "-done bring" else [])
    assert tokens.kids() == [old]
    assert list(json.loads(tokens.path.read_text())["accepted"]) == [old]
    current = tokens.store.read("current")
    assert current is not None
    assert stages(tokens.store) == {"current": current.version}


@pytest.mark.parametrize("line", ["+done create", "-done finish", "-done reload"])
def test_killed_on_the_way_back_the_next_run_ends_it(tmp_path: pathlib.Path, line: str) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    old = tokens.signing()
    tokens.rotate(force=True)
    tokens.now += LIVES.cache + LIVES.skew
    assert tokens.rotate()[1].moves == ["sign", "note_signed"]
    assert tokens.rotate_and_be_killed(line, rollback=True)
    assert tokens.rotate()[0].verdict == "ok"
    assert tokens.signing() == old
    assert json.loads(tokens.path.read_text())["kid"] == old
    assert len(tokens.kids()) == 2, "a token of the new key would be refused"


def test_an_emergency_is_not_taken_back(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    assert tokens.rotate_and_be_killed("-done finish", emergency=True)
    new = tokens.signing()
    result, _outcome = tokens.rotate(rollback=True)
    assert "whoever knows the old key would be let in again" in result.reason
    assert tokens.signing() == new


def test_waits_are_counted_from_when_all_hosts_have_it(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    others = Others(("web2",))
    published = tokens.rotate(force=True, others=others)[1]
    assert (published.moves, published.next_move) == (["publish"], "note_published")
    assert published.missing_hosts == ["web2"]
    # It cannot be asked: however much time passes, nothing is signed that its verifiers would not know.
    tokens.now += 10 * LIVES.cache
    result, outcome = tokens.rotate(others=Others(("web2",), {}))
    assert (result.verdict, outcome.moves) == ("unknown", []), result
    assert "web2" in result.reason
    seen = Others(("web2",), {"web2": published.version})
    noted = tokens.rotate(others=seen)[1]
    assert (noted.moves, noted.next_move) == (["note_published"], "sign")
    assert parse_time(noted.next_at) >= tokens.work().now() + datetime.timedelta(seconds=LIVES.cache + LIVES.skew)
    tokens.now += LIVES.cache + LIVES.skew
    assert tokens.rotate(others=others)[1].moves == ["sign"]
    signing = tokens.rotate(others=Others(("web2",), {"web2": noted.version}))[1]
    assert (signing.moves, signing.next_move) == ([], "note_signed")
    assert tokens.rotate(others=Others(("web2",), {"web2": signing.version}))[1].moves == ["note_signed"]


@pytest.mark.parametrize(("kind", "percent"), [("jwt", 88), ("", 0)])
def test_the_age_of_keys_is_that_of_the_one_that_signs(tmp_path: pathlib.Path, kind: str, percent: int) -> None:
    """Each move makes a version: by its date, a key would be young for ever."""
    tokens = tokens_in(tmp_path, begun=utc_now() - datetime.timedelta(days=80))
    tokens.rotate()
    args = arguments(tokens)
    watched = {"name": "jwt", "period": "90d", "kind": kind}
    told = run_module("secret_info", {"store": args["store"], "secrets": [watched]})
    assert told["secrets"][0]["age_percent"] == percent
    assert [finding["id"] for finding in told["findings"]] == (["secret-due-soon"] if percent else [])
    tokens.store.create_pending(token := new_token(), {"username": "a"})
    tokens.store.promote(token)
    told = run_module("secret_info", {"store": args["store"], "secrets": [watched]})
    assert told["verdict"] == ("unknown" if kind else "ok")
