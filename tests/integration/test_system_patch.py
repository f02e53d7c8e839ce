# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real packages upgraded by the real apt and dpkg, in a root of their own: what was said is what happened."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from support import bills
from support.apt import Package, architecture
from support.patching import BROKEN, FIX, INSTALLED, Site, ids, states

from ansible_collections.steward.maintenance.plugins.module_utils._patching import plan, upgrading

pytestmark = pytest.mark.apt
pytest_plugins = ("support.patching_fixtures",)


def changes(answer: dict[str, t.Any]) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["before"], one["after"]) for one in answer["changes"]}


def test_security_fixes_alone_are_foretold_installed_and_proved(site: Site) -> None:
    site.populate()
    site.system.run("apt-mark", "hold", "held")
    site.system.run("apt-mark", "auto", "helper")
    site.security.publish(Package("beta", FIX, conffiles={"/etc/beta.conf": "colour=green\n"}))
    site.security.publish(
        *[Package(name, FIX) for name in ("alpha", "helper", "held")], Package("postgresql-15", "15.2")
    )
    site.main.publish(Package("plain", "1.1"))
    own = site.system.root / "etc/beta.conf"
    own.write_text("colour=blue\npassword: hunter2\n")
    before = site.system.everything()

    foretold = site.module("system_patch", check=True)
    assert foretold["verdict"] == "findings", foretold
    assert foretold["changed"] is True
    assert foretold["diff"]["before"] == "alpha 1.0\nbeta 1.0\nhelper 1.0\n"
    assert foretold["diff"]["after"] == f"alpha {FIX}\nbeta {FIX}\nhelper {FIX}\n"
    assert foretold["configuration_files"] == [{"package": "beta", "path": "/etc/beta.conf", "used": "own"}]
    assert site.system.everything() == before, "check mode touches nothing"
    assert not site.state.exists()

    answer = site.module("system_patch", way_back="keep")
    assert answer["verdict"] == "findings", answer
    assert changes(answer) == dict.fromkeys(["alpha", "beta", "helper"], ("1.0", FIX))
    others = {"postgresql-15": "15.1", **dict.fromkeys(["needs-helper", "plain", "held"], "1.0")}
    assert site.system.versions() == {**dict.fromkeys(["alpha", "beta", "helper"], FIX), **others}
    # The host is not wholly clean, and why is told of each fix that is left.
    assert answer["figures"]["security_upgrades"] == 0
    left = {one["subject"]: one["severity"] for one in answer["findings"] if one["id"] == "security-left"}
    assert left == {"held": "high", "postgresql-15": "high"}
    assert site.system.run("apt-mark", "showauto").split() == ["helper"], "what came by itself may go by itself"
    assert {path.name.split("_")[0] for path in (site.state / "kept").glob("*.deb")} == {"alpha", "beta", "helper"}
    # One's own configuration is kept, and shown beside the package's without its secret.
    assert own.read_text() == "colour=blue\npassword: hunter2\n"
    (file,) = answer["configuration_files"]
    assert (file["used"], file["other"]) == ("own", "/etc/beta.conf.dpkg-dist")
    assert "-colour=blue" in file["diff"]
    assert "+colour=green" in file["diff"]
    assert "hunter2" not in str(answer)

    # What goes into the record: the digests of the evidence, and what became of configuration, with the difference.
    done, choice = answer["done"]
    assert (done["action"], done["changes"], done["evidence"]["directory"]) == ("upgrade", 3, answer["evidence"])
    assert (choice["subject"], choice["action"], choice["diff"]) == ("/etc/beta.conf", "keep", file["diff"])
    kept = bills.kept(done["evidence"])
    assert set(kept) == {"sbom-before.json", "sbom-after.json", "difference.json", "upgrade.json"}
    url = f"pkg:deb/debian/alpha@{{}}?arch={architecture()}&distro=bookworm"
    listed = [bills.purls(kept[f"sbom-{when}.json"]) for when in ("before", "after")]
    assert url.format("1.0") in listed[0] - listed[1]
    assert url.format("1.0%2Bdeb12u1") in listed[1] - listed[0]
    assert len(listed[0]) == len(listed[1]) == len(INSTALLED)
    assert kept["difference.json"] == answer["changes"]
    assert kept["upgrade.json"]["programs"]["apt-get"].startswith("apt ")
    assert kept["upgrade.json"]["verdict"] == "findings"
    assert "hunter2" not in str(kept)

    again = site.patch()
    assert (again["changed"], again["changes"], again["verdict"]) == (False, [], "findings")
    assert (again["evidence"], again.get("done", [])) == ("", [])


