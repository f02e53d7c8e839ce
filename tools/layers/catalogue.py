# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers: what each runs, in which environment, and what must be there first."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import typing as t

from . import system
from .places import ROOT

#: Each log ends with what took longest, for whoever has to make it shorter.
_TELLING = ("--color=no", "--durations=15")
_PYTEST = ("python", "-m", "pytest", "-p", "no:cacheprovider", *_TELLING)
#: The logic that is sent to managed hosts, whose Python may be older than the controller's.
_HOST_DOMAINS = (
    *("backup", "balancers", "certificates", "configuration", "files", "logs", "packages", "patching", "postgres"),
    *("releases", "s3", "secrets"),
)
_HOST_UNITS = (
    "tests/unit/core",
    *(f"tests/unit/{domain}" for domain in _HOST_DOMAINS),
    # Debian 11 has nothing that reads TOML; that this is told, and what is read elsewhere, is tested on the host.
    "--ignore=tests/unit/packages/test_toml_locks.py",
)
#: Tests of one module's judgement; that each module runs under a core is seen in the other files.
_LOGIC_ALONE = (
    r"test_(postgres_(bloat|collation|crew|reindex|review|vacuum)|benchmarks|backup|restore(_tables|_rights)?\.py"
    r"|cycle_rules|certificate_(deploy|issue)|secret_(jwt|logins|key|load)|system_patch)"
)
#: Backups: these on the host, and what depends on a version's programs on the oldest and the newest version as well.
_BACKUPS = r"test_(backup|offsite|files|physical|drill|restore|canary_(offsite|files)|postgres_restore)"
#: Tests that need boto3 and an S3 server, pgBackRest, nginx, HAProxy, Pebble, PgBouncer, npm and pip-audit, dnf, Exim,
#: Dovecot and slapd, or the wheel's PostgreSQL beside the host's. What they test does not depend on PostgreSQL's
#: version or on ansible-core.
_HOST_ONLY = tuple(
    f"mark.{name}"
    for name in (
        *("s3", "pgbackrest", "nginx", "haproxy", "packages", "pebble", "pgbouncer", "majors", "dnf", "compose"),
        "mail",
    )
)
#: Images of the oldest version, of one between two others, on which less is run, and of the newest one: its pgBackRest
#: is another one than this host's, too.
_OLDEST, _BETWEEN, _NEWEST = "deb11-pg13", "deb13-pg17", "forky-pg18"
_MINUTE = 60


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of the closing table.

    :param group: the word after `bin/test` that runs it, together with the others of its group.
    :param wheel_postgres: use the PostgreSQL programs of the wheel instead of the system's.
    :param after: a layer that has to be over, well or badly, before this one starts.
    :param env: what the layer's environment has beside the common one.
    :param measures_time: tests of how long somebody waits are in it, so no layer runs beside it for which there is no
        processor.
    :param in_memory: its temporary files lie in memory where there is enough (L{scratch}); containers see to that
        themselves.
    """

    name: str
    group: str
    command: tuple[str, ...]
    venv: str = "test"
    needs: tuple[system.Need, ...] = ()
    wheel_postgres: bool = False
    after: str = ""
    timeout: int = 45 * _MINUTE
    env: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    measures_time: bool = False
    in_memory: bool = False


def _here(name: str, group: str, *tests: str, **more: t.Any) -> Layer:
    """A layer of pytest on this host."""
    return Layer(name, group, (*_PYTEST, *tests), in_memory=True, **more)


def layers() -> list[Layer]:
    """All layers, in the order in which they are started: what is over soon, then what takes longest."""
    host = (
        *(system.GIT, system.POSTGRES, system.PGBACKREST, system.AGE, system.ZSTD),
        *(system.JOURNAL, system.PROMTOOL, system.CHROMIUM, system.NGINX, system.NPM, system.PEBBLE),
        *(system.PGBOUNCER, system.CARES, system.EVENT, *system.GPG),
        *(system.APACHE, system.HAPROXY, system.TRACING, system.LUA, system.NSUPDATE, system.NAMED, *system.RPM),
    )
    boxes = tuple(system.containers())
    scenario = os.environ.get("SCENARIO", "")
    cores = [
        _older_core("2.16", (3, 10), (3, 12), _oldest_tests(), host, boxes),
        _older_core("2.18", (3, 11), (3, 13), _between_tests(), host, boxes),
    ]
    molecule = ("tests/bed/molecule", *scenario.split())
    return [
        Layer("images", "images", ("tests/bed/build", *_images(cores)), needs=boxes, timeout=30 * _MINUTE),
        Layer("lint", "lint", ("python", "-m", "tools.layers.lint"), needs=(system.GIT,)),
        _here("unit", "unit", "tests/unit", needs=(system.GIT,)),
        _here(
            "integration",
            "integration",
            *_integration(backups=False),
            needs=(*host, system.COMPOSE, *system.WHOLE, *boxes),
            measures_time=True,
        ),
        _here("faults", "faults", *_faults(backups=False), needs=host, measures_time=True),
        _here("integration-backup", "integration", *_integration(backups=True), needs=host),
        _here("faults-backup", "faults", *_faults(backups=True), needs=host),
        Layer("sanity", "sanity", ("python", "-m", "tools.layers.sanity"), needs=(system.GIT,)),
        _here("house", "house", "tests/house", needs=(system.GIT,)),
        Layer("molecule", "molecule", molecule, needs=(*boxes, *system.GPG), after="images", timeout=40 * _MINUTE),
        *_acceptance(boxes),
        *_in_containers(boxes),
        _here("integration-wheel-pg18", "integration", *_wheel_tests(), needs=host, wheel_postgres=True),
        *cores,
    ]


def _images(cores: list[Layer]) -> list[str]:
    """The images that the layers run in."""
    names = ["bare12", "bare13", "core13", "deb11-pg13", "deb12-pg15", "deb13-pg17", "forky-pg18"]
    return names + (["core12"] if any("STEWARD_CORE_IMAGE" in layer.env for layer in cores) else [])


def _older_core(
    core: str,
    first: tuple[int, int],
    last: tuple[int, int],
    tests: list[str],
    host: tuple[system.Need, ...],
    boxes: tuple[system.Need, ...],
) -> Layer:
    """Tests under another ansible-core: here, or in Debian 12 where this Python is too new for it."""
    name = f"core-{core}"
    if first <= sys.version_info[:2] <= last:
        return _here(name, "cores", *tests, venv=name, needs=host)
    env = {"STEWARD_CORE_IMAGE": "core12", "STEWARD_CORE_REQUIREMENTS": f"requirements/{name}.txt"}
    command = ("tests/bed/run-core-tests", *_TELLING, *tests)
    return Layer(name, "cores", command, needs=boxes, after="images", env=env)


def _core_tests() -> list[str]:
    """What can depend on ansible-core: what its own programs do with playbooks and roles, by the tests that call them.

    That the modules themselves run under a core is seen where the roles call them. Pages in a browser, promtool's
    judgement and what PostgreSQL does do not depend on it.
    """
    names = set(_elsewhere("ansible-playbook")) - set(_elsewhere("promtool", "browser", *_HOST_ONLY))
    return sorted(name for name in names if not re.search(_LOGIC_ALONE, name))


def _oldest_tests() -> list[str]:
    """For the oldest core that is supported: how plays end, what is printed, and that no secret is."""
    return [name for name in _core_tests() if re.search(r"test_(cycle\.|certificate|secret|report)", name)]


def _between_tests() -> list[str]:
    """For a core between two others on which all that can depend on it is run: roles, facts, vaults and reports."""
    return [name for name in _core_tests() if re.search(r"test_(maintenance_role|secret_vault|report_module)", name)]


def _in_containers(boxes: tuple[system.Need, ...]) -> list[Layer]:
    """Modules where managed hosts run them: other Pythons, other PostgreSQLs. And the newest ansible-core."""
    newest = ("tests/bed/run-core-tests", *_TELLING, *_core_tests())
    # What a module does on a newer Python its tests show; that the logic needs no newer one, the oldest one shows.
    chosen = (
        ("integration", lambda image: (*(_HOST_UNITS if image == _OLDEST else ()), *_module_tests(image))),
        ("faults", lambda image: _module_faults(backups=image == _NEWEST)),
    )
    return [
        *(
            Layer(
                f"{group}-{image}",
                group,
                ("tests/bed/run-tests", image, "--", *_TELLING, *tests(image)),
                needs=boxes,
                after="images",
                measures_time=True,
            )
            for group, tests in chosen
            for image in (_OLDEST, _BETWEEN, _NEWEST)
        ),
        Layer("core-newest", "cores", newest, needs=boxes, after="images"),
    ]


def _integration(backups: bool) -> list[str]:
    """The modules and roles here; backups and all else in layers of their own, for neither is over soon."""
    return [name for name in _integration_tests() if bool(re.search(_BACKUPS, name)) is backups]


def _faults(backups: bool) -> list[str]:
    """What is injected here; backups and all else in layers of their own, for neither is over soon."""
    names = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "faults").glob("test_*.py"))
    return [name for name in names if bool(re.search(_BACKUPS, name)) is backups]


def _module_faults(backups: bool) -> list[str]:
    """What is injected into the maintenance of a database has to end well on every version of it.

    :param backups: damage of backups and restores as well. Which compressions there are depends on the version:
        up to 15 they are the same, and those are tried on the host.
    """
    names = [name for name in _faults(backups=False) if "test_postgres_" in name]
    restores = [name for name in _faults(backups=True) if re.search(r"test_(postgres_restore|backup_damage)", name)]
    return names + (restores if backups else [])


def _module_tests(image: str) -> list[str]:
    """Tests of modules alone: a managed host has neither ansible-playbook nor a browser."""
    playbooks = set(_elsewhere("ansible-playbook", "promtool", "browser", *_HOST_ONLY))
    # Neither Python's version nor PostgreSQL's nor apt's means anything to these, and the last is mostly waiting.
    left = ["test_secret_(jwt|key|load)", "test_system_patch_stopped", "test_benchmarks_politeness"]
    left += ["test_(restore|backup|certificate|system_patch|records|secret)"] if image == _BETWEEN else []
    left += ["test_benchmarks"] if image != _NEWEST else []
    names = [name for name in _integration_tests() if name not in playbooks and not re.search("|".join(left), name)]
    return names + (["tests/integration/test_physical.py"] if image == _NEWEST else [])


def _wheel_tests() -> list[str]:
    """What can depend on the wheel's programs: the same version from Debian's packages is tested with all the rest."""
    chosen = r"test_(postgres_(vacuum|connection)\.py|backup\.py|records_postgres)"
    files = [name for name in _integration_tests() if re.search(chosen, name)]
    elsewhere = _elsewhere("mark.contrib", *_HOST_ONLY)
    return [name for name in files if name not in elsewhere]


def _elsewhere(*programs: str) -> list[str]:
    """Tests that need what a container does not have, by a word in them; the same tests run on the host."""
    return [name for name in _integration_tests() if any(word in (ROOT / name).read_text() for word in programs)]


def _integration_tests() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "integration").glob("test_*.py"))


def _acceptance(boxes: tuple[system.Need, ...]) -> list[Layer]:
    """bin/demo as a new user has it."""
    script = "tests/acceptance/demo_in_container.sh"
    return [
        Layer("acceptance-debian12", "acceptance", (script, "bare12"), needs=boxes, after="images", measures_time=True),
        Layer("acceptance-debian13", "acceptance", (script, "bare13"), needs=boxes, after="images", measures_time=True),
        Layer(
            "acceptance-user",
            "acceptance",
            ("tests/acceptance/demo_as_user.sh",),
            needs=(system.GIT,),
            measures_time=True,
        ),
    ]
