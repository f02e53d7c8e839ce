# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real rpm packages upgraded by the real dnf and rpm, in a root of their own: what was said is what happened."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import time
import typing as t

import pytest
from support import bills
from support.dnf import Rpm, RpmRepository
from support.dnf_patching import BROKEN, INSTALLED, DnfSite, about, fix
from support.patching import descendants, ids, states, wait_for

from ansible_collections.steward.maintenance.plugins.module_utils._patching import rpm_versions

pytestmark = pytest.mark.dnf


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[DnfSite]:
    made = DnfSite(tmp_path)
    yield made
    made.close()


def changes(answer: dict[str, t.Any]) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["before"], one["after"]) for one in answer["changes"]}


def test_security_fixes_alone_are_foretold_installed_and_proved(site: DnfSite) -> None:
    site.populate()
    site.system.versionlock("held-0:1.0-1.*")
    fixes = [fix("alpha"), fix("beta", configs={"/etc/beta.conf": "colour=green\n"}), fix("helper"), fix("held")]
    site.publish_fixes(*fixes, Rpm("postgresql-server", "15.2"), severity="Critical")
    site.base.publish(Rpm("plain", "1.1"), Rpm("alpha", "1.1"))
    own = site.system.root / "etc/beta.conf"
    own.write_text("colour=blue\npassword: hunter2\n")
    before = site.system.everything()

    foretold = site.module("system_patch", check=True)
    assert foretold["verdict"] == "findings", foretold
    assert foretold["diff"]["before"] == "alpha 1.0-1\nbeta 1.0-1\nhelper 1.0-1\n"
    assert foretold["diff"]["after"] == "alpha 1.0-2\nbeta 1.0-2\nhelper 1.0-2\n", "to the fix, and no further"
    assert foretold["configuration_files"] == [{"package": "beta", "path": "/etc/beta.conf", "used": "own"}]
    assert site.system.everything() == before, "check mode touches nothing"
    assert not site.state.exists()

    answer = site.module("system_patch", way_back="keep")
    assert answer["verdict"] == "findings", answer
    assert changes(answer) == dict.fromkeys(["alpha", "beta", "helper"], ("1.0-1", "1.0-2"))
    others = {"postgresql-server": "15.1-1", **dict.fromkeys(["needs-helper", "plain", "held", "shell"], "1.0-1")}
    assert site.system.versions() == {**dict.fromkeys(["alpha", "beta", "helper"], "1.0-2"), **others}
    assert answer["figures"]["security_upgrades"] == 0
    left = {one["subject"]: (one["severity"], one["message"]) for one in answer["findings"] if "left" in one["id"]}
    assert set(left) == {"held", "postgresql-server"}
    assert left["held"][0] == "critical"
    assert "TEST-2026:1 (Critical)" in left["held"][1]
    assert "versionlock has 'held-0:1.0-1.*'" in left["held"][1]
    packages = {one["name"]: one for one in answer["packages"]}
    assert packages["alpha"]["advisories"][0]["cves"] == ["CVE-2026-0001"]
    assert {path.name for path in (site.state / "kept").iterdir()} == {
        f"{name}-1.0-1.noarch.rpm" for name in ("alpha", "beta", "helper")
    }
    # One's own configuration is kept, and shown beside the package's without its secret.
    assert own.read_text() == "colour=blue\npassword: hunter2\n"
    (file,) = answer["configuration_files"]
    assert (file["used"], file["other"]) == ("own", "/etc/beta.conf.rpmnew")
    assert "-colour=blue" in file["diff"]
    assert "+colour=green" in file["diff"]
    assert "hunter2" not in str(answer)
    kept = bills.valid(answer["done"][0]["evidence"])
    urls = [bills.purls(kept[f"sbom-{when}.json"]) for when in ("before", "after")]
    about = "arch=noarch&distro=rocky-9.6"
    assert urls[1] - urls[0] == {f"pkg:rpm/rocky/{name}@1.0-2?{about}" for name in ("alpha", "beta", "helper")}
    assert kept["upgrade.json"]["programs"]["rpm"].startswith("RPM version 4.")

    again = site.patch()
    assert (again["changed"], again["changes"], again["verdict"]) == (False, [], "findings")


