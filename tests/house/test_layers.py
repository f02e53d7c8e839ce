# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bin/test counts honestly: what did not run did not pass."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from support.house import ROOT

sys.path.insert(0, str(ROOT))
from tools.layers import catalogue, runner, system


@pytest.mark.parametrize(
    ("log", "status", "passed", "failed"),
    [
        ("======= 12 passed in 3.10s =======", 0, 12, 0),
        ("==== 2 failed, 10 passed, 1 warning in 3.10s ====", 1, 10, 2),
        ("==== 10 passed, 3 skipped in 3.10s ====", 0, 10, 3),
        ("==== 10 passed, 2 errors in 3.10s ====", 1, 10, 2),
        ("==== 10 passed, 1 deselected, 1 xfailed in 3.10s ====", 0, 10, 2),
        ("=== no tests ran in 0.44s ===", 5, 0, 1),
        ("9 passed, 0 failed\nclean-up went wrong", 1, 9, 1),
        ("molecule: 7 passed, 0 failed", 0, 7, 0),
        ("built all images", 0, 1, 0),
        ("Killed", -9, 0, 1),
        ("", 2, 0, 1),
    ],
)
def test_counts(log: str, status: int, passed: int, failed: int) -> None:
    outcome = runner.count(log, status)
    assert (outcome.passed, outcome.failed) == (passed, failed)


def _layer(name: str, *command: str, **more: object) -> catalogue.Layer:
    return catalogue.Layer(name, "trial", command, **more)  # type: ignore[arg-type]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> object:
    """Run layers in this environment, with the logs aside."""
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(runner.venvs, "ensure", lambda _name: pathlib.Path(sys.prefix))
    return lambda *layers: runner.run(layers, 2)


def test_a_failing_layer_stops_no_other(run: object, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = run(  # type: ignore[operator]
        _layer("later", "sh", "-c", "echo 3 passed", after="broken"),
        _layer("broken", "sh", "-c", "exit 3"),
        _layer("absent", "./there-is-no-such-program"),
    )
    assert (outcomes["later"].passed, outcomes["broken"].failed, outcomes["absent"].failed) == (3, 1, 1)
    assert "not run" in outcomes["absent"].note
    assert runner.conclude(outcomes) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 2 failed"


def test_what_a_layer_that_passed_has_to_tell_is_shown(run: object, capsys: pytest.CaptureFixture[str]) -> None:
    """As pytest writes it, with a dot after a line that is not ended; a layer that failed shows its end anyhow."""
    script = "printf '\n|: zstd 200 0 :|.\n|: gzip  200 0 :|\nnot |: this :|\n1 passed\n'"
    outcomes = run(_layer("tells", "sh", "-c", script))  # type: ignore[operator]
    assert runner.conclude(outcomes) == 0
    shown = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(shown) if line.startswith("--- tells "))
    assert shown[start + 1 : start + 4] == ["zstd 200 0", "gzip  200 0", ""]


def test_a_layer_that_hangs_is_stopped_with_all_its_children(run: object, tmp_path: pathlib.Path) -> None:
    script = f"(trap '' TERM HUP; sleep 600 & echo $! >{tmp_path}/child; wait) & echo 5 passed; exec sleep 600"
    outcome = run(_layer("hangs", "sh", "-c", script, timeout=1))["hangs"]  # type: ignore[operator]
    assert outcome.failed > 0
    assert "stopped" in outcome.note


@pytest.mark.parametrize(
    ("running", "fits"),
    [
        ([], ["plain", "timed"]),
        (["plain"], ["plain", "timed"]),
        (["timed"], ["plain", "timed"]),
        (["plain", "plain"], ["plain"]),
        (["plain", "timed"], []),
        (["plain", "plain", "plain"], []),
    ],
)
def test_one_more_runs_while_none_measures_time(running: list[str], fits: list[str]) -> None:
    known = {name: _layer(name, "true", measures_time=name == "timed") for name in ("plain", "timed")}
    found = runner._fitting(list(known.values()), [known[name] for name in running], 2)
    assert [layer.name for layer in found] == fits


