# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys in files.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import stat

from .._core.application import ApplicationError
from .trust import Problem, Trust
from .x509 import Certificate, CertificateError, certificates_in, key_blocks, public_key_of

_LARGEST = 10 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class CertificateFile:
    """A file that is to be looked at."""

    path: str
    key: str = ""
    #: For all of these it must be valid.
    names: tuple[str, ...] = ()
    #: A bundle of authorities instead of a server's certificate with its chain.
    authorities: bool = False


@dataclasses.dataclass(frozen=True)
class FileLook:
    """What was seen in a file."""

    file: CertificateFile
    #: Why it, or a part of it, could not be looked at.
    reason: str = ""
    certificates: tuple[Certificate, ...] = ()
    #: None: that is not known. A bundle of authorities leads nowhere and is not asked.
    is_trusted: bool | None = None
    problem: Problem | None = None
    #: What is wrong with the key, as kind and words: missing, mismatch or exposed.
    key_problems: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> str:
        return self.file.path


def read_file(path: str) -> bytes:
    """:raises CertificateError: when it cannot be read, naming it."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as exc:
        raise CertificateError(f"{path} cannot be read: {exc.strerror or exc}") from None
    if len(data) > _LARGEST:
        raise CertificateError(f"{path} is larger than 10 MiB: that is no certificate")
    return data


def certificates_of(path: str) -> list[Certificate]:
    """:raises CertificateError: when the file cannot be read, or there is none in it."""
    data = read_file(path)
    try:
        return certificates_in(data)
    except CertificateError as exc:
        raise CertificateError(f"{path}: {exc}") from None


def look_at_file(file: CertificateFile, trust: Trust) -> FileLook:
    """Look at a file, and at its key where one is named."""
    try:
        certificates = tuple(certificates_of(file.path))
    except CertificateError as exc:
        return FileLook(file, str(exc))
    reasons: list[str] = []
    problem, trusted = None, None
    if not file.authorities:
        try:
            problem = trust.problem_of_file(file.path)
            trusted = problem is None
        except ApplicationError as exc:
            reasons.append(f"{file.path}: whether its chain is trusted could not be looked at: {exc}")
    problems: tuple[tuple[str, str], ...] = ()
    if file.key:
        try:
            problems = tuple(_key_problems(file.key, certificates[0]))
        except CertificateError as exc:
            reasons.append(str(exc))
    return FileLook(file, "; ".join(reasons), certificates, trusted, problem, problems)


def _key_problems(path: str, certificate: Certificate) -> list[tuple[str, str]]:
    """What is wrong with a key.

    :raises CertificateError: when it could not be looked at.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return [("missing", f"its key {path} does not exist")]
    except OSError as exc:
        raise CertificateError(f"{path} cannot be looked at: {exc.strerror or exc}") from None
    data = read_file(path)
    found = []
    try:
        if public_key_of(data) != certificate.public_key:
            found.append(("mismatch", f"the key {path} belongs to another certificate"))
    except CertificateError as exc:
        found.append(("mismatch", f"{path}: {exc}"))
    if mode & stat.S_IRWXO and key_blocks(data):
        found.append(("exposed", f"every account may use its key {path} (mode {mode:04o})"))
    return found


def newest_of(pattern: str, key_type: str = "") -> Certificate:
    """The newest certificate of the files that a pattern names, among those with this type of key if there are any.

    A server may have an RSA and an ECDSA certificate side by side, and each client sees one of them.

    :raises CertificateError: when there is none, or one of the files cannot be read: then nobody knows.
    """
    paths = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
    if not paths:
        raise CertificateError(f"no file is named like {pattern}")
    found = [certificates_of(path)[0] for path in paths]
    return max(
        [each for each in found if each.key_type == key_type] or found,
        key=lambda each: (each.not_before, each.not_after),
    )
