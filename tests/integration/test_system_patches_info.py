# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for an upgrade, what is in its way, and that what could not be seen is never clean."""

from __future__ import annotations

import os
import time
import typing as t

import pytest
from support.apt import SECURITY, Archive, Package
from support.patching import FIX, INSTALLED, Site, holding, ids, states

from ansible_collections.steward.maintenance.plugins.module_utils._patching import lists, programs

pytestmark = pytest.mark.apt
pytest_plugins = ("support.patching_fixtures",)


def by_name(answer: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {package["name"]: package for package in answer["packages"]}


def test_each_package_is_told_with_its_kind_and_its_obstacle(site: Site) -> None:
    site.populate(*INSTALLED, Package("pinned", "1.0"), Package("phased", "1.0"), Package("stuck", "1.0"))
    site.system.run("apt-mark", "hold", "held")
    pin = "Package: pinned\nPin: release l=Debian-Security\nPin-Priority: -1\n"
    (site.system.root / "etc/apt/preferences.d/pin").write_text(pin)
    fixed = [Package(name, FIX) for name in ("alpha", "held", "pinned", "postgresql-15")]
    site.security.publish(*fixed, Package("stuck", FIX, depends="nowhere"), Package("postgresql-15", "15.2"))
    site.main.publish(Package("plain", "1.1", depends="fresh"), Package("fresh", "2.0"))
    site.main.publish(Package("phased", "1.1", listed={"Phased-Update-Percentage": "0"}))
    # The newest beta is in the release's own archive; the fix before it came by the security archive.
    site.security.publish(Package("beta", FIX))
    site.main.publish(Package("beta", "1.1"))
    # It calls its suite as the security archive does, and is none.
    vendor = Archive(site.directory / "www/vendor", site.signer, "Vendor", "bookworm-security", "oldstable-security")
    vendor.publish(Package("helper", "1.1"))
    site.system.source("vendor", f"{site.web.url}/vendor", "bookworm-security")
    site.system.configure('APT::Get::Never-Include-Phased-Updates "true";')
    (site.system.root / "etc/beta.conf").write_text("colour=blue\n")
    before = site.system.everything()

    answer = site.module("system_patches_info", checks=["packages"], exclude=["need*"])
    assert answer["verdict"] == "findings", answer
    obstacles = {"held": "held", "pinned": "pinned", "phased": "phased", "postgresql-15": "postgresql"}
    ready = dict.fromkeys(["alpha", "beta", "helper", "plain"], "ready")
    assert states(answer) == {**ready, **obstacles, "stuck": "kept-back"}
    packages = by_name(answer)
    assert {name for name, one in packages.items() if one["security"]} == {
        *("alpha", "beta", "held", "pinned", "postgresql-15", "stuck")
    }
    assert packages["beta"]["version"] == "1.1"
    assert packages["helper"]["origins"] == ["Vendor bookworm-security"]
    assert "nowhere" in packages["stuck"]["reason"]
    assert answer["new_packages"] == [{"name": "fresh", "version": "2.0"}]
    assert answer["configuration_files"] == [{"package": "beta", "path": "/etc/beta.conf"}]
    assert answer["figures"]["security_upgrades"] == 2
    assert answer["figures"]["left_security"] == 4
    assert answer["coverage"] == {"looked": 3, "of": 3}
    assert ids(answer).count("security-left") == 4
    assert site.system.everything() == before, "it only looks"

    fixes = site.look("packages", upgrade="security", postgresql="upgrade", exclude=["alph?"])
    assert states(fixes)["alpha"] == "excluded"
    assert states(fixes)["postgresql-15"] == "ready"
    assert by_name(fixes)["beta"]["version"] == FIX, "no more than the fix"
    assert "plain" not in by_name(fixes)
    assert states(fixes)["stuck"] == "blocked"


def test_a_clean_host_is_told_clean_and_the_way_back_is_told_before(site: Site) -> None:
    site.populate()
    assert site.look("packages")["verdict"] == "ok"
    # The archive forgets the installed version of plain when it has a newer one.
    left = [package for package in INSTALLED if package.name != "plain"]
    site.main.publish(*left, Package("plain", "1.1"), replace=True)
    site.security.publish(Package("alpha", FIX))
    answer = site.look("packages")
    assert {name: one["way_back"] for name, one in by_name(answer).items()} == {"alpha": "archive", "plain": ""}
    assert "plain 1.0" in next(one for one in answer["findings"] if one["id"] == "way-back-missing")["message"]
    # A file of the right name is not yet the right package.
    cache = site.system.root / "var/cache/apt/archives"
    made = Package("plain", "1.0").build(cache)
    assert by_name(site.look("packages"))["plain"]["way_back"] == "cache"
    made.write_bytes(made.read_bytes()[:300])
    assert by_name(site.look("packages"))["plain"]["way_back"] == ""


def _unsigned(site: Site) -> None:
    path = site.directory / "www/security/dists" / SECURITY[1] / "InRelease"
    path.write_text(path.read_text().split("\n\n", 1)[1].split("-----BEGIN PGP SIGNATURE")[0])


def _tampered(site: Site) -> None:
    path = site.directory / "www/security/dists" / SECURITY[1] / "InRelease"
    path.write_text(path.read_text().replace("Suite: oldstable-security", "Suite: stable-security"))


#: What goes wrong at one of two sources.
FAULTS: dict[str, t.Callable[[Site], t.Any]] = {
    "500": lambda site: site.web.faults.update({"security/dists": 500}),
    "403": lambda site: site.web.faults.update({"security/dists": 403}),
    "404": lambda site: site.web.faults.update({"security/dists": 404}),
    "list of packages missing": lambda site: site.web.faults.update({"binary-": 404}),
    "refused": lambda site: site.system.source("security", "http://127.0.0.1:1/security", SECURITY[1]),
    "expired": lambda site: site.security.publish(at=1e9, valid_until="Sun, 10 Sep 2001 00:00:00 GMT"),
    "from the future": lambda site: site.security.publish(at=4e9),
    "no archive for security": lambda site: (site.system.root / "etc/apt/sources.list.d/security.list").unlink(),
    "unsigned": _unsigned,
    "tampered with": _tampered,
    "line that cannot be read": lambda site: (site.system.root / "etc/apt/sources.list").write_text("deb nonsense\n"),
}


def test_a_source_that_failed_is_never_clean(site: Site) -> None:
    """Of each fault: `apt-get update` may end well, for old lists are there, and we do not say so."""
    site.populate(Package("alpha", "1.0"))
    site.system.apt("update")
    told = {}
    for name, inject in FAULTS.items():
        site.web.faults.clear()
        site.system.source("security", f"{site.web.url}/security", SECURITY[1])
        (site.system.root / "etc/apt/sources.list").write_text("")
        site.security.publish(Package(f"x{len(told)}", "1"))
        inject(site)
        answer = site.look("packages")
        told[name] = (answer["verdict"], answer["failed"], bool(answer["reason"]))
    assert told == dict.fromkeys(FAULTS, ("unknown", True, True))


def test_a_host_that_would_never_see_a_fix_is_not_clean(site: Site) -> None:
    """Its archive for security fixes stopped, or it has none: in both cases nothing ever waits."""
    site.populate(Package("alpha", "1.0"))
    site.security.publish(at=time.time() - 31 * 86400)
    stopped = site.look("packages")
    assert stopped["verdict"] == "unknown"
    assert "it was published 31 d" in stopped["reason"]
    assert stopped["coverage"] == {"looked": 1, "of": 2}
    # Some are published rarely on purpose.
    assert site.look("packages", max_release_age="")["verdict"] == "ok"
    (site.system.root / "etc/apt/sources.list.d/security.list").unlink()
    site.main.publish(Package("alpha", "1.1"))
    for policy in ("security", "all"):
        answer = site.patch(upgrade=policy)
        assert (answer["verdict"], answer["changed"]) == ("unknown", False)
        assert "is an archive for security fixes" in answer["reason"]
    assert site.system.versions() == {"alpha": "1.0"}


def test_old_lists_are_not_trusted_source_by_source(site: Site) -> None:
    site.populate(Package("alpha", "1.0"))
    never = site.look("packages", refresh=False)
    assert never["verdict"] == "unknown"
    assert never["coverage"] == {"looked": 0, "of": 2}
    assert "apt has never fetched it" in never["reason"]
    site.system.apt("update")
    assert site.look("packages", refresh=False)["verdict"] == "ok"
    # The failed one keeps its age, although apt-get update ended with status 0 and touched its stamps.
    lists = site.system.root / "var/lib/apt/lists"
    (lists / next(name for name in os.listdir(lists) if "security" in name and name.endswith("InRelease"))).unlink()
    site.web.faults["security/dists"] = 500
    site.system.apt("update")
    answer = site.look("packages", refresh=False)
    assert answer["verdict"] == "unknown"
    assert answer["coverage"] == {"looked": 1, "of": 2}
    assert "security" in answer["reason"]
    (site.system.root / "etc/apt/sources.list.d/main.list").unlink()
    (site.system.root / "etc/apt/sources.list.d/security.list").unlink()
    assert "no source of packages" in site.look("packages")["reason"]


def test_what_would_stop_an_upgrade_is_told(site: Site) -> None:
    site.populate(Package("alpha", "1.0"), Package("broken", "1.0"))
    site.security.publish(Package("alpha", FIX))
    ready = site.look("preflight")
    assert "lock-held" not in ids(ready)
    assert ready["summary"] == "an upgrade could begin"
    with holding(site.system.root / "var/lib/dpkg/lock-frontend"):
        assert site.look("preflight")["summary"] == "no upgrade could begin"
    status = site.system.root / "var/lib/dpkg/status"
    whole = status.read_text()
    status.write_text(
        whole.replace(
            "Package: broken\nStatus: install ok installed", "Package: broken\nStatus: install ok half-configured"
        )
    )
    (site.system.root / "boot/initrd.img-6.1.0-1-amd64").touch()
    os.truncate(site.system.root / "boot/initrd.img-6.1.0-1-amd64", 1 << 43)
    with holding(site.system.root / "var/lib/dpkg/lock-frontend") as pid:
        answer = site.look("preflight")
    findings = {finding["id"]: finding for finding in answer["findings"]}
    assert findings["lock-held"]["value"] == pid
    assert "broken is half-configured" in findings["dpkg-interrupted"]["message"]
    assert findings["space-short"]["threshold"] >= 1 << 43
    assert answer["space"][0]["needed_bytes"] > answer["space"][0]["free_bytes"]


def test_a_reboot_is_told_with_its_reason(site: Site) -> None:
    assert site.look("reboot")["reboot"]["needed"] is False
    (site.system.root / "run/reboot-required").write_text("*** System restart required ***\n")
    (site.system.root / "run/reboot-required.pkgs").write_text("linux-base\nlinux-base\nlibc6\n")
    answer = site.look("reboot")
    assert "for libc6, linux-base" in answer["reboot"]["reasons"][0]
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        assert answer["reboot"]["boot_id"] == file.read().strip()


def test_a_package_that_no_archive_has_is_told(site: Site) -> None:
    """Put there by hand, or left over from an older release: no fix for it ever comes."""
    site.populate(Package("alpha", "1.0"))
    site.system.install(Package("orphan", "1.0"), Package("other", "2.0"))
    answer = site.look("packages")
    assert (answer["verdict"], answer["figures"]["without_archive"]) == ("findings", 2)
    assert "orphan, other" in next(
        one["message"] for one in answer["findings"] if one["id"] == "package-without-archive"
    )
    entry = {"reason": "our own", "owner": "Jane Doe", "until": "2199-01-01", "scope": {"ecosystem": "system"}}
    accepted = [{**entry, "id": "orphan"}, {**entry, "id": "other"}]
    assert site.look("packages", accepted=accepted)["verdict"] == "ok"
    assert "package-without-archive" in ids(site.patch())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'NEEDRESTART-VER: 3.6'; echo 'NEEDRESTART-SVC: old.service'", ""),
        ("echo 'Can not load configuration' >&2; exit 1", "needrestart gave no report: Can not load configuration"),
        ("exit 0", "needrestart gave no report: it said nothing"),
    ],
)
def test_needrestart_that_says_nothing_is_no_all_clear(site: Site, script: str, reason: str) -> None:
    programs_here = site.directory / "bin"
    programs_here.mkdir()
    (programs_here / "needrestart").write_text(f"#!/bin/sh\n{script}\n")
    (programs_here / "needrestart").chmod(0o755)
    site.system.environment["PATH"] = f"{programs_here}:{site.system.environment['PATH']}"
    answer = site.look("services")
    assert ("old.service" in [one["subject"] for one in answer["findings"]]) is (not reason)
    if reason:
        assert answer["verdict"] == "unknown"
    assert reason in answer["reason"]


