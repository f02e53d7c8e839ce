# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of pnpm and Yarn. What they do not write like this is refused, and never passed over."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages import plain_yaml
from ansible_collections.steward.maintenance.plugins.module_utils._packages.discover import Places, read_project
from ansible_collections.steward.maintenance.plugins.module_utils._packages.model import Source

PLACES = Places((), (), ("npm",))
MANIFEST = {"dependencies": {"a": "^1.0.0", "alias": "npm:real@^2"}, "devDependencies": {"@s/d": "~3.0.0"}}


def problems(path: pathlib.Path, name: str, text: str, manifest: t.Mapping[str, t.Any] = MANIFEST) -> list[str]:
    (path / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (path / name).write_text(text, encoding="utf-8")
    return read_project(str(path), PLACES).problems


def read(path: pathlib.Path, name: str, text: str, manifest: t.Mapping[str, t.Any] = MANIFEST) -> Source:
    assert not problems(path, name, text, manifest)
    (source,) = read_project(str(path), PLACES).sources
    return source


def pairs(source: Source) -> set[tuple[str, str]]:
    return {(node.name, node.version) for node in source.nodes.values()}


PNPM_9 = """lockfileVersion: '9.0'

settings:
  autoInstallPeers: true

catalogs:
  default:
    '@s/d':
      specifier: ~3.0.0
      version: 3.0.1

importers:

  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.0.0(real@2.1.0)
      alias:
        specifier: npm:real@^2
        version: real@2.1.0
    devDependencies:
      '@s/d':
        specifier: ~3.0.0
        version: 3.0.1

  packages/member:
    dependencies:
      '@s/d':
        specifier: 'catalog:'
        version: 3.0.1
      here:
        specifier: workspace:*
        version: link:../here

packages:

  '@s/d@3.0.1':
    resolution: {integrity: sha512-x==}
    engines: {node: '>=18'}
    deprecated: >-
      Use something else:
      it is old

  a@1.0.0:
    resolution: {integrity: sha512-x==}
    peerDependencies:
      real: ^2
    bundledDependencies:
      - inner

  b@1.5.0:
    resolution: {integrity: sha512-x==}
    cpu: [x64]

  from-git@https://codeload.example.org/x/tar.gz/abc:
    resolution: {tarball: https://codeload.example.org/x/tar.gz/abc}
    version: 1.0.0

  local@file:../local:
    resolution: {directory: ../local, type: directory}

  real@2.1.0:
    resolution: {integrity: sha512-x==}

snapshots:

  '@s/d@3.0.1': {}

  a@1.0.0(real@2.1.0):
    dependencies:
      b: 1.5.0
      from-git: https://codeload.example.org/x/tar.gz/abc
      real: 2.1.0
    transitivePeerDependencies:
      - supports-color

  b@1.5.0: {}

  from-git@https://codeload.example.org/x/tar.gz/abc: {}

  local@file:../local: {}

  real@2.1.0: {}
"""
PNPM_6 = """lockfileVersion: '6.0'

dependencies:
  a:
    specifier: ^1.0.0
    version: 1.0.0(real@2.1.0)
  alias:
    specifier: npm:real@^2
    version: /real@2.1.0

devDependencies:
  '@s/d':
    specifier: ~3.0.0
    version: 3.0.1

packages:

  /@s/d@3.0.1:
    resolution: {integrity: sha512-x==}
    dev: true

  /a@1.0.0(real@2.1.0):
    resolution: {integrity: sha512-x==}
    dependencies:
      b: 1.5.0
    dev: false

  /b@1.5.0:
    resolution: {integrity: sha512-x==}
    dev: false

  /real@2.1.0:
    resolution: {integrity: sha512-x==}
    dev: false
"""


def test_a_lock_of_pnpm_9(tmp_path: pathlib.Path) -> None:
    source = read(tmp_path, "pnpm-lock.yaml", PNPM_9)
    assert pairs(source) == {
        ("@s/d", "3.0.1"), ("a", "1.0.0"), ("b", "1.5.0"), ("real", "2.1.0"), ("from-git", ""), ("local", ""),
    }  # fmt: skip
    assert source.direct == {"a@1.0.0": "^1.0.0", "real@2.1.0": "npm:real@^2", "@s/d@3.0.1": "~3.0.0"}
    assert source.paths({"b@1.5.0"}, 3) == [["a 1.0.0", "b 1.5.0"]]
    assert [node.name for node in source.nodes.values() if node.problem] == ["from-git"]
    assert [node.name for node in source.nodes.values() if node.own] == ["local"]
    assert not source.stale


def test_a_lock_of_pnpm_6(tmp_path: pathlib.Path) -> None:
    source = read(tmp_path, "pnpm-lock.yaml", PNPM_6)
    assert pairs(source) == {("@s/d", "3.0.1"), ("a", "1.0.0"), ("b", "1.5.0"), ("real", "2.1.0")}
    assert source.paths({"b@1.5.0"}, 3) == [["a 1.0.0", "b 1.5.0"]]
    assert source.direct["real@2.1.0"] == "npm:real@^2"


def test_an_older_lock_of_pnpm(tmp_path: pathlib.Path) -> None:
    manifest = {"dependencies": {"a": "^1.2.0", "new": "1"}, "devDependencies": {"@s/d": "~3.0.0"}}
    assert read(tmp_path, "pnpm-lock.yaml", PNPM_9, manifest).stale == ["a", "new"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lockfileVersion: 5.4\n",
        "lockfileVersion: '10.0'\n",
        PNPM_9[: PNPM_9.index("\npackages:")],
        PNPM_9[: PNPM_9.index("  b@1.5.0:")],
        PNPM_9.replace("  b@1.5.0:\n    resolution", "  b@1.5.0\n    resolution", 1),
        PNPM_9.replace("  b@1.5.0:\n    resolution", "  ? b@1.5.0\n  :\n    resolution", 1),
        PNPM_9.replace("      b: 1.5.0", "   b: 1.5.0"),
        "<<<<<<< HEAD\n" + PNPM_9,
    ],
)
def test_what_is_no_lock_of_pnpm(tmp_path: pathlib.Path, text: str) -> None:
    assert len(problems(tmp_path, "pnpm-lock.yaml", text)) == 1


