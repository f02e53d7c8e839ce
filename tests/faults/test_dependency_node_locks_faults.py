# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of pnpm and Yarn that cannot be updated, or not without more than that: refused, and all is as it was."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from support.node_locks import ASKED, LOCKS, TEST, Node, newer, old
from support.registries import Registries

pytestmark = pytest.mark.packages


@pytest.fixture(params=sorted(LOCKS))
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def registries() -> t.Iterator[Registries]:
    with Registries(old()) as registries:
        yield registries


def project_of(place: pathlib.Path, registries: Registries, tool: str, **manifest: t.Any) -> Node:
    made = Node(place, registries, tool, **manifest)
    registries.catalogue["node"].update(newer())
    return made


def refused(shop: Node, **more: t.Any) -> str:
    """Why a step did not take the update; nothing of the project has changed."""
    before = shop.fingerprint()
    answer = shop.update(test=TEST, **more)
    assert (answer["verdict"], answer["changed"], answer["project"]["status"]) == ("failed", False, "failed"), answer
    assert shop.fingerprint() == before
    return f"{answer['project']['step']}: {answer['project']['reason']}"


def altered(shop: Node, old: str, new: str, file: str = "") -> None:
    path = shop.path / (file or shop.lock)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    shop.commit("altered")


def test_a_tool_that_is_not_there_is_named_with_what_to_install(
    tmp_path: pathlib.Path, registries: Registries, tool: str
) -> None:
    shop = project_of(tmp_path, registries, tool)
    wanted = {"pnpm": "install pnpm 9 or newer", "yarn": "install yarn 1.22, below 2"}[tool]
    told = f"{shop.lock} is written by {tool}, and /nonexistent/{tool} is not installed here, or not in PATH"
    assert refused(shop, **{tool: f"/nonexistent/{tool}"}) == f"resolve: {told}: {wanted}"


@pytest.mark.parametrize(("tool", "version"), [("pnpm", "8.15.9"), ("yarn", "1.21.1"), ("yarn", "4.5.0")])
def test_a_tool_of_another_version_is_named_before_it_writes(
    tmp_path: pathlib.Path, registries: Registries, tool: str, version: str
) -> None:
    """It is a script that tells a version and would be seen to write: a real one of each age is not at hand."""
    shop = project_of(tmp_path, registries, tool)
    program = tmp_path / f"old-{tool}"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\ntouch {tmp_path}/written\n', encoding="utf-8"
    )
    program.chmod(0o755)
    assert f"and {program} is {version}: install {tool}" in refused(shop, **{tool: str(program)})
    assert not (tmp_path / "written").exists()


def test_a_registry_that_gives_no_archive_stops_it(tmp_path: pathlib.Path, registries: Registries, tool: str) -> None:
    shop = project_of(tmp_path, registries, tool)
    registries.faults["tarball"] = "500"
    step = {"pnpm": "install: pnpm install cannot install", "yarn": "resolve: yarn cannot write the lock"}[tool]
    assert refused(shop).startswith(step)


def test_an_archive_that_is_not_what_was_locked_stops_it(
    tmp_path: pathlib.Path, registries: Registries, tool: str
) -> None:
    shop = project_of(tmp_path, registries, tool)
    registries.faults["tarball"] = "other"
    assert "cannot" in refused(shop)


def test_a_lock_that_the_tool_would_change_elsewhere_is_refused(
    tmp_path: pathlib.Path, registries: Registries, tool: str
) -> None:
    shop = project_of(tmp_path, registries, tool)
    if tool == "pnpm":
        altered(shop, "autoInstallPeers: true", "autoInstallPeers: false")
        expected = "resolve: pnpm would change settings in its lock, which nothing of this update needs"
    else:
        # A version that its range does not allow, as after a merge by hand: Yarn resolves it anew.
        altered(shop, 'depd@^1.0.0:\n  version "1.0.0"', 'depd@^1.0.0:\n  version "0.9.0"')
        expected = "resolve: yarn would move depd 0.9.0 too, which nothing of this update needs"
    assert refused(shop) == expected


