# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of requirements, as pip reads them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Markers are not judged: what may be installed on some Python is looked at. Where pip-compile or uv wrote `# via`, it is
known who needs what.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .changes import PYPI
from .model import Node, Source, SourceError, read_text
from .pep440 import canonical, is_valid_specifier

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[^\]]*\])?\s*(?P<rest>.*)")
_PIN = re.compile(r"={2,3}\s*(?P<version>[^\s,;*]+)")
_COMMENT = re.compile(r"(?:^|\s)#(?P<text>.*)$")
_OPTION = re.compile(r"(?P<name>--[A-Za-z-]+(?![A-Za-z-])|-[A-Za-z])[ \t]*=?[ \t]*(?P<value>.*)")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_FILES = ("-r", "--requirement")
_CONSTRAINTS = ("-c", "--constraint")
_INDEXES = ("-i", "--index-url", "--extra-index-url")
_EDITABLE = ("-e", "--editable")
#: They say how something is installed, and name nothing that is.
_HOW = (
    *("-f", "--find-links", "--no-binary", "--only-binary", "--prefer-binary", "--require-hashes", "--pre"),
    *("--trusted-host", "--use-feature", "--config-settings", "-C", "--global-option", "--build-constraint"),
)
_ARCHIVES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")
_WHEEL = re.compile(r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[^-/]+)(?:-[^-/]+){3,4}\.whl")


@dataclasses.dataclass
class _Reading:
    source: Source
    hashed: int = 0
    plain: int = 0
    vias: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    last: str = ""
    is_listing: bool = False
    seen: set[str] = dataclasses.field(default_factory=set)
    main_index: str = ""
    extra_indexes: list[str] = dataclasses.field(default_factory=list)


def read_requirements(project: str, file: str) -> Source:
    """:raises SourceError: when the file, or one that it includes, cannot be read."""
    source = Source(project, file, PYPI, "requirements")
    reading = _Reading(source)
    _read(reading, os.path.join(project, file))
    _link(reading)
    source.closed = reading.hashed > 0 and reading.plain == 0
    if reading.hashed and reading.plain:
        source.problems.append("some requirements have hashes and some have not: pip would refuse to install it")
    source.indexes = tuple(([reading.main_index] if reading.main_index else [""]) + reading.extra_indexes)
    return source


def is_pinned(source: Source) -> bool:
    return all(node.version for node in source.nodes.values())


def _read(reading: _Reading, path: str) -> None:
    real = os.path.realpath(path)
    if real in reading.seen:
        return
    reading.seen.add(real)
    for line in _lines(read_text(path)):
        _take(reading, line, os.path.dirname(path))


def _lines(text: str) -> t.Iterator[str]:
    """Logical lines: what ends in a backslash goes on. Comments on lines of their own stay, for `# via`."""
    kept = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            yield from ([kept] if kept.strip() else [])
            kept = ""
            yield line.strip()
            continue
        kept += line[:-1] + " " if line.endswith("\\") else line
        if not line.endswith("\\"):
            yield kept.strip()
            kept = ""
    if kept.strip():
        yield kept.strip()


def _take(reading: _Reading, line: str, directory: str) -> None:
    if line.startswith("#"):
        _take_comment(reading, line[1:])
        return
    comment = _COMMENT.search(line)
    bare = line[: comment.start()].strip() if comment else line
    if not bare:
        reading.last = ""
        return
    if bare.startswith("-"):
        _take_option(reading, bare, directory)
    else:
        _take_requirement(reading, bare)
    if comment:
        _take_comment(reading, comment.group("text"))


def _take_option(reading: _Reading, line: str, directory: str) -> None:
    reading.last = ""
    match = _OPTION.fullmatch(line)
    option, value = (match.group("name"), match.group("value").strip()) if match else (line, "")
    if option in _FILES:
        _read(reading, os.path.join(directory, value))
    elif option in _EDITABLE:
        _take_direct(reading, value, value.split("#egg=")[-1] if "#egg=" in value else value)
    elif option in _INDEXES:
        url = _VARIABLE.sub(lambda found: os.environ.get(found.group(1), found.group()), value)
        if option == "--extra-index-url":
            reading.extra_indexes.append(url)
        else:
            reading.main_index = url
    elif option in _CONSTRAINTS:
        # They install nothing by themselves.
        reading.source.limits.append(os.path.abspath(os.path.join(directory, value)))
    elif option == "--no-index":
        reading.source.offline = True
    elif option not in _HOW:
        # pip may read another file there.
        raise SourceError(f"{reading.source.file}: the option {line[:60]!r} is not known")