def test_all_names_what_is_kept_back_and_brings_what_is_needed(site: DnfSite) -> None:
    site.populate()
    site.system.configure("excludepkgs=held")
    site.base.publish_stream("tool", "2", Rpm("needs-helper", "2.0"))
    site.base.publish(Rpm("plain", "1.1", requires="fresh"), Rpm("fresh", "2.0"), Rpm("held", "1.1"))
    site.base.publish(Rpm("alpha", "1.1", requires="nowhere"), Rpm("postgresql-server", "16.0"))
    # It takes the place of another one, which would be removed.
    site.base.publish(Rpm("assistant", "1.0", fields=("Obsoletes: helper < 2", "Provides: helper = 2")))
    changed = {"/etc/beta.conf": "colour=green\n"}
    site.base.publish(Rpm("beta", "1.1", configs=changed, keeps_changed=False))
    own = site.system.root / "etc/beta.conf"
    own.write_text("colour=blue\n")
    answer = site.patch(upgrade="all", postgresql="upgrade")
    assert answer["verdict"] == "findings", answer
    assert changes(answer) == {"plain": ("1.0-1", "1.1-1"), "fresh": ("", "2.0-1"), "beta": ("1.0-1", "1.1-1")}
    why = {one["name"]: (one["state"], one["reason"]) for one in answer["packages"] if one["state"] != "ready"}
    assert why["alpha"][0] == "kept-back"
    assert "nowhere" in why["alpha"][1]
    assert why["held"] == ("pinned", "excludepkgs of dnf has 'held'")
    assert why["postgresql-server"][0] == "postgresql"
    assert "16 is a new major version" in why["postgresql-server"][1]
    assert why["needs-helper"][0] == "module"
    assert why["helper"] == ("replaced", "assistant takes its place, which removes it")
    # The package has the last word with rpm, and it is told where that is not what was asked for.
    (file,) = answer["configuration_files"]
    assert (file["used"], file["other"]) == ("package", "/etc/beta.conf.rpmsave")
    assert own.read_text() == "colour=green\n"
    assert "configuration-by-package" in ids(answer)
    back = site.patch(state="returned")
    assert back["changed"] is True, back
    assert {name: site.system.versions()[name] for name in ("plain", "beta")} == {"plain": "1.0-1", "beta": "1.0-1"}


def test_what_cannot_tell_what_is_a_fix_is_never_clean(site: DnfSite) -> None:
    site.populate()
    vendor = RpmRepository(site.directory / "www/vendor", has_advisories=False)
    vendor.publish(Rpm("plain", "1.1"))
    site.system.repository("vendor", f"{site.web.url}/vendor")
    answer = site.look("packages", upgrade="security")
    assert (answer["verdict"], answer["failed"], answer["coverage"]) == ("unknown", True, {"looked": 1, "of": 2})
    assert "it has no advisories (updateinfo)" in answer["reason"]
    assert site.patch()["verdict"] == "unknown"
    everything = site.look("packages", upgrade="all")
    assert everything["verdict"] == "findings"
    assert "repository-without-advisories" in ids(everything)
    # Who says that all of it counts as a fix gets all of it.
    fixed = site.patch(security_repositories=["vend*"])
    assert changes(fixed) == {"plain": ("1.0-1", "1.1-1")}, fixed


def test_a_repository_that_failed_or_stands_still_is_never_clean(site: DnfSite) -> None:
    """dnf itself passes over it: its configuration has skip_if_unavailable, as Red Hat's."""
    site.populate()
    never = site.look("packages", refresh=False)
    assert never["verdict"] == "unknown"
    assert "dnf has never fetched it" in never["reason"]
    assert site.patch()["verdict"] == "ok"
    assert site.look("packages", refresh=False)["verdict"] == "ok"
    told = {}
    for status in (403, 404, 500):
        site.web.faults = {"repodata": status}
        answer = site.look("packages")
        told[status] = (answer["verdict"], "base" in answer["reason"])
    assert told == dict.fromkeys((403, 404, 500), ("unknown", True))
    before = site.system.versions()
    assert site.patch()["verdict"] == "unknown"
    assert site.patch(check=True)["verdict"] == "unknown"
    site.web.faults = {}
    site.system.repository("base", "http://127.0.0.1:1/base")
    assert site.patch()["verdict"] == "unknown"
    assert site.system.versions() == before
    site.system.repository("base", f"{site.web.url}/base")
    site.base.publish(revision=int(time.time()) - 31 * 86400)
    stopped = site.look("packages")
    assert stopped["verdict"] == "unknown"
    assert "it was published 31 d" in stopped["reason"]
    assert site.look("packages", max_release_age="")["verdict"] == "ok"


