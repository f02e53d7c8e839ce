# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may lie in a repository: secrets filtered, key files refused, manifests read with suspicion."""

from __future__ import annotations

import json

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._configuration.arguments import (
    BACKUP_ARGUMENTS,
    PLACE_ARGUMENTS,
    backup_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.contents import (
    MANIFEST,
    ManifestError,
    Policy,
    assemble,
    read,
    write,
)
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.filtering import (
    PATTERNS,
    Secrets,
    why_secret,
)
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.git import quoted, remote_from
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.looking import Entry, Seen, matches
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.repository import Change
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.telling import diff_of, told
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

#: In two halves, so that this file holds no key.
KEY = b"-----BEGIN RSA PRIVATE" + b" KEY-----\nMIIE\n"


def secrets(*patterns: str, key: bytes = b"k" * 32) -> Secrets:
    return Secrets(patterns or PATTERNS, key)


@pytest.mark.parametrize(
    "line",
    [
        "password = hunter2",
        "  Password: 'hunter2'",
        '"db_password": "hunter2",',
        "DB_PASSWORD_FILE_SECRET=hunter2",
        "requirepass_token hunter2",
        "proxy_pass http://user:hunter2@example.org/;",
        "api-key: hunter2",
        "export AWS_SECRET_ACCESS_KEY=hunter2",
        "dsn=postgresql://app:hunter2@db1/shop?sslmode=require",
    ],
)
def test_secrets_of_a_line_are_not_kept(line: str) -> None:
    filtered = secrets().filter(f"first\n{line}\nlast".encode())
    assert filtered.lines == 1
    assert b"hunter2" not in filtered.content
    first, middle, last = filtered.content.split(b"\n")
    assert (first, last) == (b"first", b"last")
    assert b"<secret:" in middle


@pytest.mark.parametrize(
    "line", ["listen 80;", "user www-data;", "see https://example.org/a", "# passwords are elsewhere"]
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    filtered = secrets().filter(line.encode())
    assert (filtered.content, filtered.lines) == (line.encode(), 0)


def test_a_placeholder_shows_a_change_and_nothing_else() -> None:
    def of(line: bytes, key: bytes = b"k" * 32) -> bytes:
        return secrets(key=key).filter(line).content

    assert of(b"password=a") == of(b"password=a") != of(b"password=b")
    assert of(b"password=a") != of(b"password=a", b"x" * 32)  # whoever does not have the key cannot guess
    assert secrets(r"^pin").filter(b"pin 1234").content.startswith(b"<secret:")
    assert of(of(b"password=a")) == of(b"password=a")


def test_files_that_are_secrets() -> None:
    assert why_secret("etc/ssl/x.pem", KEY) == "it holds a private key"
    assert why_secret("etc/age", b"AGE-SECRET-KEY-1ABC") == "it holds a private key"
    for name in ("shadow", "gshadow-", ".pgpass", "a.p12", ".htpasswd"):
        assert why_secret(f"etc/{name}", b"x") == "files of this name hold secrets"
    for name in ("shadowsocks.conf", "passwd", "nginx.conf"):
        assert why_secret(f"etc/{name}", b"x") == ""


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.key", "/etc/nginx/a.key", True),
        ("/etc/nginx/*.key", "/etc/nginx/a.key", True),
        ("/etc/nginx", "/etc/nginx/sites/a", True),
        ("cache", "/var/cache/x", True),
        ("/etc", "/etcetera", False),
        ("*.key", "/etc/a.keys", False),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert matches(path, [pattern]) is fits


def entry(path: str, content: bytes = b"x\n", mode: int = 0o644, kind: str = "file") -> Entry:
    return Entry(path, kind, mode, "root", "adm", content, len(content))


def test_what_is_kept_of_what_was_found() -> None:
    seen = Seen(
        {
            one.path: one
            for one in (
                entry("etc/a", mode=0o4755),
                entry("etc/key.pem", KEY),
                entry("etc/large", b"x" * 200),
                entry("etc/blob", b"\0password=x"),
                entry("etc/link", b"../a", kind="link"),
                entry("etc/empty", kind="directory", mode=0o2750),
            )
        },
        unreadable={"/etc/closed": "Permission denied"},
        vanished=["/srv"],
    )
    known = {"kind": "file", "mode": "0600", "owner": "root", "group": "root"}
    old = {"etc/closed/in": known, "srv/x": known, "etc/gone": known}
    made = assemble(seen, Policy(largest=100), secrets(), dict.fromkeys(old, ("100644", "id")), old)
    assert sorted(made.tree) == [MANIFEST, "etc/a", "etc/closed/in", "etc/link", "srv/x"]
    assert (made.tree["etc/a"].mode, made.tree["etc/link"].mode) == ("100755", "120000")
    assert made.manifest["etc/a"]["mode"] == "4755"
    assert made.manifest["etc/empty"] == {"kind": "directory", "mode": "2750", "owner": "root", "group": "adm"}
    assert sorted(made.left_out) == ["etc/blob", "etc/key.pem", "etc/large"]
    assert "etc/gone" not in made.manifest  # nobody kept it from being seen: it was deleted
    assert read(made.tree[MANIFEST].content) == made.manifest


def test_a_manifest_that_somebody_else_wrote() -> None:
    known = {"kind": "file", "mode": "0600", "owner": "root", "group": "root"}
    for path in ("../etc/passwd", "/etc/passwd", "a//b", "a/./b", "a\0b", ""):
        with pytest.raises(ManifestError, match="nobody would write there"):
            read(write({path: known}))
    for text in (b"", b"[]", b'{"format": 1}', json.dumps({"format": 1, "paths": {"a": {"mode": "x"}}}).encode()):
        with pytest.raises(ManifestError, match="is damaged"):
            read(text)
    with pytest.raises(ManifestError, match="format 2"):
        read(b'{"format": 2, "paths": {}}')


def test_names_that_git_has_to_quote() -> None:
    assert quoted('a "b"\\\n') == b'"a \\042b\\042\\134\\012"'
    assert quoted("ü\udcff") == b'"\\303\\274\\377"'
    path = "odd\udcff ü"
    assert list(read(write({path: {"kind": "file", "mode": "0600", "owner": "a", "group": "b"}}))) == [path]


def test_diffs_are_bounded_and_hide_what_is_encrypted() -> None:
    changes = [
        Change("etc/a", "changed", b"one\ntwo\n", b"one\nthree\nfour"),
        Change("etc/k.age", "changed", b"cipher", b"other"),
        Change("etc/b", "added", None, b"\0"),
        Change("etc/c", "deleted", b"gone\n"),
    ]
    text = diff_of(changes, {"etc/k.age"})
    assert "-two\n+three\n+four\n" in text
    assert "etc/k.age: encrypted, changed\n" in text
    assert "cipher" not in text
    assert "etc/b: no text, added\n" in text
    assert told(changes, {"etc/k.age"}).startswith("etc/a (+2 -1), etc/k.age (+0 -0), etc/b (added), etc/c (deleted)")
    assert told([Change(MANIFEST, "changed", b"", b"x")], ()) == "only owners or modes"
    long = diff_of([Change("etc/a", "changed", b"", b"x\n" * 30_000), changes[0]], ())
    assert len(long) < 20_200
    assert "[cut off here; 1 more paths changed" in long


def arguments(**more: object) -> dict[str, object]:
    defaults = {name: option.get("default") for name, option in {**PLACE_ARGUMENTS, **BACKUP_ARGUMENTS}.items()}
    return {**defaults, "repository": "/r.git", "paths": ["/etc"], **more}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"paths": []}, "paths is empty"),
        ({"paths": ["etc"]}, "paths has 'etc': write an absolute path"),
        ({"paths": ["/etc/../x"]}, "paths has '/etc/../x'"),
        ({"repository": ""}, "repository is ''"),
        ({"repository": "ext::sh -c id"}, "repository is 'ext::sh -c id'"),
        ({"repository": "-oProxyCommand=x"}, "repository is '-oProxyCommand=x'"),
        ({"repository": "ssh://git:hunter2@host/x"}, "repository has a password in it"),
        ({"encrypt": ["*.key"]}, "recipients is empty"),
        ({"recipients": ["AGE-SECRET-KEY-1X"]}, "is a private key (which is not shown here)"),
        ({"secrets": ["("]}, "secrets: '(' is not a regular expression"),
        ({"author": "me"}, "author is 'me'"),
        ({"timeout": "soon"}, "timeout: duration 'soon'"),
        ({"largest": 0}, "largest is 0"),
    ],
)
def test_one_error_that_names_what_is_wrong(more: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as raised:
        Secrets(backup_settings_from(arguments(**more)).secrets, b"")
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_remote_is_asked_without_trusting_anybody_new() -> None:
    assert remote_from("/srv/c.git", "", "") is None
    remote = remote_from("git@git.example.com:ops/c.git", "/etc/key file", "/etc/known")
    assert remote is not None
    assert "BatchMode=yes" in remote.ssh_command
    assert "StrictHostKeyChecking=yes" in remote.ssh_command
    assert "-i '/etc/key file' -o IdentitiesOnly=yes -o UserKnownHostsFile=/etc/known" in remote.ssh_command