YARN_1 = """# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.
# yarn lockfile v1


"@s/d@~3.0.0":
  version "3.0.1"
  resolved "https://registry.example.org/@s/d/-/d-3.0.1.tgz#0"
  integrity sha512-x==

a@^1.0.0, a@^1.0.1:
  version "1.0.5"
  resolved "https://registry.example.org/a/-/a-1.0.5.tgz#0"
  dependencies:
    b "^1.5.0"
    from-git "x/y#v1"
  optionalDependencies:
    "@s/d" "~3.0.0"

"alias@npm:real@^2":
  version "2.1.0"
  resolved "https://registry.example.org/real/-/real-2.1.0.tgz#0"

b@^1.5.0:
  version "1.5.0"

from-git@x/y#v1:
  version "1.0.0"
  resolved "https://codeload.example.org/x/y/tar.gz/abc"

"local@file:../local":
  version "0.0.0"
"""
BERRY = """# This file is generated by running "yarn install" inside your project.
# Manual changes might be lost - proceed with caution!

__metadata:
  version: 8
  cacheKey: 10c0

"@s/d@npm:~3.0.0":
  version: 3.0.1
  resolution: "@s/d@npm:3.0.1"
  checksum: 10c0/0
  languageName: node
  linkType: hard

"a@npm:^1.0.0, a@npm:^1.0.1":
  version: 1.0.5
  resolution: "a@npm:1.0.5"
  dependencies:
    b: "npm:^1.5.0"
  peerDependencies:
    real: ^2
  bin:
    a: ./bin/a.js
  checksum: 10c0/0
  conditions: os=linux & cpu=x64
  languageName: node
  linkType: hard

"alias@npm:real@^2":
  version: 2.1.0
  resolution: "real@npm:2.1.0"
  languageName: node
  linkType: hard

"b@npm:^1.5.0":
  version: 1.5.0
  resolution: "b@npm:1.5.0"
  languageName: node
  linkType: hard

"from-git@x/y":
  version: 1.0.0
  resolution: "from-git@https://github.com/x/y.git#commit=abc"
  languageName: node
  linkType: hard

"shop@workspace:.":
  version: 0.0.0-use.local
  resolution: "shop@workspace:."
  dependencies:
    "@s/d": "npm:~3.0.0"
    a: "npm:^1.0.0"
    alias: "npm:real@^2"
  languageName: unknown
  linkType: soft

"typescript@patch:typescript@npm%3A^5.0.0#optional!builtin<compat/typescript>":
  version: 5.4.0
  resolution: "typescript@patch:typescript@npm%3A5.4.0#optional!builtin<compat/typescript>::version=5.4.0&hash=0"
  languageName: node
  linkType: hard
"""


