# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the result that an activity published: one record, also when the result is no result.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import typing as t

from .chain import Record, complete
from .clock import parse_time, write_time
from .masking import mask_secrets
from .result import Result, ResultError

#: Of what was done one by one, so many are kept; a record is one line, and is read again and again.
MOST_DONE = 200


def record_of(activity: t.Mapping[str, t.Any], result: t.Any, ran: t.Mapping[str, t.Any]) -> Record:
    """The complete record of an activity that ended with this result.

    `activity` has the fields activity, host, guide, type, started, changed, check_mode and change.

    :raises RecordsError: for a field that is missing or that JSON cannot carry.
    :raises InputError: for a start that is not a time.
    """
    fields = dict(activity)
    if fields.get("started"):
        fields["started"] = write_time(parse_time(fields["started"]))
    given = {name: value for name, value in ran.items() if value not in (None, "")}
    fields["ran"] = {**_what_the_host_knows(), **given}
    fields.update(readable(result, str(fields.get("activity"))).to_dict())
    return complete(mask_secrets(fields))


def readable(result: t.Any, activity: str) -> Result:
    """The result as it was published, or a failed one that says why that cannot be read."""
    if not result:
        return Result("failed", f"{activity} published no result", "its role ended without saying what it did")
    try:
        return _bounded(Result.from_dict(result))
    except ResultError as exc:
        texts = [result.get(key) for key in ("summary", "reason", "msg")] if isinstance(result, dict) else []
        said = "; ".join(str(text) for text in texts if text)
        reason = f"{exc}; it said: {said}" if said else str(exc)
        return Result("failed", f"{activity} published a result that cannot be read", reason)


def _bounded(result: Result) -> Result:
    """The first of what was done, which is the most urgent; that there was more is told in the figures."""
    over = len(result.done) - MOST_DONE
    if over <= 0:
        return result
    figures = {**result.figures, "done_not_listed": over}
    return dataclasses.replace(result, done=result.done[:MOST_DONE], figures=figures)


def _what_the_host_knows() -> dict[str, str]:
    """Who runs this here: the account, and behind sudo the person."""
    try:
        account = getpass.getuser() if os.geteuid() else "root"
    except (KeyError, OSError):
        account = str(os.geteuid())
    person = os.environ.get("SUDO_USER", "")
    return {"user": person or account, "account": account}
