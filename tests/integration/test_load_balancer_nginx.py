# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers taken out of the traffic of a real nginx by one word in its configuration, and let in again."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import stat
import threading
import time
import typing as t

import pytest
from support.haproxy import Load
from support.modules import run_module
from support.nginx_balancer import NginxBalancer
from support.plays import Play

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError

pytestmark = pytest.mark.nginx


@pytest.fixture
def bed(tmp_path: pathlib.Path) -> t.Iterator[NginxBalancer]:
    with NginxBalancer(tmp_path) as ready:
        yield ready


def drained(bed: NginxBalancer) -> bytes:
    """The file with the first server out."""
    line = f"server {bed.first} weight=2".encode()
    assert bed.original.count(line) == 1
    return bed.original.replace(line, line + b" down")


def test_out_of_the_traffic_and_in_again_without_a_lost_request(bed: NginxBalancer) -> None:
    before = os.stat(bed.upstream)
    with Load(bed.port, clients=4, pause=0.02) as load:
        bed.wait_for(lambda: bed.servers[0].requests > 5, "requests at the first server")
        planned, shown = bed.do("drained", bed.first, check=True)
        assert planned.summary == f"shop/{bed.first}: 1 would be taken out of the traffic"
        assert shown.diff == {
            "before": f"nginx with {bed.link}: shop/{bed.first} server {bed.first} weight=2;\n",
            "after": f"nginx with {bed.link}: shop/{bed.first} server {bed.first} weight=2 down;\n",
        }
        assert bed.upstream.read_bytes() == bed.original
        workers = bed.workers()
        answer = run_module("load_balancer_server", bed.arguments("drained", bed.first))
        assert (answer["verdict"], answer["changed"]) == ("ok", True), answer
        assert bed.upstream.read_bytes() == drained(bed)
        assert bed.connections(bed.first) == 0
        assert not bed.workers() & workers
        # Nothing comes any more, however long it is out.
        got, others = bed.servers[0].requests, bed.servers[1].requests
        bed.wait_for(lambda: bed.servers[1].requests > others + 20, "requests at the second server")
        assert bed.servers[0].requests == got
        assert bed.do("drained", bed.first)[1].changed is False
        result, outcome = bed.do("returned", bed.first)
        assert (result.verdict, outcome.changed) == ("ok", True), result
        assert bed.upstream.read_bytes() == bed.original
        bed.wait_for(lambda: bed.servers[0].requests > got + 5, "requests at the first server again")
        assert bed.do("returned", bed.first)[1].changed is False
    assert load.failed == []
    assert load.count > 50
    after = os.stat(bed.upstream)
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)
    assert os.readlink(bed.link) == "../available/shop"
    assert [path.name for path in bed.upstream.parent.iterdir()] == ["shop"]
    assert not list((bed.directory / "state").glob("*.json"))


def test_a_request_that_is_being_answered_is_waited_for(bed: NginxBalancer) -> None:
    client, address = bed.ask_slowly()
    threading.Timer(1, bed.servers[bed.addresses.index(address)].may_answer.set).start()
    result, _outcome = bed.do("drained", address)
    assert result.verdict == "ok", result
    assert b" 200 OK" in client.recv(100)
    client.close()


def test_a_request_that_does_not_end_puts_all_back(bed: NginxBalancer) -> None:
    client, address = bed.ask_slowly()
    result, outcome = bed.do("drained", address, timeout="2s")
    assert (result.verdict, outcome.changed) == ("failed", False), result
    assert result.reason == (
        f"shop/{address} has 1 connections at nginx with {bed.link} after 2 s; it gets requests again"
    )
    assert bed.upstream.read_bytes() == bed.original
    client.close()


def test_a_worker_that_may_yet_choose_the_server_is_waited_for(bed: NginxBalancer) -> None:
    """It has read the head of a request by the old configuration, and no server has been chosen for it."""
    client = socket.create_connection(("127.0.0.1", bed.port), 20)
    client.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\n12")
    result, _outcome = bed.do("drained", bed.first, timeout="2s")
    assert result.verdict == "failed", result
    told = rf"shop/{bed.first} may get requests: workers of nginx with {bed.link} that were told to end still run "
    assert re.match(re.escape(told) + r"\(processes [0-9, ]+\) after 2 s; it gets requests again$", result.reason)
    assert bed.upstream.read_bytes() == bed.original
    client.sendall(b"34")
    assert b" 200 OK" in client.recv(100)
    client.close()
    assert bed.do("drained", bed.first)[0].verdict == "ok"


