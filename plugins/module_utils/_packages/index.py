# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of Python packages: the simple API (PEP 503 and 691), at the addresses that pip itself would ask.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

`pip list --outdated` cannot be used: it prints an empty list and ends with 0 when its index is dead.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import html.parser
import os
import re
import shlex
import typing as t
import urllib.parse

from . import pep440
from .environments import read_headers
from .looks import Listing, Release
from .running import run
from .web import Answer, Http, NoAnswer, shown

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_JSON = "application/vnd.pypi.simple.v1+json"
_SETTING = re.compile(r"(?P<section>[\w:-]+)\.(?P<name>[\w-]+)=(?P<value>.*)")
#: Later ones win.
_SECTIONS = ("global", "install", ":env:")
_ENDINGS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".egg")
#: The index that pip asks when nothing is set, then all that is set.
_PROGRAM = """
import sys
from pip._internal.models.index import PyPI
print("default.index-url=" + repr(PyPI.simple_url), flush=True)
from pip._internal.cli.main import main
sys.exit(main(["config", "list"]))
"""
_LINKS = {
    "changelog": ("changelog", "changes", "release notes", "history", "news", "what's new", "releases"),
    "repository": ("source", "source code", "repository", "code", "github"),
    "homepage": ("homepage", "home"),
}


class IndexUnknown(Exception):
    """pip does not say which index it uses; the message says why."""


class Settings(t.NamedTuple):
    """What pip is set to, as far as it matters for questions to its index."""

    indexes: tuple[str, ...]
    certificates: str
    offline: str


