# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that is encrypted or signed, restored without its key, with another one, and with the right one."""

from __future__ import annotations

import pathlib

from support.backups import AgeKey, backups_of, signing_key
from support.restores import Restores

pytest_plugins = ("support.restores_fixtures",)


def test_an_encrypted_backup_is_restored_by_whoever_has_its_key(restores: Restores, tmp_path: pathlib.Path) -> None:
    """Roles included, for these are encrypted as well; and nothing of it stays in clear."""
    key, other = AgeKey(tmp_path), AgeKey(tmp_path, "other.txt")
    for statement in ("ALTER DATABASE shop RENAME TO live", "CREATE ROLE guest", "CREATE DATABASE shop OWNER guest"):
        restores.server.run_sql(statement)
    restores.server.run_sql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2)", "shop")
    with backups_of(restores.server) as backups:
        made = backups.back_up(databases=["shop"], recipients=[key.public])
        assert not made["failed"], made
        for statement in ("DROP DATABASE shop", "DROP ROLE guest", "ALTER DATABASE live RENAME TO shop"):
            restores.server.run_sql(statement)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        given = {
            "path": str(backups.path),
            "allow_unverified": True,
            "create_roles": True,
            "scratch_path": str(scratch),
        }

        without = restores.restore(**given)
        wrong = restores.restore(identity_file=str(other.path), **given)
        foretold = restores.restore(check=True, identity_file=str(key.path), **given)
        restores.assert_untouched()
        assert list(scratch.iterdir()) == []
        right = restores.restore(identity_file=str(key.path), **given)

    assert "is encrypted, and no identity_file was given" in without["reason"]
    assert f"the private key in {other.path} does not open it" in wrong["reason"]
    assert [without["verdict"], wrong["verdict"]] == ["failed", "failed"]
    assert not foretold["failed"], foretold
    assert not right["failed"], right
    assert restores.rows() == 2
    assert restores.properties()[0] == "app", "the properties of the database in use are carried over"
    assert list(scratch.iterdir()) == []
    restores.server.run_sql("DROP ROLE guest")


def test_a_backup_that_is_not_signed_by_whom_it_must_be_is_not_restored(
    restores: Restores, tmp_path: pathlib.Path
) -> None:
    """Whoever can write to the backups can write a manifest that fits: only the signature tells."""
    private, public = signing_key(tmp_path)
    _other, stranger = signing_key(tmp_path, "stranger")
    unsigned = restores.restore(public_key=public)
    with backups_of(restores.server) as backups:
        assert not backups.back_up(databases=["shop"], signing_key=private)["failed"]
        given = {"path": str(backups.path), "allow_unverified": True}
        by_another = restores.restore(public_key=stranger, **given)
        no_key = restores.restore(public_key=private, **given)
        its_tables = restores.tables("orders", public_key=stranger, **given)
        restores.assert_untouched()
        right = restores.restore(public_key=public, **given)

    assert "is not to be trusted: " in unsigned["reason"]
    assert "is not signed: manifest.sig is missing" in unsigned["reason"]
    for answer in (by_another, its_tables):
        assert f"is not that of the holder of {stranger}" in answer["reason"]
    assert f"public_key: {private} is not a public key in PEM form, but a private one" in no_key["reason"]
    assert {answer["verdict"] for answer in (unsigned, by_another, no_key, its_tables)} == {"failed"}
    assert not right["failed"], right