def test_too_few_others_stop_it_before_anything_is_changed(bed: NginxBalancer) -> None:
    bed.servers[1].well = False
    result, outcome = bed.do("drained", bed.first, min_ready=2, timeout="1s")
    assert (result.verdict, outcome.changed, bed.upstream.read_bytes()) == ("failed", False, bed.original)
    assert "1 other servers of shop are up" in result.reason
    assert f"{bed.second}: up, does not answer" in result.reason
    # The last one that is not down; the one that stands in for others does not count.
    assert bed.do("drained", bed.first)[0].verdict == "ok"
    result, outcome = bed.do("drained", bed.third, timeout="1s")
    assert (result.verdict, outcome.changed, bed.upstream.read_bytes()) == ("failed", False, drained(bed))
    assert f"{bed.first}: down, answers" in result.reason


def test_what_somebody_else_took_out_stays_out(bed: NginxBalancer) -> None:
    bed.upstream.write_bytes(drained(bed))
    bed.reload()
    result, outcome = bed.do("drained", bed.first, bed.second)
    assert (result.verdict, [one["before"] for one in outcome.servers]) == ("ok", ["down", "up"]), result
    result, outcome = bed.do("returned", bed.first, bed.second)
    assert (result.verdict, bed.upstream.read_bytes()) == ("findings", drained(bed)), result
    assert [(one.id, one.subject) for one in result.findings] == [("was-out-before", f"shop/{bed.first}")]
    assert bed.do("ready", bed.first)[0].verdict == "ok"
    assert bed.upstream.read_bytes() == bed.original


def test_a_change_that_nginx_has_not_read_is_no_change(bed: NginxBalancer) -> None:
    """Somebody wrote it into the file, and nginx goes on as before."""
    # The clocks by which processes begin and files change have ticks of some milliseconds.
    time.sleep(0.1)
    bed.upstream.write_bytes(drained(bed))
    workers = bed.workers()
    result, outcome = bed.do("drained", bed.first)
    assert (result.verdict, outcome.changed) == ("ok", True), result
    assert "which nginx has not read since it was changed" in outcome.servers[0]["status"]
    assert not bed.workers() & workers
    # It was not us who wrote it.
    assert bed.do("returned", bed.first)[0].findings[0].id == "was-out-before"


def test_one_that_does_not_come_back_is_told(bed: NginxBalancer) -> None:
    assert bed.do("drained", bed.first, nginx_health_path="")[0].verdict == "ok"
    bed.servers[0].well = False
    result, _outcome = bed.do("returned", bed.first, timeout="1s")
    assert result.verdict == "failed"
    assert f"shop/{bed.first} is up, does not answer" in result.reason
    bed.servers[0].well = True
    assert bed.do("returned", bed.first)[0].verdict == "ok"


def test_what_nginx_refuses_is_not_reloaded(bed: NginxBalancer, tmp_path: pathlib.Path) -> None:
    workers = bed.workers()
    bed.configure("    wordings_of_somebody_else on;\n")
    result, outcome = bed.do("drained", bed.first)
    assert (result.verdict, outcome.changed, bed.upstream.read_bytes()) == ("unknown", False, bed.original)
    line = bed.configuration.read_text().splitlines().index("    wordings_of_somebody_else on;") + 1
    assert result.reason == (
        f"nginx_test_command nginx ended with status 1 at {bed.configuration}:{line}, before anything was changed; "
        "run it to see what it says"
    )
    # It is refused only when the word is there.
    bed.configure()
    once = tmp_path / "once"
    once.write_text(f"#!/bin/sh\ngrep -q 'weight=2 down' {bed.upstream} && exit 3\nexec \"$@\"\n")
    once.chmod(0o755)
    test_command = [str(once), *bed.program, "-T", "-q"]
    result, outcome = bed.do("drained", bed.first, nginx_test_command=test_command)
    assert (result.verdict, outcome.changed, bed.upstream.read_bytes()) == ("unknown", False, bed.original)
    assert "ended with status 3, so the file is as it was" in result.reason
    assert bed.workers() == workers
    # Nothing is there to be taken over.
    assert bed.do("returned", bed.first)[1].changed is False


def test_a_reload_that_nginx_does_not_take_over_is_none(bed: NginxBalancer) -> None:
    workers = bed.workers()
    result, outcome = bed.do("drained", bed.first, timeout="1s", nginx_reload_command=["true"])
    assert (result.verdict, outcome.changed, bed.upstream.read_bytes()) == ("unknown", False, bed.original), result
    assert "nginx has not taken the change over 1 s after nginx_reload_command true" in result.reason
    assert bed.workers() == workers
    result, _outcome = bed.do("drained", bed.first, nginx_reload_command=["false"])
    assert "nginx_reload_command false ended with status 1, so the file is as it was" in result.reason
    assert bed.upstream.read_bytes() == bed.original


