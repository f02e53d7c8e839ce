# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when a deployment is broken or hindered: the old pair is served until the new one is proved."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import typing as t

import pytest
from support.certificates import CLIENT, Authority, Issued, ec_key, pem_of_key, rsa_key
from support.deployments import NAME, Clients, Site
from support.postgres import free_port

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.service import Service
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.store import Store
from ansible_collections.steward.maintenance.plugins.module_utils._core.journal import Journal

#: From 3.10 on Python tells what came beside the server's own certificate.
TELLS_CHAIN = sys.version_info >= (3, 10)


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with Site(tmp_path) as ready:
        yield ready


def _is_untouched(site: Site) -> None:
    assert site.served() == {site.first.fingerprint}
    assert site.in_use() == site.first.fullchain
    assert len(list((site.store / "versions").iterdir())) == 1
    assert site.leftovers() == []


# -- a pair that is no good ----------------------------------------------------------------------------------


def _broken(site: Site) -> dict[str, tuple[Issued, str]]:
    issue = site.authority.issue
    good = issue(NAME, left=89)
    stranger = Authority("Stranger").issue(NAME, left=89)
    return {
        "ended": (issue(NAME, days=200, left=-1), "certificate-expired"),
        "not begun": (issue(NAME, left=91), "certificate-not-yet-valid"),
        "wrong name": (issue("other.example.com", left=89), "certificate-name"),
        "other key": (Issued(good.certificate, ec_key(), good.above), "key-mismatch"),
        "no chain": (Issued(good.certificate, good.key), "certificate-untrusted"),
        "stranger": (stranger, "certificate-untrusted"),
        "for clients": (issue(NAME, left=89, usages=CLIENT), "certificate-usage"),
        "weak": (issue(NAME, left=89, key=rsa_key(1024)), "certificate-key-weak"),
    }


def test_a_pair_that_clients_would_refuse_is_refused_by_name_and_nothing_is_touched(site: Site) -> None:
    for kind, (issued, id) in _broken(site).items():
        site.stage(issued)
        result, outcome = site.deploy()
        assert (result.verdict, outcome.changed) == ("failed", False), kind
        assert id in [finding.id for finding in result.findings], kind
        assert "nothing was touched" in result.reason
        _is_untouched(site)
    assert site.service.loads == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("site.pem", b"", "no certificate in PEM format"),
        ("site.pem", b"-----BEGIN CERTIFICATE-----\nMIIB", "cut off"),
        ("site.key", b"", "no private key"),
        ("site.key", pem_of_key(ec_key(), b"secret"), "encrypted"),
        ("site.key", None, "No such file"),
    ],
)
def test_files_that_cannot_be_used_are_named(site: Site, name: str, content: bytes | None, said: str) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    path = site.place / "issued" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    result, _outcome = site.deploy()
    assert result.verdict == "failed"
    assert str(path) in result.reason
    assert said in result.reason
    _is_untouched(site)


