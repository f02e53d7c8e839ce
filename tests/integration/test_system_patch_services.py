# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services are restarted until none runs replaced files, or it is told which one still does.

Processes, systemctl and needrestart are played, so that nothing of this machine is restarted; the rest is real. Real
services of a real systemd are restarted in the molecule scenario system_patching.
"""

from __future__ import annotations

import functools
import typing as t

import pytest
from support.patching import Site

from ansible_collections.steward.maintenance.plugins.module_utils._patching import replaced, restarting

pytestmark = pytest.mark.apt
pytest_plugins = ("support.patching_fixtures",)

_MAPS = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42   /usr/lib/libssl.so.3 (deleted)\n"
_SYSTEMCTL = """#!/bin/sh
echo "$*" >>{here}/called
for unit; do :; done
behaviour=$(cat {here}/units/$unit 2>/dev/null)
case "$1 $behaviour" in
show*dead) printf 'LoadState=loaded\\nActiveState=failed\\n';;
show*) printf 'LoadState=loaded\\nActiveState=active\\n';;
restart*refuses) echo "Job for $unit failed."; exit 1;;
restart*stays) ;;
restart*) sed -i 's/ (deleted)//' $(grep -l "/$unit" {here}/proc/*/cgroup | sed 's/cgroup$/maps/')
    sed -i "/$unit/d" {here}/advice;;
daemon-reexec*) sed -i 's/ (deleted)//' {here}/proc/1/maps;;
esac
"""
_NEEDRESTART = "#!/bin/sh\necho 'NEEDRESTART-VER: 3.6'\nsed 's/^/NEEDRESTART-SVC: /' {here}/advice\n"


class Machine:
    """A /proc of a test's own with processes that run a replaced file, and programs that only change that."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self.here = site, site.directory
        for name in ("proc", "units", "bin"):
            (self.here / name).mkdir()
        (self.here / "advice").touch()
        self._program("systemctl", _SYSTEMCTL)
        site.system.environment["PATH"] = f"{self.here / 'bin'}:{site.system.environment['PATH']}"
        monkeypatch.setattr(replaced, "look", functools.partial(replaced.look, str(self.here / "proc")))
        self.process(1, "/init.scope", maps="")

    def _program(self, name: str, text: str) -> None:
        path = self.here / "bin" / name
        path.write_text(text.replace("{here}", str(self.here)))
        path.chmod(0o755)

    def process(self, pid: int, group: str, maps: str = _MAPS) -> None:
        place = self.here / "proc" / str(pid)
        place.mkdir(exist_ok=True)
        for name, text in (("maps", maps), ("comm", "daemon\n"), ("cgroup", f"0::{group}\n")):
            (place / name).write_text(text)

    def unit(self, name: str, pid: int, behaviour: str = "") -> None:
        self.process(pid, f"/system.slice/{name}")
        (self.here / "units" / name).write_text(behaviour)

    def advise(self, *units: str) -> None:
        """needrestart is installed, and knows of services whose processes tell nothing."""
        self._program("needrestart", _NEEDRESTART)
        (self.here / "advice").write_text("".join(f"{name}\n" for name in units))

    def restart(self, check: bool = False, never: tuple[str, ...] = ()) -> dict[str, t.Any]:
        outcome = restarting.Outcome()
        with self.site.apt():
            settings = restarting.Settings(never, restarting.LEAVE, 30, 60)
            result = restarting.restart(settings, check, outcome)
        return {**result.to_dict(), **outcome.beside(), "changed": outcome.changed}

    def called(self, verb: str) -> list[str]:
        """For which units systemctl was called so."""
        path = self.here / "called"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.rpartition(" ")[2] for line in lines if line.split()[0] == verb]


@pytest.fixture
def machine(site: Site, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(site, monkeypatch)


def test_services_are_restarted_once_and_looked_at_again(machine: Machine) -> None:
    machine.unit("web.service", 7)
    machine.unit("worker.service", 8)
    machine.process(1, "/init.scope")
    foretold = machine.restart(check=True)
    assert (foretold["changed"], machine.called("restart")) == (True, [])
    assert foretold["restarted"] == ["web.service", "worker.service", "systemd itself"]
    answer = machine.restart()
    assert (answer["verdict"], answer["left"], answer["reboot"]["needed"]) == ("ok", [], False), answer
    assert machine.called("restart") == ["web.service", "worker.service"]
    assert machine.called("daemon-reexec") == ["daemon-reexec"]
    again = machine.restart()
    assert (again["verdict"], again["changed"], len(machine.called("restart"))) == ("ok", False, 2)


def test_what_still_runs_old_files_after_its_restart_is_no_success(machine: Machine) -> None:
    machine.unit("web.service", 7, "stays")
    machine.unit("worker.service", 8)
    answer = machine.restart()
    assert (answer["verdict"], answer["reason"]) == (
        "failed",
        "web.service still runs replaced files after its restart",
    )
    assert machine.called("restart") == ["web.service", "worker.service"], "once each, not without end"
    assert [(one["unit"], one["pids"]) for one in answer["left"]] == [("web.service", [7])]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("refuses", "web.service does not restart: Job for web.service failed."),
        ("dead", "web.service does not run after its restart"),
    ],
)
def test_a_service_that_does_not_come_back_is_told(machine: Machine, behaviour: str, reason: str) -> None:
    machine.unit("web.service", 7, behaviour)
    answer = machine.restart()
    assert (answer["verdict"], answer["reason"], answer["changed"]) == ("failed", reason, True)


def test_what_only_needrestart_knows_is_restarted_and_asked_for_again(machine: Machine) -> None:
    """An interpreter's modules are mapped by nobody: no process tells of them."""
    machine.unit("web.service", 7)
    machine.advise("web.service", "script.service")
    answer = machine.restart()
    assert (answer["verdict"], answer["left"]) == ("ok", []), answer
    assert machine.called("restart") == ["script.service", "web.service"]
    machine.advise("stubborn.service")
    (machine.here / "units" / "stubborn.service").write_text("stays")
    answer = machine.restart()
    assert (answer["verdict"], machine.called("restart")[2:]) == ("failed", ["stubborn.service"])
    assert answer["reason"] == "stubborn.service still runs replaced files after its restart"


def test_what_must_not_be_restarted_is_left_and_told_with_its_reason(machine: Machine) -> None:
    for pid, name in enumerate(("dbus.service", "docker.service", "postgresql@15-main.service", "shop-api.service"), 7):
        machine.unit(name, pid)
    machine.process(20, "/user.slice/user-0.slice/session-3.scope")
    answer = machine.restart(never=("shop-*.service",))
    assert (answer["verdict"], answer["changed"], machine.called("restart")) == ("findings", False, [])
    left = {one["unit"]: one["reason"] for one in answer["left"]}
    assert set(left) == {"dbus.service", "docker.service", "postgresql@15-main.service", "shop-api.service"}
    assert "database servers are restarted in their own window" in left["postgresql@15-main.service"]
    # Of these, only what a reboot restarts asks for one.
    assert answer["reboot"]["reasons"] == ["dbus.service runs replaced files, and only a reboot restarts it"]
    assert [one["subject"] for one in answer["findings"] if one["id"] == "process-uses-replaced-files"] == [
        "process 20"
    ]


def test_a_process_that_could_not_be_looked_at_is_no_all_clear(machine: Machine) -> None:
    (machine.here / "proc" / "9" / "maps").mkdir(parents=True)
    answer = machine.restart()
    assert (answer["verdict"], answer["coverage"]) == ("unknown", {"looked": 1, "of": 2})
    assert "what these processes run could not be looked at: 9 (Is a directory)" in answer["reason"]
