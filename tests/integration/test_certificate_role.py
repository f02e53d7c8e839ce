# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role certificate_rotation on every ansible-core, in the cycle and by its playbook, with ansible-playbook -vvvv:
an authority of our own whose passphrase is planted, and one certificate that cannot be issued beside one that can and
that two hosts have."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
from support.canary import RIGHT, WRONG, CommandLines, secrets_in, sweep
from support.certificates import Authority, pem_of_key
from support.deployments import NAME, Site
from support.plays import environment

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    (tmp_path / "site").mkdir()
    with Site(tmp_path / "site") as ready:
        yield ready


@pytest.fixture
def other(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    (tmp_path / "other").mkdir()
    with Site(tmp_path / "other") as ready:
        yield ready


class Host:
    """One local host of the application, another one that serves the same, and all that was ever printed of them."""

    def __init__(self, site: Site, other: Site, directory: pathlib.Path) -> None:
        self.site = site
        self.other = other
        self.directory = directory
        self.authority = Authority("Own")
        (directory / "own.pem").write_bytes(self.authority.pem)
        (directory / "own.key").write_bytes(pem_of_key(self.authority.key, RIGHT.encode()))
        self.records = directory / "records.jsonl"
        self.told: list[str] = []
        self.good = self._entry(site)
        listener = self.good["listeners"][0]
        # Its directory is not mounted, say.
        self.bad = {"name": "shop", "names": ["shop.example.com"], "webroot": "/no/such", "listeners": [listener]}
        self.bad["trust"] = self.good["trust"]

    def _entry(self, site: Site) -> dict[str, t.Any]:
        return {
            "name": site.store.name,
            "names": [NAME],
            "provider": "own_ca",
            "listeners": [{"host": NAME, "port": site.service.port, "addresses": list(site.service.hosts)}],
            "trust": str(self.directory / "own.pem"),
            "reload_commands": [site.service.reload_command],
        }

    def _second(self) -> dict[str, t.Any]:
        """What the other host says of itself."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "certificate_rotation_certificates": [self._entry(self.other)],
            "certificate_rotation_issued_dir": str(self.directory / "issued-other"),
            "certificate_rotation_deployed_dir": str(self.other.store.parent),
            "certificate_rotation_state_dir": str(self.directory / "state-other"),
        }

    def run(self, playbook: str, *words: str, passphrase: str = RIGHT, **variables: t.Any) -> tuple[int, str]:
        """Exit status and all that was printed, on one line."""
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "maintenance_records": str(self.records),
            "cycle_report_path": "",
            "certificate_rotation_certificates": [self.good, self.bad],
            "certificate_rotation_issued_dir": str(self.directory / "issued"),
            "certificate_rotation_deployed_dir": str(self.site.store.parent),
            "certificate_rotation_state_dir": str(self.directory / "state"),
            "certificate_rotation_account_dir": str(self.directory / "account"),
            "certificate_rotation_authority_certificate": str(self.directory / "own.pem"),
            "certificate_rotation_authority_key": str(self.directory / "own.key"),
            "certificate_rotation_authority_passphrase": "{{ planted }}",
            "certificate_rotation_eab_key_id": "kid",
            "certificate_rotation_eab_key": "{{ planted }}",
            "certificate_rotation_calendar": [],
            **variables,
        }
        # As a vault would have it: what is planted is in a file that only the play reads.
        place = self.directory.parent / "vault.json"
        place.write_text(json.dumps({"planted": passphrase}))
        inventory = self.directory / "inventory.json"
        hosts = {"web1": given, "web2": self._second()}
        inventory.write_text(json.dumps({"application": {"hosts": hosts}}), encoding="utf-8")
        tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        done = subprocess.run(
            [tool, "-i", str(inventory), f"steward.maintenance.{playbook}", "-e", f"@{place}", "-l", "web1", *words],
            env=environment(self.directory),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=250,
        )
        self.told.append(done.stdout)
        return done.returncode, re.sub(r"\s+", " ", done.stdout)


def test_one_that_cannot_be_issued_stops_no_other_and_no_secret_is_anywhere(
    site: Site, other: Site, tmp_path: pathlib.Path
) -> None:
    host = Host(site, other, tmp_path)
    loud = ("-vvvv", "--diff")
    # In the cycle, which records what became of both.
    only = {"cycle_only": ["secrets.certificates"], "cycle_force": True}
    shared = {**host.good, "hosts": ["web1", "web2"]}
    with CommandLines() as lines:
        both = {"certificate_rotation_certificates": [shared, host.bad]}
        status, told = host.run("run_maintenance", *loud, **only, **both)
    assert status != 0
    (record,) = open_store(str(host.records)).read()
    assert (record["activity"], record["verdict"]) == ("secrets.certificates", "failed")
    assert "shop: webroot '/no/such' is no directory" in record["reason"]
    assert f"the certificate for {NAME} until" in record["summary"]
    assert record["figures"]["issued"] == 1
    assert record["figures"]["least_left_percent"] > 99
    (new,) = site.served()
    assert new != site.first.fingerprint
    assert other.served() == {new}, "what was issued on one host is not served by the other"
    assert "2 of 2 hosts have, use and serve the certificate that was issued" in record["summary"]
    assert [done["subject"] for done in record["done"]] == ["store on web1", "store on web2"]
    # Neither the look at what is served nor the deployment asked the system's authorities, who do not know it.
    assert "certificate-untrusted" not in json.dumps(record)

    # The passphrase is another one by now: named, and not quoted.
    good = {**host.good, "renew_left": "99.9%"}
    alone = {"certificate_rotation_certificates": [good]}
    status, told = host.run("rotate_certificates", *loud, passphrase=WRONG, **alone)
    assert (status, "the passphrase is wrong" in told) == (2, True), told
    assert site.served() == {new}

    # Two in one directory would have theirs issued in every run.
    status, told = host.run("rotate_certificates", certificate_rotation_certificates=[good, good])
    assert (status, "give each certificate one of its own" in told) == (2, True), told
    key = (site.current / "privkey.pem").read_text().splitlines()[1:-1]
    assert not [line for line in key for text in (*host.told, host.records.read_text()) if line in text]
    assert not secrets_in("".join(host.told).encode())
    assert sweep(tmp_path) == {}
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.caught
