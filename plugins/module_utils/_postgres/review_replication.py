# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of replication: slots that keep WAL, standbys that are behind.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.durations import format_duration
from .._core.result import Finding
from .._core.sizes import format_size
from .connection import is_standby
from .reviewing import Look

_PG16, _PG17 = 160000, 170000

#: A slot that keeps less is not behind: the limit counts in whole files, so a low one is always nearly used up.
_WAL_FILE_BYTES = 16 * 1024**2

#: Of what a slot may keep; a healthy consumer never comes near it.
_NEAR_LOSS = 0.8

_HERE = """CASE WHEN pg_catalog.pg_is_in_recovery()
  THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
  ELSE pg_catalog.pg_current_wal_lsn() END"""


@dataclasses.dataclass(frozen=True)
class Slot:
    """One replication slot."""

    name: str
    kind: str
    active: bool
    wal_status: str  # reserved, extended, unreserved, lost; empty when it reserves none
    safe_bytes: int | None  # what may still be written before it is lost; None when there is no limit
    kept_bytes: int
    row_age: int  # of the oldest rows that it keeps, in transactions
    inactive_seconds: float | None  # known from 17 on
    invalid_because: str

    @property
    def nears_its_loss(self) -> bool:
        """Whether most of what max_slot_wal_keep_size allows is used up, and that by more than the file in use."""
        if self.safe_bytes is None or self.kept_bytes < _WAL_FILE_BYTES:
            return False
        return self.kept_bytes >= _NEAR_LOSS * (self.kept_bytes + self.safe_bytes)


def _slots(look: Look) -> list[Slot]:
    since = "extract(epoch FROM pg_catalog.clock_timestamp() - inactive_since)::float8"
    reason = "NULL"
    if look.version >= _PG17:
        # A slot that a standby keeps in step with the primary's is never in use there.
        reason, real = "invalidation_reason", "NOT (synced AND pg_catalog.pg_is_in_recovery())"
    else:
        since, real = "NULL::float8", "true"
        if look.version >= _PG16:
            reason = "CASE WHEN conflicting THEN 'conflict with recovery' END"
    rows = look.query(
        f"""
SELECT slot_name::text, slot_type, active, coalesce(wal_status, ''), safe_wal_size::bigint,
       coalesce(pg_catalog.pg_wal_lsn_diff({_HERE}, restart_lsn), 0)::bigint,
       coalesce(greatest(pg_catalog.age(xmin), pg_catalog.age(catalog_xmin)), 0),
       {since}, coalesce({reason}, '')
FROM pg_catalog.pg_replication_slots WHERE NOT temporary AND {real} ORDER BY 1"""  # noqa: S608 - our own words
    )
    return [Slot(*row) for row in rows]


def replication_slots(look: Look) -> t.Iterator[Finding]:
    found = _slots(look)
    look.facts["slots"] = [dataclasses.asdict(slot) for slot in found]
    for slot in found:
        drop = f"SELECT pg_drop_replication_slot('{slot.name}')"
        kept = f"it keeps {format_size(slot.kept_bytes)} of WAL"
        if slot.row_age:
            kept += f" and rows of the last {slot.row_age} transactions"
        if slot.safe_bytes is not None:
            kept += f", and is lost after {format_size(max(slot.safe_bytes, 0))} more"
        subject = f"slot {slot.name}"
        if slot.wal_status == "lost" or slot.invalid_because:
            why = f" ({slot.invalid_because})" if slot.invalid_because else ""
            message = f"the slot is lost{why}: its consumer cannot go on from it"
            action = f"rebuild its consumer from a new base backup or copy, and {drop}"
            yield look.finding("slot_lost", "high", subject, message, action, slot.wal_status or slot.invalid_because)
        elif slot.wal_status == "unreserved":
            message = f"the slot's WAL is no longer reserved: {kept}, and the next checkpoint may remove it"
            action = f"let its consumer catch up now, or raise max_slot_wal_keep_size; when it has no consumer, {drop}"
            yield look.finding("slot_lost", "high", subject, message, action, slot.wal_status)
        elif not slot.active:
            since = f" for {format_duration(slot.inactive_seconds)}" if slot.inactive_seconds is not None else ""
            message = f"nobody uses this {slot.kind} slot{since}; {kept}"
            action = f"start its consumer again; when there is none any more, {drop}"
            yield look.finding("slot", "high", subject, message, action, slot.kept_bytes)
        elif slot.nears_its_loss or slot.kept_bytes >= look.thresholds.slot_bytes:
            message = f"the consumer of this {slot.kind} slot is behind: {kept}"
            action = "look for a long transaction, a slow disk or a cut network at its consumer"
            severity, limit = "medium", look.thresholds.slot_bytes
            if slot.nears_its_loss:
                action += ", or raise max_slot_wal_keep_size"
                severity, limit = "high", slot.kept_bytes + (slot.safe_bytes or 0)
            yield look.finding("slot_lag", severity, subject, message, action, slot.kept_bytes, limit)