def test_workspaces_and_what_is_overridden_are_refused(
    tmp_path: pathlib.Path, registries: Registries, tool: str
) -> None:
    manifest: dict[str, t.Any] = {"pnpm": {"pnpm": {"overrides": {"qs": "6.0.0"}}},
                                  "yarn": {"resolutions": {"**/qs": "6.0.0"}}}[tool]  # fmt: skip
    shop = project_of(tmp_path, registries, tool, **manifest)
    assert ("overrides qs" if tool == "pnpm" else "has a resolution for qs") in refused(shop)
    content = {"name": "shop", "version": "1.0.0", "private": True, "dependencies": ASKED, "workspaces": ["inner"]}
    (shop.path / "inner").mkdir()
    (shop.path / "inner" / "package.json").write_text('{"name": "inner", "version": "1.0.0"}', encoding="utf-8")
    if tool == "pnpm":
        (shop.path / "pnpm-workspace.yaml").write_text("packages: ['inner']\n", encoding="utf-8")
    (shop.path / "package.json").write_text(json.dumps(content), encoding="utf-8")
    shop.write_lock()
    shop.commit("a workspace")
    # What is newer is locked now; only a known vulnerability asks for a move.
    (one,) = [one for one in registries.catalogue["advisories"] if one["package"] == "qs"]
    one.update(versions=["6.0.0", "6.0.5", "6.1.0"], range="<6.2.0")
    registries.catalogue["node"]["qs"]["6.2.0"] = {}
    assert "workspaces are not updated" in refused(shop)


def test_what_code_or_another_file_of_the_project_decides_is_refused(
    tmp_path: pathlib.Path, registries: Registries
) -> None:
    shop = project_of(tmp_path, registries, "pnpm")
    (shop.path / "pnpm-workspace.yaml").write_text("overrides:\n  ms: 1.0.0\n", encoding="utf-8")
    shop.commit("overrides elsewhere")
    assert "pnpm-workspace.yaml overrides packages" in refused(shop)
    (shop.path / "pnpm-workspace.yaml").unlink()
    (shop.path / ".pnpmfile.cjs").write_text("module.exports = {}\n", encoding="utf-8")
    shop.commit("code")
    assert "code of the project says what pnpm resolves (.pnpmfile.cjs)" in refused(shop)


def test_a_lock_of_another_age_is_refused_by_its_version(tmp_path: pathlib.Path, registries: Registries) -> None:
    shop = project_of(tmp_path, registries, "pnpm")
    text = (shop.path / shop.lock).read_text(encoding="utf-8")
    packages, snapshots = text.partition("\npackages:")[2].split("\nsnapshots:")
    entries = re.sub(r"\n  (\S+)@([\d.]+):", r"\n  /\1@\2:", packages)
    entries = entries.replace("/express@4.0.0:", "/express@4.0.0:\n    dependencies:\n      qs: 6.0.0")
    assert "express@4.0.0" in snapshots
    head = text.partition("\npackages:")[0].replace("lockfileVersion: '9.0'", "lockfileVersion: '6.0'")
    (shop.path / shop.lock).write_text(f"{head}\npackages:{entries}", encoding="utf-8")
    shop.commit("as pnpm 8 wrote it")
    assert "it is of lockfileVersion 6.0, which pnpm 9 and newer write anew" in refused(shop)


def test_a_lock_of_yarn_2_and_newer_is_refused_with_what_would_have_to_move(
    tmp_path: pathlib.Path, registries: Registries
) -> None:
    shop = project_of(tmp_path, registries, "yarn")
    entries = {"depd": ("^1.0.0", "1.0.0", ""), "qs": ("^6.0.0", "6.0.0", ""),
               "express": ("^4.0.0", "4.0.0", '  dependencies:\n    qs: "npm:^6.0.0"\n')}  # fmt: skip
    asked = "".join(f'    {name}: "npm:{wanted}"\n' for name, wanted in ASKED.items())
    text = "__metadata:\n  version: 8\n\n"
    for name, (wanted, version, needs) in entries.items():
        text += f'"{name}@npm:{wanted}":\n  version: {version}\n  resolution: "{name}@npm:{version}"\n{needs}\n'
    text += (
        f'"shop@workspace:.":\n  version: 0.0.0-use.local\n  resolution: "shop@workspace:."\n  dependencies:\n{asked}'
    )
    (shop.path / "yarn.lock").write_text(text, encoding="utf-8")
    shop.commit("as Yarn 4 writes it")
    told = refused(shop)
    assert "it is of Yarn 2 or newer, which this module does not run: have yarn do qs 6.0.0 -> 6.0.5" in told
