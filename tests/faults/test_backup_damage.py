# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single flipped bits and files cut short, in every kind of backup there is: 0 undetected, before any restore begins.

Each file of a backup takes part, the manifest too. One line a kind is printed, whatever is captured, and marked so that
bin/test shows it in its end.
"""

from __future__ import annotations

import os
import pathlib
import random

import pytest
from support.backups import AgeKey, backups_of
from support.postgres import PrivatePostgres

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import backup_sets
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup_sets import damaged_files, read_sets

FLIPS = 200
TRUNCATIONS = 50
KINDS = ("zstd", "lz4", "gzip", "none", "encrypted zstd", "encrypted none")
HEAD = f"{'backup':<34} {'files':>5} {'flips':>6} {'cut':>4} {'undetected':>10}"


@pytest.fixture(scope="module")
def server():
    with PrivatePostgres() as running:
        running.run_sql("CREATE DATABASE shop")
        running.run_sql("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 3000) g", "shop")
        running.run_sql("SELECT lo_from_bytea(0, 'large')", "shop")
        yield running


@pytest.fixture
def backups(server):
    with backups_of(server) as place:
        yield place


@pytest.fixture
def say(capsys):
    def out_loud(text):
        with capsys.disabled():
            print(f"\n|: {text} :|", end="", flush=True)

    return out_loud


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_is_overlooked(backups, tmp_path, say, kind):
    encrypted, _space, compression = kind.rpartition(" ")
    beside = {"recipients": [AgeKey(tmp_path).public]} if encrypted else {}
    made = backups.back_up(compression=compression, **beside)
    if kind == KINDS[0]:
        say(HEAD)
    if made["failed"]:
        assert f"compression {compression} is not possible" in made["reason"]
        say(f"{kind:<34} not offered by pg_dump {backups.server.major}")
        return
    (found,) = read_sets(str(backups.path))
    names = [entry["path"] for entry in found.manifest["files"]]
    assert any(name.startswith("globals.sql") for name in names)
    assert any(name.startswith("server.settings.json") for name in names)
    assert any(name.startswith("server.files/") for name in names)
    assert all(name.endswith(".age") for name in names) == bool(encrypted)
    undetected = harm_everywhere(found, [backup_sets.MANIFEST, *names], random.Random(kind))  # noqa: S311
    title = f"{kind}, by {found.manifest['compressed_by']} {backups.server.major}"
    say(f"{title:<34} {len(names) + 1:>5} {FLIPS:>6} {TRUNCATIONS:>4} {len(undetected):>10}")
    assert undetected == []
    assert damaged_files(found, by_hash=True) == []  # and all is as it was


def harm_everywhere(found, names, chance):
    """What was done and not found, as (file, position)."""
    undetected = []
    for number in range(FLIPS + TRUNCATIONS):
        # Every file once, before any a second time.
        name = names[number] if number < len(names) else chance.choice(names)
        path = pathlib.Path(found.path, name)
        good = path.read_bytes()
        if not good:
            good, bad, position = b"", b"\0", 0
        else:
            position = chance.randrange(len(good))
            flipped = bytes([good[position] ^ 1 << chance.randrange(8)])
            bad = good[:position] + (flipped + good[position + 1 :] if number < FLIPS else b"")
        path.write_bytes(bad)
        if not is_found(found, name):
            undetected.append((name, position))
        path.write_bytes(good)
    return undetected


def is_found(original, name):
    """What a verification sees before it restores anything."""
    (now,) = read_sets(os.path.dirname(original.path))
    if name == backup_sets.MANIFEST:
        return bool(now.damage)
    return any(os.path.join(now.path, name) in wrong for wrong in damaged_files(now, by_hash=True))