def test_a_clock_that_is_behind_is_told(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    path = site.place / "issued" / "site.pem"
    ahead = path.stat().st_mtime + 3600
    os.utime(path, (ahead, ahead))
    result, _outcome = site.deploy()
    assert [finding.id for finding in result.findings] == ["clock-wrong"]
    _is_untouched(site)


def test_an_older_pair_is_refused_unless_it_is_meant(site: Site) -> None:
    older = site.stage(site.authority.issue(NAME, left=20))
    result, _outcome = site.deploy()
    assert "allow_older" in result.reason
    _is_untouched(site)
    result, _outcome = site.deploy(allow_older=True)
    assert (result.verdict, site.served()) == ("ok", {older.fingerprint})


# -- a service that does not do as it is told ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "step", "said"),
    [
        ({"testing": ["sh", "-c", "echo emerg >&2; exit 1"]}, "test the configuration", "status 1: emerg"),
        ({"testing": ["/no/such/program"]}, "test the configuration", "cannot run"),
        ({"reloading": ["false"]}, "reload the service", "false ended with status 1"),
        ({"reloading": ["true"], "patience": 1}, "reload the service", "still serves the certificate that ends on"),
    ],
    ids=["test-fails", "no-test-program", "reload-fails", "reload-without-effect"],
)
def test_a_step_that_fails_brings_the_old_pair_back_and_the_next_run_needs_no_new_one(
    site: Site, about: dict[str, t.Any], step: str, said: str
) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    with Clients(site) as clients:
        result, outcome = site.deploy(**about)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert f"step {step!r} failed" in result.reason
    assert said in result.reason
    assert result.reason.endswith("all was undone")
    assert [finding.id for finding in result.findings] == ["deploy-failed"]
    _is_untouched(site)
    assert (clients.failures, set(clients.seen)) == ([], {site.first.fingerprint})
    result, outcome = site.deploy()
    assert (result.verdict, outcome.changed, site.served()) == ("ok", True, {new.fingerprint})


def test_a_first_pair_that_is_to_blame_is_not_left_in_its_place(tmp_path: pathlib.Path) -> None:
    site = Site(tmp_path)
    site.service.port = free_port()  # where nobody serves anything yet
    site.stage(site.authority.issue(NAME, left=89))
    link = str(site.current / "fullchain.pem")
    # Whoever cannot be asked does not say either that there is another reason.
    for testing in (["sh", "-c", 'test ! -e "$1"', "sh", link], ["/no/such/program"]):
        result, outcome = site.deploy(testing=testing, reloading=["true"])
        assert (result.verdict, outcome.changed, site.current.is_symlink()) == ("failed", False, False)
        assert [finding.id for finding in result.findings] == ["deploy-failed"]
        assert list((site.store / "versions").iterdir()) == []
    # One that waits for something else goes, too, when another one is wanted instead.
    waits = {"testing": ["false"], "reloading": ["true"]}
    assert site.deploy(**waits)[0].findings[0].id == "deploy-waits"
    site.stage(site.authority.issue(NAME, left=88))
    result, outcome = site.deploy(**waits)
    assert (result.findings[0].id, outcome.changed) == ("deploy-waits", True)
    assert len(list((site.store / "versions").iterdir())) == 1


