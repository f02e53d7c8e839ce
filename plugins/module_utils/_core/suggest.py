# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person meant: one error that names the value and what would be right.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import difflib
import typing as t


class InputError(ValueError):
    """Something the user wrote cannot be right; the message names where, the value and what would be right."""


def nearest(word: str, known: t.Iterable[str]) -> str | None:
    """The known word that was probably meant, or None when nothing is near enough to be named."""
    words = list(known)
    for candidate in words:
        if candidate.lower() == word.lower():
            return candidate
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, known: t.Iterable[str]) -> str:
    """The end of an error message: the nearest known word, else all of them."""
    words = sorted(known)
    near = nearest(word, words)
    return f"did you mean {near!r}?" if near else f"known are: {', '.join(words) or 'none'}"


def refuse_unknown(what: str, given: str | t.Iterable[object], known: t.Iterable[str]) -> None:
    """Refuse the first of the given words that is not known.

    The word stands where `%s` is in `what`, else behind it: "cycle_activities: unknown key %s in database.vacuum" gives
    "cycle_activities: unknown key 'evry' in database.vacuum; did you mean 'every'?".

    :raises InputError: naming the word and the nearest right one.
    """
    words = list(known)
    for word in [given] if isinstance(given, str) else given:
        if isinstance(word, str) and word in words:
            continue
        where = what.replace("%s", repr(word)) if "%s" in what else f"{what} {word!r}"
        verb = "" if "unknown" in what else " is unknown"
        raise InputError(f"{where}{verb}; {did_you_mean(str(word), words)}")
