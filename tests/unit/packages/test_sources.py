# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What locks, files of requirements and environments tell, and what they do not tell."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages import resolving
from ansible_collections.steward.maintenance.plugins.module_utils._packages.discover import Places, read_project
from ansible_collections.steward.maintenance.plugins.module_utils._packages.judging import differences
from ansible_collections.steward.maintenance.plugins.module_utils._packages.model import Project, Source
from ansible_collections.steward.maintenance.plugins.module_utils._packages.resolving import open_sources, settle

PLACES = Places(("requirements*.txt",), (".venv",), ("pypi", "npm"))
HASH = f"--hash=sha256:{'0' * 64}"


def read(path: pathlib.Path, **files: str) -> Project:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")
    return read_project(str(path), PLACES)


def only(project: Project) -> Source:
    assert not project.problems
    assert len(project.sources) == 1
    return project.sources[0]


def versions(source: Source) -> dict[str, str]:
    return {node.name: node.version for node in source.nodes.values()}


def install(path: pathlib.Path, *packages: str, needs: t.Mapping[str, t.Sequence[str]] | None = None) -> None:
    """A virtual environment as far as it is looked at."""
    library = path / ".venv" / "lib" / "python3.11" / "site-packages"
    library.mkdir(parents=True)
    (path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n", encoding="utf-8")
    for package in packages:
        name, version = package.split("==")
        place = library / f"{name.replace('-', '_')}-{version}.dist-info"
        place.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {need}" for need in (needs or {}).get(name, ())]
        (place / "METADATA").write_text("\n".join(lines) + "\n\nText: not a field\n", encoding="utf-8")


# -- files of requirements -------------------------------------------------------------------------------------------


def test_a_file_with_hashes_is_whole_and_tells_who_needs_what(tmp_path: pathlib.Path) -> None:
    text = f"""# made by pip-compile
--index-url https://user:secret@index.example.org/simple
Flask==2.0.1 \\
    {HASH} \\
    {HASH}
    # via -r requirements.in
jinja2==3.0 {HASH}
    # via
    #   flask
markupsafe==2.0 ; python_version >= "3.8" {HASH}
    # via jinja2
"""
    source = only(read(tmp_path, **{"requirements.txt": text}))
    assert source.closed
    assert versions(source) == {"flask": "2.0.1", "jinja2": "3.0", "markupsafe": "2.0"}
    assert list(source.direct) == ["flask==2.0.1"]
    assert source.paths({"markupsafe==2.0"}, 3) == [["flask 2.0.1", "jinja2 3.0", "markupsafe 2.0"]]
    assert source.indexes == ("https://user:secret@index.example.org/simple",)


def test_a_file_without_hashes_is_not_whole(tmp_path: pathlib.Path) -> None:
    project = read(tmp_path, **{"requirements.txt": "flask==2.0.1\n"})
    assert not only(project).closed
    assert open_sources(project) == project.sources


def test_files_include_others_only_once(tmp_path: pathlib.Path) -> None:
    files = {
        "requirements.txt": f"-r base/more.txt\nflask==2.0.1 {HASH}\n-c limits.txt\n",
        "base/more.txt": f"--requirement ../requirements.txt\nclick==8.0 {HASH}\n",
        "limits.txt": "never-installed==1.0\n",
    }
    assert versions(only(read(tmp_path, **files))) == {"flask": "2.0.1", "click": "8.0"}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("flask", "flask is not pinned"),
        ("flask>=2,<3", "flask is not pinned"),
        ("flask==2.*", "flask is not pinned"),
        ("git+https://git.example.org/x.git@v1#egg=flask", "comes from an address"),
        ("flask @ https://files.example.org/flask-1.0.zip", "flask comes from an address"),
        ("-e git+ssh://git@git.example.org/x.git#egg=flask", "flask comes from an address"),
        ("https://token:secret@files.example.org/flask-1.0.zip", "comes from an address"),
    ],
)
def test_what_has_no_version_is_told(tmp_path: pathlib.Path, line: str, named: str) -> None:
    source = only(read(tmp_path, **{"requirements.txt": f"{line}\n"}))
    problems = [node.problem for node in source.nodes.values()]
    assert [named in problem for problem in problems] == [True]
    assert "secret" not in problems[0]


