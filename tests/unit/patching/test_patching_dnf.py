# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement of what dnf and rpm say: versions, advisories, what keeps a version out, what failed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t
import zipfile

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._patching import (
    advisories,
    dnf_host,
    dnf_lists,
    dnf_packages,
    dnf_restarts,
    dnf_scripts,
    hosts,
    plan,
    programs,
    replaced,
    rpm_state,
    rpm_versions,
)
from ansible_collections.steward.maintenance.plugins.module_utils._patching.packages import Installed, versions_changed

#: As rpm sorts them; its own tests of rpmvercmp have these pairs.
SORTED = (
    *("1.0~rc1-1", "1.0~rc1^git1-1", "1.0-1", "1.0^git1~pre-1", "1.0^git1-1", "1.0^20160101-1"),
    *("1.0^20160101^git1-1", "1.0^20160102-1", "1.0a-1", "1.0.1-1", "1.1-1", "1.1-1.el9", "1.1-1.el9_4", "1.1-1.1"),
    *("1.1-2", "1.10-1", "2-1", "10b2-1", "10.1xyz-1", "1:0.1-1", "2:0-1"),
)


def test_versions_are_sorted_as_rpm_does() -> None:
    assert tuple(sorted(set(SORTED), key=rpm_versions.key)) == SORTED
    for one, other in (("2_0-1", "2.0-1"), ("10.0001-1", "10.1-1"), ("0:1-1", "1-1")):
        assert rpm_versions.key(one) == rpm_versions.key(other)
    assert rpm_versions.is_newer("1.fc17-1", "1b.fc17-1")
    assert rpm_versions.is_newer("1g.fc17-1", "1.fc17-1")


def test_a_package_is_named_as_dnf_and_as_its_file_is() -> None:
    assert rpm_versions.full("glibc:i686", "2.34-1.el9", "i686") == "glibc-0:2.34-1.el9.i686"
    assert rpm_versions.full("bind", "32:9.16-1", "x86_64") == "bind-32:9.16-1.x86_64"
    assert rpm_versions.file_name("bind", "32:9.16-1", "x86_64") == "bind-9.16-1.x86_64.rpm"


def _offers(versions: t.Sequence[t.Sequence[t.Any]], about: t.Sequence[t.Sequence[t.Any]] = ()) -> dnf_packages.Offers:
    class Dnf:
        def load(self) -> None:
            pass

        def where(self, _what: str) -> str:
            return "x86_64"

        def ask(self, _question: str, **_about: t.Any) -> dict[str, t.Any]:
            return {"versions": versions, "advisories": about}

    installed = {"a": Installed("a", "1.0-1", "install", "installed", "ok", 1)}
    return dnf_packages.offers(t.cast("dnf_host.Dnf", Dnf()), installed)


def row(version: str, out: str = "", repository: str = "base", architecture: str = "x86_64") -> list[t.Any]:
    return ["a", architecture, version, repository, 10, 20, out]


FIXED = ["a", "x86_64", "1.2-1", "TEST-1", "Moderate", ["CVE-1"]]


@pytest.mark.parametrize(
    ("versions", "fixes", "wanted"),
    [
        pytest.param([row("1.3-1"), row("1.2-1"), row("1.1-1")], [FIXED], "1.2-1", id="to the fix and no further"),
        pytest.param([row("1.3-1"), row("1.1-1")], [FIXED], "1.3-1", id="the fix is gone, what came after has it"),
        pytest.param([row("1.3-1"), row("1.2-1", "excluded")], [FIXED], "1.3-1", id="the fix is excluded, 1.3 is not"),
        pytest.param([row("1.2-1", "excluded")], [FIXED], "1.2-1", id="all that have it are excluded: it lacks"),
        pytest.param([row("1.1-1")], [FIXED], "1.2-1", id="no repository has it: it lacks"),
        pytest.param([row("1.3-1")], [], "", id="no advisory"),
        pytest.param([row("1.3-1", repository="vendor")], [], "1.3-1", id="a repository of fixes alone"),
        pytest.param([row("1.2-1", architecture="i686")], [], "", id="of another architecture"),
    ],
)
def test_a_fix_is_the_first_version_that_has_all(
    versions: list[list[t.Any]], fixes: list[list[t.Any]], wanted: str
) -> None:
    table = _offers(versions, fixes).tables["a"]
    found = table.security(dnf_lists.rules(["vend*"]))
    assert (found.version if found else "") == wanted


