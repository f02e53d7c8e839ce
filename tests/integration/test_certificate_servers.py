# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_deploy for a real nginx, a real HAProxy and a real Apache."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import typing as t

import pytest
from support.certificates import ocsp_answer, rsa_key
from support.deployments import NAME, Clients, Site
from support.modules import run_module
from support.nginx_service import NginxService
from support.postgres import free_port, wait_for
from support.web_services import ApacheService, HaproxyService

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.arguments import endpoints_from
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.endpoints import Pace, look_at_all
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.handshake import (
    Clients as HandshakeClients,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.handshake import Endpoint
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.trust import Trust

pytestmark = pytest.mark.nginx


@pytest.fixture
def site(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> t.Iterator[Site]:
    ready = Site(tmp_path, getattr(request, "param", NginxService))
    assert isinstance(ready.service, NginxService)
    ready.test_command = ready.service.test_command
    with ready:
        yield ready


every_server = pytest.mark.parametrize("site", [NginxService, HaproxyService, ApacheService], indirect=True)


@every_server
def test_under_constant_handshakes_none_fails_and_none_sees_a_third_certificate(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    with Clients(site) as clients:
        result, outcome = site.deploy()
    assert (result.verdict, result.reason, outcome.changed) == ("ok", "", True)
    assert clients.failures == []
    assert set(clients.seen) == {site.first.fingerprint, new.fingerprint}
    wait_for(lambda: site.served() == {new.fingerprint}, "the old processes have ended")
    assert not site.deploy()[1].changed


def test_what_its_own_test_takes_is_refused_by_ours(site: Site) -> None:
    for issued in (site.authority.issue(NAME, days=200, left=-1), site.authority.issue("other.example.com", left=89)):
        pair = issued.write(site.place / "tried")
        text = site.service.configuration.read_text()  # type: ignore[attr-defined]
        own = text.replace(str(site.current / "fullchain.pem"), str(pair.certificate))
        tried = site.place / "tried.conf"
        tried.write_text(own.replace(str(site.current / "privkey.pem"), str(pair.key)))
        command = ["nginx", "-p", str(site.service.directory), "-c", str(tried), "-t", "-q"]
        assert subprocess.run(command, check=False).returncode == 0
        site.stage(issued)
        result, outcome = site.deploy()
        assert (result.verdict, outcome.changed, site.served()) == ("failed", False, {site.first.fingerprint})


@every_server
def test_a_configuration_that_is_broken_meanwhile_brings_the_old_pair_back(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    configuration = site.service.configuration  # type: ignore[attr-defined]
    text = configuration.read_text()
    configuration.write_text(text + "broken\n")
    with Clients(site) as clients:
        result, outcome = site.deploy()
    assert (result.verdict, outcome.changed, site.served()) == ("failed", False, {site.first.fingerprint})
    assert (clients.failures, set(clients.seen)) == ([], {site.first.fingerprint})
    assert "step 'test the configuration' failed" in result.reason
    assert site.in_use() == site.first.fullchain
    configuration.write_text(text)
    assert site.deploy()[0].verdict == "ok"
    wait_for(lambda: site.served() == {new.fingerprint}, "the old processes have ended")


def test_of_twins_behind_one_name_each_is_proved_by_itself(site: Site) -> None:
    service, authority = site.service, site.authority
    assert isinstance(service, NginxService)
    store, listener = site.place / "rsa", {"host": NAME, "port": service.port, "addresses": list(service.hosts)}
    twins = {kind: endpoints_from("listeners", [_listener(listener, kind)]) for kind in ("ecdsa", "rsa")}

    def deploy(key: t.Any, left: float, **about: t.Any) -> tuple[str, str, str]:
        issued = authority.issue(NAME, left=left, key=key)
        pair = issued.write(site.place / "twin")
        files = {"certificate": str(pair.certificate), "key": str(pair.key), "directory": str(store)}
        result, _outcome = site.deploy(**files, patience=2, listeners=twins["rsa"], **about)
        return result.verdict, result.reason, issued.fingerprint

    # nginx is told of both; until the second one is there, it could not even load its configuration.
    text = service.configuration.read_text()
    more = (
        f"ssl_certificate {store}/current/fullchain.pem; ssl_certificate_key {store}/current/privkey.pem; return 204;"
    )
    service.configuration.write_text(text.replace("return 204;", more))
    assert deploy(rsa_key(), 60)[:2] == ("ok", "")
    # The one that clients prefer is renewed, then its twin: neither proof is deceived by the other certificate.
    new = site.stage(authority.issue(NAME, left=89))
    assert site.deploy(listeners=twins["ecdsa"])[0].verdict == "ok"
    wait_for(lambda: site.served() == {new.fingerprint}, "the old processes of nginx have ended")
    verdict, _reason, twin = deploy(rsa_key(), 89)
    assert verdict == "ok"

    def found() -> list[str]:
        seen = look_at_all((*twins["rsa"], *twins["ecdsa"]), HandshakeClients(Trust(site.trust)), Pace())
        return [(each.certificate.fingerprint if each.certificate else each.reason) for each in seen]

    wait_for(lambda: found() == [twin, twin, new.fingerprint, new.fingerprint], "each is seen by itself")
    # A reload without effect on the twin alone is seen, and the way back is proved for it.
    verdict, reason, _lost = deploy(rsa_key(), 89.5, reloading=["true"])
    assert (verdict, f"{NAME}:{service.port} (rsa) at 127.0.0.1 still serves" in reason) == ("failed", True), reason
    assert "all was undone" in reason


def test_of_two_first_ones_that_one_configuration_names_each_comes_into_use(tmp_path: pathlib.Path) -> None:
    site = Site(tmp_path, NginxService)
    service, other, port = site.service, site.place / "other", free_port()
    assert isinstance(service, NginxService)
    files = f"ssl_certificate {other}/current/fullchain.pem; ssl_certificate_key {other}/current/privkey.pem;"
    text = service.configuration.read_text().rstrip()
    service.configuration.write_text(f"{text[:-1]} server {{ listen 127.0.0.1:{port} ssl; {files} return 204; }} }}")
    told = {"testing": service.test_command, "reloading": ["sh", "-c", f"{shlex.join(service.program)} &"]}
    first, second = (site.authority.issue(NAME, left=89) for _number in range(2))
    pair = second.write(site.place / "second")
    listener = (Endpoint(NAME, port, ("127.0.0.1",), NAME, names=(NAME,)),)
    beside = {
        "certificate": str(pair.certificate),
        "key": str(pair.key),
        "directory": str(other),
        "listeners": listener,
    }

    # The first one alone is no configuration yet, with it or without. It is left where it is, again and again.
    site.stage(first)
    for changed in (True, False):
        result, outcome = site.deploy(**told)
        assert (result.verdict, outcome.changed, site.in_use()) == ("failed", changed, first.fullchain)
        assert [finding.id for finding in result.findings] == ["deploy-waits"]
        assert f"{other}/current/fullchain.pem" in result.reason
        assert result.reason.endswith("it lies ready for the next run")
    try:
        result, outcome = site.deploy(**told, **beside)
        assert (result.verdict, outcome.changed) == ("ok", True), result
        assert site.served() == {first.fingerprint}
        assert site.deploy(**told)[0].verdict == "ok"
        assert not site.deploy(**told)[1].changed
    finally:
        subprocess.run([*service.program, "-s", "quit"], check=False)


def test_a_stapled_answer_is_seen_and_one_that_is_promised_and_missing_too(site: Site) -> None:
    service = site.service
    assert isinstance(service, NginxService)
    new = site.stage(site.authority.issue(NAME, left=89, must_staple=True))
    assert site.deploy()[0].verdict == "findings"
    arguments = {
        "endpoints": [{"host": NAME, "port": service.port, "addresses": ["127.0.0.1"]}],
        "trust": site.trust,
        "stapling": True,
    }

    def look() -> tuple[bool | None, list[tuple[str, str]]]:
        answer = run_module("certificate_info", arguments)
        return answer["endpoints"][0]["staples"], [(each["id"], each["severity"]) for each in answer["findings"]]

    assert look() == (False, [("certificate-must-staple", "high")])
    (site.place / "answer.der").write_bytes(ocsp_answer(new, site.authority))
    text = service.configuration.read_text()
    more = f"ssl_stapling on; ssl_stapling_file {site.place}/answer.der; return 204;"
    service.configuration.write_text(text.replace("return 204;", more))
    subprocess.run(service.reload_command, check=True)
    wait_for(lambda: look()[0] is True, "the answer is stapled")
    assert look() == (True, [("certificate-must-staple", "medium"), ("ocsp-stapled", "low")])
    # Without TLS 1.2 that cannot be seen, and nothing is said of it.
    service.configuration.write_text(text.replace("return 204;", f"ssl_protocols TLSv1.3; {more}"))
    subprocess.run(service.reload_command, check=True)
    wait_for(lambda: look()[0] is None, "the server speaks TLS 1.3 alone")
    assert look() == (None, [("certificate-must-staple", "medium")])


def _listener(about: dict[str, t.Any], key_type: str) -> dict[str, t.Any]:
    usual = {"address_family": "any", "server_name": "", "starttls": "none", "names": None}
    return {**usual, **about, "key_type": key_type}
