# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers taken out of the traffic of a real HAProxy, and of a balancer that is known by commands only."""

from __future__ import annotations

import json
import pathlib
import re
import socket
import sys
import threading
import time
import typing as t

import pytest
from support.haproxy import HAProxy, Load
from support.modules import run_module
from support.well_servers import Server

from ansible_collections.steward.maintenance.plugins.module_utils._balancers.arguments import (
    BALANCER_ARGUMENTS,
    balancer_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._balancers.draining import Outcome, balance
from ansible_collections.steward.maintenance.plugins.module_utils._core.result import Result
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

pytestmark = pytest.mark.haproxy


class Bed:
    """Three servers behind HAProxy, and the module."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.servers = {name: Server() for name in ("web1", "web2", "web3")}
        self.proxy = HAProxy(directory / "haproxy", {name: one.server_address[1] for name, one in self.servers.items()})

    def arguments(self, state: str, *names: str, **more: t.Any) -> dict[str, t.Any]:
        defaults = {name: option.get("default") for name, option in BALANCER_ARGUMENTS.items()}
        given = {
            "state": state,
            "servers": [{"pool": "shop", "server": name} for name in names],
            "haproxy": [str(self.proxy.socket)],
            "timeout": "5s",
            "state_dir": str(self.directory / "state"),
        }
        return {**defaults, **given, **more}

    def do(self, state: str, *names: str, check: bool = False, **more: t.Any) -> tuple[Result, Outcome]:
        outcome = Outcome()
        return balance(balancer_settings_from(self.arguments(state, *names, **more)), check, outcome), outcome

    def standing(self) -> dict[str, str]:
        return {name: self.proxy.status(name) for name in self.servers}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Bed]:
    bed = Bed(tmp_path_factory.mktemp("bed"))
    with bed.proxy:
        yield bed
    for server in bed.servers.values():
        server.shutdown()
        server.server_close()


@pytest.fixture
def bed(shared: Bed) -> Bed:
    """All up and in the traffic."""
    for name, server in shared.servers.items():
        server.well = True
        server.may_answer.clear()
        server.began.clear()
        shared.proxy.ask(f"set server shop/{name} state ready")
    for name in shared.servers:
        shared.proxy.wait_for(name, "UP")
    for path in (shared.directory / "state").glob("*.json"):
        path.unlink()
    return shared


UP = {"web1": "UP", "web2": "UP", "web3": "UP"}


def test_out_of_the_traffic_and_in_again_without_a_lost_request(bed: Bed) -> None:
    with Load(bed.proxy.port) as load:
        planned, _outcome = bed.do("drained", "web1", check=True)
        assert bed.standing() == UP
        answer = run_module("load_balancer_server", bed.arguments("drained", "web1"))
        assert (answer["verdict"], answer["changed"]) == ("ok", True), answer
        assert planned.summary == "shop/web1: 1 would be taken out of the traffic"
        assert answer["diff"]["after"] == f"HAProxy at {bed.proxy.socket}: shop/web1 drain\n"
        assert bed.standing() == {**UP, "web1": "DRAIN"}
        assert bed.do("drained", "web1")[1].changed is False
        result, outcome = bed.do("returned", "web1")
        assert (result.verdict, outcome.changed, bed.standing()) == ("ok", True, UP), result
        assert bed.do("returned", "web1")[1].changed is False
    assert load.failed == []
    assert load.count > 20
    assert not list((bed.directory / "state").glob("*.json"))


def ask_slowly(bed: Bed) -> tuple[socket.socket, str]:
    """A request that one of the servers is at, and which."""
    client = socket.create_connection(("127.0.0.1", bed.proxy.port), 20)
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for name, server in bed.servers.items():
            if server.began.is_set():
                return client, name
        time.sleep(0.01)
    raise AssertionError("nobody got the request")


def test_a_request_that_is_being_answered_is_waited_for(bed: Bed) -> None:
    client, name = ask_slowly(bed)
    threading.Timer(1, bed.servers[name].may_answer.set).start()
    result, _outcome = bed.do("drained", name, timeout="10s")
    assert result.verdict == "ok", result
    assert b" 200 OK" in client.recv(100)
    client.close()


def test_a_request_that_does_not_end_puts_all_back_or_is_ended(bed: Bed) -> None:
    client, name = ask_slowly(bed)
    others = [other for other in bed.servers if other != name]
    result, outcome = bed.do("drained", others[0], name, timeout="1s")
    assert (result.verdict, outcome.changed, bed.standing()) == ("failed", False, UP), result
    assert result.reason == (
        f"shop/{name} has 1 connections at HAProxy at {bed.proxy.socket} after 1 s; it gets requests again"
    )
    result, outcome = bed.do("drained", name, timeout="1s", on_timeout="end")
    assert (result.verdict, [finding.id for finding in result.findings]) == ("findings", ["sessions-ended"]), result
    assert b" 200 OK" not in client.recv(100)
    client.close()


def test_too_few_others_stop_it_before_anything_is_changed(bed: Bed) -> None:
    bed.servers["web2"].well = False
    bed.proxy.wait_for("web2", "DOWN")
    result, outcome = bed.do("drained", "web1", min_ready=2, timeout="1s")
    assert (result.verdict, outcome.changed, bed.standing()) == ("failed", False, {**UP, "web2": "DOWN"})
    assert "1 other servers of shop are up" in result.reason
    assert "(web2: DOWN, web3: UP)" in result.reason
    assert bed.do("drained", "web1", min_ready=1)[0].verdict == "ok"
    # web1 is not there any more for web3 to be missed.
    assert bed.do("drained", "web3", timeout="1s")[0].verdict == "failed"
    # Nobody looks whether these are well, so none of them counts.
    result, _outcome = bed.do("drained", servers=[{"pool": "blind", "server": "one"}], timeout="1s")
    assert (result.verdict, "nobody looks whether two is well" in result.reason) == ("failed", True), result


def test_what_somebody_else_took_out_stays_out(bed: Bed) -> None:
    bed.proxy.ask("set server shop/web1 state maint")
    result, outcome = bed.do("drained", "web1", "web2")
    assert (result.verdict, [one["before"] for one in outcome.servers]) == ("ok", ["maint", "ready"]), result
    result, outcome = bed.do("returned", "web1", "web2")
    assert (result.verdict, bed.standing()) == ("findings", {**UP, "web1": "MAINT"})
    assert [(one.id, one.subject) for one in result.findings] == [("was-out-before", "shop/web1")]
    assert bed.do("ready", "web1")[0].verdict == "ok"
    assert bed.standing() == UP


def test_one_that_does_not_come_back_is_told(bed: Bed) -> None:
    assert bed.do("drained", "web1")[0].verdict == "ok"
    bed.servers["web1"].well = False
    time.sleep(0.5)
    result, _outcome = bed.do("returned", "web1", timeout="1s")
    assert result.verdict == "failed"
    assert "shop/web1 is DOWN" in result.reason
    bed.servers["web1"].well = True
    # It is still known that it was not somebody else.
    assert bed.do("returned", "web1")[0].verdict == "ok"


def test_a_balancer_that_cannot_be_asked_says_nothing(bed: Bed, tmp_path: pathlib.Path) -> None:
    reasons = []
    cases: list[dict[str, t.Any]] = [
        {"haproxy": [str(bed.proxy.socket), "/nonexistent/admin.sock"]},
        {"haproxy": [str(bed.proxy.reader)]},
        {"servers": [{"pool": "shop", "server": "web9"}]},
        {"servers": [{"pool": "shops", "server": "web1"}]},
    ]
    for more in cases:
        result, outcome = bed.do("drained", "web1", **more)
        assert (result.verdict, outcome.changed, bed.standing()) == ("unknown", False, UP), (more, result)
        reasons.append(result.reason)
    assert "HAProxy at /nonexistent/admin.sock cannot be asked: No such file or directory" in reasons[0]
    assert "Permission denied" in reasons[1]
    assert "has no server 'web9' in 'shop', but web1, web2, web3" in reasons[2]
    # What is cut off is not taken for an answer.
    torn = tmp_path / "torn.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(torn))
    listening.listen()

    def answer() -> None:
        connection, _address = listening.accept()
        connection.recv(100)
        connection.sendall(b"1\n# be_id be_name srv_id srv_name srv_ad")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    result, _outcome = bed.do("drained", "web1", haproxy=[str(torn)])
    assert (result.verdict, "broke off its answer" in result.reason) == ("unknown", True), result
    listening.close()


_BALANCER = """
import json, pathlib, sys
place, verb, *names = pathlib.Path(sys.argv[1]), *sys.argv[2:]
servers = json.loads(place.read_text())
if verb == "show":
    print(json.dumps([dict(one, server=name) for name, one in servers.items()]))
else:
    servers[names[1]]["admitted"] = verb == "ready"
    place.write_text(json.dumps(servers))
"""


def test_any_other_balancer_by_commands(bed: Bed, tmp_path: pathlib.Path) -> None:
    script, place = tmp_path / "balancer.py", tmp_path / "servers.json"
    script.write_text(_BALANCER)
    servers = {name: {"admitted": True, "up": True, "connections": 0} for name in ("web1", "web2")}
    place.write_text(json.dumps(servers))
    words = [sys.executable, str(script), str(place)]
    commands = {
        "haproxy": [],
        "drain_commands": [[*words, "drain", "POOL", "SERVER"]],
        "ready_commands": [[*words, "ready", "POOL", "SERVER"]],
        "servers_command": [*words, "show"],
    }
    assert bed.do("drained", "web1", **commands)[0].verdict == "ok"
    assert json.loads(place.read_text())["web1"]["admitted"] is False
    assert bed.do("drained", "web2", **commands)[0].verdict == "failed"
    assert bed.do("returned", "web1", **commands)[0].verdict == "ok"
    # What it prints has to say all that is asked for.
    place.write_text(json.dumps({**servers, "web2": {"admitted": True, "up": True}}))
    result, _outcome = bed.do("drained", "web1", **commands)
    assert (result.verdict, "does not tell how the servers stand" in result.reason) == ("unknown", True), result


def test_bad_input_is_refused_by_name(bed: Bed) -> None:
    for more, told in (
        ({"haproxy": ["admin.sock"]}, "haproxy has 'admin.sock': write the path of a socket, or host:port"),
        ({"haproxy": []}, "haproxy, nginx_file and drain_commands are empty"),
        ({"servers": [{"pool": "shop", "sever": "web1"}]}, "unknown key 'sever'; did you mean 'server'?"),
        ({"servers": [{"pool": "shop", "server": "web1"}] * 2}, "servers has shop/web1 twice"),
        ({"timeout": "5"}, "timeout: duration '5' has no unit"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            bed.do("drained", "web1", **more)
