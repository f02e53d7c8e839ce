# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listings of very many objects: read as XML at once, without the SDK's object for each of their properties.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Of a page of a thousand keys, the SDK makes six thousand values and a moment for each key, which takes longer than all
else that a backup does with an unaltered file. It lets a handler put something of its own into an answer: a list of
key, size and ETag, and the page without its entries. An SDK that is too old for that gives the entries as ever.
"""

from __future__ import annotations

import typing as t
import urllib.parse
import xml.etree.ElementTree as ET

Listed = t.Tuple[str, int, str]

#: What the answer has besides, when the handler was called.
LISTED = "StewardListed"


def register(client: t.Any) -> None:
    """Have a client's listings answered so."""
    client.meta.events.register("before-parse.s3.ListObjectsV2", _shorten)


def listed_in(page: t.Mapping[str, t.Any]) -> t.Sequence[Listed]:
    """Key, size and ETag of each entry of a page, whichever way it was read."""
    if LISTED in page:
        return t.cast("t.Sequence[Listed]", page[LISTED])
    return [(entry["Key"], int(entry["Size"]), entry["ETag"].strip('"')) for entry in page.get("Contents", ())]


def _shorten(response_dict: dict[str, t.Any], customized_response_dict: dict[str, t.Any], **_more: t.Any) -> None:
    if response_dict["status_code"] != 200:
        return  # a refusal is for the SDK to read
    try:
        root = ET.fromstring(response_dict["body"])  # noqa: S314 (the SDK would read it the same way)
    except ET.ParseError:
        return  # and so is what is no XML
    space = root.tag[: root.tag.find("}") + 1]
    is_quoted = root.findtext(f"{space}EncodingType") == "url"
    entry_tag, key_tag, size_tag, etag_tag = (f"{space}{name}" for name in ("Contents", "Key", "Size", "ETag"))
    rest = ET.Element(root.tag)
    listed: list[Listed] = []
    for child in root:
        if child.tag != entry_tag:
            rest.append(child)
            continue
        key, size, etag = child.findtext(key_tag), child.findtext(size_tag), child.findtext(etag_tag)
        if key is None or size is None or etag is None:
            return  # an entry that is none of S3's: the SDK decides
        if is_quoted and ("%" in key or "+" in key):
            key = urllib.parse.unquote_plus(key)
        listed.append((key, int(size), etag.strip('"')))
    customized_response_dict[LISTED] = listed
    response_dict["body"] = ET.tostring(rest)
