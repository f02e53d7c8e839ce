# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role system_patching asks before it lets the module patch, with ansible-playbook."""

from __future__ import annotations

import pathlib

import pytest
from support.apt import Package
from support.patching import FIX, Site
from support.plays import Play

pytestmark = pytest.mark.apt
pytest_plugins = ("support.patching_fixtures",)


def test_a_host_that_was_broken_before_is_left_alone(site: Site, tmp_path: pathlib.Path) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX))
    play = Play(tmp_path)
    play.environment["PATH"] += ":/usr/sbin:/sbin"
    play.variables.update(system_patching_health_command=["/bin/false"], system_patching_restart=False)
    play.variables.update(system_patching_state_dir=str(site.state), system_patching_codename="bookworm")
    role = {"name": "steward.maintenance.system_patching", "tasks_from": "patch"}
    status, told = play.run(environment=site.system.environment, tasks=[{"import_role": role}])
    assert status != 0
    assert "the host was broken before, nothing was touched: /bin/false ended with status 1" in told
    assert site.system.versions()["alpha"] == "1.0"
    assert not site.state.exists()
