# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL keeps of a password, computed here, so that no password in clear ever reaches the server's log.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

SCRAM-SHA-256 of RFC 5802 and RFC 7677; the password is prepared by SASLprep (RFC 4013) as the server and libpq do it,
which take a password that SASLprep refuses as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import unicodedata

#: As PostgreSQL has it.
ITERATIONS = 4096

_SALT_BYTES = 16
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """The text that stands in pg_authid.rolpassword, and in a userlist of PgBouncer."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    stored = hashlib.sha256(client).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def salt_of(version: str, user: str) -> bytes:
    """The salt of one version of one role's password.

    A salt has to be different for each password, not secret. This one comes out the same again, so that a run that was
    killed sets the same verifier as before, and PgBouncer has the one that the server has.
    """
    return hashlib.sha256(f"steward\0{version}\0{user}".encode()).digest()[:_SALT_BYTES]


def prepared(password: str) -> bytes:
    """The bytes that go into the computation."""
    raw = password.encode()
    return raw if password.isascii() else (saslprep(password) or password).encode()


def saslprep(text: str) -> str | None:
    """The text as RFC 4013 prepares it; nothing for one that it refuses."""
    # U+200B is in both tables; PostgreSQL looks into that of the spaces first.
    spaced = (" " if stringprep.in_table_c12(char) else char for char in text)
    mapped = "".join(char for char in spaced if not stringprep.in_table_b1(char))
    # PostgreSQL normalises by the Unicode of its time, not by the 3.2 of the RFC.
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(refuses(char) for char in normal for refuses in _PROHIBITED):
        return None
    if any(stringprep.in_table_d1(char) for char in normal):
        ends = (normal[0], normal[-1])
        if any(stringprep.in_table_d2(char) for char in normal) or not all(map(stringprep.in_table_d1, ends)):
            return None
    return normal


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
