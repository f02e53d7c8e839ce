# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the application itself says which release it runs: the proof from outside.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t
import urllib.error
import urllib.request

from .._core.durations import format_duration
from .._core.masking import mask_secrets

_PATIENCE = 5.0
_PAUSE = 0.2
_MOST = 1 << 16
_SHORTEST_NAME = 12


def asks_release(url: str, names: t.Sequence[str]) -> str:
    """Ask once: why it does not say one of the names (or the beginning of one), or an empty text when it does."""
    place = str(mask_secrets(url))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_PATIENCE) as answer:
            said = answer.read(_MOST).decode("utf-8", "replace")
    except urllib.error.HTTPError as exc:
        return f"{place} answered {exc.code} when it was asked for its release"
    except (OSError, ValueError) as exc:
        return f"{place} cannot be asked for its release: {getattr(exc, 'reason', None) or exc}"
    if any(name in said or name[:_SHORTEST_NAME] in said for name in names):
        return ""
    told = " ".join(str(mask_secrets(said)).split())[:80]
    return f"{place} does not say the release {names[0][:_SHORTEST_NAME]}, but {told!r}"


def wait_for_release(url: str, names: t.Sequence[str], timeout: float) -> str:
    """Ask until it does or the time is over: the last problem, or an empty text."""
    deadline = time.monotonic() + timeout
    while True:
        problem = asks_release(url, names)
        if not problem:
            return ""
        if time.monotonic() + _PAUSE >= deadline:
            return f"{problem} (asked for {format_duration(timeout)})"
        time.sleep(_PAUSE)
