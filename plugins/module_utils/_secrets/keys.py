# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that sign tokens (JWT), and when which of them may come, sign and go.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Publish, wait until every verifier has the new key, sign with it, wait until no token of the old one is alive, remove
the old one. Both waits are counted from the moment at which the consumers were seen to have what they were given, so
that moment is noted in a version of its own; a run that was killed before it makes the wait longer, never shorter.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import secrets
import subprocess
import typing as t

from .._core.clock import parse_time, write_time
from .._core.suggest import InputError
from .store import StoreError

HS256, ES256 = "HS256", "ES256"
ALGORITHMS = (HS256, ES256)

PUBLISH, SIGN, REMOVE, REPLACE = "publish", "sign", "remove", "replace"
NOTE_PUBLISHED, NOTE_SIGNED = "note_published", "note_signed"
#: The way back: from a key that nobody can have signed with, and from one with which somebody may have.
WITHDRAW, SIGN_BACK = "withdraw", "sign_back"
NOTES = (NOTE_PUBLISHED, NOTE_SIGNED)

_SECRET_BYTES = 48
_POINT_BYTES = 32
_TIMEOUT = 30

Value = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Lives:
    """How long what is known is in use, in seconds.

    :param cache: how long a verifier goes on with the keys that it has, once there are others.
    :param signer: how long a signer goes on with the key that it has.
    :param token: how long a token is valid, at most.
    :param skew: how far clocks may be apart.
    """

    cache: int
    signer: int
    token: int
    skew: int


@dataclasses.dataclass(frozen=True)
class Move:
    """What comes next, and not before which moment; nothing when the keys are as they should be."""

    kind: str
    at: datetime.datetime

    def is_due(self, now: datetime.datetime) -> bool:
        return now >= self.at


def check(value: Value, algorithm: str, where: str) -> None:
    """:raises StoreError: when it is no value of keys of that algorithm; nothing of it is shown."""
    try:
        kids = [key["kid"] for key in value["keys"]]
        for key in value["keys"]:
            for moment in ("made", "published", "signs_since"):
                if key[moment]:
                    parse_time(key[moment])
            needed = ("private",) if algorithm == HS256 else ("private", "x", "y")
            if not all(key[name] and isinstance(key[name], str) for name in needed):
                raise KeyError("private")
        fits = value["algorithm"] == algorithm and value["signing"] in kids and len(set(kids)) == len(kids)
    except (KeyError, TypeError, InputError):
        fits = False
    if not fits:
        raise StoreError(f"{where} does not hold keys of {algorithm} as this module writes them")


def next_move(value: Value, now: datetime.datetime, lives: Lives, is_due: bool) -> Move | None:
    """What has to happen next.

    :param is_due: whether the key that signs is to be followed by another one.
    """
    keys = value["keys"]
    place = _place_of_signing(value)
    signing, newer, older = keys[place], keys[place + 1 :], keys[:place]
    if newer:
        if not newer[0]["published"]:
            return Move(NOTE_PUBLISHED, now)
        return Move(SIGN, _after(newer[0]["published"], lives.cache + lives.skew))
    if not signing["signs_since"]:
        return Move(NOTE_SIGNED, now)
    if older:
        return Move(REMOVE, _after(signing["signs_since"], lives.signer + lives.token + lives.skew))
    return Move(PUBLISH, now) if is_due else None


def way_back(value: Value) -> str:
    """The move that takes the rotation back; an empty text when the old key is gone, or it is on its way already.

    A new key that was noted as published may have signed, even where that was taken back: its tokens stay valid.
    """
    keys, place = value["keys"], _place_of_signing(value)
    newer, older = keys[place + 1 :], [key for key in keys[:place] if not key.get("withdrawn")]
    if newer:
        return SIGN_BACK if newer[0]["published"] else WITHDRAW
    return SIGN_BACK if older else ""


def signs_since(value: Value) -> str:
    """Since when the key signs that does, and has done before a rotation that was taken back; empty when not noted."""
    signing = value["keys"][_place_of_signing(value)]
    return str(signing.get("signs_before") or signing["signs_since"])


def _place_of_signing(value: Value) -> int:
    return next(number for number, key in enumerate(value["keys"]) if key["kid"] == value["signing"])


def _signed_back(keys: list[dict[str, t.Any]], place: int, now: datetime.datetime) -> list[dict[str, t.Any]]:
    """The old key signs again. The new one stands before it, as one that signed once, until its tokens have ended."""
    newer = keys[place + 1 :]
    back = keys[place] if newer else next(key for key in reversed(keys[:place]) if not key.get("withdrawn"))
    gone = newer or [keys[place]]
    for key in gone:
        key["withdrawn"] = write_time(now)
    back["signs_before"], back["signs_since"] = back.get("signs_before") or back["signs_since"], ""
    return [*(key for key in keys if key is not back and key not in gone), *gone, back]