@pytest.mark.parametrize("line", ["-e .", "--editable ./packages/core", "./vendored"])
def test_what_lies_here_is_our_own(tmp_path: pathlib.Path, line: str) -> None:
    source = only(read(tmp_path, **{"requirements.txt": f"{line}\n"}))
    assert [(node.own, node.problem) for node in source.nodes.values()] == [(True, "")]


@pytest.mark.parametrize(
    "line",
    ["./wheels/Flask-2.0.1-py3-none-any.whl", "flask @ https://files.example.org/flask-2.0.1-1-py3-none-any.whl"],
)
def test_a_wheel_tells_its_version_by_its_name(tmp_path: pathlib.Path, line: str) -> None:
    source = only(read(tmp_path, **{"requirements.txt": f"{line}\n"}))
    assert versions(source) == {"flask": "2.0.1"}
    assert len(source.asked) == 1


def test_an_archive_does_not(tmp_path: pathlib.Path) -> None:
    source = only(read(tmp_path, **{"requirements.txt": "./vendored/flask-2.0.tar.gz\n"}))
    assert ["is an archive" in node.problem for node in source.nodes.values()] == [True]


@pytest.mark.parametrize("text", ["flask===\n", "flask == \n", "a b c\n"])
def test_a_line_that_cannot_be_read_is_a_problem_of_the_project(tmp_path: pathlib.Path, text: str) -> None:
    project = read(tmp_path, **{"requirements.txt": text})
    assert not project.sources
    assert ["cannot be read" in problem for problem in project.problems] == [True]


def test_hashes_for_some_lines_only_are_a_problem(tmp_path: pathlib.Path) -> None:
    project = read(tmp_path, **{"requirements.txt": f"flask==2.0 {HASH}\nclick==8.0\n"})
    assert "pip would refuse" in project.all_problems()[0]


def test_a_missing_include_is_a_problem(tmp_path: pathlib.Path) -> None:
    project = read(tmp_path, **{"requirements.txt": "-r gone.txt\n"})
    assert "gone.txt cannot be read" in project.problems[0]