def test_a_failed_script_is_told_though_rpm_goes_on_and_the_way_back_leads_back(site: DnfSite) -> None:
    site.populate()
    in_lua = fix("helper", scripts={"post -p <lua>": "error('rpm itself runs it')"})
    site.publish_fixes(fix("alpha", scripts=BROKEN), fix("plain"), in_lua)
    answer = site.patch(way_back="keep")
    assert (answer["verdict"], answer["failed"], answer["changed"]) == ("failed", True, True)
    assert "alpha is installed, and a script of it failed (%post, exit status 3)" in answer["reason"]
    assert "helper is installed, and a script of it failed (postin, which is part of the package)" in answer["reason"]
    assert "state: returned, which installs alpha 1.0-1, helper 1.0-1, plain 1.0-1" in answer["reason"]
    assert site.system.versions()["alpha"] == "1.0-2", "rpm counts it as installed"
    # It is not forgotten: nobody else would ever hear of it again.
    assert "rpm-interrupted" in ids(site.look("preflight"))
    assert site.patch()["verdict"] == "failed", "the cause is still there"
    # The repository forgets the old ones meanwhile: what was put aside is there.
    site.base.publish(*[one for one in INSTALLED if one.name not in ("alpha", "helper", "plain")], replace=True)
    back = site.patch(state="returned")
    assert back["verdict"] == "findings", back
    assert {site.system.versions()[name] for name in ("alpha", "helper", "plain")} == {"1.0-1"}
    mended = Rpm("alpha", "1.0", "3")
    site.base.publish(mended, advisories=[about(mended, number=2)])
    answer = site.patch()
    assert changes(answer) == {"alpha": ("1.0-1", "1.0-3")}, answer
    # Those of the others were withdrawn with nothing in their place.
    assert (states(answer)["helper"], states(answer)["plain"]) == ("unavailable", "unavailable")
    assert [one["subject"] for one in answer["findings"] if one["id"] == "security-left"] == ["helper", "plain"]


def test_what_is_in_the_way_is_told_and_nothing_is_touched(site: DnfSite) -> None:
    site.populate()
    site.publish_fixes(fix("alpha"), fix("plain"))
    before = site.system.versions()
    boot = site.system.root / "boot"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(boot)], check=True)
    try:
        (boot / "initramfs-5.14.0-427.el9.x86_64.img").write_bytes(b"x" * 700_000)
        full = site.patch()
    finally:
        subprocess.run(["umount", str(boot)], check=True)
    assert full["verdict"] == "failed"
    assert "space-short" in ids(full)
    lock = site.system.root / "var/lib/dnf/rpmdb_lock.pid"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["sleep", "600"]) as holder:
        lock.write_text(str(holder.pid))
        busy = site.patch(lock_timeout="1s")
        holder.kill()
    assert busy["verdict"] == "failed"
    assert f"is held by process {holder.pid} (sleep)" in busy["reason"]
    site.web.faults["plain-1.0-2"] = 404
    gone = site.patch()
    assert gone["verdict"] == "failed", gone
    assert "all was undone" in gone["reason"]
    assert site.system.versions() == before
    site.web.faults = {}
    # One that has no way back is refused where one is required.
    site.base.publish(*[one for one in INSTALLED if one.name != "plain"], fix("alpha"), fix("plain"), replace=True)
    refused = site.patch(way_back="require")
    assert "there is no way back to plain 1.0-1" in refused["reason"]
    assert site.system.versions() == before
    told = site.patch()
    assert "way-back-missing" in ids(told)
    assert site.system.versions()["plain"] == "1.0-2"


