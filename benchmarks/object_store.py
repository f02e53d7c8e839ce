# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small S3 server in memory, for benchmarks: what a test server spends on a request would drown what is measured.

    python benchmarks/object_store.py PORT

It speaks as much of S3 as `aws s3 sync` and our own modules use, and takes nothing unseen: a request whose checksum
(x-amz-content-sha256, Content-MD5, x-amz-checksum-sha256 or -crc32) does not fit its body is refused with BadDigest,
and one without credentials with AccessDenied; signatures are not computed. GET /-/counts tells how many requests of
each kind it served, and GET /-/objects?prefix=... how many objects it holds and their bytes.
"""

from __future__ import annotations

import asyncio
import base64
import bisect
import hashlib
import json
import re
import sys
import time
import typing as t
import urllib.parse
import xml.sax.saxutils
import zlib

_HEAD = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")
_ESCAPE = xml.sax.saxutils.escape


class Stored(t.NamedTuple):
    body: bytes
    etag: str
    modified: str
    sha256: str


class Objects:
    """All buckets in one mapping from "bucket/key", and its keys in their order."""

    def __init__(self) -> None:
        self.held: dict[str, Stored] = {}
        self.counts: dict[str, int] = {}
        self._order: list[str] = []
        self._is_ordered = True

    def put(self, name: str, body: bytes, sha256: str) -> Stored:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        stored = Stored(body, hashlib.md5(body).hexdigest(), moment, sha256)  # noqa: S324 (what S3 gives as ETag)
        if name not in self.held:
            self._is_ordered = False
        self.held[name] = stored
        return stored

    def delete(self, name: str) -> None:
        if self.held.pop(name, None):
            self._is_ordered = False

    def names(self, prefix: str, after: str) -> t.Iterator[str]:
        if not self._is_ordered:
            self._order = sorted(self.held)
            self._is_ordered = True
        place = bisect.bisect_right(self._order, after) if after > prefix else bisect.bisect_left(self._order, prefix)
        while place < len(self._order) and self._order[place].startswith(prefix):
            yield self._order[place]
            place += 1


class Connection(asyncio.Protocol):
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = t.cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._next():
            pass

    def _next(self) -> bool:
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._head = _parsed(bytes(self._buffer[: end + 2]))
            del self._buffer[: end + 4]
            if self._head[2].get("expect") == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, headers, length = self._head
        if len(self._buffer) < length:
            return False
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        status, more, answer = _answer(self._objects, method, path, headers, body)
        told = more.pop("Content-Length", str(len(answer)))
        lines = [
            f"HTTP/1.1 {status} X",
            f"Content-Length: {told}",
            *(f"{name}: {value}" for name, value in more.items()),
        ]
        content = b"" if method == "HEAD" else answer
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        return True


Reply = tuple[int, dict[str, str], bytes]


def _parsed(head: bytes) -> tuple[str, str, dict[str, str], int]:
    match = _HEAD.match(head)
    assert match, head
    headers = {}
    for line in head[match.end() :].decode("latin-1").split("\r\n"):
        name, _colon, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return match.group(1).decode(), match.group(2).decode(), headers, int(headers.get("content-length") or 0)


def _answer(objects: Objects, method: str, path: str, headers: t.Mapping[str, str], body: bytes) -> Reply:
    where, _mark, words = path.partition("?")
    name = urllib.parse.unquote(where)[1:]
    query = dict(urllib.parse.parse_qsl(words, keep_blank_values=True)) if words else {}
    if where.startswith("/-/"):
        return _told(objects, where, query)
    kind = "LIST" if "list-type" in query else method
    objects.counts[kind] = objects.counts.get(kind, 0) + 1
    if "AWS4-HMAC-SHA256" not in headers.get("authorization", ""):
        return _refusal(403, "AccessDenied")
    if kind == "LIST":
        return _listing(objects, name, query)
    if "uploads" in query or "versioning" in query:
        return 200, {"Content-Type": "application/xml"}, b"<Result></Result>"
    if method == "PUT":
        return _put(objects, name, headers, body)
    if method == "DELETE":
        objects.delete(name)
        return 204, {}, b""
    return _get(objects, name, headers)


def _put(objects: Objects, name: str, headers: t.Mapping[str, str], body: bytes) -> Reply:
    if "/" not in name:
        return 200, {}, b""  # a bucket
    if "x-amz-copy-source" in headers:
        source = objects.held.get(urllib.parse.unquote(headers["x-amz-copy-source"]).lstrip("/"))
        if source is None:
            return _refusal(404, "NoSuchKey")
        stored = objects.put(name, source.body, source.sha256)
        return 200, {}, f'<CopyObjectResult><ETag>"{stored.etag}"</ETag></CopyObjectResult>'.encode()
    if _is_damaged(headers, body):
        return _refusal(400, "BadDigest")
    sha256 = headers.get("x-amz-checksum-sha256", "")
    stored = objects.put(name, body, sha256)
    return 200, {"ETag": f'"{stored.etag}"', **({"x-amz-checksum-sha256": sha256} if sha256 else {})}, b""


def _is_damaged(headers: t.Mapping[str, str], body: bytes) -> bool:
    told = headers.get("x-amz-content-sha256", "")
    if len(told) == 64 and hashlib.sha256(body).hexdigest() != told:
        return True
    found = {
        "content-md5": lambda: hashlib.md5(body).digest(),  # noqa: S324 (what Content-MD5 is)
        "x-amz-checksum-sha256": lambda: hashlib.sha256(body).digest(),
        "x-amz-checksum-crc32": lambda: zlib.crc32(body).to_bytes(4, "big"),
    }
    return any(name in headers and base64.b64encode(of()).decode() != headers[name] for name, of in found.items())


def _get(objects: Objects, name: str, headers: t.Mapping[str, str]) -> Reply:
    stored = objects.held.get(name)
    if stored is None:
        return _refusal(404, "NoSuchKey")
    told = {"ETag": f'"{stored.etag}"', "Content-Length": str(len(stored.body))}
    if stored.sha256:
        told["x-amz-checksum-sha256"] = stored.sha256
    span = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
    if span is None:
        return 200, told, stored.body
    piece = stored.body[int(span.group(1)) : int(span.group(2)) + 1]
    return 206, {"ETag": told["ETag"], "Content-Length": str(len(piece))}, piece


def _listing(objects: Objects, bucket: str, query: t.Mapping[str, str]) -> Reply:
    bucket = bucket.strip("/")
    prefix, most = f"{bucket}/{query.get('prefix', '')}", int(query.get("max-keys", 1000))
    delimiter, after = query.get("delimiter", ""), query.get("continuation-token", "")
    entries: list[str] = []
    words: dict[str, None] = {}
    more = last = ""
    for name in objects.names(prefix, after):
        if len(entries) + len(words) == most:
            more = last
            break
        last = name
        rest = name[len(prefix) :]
        if delimiter and delimiter in rest:
            words[name[len(bucket) + 1 : len(prefix) + rest.index(delimiter) + 1]] = None
            continue
        stored = objects.held[name]
        key = urllib.parse.quote(name[len(bucket) + 1 :])
        entries.append(
            f"<Contents><Key>{key}</Key><LastModified>{stored.modified}</LastModified><ETag>&quot;{stored.etag}&quot;"
            f"</ETag><Size>{len(stored.body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    common = "".join(f"<CommonPrefixes><Prefix>{urllib.parse.quote(word)}</Prefix></CommonPrefixes>" for word in words)
    truncated = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
    token = f"<NextContinuationToken>{_ESCAPE(more)}</NextContinuationToken>" if more else ""
    head = f"<Name>{bucket}</Name><EncodingType>url</EncodingType><MaxKeys>{most}</MaxKeys>{truncated}{token}"
    text = f"<ListBucketResult>{head}{''.join(entries)}{common}</ListBucketResult>"
    return 200, {"Content-Type": "application/xml"}, text.encode()


def _told(objects: Objects, where: str, query: t.Mapping[str, str]) -> Reply:
    if where == "/-/counts":
        return 200, {}, json.dumps(objects.counts).encode()
    found = [objects.held[name] for name in objects.names(query["prefix"], "")]
    return 200, {}, json.dumps({"objects": len(found), "bytes": sum(len(one.body) for one in found)}).encode()


def _refusal(status: int, code: str) -> Reply:
    return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode()


async def _serve(port: int) -> None:
    objects = Objects()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(objects), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
