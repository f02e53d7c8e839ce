# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate is valid for a name, by the rules of RFC 9525.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .._core.suggest import InputError

_LEAST_LABELS = 3  # "*.example.com": no browser takes a star for a whole top level


def is_address(text: str) -> bool:
    """Whether it is an IP address, with or without the zone of a link-local one."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def is_valid_for(names: t.Iterable[str], wanted: str) -> bool:
    """Whether one of a certificate's names stands for the wanted one: a star stands for the first label, and alone."""
    if is_address(wanted):
        address = ipaddress.ip_address(wanted.partition("%")[0])
        return any(is_address(name) and ipaddress.ip_address(name) == address for name in names)
    wanted = plain_name(wanted)
    return any(_matches(name.lower().rstrip("."), wanted) for name in names)


def plain_name(name: str) -> str:
    """A DNS name as certificates have it: lower case, ASCII, without the dot of the root.

    :raises InputError: when it is none.
    """
    bare = name.rstrip(".").lower()
    try:
        return bare.encode("ascii" if bare.isascii() else "idna").decode("ascii")
    except UnicodeError:
        raise InputError(f"{name!r} is no DNS name") from None


def _matches(pattern: str, wanted: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == wanted
    first, dot, rest = wanted.partition(".")
    return bool(first and dot) and pattern.count(".") + 1 >= _LEAST_LABELS and rest == pattern[2:]
