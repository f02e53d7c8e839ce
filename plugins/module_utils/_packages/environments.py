# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments of Python: what is installed in them, told by the metadata that pip or uv left there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import glob
import json
import os
import re
import typing as t

from .changes import PYPI
from .model import Node, Source, SourceError, read_text
from .pep440 import canonical

Headers = t.Dict[str, t.List[str]]

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_METADATA = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


def is_environment(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "pyvenv.cfg"))


def read_environment(project: str, directory: str) -> Source:
    """:raises SourceError: when it is no virtual environment, or nobody may look into it."""
    place = os.path.join(project, directory)
    source = Source(project, directory, PYPI, "environment")
    settings = dict(_settings(read_text(os.path.join(place, "pyvenv.cfg"))))
    version = re.match(r"\d+(?:\.\d+)*", settings.get("version_info") or settings.get("version") or "")
    source.language = version.group() if version else ""
    if settings.get("include-system-site-packages", "false").lower() == "true":
        source.problems.append("it also sees the packages of the system, which are not looked at")
    libraries = sorted({os.path.realpath(path) for path in glob.glob(os.path.join(place, "lib*/py*/site-packages"))})
    if not libraries:
        raise SourceError(f"{directory} has no site-packages: it is no whole environment")
    needs: dict[str, list[str]] = {}
    for library in libraries:
        _read_library(source, library, needs)
    for key, names in needs.items():
        source.nodes[key].wants += [node.key for name in names for node in source.named(name)]
    needed = {key for node in source.nodes.values() for key in node.wants}
    source.direct = {key: "" for key in source.nodes if key not in needed} or dict.fromkeys(source.nodes, "")
    return source


def read_headers(text: str) -> Headers:
    """The fields of a METADATA file, each with all its values; the description behind them is left out."""
    found: Headers = {}
    last = ""
    for line in text.splitlines():
        if not line.strip():
            break
        if line[0] in " \t" and last:
            found[last][-1] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if colon:
            last = name.lower()
            found.setdefault(last, []).append(value.strip())
    return found


def _settings(text: str) -> t.Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            yield name.strip().lower(), value.strip()


def _read_library(source: Source, library: str, needs: dict[str, list[str]]) -> None:
    try:
        names = sorted(os.listdir(library))
    except OSError as exc:
        raise SourceError(f"{source.file}: its packages cannot be listed: {exc.strerror}") from exc
    for name in names:
        stem, ending = os.path.splitext(name)
        # pip gives what it is about to remove a tilde.
        if ending not in _METADATA or name.startswith("~"):
            continue
        place = os.path.join(library, name)
        file = place if os.path.isfile(place) else os.path.join(place, _METADATA[ending])
        try:
            headers = read_headers(read_text(file))
        except SourceError as exc:
            source.problems.append(f"{name}: {exc}")
            continue
        if not headers.get("name") or not headers.get("version"):
            source.problems.append(f"{name} tells no name or no version: an installation was interrupted there")
            continue
        package, version = canonical(headers["name"][0]), headers["version"][0]
        key = f"{package}=={version}"
        if key not in source.nodes and source.named(package):
            source.problems.append(
                f"{package} is there in two versions, {stem} among them: which one is used is not known"
            )
        source.add(Node(key, package, version, own=_is_own(place)))
        needs[key] = [
            match.group(1)
            for match in (_NAME.match(text) for text in headers.get("requires-dist", []) if "extra ==" not in text)
            if match
        ]


def _is_own(place: str) -> bool:
    """Whether it was installed from a directory of this host."""
    try:
        with open(os.path.join(place, "direct_url.json"), encoding="utf-8") as handle:
            told = json.load(handle)
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and "dir_info" in told
