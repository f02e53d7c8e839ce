# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry told npm of packages, out of npm's cache: their versions, when they came out, their links.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

npm has asked with its own settings, tokens, proxies and certificates. Its cache has an index (a line of JSON with the
address and the digest of the content) and the contents, each in a file that bears its digest; both are compared here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import typing as t
import urllib.parse

from .looks import Listing, Release

_INDEX = os.path.join("_cacache", "index-v5")
_CONTENT = os.path.join("_cacache", "content-v2")
_ANSWER = "make-fetch-happen:request-cache:"
_SHORTHAND = re.compile(r"(?P<host>github|gitlab|bitbucket):(?P<path>[\w.-]+/[\w.-]+)|(?P<plain>[\w.-]+/[\w.-]+)")
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}

Table = t.Dict[str, t.Any]


def read_listings(cache: str) -> tuple[dict[str, Listing], dict[str, str]]:
    """What is in the cache of each package, and the address of the registry that it came from."""
    found: dict[str, Listing] = {}
    registries: dict[str, str] = {}
    for entry in _entries(os.path.join(cache, _INDEX)):
        packument = _content(cache, str(entry.get("integrity") or ""))
        name = packument.get("name")
        if not isinstance(name, str) or not isinstance(packument.get("versions"), dict):
            continue
        url = str((entry.get("metadata") or {}).get("url") or entry["key"][len(_ANSWER) :])
        registries[name] = _registry(url, name)
        # Both the short and the long form may be there; only the long one has the moments.
        if name not in found or isinstance(packument.get("time"), dict):
            found[name] = listing_of(packument)
    return found, registries


def _entries(index: str) -> t.Iterator[Table]:
    for directory, _directories, files in os.walk(index):
        for file in sorted(files):
            with open(os.path.join(directory, file), encoding="utf-8", errors="replace") as handle:
                lines = handle.read().splitlines()
            for line in lines:
                digest, tab, text = line.partition("\t")
                if not tab or hashlib.sha1(text.encode()).hexdigest() != digest:  # noqa: S324 - npm's own check
                    continue
                entry = json.loads(text)
                if str(entry.get("key") or "").startswith(_ANSWER) and entry.get("integrity"):
                    yield entry


def _content(cache: str, integrity: str) -> Table:
    """The document with this digest; empty when it is not there as it was written, or no document."""
    algorithm, dash, encoded = integrity.split(" ", maxsplit=1)[0].partition("-")
    try:
        digest = base64.b64decode(encoded, validate=True).hex()
    except (binascii.Error, ValueError):
        return {}
    if not dash or algorithm not in ("sha1", "sha256", "sha384", "sha512") or len(digest) < 5:
        return {}
    path = os.path.join(cache, _CONTENT, algorithm, digest[:2], digest[2:4], digest[4:])
    try:
        with open(path, "rb") as handle:
            data = handle.read()
        found = json.loads(data) if hashlib.new(algorithm, data).hexdigest() == digest else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _registry(url: str, name: str) -> str:
    plain = urllib.parse.unquote(url)
    return plain[: -len(name)] if plain.endswith(f"/{name}") else ""


def listing_of(packument: Table) -> Listing:
    """All versions of a package, with what the registry tells of each."""
    times = packument.get("time")
    moments = times if isinstance(times, dict) else {}
    listing = Listing(links=links_of(packument))
    tags = packument.get("dist-tags")
    listing.latest = str(tags.get("latest") or "") if isinstance(tags, dict) else ""
    for version, told in packument["versions"].items():
        table = told if isinstance(told, dict) else {}
        engines = table.get("engines")
        needs = str(engines.get("node") or "") if isinstance(engines, dict) else ""
        moment = str(moments.get(version) or "")
        listing.releases[version] = Release(version, moment, needs, bool(table.get("deprecated")))
    return listing


def links_of(packument: Table) -> dict[str, str]:
    """Where its changes are told, as far as the registry knows."""
    repository = packument.get("repository")
    told = repository.get("url") if isinstance(repository, dict) else repository
    links = {}
    address = web_address(told) if isinstance(told, str) else ""
    if address:
        links["repository"] = address
        if urllib.parse.urlsplit(address).hostname == "github.com":
            links["releases"] = f"{address}/releases"
    homepage = packument.get("homepage")
    if isinstance(homepage, str) and homepage.startswith(("http://", "https://")):
        links["homepage"] = homepage
    return links


def web_address(repository: str) -> str:
    """The page of a repository that package.json names in one of many ways; empty when it is none."""
    match = _SHORTHAND.fullmatch(repository)
    if match:
        host = _HOSTS[match.group("host") or "github"]
        return f"https://{host}/{match.group('path') or match.group('plain')}"
    bare = re.sub(r"^(?:git\+)?(?:https?|ssh|git)://(?:[^@/]*@)?", "https://", repository)
    bare = re.sub(r"^git@([^:/]+):", r"https://\1/", bare)
    bare = re.sub(r"\.git(?:#.*)?$", "", bare.partition("#")[0])
    return bare if bare.startswith("https://") else ""
