# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file comes to, as a store says it: compared with figures that were made by other means."""

from __future__ import annotations

import base64
import hashlib
import os

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._s3.checksums import (
    digest_of_bytes,
    digest_of_file,
    part_size,
    sha256_of_file,
)

MIB = 2**20


def test_a_file_that_is_sent_whole(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"hello")
    digest = digest_of_file(str(path), MIB)
    assert not digest.is_multipart
    # printf hello | openssl dgst -sha256 -binary | base64; printf hello | md5sum
    assert digest.checksum == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    assert digest.etag == "5d41402abc4b2a76b9719d911017c592"
    assert digest.parts[0].content_md5 == "XUFAKrxLKna5cZ2REBfFkg=="
    assert digest.sha256 == hashlib.sha256(b"hello").hexdigest() == sha256_of_file(str(path))
    assert digest == digest_of_bytes(b"hello")


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2000, 3500])
def test_parts_cover_the_file(tmp_path, size):
    path = tmp_path / "file"
    content = os.urandom(size)
    path.write_bytes(content)
    digest = digest_of_file(str(path), 1000)
    assert digest.size == size
    assert digest.sha256 == hashlib.sha256(content).hexdigest()
    assert [part.number for part in digest.parts] == list(range(1, max(1, -(-size // 1000)) + 1))
    assert b"".join(content[part.offset : part.offset + part.size] for part in digest.parts) == content
    for part in digest.parts:
        assert part.sha256 == hashlib.sha256(content[part.offset : part.offset + part.size]).digest()


def test_the_checksum_of_parts_is_that_of_their_checksums(tmp_path):
    path = tmp_path / "file"
    content = os.urandom(2500)
    path.write_bytes(content)
    pieces = [content[:1000], content[1000:2000], content[2000:]]
    digest = digest_of_file(str(path), 1000)
    joined = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    assert digest.checksum == base64.b64encode(hashlib.sha256(joined).digest()).decode() + "-3"
    joined = b"".join(hashlib.md5(piece).digest() for piece in pieces)  # noqa: S324
    assert digest.etag == hashlib.md5(joined).hexdigest() + "-3"  # noqa: S324


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        (0, 5 * MIB, 5 * MIB),
        (50_000 * MIB, 5 * MIB, 5 * MIB),
        (50_000 * MIB + 1, 5 * MIB, 6 * MIB),
        (5 * 2**40, 5 * MIB, 525 * MIB),
    ],
)
def test_there_are_never_more_parts_than_s3_allows(size, wanted, expected):
    each = part_size(size, wanted)
    assert each == expected
    assert -(-size // each) <= 10_000
