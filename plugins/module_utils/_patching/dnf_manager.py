# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 4 and rpm behind the seam.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import shutil
import typing as t

from .._core import cyclonedx
from . import dnf_lists, dnf_packages, dnf_restarts, preflight, previous, reboot, replaced, rpm_state, rpm_versions
from .archives import Origin, Table
from .dnf_host import Dnf
from .dnf_scripts import Scripts, read, without_epoch
from .lists import Lists
from .manager import Manager, Work
from .packages import Installed, Interrupted
from .plan import ALL, SECURITY
from .possible import Simulation
from .programs import Done

if t.TYPE_CHECKING:
    from .plan import Plan, Policy

#: A line of dnf's table of a transaction: " name  architecture  version  repository  size". A long name is alone.
_ROW = re.compile(r" (?P<name>[A-Za-z0-9][\w.+-]*)(?: .*)?")
_NOTHING = "Nothing to do."
#: What is not wanted by name comes only where it is needed, and nothing is removed for it but what it replaces.
_CAREFUL = ("-y", "--setopt=install_weak_deps=False", "--setopt=clean_requirements_on_remove=False")
_MOST_TOLD = 3


class DnfManager(Manager):
    """dnf 4 with rpm."""

    name = "dnf"
    below = "rpm"
    refreshes = "dnf makecache"
    audits = "rpm"
    repairs = "dnf remove --duplicates and dnf reinstall"
    hold = "dnf versionlock add"
    release = "dnf versionlock delete"
    programs = ("dnf", "rpm")

    def __init__(self, dnf: Dnf, state_dir: str) -> None:
        super().__init__()
        self.dnf = dnf
        self._state_dir = state_dir
        self._scripts = Scripts(state_dir, os.path.join(state_dir, f"{self.name}.log"))
        self._architectures: dict[str, str] = {}
        self._packages: dict[str, Installed] = {}
        self._there: dict[str, str] = {}
        #: What was last repaired, and how that ended.
        self._repaired: list[tuple[str, str]] = []
        self._repair = Done(0, "")
        self._offers: dnf_packages.Offers | None = None
        self._admin = ""

    @property
    def root(self) -> str:
        return self.dnf.root

    @property
    def archives(self) -> str:
        return self.dnf.where("cache")

    @property
    def admin(self) -> str:
        if not self._admin:
            self._admin = self.in_root(self.dnf.call("rpm", "--eval", "%{_dbpath}").out.strip())
        return self._admin

    def which(self, name: str) -> str:
        return self.dnf.which(name)

    def call(self, *argv: str, must: bool = True, timeout: float = 0) -> Done:
        return self.dnf.call(*argv, must=must, timeout=timeout)

    def version_of(self, program: str) -> str:
        return self.dnf.where("version") if program == "dnf" else super().version_of(program)

    def close(self) -> None:
        self.dnf.close()
        self._offers = None

    # What is installed.

    def installed(self) -> dict[str, Installed]:
        own, rows = self.dnf.where("architecture"), rpm_state.rows(self.dnf)
        self._there = rpm_state.whole_names(rows)
        unfinished = {(one[0], one[1], one[2]) for one in self.dnf.ask("history")}
        failed, beside = self._scripts.failed(self._there), self.dnf.ask("side_by_side")
        self._packages, self._architectures = rpm_state.installed(rows, own, beside, unfinished, failed)
        return self._packages

    def interrupted(self, packages: t.Mapping[str, Installed]) -> Interrupted:
        broken = [f"{one.name} is {one.state}" for one in packages.values() if not one.is_whole]
        return Interrupted(tuple(sorted(broken)), False, self.below)

    def audit(self) -> str:
        broken = self.interrupted(self.installed())
        return rpm_state.damage(self.dnf) or (broken.told() if broken else "")

    def lock_holders(self) -> list[preflight.Holder]:
        cache, persisted = self.dnf.where("cache"), self.dnf.where("persisted")
        locks = [os.path.join(cache, name) for name in ("metadata_lock.pid", "download_lock.pid")]
        return rpm_state.lock_holders(self.admin, [os.path.join(persisted, "rpmdb_lock.pid"), *locks])

    def automatic(self) -> set[str]:
        """None that could be forgotten: dnf keeps why a package is there when it upgrades it by name."""
        return set()

    def conffiles(self, names: t.Iterable[str]) -> dict[str, dict[str, tuple[str, str]]]:
        known = self._architectures or self._architectures_now()
        words = {name: f"{name.partition(':')[0]}.{known[name]}" for name in names if name in known}
        return rpm_state.conffiles(self.dnf, words, self.dnf.where("architecture"))

    def _architectures_now(self) -> dict[str, str]:
        self.installed()
        return self._architectures

    def beside(self, policy: str) -> dict[str, str]:  # noqa: ARG002 - rpm asks nobody: the package says which one it is
        return {".rpmnew": "own", ".rpmsave": "package"}

    # What could be installed.

    def known(self, max_age: float) -> Lists:
        return dnf_lists.judged(self.dnf.load()["repositories"], max_age)

    def refresh(self, timeout: float) -> Lists:  # noqa: ARG002 - the session has the same patience for every question
        self._offers = None
        return dnf_lists.judged(self.dnf.load(refresh=True)["repositories"], 0)

    def fetch_aside(self, place: str, timeout: float) -> tuple[Manager, Lists]:
        cache = os.path.join(place, "cache")
        if os.path.isdir(self.archives):
            leave = shutil.ignore_patterns("packages", "*.pid", "tempfiles.json")
            shutil.copytree(self.archives, cache, ignore=leave, symlinks=True)
        os.makedirs(cache, exist_ok=True)
        apart = DnfManager(self.dnf.apart(cache), self._state_dir)
        return apart, apart.refresh(timeout)

    def unseen(self, known: Lists, policy: Policy, max_age: float) -> str:
        repositories = self.dnf.load()["repositories"]
        return dnf_lists.unseen(repositories, known, policy.rules, policy.upgrade == SECURITY, max_age)

    def tables(self, names: t.Iterable[str]) -> dict[str, Table]:
        known = self._known().tables
        return {name: known[name] for name in names if name in known}

    def _known(self) -> dnf_packages.Offers:
        """All that is offered for what is installed, once a session."""
        packages = self._packages or self.installed()
        if self._offers is None or not set(packages) <= set(self._offers.tables):
            self._offers = dnf_packages.offers(self.dnf, packages)
        return self._offers

    def told(self, origins: t.Sequence[Origin]) -> list[str]:
        return dnf_lists.told(origins)

    def is_newer(self, version: str, than: str) -> bool:
        return rpm_versions.is_newer(version, than)

    def upgrade(self) -> Simulation:
        self.dnf.load()
        return self._simulated(self.dnf.ask("upgrade"))

    def install(self, wanted: t.Mapping[str, str]) -> Simulation:
        self.dnf.load()
        return self._simulated(self.dnf.ask("install", words=self._words(wanted)))

    def _simulated(self, told: t.Mapping[str, t.Any]) -> Simulation:
        own, known = self.dnf.where("architecture"), self._known()
        dnf_packages.note(known, told.get("come", ()), own)
        return dnf_packages.simulated(told, own, self._packages)

    def obstacle(self, table: Table, version: str) -> tuple[str, str]:
        known = self.dnf.load()
        return dnf_packages.obstacle(t.cast("dnf_packages.RpmTable", table), version, known["locks"], known["excludes"])

    def unexplained(self, plan: Plan, policy: Policy) -> list[str]:
        """By the program itself, as anybody would ask it, without what was told as left."""
        names = {one.change.name.partition(":")[0] for one in plan.left}
        # What takes the place of another package has its own name where others have a version.
        names |= {one.change.new for one in plan.left if one.why == "replaced"}
        left = [word for name in sorted(names) for word in ("--exclude", name)]
        fixes = ["--security"] if policy.upgrade != ALL else []
        done = self.dnf.call("dnf", "-C", "--assumeno", "--nobest", *left, "upgrade", *fixes, must=False)
        text = f"{done.out}\n{done.err}"
        if not done.status and _NOTHING in text:
            return []
        found = {match.group("name") for line in done.out.splitlines() if (match := _ROW.fullmatch(line))}
        known = {name.partition(":")[0] for name in plan.packages}
        return sorted(found & known) or [f"what it does not tell: {done.said}"]

    def sizes(self, wanted: t.Mapping[str, str], packages: t.Mapping[str, Installed]) -> preflight.Sizes:
        return dnf_packages.sizes(self._known(), wanted, packages, self.archives)

    # The way back.

    def ways_back(
        self,
        packages: t.Mapping[str, Installed],
        tables: t.Mapping[str, Table],  # noqa: ARG002 - what is offered is known with its files
        kept: str,
    ) -> dict[str, previous.Way]:
        return dnf_packages.ways_back(self.dnf, self._known(), packages, self._architectures, kept)

    def keep(self, way: previous.Way, directory: str, work: Work) -> previous.Way:  # noqa: ARG002 - it is downloaded
        return dnf_packages.keep(self.dnf, way, self._architecture(way.name), directory)

    def prune(self, directory: str, wanted: t.Mapping[str, str]) -> None:
        dnf_packages.prune(directory, wanted, self._architectures)

    def back_problem(self, ways: t.Sequence[previous.Way]) -> str:
        self.dnf.load()
        files = [way.path for way in ways if way.path]
        words = [self._word(way.name, way.version) for way in ways if not way.path]
        # What it asks is answered with what would be taken back, which is what is wanted here.
        return str(self.dnf.ask("back", words=words, files=files).get("problem", ""))

    # What changes packages.

    def fetch(self, wanted: t.Mapping[str, str], work: Work) -> Done:  # noqa: ARG002 - the library downloads
        with_them = {**wanted, **self.install(wanted).new}
        told = self.dnf.ask("fetch", words=self._words(with_them))
        return Done(1 if "problem" in told else 0, told.get("problem", ""), program="dnf")

    def put(self, wanted: t.Mapping[str, str], work: Work) -> Done:
        """What is there in this very version and not whole is installed anew, so that its scripts run."""
        there = self._packages or self.installed()
        again = {name: version for name, version in wanted.items() if there[name].version == version}
        rest = {name: version for name, version in wanted.items() if name not in again}
        if again and set(again.items()) <= set(self._repaired):
            # That has just been tried.
            done = self._repair
        else:
            done = self._change(work, "reinstall", self._words(again)) if again else Done(0, "")
        more = self._change(work, "upgrade", self._words(rest)) if rest else Done(0, "")
        return _both(done, more)

    def put_back(self, ways: t.Sequence[previous.Way], work: Work) -> Done:
        return self._change(work, "downgrade", [way.path or self._word(way.name, way.version) for way in ways])

    def repair(self, work: Work) -> Done:
        """Of two versions the older one is removed, and the newer one installed anew; so is what was cut off."""
        packages = self.installed()
        twice = [one for one in packages.values() if one.others and not one.is_whole]
        done = self._change(work, "remove", ["--duplicates"]) if twice else Done(0, "")
        packages = self.installed() if twice else packages
        again = {one.name: one.version for one in packages.values() if not one.is_whole}
        # One that no repository has any more cannot be; a newer one may mend it.
        again = {name: version for name, version in again.items() if (name, version) in self._known().listed}
        if again:
            done = _both(done, self._change(work, "reinstall", self._words(again)))
        self._repaired, self._repair = list(again.items()), done
        return done

    def mark_automatic(self, names: t.Sequence[str], work: Work) -> Done:  # noqa: ARG002 - dnf forgets nothing
        return Done(0, "")

    def _change(self, work: Work, command: str, words: t.Sequence[str]) -> Done:
        again = [without_epoch(word) for word in words] if command == "reinstall" else []
        self._scripts.settle(self._there, again)
        self._offers = None
        done = self.dnf.change(["dnf", *_CAREFUL, "--best", command, *words], work.log, work.timeout)
        packages = self.installed()
        self._scripts.settle(self._there)
        failed = [f"{one.name} is {one.state}" for one in packages.values() if not one.is_whole]
        self._warn(done.out)
        if failed and not done.status:
            # rpm and dnf are content with that.
            return Done(1, done.out, program="dnf", how="dnf ended well, and yet not all is well")
        return done

    def _warn(self, text: str) -> None:
        """A script of what is gone failed: nothing can be done about it any more, but somebody should know."""
        for package, told in read(text, self._there).items():
            if package not in self._there.values():
                self.warned.append(f"a script of {package}, which is gone, failed ({'; '.join(told[:_MOST_TOLD])})")

    def _architecture(self, name: str) -> str:
        return self._architectures.get(name) or name.partition(":")[2] or self.dnf.where("architecture")

    def _word(self, name: str, version: str) -> str:
        listed = self._known().listed.get((name, version))
        return rpm_versions.full(name, version, listed.architecture if listed else self._architecture(name))

    def _words(self, wanted: t.Mapping[str, str]) -> list[str]:
        return [self._word(name, version) for name, version in sorted(wanted.items())]

    # Afterwards.

    def with_advice(self, found: replaced.Look) -> replaced.Look:
        return dnf_restarts.with_needs_restarting(self.dnf, found)

    def reboot(self, packages: t.Mapping[str, Installed], found: replaced.Look) -> reboot.Reboot:
        return dnf_restarts.reboot_of(packages, rpm_state.rows(self.dnf), found)

    def url(self, name: str, version: str, release: t.Mapping[str, str]) -> str:
        """As the type `rpm` of purl has it: `distro` is like fedora-25, and the vendor of RHEL is redhat."""
        epoch, upstream, build = rpm_versions.split(version)
        known = release.get("ID") or "rhel"
        about = {"arch": self._architecture(name), "epoch": epoch if epoch != "0" else ""}
        if release.get("VERSION_ID"):
            about["distro"] = f"{known}-{release['VERSION_ID']}"
        vendor = "redhat" if known == "rhel" else known
        return cyclonedx.package_url("rpm", name.partition(":")[0], f"{upstream}-{build}", vendor, **about)


def _both(one: Done, other: Done) -> Done:
    text = f"{one.out}\n{other.out}".strip()
    return Done(one.status or other.status, text, program="dnf", how=one.how if one.status else other.how)
