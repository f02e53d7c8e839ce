# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of indexes and registries: what is in them, what is no answer, how old they are, what must not show."""

from __future__ import annotations

import base64
import datetime
import email.message
import email.utils
import hashlib
import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages import freshness, index, packuments, web
from ansible_collections.steward.maintenance.plugins.module_utils._packages.looks import Release

NOW = datetime.datetime.now(datetime.timezone.utc)
URL = "https://index.example.org/simple/flask/"
PAGE = """<!DOCTYPE html><html><body><h1>Links for flask</h1>
<a href="../../files/Flask-1.0.tar.gz#sha256=0" data-requires-python="&gt;=3.6">Flask-1.0.tar.gz</a>
<a href="/files/flask-2.0-py3-none-any.whl#sha256=0" data-requires-python="&gt;=3.7" data-core-metadata="sha256=1">w</a>
<a href="/files/flask-3.0-py3-none-any.whl" data-yanked="">w</a>
<a href="/files/flask_cors-9.0-py3-none-any.whl">somebody else's</a>
</body></html>"""


def answer(body: str, kind: str = "text/html", **headers: str) -> web.Answer:
    message = email.message.Message()
    for name, value in {"Content-Type": kind, **headers}.items():
        message[name.replace("_", "-")] = value
    return web.Answer(200, message, body.encode())


def test_a_page_in_html() -> None:
    releases, metadata = index._read_page(answer(PAGE), "flask", URL)
    assert releases == {
        "1.0": Release("1.0", "", ">=3.6"),
        "2.0": Release("2.0", "", ">=3.7"),
        "3.0": Release("3.0", "", "", withdrawn=True),
    }
    assert metadata == {"2.0": "https://index.example.org/files/flask-2.0-py3-none-any.whl.metadata"}


def test_a_release_is_withdrawn_only_with_all_its_files() -> None:
    files = [
        {"filename": "flask-1.0.tar.gz", "yanked": "broken", "upload-time": "2026-01-02T00:00:00Z"},
        {"filename": "flask-1.0-py3-none-any.whl", "yanked": False, "upload-time": "2026-01-01T00:00:00Z"},
    ]
    page = answer(json.dumps({"files": files}), "application/vnd.pypi.simple.v1+json")
    assert index._read_page(page, "flask", URL)[0] == {"1.0": Release("1.0", "2026-01-01T00:00:00Z", "", False)}


@pytest.mark.parametrize(
    "wrong",
    [
        answer(PAGE[:200]),
        answer(""),
        answer('{"files": {}}', "application/json"),
        answer('{"files": [1]}', "application/json"),
        answer('{"files": [', "application/json"),
        answer("[]", "application/json"),
    ],
)
def test_what_is_no_page(wrong: web.Answer) -> None:
    with pytest.raises(web.NoAnswer):
        index._read_page(wrong, "flask", URL)


