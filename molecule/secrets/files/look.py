# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host whose password is rotated.

    python3 look.py state        what the store, the server, the worker and its file have
    python3 look.py leaks        where a password lies that was ever in use here, or one of the words on stdin
    python3 look.py age DAYS     has every version of the store made so many days ago

It uses nothing of the collection, and what it prints holds no secret.
"""

from __future__ import annotations

import base64
import datetime
import glob
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import typing as t

STORE = pathlib.Path("/var/lib/shop-secrets/shop-database")
INDEX = STORE / "index.json"
ENV_FILE = pathlib.Path("/etc/shop/worker.env")
TALLY = pathlib.Path("/srv/shop/tally.json")
ROLES = """SELECT rolname, rolcanlogin, rolpassword,
    (SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setrole = oid),
    (SELECT array_agg(roleid ORDER BY roleid) FROM pg_auth_members WHERE member = oid) FROM pg_authid ORDER BY 1"""
ROOTS = ("/dev/shm", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/var")


def said(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(words, input=given, stdout=subprocess.PIPE, check=True).stdout


def decrypted(path: pathlib.Path) -> dict[str, str]:
    if path.suffix == ".age":
        found = said("age", "--decrypt", "--identity", "/etc/steward/age.key", str(path))
    else:
        found = opened_vault(path.read_bytes(), pathlib.Path("/etc/steward/vault-password").read_bytes().strip())
    return t.cast("dict[str, str]", json.loads(found))


def opened_vault(content: bytes, password: bytes) -> bytes:
    """What `ansible-vault view` shows, where there is no Ansible."""
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    text = base64.b16decode(b"".join(content.split(b"\n")[1:]), casefold=True)
    salt, mark, sealed = (base64.b16decode(part, casefold=True) for part in text.split(b"\n"))
    made = hashlib.pbkdf2_hmac("sha256", password, salt, 10000, 80)
    if not hmac.compare_digest(hmac.new(made[32:64], sealed, "sha256").digest(), mark):
        raise ValueError("the password of the vault is another one")
    opener = Cipher(algorithms.AES(made[:32]), modes.CTR(made[64:]), default_backend()).decryptor()
    padded = opener.update(sealed) + opener.finalize()
    return padded[: -padded[-1]]


def versions() -> list[dict[str, t.Any]]:
    """Each version with its labels and its value, in the order of their files."""
    entries = json.loads(INDEX.read_text())["versions"] if INDEX.exists() else {}
    return [
        {**decrypted(path), "stages": entries.get(path.stem, {"stages": ["none"]})["stages"]}
        for path in sorted(STORE.glob("*.age")) + sorted(STORE.glob("*.vault"))
    ]


def opens(version: dict[str, t.Any]) -> bool:
    import psycopg2

    words = {"user": version["username"], "password": version["password"]}
    try:
        psycopg2.connect(host="127.0.0.1", dbname="shop", **words).close()
    except psycopg2.OperationalError as exc:
        if "authentication failed" not in str(exc) and "not permitted to log in" not in str(exc):
            raise
        return False
    return True


def main_process() -> str:
    return said("systemctl", "show", "--property=MainPID", "--value", "shop-worker").decode().strip()


def state() -> dict[str, t.Any]:
    found = versions()
    current = next((version for version in found if version["stages"] == ["current"]), {})
    in_file = dict(line.split("=", 1) for line in ENV_FILE.read_text().splitlines())
    roles = said("runuser", "-u", "postgres", "--", "psql", "-XAtc", ROLES)
    process = main_process()
    environment = pathlib.Path("/proc", process, "environ").read_bytes().split(b"\0")
    parts = [INDEX.read_bytes() if INDEX.exists() else b"", ENV_FILE.read_bytes(), roles, process.encode()]
    files = sorted(path.name for path in STORE.glob("*"))
    whole = hashlib.sha256(repr((parts, files)).encode()).hexdigest()
    return {
        # All that a run could have changed, as one word.
        "whole": whole,
        "current": current.get("username", ""),
        "labels": sorted(stage for version in found for stage in version["stages"]),
        "versions": len(found),
        "open": sorted(version["username"] for version in found if opens(version)),
        "file_has_it": [in_file[f"DB_{name}"] for name in ("USER", "PASSWORD")]
        == [current.get(name) for name in ("username", "password")],
        "file_is_as_it_was": in_file.get("OTHER") == "kept"
        and said("stat", "--format=%a %U:%G", str(ENV_FILE)).decode().strip() == "640 root:shop",
        "process_was_started_with_it": f"DB_PASSWORD={current.get('password')}".encode() in environment,
        "process": process,
        "tally": json.loads(TALLY.read_text()),
    }


def leaks() -> dict[str, t.Any]:
    words = sorted({version["password"] for version in versions()} | set(sys.stdin.read().split()))
    forms = [form for word in words for form in forms_of(word.encode())]
    grep = ("grep", "--text", "--fixed-strings", "--files-with-matches", "--file=-")
    roots = [root for root in ROOTS if os.path.exists(root)]
    command = [*grep, "--recursive", "--no-messages", "--devices=skip", *roots]
    done = subprocess.run(command, input=b"\n".join(forms), stdout=subprocess.PIPE, check=False)
    journal = said("journalctl", "--output=export", "--no-pager")
    log = b"".join(pathlib.Path(path).read_bytes() for path in glob.glob("/var/log/postgresql/*"))
    return {
        "passwords": len(words),
        "files": sorted(done.stdout.decode().split()),
        "in_journal": any(form in journal for form in forms),
        "verifiers_in_log": log.count(b"SCRAM-SHA-256$"),
        "from_controller": len(glob.glob("/srv/controller/*")),
        # Without these, nothing would have been found anyhow.
        "journal_has_modules": journal.count(b"ansible-steward.maintenance.secret_rotate") > 0,
        "log_has_statements": log.count(b"set_config") > 0 and log.count(b"INSERT INTO orders") > 0,
    }


def forms_of(word: bytes) -> list[bytes]:
    """The word as it is, and as base64 at each of the three places where it can start."""
    return [word, *(base64.b64encode(b"\0" * shift + word)[(0, 2, 3)[shift] : -4] for shift in range(3))]


def age(days: str) -> dict[str, t.Any]:
    content = json.loads(INDEX.read_text())
    made = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=float(days))
    for entry in content["versions"].values():
        entry["created"] = made.strftime("%Y-%m-%dT%H:%M:%SZ")
    INDEX.write_text(json.dumps(content))
    return {}


if __name__ == "__main__":
    print(json.dumps({"state": state, "leaks": leaks, "age": age}[sys.argv[1]](*sys.argv[2:])))
