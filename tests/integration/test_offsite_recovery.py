# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real backups of a real server, copied off-site, fetched back and restored: as a host does that has lost its own."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from support import s3_faults as faults
from support.backups import Backups, backups_of, small_disk
from support.by_hand import restore_by_hand
from support.modules import start_module
from support.offsite import FETCH, Offsite, new_bucket
from support.postgres import PrivatePostgres
from support.s3_faults import FaultyStore
from support.s3_server import S3Server, without_credentials

pytest_plugins = ("support.offsite_fixtures",)
pytestmark = pytest.mark.s3

ODD = 'odd/../na\'me "x" ü=1'


@pytest.fixture(scope="module")
def server() -> t.Iterator[PrivatePostgres]:
    with PrivatePostgres() as running:
        running.run_sql("CREATE ROLE app LOGIN PASSWORD 'top;secret'")
        running.run_sql("CREATE DATABASE shop OWNER app")
        running.run_sql('CREATE DATABASE "' + ODD.replace('"', '""') + '"')
        running.run_sql(
            "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 20000) g;"
            "CREATE INDEX ON t (v)", "shop",
        )  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def verified(server: PrivatePostgres) -> t.Iterator[Backups]:
    """One backup, proved. Tests do not change it."""
    with backups_of(server) as backups:
        assert not backups.back_up()["failed"]
        assert not backups.verify()["failed"]
        yield backups


@pytest.fixture
def copied(s3: S3Server, proxy: FaultyStore, verified: Backups) -> t.Iterator[Offsite]:
    """The backup and its copy in a bucket of its own."""
    offsite = Offsite(new_bucket(s3), verified.path, proxy.url)
    answer = offsite.copy()
    assert not answer["failed"], answer
    yield offsite
    proxy.heal()


def system_of(backups: Backups) -> str:
    return str(backups.manifest()["server"]["system_identifier"])