def test_a_core_that_this_python_cannot_run_gets_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue.sys, "version_info", (3, 13, 0))
    layers = {layer.name: layer for layer in catalogue.layers()}
    assert layers["core-2.16"].env["STEWARD_CORE_IMAGE"] in layers["images"].command
    assert layers["core-2.16"].command[0] == "tests/bed/run-core-tests"
    assert layers["core-2.18"].venv == "core-2.18"


@pytest.mark.parametrize("mark", catalogue._HOST_ONLY)
def test_what_needs_a_program_of_the_host_runs_there_and_nowhere_else(mark: str) -> None:
    layers = {layer.name: layer for layer in catalogue.layers()}
    marked = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if mark in path.read_text()}
    marked -= {"tests/house/test_layers.py"}
    assert marked
    for layer in layers.values():
        here = ("integration", "integration-backup", "faults", "faults-backup")
        if layer.group in ("integration", "cores", "faults") and layer.name not in here:
            # The newest image has a pgBackRest of its own, which is another one than this host's.
            also = ["tests/integration/test_physical.py"] if layer.name == "integration-forky-pg18" else []
            chosen = [name for name in marked if name in layer.command and name not in also]
            assert not chosen, f"{layer.name} runs {chosen}"
            if "tests/integration" in layer.command:
                inside = {name for name in marked if name.startswith("tests/integration/")}
                assert {f"--ignore={name}" for name in inside} <= set(layer.command)


def test_a_server_that_is_unpacked_has_nobodys_rights(tmp_path: pathlib.Path) -> None:
    """Exim's program is root's for whoever starts it, where it is installed."""
    content, taken = tmp_path / "content", tmp_path / "taken"
    for name in ("DEBIAN", "usr/sbin", "usr/lib/closed", "etc", "var/spool"):
        (content / name).mkdir(parents=True)
    (content / "DEBIAN/control").write_text(
        "Package: mta\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: a\n"
    )
    for name, mode in (("usr/sbin/mta", 0o6755), ("usr/lib/closed/module", 0o640), ("etc/mta", 0o644)):
        (content / name).write_text(name)
        (content / name).chmod(mode)
    (content / "usr/lib/closed").chmod(0o750)
    archive = tmp_path / "mta.deb"
    build = ["dpkg-deb", "--root-owner-group", "--build", str(content), str(archive)]
    subprocess.run(build, check=True, capture_output=True)
    taken.mkdir()
    system.take_files(archive, taken)
    modes = {str(path.relative_to(taken)): path.stat().st_mode & 0o7777 for path in taken.rglob("*")}
    assert modes == {
        "usr": 0o755,
        "usr/sbin": 0o755,
        "usr/sbin/mta": 0o755,
        "usr/lib": 0o755,
        "usr/lib/closed": 0o755,
        "usr/lib/closed/module": 0o644,
    }


def test_no_server_is_installed_that_its_package_would_start() -> None:
    """On a machine on which the tests run, neither a server of mail nor one of a directory must begin to serve."""
    assert set(system.WHOLE) <= set(system.UNPACKED)
    needed = {need for layer in catalogue.layers() for need in layer.needs}
    assert {need.package for need in needed - set(system.UNPACKED)}.isdisjoint(
        {name for names, _path in system.UNPACKED.values() for name in names}
    )


def test_every_fault_is_injected_here_once() -> None:
    layers = {layer.name: layer for layer in catalogue.layers()}
    run = [word for name in ("faults", "faults-backup") for word in layers[name].command if word.endswith(".py")]
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert sorted(run) == sorted(there)
    assert "tests/faults/test_offsite.py" in layers["faults-backup"].command
    assert "tests/faults/test_postgres_restore.py" in layers["faults-forky-pg18"].command
    for image in ("deb11-pg13", "deb13-pg17", "forky-pg18"):
        assert "tests/faults/test_postgres_horizon.py" in layers[f"faults-{image}"].command


def test_every_layer_can_be_named() -> None:
    layers = catalogue.layers()
    names = [layer.name for layer in layers]
    assert len(names) == len(set(names))
    assert {layer.after for layer in layers} - {""} <= set(names)