def moved(kind: str, value: Value, now: datetime.datetime) -> dict[str, t.Any]:
    """The value after a move. Keys are in the order in which they were made."""
    keys = [dict(key) for key in value["keys"]]
    signing = value["signing"]
    if kind == PUBLISH:
        keys.append(new_key(value["algorithm"], now))
    elif kind == REPLACE:
        keys = [new_key(value["algorithm"], now)]
        signing = keys[0]["kid"]
    elif kind == NOTE_PUBLISHED:
        keys[-1]["published"] = write_time(_rounded_up(now))
    elif kind == SIGN:
        signing = keys[-1]["kid"]
    elif kind == NOTE_SIGNED:
        for key in keys:
            if key["kid"] == signing:
                key["signs_since"] = write_time(_rounded_up(now))
                key["published"] = key["published"] or key["signs_since"]
    elif kind == REMOVE:
        keys = [key for key in keys if key["kid"] == signing]
    elif kind == WITHDRAW:
        keys = keys[: _place_of_signing(value) + 1]
    elif kind == SIGN_BACK:
        keys = _signed_back(keys, _place_of_signing(value), now)
        signing = keys[-1]["kid"]
    return {**value, "keys": keys, "signing": signing}


def first(algorithm: str, now: datetime.datetime) -> dict[str, t.Any]:
    """The value of a secret that did not exist: one key, which signs at once."""
    key = new_key(algorithm, now)
    return {"algorithm": algorithm, "signing": key["kid"], "keys": [key]}


def adopted(secret: str, now: datetime.datetime) -> dict[str, t.Any]:
    """The value of a shared secret that was in use before; it is followed by another one when that is due."""
    moment = write_time(now)
    key = {"kid": _new_kid(now), "made": moment, "published": moment, "signs_since": moment, "private": secret}
    return {"algorithm": HS256, "signing": key["kid"], "keys": [key]}


def new_key(algorithm: str, now: datetime.datetime) -> dict[str, t.Any]:
    """:raises StoreError: when the program openssl, which makes key pairs, is missing or fails."""
    key: dict[str, t.Any] = {"kid": _new_kid(now), "made": write_time(now), "published": "", "signs_since": ""}
    if algorithm == HS256:
        return {**key, "private": base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}
    private = _openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    public = _openssl(["pkey", "-pubout", "-outform", "DER"], private)
    # The last bytes of the public key are the point: 04, x, y.
    point = public[-2 * _POINT_BYTES - 1 :]
    if len(point) != 2 * _POINT_BYTES + 1 or point[0] != 4:
        raise StoreError("openssl did not give a point of P-256")
    x, y = (base64.urlsafe_b64encode(half).decode().rstrip("=") for half in (point[1:33], point[33:]))
    return {**key, "private": private.decode(), "x": x, "y": y}


def fields(value: Value) -> dict[str, str]:
    """What may stand in a consumer's file."""
    keys = value["keys"]
    signing = next(key for key in keys if key["kid"] == value["signing"])
    told = {"algorithm": value["algorithm"], "signing_kid": signing["kid"], "signing_key": signing["private"]}
    # The one that signs first: whoever tries them in turn finds it at once.
    ordered = [signing, *(key for key in reversed(keys) if key is not signing)]
    if value["algorithm"] == HS256:
        told["secrets"] = json.dumps([key["private"] for key in ordered])
        told["secrets_by_kid"] = json.dumps({key["kid"]: key["private"] for key in ordered})
        return told
    public = [
        {"kty": "EC", "crv": "P-256", "use": "sig", "alg": ES256, "kid": key["kid"], "x": key["x"], "y": key["y"]}
        for key in ordered
    ]
    return {**told, "jwks": json.dumps({"keys": public})}


def hidden(value: Value) -> set[str]:
    """Each private key, as it is and line by line."""
    private = [str(key.get("private") or "") for key in value.get("keys") or ()]
    return {line for text in private for line in (text, *text.splitlines())}


def _new_kid(now: datetime.datetime) -> str:
    return f"{now.strftime('%Y%m%d')}-{secrets.token_hex(4)}"


def _after(moment: str, seconds: int) -> datetime.datetime:
    return parse_time(moment) + datetime.timedelta(seconds=seconds)


def _rounded_up(now: datetime.datetime) -> datetime.datetime:
    """Moments are written without fractions, and a wait must not become shorter by that."""
    return now + datetime.timedelta(seconds=1) if now.microsecond else now


def _openssl(words: t.Sequence[str], content: bytes = b"") -> bytes:
    """Keys go through pipes only."""
    try:
        done = subprocess.run(["openssl", *words], input=content, capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise StoreError(f"the program openssl, which makes key pairs, cannot be run: {type(exc).__name__}") from None
    if done.returncode:
        raise StoreError(f"openssl {words[0]} ended with status {done.returncode}")
    return done.stdout