def test_what_keeps_a_version_out_is_named() -> None:
    table = _offers([row("1.1-1", "excluded"), row("1.0-1")]).tables["a"]
    assert (table.candidate, table.is_upgradable) == ("1.0-1", False)
    assert table.phased is not None, "it is told that there is one"
    assert dnf_packages.obstacle(table, "1.1-1", [], ["a*"]) == ("pinned", "excludepkgs of dnf has 'a*'")
    assert dnf_packages.obstacle(table, "1.1-1", ["a-0:1.0-1.*"], [])[0] == "held"
    assert dnf_packages.obstacle(table, "1.1-1", ["ab-0:1.0-1.*"], []) == (
        "pinned",
        "dnf or its repository excludes it",
    )
    assert dnf_packages.obstacle(table, "1.0-1", [], ["a*"]) == ("", "")
    gone = _offers([row("1.0-1")], [FIXED]).tables["a"]
    assert dnf_packages.obstacle(gone, "1.2-1", [], [])[0] == "unavailable"
    stream = _offers([row("2-1", "module")]).tables["a"]
    assert dnf_packages.obstacle(stream, "2-1", [], [])[0] == "module"


def test_severities_of_advisories_are_ours_and_the_unrated_are_high() -> None:
    one, other = advisories.Advisory("A", "Low", "1-1", ("CVE-1",)), advisories.Advisory("B", "", "1-2")
    assert (one.weight, other.weight) == ("low", "high")
    assert advisories.worst([one, other], "low") == "high"
    assert advisories.worst([], "medium") == "medium"
    assert advisories.ids([one, other]) == ("A", "CVE-1", "B")
    assert advisories.told([one, other]) == "A (Low), B (not rated)"


def test_a_fix_may_be_accepted_by_its_advisory_or_its_vulnerability() -> None:
    from ansible_collections.steward.maintenance.plugins.module_utils._core.accepted import read_accepted

    entry = {"reason": "r", "owner": "o", "until": "2199-01-01", "scope": {"ecosystem": "system"}}
    fixes = (advisories.Advisory("TEST-1", "Low", "1-2", ("CVE-2026-1",)),)
    change = plan.Change("a", "1-1", "1-2", True, (), fixes)
    today = __import__("datetime").date(2026, 11, 27)
    for id_, fits in (("TEST-1", True), ("CVE-2026-1", True), ("a", True), ("TEST-2", False)):
        policy = plan.Policy(plan.SECURITY, [], accepted=tuple(read_accepted([{**entry, "id": id_}])))
        assert bool(plan.answered(policy, change, today)[0]) is fits


INSTALLED = {name: Installed(name, "1-1", "install", "installed", "ok", 1) for name in ("a", "old", "kernel-core")}


def test_a_simulation_is_read_with_kernels_and_what_is_replaced() -> None:
    told = {
        "come": [["a", "noarch", "1-2", "b", 1, 1], ["kernel-core", "x86_64", "2-1", "b", 1, 1]],
        "gone": [["a", "x86_64", "1-1"], ["old", "x86_64", "1-1"]],
        "replaced": [["old", "x86_64", "new"], ["a", "x86_64", "b"]],
    }
    told["come"].append(["new", "x86_64", "1-1", "b", 1, 1])
    found = dnf_packages.simulated(told, "x86_64", INSTALLED)
    assert found.upgraded == {"a": ("1-1", "1-2"), "kernel-core": ("1-1", "2-1")}
    assert (found.new, found.removed, found.replaced) == ({"new": "1-1"}, {"old": "1-1"}, {"old": "new"})
    assert found.problem == ""
    back = dnf_packages.simulated({**told, "come": [["a", "noarch", "0-1", "b", 1, 1]]}, "x86_64", INSTALLED)
    assert back.problem == "it would take back a"
    refused = dnf_packages.simulated({"problem": "\n Problem: x\n  - y\n"}, "x86_64", INSTALLED)
    assert refused.problem == "Problem: x; - y"


