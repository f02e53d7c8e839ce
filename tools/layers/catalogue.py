# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers: what each runs, in which environment, and what must be there first."""

from __future__ import annotations

import dataclasses
import os
import sys

from . import system
from .places import ROOT

_PYTEST = ("python", "-m", "pytest", "-p", "no:cacheprovider", "--color=no")
_MODULES = ("tests/unit", "tests/integration")
#: The logic that is sent to managed hosts, whose Python may be older than the controller's.
_HOST_UNITS = ("tests/unit/core", "tests/unit/postgres", "tests/unit/backup")
_MINUTE = 60


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of the closing table.

    :param group: the word after `bin/test` that runs it, together with the others of its group.
    :param wheel_postgres: use the PostgreSQL programs of the wheel instead of the system's.
    :param after: a layer that has to be over, well or badly, before this one starts.
    :param python: the versions of Python this layer can run on, from and to, where not all will do.
    """

    name: str
    group: str
    command: tuple[str, ...]
    venv: str = "test"
    needs: tuple[system.Need, ...] = ()
    wheel_postgres: bool = False
    after: str = ""
    timeout: int = 20 * _MINUTE
    python: tuple[tuple[int, int], tuple[int, int]] | None = None

    @property
    def obstacle(self) -> str:
        """Why this machine cannot run the layer, or nothing."""
        if self.python and not self.python[0] <= sys.version_info[:2] <= self.python[1]:
            first, last = (".".join(map(str, version)) for version in self.python)
            return f"not run: needs Python {first} to {last}, this is {sys.version_info[0]}.{sys.version_info[1]}"
        return ""


def layers() -> list[Layer]:
    """All layers, in the order in which they are started: what takes long or waits for images comes first."""
    host = (system.GIT, system.POSTGRES, system.PROMTOOL, system.CHROMIUM)
    boxes = tuple(system.containers())
    scenario = os.environ.get("SCENARIO", "")
    return [
        Layer("images", "images", ("tests/bed/build",), needs=boxes, timeout=30 * _MINUTE),
        Layer(
            "molecule",
            "molecule",
            ("tests/bed/molecule", *scenario.split()),
            needs=boxes,
            after="images",
            timeout=40 * _MINUTE,
        ),
        *_acceptance(boxes),
        *_in_containers(boxes),
        Layer("lint", "lint", ("python", "-m", "tools.layers.lint"), needs=(system.GIT,)),
        Layer("unit", "unit", (*_PYTEST, "tests/unit"), needs=(system.GIT,)),
        Layer("sanity", "sanity", ("python", "-m", "tools.layers.sanity"), needs=(system.GIT,)),
        Layer("house", "house", (*_PYTEST, "tests/house"), needs=(system.GIT,)),
        Layer("integration", "integration", (*_PYTEST, "tests/integration"), needs=host),
        Layer(
            "integration-wheel-pg18", "integration", (*_PYTEST, "tests/integration"), needs=host, wheel_postgres=True
        ),
        Layer("faults", "faults", (*_PYTEST, "tests/faults"), needs=host, timeout=30 * _MINUTE),
        Layer("core-2.16", "cores", (*_PYTEST, *_MODULES), venv="core-2.16", needs=host, python=((3, 10), (3, 12))),
        Layer("core-2.18", "cores", (*_PYTEST, *_MODULES), venv="core-2.18", needs=host, python=((3, 11), (3, 13))),
    ]


def _in_containers(boxes: tuple[system.Need, ...]) -> list[Layer]:
    """Modules where managed hosts run them: other Pythons, other PostgreSQLs. And the newest ansible-core."""
    core = ["tests/unit", "tests/integration", *(f"--ignore={name}" for name in _elsewhere("promtool", "browser"))]
    return [
        *(
            Layer(
                f"integration-{image}",
                "integration",
                ("tests/bed/run-tests", image, "--", "--color=no", *_HOST_UNITS, *_module_tests()),
                needs=boxes,
                after="images",
            )
            for image in ("deb11-pg13", "deb13-pg17", "forky-pg18")
        ),
        Layer("core-newest", "cores", ("tests/bed/run-core-tests", "--color=no", *core), needs=boxes, after="images"),
    ]


def _module_tests() -> list[str]:
    """Tests of modules alone: a managed host has neither ansible-playbook nor a browser."""
    playbooks = set(_elsewhere("ansible-playbook", "promtool", "browser"))
    return [name for name in _integration_tests() if name not in playbooks]


def _elsewhere(*programs: str) -> list[str]:
    """Tests that need a program which a container does not have; the same tests run on the host."""
    return [name for name in _integration_tests() if any(word in (ROOT / name).read_text() for word in programs)]


def _integration_tests() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "integration").glob("test_*.py"))


def _acceptance(boxes: tuple[system.Need, ...]) -> list[Layer]:
    """bin/demo as a new user has it."""
    script = "tests/acceptance/demo_in_container.sh"
    return [
        Layer("acceptance-debian12", "acceptance", (script, "bare12"), needs=boxes, after="images"),
        Layer("acceptance-debian13", "acceptance", (script, "bare13"), needs=boxes, after="images"),
        Layer("acceptance-user", "acceptance", ("tests/acceptance/demo_as_user.sh",), needs=(system.GIT,)),
    ]
