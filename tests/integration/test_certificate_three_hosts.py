# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rotate_certificates on three hosts with an nginx each, under constant handshakes with all of them: a certificate for
each host, and one for all of them.

The hosts are three in the inventory and in what they have: service, directories, account, journal. They
share the machine, as in Molecule's scenario `certificates` they do not.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import itertools
import json
import pathlib
import re
import ssl
import subprocess
import sys
import threading
import typing as t

import pytest
from cryptography import x509
from support.acme import Place
from support.canary import CommandLines
from support.deployments import NAME, Clients, Site
from support.nginx_service import NginxService
from support.plays import environment
from support.syslog import Syslog

pytest_plugins = ("support.acme_fixtures",)
pytestmark = [pytest.mark.pebble, pytest.mark.nginx]

HOSTS = ("web1", "web2", "web3")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_given: t.Any) -> None:
        pass


@pytest.fixture
def sites(tmp_path: pathlib.Path) -> t.Iterator[dict[str, Site]]:
    with contextlib.ExitStack() as stack:
        ready = {}
        for host in HOSTS:
            (tmp_path / host).mkdir()
            site = Site(tmp_path / host, NginxService)
            assert isinstance(site.service, NginxService)
            site.test_command = site.service.test_command
            ready[host] = stack.enter_context(site)
        yield ready


@pytest.fixture
def webroot(acme: Place, tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """What the load balancer in front of the three serves."""
    root = tmp_path / "webroot"
    root.mkdir()
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", acme.pebble.http_port), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield root
        server.shutdown()


def _variables(site: Site, webroot: pathlib.Path) -> dict[str, t.Any]:
    """What differs from host to host."""
    service = site.service
    return {
        "certificate_rotation_certificates": [
            {
                "name": site.store.name,
                "names": [NAME],
                "webroot": str(webroot),
                "look_at": ["127.0.0.1"],
                "listeners": [{"host": NAME, "port": service.port, "addresses": list(service.hosts)}],
                "trust": site.trust,
                "test_commands": [site.test_command],
                "reload_commands": [service.reload_command],
                "proof_timeout": "20s",
            }
        ],
        "certificate_rotation_issued_dir": str(site.place / "issued"),
        "certificate_rotation_deployed_dir": str(site.store.parent),
        "certificate_rotation_state_dir": str(site.state),
        "certificate_rotation_account_dir": str(site.place / "account"),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }


def _common(acme: Place) -> dict[str, t.Any]:
    return {
        "certificate_rotation_directory_url": acme.proxy.directory_url,
        "certificate_rotation_directory_trust": acme.pebble.trust,
        "certificate_rotation_terms_agreed": True,
        "certificate_rotation_calendar": [],
    }


def _rotate(
    directory: pathlib.Path,
    hosts: dict[str, dict[str, t.Any]],
    *words: str,
    prefix: t.Sequence[str] = (),
    **common: t.Any,
) -> tuple[int, str]:
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps({"application": {"hosts": hosts, "vars": common}}), encoding="utf-8")
    tool = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [*prefix, tool, "-i", str(inventory), "steward.maintenance.rotate_certificates", *words],
        env=environment(directory, ANSIBLE_KEEP_REMOTE_FILES="1"),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=250,
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout)


