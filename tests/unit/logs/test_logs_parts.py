# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files rotation has finished, what they are known by, and what is refused."""

from __future__ import annotations

import gzip
import io
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._logs.arguments import (
    LOGS_ARGUMENTS,
    host_from,
    settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._logs.journal import Journal, seconds_between
from ansible_collections.steward.maintenance.plugins.module_utils._logs.rotated import (
    LogsError,
    base_of,
    content_of,
    find,
    is_rotated,
    pack,
)
from ansible_collections.steward.maintenance.plugins.module_utils._logs.targets import (
    DirectoryTarget,
    read_manifest,
    write_manifest,
)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("access.log.1", "access.log"),
        ("access.log.2.gz", "access.log"),
        ("syslog-20261126", "syslog"),
        ("syslog-20261126.xz", "syslog"),
        ("app.log.2026-11-26", "app.log"),
        ("app.log.2026-11-26_13-05.zst", "app.log"),
        ("wtmp-2026112613.bz2", "wtmp"),
        ("postgresql-2026-11-26_000000.log", None),
        ("access.log", None),
        ("syslog", None),
        ("backup.gz", None),
        ("lib.so.12345678901", None),
    ],
)
def test_names_that_rotation_leaves(name: str, base: str | None) -> None:
    assert is_rotated(f"/var/log/{name}") is (base is not None)
    if base:
        assert base_of(f"/var/log/{name}") == f"/var/log/{base}"


def test_what_is_found(tmp_path: pathlib.Path) -> None:
    for name in ("a.log", "a.log.1", "sub/b.log.2.gz", "sub/skip.log.1", "empty.log.1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if "empty" in name else name)
    (tmp_path / "link.log.1").symlink_to("a.log.1")
    patterns = [f"{tmp_path}/**/*", f"{tmp_path}/nothing/*"]
    found, idle, missed = find(patterns, [f"{tmp_path}/sub/skip*"], unrotated=False)
    assert sorted(one.path for one in found) == [f"{tmp_path}/a.log.1", f"{tmp_path}/sub/b.log.2.gz"]
    assert idle == [f"{tmp_path}/nothing/*"]
    assert missed == {}
    every = find(patterns[:1], [], unrotated=True).files
    assert f"{tmp_path}/a.log" in [one.path for one in every]


def test_a_pattern_that_misses_what_rotation_makes_is_no_reason_to_archive_nothing_in_silence(
    tmp_path: pathlib.Path,
) -> None:
    for name in ("a.log", "a.log-20261126.gz", "b.txt", "b.txt.back"):
        (tmp_path / name).write_text(name)
    live, other = f"{tmp_path}/*.log", f"{tmp_path}/*.txt"
    assert find([live, other], [], unrotated=False) == ([], [], {live: f"{tmp_path}/a.log-20261126.gz"})
    assert find([live], [], unrotated=True).missed == {}
    assert [one.path for one in find([f"{live}*"], [], unrotated=False).files] == [f"{tmp_path}/a.log-20261126.gz"]


def test_an_account_that_sees_only_a_part_of_the_journal_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are those of systemd's journalctl; a host whose journal runs, and hides a part, is not at hand here."""
    program = tmp_path / "journalctl"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *--quiet*) exit 0 ;; esac\n'
        "echo 'Hint: You are currently not seeing messages from other users and the system.' >&2\n"
        "echo '-- No entries --' >&2\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = "Hint: You are currently not seeing messages from other users and the system."
    assert Journal().unseen() == told


def test_a_content_is_the_same_however_it_is_packed() -> None:
    text = b"line\n" * 5000
    plain = content_of(io.BytesIO(text), "")
    assert plain.bytes == len(text)
    assert content_of(io.BytesIO(gzip.compress(text)), "gz") == plain
    packed = io.BytesIO()
    pack(io.BytesIO(text), packed, "gz")
    assert len(packed.getvalue()) < len(text) / 50
    assert content_of(packed, "gz") == plain
    again = io.BytesIO()
    pack(io.BytesIO(text), again, "gz")
    assert again.getvalue() == packed.getvalue()
    with pytest.raises(LogsError, match="cannot be unpacked"):
        content_of(io.BytesIO(packed.getvalue()[:-9]), "gz")


def test_a_manifest_that_is_damaged_is_not_taken_for_an_empty_one(tmp_path: pathlib.Path) -> None:
    target = DirectoryTarget(str(tmp_path), "web1")
    entries = [{"content_sha256": "ab", "name": "x", "path": "/var/log/x.1"}]
    assert read_manifest(target, "2026-11-26") == []
    write_manifest(target, "2026-11-26", entries)
    assert read_manifest(target, "2026-11-26") == entries
    path = tmp_path / "web1" / "2026-11-26" / "manifest.json"
    path.write_text(path.read_text().replace("ab", "cd"))
    with pytest.raises(LogsError, match="is damaged: its digest is another one"):
        read_manifest(target, "2026-11-26")
    path.write_text("")
    with pytest.raises(LogsError, match="is damaged"):
        read_manifest(target, "2026-11-26")
    with pytest.raises(LogsError, match="make it, or mount what it lies on"):
        DirectoryTarget(str(tmp_path / "missing"), "web1")


def test_how_long_the_journal_was_silent() -> None:
    first, second = "s=a;i=1;b=c;m=1;t=5f5e100;x=1", "s=a;i=2;b=c;m=2;t=6052340;x=1"
    assert seconds_between(first, second) == 1
    assert seconds_between(first, "odd") is None


def arguments(**more: object) -> dict[str, object]:
    defaults = {name: option["default"] for name, option in LOGS_ARGUMENTS.items()}
    return {**defaults, "bucket": "", "directory": "/srv/logs", **more}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"directory": ""}, "directory and bucket are empty"),
        ({"paths": []}, "there is nothing to archive"),
        ({"paths": ["log/*"]}, "paths has 'log/*': write an absolute path"),
        ({"retention": "soon"}, "retention: duration 'soon'"),
        ({"host": "../other"}, "host is '../other'"),
    ],
)
def test_one_error_that_names_what_is_wrong(more: dict[str, object], words: str) -> None:
    refuses = host_from if "host" in more else settings_from
    with pytest.raises(InputError) as raised:
        refuses(arguments(**more))
    assert words in str(raised.value)
