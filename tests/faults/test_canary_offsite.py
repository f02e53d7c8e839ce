# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two secrets are planted as secret key and session token, the off-site modules do their work or fail at it, and then
the secrets are looked for: in all that they print, in what they wrote and sent, and on every command line."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import s3_faults as faults
from support.canary import RIGHT, WRONG, CommandLines, secrets_in, sweep
from support.modules import start_module
from support.offsite import FETCH, OFFSITE, VERIFY, Offsite
from support.s3_faults import FaultyStore
from support.s3_server import SECRET_KEY, without_credentials

pytest_plugins = ("support.offsite_fixtures",)
pytestmark = pytest.mark.s3

NAME = "20261120T000000Z"


def _printed(module: str, arguments: t.Mapping[str, t.Any], check: bool = False) -> bytes:
    process = start_module(module, arguments, check, without_credentials())
    stdout, stderr = process.communicate(timeout=60)
    assert b'"verdict"' in stdout or b'"failed": true' in stdout, stdout + stderr
    return stdout + stderr


def _echoing(request: faults.Request, _forward: faults.Forward) -> faults.Answer:
    """A store, or a proxy before it, that quotes in its refusal what it should not even know."""
    return faults.error(400, "Strange", f"the key {RIGHT} with the token {WRONG} is not right for {request.method}")


def test_the_secrets_are_nowhere(broken: Offsite, proxy: FaultyStore, tmp_path: pathlib.Path) -> None:
    assert SECRET_KEY == RIGHT
    broken.make(NAME)
    copying = broken.arguments(session_token=WRONG)
    fetching = {**copying, "path": str(tmp_path / "new")}
    verifying = {**{name: value for name, value in copying.items() if name != "path"}, "scratch_path": str(tmp_path)}
    with CommandLines() as lines:
        texts = [
            _printed(OFFSITE, copying, check=True),
            _printed(OFFSITE, copying),
            _printed(FETCH, fetching),
            _printed(VERIFY, verifying),  # the backup is of random bytes: it fails
            _printed(OFFSITE, {**copying, "no_such_option": 1}),
        ]
        proxy.inject("", _echoing)
        texts += [_printed(module, arguments) for module, arguments in
                  ((OFFSITE, copying), (FETCH, fetching), (VERIFY, verifying))]  # fmt: skip
        proxy.heal()
    for text in texts:
        assert not secrets_in(text)
    assert b"is not right for" in texts[-1], "the refusal that quotes the secrets was not told"
    assert not sweep(tmp_path)
    assert broken.listed() == [NAME]
    assert not [key for key in broken.bucket.listing() if secrets_in(broken.bucket.read(key))]
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.caught


def test_the_sdk_chain_is_used_where_nothing_is_given(broken: Offsite) -> None:
    """Credentials from the environment; they are not told either."""
    broken.make(NAME)
    arguments = {**broken.arguments(), "access_key": "", "secret_key": ""}
    environment = {**without_credentials(), "AWS_ACCESS_KEY_ID": "AKIAOFTHEENVIRONMENT", "AWS_SECRET_ACCESS_KEY": RIGHT}
    process = start_module(OFFSITE, arguments, env=environment)
    stdout, stderr = process.communicate(timeout=60)
    assert b'"verdict": "ok"' in stdout, stdout + stderr
    assert not secrets_in(stdout + stderr)
    broken.assert_sound(NAME)