def test_a_simulation_of_everything_is_asked_for_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does just what is wanted: on a host with a hundred upgrades it takes seconds."""
    asked: list[tuple[str, ...]] = []
    real = programs.Apt.call

    def call(apt: programs.Apt, *argv: str, **more: t.Any) -> programs.Done:
        asked.append(argv)
        return real(apt, *argv, **more)

    monkeypatch.setattr(programs.Apt, "call", call)
    site.populate(Package("alpha", "1.0"), Package("plain", "1.0"))
    site.main.publish(Package("alpha", "1.1"), Package("plain", "1.1"))
    assert states(site.look("packages")) == {"alpha": "ready", "plain": "ready"}
    assert [argv[2:4] for argv in asked if "--simulate" in argv] == [("-y", "upgrade")]


def test_lists_that_were_fetched_aside_are_read_once(site: Site) -> None:
    """Every simulation would read them again, for seconds each."""
    site.populate(Package("alpha", "1.0"))
    with site.apt() as apt, programs.open_directory() as place:
        apart, known = lists.fetch_aside(apt, place, 60)
        assert not known.problem
        apart.call("apt-get", "--simulate", "upgrade")
        cache = os.stat(os.path.join(place, "pkgcache.bin"))
        apart.call("apt-get", "--simulate", "upgrade")
        again = os.stat(os.path.join(place, "pkgcache.bin"))
        assert (again.st_ino, again.st_mtime_ns) == (cache.st_ino, cache.st_mtime_ns)
        assert not (site.system.root / "var/cache/apt/pkgcache.bin").exists()
