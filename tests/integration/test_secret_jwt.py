# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of tokens: over the whole timeline no valid token is refused, and after it no old one is accepted."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import typing as t

import pytest
from support.canary import RIGHT, CommandLines, secrets_in, sweep
from support.modules import run_module, start_module
from support.postgres import wait_for
from support.secret_tokens import (
    LIVES,
    Tokens,
    World,
    accepts_hs256,
    arguments,
    openssl,
    sign_hs256,
    tokens_in,
)
from support.secrets import make_older, stages

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time, utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.consumers import Consumer
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.keys import ES256
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token

SHARED = f"{RIGHT}-{RIGHT}"


def test_no_valid_token_is_refused_and_no_old_one_accepted_afterwards(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    assert tokens.rotate()[0].verdict == "ok"
    old = tokens.signing()
    old_secret = json.loads(tokens.path.read_text())["key"]
    world = World(tokens)
    moves = []
    for number in range(40):
        result, outcome = tokens.rotate(force=number == 3)
        assert result.verdict == "ok", result
        moves += outcome.moves
        world.tick(17)
    assert moves == ["publish", "note_published", "sign", "note_signed", "remove"]
    assert world.looked > 400
    assert tokens.signing() != old
    assert tokens.kids() == [tokens.signing()]
    for _more in range(LIVES.cache // 17 + 1):
        world.tick(17)
    forged = sign_hs256(old, old_secret, {"exp": tokens.now + 10**6})
    for verifier in world.verifiers:
        assert not accepts_hs256(verifier.keys(tokens.now)["accepted"].values(), forged, tokens.now)


def test_the_moments_follow_from_the_lives(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    first = tokens.rotate(force=True)[1]
    assert (first.moves, first.next_move) == (["publish", "note_published"], "sign")
    assert first.next_at == "2026-11-26T12:02:10Z"
    tokens.now = LIVES.cache + LIVES.skew - 1
    assert not tokens.rotate()[1].changed
    foretold = tokens.rotate(check=True)
    assert (foretold[1].changed, foretold[1].next_move) == (False, "sign")
    tokens.now += 1
    assert tokens.rotate(check=True)[1].moves == ["sign"]
    second = tokens.rotate()[1]
    assert (second.moves, second.next_move) == (["sign", "note_signed"], "remove")
    assert second.next_at == "2026-11-26T12:08:20Z"
    tokens.now += LIVES.signer + LIVES.token + LIVES.skew - 1
    assert not tokens.rotate()[1].changed
    tokens.now += 1
    last, outcome = tokens.rotate()
    assert (outcome.moves, outcome.next_move) == (["remove"], "")
    assert len(outcome.keys) == 1
    assert last.figures["keys"] == 1
    tokens.now += 72 * 86400 - 400
    assert not tokens.rotate()[1].changed
    tokens.now += 400
    assert tokens.rotate()[1].moves == ["publish", "note_published"]


_LINES = [f"-done {name}" for name in ("create", "finish", "reload", "bring")]


@pytest.mark.parametrize("line", _LINES)
def test_killed_in_any_move_it_goes_on_and_no_wait_gets_shorter(tmp_path: pathlib.Path, line: str) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    world = World(tokens)
    killed = 0
    for number in range(52):
        force = number == 1
        killed += tokens.rotate_and_be_killed(line, force=force)
        if killed and number % 2:  # each second time it is a while until somebody runs it again
            result = tokens.rotate()[0]
            assert result.verdict == "ok", result
        world.tick(17)
    for _end in range(3):
        tokens.rotate()
    assert killed >= (1 if line == "-done bring" else 2), killed
    assert tokens.kids() == [tokens.signing()]
    current = tokens.store.read("current")
    assert current is not None
    assert stages(tokens.store) == {"current": current.version}
    assert json.loads(tokens.path.read_text())["kid"] == tokens.signing()


def test_in_an_emergency_all_old_tokens_end_at_once(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    stolen = json.loads(tokens.path.read_text())
    result, outcome = tokens.rotate(emergency=True)
    assert result.verdict == "ok", result
    assert outcome.moves == ["replace", "note_signed"]
    now = json.loads(tokens.path.read_text())
    assert len(now["accepted"]) == 1
    assert stolen["key"] not in now["accepted"].values()
    assert tokens.rotate()[1].changed is False


def test_a_consumer_that_does_not_take_it_up_has_the_move_taken_back(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    before = tokens.path.read_text()
    kids = tokens.kids()
    tokens.more = (Consumer("deaf", commands=(("true",),), probe=("false",), timeout=0.3),)
    result, _outcome = tokens.rotate(force=True)
    assert result.verdict == "failed"
    assert "consumer deaf" in result.reason
    assert [finding.id for finding in result.findings] == ["secret-consumer-unproved"]
    assert tokens.kids() == kids
    assert tokens.path.read_text() == before
    tokens.more = ()
    assert tokens.rotate(force=True)[1].moves == ["publish", "note_published"]


def test_what_another_host_is_at_is_left_alone_until_it_is_stuck(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.rotate()
    current = tokens.store.read("current")
    assert current is not None
    pending = new_token()
    tokens.store.create_pending(pending, current.value)
    result, outcome = tokens.rotate(force=True)
    assert (result.verdict, outcome.changed) == ("unknown", False)
    assert result.reason.startswith("busy: ")
    make_older(t.cast("t.Any", tokens.store), 1)
    result, outcome = tokens.rotate()
    assert (result.verdict, outcome.changed) == ("findings", True)
    assert stages(tokens.store) == {"current": current.version}


def test_a_secret_that_is_none_of_ours_is_refused_and_not_shown(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    tokens.store.create_first(new_token(), {"username": "x", "password": RIGHT})
    result, outcome = tokens.rotate(force=True)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "does not hold keys of HS256" in result.reason
    assert not secrets_in(result.reason.encode())


def test_es256_publishes_a_set_of_keys_that_verifies_what_is_signed(tmp_path: pathlib.Path) -> None:
    lives = dataclasses.replace(LIVES, cache=0, skew=0)
    content = "{jwks}\n{signing_kid}\n{signing_key}"
    tokens = tokens_in(tmp_path, algorithm=ES256, lives=lives, content=content)
    tokens.rotate()
    old_set = _verifies(tmp_path, tokens)
    tokens.rotate(force=True)
    tokens.now += 1
    tokens.rotate()
    new_set = _verifies(tmp_path, tokens)
    assert len(old_set) == 1
    assert len(new_set) == 2
    assert old_set < new_set
    assert "d" not in json.loads(tokens.path.read_text().splitlines()[0])["keys"][0], "a private key was published"


def _verifies(directory: pathlib.Path, tokens: Tokens) -> set[str]:
    """Sign with the key that signs, verify with its public half from the set; all identifiers in the set."""
    published, kid, pem = tokens.path.read_text().split("\n", 2)
    jwks = {key["kid"]: key for key in json.loads(published)["keys"]}
    private, public, signed = directory / "private.pem", directory / "public.der", directory / "signed"
    private.write_text(pem)
    signed.write_bytes(openssl("dgst", "-sha256", "-sign", str(private), content=b"header.claims"))
    x, y = (base64.urlsafe_b64decode(jwks[kid][name] + "=") for name in ("x", "y"))
    prefix = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    public.write_bytes(prefix + b"\x04" + x + y)
    told = openssl(
        "dgst",
        "-sha256",
        "-verify",
        str(public),
        "-keyform",
        "DER",
        "-signature",
        str(signed),
        content=b"header.claims",
    )
    assert told == b"Verified OK\n"
    return set(jwks)


# -- the module ----------------------------------------------------------------------------------------------


def test_the_module_takes_over_a_shared_secret_and_shows_none(tmp_path: pathlib.Path) -> None:
    tokens = tokens_in(tmp_path)
    args = arguments(tokens, present_secret=SHARED)
    quoting = [{**args["consumers"][0], "commands": [["true"]], "timeout": "1s",
                "probe": ["sh", "-c", f"cat {tokens.path}; exit 1"]}]  # fmt: skip
    with CommandLines() as lines:
        foretold = _printed(args, check=True)
        assert foretold["moves"] == ["first"]
        assert tokens.store.versions() == []
        done = _printed(args)
        assert (done["verdict"], done["moves"]) == ("ok", ["first"]), done
        again = _printed(args)
        assert not again["changed"]
        tokens.path.write_text("")
        failed = _printed({**args, "consumers": quoting, "force": True})
        assert "consumer services does not" in failed["msg"]
        rotated = _printed({**args, "force": True})
        moves = rotated["moves"]
        while "note_signed" not in moves:  # moments are noted in whole seconds, rounded up
            wait_for(lambda moment=rotated["next_at"]: utc_now() >= parse_time(moment), "the next move's time")
            rotated = _printed(args)
            moves += rotated["moves"]
        assert moves == ["publish", "note_published", "sign", "note_signed"]
        assert rotated["next_move"] == "remove", rotated
        assert rotated["diff"]["after"].count("\n") == 2
    assert SHARED in json.loads(tokens.path.read_text())["accepted"].values()
    new_secret = json.loads(tokens.path.read_text())["key"]
    assert new_secret not in json.dumps(rotated)
    tokens.path.write_text("")
    assert not sweep(tmp_path)
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.caught


def _printed(args: dict[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    process = start_module("secret_rotate_jwt", args, check)
    stdout, stderr = process.communicate(timeout=60)
    assert not secrets_in(stdout + stderr)
    return dict(json.loads(stdout))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"token_life": "long"}, "token_life: duration 'long' cannot be read"),
        ({"cache_life": ""}, "cache_life: duration ''"),
        ({"present_secret": "short"}, "fewer than 32 bytes"),
        ({"algorithm": "ES256", "present_secret": "x" * 40}, "shared secret of HS256"),
        ({"consumers": [{"name": "a", "files": [{"path": "/x", "kind": "text"}]}]}, "has no content"),
        ({"consumers": [{"name": "a", "files": [{"path": "/x", "kind": "userlist"}]}]}, "which is for passwords"),
        ({"consumers": [{"name": "a", "prove_sessions": True}]}, "give a probe"),
    ],
)
def test_bad_input_is_one_error(tmp_path: pathlib.Path, wrong: dict[str, t.Any], words: str) -> None:
    tokens = tokens_in(tmp_path)
    told = run_module("secret_rotate_jwt", arguments(tokens, **wrong))
    assert told["failed"]
    assert words in told["msg"]
    assert tokens.store.versions() == []
