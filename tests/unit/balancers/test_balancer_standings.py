# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy says is read as it is meant: versions differ in their columns, and states are bits."""

from __future__ import annotations

import pathlib
import socket
import threading
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._balancers.haproxy import HAProxy
from ansible_collections.steward.maintenance.plugins.module_utils._balancers.model import BalancerError, Standing

#: The columns that count, as versions 1.8 to 3.0 have them, with others between them.
STAT = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,act,bck,{more}\n"
STATES = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight{more}\n{rows}\n\n"
)


class FakeHAProxy:
    """Answers each command with a text of its own."""

    def __init__(self, path: pathlib.Path, answers: t.Mapping[str, str]) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._answers = answers
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            asked = connection.recv(1000).decode().strip()
            self.asked.append(asked)
            connection.sendall(self._answers.get(asked, "\n").encode())
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def speak(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., HAProxy]]:
    made: list[FakeHAProxy] = []

    def speaking(answers: t.Mapping[str, str]) -> HAProxy:
        made.append(FakeHAProxy(tmp_path / f"{len(made)}.sock", answers))
        return HAProxy(str(tmp_path / f"{len(made) - 1}.sock"))

    yield speaking
    for one in made:
        one.close()


def answers(*servers: tuple[str, str, int, int, int, int], more: str = "") -> dict[str, str]:
    """Name, status, state bits, sessions, waiting requests and weight of servers; `more` columns."""
    stat = STAT.format(more=more)
    rows = []
    for name, status, bits, sessions, waiting, weight in servers:
        stat += f"web,{name},{waiting},9,{sessions},9,,99,{status},{weight},1,0,{',' * more.count(',')}\n"
        rows.append(f"3 web 1 {name} 127.0.0.1 2 {bits} 1 1" + " 0" * more.count(","))
    stat += f"web,spare,0,9,0,9,,99,UP,1,0,1,{',' * more.count(',')}\nweb,BACKEND,0,9,0,9,,99,UP,3,3,0,\n"
    states = STATES.format(more=" srv_port srv_fqdn"[: 18 * bool(more)], rows="\n".join(rows))
    return {"show stat -1 4 -1": stat + "\n", "show servers state web": states}


@pytest.mark.parametrize("more", ["", "mode,algo,cookie,"])
def test_servers_stand_as_haproxy_says(speak: t.Callable[..., HAProxy], more: str) -> None:
    told = answers(
        ("up", "UP", 0x00, 3, 2, 1),
        ("going", "UP 1/3", 0x00, 0, 0, 1),
        ("down", "DOWN", 0x00, 0, 0, 1),
        ("drained", "DRAIN", 0x08, 1, 0, 0),
        ("maint", "MAINT", 0x01, 0, 0, 1),
        ("configured", "MAINT", 0x04, 0, 0, 1),
        ("blind", "no check", 0x00, 0, 0, 1),
        ("weightless", "UP", 0x00, 0, 0, 0),
        more=more,
    )
    found = speak(told).standings("web")
    assert {name: (one.settings, one.is_admitted, one.is_up, one.connections) for name, one in found.items()} == {
        "up": ("ready", True, True, 5),
        "going": ("ready", True, False, 0),
        "down": ("ready", True, False, 0),
        "drained": ("drain", False, False, 1),
        "maint": ("maint", False, False, 0),
        "configured": ("ready", False, False, 0),
        "blind": ("ready", True, None, 0),
        "weightless": ("ready", False, True, 0),
    }
    assert [name for name, one in found.items() if one.serves] == ["up"]
    assert isinstance(found["up"], Standing)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"show servers state web": "Can't find backend.\n"},
            "tells no states of the servers of 'web': Can't find backend.",
        ),
        ({"show servers state web": "\n"}, "tells no states of the servers of 'web': it said nothing"),
        ({"show stat -1 4 -1": "Permission denied\n"}, "tells no statistics that can be read: Permission denied"),
        ({"show stat -1 4 -1": "# pxname,svname,status\nweb,up,UP\n"}, "tells no statistics that can be read"),
        ({"show stat -1 4 -1": "# pxname,svna"}, "broke off its answer to 'show stat -1 4 -1'"),
        ({"show servers state web": STATES.format(more="", rows="")}, "knows no state of web/up"),
    ],
)
def test_what_is_no_whole_answer_is_none(speak: t.Callable[..., HAProxy], change: dict[str, str], why: str) -> None:
    with pytest.raises(BalancerError) as failed:
        speak({**answers(("up", "UP", 0, 0, 0, 1)), **change}).standings("web")
    assert why in str(failed.value)