def test_no_handshake_fails_and_none_sees_another_certificate(
    acme: Place, sites: dict[str, Site], webroot: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    hosts = {host: _variables(site, webroot) for host, site in sites.items()}
    common = _common(acme)
    for variables in hosts.values():
        variables["certificate_rotation_certificates"][0]["http_port"] = acme.pebble.http_port

    # The new one is broken: it leads to nobody whom the clients of this site trust, which nginx would not mind.
    with contextlib.ExitStack() as stack:
        clients = {host: stack.enter_context(Clients(site, pause=0.1)) for host, site in sites.items()}
        status, told = _rotate(tmp_path, hosts, **common)
    assert status == 2, told
    assert told.count("clients do not trust it: its issuer is neither sent with it nor in the trust bundle") >= 3
    for host, site in sites.items():
        assert (clients[host].failures, set(clients[host].seen)) == ([], {site.first.fingerprint})
        assert clients[host].seen[site.first.fingerprint] > 20
        assert site.in_use() == site.first.fullchain
    assert len(acme.proxy.orders()) == 3

    # Those clients trust that authority from now on: the same pairs are brought into use, without another order. On one
    # host somebody has broken the configuration meanwhile: there the old pair stays.
    bundle = acme.pebble.managed("roots/0")
    for site in sites.values():
        path = pathlib.Path(site.trust)
        path.write_bytes(path.read_bytes() + bundle)
    broken = sites["web2"]
    assert isinstance(broken.service, NginxService)
    text = broken.service.configuration.read_text()
    broken.service.configuration.write_text(text + "broken")
    with contextlib.ExitStack() as stack:
        clients = {host: stack.enter_context(Clients(site, pause=0.1)) for host, site in sites.items()}
        status, told = _rotate(tmp_path, hosts, **common)
        broken.service.configuration.write_text(text)
        seen = {host: site.served() for host, site in sites.items()}
        first_status, first_told, status, told = status, told, *_rotate(tmp_path, hosts, **common)
    assert (first_status, "step 'test the configuration' failed" in first_told) == (2, True), first_told
    assert seen["web2"] == {broken.first.fingerprint}
    assert status == 0, told
    assert len(acme.proxy.orders()) == 3
    for host, site in sites.items():
        (new,) = site.served()
        assert new != site.first.fingerprint
        assert (clients[host].failures, set(clients[host].seen)) == ([], {site.first.fingerprint, new})
        assert min(clients[host].seen.values()) > 5
    assert len({fingerprint for site in sites.values() for fingerprint in site.served()}) == 3


# -- one certificate for all of them ---------------------------------------------------------------------------


@pytest.fixture
def webroots(acme: Place, sites: dict[str, Site]) -> t.Iterator[dict[str, pathlib.Path]]:
    """What the three serve, each from a directory of its own; the name leads to another one of them each time."""
    roots = {host: site.place / "webroot" for host, site in sites.items()}
    for root in roots.values():
        root.mkdir()
    turns = itertools.count()

    def handler(*given: t.Any) -> _Quiet:
        up = list(roots.values())
        return _Quiet(*given, directory=str(up[next(turns) % len(up)]))

    with http.server.ThreadingHTTPServer(("127.0.0.1", acme.pebble.http_port), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield roots
        server.shutdown()


class Shared:
    """One certificate of three hosts, and all that was ever printed of it."""

    def __init__(
        self, acme: Place, sites: dict[str, Site], webroots: dict[str, pathlib.Path], directory: pathlib.Path
    ) -> None:
        self.acme, self.sites, self.directory, self.webroots = acme, sites, directory, webroots
        self.told: list[str] = []
        self.hosts = {host: _variables(site, webroots[host]) for host, site in sites.items()}
        for host in HOSTS:
            self.entry(host).update(http_port=acme.pebble.http_port, hosts=list(HOSTS))
            trust = pathlib.Path(sites[host].trust)
            trust.write_bytes(trust.read_bytes() + acme.pebble.managed("roots/0"))

    def entry(self, host: str) -> dict[str, t.Any]:
        return self.hosts[host]["certificate_rotation_certificates"][0]  # type: ignore[no-any-return]

    def rotate(self, *words: str, without: str = "", prefix: t.Sequence[str] = ()) -> tuple[int, str]:
        """With -vvvv, under handshakes with all hosts, none of which may fail.

        :param without: this host cannot be reached, neither by us nor through its name.
        """
        root = self.webroots.pop(without, None)
        gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        hosts = {host: {**given, **(gone if host == without else {})} for host, given in self.hosts.items()}
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Clients(site, pause=0.3)) for site in self.sites.values()]
            status, told = _rotate(
                self.directory, hosts, "-vvvv", "--diff", *words, prefix=prefix, **_common(self.acme)
            )
        self.told.append(told)
        self.webroots.update({without: root} if root else {})
        assert [failure for each in clients for failure in each.failures] == [], told[-4000:]
        return status, told

    def served(self) -> list[str]:
        """What each host serves at all of its addresses."""
        found = [site.served() for site in self.sites.values()]
        assert all(len(one) == 1 for one in found)
        return [one.pop() for one in found]

    def issued(self) -> str:
        """The fingerprint of the newest one that the leading host has."""
        current = self.sites["web1"].place / "issued" / self.entry("web1")["name"] / "current"
        pem = (current / "fullchain.pem").read_text().partition("-----END CERTIFICATE-----")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])).hexdigest()

    def keys(self) -> list[str]:
        """A line of each key that was issued and was ever on one of the hosts, and of that of the account."""
        paths = [
            *self.directory.glob("web*/issued/*/versions/*/privkey.pem"),
            *self.directory.glob("web*/account/*.pem"),
        ]
        return sorted({path.read_text().splitlines()[1] for path in paths})

    def orders(self) -> int:
        return len(self.acme.proxy.orders())

    def finding(self, told: str, host: str) -> str:
        match = re.search(rf'"message": "((?:[^"\\]|\\.)*)", "severity": "high", "subject": "store on {host}"', told)
        return match.group(1) if match else ""


