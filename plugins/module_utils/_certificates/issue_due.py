# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate is issued anew, and why.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import write_time
from .keys import is_of_kind
from .renewal import Moment
from .x509 import Certificate


@dataclasses.dataclass(frozen=True)
class Due:
    """Why it is issued anew; empty when it is not."""

    why: str = ""
    #: The authority of the one in place is the one that is asked, so it may hear which one is replaced.
    may_replace: bool = False
    #: Waiting would be worse than what it costs at the authority.
    is_urgent: bool = False


class Wanted(t.Protocol):
    """What of the settings counts here."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def key_type(self) -> str: ...

    @property
    def compromised(self) -> tuple[str, ...]: ...


def due_of(
    wanted: Wanted,
    used: Certificate | None,
    public_key: str,
    was_from: t.Mapping[str, str],
    comes_from: t.Mapping[str, str],
    moment: Moment | None,
    now: datetime.datetime,
) -> Due:
    """:param public_key: the digest of the key that lies beside the certificate."""
    if used is None or moment is None:
        return Due("there is none yet")
    # Where nobody wrote down whom it is from, that is no reason to issue it again.
    same_authority = not was_from or was_from.get("authority") == comes_from.get("authority")
    why = _why(wanted, used, public_key, was_from, comes_from, moment, now)
    # A renewal that the authority asked for counts against none of its limits (RFC 9773, 5).
    asked_for = moment.source == "ari" and moment.at <= now and same_authority
    return Due(why, same_authority, used.fingerprint in wanted.compromised or asked_for)


def _why(
    wanted: Wanted,
    used: Certificate,
    public_key: str,
    was_from: t.Mapping[str, str],
    comes_from: t.Mapping[str, str],
    moment: Moment,
    now: datetime.datetime,
) -> str:
    has = {name.lower() for name in used.names}
    added, gone = sorted(set(wanted.names) - has), sorted(has - set(wanted.names))
    names = [f"without {', '.join(added)}" if added else "", f"with {', '.join(gone)}" if gone else ""]
    others = [
        key for key in ("provider", "authority", "profile") if was_from and was_from.get(key) != comes_from.get(key)
    ]
    reasons = (
        (used.fingerprint in wanted.compromised, "the key of the one in place is not secret any more"),
        (public_key != used.public_key, "the key of the one in place is missing, or belongs to another certificate"),
        (added or gone, f"the one in place is {' and '.join(filter(None, names))}"),
        (
            not is_of_kind(used, wanted.key_type),
            f"the one in place has a key of another type ({used.key_type} of {used.key_size} bits)",
        ),
        (others, f"the one in place is from another {' and '.join(others)}"),
        (used.left(now) <= 0, f"the one in place ended on {write_time(used.not_after)}"),
        (moment.at <= now, _why_now(used, moment, now)),
    )
    return next((words for is_so, words in reasons if is_so), "")


def _why_now(used: Certificate, moment: Moment, now: datetime.datetime) -> str:
    if moment.source == "ari":
        told = f" ({moment.ari.explanation})" if moment.ari.explanation else ""
        return f"its authority wants it renewed from {write_time(moment.at)} on{told}"
    return f"{100 * used.fraction_left(now):.0f} % of its lifetime are left"
