# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two secrets are planted as secret key and session token, the modules of file backups do their work or fail at it, and
then the secrets are looked for: in all that they print, in what they wrote and sent, and on every command line."""

from __future__ import annotations

import typing as t

import pytest
from support import s3_faults as faults
from support.canary import RIGHT, WRONG, CommandLines, secrets_in, sweep
from support.modules import start_module
from support.s3_faults import FaultyStore
from support.s3_server import SECRET_KEY, without_credentials
from support.trees import BACKUP, NAME, RESTORE, VERIFY, Kept

pytest_plugins = ("support.trees_fixtures",)
pytestmark = pytest.mark.s3


def _printed(module: str, arguments: t.Mapping[str, t.Any], check: bool = False) -> bytes:
    process = start_module(module, arguments, check, without_credentials())
    stdout, stderr = process.communicate(timeout=60)
    assert b'"verdict"' in stdout or b'"failed": true' in stdout, stdout + stderr
    return stdout + stderr


def _echoing(request: faults.Request, _forward: faults.Forward) -> faults.Answer:
    return faults.error(400, "Strange", f"the key {RIGHT} with the token {WRONG} is not right for {request.method}")


def test_the_secrets_are_nowhere(behind_proxy: Kept, proxy: FaultyStore) -> None:
    assert SECRET_KEY == RIGHT
    behind_proxy.file("a", "x")
    backup = behind_proxy.arguments(session_token=WRONG)
    where = behind_proxy.where(session_token=WRONG)
    restore = {**where, "tree": NAME, "destination": str(behind_proxy.tree.parent / "back")}
    verify = {**where, "trees": [NAME]}
    calls = [(BACKUP, backup), (RESTORE, restore), (VERIFY, verify)]
    with CommandLines() as lines:
        texts = [_printed(BACKUP, backup, check=True)]
        texts += [_printed(module, arguments) for module, arguments in calls]
        texts.append(_printed(BACKUP, {**backup, "no_such_option": 1}))
        proxy.inject("", _echoing)
        texts += [_printed(module, arguments) for module, arguments in calls]
        proxy.heal()
    for text in texts:
        assert not secrets_in(text)
    assert b"is not right for" in texts[-1], "the refusal that quotes the secrets was not told"
    assert not sweep(behind_proxy.tree.parent)
    assert behind_proxy.bucket
    keys = behind_proxy.bucket.listing()
    assert f"steward/{NAME}/current/a" in keys
    assert not [key for key in keys if secrets_in(behind_proxy.bucket.read(key))]
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.caught
