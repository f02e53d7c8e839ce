# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of a listing read without the SDK: the same keys as with it, and what is none is left to the SDK."""

from __future__ import annotations

import typing as t
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._s3 import listing

SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def page(*keys: str, quoted: bool = True, space: str = SPACE, more: str = "") -> bytes:
    entries = "".join(
        f"<Contents><Key>{urllib.parse.quote_plus(key) if quoted else key}</Key><LastModified>2026</LastModified>"
        f"<ETag>&quot;e{number}&quot;</ETag><Size>{number}</Size></Contents>"
        for number, key in enumerate(keys)
    )
    kind = "<EncodingType>url</EncodingType>" if quoted else ""
    return f"<ListBucketResult {space}>{kind}<Name>b</Name>{entries}{more}</ListBucketResult>".encode()


def shortened(body: bytes, status: int = 200) -> tuple[t.Any, bytes]:
    response, custom = {"status_code": status, "body": body}, {}  # type: ignore[var-annotated]
    listing._shorten(response, custom)
    return custom.get(listing.LISTED), t.cast("bytes", response["body"])


@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",), min_codepoint=32), min_size=1), max_size=4))
def test_keys_come_as_they_were_written(keys: list[str]) -> None:
    found, _rest = shortened(page(*keys))
    assert found == [(key, number, f"e{number}") for number, key in enumerate(keys)]


@pytest.mark.parametrize("space", [SPACE, ""])
def test_the_rest_of_the_page_is_left_for_the_sdk(space: str) -> None:
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>x/y=</NextContinuationToken>"
    found, rest = shortened(page("a+b", "100%", space=space, more=more, quoted=False))
    assert [key for key, _size, _etag in found] == ["a+b", "100%"], "what is not quoted is not unquoted"
    assert b"Contents" not in rest
    assert b"x/y=" in rest


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<Error><Code>SlowDown</Code></Error>", 503),
        (b"<html><p>no XML", 200),
        (page("a").replace(b"<Size>0</Size>", b""), 200),
    ],
)
def test_what_is_no_page_is_left_as_it_is(body: bytes, status: int) -> None:
    assert shortened(body, status) == (None, body)


def test_an_sdk_without_the_handler_gives_the_same() -> None:
    entries = [{"Key": "a", "Size": 1, "ETag": '"e"', "LastModified": object()}]
    assert listing.listed_in({"Contents": entries}) == [("a", 1, "e")]
    assert listing.listed_in({}) == []
    assert listing.listed_in({listing.LISTED: [("a", 1, "e")]}) == [("a", 1, "e")]