def _repository(**about: t.Any) -> dict[str, t.Any]:
    now = int(time.time())
    known = {"id": "base", "url": "https://user:hunter2@example.org/base", "problem": "", "age": 5.0}
    return {**known, "published": now, "advisories": True, **about}


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({}, ""),
        ({"problem": "Failed to download metadata for repo 'base'"}, "base: Failed to download metadata"),
        ({"age": 99999.0}, "base: dnf last had it 1 d"),
        ({"advisories": False}, "base: it has no advisories (updateinfo)"),
        ({"published": int(time.time()) - 40 * 86400}, "base: it was published 40 d ago"),
    ],
)
def test_a_repository_that_cannot_tell_is_not_trusted(about: dict[str, t.Any], told: str) -> None:
    repositories = [_repository(**about)]
    known = dnf_lists.judged(repositories, 86400)
    assert dnf_lists.unseen(repositories, known, [], True, 30 * 86400) == ""
    assert told in known.problem
    assert bool(known.problem) is bool(told)
    assert "hunter2" not in known.sources[0].name


def test_without_advisories_everything_may_be_upgraded_and_it_is_told() -> None:
    repositories = [_repository(advisories=False)]
    known = dnf_lists.judged(repositories, 0)
    dnf_lists.unseen(repositories, known, [], False, 0)
    assert (known.problem, known.blind) == ("", ["base"])
    named = dnf_lists.judged(repositories, 0)
    dnf_lists.unseen(repositories, named, dnf_lists.rules(["b*"]), True, 0)
    assert (named.problem, named.blind) == ("", [])
    assert dnf_lists.judged([], 0).problem == "dnf has no source of packages at all"


def listed(name: str, version: str, architecture: str = "x86_64") -> rpm_state.Row:
    return rpm_state.Row(name, version, architecture, 1, 0)


def test_what_is_not_whole_is_told() -> None:
    rows = [listed("twice", "1-1"), listed("twice", "1-2"), listed("cut", "2:1-2"), listed("bad", "3:1-2")]
    rows += [listed("kernel-core", "1-1"), listed("kernel-core", "1-2"), listed("libc", "1-1", "i686")]
    rows += [listed("new", "1-1", "x86_64_v2"), listed("libc", "1-1")]
    failed = {"bad-1-2.x86_64": ["%post, exit status 3"], "twice-1-0.x86_64": ["%post, exit status 1"]}
    found, architectures = rpm_state.installed(rows, "x86_64", ["kernel-core"], {("cut", "x86_64", "2:1-2")}, failed)
    assert {name: one.state for name, one in found.items() if not one.is_whole} == {
        "twice": "installed twice (1-2, 1-1)",
        "cut": "installed by a transaction that was cut off",
        "bad": "installed, and a script of it failed (%post, exit status 3)",
    }
    assert found["kernel-core"].versions == ("1-2", "1-1")
    assert architectures["libc:i686"] == "i686"
    assert set(found) == {"twice", "cut", "bad", "kernel-core", "libc", "libc:i686", "new"}


def test_what_changed_is_told_of_each_version() -> None:
    before = {"kernel-core": Installed("kernel-core", "2-1", "install", "installed", "ok", 1, ("1-1",))}
    after = {"kernel-core": Installed("kernel-core", "3-1", "install", "installed", "ok", 1, ("2-1",))}
    assert versions_changed(before, after) == [{"name": "kernel-core", "before": "1-1", "after": "3-1"}]
    beside = {"kernel-core": Installed("kernel-core", "3-1", "install", "installed", "ok", 1, ("2-1", "1-1"))}
    assert versions_changed(before, beside) == [{"name": "kernel-core", "before": "", "after": "3-1"}]
    cut = {"a": Installed("a", "1-2", "install", "installed twice (1-2, 1-1)", "ok", 1, ("1-1",))}
    whole = {"a": Installed("a", "1-2", "install", "installed", "ok", 1)}
    assert versions_changed(cut, whole) == [{"name": "a", "before": "1-1", "after": "1-2"}]