def replication_lag(look: Look) -> t.Iterator[Finding]:
    """How far the standbys of this server are behind, and this server itself where it is one."""
    if is_standby(look.conn):
        yield from _of_this_standby(look)
    limits = look.thresholds
    rows = look.query(
        f"""
SELECT coalesce(nullif(application_name, ''), host(client_addr), pid::text), state, sync_state,
       pg_catalog.pg_wal_lsn_diff({_HERE}, coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn))::bigint,
       extract(epoch FROM replay_lag)::float8
FROM pg_catalog.pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY 1"""  # noqa: S608 - our own words
    )
    if rows:
        look.must_monitor("how far standbys are behind")
    look.facts["standbys"] = [
        {"name": name, "state": state, "sync_state": sync, "behind_bytes": behind, "behind_seconds": seconds}
        for name, state, sync, behind, seconds in rows
    ]
    for name, state, _sync, behind, seconds in rows:
        late = seconds is not None and seconds >= limits.replication_lag
        if not late and (behind or 0) < limits.replication_lag_bytes:
            continue
        when = f", {format_duration(seconds)}" if seconds is not None else ""
        message = f"it has not replayed {format_size(behind or 0)} of WAL{when} (state {state})"
        action = "look for a paused replay, long queries on it, a slow disk or a cut network"
        value, limit = (int(seconds), limits.replication_lag) if late else (behind, limits.replication_lag_bytes)
        yield look.finding("replication_lag", "high", f"standby {name}", message, action, value, limit)


def _of_this_standby(look: Look) -> t.Iterator[Finding]:
    waiting, behind, paused, receiving, streams = look.query(
        """
SELECT coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(),
                                           pg_catalog.pg_last_wal_replay_lsn()), 0)::bigint,
       extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8,
       pg_catalog.pg_is_wal_replay_paused(),
       EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver),
       coalesce((SELECT setting <> '' FROM pg_catalog.pg_settings WHERE name = 'primary_conninfo'), false)"""
    )[0]
    limits = look.thresholds
    # Without anything to replay it is up to date, however long ago the last transaction was. The age is NULL until the
    # first one was replayed.
    seconds = (behind or 0) if waiting > 0 else 0
    look.facts["replay_lag_seconds"], look.facts["replay_lag_bytes"] = seconds, max(waiting, 0)
    if streams and not receiving:
        action = "look into its log, at the network to its primary, and whether the primary still has the WAL it needs"
        yield look.finding("replay_lag", "high", "standby", "it does not receive from its primary", action)
    late = seconds > limits.replication_lag
    if late or waiting >= limits.replication_lag_bytes:
        message = f"{format_size(waiting)} of WAL wait to be replayed"
        message += f"; it replays what happened {format_duration(seconds)} ago" if seconds else ""
        action = "look for long queries on it, a slow disk or a cut network"
        if paused:
            message += "; the replay is paused"
            action = "SELECT pg_wal_replay_resume()"
        value, limit = (int(seconds), limits.replication_lag) if late else (waiting, limits.replication_lag_bytes)
        yield look.finding("replay_lag", "high", "standby", message, action, value, limit)