def test_only_names_and_ranges_are_given_to_pip(tmp_path: pathlib.Path) -> None:
    """Whatever else a file holds would have pip build something, and so run code of it."""
    index = "--index-url https://user:secret@x.example/simple"
    text = f"--no-binary :all:\n{index}\nflask[async]>=2 ; python_version > '3'\n"
    files = {"requirements.txt": f"{text}-c limits.txt\ngit+https://x.example/y.git#egg=y\n", "limits.txt": "click<9\n"}
    source = only(read(tmp_path, **files))
    assert source.asked == ["flask[async]>=2 ; python_version > '3'"]
    assert source.limits == [str(tmp_path / "limits.txt")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    written = pathlib.Path(resolving._write(source, str(scratch)))
    assert written.read_text(encoding="utf-8").splitlines() == [
        "--index-url https://user:secret@x.example/simple",
        f"--constraint {tmp_path / 'limits.txt'}",
        "flask[async]>=2 ; python_version > '3'",
    ]
    assert written.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", ["-e .", "./vendored"])
def test_a_directory_is_never_built_to_learn_what_it_needs(tmp_path: pathlib.Path, line: str) -> None:
    source = only(read(tmp_path, **{"requirements.txt": f"flask>=2\n{line}\n"}))
    answer = resolving.resolve(source, "/nonexistent/python", (1, 1), str(tmp_path / "scratch"))
    assert isinstance(answer, str)
    assert "could only be told by running its code" in answer


# -- environments ----------------------------------------------------------------------------------------------------


def test_an_environment_tells_what_is_installed(tmp_path: pathlib.Path) -> None:
    needs = {"flask": ["jinja2>=3", "dotenv ; extra == 'dotenv'"], "jinja2": ["MarkupSafe"]}
    install(tmp_path, "flask==2.0.1", "jinja2==3.0", "markupsafe==2.0", needs=needs)
    source = only(read(tmp_path))
    assert (source.kind, source.language) == ("environment", "3.11.2")
    assert list(source.direct) == ["flask==2.0.1"]
    assert source.paths({"markupsafe==2.0"}, 1) == [["flask 2.0.1", "jinja2 3.0", "markupsafe 2.0"]]


def test_an_interrupted_installation_is_told(tmp_path: pathlib.Path) -> None:
    install(tmp_path, "flask==2.0.1", "jinja2==3.0")
    library = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    (library / "flask-2.0.1.dist-info" / "METADATA").unlink()
    (library / "jinja2-3.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n", encoding="utf-8")
    problems = read(tmp_path).all_problems()
    assert len(problems) == 2
    assert "flask-2.0.1.dist-info" in problems[0]
    assert "interrupted" in problems[1]


def test_an_environment_that_sees_the_system_is_not_looked_at_wholly(tmp_path: pathlib.Path) -> None:
    install(tmp_path, "flask==2.0.1")
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("include-system-site-packages = true\n", encoding="utf-8")
    assert "packages of the system" in read(tmp_path).all_problems()[0]


def test_an_environment_makes_a_file_without_hashes_whole(tmp_path: pathlib.Path) -> None:
    install(tmp_path, "flask==2.0.1", "jinja2==3.0")
    project = read(tmp_path, **{"requirements.txt": "flask>=2\njinja2==3.0\n"})
    assert not open_sources(project)
    settle(project)
    assert not project.all_problems()
    assert versions(project.sources[0]) == {"flask": "2.0.1", "jinja2": "3.0"}


def test_a_directory_that_is_installed_is_known(tmp_path: pathlib.Path) -> None:
    install(tmp_path, "flask==2.0.1", "shop==1.0")
    project = read(tmp_path, **{"requirements.txt": "flask\n-e .\n"})
    assert open_sources(project)
    place = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "shop-1.0.dist-info" / "direct_url.json"
    place.write_text(json.dumps({"url": tmp_path.as_uri(), "dir_info": {"editable": True}}), encoding="utf-8")
    assert not open_sources(read_project(str(tmp_path), PLACES))


@pytest.mark.parametrize("text", ["flask==2.0.2\n", "flask>=3\n", "flask==2.0.1\nclick\n"])
def test_an_environment_that_lacks_something_does_not(tmp_path: pathlib.Path, text: str) -> None:
    install(tmp_path, "flask==2.0.1", "jinja2==3.0")
    assert len(open_sources(read(tmp_path, **{"requirements.txt": text}))) == 1


def test_other_versions_than_the_lock_are_drift(tmp_path: pathlib.Path) -> None:
    install(tmp_path, "flask==2.0.2", "jinja2==3.0.0")
    project = read(tmp_path, **{"requirements.txt": f"flask==2.0.1 {HASH}\njinja2==3.0 {HASH}\nclick==8.0 {HASH}\n"})
    findings = differences(project)
    assert [(one.id, one.value) for one in findings] == [("dependency-drift", 1)]
    assert "flask 2.0.2 instead of 2.0.1" in findings[0].message


# -- locks of npm ----------------------------------------------------------------------------------------------------

MANIFEST = {"name": "shop", "dependencies": {"a": "^1.0.0", "alias": "npm:real@^2"}, "devDependencies": {"d": "1.x"}}


def lock(packages: t.Mapping[str, t.Any], root: t.Mapping[str, t.Any] = MANIFEST) -> str:
    return json.dumps({"lockfileVersion": 3, "packages": {"": root, **packages}})


def test_a_lock_of_npm(tmp_path: pathlib.Path) -> None:
    packages = {
        "node_modules/a": {"version": "1.0.0", "dependencies": {"b": "^1"}},
        "node_modules/a/node_modules/b": {"version": "1.5.0"},
        "node_modules/b": {"version": "2.0.0"},
        "node_modules/alias": {"name": "real", "version": "2.1.0", "peerDependencies": {"b": "2"}},
        "node_modules/d": {"version": "1.0.0", "dev": True},
        "node_modules/member": {"link": True, "resolved": "packages/member"},
        "packages/member": {"name": "member", "version": "1.0.0", "devDependencies": {"b": "^2.0.0"}},
    }
    project = read(tmp_path, **{"package.json": json.dumps(MANIFEST), "package-lock.json": lock(packages)})
    source = only(project)
    assert not source.stale
    assert source.direct["node_modules/alias"] == "npm:real@^2"
    assert source.paths({"node_modules/a/node_modules/b"}, 3) == [["a 1.0.0", "b 1.5.0"]]
    assert ["real 2.1.0", "b 2.0.0"] in source.paths({"node_modules/b"}, 3)
    assert source.direct["node_modules/b"] == "^2.0.0"
    assert [node.name for node in source.nodes.values() if node.own] == ["member"]


def test_a_lock_of_npm_6(tmp_path: pathlib.Path) -> None:
    content = {
        "lockfileVersion": 1,
        "dependencies": {
            "a": {"version": "1.0.0", "requires": {"b": "^1"}, "dependencies": {"b": {"version": "1.5.0"}}},
            "b": {"version": "2.0.0"},
            "alias": {"version": "npm:real@2.1.0"},
            "d": {"version": "git+ssh://git@git.example.org/d.git#abc"},
        },
    }
    source = only(read(tmp_path, **{"package.json": json.dumps(MANIFEST), "package-lock.json": json.dumps(content)}))
    assert source.paths({"node_modules/a/node_modules/b"}, 3) == [["a 1.0.0", "b 1.5.0"]]
    assert {(node.name, node.version) for node in source.nodes.values()} >= {("real", "2.1.0"), ("b", "2.0.0")}
    assert [node.problem for node in source.nodes.values() if node.problem] == [
        "d comes from a repository, so its version is not known to any registry"
    ]


def test_an_older_lock_and_a_hidden_lock_that_differs(tmp_path: pathlib.Path) -> None:
    packages = {"node_modules/a": {"version": "1.0.0"}, "node_modules/d": {"version": "1.0.0"}}
    hidden = {"lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1.0.1"}}}
    files = {
        "package.json": json.dumps(MANIFEST),
        "package-lock.json": lock(packages, {"dependencies": {"a": "^1.0.0"}}),
        "node_modules/.package-lock.json": json.dumps(hidden),
    }
    project = read(tmp_path, **files)
    assert [one.id for one in differences(project)] == ["dependency-lock-stale", "dependency-drift"]
    assert "a 1.0.1 instead of 1.0.0" in differences(project)[1].message


