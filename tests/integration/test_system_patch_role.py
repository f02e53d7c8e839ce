# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role system_patching asks before it lets the module patch, and before a reboot, with ansible-playbook."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import sys
import typing as t

import pytest
from support.apt import Package
from support.patching import FIX, Site
from support.plays import Play

pytestmark = pytest.mark.apt
pytest_plugins = ("support.patching_fixtures",)


PATCH = {"name": "steward.maintenance.system_patching", "tasks_from": "patch"}
#: What the real reboot says to a play on the machine itself, after which it does nothing: this one is never rebooted.
REFUSED = "with local connection would reboot the control node"


def play_on(site: Site, directory: pathlib.Path) -> Play:
    """Modules run in a process namespace of their own: what else runs on this machine is no part of the tests."""
    play = Play(directory)
    play.environment["PATH"] += ":/usr/sbin:/sbin"
    python = directory / "python"
    user = "" if os.geteuid() == 0 else " --user --map-root-user"
    python.write_text(f'#!/bin/sh\nexec unshare --pid --fork --mount-proc{user} {sys.executable} "$@"\n')
    python.chmod(0o755)
    play.variables.update(ansible_python_interpreter=str(python), system_patching_state_dir=str(site.state))
    play.variables.update(system_patching_codename="bookworm")
    return play


class Host:
    """A host that needs a reboot, a role that may do that in its window, and how often that was asked for."""

    def __init__(self, site: Site, directory: pathlib.Path) -> None:
        self.site = site
        self.asked, self.limit = directory / "asked", directory / "limit"
        (site.system.root / "run").mkdir(exist_ok=True)
        (site.system.root / "run" / "reboot-required").touch()
        another = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)
        closed = f"{another:%a} 00:00-23:59 UTC"
        script = directory / "window"
        script.write_text(
            f"#!/bin/sh\necho asked >>{self.asked}\n"
            f"if [ $(wc -l <{self.asked}) -gt $(cat {self.limit}) ]; then echo '{closed}'; fi\n"
        )
        script.chmod(0o755)
        self.play = play_on(site, directory)
        self.play.variables.update(
            system_patching_restart=False,
            system_patching_reboot="needed",
            system_patching_reboot_window=f"{{{{ lookup('ansible.builtin.pipe', '{script}') }}}}",
        )
        self.result = directory / "result.json"

    def run(self, open_for: int) -> tuple[int, str]:
        """:param open_for: how often whoever asks is told that the window is open; afterwards it is closed."""
        for path in (self.asked, self.result):
            path.unlink(missing_ok=True)
        self.limit.write_text(str(open_for))
        tell = {"content": "{{ system_patching_result | to_json }}", "dest": str(self.result)}
        tasks = [{"import_role": PATCH}, {"ansible.builtin.copy": tell}]
        return self.play.run(environment=self.site.system.environment, tasks=tasks)

    def times_asked(self) -> int:
        return len(self.asked.read_text().split())

    def told(self) -> dict[str, t.Any]:
        return dict(json.loads(self.result.read_text()))

    def is_due(self) -> bool:
        """Whether the result says that a reboot is needed, and why."""
        reasons = [one["message"] for one in self.told()["findings"] if one["id"] == "reboot-needed"]
        return any("run/reboot-required is there" in reason for reason in reasons)


def test_the_window_is_asked_again_right_before_a_reboot(site: Site, tmp_path: pathlib.Path) -> None:
    """Closed at the last moment, nothing is rebooted whatever was said before; it is told, and the next run does it."""
    site.populate()
    site.security.publish(Package("alpha", FIX))
    host = Host(site, tmp_path)
    status, told = host.run(open_for=1000)
    assert (status != 0, REFUSED in told) == (True, True), told
    times = host.times_asked()

    site.security.publish(Package("beta", FIX))
    status, told = host.run(open_for=times - 1)
    assert (status, REFUSED in told, host.times_asked()) == (0, False, times), told
    # It had been open when the packages were installed: the tasks of the reboot were reached.
    assert "Reboot | Reboot the host" in told
    assert site.system.versions()["beta"] == FIX
    assert (host.told()["verdict"], host.told()["changed"], host.is_due()) == ("findings", True, True)
    assert host.told()["done"][0]["action"] == "upgrade"

    status, told = host.run(open_for=0)
    assert (status, REFUSED in told, "Reboot | Reboot the host" in told) == (0, False, False), told
    assert (host.told()["changed"], host.is_due()) == (False, True)

    # Nothing is left to install, and the reboot is still due.
    status, told = host.run(open_for=1000)
    assert (status != 0, REFUSED in told) == (True, True), told


def test_after_a_host_that_does_not_come_back_nobody_else_of_the_run_reboots(
    site: Site, tmp_path: pathlib.Path
) -> None:
    """The two may be all of a redundancy group. The other one is patched all the same, and says that it is due."""
    site.populate()
    site.security.publish(Package("alpha", FIX))
    host = Host(site, tmp_path)
    host.play.hosts = ["db1", "db2"]
    # Both are this machine, whose packages only one can change at a time.
    host.play.environment["ANSIBLE_FORKS"] = "1"
    status, told = host.run(open_for=1000)
    # The reboot of the first one fails before it begins, which is as good as one that does not end.
    assert (status != 0, re.findall(rf"^fatal: \[(db\d)\].*{REFUSED}", told, re.MULTILINE)) == (True, ["db1"]), told
    assert re.findall(r"^(db\d) .* failed=(\d)", told, re.MULTILINE) == [("db1", "1"), ("db2", "0")], told
    assert site.system.versions()["alpha"] == FIX
    assert (host.told()["verdict"], host.is_due()) == ("findings", True)


def test_check_mode_shows_the_exact_versions_and_touches_nothing(site: Site, tmp_path: pathlib.Path) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX))
    before = site.system.everything()
    play = play_on(site, tmp_path)
    status, told = play.run("--check", "--diff", environment=site.system.environment, tasks=[{"import_role": PATCH}])
    assert status == 0, told
    lines = told.splitlines()
    assert [line for line in lines if line.startswith(("-alpha", "+alpha"))] == ["-alpha 1.0", f"+alpha {FIX}"]
    assert (site.system.everything() == before, site.state.exists()) == (True, False)


def test_a_host_that_was_broken_before_is_left_alone(site: Site, tmp_path: pathlib.Path) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX))
    play = play_on(site, tmp_path)
    play.variables.update(system_patching_health_command=["/bin/false"], system_patching_restart=False)
    status, told = play.run(environment=site.system.environment, tasks=[{"import_role": PATCH}])
    assert status != 0
    assert "the host was broken before, nothing was touched: /bin/false ended with status 1" in told
    assert site.system.versions()["alpha"] == "1.0"
    assert not site.state.exists()