def test_a_lock_of_yarn_1(tmp_path: pathlib.Path) -> None:
    source = read(tmp_path, "yarn.lock", YARN_1)
    assert pairs(source) == {
        ("@s/d", "3.0.1"), ("a", "1.0.5"), ("real", "2.1.0"), ("b", "1.5.0"), ("from-git", ""), ("local", "0.0.0"),
    }  # fmt: skip
    assert source.direct == {"a@1.0.5": "^1.0.0", "real@2.1.0": "npm:real@^2", "@s/d@3.0.1": "~3.0.0"}
    assert source.paths({"b@1.5.0"}, 3) == [["a 1.0.5", "b 1.5.0"]]
    assert [node.name for node in source.nodes.values() if node.problem] == ["from-git"]
    assert [node.name for node in source.nodes.values() if node.own] == ["local"]


def test_a_lock_of_yarn_4(tmp_path: pathlib.Path) -> None:
    source = read(tmp_path, "yarn.lock", BERRY)
    assert pairs(source) == {
        ("@s/d", "3.0.1"), ("a", "1.0.5"), ("real", "2.1.0"), ("b", "1.5.0"), ("from-git", ""), ("shop", ""),
        ("typescript", "5.4.0"),
    }  # fmt: skip
    assert source.direct["a@npm:1.0.5"] == "^1.0.0"
    assert source.paths({"b@npm:1.5.0"}, 3) == [["a 1.0.5", "b 1.5.0"]]
    assert [node.name for node in source.nodes.values() if node.problem] == ["from-git"]
    assert [node.name for node in source.nodes.values() if node.own] == ["shop"]
    assert not source.stale


@pytest.mark.parametrize("text", [YARN_1, BERRY])
def test_an_older_lock_of_yarn(tmp_path: pathlib.Path, text: str) -> None:
    assert read(tmp_path, "yarn.lock", text, {"dependencies": {"a": "^2.0.0", "here": "link:../here"}}).stale == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a@^1:\n  version 1\n",
        YARN_1.replace('  version "1.5.0"\n', ""),
        YARN_1.replace('b@^1.5.0:\n  version "1.5.0"', 'b@^1.5.0\n  version "1.5.0"'),
        YARN_1.replace('    b "^1.5.0"', '      b "^1.5.0"'),
        "<<<<<<< HEAD\n" + YARN_1,
        BERRY.replace("  version: 1.5.0\n", ""),
        BERRY.replace('  resolution: "b@npm:1.5.0"\n', ""),
        BERRY.replace('"b@npm:^1.5.0":', '? "b@npm:^1.5.0"\n:'),
        BERRY.replace('"b@npm:^1.5.0":', '"a@npm:^1.0.0, a@npm:^1.0.1":'),
    ],
)
def test_what_is_no_lock_of_yarn(tmp_path: pathlib.Path, text: str) -> None:
    assert len(problems(tmp_path, "yarn.lock", text)) == 1


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: b\n'c d': 'it''s'\n\"e\": \"\\u0041\"\n", {"a": "b", "c d": "it's", "e": "A"}),
        ("a:\n  b:\n    c: d\n  e: f\ng: {}\n", {"a": {"b": {"c": "d"}, "e": "f"}, "g": {}}),
        ("a:\n  - b\n  - 'c'\nd: e\n", {"a": {"-": ["b", "c"]}, "d": "e"}),
        ("a:\n- b\nd: e\n", {"a": {"-": ["b"]}, "d": "e"}),
        ("a: |-\n  b: c\n\n  d\ne: f\n", {"a": "", "e": "f"}),
        ("a:b@c: d\n", {"a:b@c": "d"}),
    ],
)
def test_the_little_of_yaml(text: str, tree: dict[str, t.Any]) -> None:
    assert plain_yaml.read(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        *("a\n", "a: b\n  c: d\n", "a: b\na: c\n", "a:\n    b: c\n  d: e\n", "&x a: b\n", "a: &x b\n", "a: 'b\n"),
        *("{a: b}\n", '"a: b\n', "\ta: b\n"),
    ],
)
def test_what_is_not_of_it(text: str) -> None:
    with pytest.raises(plain_yaml.YamlError):
        plain_yaml.read(text)
