# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old secrets are, when they are due, and whether a rotation was left half-way.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._core.clock import parse_time, utc_now, write_time
from .._core.durations import format_duration
from .._core.result import Finding, Result, merge, ok_or_findings
from .._core.suggest import InputError
from . import keys
from . import store as stores
from .store import CURRENT, PENDING, PREVIOUS, Store, StoreError, Version

WARN_PERCENT, FAIL_PERCENT = 80, 100
#: A rotation that has stood still for longer than this is stuck.
STUCK_SECONDS = 15 * 60

_STAGES = (CURRENT, PENDING, PREVIOUS)


@dataclasses.dataclass(frozen=True)
class Watched:
    """A secret and the time after which it is to be another one."""

    name: str
    store: Store
    period: int
    #: Keys of tokens: each move is a version of its own, so the age is that of the key that signs.
    is_keys: bool = False


def age_of(version: Version | None, now: datetime.datetime) -> float | None:
    """Seconds since a version was made; nothing when that is not known."""
    if version is None or version.created is None:
        return None
    return max(0.0, (now - version.created).total_seconds())


def look(watched: t.Sequence[Watched], now: datetime.datetime | None = None) -> tuple[Result, list[dict[str, t.Any]]]:
    """Look at each secret; one that cannot be looked at leaves the others their verdict."""
    told: list[dict[str, t.Any]] = []
    results = [_look_at_one(secret, now or utc_now(), told) for secret in watched]
    result = merge(results)
    oldest = max((entry["age_percent"] for entry in told), default=0)
    count = len(results)
    summary = f"{count} secrets, the oldest at {oldest} % of its period"
    if result.verdict not in ("ok", "findings"):
        summary = f"{sum(part.verdict in ('ok', 'findings') for part in results)} of {count} secrets are in order"
    figures = {**result.figures, "secrets": len(told), "oldest_percent": oldest}
    return dataclasses.replace(result, summary=summary, figures=figures), told


def _look_at_one(secret: Watched, now: datetime.datetime, told: list[dict[str, t.Any]]) -> Result:
    try:
        versions = secret.store.versions()
    except StoreError as exc:
        return Result("unknown", f"{secret.name} could not be looked at", str(exc), of=1)
    current = stores.labelled(versions, CURRENT)
    if current and secret.is_keys:
        try:
            current = dataclasses.replace(current, created=_made(secret.store))
        except StoreError as exc:
            return Result("unknown", f"{secret.name} could not be looked at", str(exc), of=1)
    age = age_of(current, now)
    if current is None or current.created is None or age is None:
        what = "no current version" if current is None else "no date for its current version"
        return Result("unknown", f"{secret.name} has no age", f"{secret.store.place} has {what}", of=1)
    percent = int(100 * age / secret.period)
    due = current.created + datetime.timedelta(seconds=secret.period)
    told.append(
        {
            "name": secret.name,
            "place": secret.store.place,
            "version": current.id,
            "created": write_time(current.created),
            "due": write_time(due),
            "age_seconds": int(age),
            "period_seconds": secret.period,
            "age_percent": percent,
            "stages": {stage: found.id for stage in _STAGES if (found := stores.labelled(versions, stage))},
        }
    )
    findings = [*_half_done(secret, versions, current, now), *_old(secret, age, percent, due)]
    figures = {
        f"{secret.name}:age_percent": percent,
        f"{secret.name}:created_timestamp_seconds": int(current.created.timestamp()),
        f"{secret.name}:due_timestamp_seconds": int(due.timestamp()),
    }
    if percent >= FAIL_PERCENT:
        reason = f"{secret.name} is {format_duration(age)} old, and was to be rotated by {write_time(due)}"
        return Result("failed", f"{secret.name} is overdue", reason, tuple(findings), figures, 1, 1)
    return ok_or_findings(f"{secret.name} is at {percent} % of its period", findings, figures, 1, 1)


def _made(store: Store) -> datetime.datetime | None:
    """Since when the key is in use that signs tokens."""
    current = store.read(CURRENT)
    if current is None:
        return None
    try:
        value = current.value
        signing = next(key for key in value["keys"] if key["kid"] == value["signing"])
        return parse_time(keys.signs_since(value) or signing["made"])
    except (KeyError, TypeError, StopIteration, InputError):
        raise StoreError(f"{store.place} does not hold keys of tokens as secret_rotate_jwt writes them") from None


def _old(secret: Watched, age: float, percent: int, due: datetime.datetime) -> t.Iterator[Finding]:
    if percent >= WARN_PERCENT:
        yield Finding(
            "secret-overdue" if percent >= FAIL_PERCENT else "secret-due-soon",
            "high" if percent >= FAIL_PERCENT else "medium",
            secret.name,
            f"it is {format_duration(age)} old, {percent} % of its period; due by {write_time(due)}",
            percent,
            f"< {WARN_PERCENT} %",
            "rotate it",
        )


def _half_done(
    secret: Watched, versions: t.Sequence[Version], current: Version, now: datetime.datetime
) -> t.Iterator[Finding]:
    """A rotation that neither went on nor was taken back: its label says so to everybody who rotates."""
    pending = stores.labelled(versions, PENDING)
    if pending is None or pending.id == current.id:
        return
    since = age_of(pending, now)
    if since is None or since >= STUCK_SECONDS:
        told = f"for {format_duration(since)}" if since is not None else "for an unknown time"
        yield Finding(
            "secret-rotation-stuck",
            "high",
            secret.name,
            f"version {pending.id} has been pending {told}: a rotation stands still",
            since,
            f"< {STUCK_SECONDS} s",
            "run the rotation again: it goes on with it, or withdraws it",
        )
