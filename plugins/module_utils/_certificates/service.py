# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How services are told to look at their configuration and to load it anew.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import shutil
import typing as t

from .._core.application import ApplicationError, run_command

Argv = t.Tuple[str, ...]


class CommandRefused(ApplicationError):
    """A command ran and said no; whoever could not be asked says nothing of a configuration."""


@dataclasses.dataclass(frozen=True)
class Service:
    """Commands as lists of words; no shell reads them."""

    testing: tuple[Argv, ...]
    reloading: tuple[Argv, ...]
    timeout: float = 60

    def test(self) -> None:
        """:raises ApplicationError: naming the command and what it said."""
        self._run(self.testing)

    def reload(self) -> None:
        """:raises ApplicationError: naming the command and what it said."""
        self._run(self.reloading)

    def _run(self, commands: t.Iterable[Argv]) -> None:
        for argv in commands:
            status, said = run_command(argv, self.timeout)
            if status:
                raise CommandRefused(f"{' '.join(argv)} ended with status {status}: {said or 'it said nothing'}")


#: One that could not start for want of its first certificate is started, all others are reloaded.
_LOAD = ("systemctl", "reload-or-restart")


def _apache() -> tuple[Argv, Argv]:
    """Debian's name, or that of all others."""
    unit, program = ("apache2", "apache2ctl") if shutil.which("apache2ctl") else ("httpd", "apachectl")
    return (program, "configtest"), (*_LOAD, unit)


#: By name: the command that tests the configuration, where there is one, and the one that reloads it.
PRESETS: dict[str, t.Callable[[], tuple[Argv, Argv]]] = {
    "nginx": lambda: (("nginx", "-t", "-q"), (*_LOAD, "nginx")),
    "haproxy": lambda: (("haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"), (*_LOAD, "haproxy")),
    "apache": _apache,
    # It has no test: with files that it cannot use it goes on with the old ones, which the proof sees.
    "postgresql": lambda: ((), ("systemctl", "reload", "postgresql")),
}


def service_of(preset: str, testing: t.Sequence[Argv], reloading: t.Sequence[Argv], timeout: float) -> Service:
    """The commands that were given, and the preset's where none were."""
    usual_test, usual_reload = PRESETS[preset]() if preset != "none" else ((), ())
    return Service(
        tuple(testing) or ((usual_test,) if usual_test else ()),
        tuple(reloading) or ((usual_reload,) if usual_reload else ()),
        timeout,
    )