def _take_requirement(reading: _Reading, line: str) -> None:
    words = re.split(r"\s--", line, maxsplit=1)
    has_hash = "--hash" in line
    requirement = words[0].strip()
    match = _NAMED.fullmatch(requirement)
    rest = match.group("rest").strip() if match else ""
    if not match or "://" in requirement.split("@")[0] or "/" in match.group("name") or rest.startswith(("/", ":")):
        _take_direct(reading, requirement, requirement)
        return
    if rest.startswith("@"):
        _take_direct(reading, rest[1:].strip(), match.group("name"))
        return
    if requirement.endswith((".whl", *_ARCHIVES)) or requirement.startswith("."):
        _take_direct(reading, requirement, requirement)
        return
    specifier = rest.partition(";")[0].strip()
    name = canonical(match.group("name"))
    if not is_valid_specifier(specifier):
        raise SourceError(f"{reading.source.file}: the requirement {requirement!r} cannot be read")
    reading.hashed += has_hash
    reading.plain += not has_hash
    pin = _PIN.fullmatch(specifier)
    version = pin.group("version") if pin else ""
    key = f"{name}=={version}" if version else name
    problem = "" if version else f"{name} is not pinned ({requirement}): its version is not known"
    reading.source.add(Node(key, name, version, problem=problem))
    reading.source.direct.setdefault(key, f"=={version}" if version else specifier)
    reading.source.asked.append(requirement)
    reading.last = key


def _take_direct(reading: _Reading, target: str, name: str) -> None:
    """What comes from a directory, a file, a repository or an address."""
    reading.plain += 1
    reading.last = ""
    bare = target.partition("#")[0].strip()
    wheel = _WHEEL.fullmatch(bare.rpartition("/")[2])
    if wheel:
        named, version = canonical(wheel.group("name")), wheel.group("version")
        node = reading.source.add(Node(f"{named}=={version}", named, version))
        reading.source.direct.setdefault(node.key, f"=={version}")
        # A wheel is never built, so that pip may be asked for it. Paths are those of where pip would be started.
        is_address = "://" in target
        asked = f"{named} @ {target}" if is_address else os.path.abspath(os.path.join(reading.source.project, bare))
        reading.source.asked.append(asked)
        return
    is_here = "://" not in target and not re.match(r"[A-Za-z.]+@[^/]+:", target)
    shown = re.sub(r"://[^/@]*@", "://", name)[:120]
    problem = "" if is_here else f"{shown} comes from an address, so its version is not known to any index"
    if is_here and bare.endswith(_ARCHIVES):
        problem = f"{shown} is an archive, so its version is not known to any index"
    named = canonical(name) if re.fullmatch(r"[A-Za-z0-9._-]+", name) else shown
    reading.source.add(Node(f"@{shown}", named, "", own=not problem, problem=problem))
    reading.source.direct.setdefault(f"@{shown}", "")


def _take_comment(reading: _Reading, text: str) -> None:
    """Who needs the requirement before: "via flask", or "via" and one name on each of the next lines."""
    words = text.strip()
    if not reading.last:
        return
    if words == "via":
        reading.is_listing = True
        reading.vias.setdefault(reading.last, [])
        return
    if words.startswith("via "):
        reading.is_listing = True
        words = words[4:]
    elif not reading.is_listing or not text.startswith("  "):
        reading.is_listing = False
        return
    for name in words.split(","):
        reading.vias.setdefault(reading.last, []).append(name.strip().split(" ")[0])


def _link(reading: _Reading) -> None:
    """What is there only because others need it is no direct requirement."""
    source = reading.source
    for key, vias in reading.vias.items():
        needing = [node for via in vias if not via.startswith("-") for node in source.named(via)]
        for node in needing:
            node.wants.append(key)
        if needing and not any(via.startswith("-") for via in vias):
            source.direct.pop(key, None)
