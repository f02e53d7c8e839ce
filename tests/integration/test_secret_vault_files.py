# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in the format of ansible-vault: that program, which is where ansible-playbook is, opens what we write, and we
open what it writes."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from support.canary import RIGHT
from support.modules import run_module
from support.secrets import stages, vault_files_store

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.ansible_vault import decrypt, encrypt
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import new_token

_CONTENTS = [b"", b"x", b"fifteen bytes..", b"sixteen bytes...", "\u00fc\u4e16 and more\n".encode() * 30]


def _ansible_vault(directory: pathlib.Path, *words: str, content: bytes = b"") -> bytes:
    tool = str(pathlib.Path(sys.executable).parent / "ansible-vault")
    environment = {**os.environ, "HOME": str(directory), "ANSIBLE_LOCAL_TEMP": str(directory / "tmp")}
    return subprocess.run([tool, *words], input=content, check=True, capture_output=True, env=environment).stdout


def test_ansible_vault_opens_what_is_written_here(tmp_path: pathlib.Path) -> None:
    store = vault_files_store(tmp_path)
    token = new_token()
    store.create_first(token, {"username": "shop", "password": RIGHT})
    shown = _ansible_vault(
        tmp_path, "view", "--vault-password-file", store.password_file, str(pathlib.Path(store.place, f"{token}.vault"))
    )
    assert json.loads(shown) == {"username": "shop", "password": RIGHT}


@pytest.mark.parametrize("label", ["", "production@"])
def test_what_ansible_vault_writes_is_opened_here(tmp_path: pathlib.Path, label: str) -> None:
    """Format 1.1, and 1.2 with a label, which is about which password it was."""
    store = vault_files_store(tmp_path)
    content = _CONTENTS[-1]
    words = ("--vault-id", f"{label}{store.password_file}")
    sealed = _ansible_vault(tmp_path, "encrypt", *words, "--output", "-", content=content)
    assert (b";1.2;" in sealed.splitlines()[0]) == bool(label)
    assert decrypt(sealed, store.password_file) == content


def test_all_lengths_come_back(tmp_path: pathlib.Path) -> None:
    password = vault_files_store(tmp_path).password_file
    for content in _CONTENTS:
        sealed = encrypt(content, password)
        assert decrypt(sealed, password) == content
        assert sealed != encrypt(content, password), "the salt is the same each time"


def test_modules_keep_a_secret_in_it(tmp_path: pathlib.Path) -> None:
    store = vault_files_store(tmp_path, "jwt")
    path = tmp_path / "keys.json"
    path.write_text("")
    files = [{"path": str(path), "kind": "text", "content": "{secrets}"}]
    arguments = {
        "name": "jwt",
        "store": {"kind": "files", "directory": store.directory, "vault_password_file": store.password_file},
        "algorithm": "HS256",
        "token_life": "5m",
        "cache_life": "0s",
        "state_dir": str(tmp_path / "state"),
        "consumers": [{"name": "services", "files": files}],
    }
    told = run_module("secret_rotate_jwt", arguments)
    assert (told["verdict"], told["moves"]) == ("ok", ["first", "note_signed"]), told
    assert stages(store)["current"] == told["version"]
    given = {**arguments["store"], "identity_file": "/x"}  # type: ignore[dict-item]
    wrong = run_module("secret_rotate_jwt", {**arguments, "store": given})
    assert "store.identity_file is for age, but store.vault_password_file is given" in wrong["msg"]