SAID = """\
  Running scriptlet: alpha-1.0-2.noarch                                     1/2
warning: %post(alpha-1.0-2.noarch) scriptlet failed, exit status 3

Error in POSTIN scriptlet in rpm package alpha
error: lua script failed: [string "%post"]:1: x
Error in POSTTRANS scriptlet in rpm package lua-only
warning: %postun(beta-1:1.0-1.noarch) scriptlet failed, signal 9
Error in POSTUN scriptlet in rpm package beta
"""


def test_scripts_that_failed_are_remembered_until_they_are_run_anew(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "dnf.log"
    scripts = dnf_scripts.Scripts(str(tmp_path), str(log))
    there = {"alpha": "alpha-1.0-2.noarch", "lua-only": "lua-only-2-1.noarch", "beta": "beta-1.0-2.noarch"}
    assert scripts.failed(there) == {}
    log.write_text(SAID)
    # Also where nobody was there any more to read it when it was said.
    assert scripts.failed(there) == {
        "alpha-1.0-2.noarch": ["%post, exit status 3"],
        "lua-only-2-1.noarch": ["posttrans, which is part of the package"],
    }
    scripts.settle(there)
    log.write_text("")
    assert set(scripts.failed(there)) == {"alpha-1.0-2.noarch", "lua-only-2-1.noarch"}
    scripts.settle(there, without=["alpha-1.0-2.noarch"])
    assert set(scripts.failed(there)) == {"lua-only-2-1.noarch"}
    # Another version of it has its own scripts.
    assert scripts.failed({**there, "lua-only": "lua-only-2-2.noarch"}) == {}
    scripts.settle({**there, "lua-only": "lua-only-2-2.noarch"})
    assert scripts.failed(there) == {}
    assert (tmp_path / "scripts.json").stat().st_mode & 0o77 == 0


def _program(place: pathlib.Path, name: str, text: str) -> None:
    (place / name).write_text(f"#!/bin/sh\n{text}\n")
    (place / name).chmod(0o755)


@pytest.fixture
def fake(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A directory that is searched first, with an rpm that is there."""
    _program(tmp_path, "rpm", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_the_program_for_dnfs_python_is_found_in_an_archive(tmp_path: pathlib.Path) -> None:
    """Where Ansible has sent a module to a host, nothing of the collection is a file."""
    package = "ansible_collections/steward/maintenance/plugins/module_utils"
    source = pathlib.Path(dnf_host.__file__).parent.parent
    with zipfile.ZipFile(tmp_path / "sent.zip", "w") as archive:
        for path in [*source.glob("_core/*.py"), *source.glob("_patching/*.py")]:
            archive.write(path, f"{package}/{path.relative_to(source)}")
        for number in range(1, 6):
            archive.writestr("/".join([*package.split("/")[:number], "__init__.py"]), "")
    code = f"from {package.replace('/', '.')}._patching import dnf_host; print(dnf_host._text_of_helper())"
    environment = {"PYTHONPATH": str(tmp_path / "sent.zip"), "PATH": os.environ["PATH"]}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == (source / "_patching/dnf_program.py").read_text().strip()


def test_dnf5_is_refused_by_name(fake: pathlib.Path) -> None:
    _program(fake, "dnf", "echo 'dnf5 version 5.2.8.1'; echo 'dnf5 plugin API version 2.0'")
    with pytest.raises(programs.PatchingError, match=r"this host has dnf5 version 5\.2\.8\.1; this module knows dnf 4"):
        dnf_host.Dnf(10)


def test_a_configuration_that_cannot_be_read_is_named(fake: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(fake, "dnf", "echo 4.14.0")
    monkeypatch.setenv(dnf_host.CONFIG, str(fake / "nowhere.conf"))
    with pytest.raises(programs.PatchingError, match=r"STEWARD_DNF_CONFIG is .*nowhere\.conf, which cannot be read"):
        dnf_host.Dnf(10)
    (fake / "nowhere.conf").write_text("[main]\ninstallroot=here\n")
    with pytest.raises(programs.PatchingError, match="installroot is 'here': write an absolute path"):
        dnf_host.Dnf(10)


@pytest.mark.parametrize(
    ("programs_there", "release", "kind"),
    [
        ("apt-get", "ID=debian", "apt"),
        ("apt-get dnf", "ID=debian", "apt"),
        ("apt-get dnf", 'ID="rocky"\nID_LIKE="rhel centos fedora"', "dnf"),
        ("dnf", "ID=fedora", "dnf"),
        ("", "ID=arch", "apt"),
    ],
)
def test_the_manager_of_the_host_is_known(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, programs_there: str, release: str, kind: str
) -> None:
    for name in programs_there.split():
        _program(tmp_path, name, "exit 0")
    (tmp_path / "os-release").write_text(release + "\n")
    monkeypatch.delenv(dnf_host.CONFIG, raising=False)
    monkeypatch.setattr(hosts, "_OS_RELEASE", (str(tmp_path / "os-release"),))
    monkeypatch.setattr(hosts, "environment", lambda: {"PATH": str(tmp_path)})
    assert hosts.kind() == kind


REBOOT = "Core libraries or services have been updated since boot-up:\n  * glibc\n\nReboot is required to fully."


@pytest.mark.parametrize(
    ("script", "reasons", "problem"),
    [
        (f"echo '{REBOOT}'; exit 1", "glibc", ""),
        ("echo 'Reboot should not be necessary.'", "", ""),
        ("echo 'No such command: needs-restarting. Please use /usr/bin/dnf --help' >&2; exit 1", "", ""),
        # What looks like "a reboot is needed" to who reads the status.
        ("echo 'Error: Failed to download metadata for repo base' >&2; exit 1", "", "Failed to download metadata"),
        ("exit 0", "", "does not say whether a reboot is needed"),
    ],
)
def test_needs_restarting_is_judged_by_its_words(fake: pathlib.Path, script: str, reasons: str, problem: str) -> None:
    services = 'case "$*" in *--version*) echo 4.14.0; exit;; *--services*) echo old.service; exit;; esac'
    _program(fake, "dnf", f"{services}\n{script}")
    found = dnf_restarts.with_needs_restarting(dnf_host.Dnf(10), replaced.Look())
    assert reasons in "".join(found.reboot_reasons)
    assert bool(found.reboot_reasons) is bool(reasons)
    assert problem in found.problem
    assert bool(found.problem) is bool(problem)
    assert found.services == (() if problem or "No such" in script else ("old.service",))


def test_a_kernel_or_a_core_that_came_later_asks_for_a_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    running = os.uname()
    release = "5.14.0-427.13.1.el9_4.x86_64"
    monkeypatch.setattr(dnf_restarts.os, "uname", lambda: type(running)((*running[:2], release, *running[3:])))
    names = {"kernel-core": "5.14.0-427.20.1.el9_4", "kernel-rt-core": "5.14.0-500.1.1.el9_4", "glibc": "2.34-1"}
    packages = {name: Installed(name, version, "install", "installed", "ok", 1) for name, version in names.items()}
    old = rpm_state.Row("glibc", "2.34-1", "x86_64", 1, 5)
    about = dnf_restarts.reboot_of(packages, [old], replaced.Look())
    assert about.newest == "5.14.0-427.20.1.el9_4.x86_64"
    assert about.reasons == [f"the kernel {about.newest} is installed, {release} runs"]
    new = old._replace(installed_at=int(time.time()) + 5)
    same = {**packages, "kernel-core": packages["kernel-core"]}
    same["kernel-core"] = Installed("kernel-core", release[: -len(".x86_64")], "install", "installed", "ok", 1)
    assert dnf_restarts.reboot_of(same, [new], replaced.Look()).reasons == ["glibc came after the host was started"]


def test_who_holds_a_lock_of_dnf_is_told(tmp_path: pathlib.Path) -> None:
    lock = tmp_path / "rpmdb_lock.pid"
    with subprocess.Popen(["sleep", "60"]) as process:
        lock.write_text(str(process.pid))
        found = rpm_state.lock_holders(str(tmp_path), [str(lock), str(tmp_path / "none.pid")])
        process.kill()
    assert [one.pid for one in found] == [process.pid]
    assert f"{lock} is held by process {process.pid}" in found[0].told()
    assert rpm_state.lock_holders(str(tmp_path), [str(lock)]) == [], "its process is no more"