def verify(copied: Offsite, backups: Backups, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
    places = {"scratch_path": str(backups.scratch), "bin_dir": backups.server.bin_dir}
    return copied.verify(check, **{**places, **more})


def test_the_copy_is_restored_and_measured(copied: Offsite, verified: Backups) -> None:
    name = verified.sets()[0].name
    before = copied.bucket.tree()
    foretold = verify(copied, verified, check=True)
    assert (foretold["changed"], foretold["planned"][0]["reason"]) == (True, "no copy was ever restored")
    assert copied.bucket.tree() == before

    proved = verify(copied, verified)
    assert not proved["failed"], proved
    assert proved["changed"]
    figures = proved["figures"]
    assert figures["download_bytes"] == sum(entry["bytes"] for entry in verified.manifest()["files"])
    assert figures["restored_rows"] == 20000
    assert figures["recovery_seconds"] == pytest.approx(figures["download_seconds"] + figures["restore_seconds"])
    assert figures["restore_seconds"] > 0
    assert figures["rpo_seconds"] >= 0
    assert proved["backup"].endswith(f"/{name}")
    assert f"{name} restored" in proved["diff"]["after"]
    assert os.listdir(str(verified.scratch)) == []

    again = verify(copied, verified)
    assert (again["verdict"], again["changed"]) == ("ok", False)
    assert again["figures"]["recovery_seconds"] == figures["recovery_seconds"]
    assert verify(copied, verified, force=True)["changed"]
    # The copying sees nothing to do in what the verification left.
    assert not copied.copy()["changed"]


@pytest.mark.parametrize("damage", ["flip", "vanish"])
def test_a_copy_that_does_not_come_back_as_it_was_sent(
    copied: Offsite, proxy: FaultyStore, verified: Backups, damage: str
) -> None:
    """It was proved when it was sent; the store's disk rots afterwards, and the store does not notice."""
    proxy.inject(r"GET .*/globals\.sql" if damage == "flip" else r"(GET|HEAD) .*/globals\.sql", {
        "flip": faults.giving_other_bytes, "vanish": faults.refusing(404, "NoSuchKey")}[damage])  # fmt: skip
    answer = verify(copied, verified)
    assert answer["verdict"] == "failed"
    assert "globals.sql is not" in answer["reason"]
    assert os.listdir(str(verified.scratch)) == []
    name = verified.sets()[0].name
    assert f"{name} refuted" in answer["diff"]["after"]
    proxy.heal()
    # A refuted copy counts for nothing, is not fetched, and is sent again as a whole.
    refused = copied.fetch(verified.scratch / "elsewhere")
    assert "none of the copies" in refused["reason"]
    resent = copied.copy()
    assert not resent["failed"], resent
    assert resent["planned"][0]["reason"].startswith("its copy did not pass its verification")
    assert resent["figures"]["sent_objects"] == len(verified.manifest()["files"]) + 1
    assert f"{copied.base(name, system_of(verified))}/offsite-refuted.json" not in copied.bucket.listing()


def test_a_download_that_breaks_off_is_gone_on_with(
    copied: Offsite, proxy: FaultyStore, tmp_path: pathlib.Path
) -> None:
    fault = proxy.inject(r"GET .*/toc\.dat", faults.truncating, times=2)
    fetched = copied.fetch(tmp_path / "new")
    assert not fetched["failed"], fetched
    assert fault.hits == 2


def test_a_download_that_always_breaks_off(
    copied: Offsite, proxy: FaultyStore, verified: Backups, tmp_path: pathlib.Path
) -> None:
    """Nothing has a final name; what did arrive is not fetched again."""
    proxy.inject(r"GET .*/shop/toc\.dat", faults.truncating)
    answer = copied.fetch(tmp_path / "new")
    assert answer["verdict"] == "failed"
    assert "cannot be fetched: in 3 attempts the answer broke off" in answer["reason"]
    assert [path.name for path in (tmp_path / "new").glob("[0-9]*Z")] == []
    proxy.heal()
    answer = copied.fetch(tmp_path / "new")
    assert not answer["failed"], answer
    assert 0 < answer["figures"]["download_bytes"] < answer["figures"]["backup_bytes"]
    # For whoever cannot reach the store at all, it is unknown, not refuted.
    proxy.inject("", faults.refusing(503, "SlowDown"))
    assert verify(copied, verified, attempts=1)["verdict"] == "unknown"


def test_a_fresh_host_recovers(
    copied: Offsite, verified: Backups, server: PrivatePostgres, tmp_path: pathlib.Path
) -> None:
    """Fetch, verify, restore by hand with plain tools: nothing of the old host is used."""
    with backups_of(server) as fresh:
        foretold = copied.fetch(fresh.path, check=True)
        assert foretold["changed"]
        assert not fresh.path.exists()
        fetched = copied.fetch(fresh.path)
        assert not fetched["failed"], fetched
        assert fetched["backup"] == str(fresh.sets()[0])
        assert {path.stat().st_mode & 0o777 for path in fresh.path.rglob("*") if path.is_file()} == {0o600}
        same = {str(path.relative_to(verified.path)): path.read_bytes() for path in verified.sets()[0].rglob("*.*")
                if path.is_file()}  # fmt: skip
        here = {str(path.relative_to(fresh.path)): path.read_bytes() for path in fresh.sets()[0].rglob("*.*")
                if path.is_file()}  # fmt: skip
        assert here == same
        assert not copied.fetch(fresh.path)["changed"]
        proved = fresh.verify(force=True)
        assert not proved["failed"], proved
        with PrivatePostgres(server.bin_dir, own_cluster=True) as other:
            restore_by_hand(other, fresh.sets()[0], "shop", tmp_path)
            assert other.run_sql("SELECT count(*) FROM t", "shop") == [(20000,)]


def test_what_to_fetch_can_be_chosen(offsite: Offsite, tmp_path: pathlib.Path) -> None:
    for day in (18, 19, 20):
        offsite.make(f"202611{day}T000000Z")
    offsite.copy(retention="36500d")
    new = tmp_path / "new"
    assert offsite.fetch(new, backup="20261118T000000Z")["backup"] == f"{new}/20261118T000000Z"
    assert offsite.fetch(new, at="2026-11-19T12:00:00Z")["backup"] == f"{new}/20261119T000000Z"
    # One that was made under a fast clock is not the newest: it is told, and fetched only when it is named.
    offsite.make("21000101T000000Z")
    offsite.copy(retention="36500d")
    for more in ({}, {"at": "2100-06-01T00:00:00Z"}):
        newest = offsite.fetch(new, **more)
        assert newest["backup"] == f"{new}/20261120T000000Z"
        told = [(one["id"], one["subject"]) for one in newest["findings"]]
        assert told == [("offsite-in-the-future", "21000101T000000Z")]
    for key in offsite.bucket.listing(offsite.base("21000101T000000Z")):
        offsite.bucket.delete(key)
    assert len(list(new.glob("[0-9]*Z"))) == 3
    misspelt = offsite.fetch(new, backup="20261118T00000Z")
    assert "'20261118T00000Z'" in misspelt["reason"]
    assert "did you mean '20261118T000000Z'?" in misspelt["reason"]
    assert "the oldest copy in" in offsite.fetch(new, at="2026-11-01T00:00:00Z")["reason"]
    assert "at: time 'yesterday' cannot be read" in offsite.fetch(new, at="yesterday")["reason"]
    # The newest copy lost an object: the one before it is fetched, and that is told.
    offsite.bucket.delete(f"{offsite.base('20261120T000000Z')}/globals.sql")
    told = offsite.fetch(tmp_path / "other")
    assert told["backup"].endswith("/20261119T000000Z")
    assert [finding["id"] for finding in told["findings"]] == ["offsite-damaged"]
    assert "is not right: globals.sql is missing" in offsite.fetch(new, backup="20261120T000000Z")["reason"]


def test_a_damaged_backup_is_not_overwritten(offsite: Offsite) -> None:
    offsite.make("20261120T000000Z")
    offsite.copy()
    path = offsite.path / "20261120T000000Z" / "globals.sql"
    path.write_bytes(b"damaged")
    answer = offsite.fetch(offsite.path)
    assert answer["verdict"] == "failed"
    assert "is there and is not this backup, or is damaged: move it away first" in answer["reason"]
    assert path.read_bytes() == b"damaged"


def test_a_full_disk_gets_its_space_back(offsite: Offsite, tmp_path: pathlib.Path) -> None:
    offsite.make("20261120T000000Z")
    offsite.copy()
    with small_disk(tmp_path / "small", "128k"):
        answer = offsite.fetch(tmp_path / "small")
        assert "not enough space in" in answer["reason"]
        assert [path.name for path in (tmp_path / "small").iterdir()] == [".fetch.lock"]


def test_names_in_a_bucket_do_not_choose_where_they_are_written(offsite: Offsite, tmp_path: pathlib.Path) -> None:
    """Whoever may write into the bucket could write a manifest that is consistent in itself."""
    offsite.make("20261120T000000Z")
    manifest = json.loads((offsite.path / "20261120T000000Z" / "manifest.json").read_text())
    entry = manifest["files"][0]
    content = (offsite.path / "20261120T000000Z" / entry["path"]).read_bytes()
    offsite.copy()
    from ansible_collections.steward.maintenance.plugins.module_utils._postgres.durable import digest_of

    entry["path"] = "../../planted"
    body = {name: value for name, value in manifest.items() if name != "digest"}
    base = offsite.base("20261120T000000Z")
    offsite.bucket.write(f"{base}/manifest.json", json.dumps({**body, "digest": digest_of(body)}).encode())
    offsite.bucket.write(f"{base}/../../planted", content)
    answer = offsite.fetch(tmp_path / "new")
    assert answer["verdict"] == "failed"
    assert "names the file '../../planted', which would lie outside of the backup" in answer["reason"]
    assert not (tmp_path / "planted").exists()


def test_a_fetch_that_was_killed_is_gone_on_with(broken: Offsite, proxy: FaultyStore, tmp_path: pathlib.Path) -> None:
    broken.make("20261120T000000Z")
    broken.copy()
    new = tmp_path / "new"
    process: list[t.Any] = []

    def strike(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        process[0].kill()
        return forward(request)

    proxy.inject(r"GET .*/shop/3\.dat", strike, times=1)
    arguments = {**broken.arguments(), "path": str(new), "streams": 1}
    process.append(start_module(FETCH, arguments, env=without_credentials()))
    process[0].communicate(timeout=60)
    assert process[0].returncode == -9
    assert list(new.glob("[0-9]*Z")) == []
    assert len(list(new.glob("*.fetch.partial"))) == 1
    answer = broken.fetch(new)
    assert not answer["failed"], answer
    assert [path.name for path in new.iterdir() if not path.name.startswith(".")] == ["20261120T000000Z"]


def test_no_copy_at_all(offsite: Offsite, tmp_path: pathlib.Path) -> None:
    assert "there is no copy of a backup in s3://" in offsite.fetch(tmp_path)["reason"]
    assert offsite.verify(scratch_path=str(tmp_path))["verdict"] == "failed"
    assert offsite.verify(check=True, scratch_path=str(tmp_path))["verdict"] == "skipped"


def test_credentials_that_may_only_read_verify_all_the_same(
    copied: Offsite, proxy: FaultyStore, verified: Backups
) -> None:
    proxy.inject(r"PUT ", faults.refusing(403, "AccessDenied"))
    answer = verify(copied, verified)
    assert not answer["failed"], answer
    assert "offsite-not-noted" in [finding["id"] for finding in answer["findings"]]
    assert verify(copied, verified, check=True)["planned"][0]["reason"] == "no copy was ever restored"


def test_a_place_that_somebody_else_has_taken(copied: Offsite, verified: Backups) -> None:
    """The directory in /var/tmp has a name that others can foretell."""
    taken = verified.scratch / f"steward-offsite-{system_of(verified)}-{os.geteuid()}"
    taken.symlink_to(verified.path)
    try:
        answer = verify(copied, verified)
    finally:
        taken.unlink()
    assert answer["verdict"] == "unknown"
    assert "is not a directory of this account and closed to others" in answer["reason"]
