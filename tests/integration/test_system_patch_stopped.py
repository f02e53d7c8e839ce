# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops an upgrade of packages is told, nothing is touched, and once it is mended the upgrade goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t

import pytest
from support import bills
from support.apt import Package
from support.patching import BROKEN, FIX, INSTALLED, Site, descendants, holding, ids, wait_for

pytestmark = pytest.mark.apt
pytest_plugins = ("support.patching_fixtures",)


def test_a_mended_version_ends_what_a_broken_one_began(site: Site) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX, scripts=BROKEN))
    assert site.patch()["verdict"] == "failed"
    assert site.patch()["verdict"] == "failed", "the cause is still there"
    site.security.publish(Package("alpha", "1.0+deb12u2"))
    answer = site.patch()
    assert answer["verdict"] == "ok", answer
    assert answer["did"] == ["finished what an earlier run left (done)"]
    assert site.system.versions()["alpha"] == "1.0+deb12u2"


def test_without_a_way_back_nothing_is_touched_where_one_is_required(site: Site) -> None:
    site.populate()
    site.main.publish(*[one for one in INSTALLED if one.name != "alpha"], replace=True)
    site.security.publish(Package("alpha", FIX))
    for given in ({"way_back": "require"}, {"on_failure": "return"}):
        answer = site.patch(**given)
        assert answer["verdict"] == "failed"
        assert "there is no way back to alpha 1.0" in answer["reason"]
    assert site.system.versions()["alpha"] == "1.0"
    told = site.patch()
    assert told["verdict"] == "findings"
    assert "way-back-missing" in ids(told)
    assert site.system.versions()["alpha"] == FIX
    back = site.patch(state="returned")
    assert back["changed"] is False
    assert "way-back-missing" in ids(back)


def test_an_interrupted_dpkg_is_repaired_only_when_told(site: Site) -> None:
    site.populate(Package("alpha", "1.0"), Package("other", "1.0"))
    site.security.publish(Package("alpha", FIX))
    status = site.system.root / "var/lib/dpkg/status"
    whole = status.read_text()
    status.write_text(whole.replace("other\nStatus: install ok installed", "other\nStatus: install ok unpacked"))
    for given in ({}, {"repair": "never"}):
        answer = site.patch(**given)
        assert answer["verdict"] == "failed"
        assert "other is unpacked" in answer["reason"]
    assert site.system.states() == {"alpha": "installed", "other": "unpacked"}
    assert site.patch(check=True, repair="always")["verdict"] == "unknown", "what comes after the repair is not known"
    answer = site.patch(repair="always")
    assert answer["verdict"] == "ok", answer
    assert "ran dpkg --configure -a" in answer["did"][0]
    assert site.system.versions() == {"alpha": FIX, "other": "1.0"}


def test_what_is_in_the_way_is_told_and_nothing_is_touched(site: Site) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX), Package("beta", FIX))
    before = site.system.versions()
    boot = site.system.root / "boot"
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(boot)], check=True)
    try:
        (boot / "initrd.img-6.1.0-1-amd64").write_bytes(b"x" * 700_000)
        # Where nobody may mount, a file that seems larger than the disk serves as well.
        os.truncate(boot / "initrd.img-6.1.0-1-amd64", 700_000 if os.geteuid() == 0 else 1 << 43)
        answer = site.patch()
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(boot)], check=True)
        else:
            (boot / "initrd.img-6.1.0-1-amd64").unlink()
    assert answer["verdict"] == "failed"
    assert "space-short" in ids(answer)
    with holding(site.system.root / "var/lib/dpkg/lock-frontend") as pid:
        busy = site.patch(lock_timeout="1s")
    assert busy["verdict"] == "failed"
    assert f"held by process {pid}" in busy["reason"]
    site.web.faults["beta_1.0"] = 404
    gone = site.patch()
    assert gone["verdict"] == "failed"
    assert "all was undone" in gone["reason"]
    site.web.faults = {"security/dists": 500}
    unknown = site.patch()
    assert unknown["verdict"] == "unknown"
    assert site.system.versions() == before
    site.web.faults = {}
    assert site.patch()["verdict"] == "ok"
    # One that comes to nothing does not take away the way back from the one before.
    site.security.publish(Package("plain", FIX))
    site.web.faults["plain_1.0"] = 404
    assert "all was undone" in site.patch()["reason"]
    assert site.patch(state="returned")["changed"] is True
    assert site.system.versions() == before


def _kill(pids: t.Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.parametrize("what", ["everything", "module"])
def test_killed_in_the_middle_the_next_run_ends_it(site: Site, what: str) -> None:
    """`everything` is a power cut: apt and dpkg as well. When only the module is killed, apt goes on to its end."""
    gate, reached = site.directory / "gate", site.directory / "reached"
    waiting = f"touch {reached}; while [ ! -e {gate} ]; do sleep 0.05; done"
    site.populate()
    site.system.run("apt-mark", "auto", "beta")
    site.security.publish(Package("alpha", FIX, scripts={"postinst": waiting}))
    site.security.publish(Package("beta", FIX, depends=f"alpha (= {FIX})"))
    process = site.start(way_back="keep")
    wait_for(reached.exists, "the script of alpha")
    family = [process.pid, *descendants(process.pid)]
    _kill(family if what == "everything" else [process.pid])
    process.wait()
    assert site.system.states()["alpha"] == "half-configured"
    if what == "everything":
        foretold = site.patch(check=True)
        assert (foretold["changed"], foretold["did"]) == (True, ["would finish what an earlier run left"])
    gate.touch()
    answer = site.patch()
    assert answer["verdict"] == "ok", answer
    assert answer["did"] == ["finished what an earlier run left (done)"]
    assert {name: site.system.versions()[name] for name in ("alpha", "beta")} == {"alpha": FIX, "beta": FIX}
    # The evidence is that of the whole upgrade: the killed run could leave none.
    upgraded = [{"name": name, "before": "1.0", "after": FIX} for name in ("alpha", "beta")]
    kept = bills.kept(answer["done"][0]["evidence"])
    assert answer["changes"] == kept["difference.json"] == upgraded
    versions = {one["name"]: one["version"] for one in kept["sbom-before.json"]["components"]}
    assert (versions["alpha"], versions["beta"], len(versions)) == ("1.0", "1.0", len(INSTALLED))
    assert site.system.run("apt-mark", "showauto").split() == ["beta"]
    again = site.patch()
    assert (again["verdict"], again["changed"], again["did"]) == ("ok", False, [])
    # And the way back from an upgrade that was killed is the same as from any other.
    assert site.patch(state="returned")["changed"] is True
    assert {name: site.system.versions()[name] for name in ("alpha", "beta")} == {"alpha": "1.0", "beta": "1.0"}
