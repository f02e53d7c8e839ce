# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in one commit: the files as they may be seen, and a manifest of what Git does not keep.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The manifest is a file beside them, a line for each path in the order of the paths, so that a change of an owner or a
mode can be read in a diff as one of a content can. Its keys:

``kind`` file, link or directory; ``mode`` in octal; ``owner`` and ``group`` by name; and where it is so:
``filtered`` the number of lines with a secret that are not as they were, ``sealed`` a keyed digest of what is
encrypted, ``left_out`` why the content is not here.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .._core.sealing import SUFFIX, seal
from .filtering import Secrets, why_secret
from .looking import FILE, LINK, Entry, Seen, matches

MANIFEST = ".steward-manifest.json"

_FORMAT = 1
_PLAIN = "100644"
_EXECUTABLE = "100755"
_LINK = "120000"

Manifest = t.Dict[str, t.Dict[str, t.Any]]


class ManifestError(Exception):
    """A manifest cannot be read; the text says why."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """A file of the tree: its mode, and either its contents or the object that holds them already."""

    mode: str
    content: bytes = b""
    object_id: str = ""


@dataclasses.dataclass(frozen=True)
class Policy:
    """What is done with what is found; sizes in bytes."""

    encrypt: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    largest: int = 2**20


@dataclasses.dataclass
class Contents:
    """What is to be committed.

    :param left_out: paths and why their contents are not among it.
    """

    tree: dict[str, Stored] = dataclasses.field(default_factory=dict)
    manifest: Manifest = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    sealed: int = 0
    filtered_lines: int = 0


Tree = t.Mapping[str, t.Tuple[str, str]]


def assemble(seen: Seen, policy: Policy, secrets: Secrets, old_tree: Tree, old_manifest: Manifest) -> Contents:
    """What was found as it is to be kept, and what could not be looked at as it was."""
    made = Contents()
    for entry in seen.entries.values():
        _add(entry, policy, secrets, old_tree, old_manifest, made)
    for path, told in old_manifest.items():
        if path not in made.manifest and seen.keeps(path):
            made.manifest[path] = told
            name = stored_name(path, told)
            if name and name in old_tree:
                mode, object_id = old_tree[name]
                made.tree[name] = Stored(mode, object_id=object_id)
    made.tree[MANIFEST] = Stored(_PLAIN, write(made.manifest))
    return made


def stored_name(path: str, told: t.Mapping[str, t.Any]) -> str:
    """Under which name a path of the manifest lies in the tree; an empty text when it does not."""
    if told["kind"] not in (FILE, LINK) or "left_out" in told:
        return ""
    return path + SUFFIX if "sealed" in told else path


def _add(
    entry: Entry, policy: Policy, secrets: Secrets, old_tree: Tree, old_manifest: Manifest, made: Contents
) -> None:
    told: dict[str, t.Any] = {
        "kind": entry.kind,
        "mode": f"{entry.mode:04o}",
        "owner": entry.owner,
        "group": entry.group,
    }
    made.manifest[entry.path] = told
    if entry.kind == LINK:
        made.tree[entry.path] = Stored(_LINK, entry.content)
    elif entry.kind == FILE:
        why = _store(entry, told, policy, secrets, (old_tree, old_manifest), made)
        if why:
            told["left_out"] = why
            made.left_out[entry.path] = why


def _store(
    entry: Entry,
    told: dict[str, t.Any],
    policy: Policy,
    secrets: Secrets,
    old: tuple[Tree, Manifest],
    made: Contents,
) -> str:
    """Put the file into the tree, or say why not."""
    if entry.bytes > policy.largest:
        return f"it is larger than {policy.largest} bytes"
    if matches(f"/{entry.path}", policy.encrypt):
        told["sealed"] = secrets.digest(entry.content + b"\0" + " ".join(sorted(policy.recipients)).encode())
        made.tree[entry.path + SUFFIX] = _sealed(entry, told["sealed"], policy, old)
        made.sealed += 1
        return ""
    why = why_secret(entry.path, entry.content)
    if why:
        return f"{why}, and it is not to be encrypted"
    filtered = secrets.filter(entry.content)
    if filtered.lines and b"\0" in entry.content:
        return "it is no text, and holds what looks like a secret"
    if filtered.lines:
        told["filtered"] = filtered.lines
        made.filtered_lines += filtered.lines
    made.tree[entry.path] = Stored(_EXECUTABLE if entry.mode & 0o100 else _PLAIN, filtered.content)
    return ""


def _sealed(entry: Entry, digest: str, policy: Policy, old: tuple[Tree, Manifest]) -> Stored:
    """age gives another text each time: the one that is there stays as long as what is in it does."""
    old_tree, old_manifest = old
    there = old_tree.get(entry.path + SUFFIX)
    if there and old_manifest.get(entry.path, {}).get("sealed") == digest:
        return Stored(there[0], object_id=there[1])
    return Stored(_PLAIN, seal(entry.content, policy.recipients))


def write(manifest: Manifest) -> bytes:
    lines = [f" {_json(path)}: {_json(manifest[path])}" for path in sorted(manifest)]
    return (f'{{"format": {_FORMAT}, "paths": {{\n' + ",\n".join(lines) + "\n}}\n").encode("utf-8", "surrogatepass")


def _json(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def read(text: bytes) -> Manifest:
    """:raises ManifestError: when it is not one of ours, or names a path that would lie somewhere else."""
    try:
        data = json.loads(text.decode("utf-8", "surrogatepass"))
        if data["format"] != _FORMAT:
            raise ManifestError(f"{MANIFEST} has the format {data['format']!r}, which this version cannot read")
        paths = dict(data["paths"])
        for path, told in paths.items():
            words = path.split("/")
            if "\0" in path or any(word in ("", ".", "..") for word in words):
                raise ManifestError(f"{MANIFEST} names the path {path!r}, which nobody would write there")
            int(told["mode"], 8)
            str(told["owner"] + told["group"] + told["kind"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ManifestError(f"{MANIFEST} is damaged: {exc}") from exc
    return paths