def test_links_of_metadata() -> None:
    urls = ["Changelog, https://x.example/changes", "Source Code, https://x.example/src", "Funding, https://x.example"]
    assert index.links_of([*urls, "Changes, ftp://x.example"], ["UNKNOWN"]) == {
        "changelog": "https://x.example/changes",
        "repository": "https://x.example/src",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("git+https://github.com/a/b.git", "https://github.com/a/b"),
        ("git+ssh://git@github.com/a/b.git", "https://github.com/a/b"),
        ("git://github.com/a/b.git#main", "https://github.com/a/b"),
        ("git@gitlab.com:a/b.git", "https://gitlab.com/a/b"),
        ("github:a/b", "https://github.com/a/b"),
        ("a/b", "https://github.com/a/b"),
        ("https://user:hush@x.example/a", "https://x.example/a"),
        ("file:///srv/x", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_the_page_of_a_repository(given: str, expected: str) -> None:
    assert packuments.web_address(given) == expected


def test_addresses_are_shown_without_credentials() -> None:
    assert web.shown("https://user:hush@index.example.org:8443/simple?token=hush") == (
        "https://index.example.org:8443/simple"
    )


# -- npm's cache -----------------------------------------------------------------------------------------------------


def keep(cache: pathlib.Path, packument: t.Any, damage: bool = False) -> None:
    """An answer in npm's cache, as cacache writes it."""
    data = json.dumps(packument).encode()
    digest = hashlib.sha512(data)
    hexed = digest.hexdigest()
    content = cache / "_cacache" / "content-v2" / "sha512" / hexed[:2] / hexed[2:4] / hexed[4:]
    content.parent.mkdir(parents=True, exist_ok=True)
    content.write_bytes(data + (b" " if damage else b""))
    name = packument["name"]
    entry = json.dumps({
        "key": f"make-fetch-happen:request-cache:https://registry.example.org/npm/{name.replace('/', '%2f')}",
        "integrity": "sha512-" + base64.b64encode(digest.digest()).decode(),
        "metadata": {"url": f"https://registry.example.org/npm/{name.replace('/', '%2f')}"},
    })  # fmt: skip
    bucket = cache / "_cacache" / "index-v5" / "aa" / "bb" / hexed[:20]
    bucket.parent.mkdir(parents=True, exist_ok=True)
    with bucket.open("a", encoding="utf-8") as handle:
        handle.write(f"\n{hashlib.sha1(entry.encode()).hexdigest()}\t{entry}")  # noqa: S324 - as npm writes it


def test_the_cache_of_npm(tmp_path: pathlib.Path) -> None:
    long = {
        "name": "@scope/a",
        "dist-tags": {"latest": "1.1.0"},
        "versions": {"1.0.0": {"engines": {"node": ">=4"}}, "1.1.0": {"deprecated": "no"}},
        "time": {"1.0.0": "2020-01-01T00:00:00.000Z"},
    }
    keep(tmp_path, long)
    keep(tmp_path, {**long, "time": None})
    keep(tmp_path, {**long, "name": "damaged"}, damage=True)
    keep(tmp_path, {"name": "no-packument"})
    listings, registries = packuments.read_listings(str(tmp_path))
    assert list(listings) == ["@scope/a"]
    assert registries == {"@scope/a": "https://registry.example.org/npm/"}
    assert listings["@scope/a"].latest == "1.1.0"
    assert listings["@scope/a"].releases["1.0.0"] == Release("1.0.0", "2020-01-01T00:00:00.000Z", ">=4", False)
    assert listings["@scope/a"].releases["1.1.0"].withdrawn


def test_a_cache_that_is_not_there_has_nothing(tmp_path: pathlib.Path) -> None:
    assert packuments.read_listings(str(tmp_path)) == ({}, {})


# -- age -------------------------------------------------------------------------------------------------------------


def date(days: float) -> str:
    return email.utils.format_datetime(NOW - datetime.timedelta(days=days), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "days"),
    [
        ({}, 0),
        ({"Age": "172800"}, 2),
        ({"Date": date(3)}, 3),
        ({"Date": date(3), "Age": "86400"}, 3),
        ({"Date": date(-1)}, 0),
        ({"Date": "yesterday", "Age": "-5"}, 0),
    ],
)
def test_the_age_of_an_answer(headers: dict[str, str], days: float) -> None:
    assert (
        abs(answer("", **headers).age_seconds - days * 86400) < 3600
    )  # the header was written when the tests were gathered


HTTP = web.Http(1)


def stamped(path: pathlib.Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return freshness.judge_stamp(HTTP, str(path), 86400, NOW)


def moment(hours: float) -> str:
    return (NOW - datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_stamps_of_a_mirror(tmp_path: pathlib.Path) -> None:
    stamp = tmp_path / "stamp"
    assert stamped(stamp, f"{moment(2)}\n") == ""
    assert stamped(stamp, f"{moment(2)},PYSEC-2026-1\n{moment(99)},PYSEC-2026-2\n") == ""
    assert stamped(stamp, json.dumps({"modified": moment(2)})) == ""
    assert "stands still" in stamped(stamp, moment(25))
    assert "stands still" in stamped(stamp, json.dumps({"modified": moment(25)}))
    assert "still to come" in stamped(stamp, moment(-48))
    # Without a moment in it, when it was last written tells.
    assert stamped(stamp, "renewed") == ""
    os.utime(stamp, (NOW.timestamp() - 90000, NOW.timestamp() - 90000))
    assert "stands still" in freshness.judge_stamp(HTTP, str(stamp), 86400, NOW)
    assert "cannot be read" in freshness.judge_stamp(HTTP, str(tmp_path / "gone"), 86400, NOW)


def test_without_a_limit_nothing_is_too_old() -> None:
    assert freshness.judge_age("the advisories", 10**9, 0) == ""
    assert freshness.judge_age("the advisories", None, 60) == ""
