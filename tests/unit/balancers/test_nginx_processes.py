# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections are counted as the kernel tells them, of the processes asked for alone."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._balancers.model import BalancerError
from ansible_collections.steward.maintenance.plugins.module_utils._balancers.nginx_processes import (
    Process,
    Processes,
    connections_of,
    endpoints_of,
    look,
)


def _as_nginx(pid: int) -> Processes:
    return Processes(Process(pid, 0), frozenset({Process(pid, 0)}), frozenset())


def test_connections_of_this_process_are_counted_and_no_others() -> None:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listening.getsockname()[1]
        (place,) = endpoints_of("127.0.0.1", port)
        assert place == (b"\x7f\0\0\x01", port)
        assert connections_of(_as_nginx(os.getpid())).get(place, 0) == 0
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _number in range(3)]
        assert connections_of(_as_nginx(os.getpid()))[place] == 3
        # What the other side has closed is still a connection, until we close it.
        accepted, _address = listening.accept()
        accepted.close()
        assert connections_of(_as_nginx(os.getpid()))[place] == 3
        clients[0].close()
        assert connections_of(_as_nginx(os.getpid()))[place] == 2
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        assert connections_of(_as_nginx(other.pid)).get(place, 0) == 0
        other.communicate(b"\n")


def test_an_address_of_ipv4_within_ipv6_is_the_same_place() -> None:
    assert endpoints_of("::ffff:10.0.0.1", 80) == endpoints_of("10.0.0.1", 80) == {(b"\x0a\0\0\x01", 80)}
    assert endpoints_of("::1", 80) == {(b"\0" * 15 + b"\x01", 80)}
    assert endpoints_of("no name at all", 80) == set()


def test_a_process_begins_when_the_clock_says_so() -> None:
    before = time.time()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    after = time.time()
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert before - 2 * tick <= Process(process.pid, int(fields[19])).began <= after + 2 * tick
    process.communicate(b"\n")


def test_what_is_no_nginx_is_not_taken_for_one(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "nginx.pid"
    for text, why in (
        (None, f"nginx does not run: {file} is not there"),
        ("", f"{file} names no process"),
        ("one", f"{file} names no process"),
        ("999999999", "process 999999999, named by"),
        (str(os.getpid()), "is no master process of nginx"),
    ):
        if text is not None:
            file.write_text(text)
        with pytest.raises(BalancerError) as failed:
            look(str(file))
        assert why in str(failed.value)
    (tmp_path / "nginx.pid.oldbin").write_text("1")
    with pytest.raises(BalancerError, match="another program takes over"):
        look(str(file))
