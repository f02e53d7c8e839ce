# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg behind the seam.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core import cyclonedx
from . import archives as known_archives
from . import (
    configuration,
    dpkg,
    lists,
    preflight,
    previous,
    reboot,
    releases,
    replaced,
    simulation,
    versions,
)
from .archives import Origin, Table
from .lists import Lists
from .manager import KEEP, Manager, Work
from .packages import Installed, Interrupted
from .possible import Simulation
from .programs import Apt, Done

if t.TYPE_CHECKING:
    from .plan import Plan, Policy

#: What goes back may be older, and still removes nothing.
_BACKWARDS = ("install", "-y", "--allow-downgrades", "--no-install-recommends", "--no-remove")


class AptManager(Manager):
    """apt with dpkg."""

    name = "apt"
    below = "dpkg"
    refreshes = "apt-get update"
    audits = "dpkg --audit"
    repairs = "dpkg --configure -a"
    hold = "apt-mark hold"
    release = "apt-mark unhold"
    programs = ("apt-get", "dpkg")

    def __init__(self, apt: Apt) -> None:
        super().__init__()
        self.apt = apt

    @property
    def root(self) -> str:
        return self.apt.root

    @property
    def archives(self) -> str:
        return self.apt.archives

    @property
    def admin(self) -> str:
        return self.apt.admin

    def which(self, name: str) -> str:
        return self.apt.which(name)

    def call(self, *argv: str, must: bool = True, timeout: float = 0) -> Done:
        return self.apt.call(*argv, must=must, timeout=timeout)

    def installed(self) -> dict[str, Installed]:
        return dpkg.installed(self.apt)

    def interrupted(self, packages: t.Mapping[str, Installed]) -> Interrupted:
        return dpkg.interrupted(self.apt, packages)

    def audit(self) -> str:
        return dpkg.audit(self.apt)

    def lock_holders(self) -> list[preflight.Holder]:
        return preflight.lock_holders(self.apt)

    def automatic(self) -> set[str]:
        return set(self.apt.call("apt-mark", "showauto").out.split())

    def conffiles(self, names: t.Iterable[str]) -> dict[str, dict[str, tuple[str, str]]]:
        # MD5 is what dpkg keeps of them; nobody is kept out by it.
        found = dpkg.conffiles(self.apt, names)
        return {name: {path: ("md5", digest) for path, digest in files.items()} for name, files in found.items()}

    def beside(self, policy: str) -> dict[str, str]:
        return {".dpkg-dist": "own"} if policy == KEEP else {".dpkg-old": "package"}

    def known(self, max_age: float) -> Lists:
        return lists.known(self.apt, max_age)

    def refresh(self, timeout: float) -> Lists:
        return lists.refresh(self.apt, timeout)

    def fetch_aside(self, place: str, timeout: float) -> tuple[Manager, Lists]:
        apart, known = lists.fetch_aside(self.apt, place, timeout)
        return AptManager(apart), known

    def unseen(self, known: Lists, policy: Policy, max_age: float) -> str:
        return releases.judge(self.apt, known, policy.rules, max_age)

    def tables(self, names: t.Iterable[str]) -> dict[str, Table]:
        return known_archives.tables(self.apt, names)

    def told(self, origins: t.Sequence[Origin]) -> list[str]:
        return known_archives.told(origins)

    def is_newer(self, version: str, than: str) -> bool:
        return versions.is_newer(version, than)

    def upgrade(self) -> Simulation:
        return simulation.upgrade(self.apt)

    def install(self, wanted: t.Mapping[str, str]) -> Simulation:
        return simulation.install(self.apt, wanted)

    def obstacle(self, table: Table, version: str) -> tuple[str, str]:
        if not table.candidate or versions.is_newer(version, table.candidate):
            return "pinned", f"the preferences of apt let no version newer than {table.candidate or 'none'} in"
        return "", ""

    def unexplained(self, plan: Plan, policy: Policy) -> list[str]:
        """Of security fixes alone: what else apt would do may need a removal."""
        told = {one.change.name for one in plan.left}
        upgraded = simulation.everything(self.apt).upgraded
        tables = self.tables([name for name in upgraded if name in plan.packages and name not in told])
        return sorted(name for name, table in tables.items() if table.security(policy.rules))

    def sizes(self, wanted: t.Mapping[str, str], packages: t.Mapping[str, Installed]) -> preflight.Sizes:
        return previous.sizes(self.apt, wanted, packages)

    def ways_back(
        self, packages: t.Mapping[str, Installed], tables: t.Mapping[str, Table], kept: str
    ) -> dict[str, previous.Way]:
        return previous.ways_back(self.apt, packages, tables, kept)

    def keep(self, way: previous.Way, directory: str, work: Work) -> previous.Way:
        return previous.keep(self.apt, way, directory, work.log, work.timeout)

    def prune(self, directory: str, wanted: t.Mapping[str, str]) -> None:
        previous.prune(self.apt, directory, wanted)

    def back_problem(self, ways: t.Sequence[previous.Way]) -> str:
        done = self.apt.call("apt-get", "--simulate", *_BACKWARDS, *_back_words(ways), must=False)
        return done.said if done.status else ""

    def fetch(self, wanted: t.Mapping[str, str], work: Work) -> Done:
        return self._change(work, "apt-get", "-q", *simulation.INSTALL, "--download-only", *_words(wanted))

    def put(self, wanted: t.Mapping[str, str], work: Work) -> Done:
        options = configuration.options(work.conffiles)
        return self._change(work, "apt-get", "-q", *simulation.INSTALL, *options, *_words(wanted))

    def put_back(self, ways: t.Sequence[previous.Way], work: Work) -> Done:
        options = configuration.options(work.conffiles)
        return self._change(work, "apt-get", "-q", *_BACKWARDS, *options, *_back_words(ways))

    def repair(self, work: Work) -> Done:
        return self._change(work, "dpkg", *configuration.OPTIONS[work.conffiles], "--configure", "-a")

    def mark_automatic(self, names: t.Sequence[str], work: Work) -> Done:
        return self._change(work, "apt-mark", "auto", *names)

    def with_advice(self, found: replaced.Look) -> replaced.Look:
        return replaced.with_needrestart(self.apt, found)

    def reboot(self, packages: t.Mapping[str, Installed], found: replaced.Look) -> reboot.Reboot:
        return reboot.look(self.apt, packages, found.kernel_state, found.kernel)

    def url(self, name: str, version: str, release: t.Mapping[str, str]) -> str:
        """As the type `deb` of purl has it: `distro` is the codename, where there is one."""
        base, _colon, architecture = name.partition(":")
        about = {"arch": architecture or self.apt.architecture, "distro": release.get("VERSION_CODENAME", "")}
        return cyclonedx.package_url("deb", base, version, release.get("ID") or "debian", **about)

    def _change(self, work: Work, *argv: str) -> Done:
        locks = ["-o", f"DPkg::Lock::Timeout={int(work.lock_timeout)}"] if argv[0] == "apt-get" else []
        words = [argv[0], *locks, *argv[1:]]
        return self.apt.change(words, work.log, configuration.variables(work.conffiles), work.timeout)


def _words(wanted: t.Mapping[str, str]) -> list[str]:
    return [f"{name}={version}" for name, version in sorted(wanted.items())]


def _back_words(ways: t.Iterable[previous.Way]) -> list[str]:
    return sorted(way.path or f"{way.name}={way.version}" for way in ways)
