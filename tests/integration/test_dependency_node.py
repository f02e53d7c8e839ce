# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of pnpm and Yarn, asked for by npm, or by OSV where npm is not there."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from support.dependencies import audit_here, by_id, vulnerable
from support.registries import Registries

pytestmark = pytest.mark.packages

PNPM_LOCK = """lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      express:
        specifier: ^4.0.0
        version: 4.0.0

packages:

  express@4.0.0:
    resolution: {integrity: sha512-x}

  qs@6.0.0:
    resolution: {integrity: sha512-x}

snapshots:

  express@4.0.0:
    dependencies:
      qs: 6.0.0

  qs@6.0.0: {}
"""
YARN_LOCK = """# yarn lockfile v1

express@^4.0.0:
  version "4.0.0"
  dependencies:
    qs "^6.0.0"

qs@^6.0.0:
  version "6.0.0"
"""


@pytest.mark.parametrize("kind", ["pnpm", "yarn"])
def test_locks_of_pnpm_and_yarn_are_audited_by_npm(tmp_path: pathlib.Path, kind: str) -> None:
    project = tmp_path / "shop"
    project.mkdir()
    manifest = {"name": "shop", "version": "1.0.0", "dependencies": {"express": "^4.0.0"}}
    (project / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    lock, text = {"pnpm": ("pnpm-lock.yaml", PNPM_LOCK), "yarn": ("yarn.lock", YARN_LOCK)}[kind]
    (project / lock).write_text(text, encoding="utf-8")
    with Registries(vulnerable()) as registries:
        (project / ".npmrc").write_text(f"registry={registries.npm_url}\n", encoding="utf-8")
        answer = audit_here(tmp_path, project, osv_url=registries.osv_url, ecosystems=["npm"])
    assert (answer["verdict"], answer["coverage"]) == ("findings", {"looked": 1, "of": 1})
    assert by_id(answer, "CVE-2026-3")["projects"][0]["paths"] == [["express 4.0.0", "qs 6.0.0"]]
    (express,) = answer["updates"]
    assert (express["package"], express["wanted"], express["latest"]) == ("express", "4.1.0", "5.0.0")


@pytest.mark.parametrize("fault", ["", "404", "500", "silent"])
def test_without_npm_osv_is_asked_for_node_packages(tmp_path: pathlib.Path, fault: str) -> None:
    """As on a host with pnpm or Yarn alone. An advisory may be about several packages, each with fixes of its own."""
    project = tmp_path / "shop"
    project.mkdir()
    manifest = {"name": "shop", "version": "1.0.0", "dependencies": {"express": "^4.0.0"}}
    (project / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (project / "pnpm-lock.yaml").write_text(PNPM_LOCK, encoding="utf-8")
    catalogue = vulnerable()
    (qs,) = [one for one in catalogue["advisories"] if one["id"] == "GHSA-aaaa-bbbb-cccc"]
    qs.update(fixed=["6.0.4"], also={"other": ["0.0.1"]})
    with Registries(catalogue) as registries:
        registries.faults["batch"] = fault
        given: dict[str, t.Any] = {"osv_url": registries.osv_url, "ecosystems": ["npm"], "npm": "npm-that-is-not-here"}
        answer = audit_here(tmp_path, project, updates=False, **given)
        newer = audit_here(tmp_path, project, **given)
    if fault in ("500", "silent"):
        assert (answer["verdict"], answer["coverage"]["looked"]) == ("unknown", 0)
        assert "OSV cannot be asked instead" in answer["reason"]
        return
    assert (answer["verdict"], answer["coverage"]) == ("findings", {"looked": 1, "of": 1})
    one = by_id(answer, "CVE-2026-3")
    assert (one["severity"], one["fix"], one["projects"][0]["paths"]) == (
        "medium", "6.0.4", [["express 4.0.0", "qs 6.0.0"]])  # fmt: skip
    assert (newer["verdict"], newer["figures"]["vulnerabilities"]) == ("unknown", 1), "newer versions are npm's to tell"
