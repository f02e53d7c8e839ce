# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_deploy as Ansible runs it: a service under constant handshakes, and a real PostgreSQL."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import stat
import typing as t

import pytest
from support.certificates import Authority
from support.deployments import NAME, Clients, Site
from support.modules import run_module
from support.postgres import PrivatePostgres, wait_for


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with Site(tmp_path) as ready:
        yield ready


def _arguments(site: Site, **about: t.Any) -> dict[str, t.Any]:
    listener = {"host": NAME, "port": site.service.port, "addresses": list(site.service.hosts)}
    return {
        "certificate": str(site.place / "issued" / "site.pem"),
        "key": str(site.place / "issued" / "site.key"),
        "directory": str(site.store),
        "listeners": [listener],
        "trust": site.trust,
        "test_commands": [site.test_command],
        "reload_commands": [site.service.reload_command],
        "state_dir": str(site.state),
        **about,
    }


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_under_constant_handshakes_none_fails_and_none_sees_a_third_certificate(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    with Clients(site) as clients:
        answer = run_module("certificate_deploy", _arguments(site))
    assert not answer["failed"], answer
    assert (answer["verdict"], answer["changed"], answer["reason"]) == ("ok", True, "")
    assert clients.failures == []
    assert set(clients.seen) == {site.first.fingerprint, new.fingerprint}
    assert site.served() == {new.fingerprint}
    assert site.in_use() == new.fullchain
    assert answer["diff"]["after"]["fingerprint"] == new.fingerprint
    assert answer["diff"]["before"]["fingerprint"] == site.first.fingerprint
    assert (_mode(site.current / "privkey.pem"), _mode(site.current / "fullchain.pem")) == (0o600, 0o644)


def test_a_second_run_changes_nothing_and_reloads_nothing(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    assert run_module("certificate_deploy", _arguments(site))["changed"]
    loads = site.service.loads
    answer = run_module("certificate_deploy", _arguments(site))
    assert (answer["verdict"], answer["changed"]) == ("ok", False)
    assert "diff" not in answer
    assert site.service.loads == loads


def test_check_mode_says_what_it_would_do_and_does_nothing(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    before = sorted(str(path) for path in site.place.rglob("*"))
    answer = run_module("certificate_deploy", _arguments(site), check=True)
    assert (answer["verdict"], answer["changed"]) == ("ok", True)
    assert "would be brought into use" in answer["summary"]
    assert answer["diff"]["after"]["fingerprint"] == new.fingerprint
    assert sorted(str(path) for path in site.place.rglob("*")) == before
    assert site.served() == {site.first.fingerprint}
    site.stage(site.authority.issue(NAME, left=-1))
    assert run_module("certificate_deploy", _arguments(site), check=True)["verdict"] == "failed"


def test_a_pair_that_is_linked_and_not_served_is_loaded(site: Site) -> None:
    """Somebody's reload had no effect, and then our record of it was lost."""
    new = site.stage(site.authority.issue(NAME, left=89))
    assert not run_module("certificate_deploy", _arguments(site))["failed"]
    linked = os.readlink(site.current)
    (old,) = (path.name for path in (site.store / "versions").iterdir() if path.name not in linked)
    shutil.rmtree(site.state)
    for target in (f"versions/{old}", linked):
        site.current.unlink()
        site.current.symlink_to(target)
        if target != linked:
            site.service.process.send_signal(signal.SIGHUP)
            wait_for(lambda: site.served() == {site.first.fingerprint}, "the old pair is served again")
    answer = run_module("certificate_deploy", _arguments(site))
    assert (answer["verdict"], answer["changed"]) == ("ok", True)
    assert site.served() == {new.fingerprint}


def test_old_pairs_are_removed_and_the_way_back_is_kept(site: Site) -> None:
    versions = site.store / "versions"
    for number in range(4):
        site.stage(site.authority.issue(NAME, left=80 + number))
        answer = run_module("certificate_deploy", _arguments(site, keep=1))
        assert not answer["failed"], answer
    assert len(answer["removed"]) == 1
    kept = {path.name for path in versions.iterdir()}
    assert len(kept) == 3
    assert {answer["version"], answer["previous"]} < kept


def test_wrong_rights_are_mended_without_a_reload(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    run_module("certificate_deploy", _arguments(site))
    loads = site.service.loads
    (site.current / "privkey.pem").chmod(0o644)
    answer = run_module("certificate_deploy", _arguments(site))
    assert (answer["verdict"], answer["changed"], _mode(site.current / "privkey.pem")) == ("ok", True, 0o600)
    answer = run_module("certificate_deploy", _arguments(site, key_mode="0640"))
    assert (answer["changed"], _mode(site.current / "privkey.pem"), site.service.loads) == (True, 0o640, loads)


def test_a_chain_in_a_file_of_its_own_is_put_behind_the_certificate(site: Site) -> None:
    new = site.authority.issue(NAME, left=89)
    pair = site.stage(new).write(site.place / "issued")
    chain = site.place / "issued" / "chain.pem"
    chain.write_bytes(new.fullchain[len(new.pem) :])
    pair.certificate.write_bytes(new.pem)
    assert run_module("certificate_deploy", _arguments(site))["verdict"] == "failed"
    answer = run_module("certificate_deploy", _arguments(site, chain=str(chain)))
    assert answer["verdict"] == "ok"
    assert site.in_use() == new.fullchain


def test_a_finding_that_hinders_nothing_is_told(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89, must_staple=True))
    answer = run_module("certificate_deploy", _arguments(site))
    assert (answer["verdict"], answer["changed"]) == ("findings", True)
    assert [finding["id"] for finding in answer["findings"]] == ["certificate-must-staple"]


def test_a_real_postgresql_serves_the_new_pair_to_every_new_connection(tmp_path: pathlib.Path) -> None:
    authority = Authority("Intermediate", Authority())
    assert authority.parent is not None
    name = "db1.example.com"
    with PrivatePostgres() as server:
        store = server.directory / "certificates"
        arguments = {
            "directory": str(store),
            "listeners": [{"host": name, "port": server.port, "addresses": ["127.0.0.1"], "starttls": "postgres"}],
            "trust": authority.parent.write(tmp_path),
            "owner": server.account or "",
            "state_dir": str(tmp_path / "state"),
            "reload_commands": [["kill", "-HUP", _postmaster(server)]],
            "proof_timeout": "20s",
        }

        def deploy(left: float, **about: t.Any) -> tuple[dict[str, t.Any], str]:
            issued = authority.issue(name, left=left)
            pair = issued.write(tmp_path)
            files = {"certificate": str(pair.certificate), "key": str(pair.key)}
            return run_module("certificate_deploy", {**arguments, **files, **about}), issued.fingerprint

        server.configure(
            ssl="on",
            ssl_cert_file=str(store / "current" / "fullchain.pem"),
            ssl_key_file=str(store / "current" / "privkey.pem"),
        )
        first, fingerprint = deploy(60)
        assert not first["failed"], f"{first}\n{server.log()}"
        served = _served(server, str(arguments["trust"]), name)
        assert served == fingerprint
        session = server.connect()
        second, fingerprint = deploy(89)
        assert (second["verdict"], second["changed"]) == ("ok", True), second
        assert _served(server, str(arguments["trust"]), name) == fingerprint
        with session.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
        session.close()
        # PostgreSQL reads the key itself, and goes on with the old pair when it may not: a reload without effect.
        hindered = {"owner": ""} if server.account else {"reload_commands": [["true"]]}
        third, _fingerprint = deploy(89.5, proof_timeout="2s", **hindered)
        assert third["failed"]
        assert "still serves the certificate" in third["reason"]
        assert _served(server, str(arguments["trust"]), name) == fingerprint


def _postmaster(server: PrivatePostgres) -> str:
    return (server.data / "postmaster.pid").read_text().splitlines()[0]


def _served(server: PrivatePostgres, trust: str, name: str) -> str:
    about = {"host": name, "port": server.port, "addresses": ["127.0.0.1"], "starttls": "postgres"}
    answer = run_module("certificate_info", {"endpoints": [about], "trust": trust})
    assert answer["verdict"] in ("ok", "findings"), answer
    return str(answer["endpoints"][0]["certificate"]["fingerprint"])


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"listeners": []}, "listeners is empty"),
        ({"reload_commands": []}, "service is 'none' and reload_commands is empty"),
        ({"reload_commands": ["kill -HUP 1"]}, "reload_commands has 'kill -HUP 1': write each word by itself"),
        ({"key_mode": "0644"}, "key_mode is '0644'"),
        ({"key_mode": "rw"}, "key_mode is 'rw'"),
        ({"owner": "rooot"}, "did you mean 'root'"),
        ({"group": "rooot"}, "did you mean 'root'"),
        ({"handshakes": 0}, "handshakes is 0"),
        ({"service": "ngins"}, "nginx"),
        ({"proof_timeout": "30"}, "proof_timeout: duration '30' has no unit"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: pathlib.Path, about: dict[str, t.Any], said: str) -> None:
    usual = {
        "certificate": str(tmp_path / "a.pem"),
        "key": str(tmp_path / "a.key"),
        "directory": str(tmp_path / "store"),
        "listeners": [{"host": NAME}],
        "reload_commands": [["true"]],
    }
    answer = run_module("certificate_deploy", {**usual, **about})
    assert answer["failed"]
    assert said in answer["msg"]
    assert not (tmp_path / "store").exists()
