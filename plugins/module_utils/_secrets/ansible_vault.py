# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents in the format of ansible-vault (1.1, AES256), so that `ansible-vault view` opens what is written here.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

A managed host has no ansible-core, so the format is read and written here, on the library cryptography: 32 bytes of
salt, two keys of 32 bytes and 16 bytes of counter from PBKDF2 with 10,000 rounds of HMAC-SHA256, AES in counter mode
with the padding of PKCS #7, and an HMAC-SHA256 over what is encrypted. The password is read from a file and passed to
no process.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import typing as t

try:
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError:  # told by _mode(), where somebody can read it
    default_backend = None  # type: ignore[assignment]

SUFFIX = ".vault"

_MARK = b"$ANSIBLE_VAULT"
_HEADER = _MARK + b";1.1;AES256"
_ROUNDS = 10000
_SALT, _KEY, _BLOCK = 32, 32, 16
_COLUMNS = 80
_LARGEST = 2**20


class VaultError(Exception):
    """Something cannot be encrypted or decrypted; the text says why, and shows nothing of it."""


def encrypt(content: bytes, password_file: str) -> bytes:
    """:raises VaultError: naming the cause."""
    salt = os.urandom(_SALT)
    secret, check, counter = _keys(_password(password_file), salt)
    left = _BLOCK - len(content) % _BLOCK
    cipher = _mode(secret, counter).encryptor()
    sealed = cipher.update(content + bytes([left]) * left) + cipher.finalize()
    mark = hmac.new(check, sealed, hashlib.sha256).digest()
    text = binascii.hexlify(b"\n".join(binascii.hexlify(part) for part in (salt, mark, sealed)))
    lines = [text[place : place + _COLUMNS] for place in range(0, len(text), _COLUMNS)]
    return b"\n".join([_HEADER, *lines]) + b"\n"


def decrypt(content: bytes, password_file: str) -> bytes:
    """:raises VaultError: naming the cause."""
    header, _newline, text = content.partition(b"\n")
    words = header.strip().split(b";")
    if words[0] != _MARK or len(words) < 3 or words[1] not in (b"1.1", b"1.2") or words[2] != b"AES256":
        raise VaultError("it is not encrypted by ansible-vault (1.1 or 1.2, AES256)")
    try:
        parts = binascii.unhexlify(b"".join(text.split())).split(b"\n")
        salt, mark, sealed = (binascii.unhexlify(part) for part in parts)
    except ValueError:
        raise VaultError("it is damaged, or not whole") from None
    secret, check, counter = _keys(_password(password_file), salt)
    if not hmac.compare_digest(hmac.new(check, sealed, hashlib.sha256).digest(), mark):
        raise VaultError(f"it is damaged, or the password in {password_file} is another one")
    cipher = _mode(secret, counter).decryptor()
    clear: bytes = cipher.update(sealed) + cipher.finalize()
    return clear[: -clear[-1]] if clear else clear


def _password(path: str) -> bytes:
    try:
        if os.access(path, os.X_OK) and os.path.isfile(path) and os.stat(path).st_mode & 0o111:
            raise VaultError(f"{path} is executable, and Ansible would run it: name a file that holds the password")
        with open(path, "rb") as file:
            password = file.read(_LARGEST).strip()
    except OSError as exc:
        raise VaultError(f"{path}, the file with the password, cannot be read: {exc.strerror}") from None
    if not password:
        raise VaultError(f"{path}, the file with the password, is empty")
    if password.startswith(_MARK):
        raise VaultError(f"{path}, the file with the password, is encrypted itself")
    return password


def _keys(password: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, _ROUNDS, 2 * _KEY + _BLOCK)
    return derived[:_KEY], derived[_KEY : 2 * _KEY], derived[2 * _KEY :]


def _mode(key: bytes, counter: bytes) -> t.Any:
    if default_backend is None:
        raise VaultError("the Python library cryptography is missing: install the package python3-cryptography")
    return Cipher(algorithms.AES(key), modes.CTR(counter), backend=default_backend())