def test_one_certificate_is_issued_once_and_brought_to_each_host_in_turn(
    acme: Place, sites: dict[str, Site], webroots: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    shared = Shared(acme, sites, webroots, tmp_path)
    old = {host: site.first.fingerprint for host, site in sites.items()}
    broken = sites["web2"].service
    assert isinstance(broken, NginxService)
    text = broken.configuration.read_text()

    # The second host does not take it: it has its old pair back, and the third one keeps its own. All three are in the
    # play, and one of them alone has it issued; whichever the authority asks has the proof.
    broken.configuration.write_text(text + "broken")
    status, told = shared.rotate()
    broken.configuration.write_text(text)
    new = shared.issued()
    assert (status, shared.orders()) == (2, 1), told[-4000:]
    assert shared.served() == [new, old["web2"], old["web3"]]
    assert sites["web2"].in_use() == sites["web2"].first.fullchain
    assert "issued: it; deployed: the one that ends on" in shared.finding(told, "web2")
    assert "step 'test the configuration' failed" in shared.finding(told, "web2")
    assert shared.finding(told, "web3").startswith("issued: none; deployed: the one that ends on")
    assert "it was not its turn after web2" in shared.finding(told, "web3")
    assert "store: 1 of 3 hosts have, use and serve the certificate that was issued" in told
    assert not list(tmp_path.glob("web*/webroot/.well-known/acme-challenge/*"))

    # Mended; but meanwhile its key became known, and the third host cannot be reached. The others have another one, and
    # nothing is revoked yet.
    serial = f"{x509.load_pem_x509_certificate(sites['web1'].in_use()).serial_number:x}"
    shared.entry("web1")["compromised"] = [new]
    status, told = shared.rotate("--limit", "web1", without="web3")
    newer = shared.issued()
    assert newer != new, told[-4000:]
    assert (status, shared.orders(), shared.served()) == (2, 2, [newer, newer, old["web3"]]), told[-4000:]
    assert shared.finding(told, "web3").startswith("what it has and serves is not known: ")
    assert b"Valid" in acme.pebble.managed(f"cert-status-by-serial/{serial}")

    # It is back: it gets what the others have, without another order, and only now is the old one revoked.
    with CommandLines(keep=True, pause=0.1) as lines, Syslog() as log:
        status, told = shared.rotate("--limit", "web1", prefix=log.prefix)
    assert (status, shared.orders(), shared.served()) == (0, 2, [newer] * 3), told[-4000:]
    assert b"Revoked" in acme.pebble.managed(f"cert-status-by-serial/{serial}")

    # No key was printed, or in a file that Ansible made (none was removed), on a command line or in the system's log;
    # those of one time are gone.
    keys = shared.keys()
    assert len(keys) == 3, "two certificates and one account"
    assert log.content.count(b"certificate_hand_over") >= 3, "the system's log was not heard"
    assert not [key for key in keys if key.encode() in log.content]
    assert not [key for key in keys for told in shared.told if key in told]
    sealed = re.findall(r'"sealed": \{ ?"web\d": "([^"]{300,})"', "".join(shared.told))
    assert len(sealed) >= 3, "what was sealed was not even seen"
    assert not [key for key in keys for one in sealed if key.encode() in base64.b64decode(one)]
    holding = {
        path.relative_to(tmp_path).parts[1]
        for path in tmp_path.rglob("*")
        if path.is_file() and any(key.encode() in path.read_bytes() for key in keys)
    }
    assert holding == {"account", "issued", "store"}
    assert list((tmp_path / "tmp").rglob("AnsiballZ_certificate_hand_over.py")), "no file of a module was kept"
    assert not list(tmp_path.rglob("receive.pem"))
    assert lines.rounds > 3, "the command lines were hardly looked at"
    assert not lines.with_any(set(keys))