def test_versions_are_ordered_as_rpm_does(tmp_path: pathlib.Path) -> None:
    chance = random.Random(7)  # noqa: S311 - the same pairs each time
    texts = ["".join(chance.choices("019aZ.~^_", k=chance.randint(1, 6))) for _number in range(1200)]
    pairs = list(zip(texts[::2], texts[1::2]))
    (tmp_path / "pairs").write_text("".join(f"{one} {other}\n" for one, other in pairs))
    code = "local a, b = line:match('(%S+) (%S+)'); print(rpm.vercmp(a, b) .. ' ')"
    macro = f"%{{lua: for line in io.lines('{tmp_path}/pairs') do {code} end}}"
    said = subprocess.run(["rpm", "--eval", macro], capture_output=True, text=True, check=True).stdout.split()
    keys = [(rpm_versions.key(f"{one}-1"), rpm_versions.key(f"{other}-1")) for one, other in pairs]
    ours = [(one > other) - (one < other) for one, other in keys]
    assert [(pair, int(rpm)) for pair, rpm in zip(pairs, said)] == list(zip(pairs, ours))


def _kill(pids: t.Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.parametrize("what", ["everything", "module"])
def test_killed_in_the_middle_the_next_run_ends_it(site: DnfSite, what: str) -> None:
    """`everything` is a power cut: dnf with rpm as well. When only the module is killed, dnf goes on to its end."""
    gate, reached, ended = (site.system.root / name for name in ("gate", "reached", "ended"))
    waiting = f"echo > /{reached.name}; while [ ! -e /{gate.name} ]; do sleep 0.05; done"
    site.populate()
    # It comes with the others and is wholly there when they are cut off: only dnf's history tells that it is not done.
    site.base.publish(Rpm("fresh", "1.0", scripts={"posttrans": f"echo done >> /{ended.name}"}))
    broken = fix("alpha", scripts={"post": waiting}, requires="fresh")
    site.publish_fixes(broken, fix("plain", requires="alpha = 1.0-2"))
    process = site.start(way_back="keep")
    wait_for(reached.exists, "the script of alpha", 20)
    family = [process.pid, *descendants(process.pid)]
    killed = family if what == "everything" else [process.pid]
    _kill(killed)
    process.wait()
    # The locks of a process are its own until it is wholly gone.
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in killed), "the end of all that was killed")
    if what == "everything":
        assert site.system.versions()["alpha"] == "1.0-1 1.0-2", "rpm leaves both"
        (told,) = [one["message"] for one in site.look("preflight")["findings"] if one["id"] == "rpm-interrupted"]
        assert "alpha is installed twice (1.0-2, 1.0-1), fresh is installed by a transaction that was cut off" in told
        assert not ended.exists()
        foretold = site.patch(check=True)
        assert (foretold["changed"], foretold["did"]) == (True, ["would finish what an earlier run left"])
    gate.touch()
    answer = site.patch()
    assert answer["verdict"] == "ok", answer
    assert answer["did"] == ["finished what an earlier run left (done)"]
    assert {name: site.system.versions()[name] for name in ("alpha", "plain")} == {"alpha": "1.0-2", "plain": "1.0-2"}
    # The evidence is that of the whole upgrade: the killed run could leave none.
    upgraded = dict.fromkeys(["alpha", "plain"], ("1.0-1", "1.0-2"))
    assert changes(answer) == {**upgraded, "fresh": ("", "1.0-1")}
    assert not [
        url for url in bills.purls(bills.valid(answer["done"][0]["evidence"])["sbom-before.json"]) if "fresh" in url
    ]
    assert ended.exists(), "what comes last in a transaction (an initramfs, say) was not left out"
    again = site.patch()
    assert (again["verdict"], again["changed"], again["did"]) == ("ok", False, [])
    assert site.patch(state="returned")["changed"] is True
    assert {name: site.system.versions()[name] for name in ("alpha", "plain")} == {"alpha": "1.0-1", "plain": "1.0-1"}