def test_when_one_of_two_listeners_is_not_reloaded_both_go_back(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    site.service.break_by("half")
    result, outcome = site.deploy(patience=1)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "at 127.0.0.2 still serves" in result.reason
    _is_untouched(site)
    assert site.service.loads == 3


def test_a_return_that_cannot_be_proved_is_told_and_gone_on_with(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    site.service.break_by("half")
    deaf = [
        "sh",
        "-c",
        f"{' '.join(site.service.reload_command)}; sleep 0.3; echo deaf > {site.service.directory}/faults",
    ]
    result, outcome = site.deploy(patience=1, reloading=deaf)
    assert (result.verdict, outcome.changed) == ("failed", True)
    assert "step 'switch to it' cannot be undone" in result.reason
    assert "the previous pair is back in its place, but" in result.reason
    assert site.in_use() == site.first.fullchain
    assert site.served() == {new.fingerprint, site.first.fingerprint}
    site.service.break_by()
    result, outcome = site.deploy()
    assert (result.verdict, outcome.changed, site.served()) == ("ok", True, {new.fingerprint})


def test_a_service_that_dies_at_the_reload_is_told(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    site.service.break_by("dies")
    result, _outcome = site.deploy(patience=1)
    assert result.verdict == "failed"
    assert "refused" in result.reason
    assert "cannot be undone" in result.reason
    assert site.in_use() == site.first.fullchain
    site.service.break_by()
    with site.service:  # started again by somebody, with the pair that is in use
        assert site.served() == {site.first.fingerprint}
        assert site.deploy()[0].verdict == "ok"
        assert site.served() == {new.fingerprint}


def test_a_reload_that_works_and_says_otherwise_is_taken_back_all_the_same(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    lying = ["sh", "-c", f"{' '.join(site.service.reload_command)}; exit 3"]
    with Clients(site) as clients:
        result, outcome = site.deploy(reloading=lying)
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert result.reason.endswith("all was undone")
    assert set(clients.seen) <= {site.first.fingerprint, new.fingerprint}
    assert clients.failures == []
    _is_untouched(site)
    # Two signals that come before the first one is seen are one.
    assert site.service.loads in (2, 3)


def test_another_chain_of_the_same_certificate_has_to_be_served_as_well(site: Site) -> None:
    other = Authority("Another", site.authority.parent)
    same = Issued(site.first.certificate, site.first.key, (*site.first.above, other.certificate))
    site.stage(same)
    if TELLS_CHAIN:
        result, _outcome = site.deploy(reloading=["true"], patience=1)
        assert result.verdict == "failed"
        assert "without its new chain" in result.reason
        _is_untouched(site)
    loads = site.service.loads
    result, outcome = site.deploy()
    assert (outcome.changed, site.service.loads) == (True, loads + 1)
    assert [finding.id for finding in result.findings] == ["chain-order"]
    assert site.in_use() == same.fullchain
    assert not site.deploy()[1].changed


def test_a_command_that_hangs_is_ended(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    slow = Service((("sleep", "600"),), (tuple(site.service.reload_command),), 0.3)
    result, _outcome = site.deploy(service=slow)
    assert "has not ended after 300 ms and was killed" in result.reason
    _is_untouched(site)


def test_a_listener_that_is_down_before_is_unknown_unless_that_is_accepted(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    down = site.endpoints("127.0.0.1", "127.0.0.3")
    result, outcome = site.deploy(listeners=down)
    assert (result.verdict, outcome.changed) == ("unknown", False)
    assert "127.0.0.3" in result.reason
    _is_untouched(site)
    result, _outcome = site.deploy(listeners=down, accept_down=True, patience=1)
    assert result.verdict == "failed"
    _is_untouched(site)
    assert site.deploy()[0].verdict == "ok"
    assert site.served() == {new.fingerprint}


def test_a_full_disk_between_chain_and_key_leaves_all_as_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    write = Store._write

    def full(store: Store, path: str, data: bytes, mode: int) -> None:
        if path.endswith("privkey.pem"):
            raise OSError(28, "No space left on device", path)
        write(store, path, data, mode)

    monkeypatch.setattr(Store, "_write", full)
    result, outcome = site.deploy()
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert "No space left on device" in result.reason
    _is_untouched(site)
    monkeypatch.undo()
    assert site.deploy()[0].verdict == "ok"
    assert site.served() == {new.fingerprint}


def test_what_somebody_else_put_in_the_place_is_not_touched(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    target = os.readlink(site.current)
    site.current.unlink()
    site.current.symlink_to("/etc")
    result, _outcome = site.deploy()
    assert "did not put there" in result.reason
    assert os.readlink(site.current) == "/etc"
    site.current.unlink()
    site.current.symlink_to(target)
    _is_untouched(site)


def test_two_at_once_do_not_meet(site: Site) -> None:
    site.stage(site.authority.issue(NAME, left=89))
    with Journal(str(site.state), f"certificate in {site.store}"):
        result, outcome = site.deploy()
    assert (result.verdict, outcome.changed) == ("failed", False)
    assert f"is being changed by process {os.getpid()}" in result.reason
    _is_untouched(site)


def test_the_journal_holds_no_key(site: Site) -> None:
    new = site.stage(site.authority.issue(NAME, left=89))
    result, _outcome = site.deploy(reloading=["false"])
    kept = "".join(path.read_text() for path in site.state.glob("*")) + json.dumps(result.to_dict())
    lines = new.key_pem.decode().splitlines()[1:-1]
    assert lines
    assert not [line for line in lines if line in kept]