def test_a_restart_is_no_reload(bed: NginxBalancer, tmp_path: pathlib.Path) -> None:
    restart, pid = tmp_path / "restart", bed.place / "nginx.pid"
    restart.write_text(
        f"#!/bin/sh\nkill -TERM $(cat {pid})\nwhile [ -e {pid} ]; do sleep 0.05; done\n"
        f"{' '.join(bed.program)} >/dev/null 2>&1 &\nuntil [ -s {pid} ]; do sleep 0.05; done\n"
    )
    restart.chmod(0o755)
    try:
        result, _outcome = bed.do("drained", bed.first, nginx_reload_command=[str(restart)])
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)
    assert (result.verdict, bed.upstream.read_bytes()) == ("unknown", bed.original), result
    assert f"nginx_reload_command {restart} started nginx anew, instead of a reload" in result.reason


def test_a_file_that_nginx_does_not_read_proves_nothing(bed: NginxBalancer, tmp_path: pathlib.Path) -> None:
    beside = tmp_path / "upstream.conf"
    beside.write_bytes(bed.original)
    result, outcome = bed.do("drained", bed.first, nginx_file=str(beside))
    assert (result.verdict, outcome.changed, beside.read_bytes()) == ("unknown", False, bed.original)
    assert f"does not show that nginx reads {beside}" in result.reason


def test_what_cannot_be_looked_at_is_unknown(bed: NginxBalancer, tmp_path: pathlib.Path) -> None:
    (tmp_path / "self.pid").write_text(f"{os.getpid()}\n")
    cases: list[tuple[dict[str, t.Any], str]] = [
        ({"nginx_file": "/nonexistent/shop"}, "/nonexistent/shop cannot be read: No such file or directory"),
        ({"nginx_file": str(tmp_path)}, f"{tmp_path} is no file"),
        ({"nginx_pid_file": "/nonexistent/pid"}, "nginx does not run: /nonexistent/pid is not there"),
        ({"nginx_pid_file": str(tmp_path / "self.pid")}, "is no master process of nginx"),
        ({"servers": [{"pool": "shops", "server": bed.first}]}, f"{bed.link}: it has no upstream 'shops'"),
        (
            {"servers": [{"pool": "shop", "server": "web9"}]},
            f"has no server 'web9' in 'shop', but {bed.addresses[0][:9]}",
        ),
        ({"servers": [{"pool": "shop", "server": "127.0.0.1:1"}]}, "has no server '127.0.0.1:1' in 'shop'"),
    ]
    for more, told in cases:
        result, outcome = bed.do("drained", bed.first, **more)
        assert (result.verdict, outcome.changed, bed.upstream.read_bytes()) == ("unknown", False, bed.original), more
        assert told in result.reason
        assert "by hand" not in result.reason


def test_the_role_tells_nginx(bed: NginxBalancer) -> None:
    play = Play(bed.directory)
    given = {name: value for name, value in bed.arguments("drained", bed.first).items() if name.startswith("nginx_")}
    play.variables.update({f"release_{name}": value for name, value in given.items()})
    play.variables.update(
        release_balancers=["db1"],
        release_balancer_servers=[{"pool": "shop", "server": bed.first}],
        release_state_dir=str(bed.directory / "state"),
    )
    role = {"name": "steward.maintenance.release", "tasks_from": "balance.yml"}
    tasks = {
        state: {"name": state, "ansible.builtin.include_role": role, "vars": {"__release_balance": state}}
        for state in ("drained", "returned")
    }
    status, told = play.run("--check", "--diff", tasks=[tasks["drained"]])
    assert (status, bed.upstream.read_bytes()) == (0, bed.original), told
    assert f"server {bed.first} weight=2 down;" in told
    for state, after in (("drained", drained(bed)), ("returned", bed.original)):
        status, told = play.run(tasks=[tasks[state]])
        assert (status, bed.upstream.read_bytes()) == (0, after), told


def test_bad_input_is_refused_by_name(bed: NginxBalancer) -> None:
    for more, told in (
        ({"haproxy": ["/a.sock"]}, "nginx_file is given beside haproxy: name one kind of balancer"),
        ({"servers_command": ["a"]}, "servers_command is given beside nginx_file: name one kind of balancer"),
        ({"nginx_file": "shop.conf"}, "nginx_file is 'shop.conf': write an absolute path"),
        ({"nginx_test_command": []}, "nginx_test_command is empty: write the command as words"),
        ({"nginx_health_path": "health"}, "nginx_health_path is 'health': write a path that begins with /"),
        ({"on_timeout": "end"}, "on_timeout is 'end', and nginx cannot end the connections to one server"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            bed.do("drained", bed.first, **more)