@pytest.mark.parametrize(
    "text", ["", "{", '{"lockfileVersion": 3}', '{"packages": {"node_modules/a": 1}}', "[]", '{"a": 1}' * 2, "null"]
)
def test_no_lock_of_npm(tmp_path: pathlib.Path, text: str) -> None:
    assert read(tmp_path, **{"package-lock.json": text}).problems


@pytest.mark.parametrize("name", ["bun.lock", "bun.lockb", "Pipfile.lock", "pdm.lock"])
def test_locks_that_are_not_read_are_told(tmp_path: pathlib.Path, name: str) -> None:
    assert "is not read" in read(tmp_path, **{"package.json": "{}", name: "x"}).problems[0]


@pytest.mark.parametrize("files", [{}, {"README.md": "x"}])
def test_a_directory_without_anything_is_not_clean(tmp_path: pathlib.Path, files: dict[str, str]) -> None:
    assert "nothing in it tells" in read(tmp_path, **files).problems[0]


def test_a_directory_that_is_not_there_is_not_clean(tmp_path: pathlib.Path) -> None:
    assert "no such directory" in read_project(str(tmp_path / "gone"), PLACES).problems[0]


def test_package_json_without_a_lock(tmp_path: pathlib.Path) -> None:
    assert "there is no lock" in read(tmp_path, **{"package.json": json.dumps(MANIFEST)}).problems[0]