def test_somebody_may_answer_for_what_is_left(site: Site) -> None:
    """For a while: what nothing fits, or was allowed until yesterday, is told."""
    site.populate()
    site.system.run("apt-mark", "hold", "held")
    site.security.publish(Package("held", FIX), Package("postgresql-15", "15.2"))
    entry = {"reason": "tested on Monday", "owner": "Jane Doe", "scope": {"ecosystem": "system"}}
    accepted = [{**entry, "id": "held", "until": "2199-01-01"}, {**entry, "id": "plain=9", "until": "2199-01-01"}]
    accepted.append({**entry, "id": "postgresql-15=15.2", "until": "2026-01-01"})
    accepted.append({**entry, "id": "CVE-2026-1", "until": "2199-01-01", "scope": {}})
    again = site.patch(accepted=accepted)
    assert (again["changed"], again["verdict"]) == (False, "findings")
    assert {one["subject"]: one["id"] for one in again["findings"]} == {
        "postgresql-15": "security-left",
        "postgresql-15=15.2 (ecosystem system)": "accept-expired",
        "plain=9 (ecosystem system)": "accept-unused",
    }
    assert (again["figures"]["left_security"], again["figures"]["accepted"]) == (2, 1)
    looked = site.look("packages", upgrade="security", accepted=accepted)
    assert {one["name"]: one["accepted_until"] for one in looked["packages"]}["held"] == "2199-01-01"
    assert [one["id"] for one in looked["findings"]].count("security-left") == 1
    # Who answered for what is part of the evidence of an upgrade.
    site.security.publish(Package("alpha", FIX))
    evidence = site.patch(accepted=accepted[:1])["done"][0]["evidence"]
    approved = {"id": "held", "owner": "Jane Doe", "reason": "tested on Monday", "until": "2199-01-01"}
    assert bills.kept(evidence)["upgrade.json"]["approvals"] == {"accepted": [approved]}


def test_evidence_that_cannot_be_kept_is_told_and_stops_nothing(site: Site) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX))
    site.state.mkdir()
    (site.state / "evidence").write_text("a file, where a directory has to be")
    answer = site.patch()
    assert (answer["verdict"], ids(answer), changes(answer)) == ("findings", ["evidence-lost"], {"alpha": ("1.0", FIX)})
    assert (answer["evidence"], answer["done"][0].get("evidence")) == ("", None)


def test_all_brings_new_dependencies_and_takes_the_packages_configuration_when_told(site: Site) -> None:
    site.populate()
    site.security.publish(Package("postgresql-15", "15.2"))
    site.main.publish(Package("plain", "1.1", depends="fresh"), Package("fresh", "2.0"))
    site.main.publish(Package("beta", "1.1", conffiles={"/etc/beta.conf": "colour=green\n"}))
    # It could be upgraded only by removing another one.
    site.main.publish(Package("alpha", "1.1", fields={"Conflicts": "needs-helper"}))
    own = site.system.root / "etc/beta.conf"
    own.write_text("colour=blue\n")
    own.chmod(0o640)
    answer = site.patch(upgrade="all", conffiles="new", postgresql="upgrade")
    assert answer["verdict"] == "findings", answer
    expected = {"fresh": ("", "2.0"), "postgresql-15": ("15.1", "15.2")}
    assert changes(answer) == {**expected, "plain": ("1.0", "1.1"), "beta": ("1.0", "1.1")}
    assert states(answer)["alpha"] == "kept-back"
    assert "needs-helper" in site.system.versions()
    assert own.read_text() == "colour=green\n"
    (file,) = answer["configuration_files"]
    assert (file["used"], file["other"]) == ("package", "/etc/beta.conf.dpkg-old")
    assert "blue" not in file["diff"], "not everybody may read it"


