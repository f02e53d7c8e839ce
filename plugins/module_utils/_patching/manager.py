# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam: what a package manager has to answer and to do. What follows from its answers is decided elsewhere, once.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import abc
import dataclasses
import os
import typing as t

from .archives import Origin, Table
from .lists import Lists
from .packages import Installed, Interrupted
from .possible import Simulation
from .preflight import Holder, Sizes
from .previous import Way
from .programs import Done
from .reboot import Reboot
from .replaced import Look

if t.TYPE_CHECKING:
    from .plan import Plan, Policy

LEAVE, UPGRADE = "leave", "upgrade"
KEEP, NEW = "keep", "new"


@dataclasses.dataclass(frozen=True)
class Work:
    """How a change is to be made, and where what is said of it is kept."""

    log: str
    conffiles: str
    lock_timeout: float
    timeout: float


class Manager(abc.ABC):
    """A package manager of this host."""

    #: What it is called, and what the program below it is called that has the installed packages.
    name = ""
    below = ""
    #: By which command lists are fetched, what is installed is checked, and what was interrupted is repaired.
    refreshes = ""
    audits = ""
    repairs = ""
    #: Whether a package is to be left in its version by a mark of the administrator, which `release` takes away.
    release = ""
    hold = ""
    #: Programs whose version belongs into the evidence.
    programs: tuple[str, ...] = ()

    def __init__(self) -> None:
        #: What happened that is no failure, and that somebody should know.
        self.warned: list[str] = []

    # Where things are.

    @property
    @abc.abstractmethod
    def root(self) -> str:
        """Where packages are unpacked to."""

    @property
    @abc.abstractmethod
    def archives(self) -> str:
        """Where packages are downloaded to."""

    @property
    @abc.abstractmethod
    def admin(self) -> str:
        """Where it is written down what is installed."""

    def in_root(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    @abc.abstractmethod
    def which(self, name: str) -> str:
        """Where a program is; empty when it is not there."""

    @abc.abstractmethod
    def call(self, *argv: str, must: bool = True, timeout: float = 0) -> Done:
        """Run a program that only looks."""

    def version_of(self, program: str) -> str:
        """What a program says of its version."""
        return self.call(program, "--version", must=False).out.partition("\n")[0].strip()

    # What is installed.

    @abc.abstractmethod
    def installed(self) -> dict[str, Installed]:
        """All packages of which there is at least something."""

    @abc.abstractmethod
    def interrupted(self, packages: t.Mapping[str, Installed]) -> Interrupted:
        """What is neither wholly there nor gone."""

    @abc.abstractmethod
    def audit(self) -> str:
        """What is wrong with what is installed; empty when nothing is."""

    @abc.abstractmethod
    def lock_holders(self) -> list[Holder]:
        """Who is at work with packages now."""

    @abc.abstractmethod
    def automatic(self) -> set[str]:
        """Packages that only came because others need them, where an upgrade could make that forgotten."""

    @abc.abstractmethod
    def conffiles(self, names: t.Iterable[str]) -> dict[str, dict[str, tuple[str, str]]]:
        """Configuration files of packages, by path in the root: algorithm and digest of what the package brought."""

    @abc.abstractmethod
    def beside(self, policy: str) -> dict[str, str]:
        """With which endings the other one of two configuration files lies beside the one that is used, and whose is
        used then: `own` or `package`."""

    # What could be installed.

    @abc.abstractmethod
    def known(self, max_age: float) -> Lists:
        """The lists of packages as they are."""

    @abc.abstractmethod
    def refresh(self, timeout: float) -> Lists:
        """The newest lists, for the whole host."""

    @abc.abstractmethod
    def fetch_aside(self, place: str, timeout: float) -> tuple[Manager, Lists]:
        """The newest lists in a directory, and a manager that goes by them; those of the host stay as they are."""

    @abc.abstractmethod
    def unseen(self, known: Lists, policy: Policy, max_age: float) -> str:
        """Why security fixes could not be seen; empty when they could. A source that stopped gets its problem."""

    @abc.abstractmethod
    def tables(self, names: t.Iterable[str]) -> dict[str, Table]:
        """Which versions there are of each of these packages."""

    @abc.abstractmethod
    def told(self, origins: t.Sequence[Origin]) -> list[str]:
        """Where a version comes from, in words."""

    @abc.abstractmethod
    def is_newer(self, version: str, than: str) -> bool:
        """Whether a version comes after another one."""

    @abc.abstractmethod
    def upgrade(self) -> Simulation:
        """What an upgrade of everything would do that removes nothing."""

    @abc.abstractmethod
    def install(self, wanted: t.Mapping[str, str]) -> Simulation:
        """What installing these very versions would do. That it refuses is an answer, told in `problem`."""

    @abc.abstractmethod
    def obstacle(self, table: Table, version: str) -> tuple[str, str]:
        """What in the set-up of the host keeps a version out, as a word and as a reason; both empty when nothing."""

    @abc.abstractmethod
    def unexplained(self, plan: Plan, policy: Policy) -> list[str]:
        """What the manager itself would still upgrade, by its own simulation, and what was not told as left.

        The plan is ours: what it does not see, it would not see afterwards either.
        """

    @abc.abstractmethod
    def sizes(self, wanted: t.Mapping[str, str], packages: t.Mapping[str, Installed]) -> Sizes:
        """What has to be fetched and unpacked for these versions."""

    # The way back.

    @abc.abstractmethod
    def ways_back(
        self, packages: t.Mapping[str, Installed], tables: t.Mapping[str, Table], kept: str
    ) -> dict[str, Way]:
        """For each package, where its installed version is. `kept`: directory with what was put aside for this."""

    @abc.abstractmethod
    def keep(self, way: Way, directory: str, work: Work) -> Way:
        """Put the installed version aside, for archives forget old versions and caches are cleaned."""

    @abc.abstractmethod
    def prune(self, directory: str, wanted: t.Mapping[str, str]) -> None:
        """Remove what was put aside for earlier upgrades: the way back leads over the last one alone."""

    @abc.abstractmethod
    def back_problem(self, ways: t.Sequence[Way]) -> str:
        """Why it would not go back to these versions; empty when it would."""

    # What changes packages. Each ends well or not; what it says is in the log.

    @abc.abstractmethod
    def fetch(self, wanted: t.Mapping[str, str], work: Work) -> Done:
        """Download these versions, and what comes with them."""

    @abc.abstractmethod
    def put(self, wanted: t.Mapping[str, str], work: Work) -> Done:
        """Install these versions; one that is there and not whole is made whole."""

    @abc.abstractmethod
    def put_back(self, ways: t.Sequence[Way], work: Work) -> Done:
        """Install the versions of before."""

    @abc.abstractmethod
    def repair(self, work: Work) -> Done:
        """Bring to its end what was interrupted."""

    @abc.abstractmethod
    def mark_automatic(self, names: t.Sequence[str], work: Work) -> Done:
        """Have it remember that these only came because others need them."""

    # Afterwards.

    @abc.abstractmethod
    def with_advice(self, found: Look) -> Look:
        """Add what a program of the host knows of services that have to be restarted, where it has one."""

    @abc.abstractmethod
    def reboot(self, packages: t.Mapping[str, Installed], found: Look) -> Reboot:
        """Whether the host has to be rebooted, and why."""

    @abc.abstractmethod
    def url(self, name: str, version: str, release: t.Mapping[str, str]) -> str:
        """The package URL of one installed package.

        :param release: what /etc/os-release says: ID, VERSION_ID, VERSION_CODENAME.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Let go of what it has open."""
