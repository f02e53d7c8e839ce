# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project depends on, as one of its files or its environment tells it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import collections
import dataclasses
import os

from .changes import PYPI
from .pep440 import canonical

#: A file of more than this is no lock.
_MOST_BYTES = 64 * 1024 * 1024
_ROOT = ""


class SourceError(Exception):
    """A file or an environment that cannot be read as what it should be; the message names it."""


@dataclasses.dataclass
class Node:
    """One package of a source.

    :param version: empty where the source does not tell it; then `problem` says why.
    :param wants: keys of the packages that it needs itself.
    :param own: it is the project's own, or made here: no index knows it.
    """

    key: str
    name: str
    version: str
    wants: list[str] = dataclasses.field(default_factory=list)
    own: bool = False
    problem: str = ""


@dataclasses.dataclass
class Source:
    """A lock, a file of requirements or an environment.

    :param kind: `lock`, `requirements` or `environment`: the last tells what is installed, the others what should be.
    :param direct: what the project itself asks for: key of the node, and the range it may be in (empty: any).
    :param problems: why it does not tell everything. Each makes the look incomplete.
    :param stale: what the project's manifest asks for and this lock has not.
    :param closed: whether every package that would be installed is in it.
    :param asked: lines of a file of requirements that name a package, as they are written, without hashes.
    :param limits: paths of its files of constraints.
    :param offline: it says itself that no index may be asked.
    :param configuration: settings of the project for the tool that asks its registry.
    :param configured: digest of these settings: projects with the same are asked for together.
    :param language: version of the interpreter that it is for, where that is known.
    """

    project: str
    file: str
    ecosystem: str
    kind: str
    nodes: dict[str, Node] = dataclasses.field(default_factory=dict)
    direct: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    stale: list[str] = dataclasses.field(default_factory=list)
    closed: bool = True
    language: str = ""
    indexes: tuple[str, ...] = ()
    configuration: str = ""
    configured: str = ""
    asked: list[str] = dataclasses.field(default_factory=list)
    limits: list[str] = dataclasses.field(default_factory=list)
    offline: bool = False

    def add(self, node: Node) -> Node:
        return self.nodes.setdefault(node.key, node)

    def named(self, name: str) -> list[Node]:
        """The nodes of a package; a lock may hold several versions of it."""
        wanted = canonical(name) if self.ecosystem == PYPI else name
        return [node for node in self.nodes.values() if node.name == wanted]

    def paths(self, wanted: set[str], most: int) -> list[list[str]]:
        """The shortest ways from the project to these nodes, as names with versions, no node of a way twice."""
        found: list[list[str]] = []
        seen: set[str] = set()
        queue: collections.deque[tuple[str, ...]] = collections.deque((key,) for key in self.direct)
        while queue and len(found) < most:
            way = queue.popleft()
            key = way[-1]
            node = self.nodes.get(key)
            if node is None:
                continue
            if key in wanted:
                found.append([self._told(step) for step in way])
                continue
            if key in seen:
                continue
            seen.add(key)
            queue.extend((*way, inner) for inner in node.wants if inner not in way)
        return found

    def _told(self, key: str) -> str:
        node = self.nodes[key]
        return f"{node.name} {node.version}".strip()


@dataclasses.dataclass
class Project:
    """A directory, and all that was found in it."""

    path: str
    sources: list[Source] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def all_problems(self) -> list[str]:
        told = [f"{source.file}: {problem}" for source in self.sources for problem in source.problems]
        return [*self.problems, *told]


def read_text(path: str) -> str:
    """:raises SourceError: when it cannot be read, is no text or too long for what it should be."""
    try:
        with open(path, "rb") as handle:
            if os.fstat(handle.fileno()).st_size > _MOST_BYTES:
                raise SourceError(f"{os.path.basename(path)} has more than {_MOST_BYTES} bytes")
            return handle.read().decode("utf-8-sig")
    except OSError as exc:
        raise SourceError(f"{os.path.basename(path)} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SourceError(f"{os.path.basename(path)} is not UTF-8: {exc.reason} at byte {exc.start}") from exc
