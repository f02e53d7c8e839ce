# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last line of defence for secrets in texts that are kept: who writes a reason keeps them out in the first place.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

MASK = "********"

_URL_PASSWORD = re.compile(r"(?P<keep>\b[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@]*:)[^\s/@]+(?=@)")
_NAMED = re.compile(
    r"(?P<keep>\b[A-Za-z_\-]*(?:password|passwd|passphrase|secret|token|api_?key)\s*=\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s'\",;&]+)",
    re.IGNORECASE,
)


def mask_secrets(value: t.Any) -> t.Any:
    """The same plain data with what looks like a secret in its texts masked: `://user:HERE@`, `password=HERE`."""
    if isinstance(value, str):
        return _NAMED.sub(rf"\g<keep>{MASK}", _URL_PASSWORD.sub(rf"\g<keep>{MASK}", value))
    if isinstance(value, dict):
        return {name: mask_secrets(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_secrets(item) for item in value]
    return value