def test_one_fix_that_cannot_be_installed_does_not_stop_the_others(site: Site) -> None:
    site.populate()
    site.system.run("apt-mark", "hold", "held")
    site.security.publish(Package("alpha", FIX, depends="nowhere"), Package("plain", FIX, depends=f"held (= {FIX})"))
    site.security.publish(Package("beta", FIX), Package("held", FIX))
    # Possible only together.
    site.security.publish(Package("helper", FIX, fields={"Breaks": f"needs-helper (<< {FIX})"}))
    site.security.publish(Package("needs-helper", FIX, depends=f"helper (= {FIX})"))
    answer = site.patch()
    assert set(changes(answer)) == {"beta", "helper", "needs-helper"}, answer
    assert states(answer)["alpha"] == states(answer)["plain"] == "blocked"
    reasons = {one["name"]: one["reason"] for one in answer["packages"]}
    assert "nowhere" in reasons["alpha"]
    assert "held" in reasons["plain"]
    assert answer["verdict"] == "findings"


def test_a_broken_script_is_told_and_the_way_back_leads_back(site: Site) -> None:
    site.populate()
    site.security.publish(Package("alpha", FIX, scripts=BROKEN), Package("beta", FIX))
    answer = site.patch(way_back="keep")
    assert (answer["verdict"], answer["failed"], answer["changed"]) == ("failed", True, True)
    assert "alpha is half-configured" in answer["reason"]
    assert "the cause of it all" in answer["reason"]
    assert "state: returned, which installs alpha 1.0, beta 1.0" in answer["reason"]
    assert "the cause of it all" in answer["output"]
    assert site.system.states()["alpha"] == "half-configured"

    # The archive forgets the old ones meanwhile: what was put aside is there.
    site.main.publish(*[one for one in INSTALLED if one.name not in ("alpha", "beta")], replace=True)
    site.system.apt("update")
    foretold = site.patch(check=True, state="returned")
    assert foretold["diff"] == {"before": f"alpha {FIX}\nbeta {FIX}\n", "after": "alpha 1.0\nbeta 1.0\n"}
    back = site.patch(state="returned")
    assert back["verdict"] == "findings", back
    assert "went-back" in ids(back)
    assert {name: site.system.versions()[name] for name in ("alpha", "beta")} == {"alpha": "1.0", "beta": "1.0"}
    assert site.patch(state="returned")["changed"] is False
    # Back where it was, it is tried again; and when that fails, it returns by itself.
    again = site.patch(on_failure="return")
    assert again["verdict"] == "failed"
    assert "all was undone" in again["reason"]
    assert {name: site.system.versions()[name] for name in ("alpha", "beta")} == {"alpha": "1.0", "beta": "1.0"}


def test_a_new_major_version_of_postgresql_is_never_brought_along(site: Site) -> None:
    """The metapackage would bring it, with a cluster of its own beside the other one."""
    site.populate(Package("postgresql-15", "15.1"), Package("postgresql", "15+1", depends="postgresql-15"))
    site.main.publish(Package("postgresql", "17+1", depends="postgresql-17"), Package("postgresql-17", "17.0"))
    site.security.publish(Package("postgresql-15", "15.2"))
    answer = site.patch(upgrade="all", postgresql="upgrade")
    assert changes(answer) == {"postgresql-15": ("15.1", "15.2")}, answer
    assert states(answer)["postgresql"] == "blocked"
    (left,) = [one for one in answer["packages"] if one["name"] == "postgresql"]
    assert "postgresql-17 (a new major version of PostgreSQL" in left["reason"]


def test_what_the_plan_does_not_see_is_seen_by_apts_own_simulation(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*arguments: t.Any) -> plan.Plan:
        made = plan.make_plan(*arguments)
        return dataclasses.replace(made, changes={n: one for n, one in made.changes.items() if n != "alpha"})

    site.populate()
    site.system.run("apt-mark", "hold", "held")
    site.security.publish(*[Package(name, FIX) for name in ("alpha", "beta", "held")])
    monkeypatch.setattr(upgrading, "make_plan", blind)
    answer = site.patch()
    assert set(changes(answer)) == {"beta"}
    assert (answer["verdict"], answer["reason"]) == ("failed", "apt's simulation would still upgrade alpha")
