# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of packages: fetched anew and each source judged by itself, or as they are, with their age.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`apt-get update` ends with status 0 when sources failed: old lists are then used without a word, or none. So neither its
status counts nor its last line, but what it says of each source, and whether the list of each source is there.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import time
import typing as t

from .._core.durations import format_duration
from .._core.masking import mask_secrets
from .programs import Apt, Done, PatchingError, tail

_LINE = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) -?\d+.*")
_INDEX = "InRelease"
_FAILED = re.compile(r"Err:\d+ (?P<what>\S+ \S+).*")
#: Warnings of apt that mean that a list is not what it should be; older versions of apt know no Error-Mode.
_BAD_WARNING = re.compile(
    r"Failed to fetch|failed to download|old ones used|not updated|GPG error|is not signed|no longer signed"
    r"|does not have a Release file|could(?:n't| not) be verified|not valid yet|is expired|Invalid .* entry"
)
_CREDENTIALS = re.compile(r"(://)[^/@]+@")
#: A clock that is a little ahead is no reason to call a list older than it is.
_SLACK = 60


@dataclasses.dataclass
class Source:
    """One source of packages. `problem`: why its list cannot be trusted; `age_seconds`: since apt last had it whole."""

    name: str
    file: str
    age_seconds: float | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, t.Any]:
        age = None if self.age_seconds is None else round(self.age_seconds)
        return {"source": self.name, "age_seconds": age, "problem": self.problem}


@dataclasses.dataclass
class Lists:
    """All sources, and what the manager warned of that is no failure.

    `blind`: sources that cannot tell which of their versions are security fixes, where nothing depends on that.
    """

    sources: list[Source]
    warnings: list[str] = dataclasses.field(default_factory=list)
    manager: str = "apt"
    blind: list[str] = dataclasses.field(default_factory=list)

    @property
    def problem(self) -> str:
        """Why they cannot be trusted; each source with its reason."""
        if not self.sources:
            return f"{self.manager} has no source of packages at all"
        return "; ".join(f"{one.name}: {one.problem}" for one in self.sources if one.problem)

    @property
    def good(self) -> int:
        return sum(not one.problem for one in self.sources)


def sources(apt: Apt) -> list[Source]:
    """What is written in the host's lists of sources, also what was never fetched. No network is needed.

    :raises PatchingError: when apt cannot read them.
    """
    found = []
    for line in apt.call("apt-get", "update", "--print-uris").out.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match and match.group("file").endswith(f"_{_INDEX}"):
            url = _CREDENTIALS.sub(r"\1", match.group("url"))
            base, _dists, rest = url.rpartition(f"/{_INDEX}")[0].partition("/dists/")
            found.append(Source(f"{base} {rest}".strip(), match.group("file")))
    return found


def known(apt: Apt, max_age: float) -> Lists:
    """The lists as they are. One that apt has not had for too long is not trusted.

    apt touches the file of a source whenever it has asked for it and got it, or heard that it is unchanged.
    """
    now = time.time()
    found = sources(apt)
    for source in found:
        touched = _touched(apt, source)
        if touched is None:
            source.problem = "apt has never fetched it"
            continue
        source.age_seconds = max(0.0, now - touched)
        if source.age_seconds > max_age + _SLACK:
            old, limit = format_duration(source.age_seconds), format_duration(max_age)
            source.problem = f"apt last had it {old} ago, longer than {limit}"
    return Lists(found)


def refresh(apt: Apt, timeout: float) -> Lists:
    """Have apt fetch the lists, and judge each source by what became of it.

    :raises PatchingError: when apt cannot read its sources, or does not end in time.
    """
    found = sources(apt)
    arguments = ("-q", "-o", "APT::Update::Error-Mode=any", "update")
    return _judge(apt, found, apt.call("apt-get", *arguments, must=False, timeout=timeout))


def fetch_aside(apt: Apt, place: str, timeout: float) -> tuple[Apt, Lists]:
    """The newest lists in a directory of their own, beginning with those of the host, which are left alone.

    :returns: an apt that uses them, and how each source is.
    """
    lists = os.path.join(place, "lists")
    shutil.copytree(apt.lists, lists, ignore=shutil.ignore_patterns("partial", "lock", "auxfiles"))
    for name in ("partial", "auxfiles"):
        os.makedirs(os.path.join(lists, name), exist_ok=True)
    # With caches of their own: without any, each of the many simulations would read all lists again.
    caches = [f"Dir::Cache::{name}={os.path.join(place, name)}.bin" for name in ("pkgcache", "srcpkgcache")]
    settings = [f"Dir::State::lists={lists}/", *caches]
    # Nor may what others have hung on the end of an update be told of ours.
    hooks = [f"#clear APT::Update::{name}" for name in ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")]
    aside = os.path.join(place, "apt.conf")
    with open(aside, "w", encoding="utf-8") as file:
        file.write("".join(f"{hook};\n" for hook in hooks))
    apart = apt.with_settings(settings)
    found = sources(apart)
    arguments = ("-q", "-c", aside, "-o", "APT::Update::Error-Mode=any", "update")
    done = apart.call("apt-get", *arguments, must=False, timeout=timeout)
    judged = _judge(apart, found, done)
    for source in judged.sources:
        if source.problem:
            # Copying made ours look new.
            touched = _touched(apt, source)
            source.age_seconds = None if touched is None else max(0.0, time.time() - touched)
    return apart, judged


def _judge(apt: Apt, found: list[Source], done: Done) -> Lists:
    said = [line.strip() for line in f"{done.out}\n{done.err}".splitlines() if line.strip()]
    warnings = [line[2:].strip() for line in said if line.startswith("W:")]
    errors = [line[2:].strip() for line in said if line.startswith("E:")]
    errors += [line for line in warnings if _BAD_WARNING.search(line)]
    broken = [match.group("what") for line in said if (match := _FAILED.match(line))]
    errors = [_CREDENTIALS.sub(r"\1", str(mask_secrets(line))) for line in errors]
    now = time.time()
    for source in found:
        url, _space, suite = source.name.partition(" ")
        if any(what == source.name or what.startswith(f"{source.name}/") for what in broken) or any(
            f"{url}/dists/{suite}/" in line or f"{source.name} " in line for line in errors
        ):
            about = [line for line in errors if url in line and suite in line]
            source.problem = tail("; ".join(about[:2]), 2) or "apt could not fetch it"
        touched = _touched(apt, source)
        if touched is None:
            source.problem = source.problem or "apt has no list of it"
        else:
            source.age_seconds = max(0.0, now - touched)
    if (errors or done.status) and not any(source.problem for source in found):
        # Something failed, and apt does not say of what: no source is above suspicion.
        for source in found:
            source.problem = "; ".join(errors[:2]) or done.said
    mild = [_CREDENTIALS.sub(r"\1", str(mask_secrets(line))) for line in warnings if not _BAD_WARNING.search(line)]
    return Lists(found, list(dict.fromkeys(mild)))


def _touched(apt: Apt, source: Source) -> float | None:
    """When apt last had the index of a source, whole and signed; None when it has none."""
    for name in (source.file, source.file[: -len(_INDEX)] + "Release"):
        try:
            return os.stat(os.path.join(apt.lists, name)).st_ctime
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise PatchingError(f"{exc.filename} cannot be looked at: {exc.strerror or exc}") from exc
    return None