def pip_settings(python: str, timeout: float) -> Settings:
    """:raises IndexUnknown: when this Python has no pip that could be asked."""
    ran = run([python, "-c", _PROGRAM], "/", timeout, {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    if ran.problem or ran.status != 0:
        raise IndexUnknown(f"pip of {python} does not say which index it uses: {ran.problem or ran.told()}")
    found: dict[str, dict[str, str]] = {}
    for line in ran.output.splitlines():
        match = _SETTING.fullmatch(line.strip())
        if match:
            found.setdefault(match.group("section"), {})[match.group("name")] = _unquoted(match.group("value"))
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged.update(found.get(section, {}))
    main = merged.get("index-url") or found.get("default", {}).get("index-url", "")
    if not main:
        raise IndexUnknown(f"pip of {python} does not say which index it uses")
    offline = "no-index" if merged.get("no-index", "").lower() in ("1", "true", "yes", "on") else ""
    return Settings((main, *merged.get("extra-index-url", "").split()), merged.get("cert", ""), offline)


def _unquoted(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return " ".join(words)


class Index:
    """Asks the indexes of a project for packages, each only once."""

    def __init__(self, http: Http, jobs: int) -> None:
        self._http = http
        self._jobs = jobs
        self._known: dict[tuple[tuple[str, ...], str], Listing] = {}

    def look_up(self, asks: t.Collection[tuple[tuple[str, ...], str]]) -> None:
        """Ask for all of them; what cannot be had is told by the listing's problem."""
        new = [ask for ask in dict.fromkeys(asks) if ask not in self._known]
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            for ask, listing in zip(new, pool.map(lambda ask: self._listing(*ask), new)):
                self._known[ask] = listing

    def listing(self, indexes: tuple[str, ...], name: str) -> Listing:
        return self._known[(indexes, name)]

    def _listing(self, indexes: tuple[str, ...], name: str) -> Listing:
        listing = Listing()
        is_somewhere = False
        for index in indexes:
            url = f"{index.rstrip('/')}/{name}/"
            try:
                answer = self._http.ask(url, accept=_ACCEPT)
                if answer.status == 404:
                    continue
                if answer.status != 200:
                    raise NoAnswer(f"{shown(url)} answered {answer.status}")
                releases, metadata = _read_page(answer, name, url)
            except NoAnswer as exc:
                told = str(exc)
                listing.problem = told if "://" in told else f"{shown(url)}: {told}"
                return listing
            is_somewhere = True
            for version, release in releases.items():
                listing.releases.setdefault(version, release)
            listing.metadata.update(metadata)
        if not is_somewhere:
            listing.problem = f"{name} is not at {' or '.join(shown(index) for index in indexes)}"
        elif not listing.releases:
            listing.problem = f"the index tells no version of {name}"
        return listing

    def links(self, asks: t.Collection[tuple[Listing, str]]) -> list[dict[str, str]]:
        """Where the changes of a version are told, out of its metadata; empty where the index does not give that."""
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(lambda ask: self._links(*ask), asks))

    def _links(self, listing: Listing, version: str) -> dict[str, str]:
        url = listing.metadata.get(version)
        if not url:
            return {}
        try:
            text = self._http.found(url, accept="*/*").body.decode("utf-8", "replace")
        except NoAnswer:
            return {}
        return links_of(read_headers(text).get("project-url", []), read_headers(text).get("home-page", []))


def links_of(project_urls: t.Sequence[str], home_pages: t.Sequence[str] = ()) -> dict[str, str]:
    """The links of METADATA that tell of changes: "Changelog, https://..." and so on."""
    found: dict[str, str] = {}
    for text in project_urls:
        label, comma, url = text.partition(",")
        for kind, words in _LINKS.items():
            if comma and label.strip().lower() in words and url.strip().startswith(("http://", "https://")):
                found.setdefault(kind, url.strip())
    for url in home_pages:
        if url.startswith(("http://", "https://")):
            found.setdefault("homepage", url)
    return found


def _read_page(answer: Answer, name: str, url: str) -> tuple[dict[str, Release], dict[str, str]]:
    """The versions of a page, and the addresses of the metadata of each.

    :raises NoAnswer: when it is no page of an index.
    """
    kind = answer.headers.get_content_type()
    files = _files_of_json(answer) if kind in (_JSON, "application/json") else _files_of_html(answer)
    releases: dict[str, Release] = {}
    metadata: dict[str, str] = {}
    hashes: dict[str, list[str]] = {}
    for file in files:
        version = _version_of(str(file.get("filename") or ""), name)
        if not version or pep440.parse(version) is None:
            continue
        before = releases.get(version)
        moment, needs = str(file.get("upload-time") or ""), str(file.get("requires-python") or "")
        yanked = file.get("yanked", False) is not False
        if before is None:
            releases[version] = Release(version, moment, needs, yanked)
        else:
            moments = [told for told in (before.published, moment) if told]
            withdrawn = before.withdrawn and yanked
            releases[version] = Release(version, min(moments, default=""), before.needs or needs, withdrawn)
        hashes.setdefault(version, []).append(_digest_of(file))
        is_wheel = str(file.get("filename")).endswith(".whl")
        if is_wheel and (file.get("core-metadata") or file.get("dist-info-metadata")):
            metadata.setdefault(
                version, urllib.parse.urljoin(url, str(file.get("url"))).partition("#")[0] + ".metadata"
            )
    for version, digests in hashes.items():
        if all(digests):
            releases[version] = dataclasses.replace(releases[version], hashes=tuple(sorted(set(digests))))
    return releases, metadata


def _digest_of(file: dict[str, t.Any]) -> str:
    """The SHA-256 that a page tells of a file, in JSON or behind its address; empty without one."""
    told = file.get("hashes")
    digest = str(told.get("sha256") or "") if isinstance(told, dict) else ""
    behind = urllib.parse.parse_qs(urllib.parse.urlsplit(str(file.get("url") or "")).fragment)
    digest = (digest or behind.get("sha256", [""])[0]).lower()
    return digest if re.fullmatch(r"[0-9a-f]{64}", digest) else ""


def _files_of_json(answer: Answer) -> list[dict[str, t.Any]]:
    page = answer.json()
    files = page.get("files") if isinstance(page, dict) else None
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise NoAnswer("an answer that is no page of an index")
    return files


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[dict[str, t.Any]] = []
        self.is_closed = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        href = told.get("href")
        if tag == "a" and href:
            file = {name[5:]: value or True for name, value in told.items() if name.startswith("data-")}
            filename = urllib.parse.unquote(urllib.parse.urlsplit(href).path.rpartition("/")[2])
            self.files.append({**file, "url": href, "filename": filename})

    def handle_endtag(self, tag: str) -> None:
        self.is_closed = self.is_closed or tag in ("html", "body")


def _files_of_html(answer: Answer) -> list[dict[str, t.Any]]:
    anchors = _Anchors()
    anchors.feed(answer.body.decode("utf-8", "replace"))
    if not anchors.is_closed:
        raise NoAnswer("an answer that is no whole page of an index")
    return anchors.files


def _version_of(filename: str, name: str) -> str:
    """The version in the name of a file; empty for a file of something else."""
    ending = next((ending for ending in _ENDINGS if filename.endswith(ending)), "")
    stem = filename[: -len(ending)] if ending else ""
    if ending in (".whl", ".egg"):
        parts = stem.split("-")
        return parts[1] if len(parts) > 1 and pep440.canonical(parts[0]) == name else ""
    for place in [found.start() for found in re.finditer("-", stem)]:
        if pep440.canonical(stem[:place]) == name and pep440.parse(stem[place + 1 :]) is not None:
            return stem[place + 1 :]
    return ""
