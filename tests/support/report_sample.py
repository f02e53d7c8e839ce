# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small fleet as the report meets it: findings, a failure, an unknown, something skipped, never done, unreachable."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import yaml

from ansible_collections.steward.maintenance.plugins.module_utils._core.records_summary import summarise

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = datetime.datetime(2026, 11, 23, 6, 0, tzinfo=datetime.timezone.utc)
GENERATED = int(NOW.timestamp())

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> \x1b[31mred\x07 \u202egnp \ud800 &amp;"


def moment(days: float = 0, seconds: float = 0) -> str:
    """A record's time, so long ago."""
    return (NOW - datetime.timedelta(days=days, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def catalogue() -> list[dict[str, t.Any]]:
    """The real one, as the cycle hands it over."""
    text = (ROOT / "roles" / "cycle" / "vars" / "activities.yml").read_text(encoding="utf-8")
    return [{"name": name, **entry} for name, entry in yaml.safe_load(text)["__cycle_catalogue"].items()]


def record(activity: str, host: str, ended_days_ago: float, took: float = 2.0, **fields: t.Any) -> dict[str, t.Any]:
    written: dict[str, t.Any] = {
        "activity": activity,
        "host": host,
        "started": moment(ended_days_ago, took),
        "ended": moment(ended_days_ago),
        "verdict": "ok",
        "summary": "all is done",
        "reason": "",
        "findings": [],
        "figures": {"duration_seconds": took},
        "check_mode": False,
    }
    written.update(fields)
    return written


def until_today(one: dict[str, t.Any]) -> dict[str, t.Any]:
    """A record of the sample moved to the present, for a program that looks at the real clock."""
    shift = datetime.datetime.now(datetime.timezone.utc) - NOW
    form = "%Y-%m-%dT%H:%M:%SZ"
    times = {key: datetime.datetime.strptime(one[key], form) + shift for key in ("started", "ended")}  # noqa: DTZ007
    return {**one, **{key: time.strftime(form) for key, time in times.items()}}


def summary(records: list[dict[str, t.Any]], **chain: t.Any) -> dict[str, t.Any]:
    """What records_info returns with summary=true."""
    told = {"length": len(records), "intact": True, "problem": "", "torn": 0}
    return {"activities": summarise(records), "chain": {**told, **chain}, "now": moment()}


def finding(severity: str, subject: str, message: str, action: str = "", identity: str = "f") -> dict[str, t.Any]:
    return {
        "id": identity, "severity": severity, "subject": subject, "message": message,
        "value": 1, "threshold": 0, "action": action,
    }  # fmt: skip


def healthy(host: str) -> list[dict[str, t.Any]]:
    dumped = "shop and audit dumped, 1.2 GB in 2 files, manifest last"
    restored = "2 of 2 databases restored, 64 tables and 1 204 331 rows compared, all equal"
    records = []
    for days in range(20, -1, -1):
        took = 38.0 + (days * 7) % 11
        records.append(record("backup.database", host, days + 0.16, took, summary=dumped))
        records.append(record("backup.verify", host, days + 0.15, took * 2.5, summary=restored))
        dropped = "0 retired databases dropped (0 B), 0 kept"
        records.append(record("recovery.retire", host, days + 0.14, 0.2, summary=dropped))
        if days % 7 == 1:
            vacuumed = "3 of 41 tables vacuumed, 18 231 dead rows removed"
            records.append(record("database.vacuum", host, days, 61 + days, summary=vacuumed))
            analysed = "5 of 41 tables analysed, their statistics were stale"
            records.append(record("database.analyze", host, days, 6.4, summary=analysed))
    records.append(record("database.reindex", host, 12, 214, summary="1 bloated index rebuilt, 212 MB given back"))
    reviewed = "41 tables and 96 indexes reviewed, nothing to report"
    records.append(record("database.review", host, 2, 0.42, summary=reviewed))
    return records


LOCKED = (
    'lock on table "orders" was not granted within 5 s: pid 4182 (application "importer") has held it for 2 h 05 min'
)
NOT_RESTORED = 'pg_restore: error: could not execute query: ERROR: extension "postgis" is not available'
XID = "the oldest transaction id is 1 612 004 311 old; at 2 100 000 000 PostgreSQL stops taking writes"
FREEZE = "vacuum freeze the 3 named tables in the next window"


def troubled(host: str) -> list[dict[str, t.Any]]:
    """Never reindexed, vacuum could not look everywhere, the backup did not restore, the review found three things."""
    records = [one for one in healthy(host) if one["activity"] not in ("database.review", "database.reindex")]
    records = [one for one in records if one["activity"] != "database.vacuum" or one["ended"] < moment(10)]
    looked = "39 of 41 tables looked at"
    records.append(record("database.vacuum", host, 0.02, 30, verdict="unknown", summary=looked, reason=LOCKED))
    broken = "restore of shop into the throwaway server failed"
    records.append(record("backup.verify", host, 0.01, 12.5, verdict="failed", summary=broken, reason=NOT_RESTORED))
    found = [
        finding("critical", "database shop", XID, FREEZE, "xid"),
        finding("medium", "index orders_old_idx on orders", "not used once in 94 d", "drop it", "unused"),
        finding("info", "pg_stat_statements", "is not loaded", "add it to shared_preload_libraries", "ext"),
    ]
    told = "3 things somebody should know"
    figures = {"duration_seconds": 0.61, "database shop:age_percent": 93}
    review = {"verdict": "findings", "summary": told, "findings": found, "figures": figures}
    records.append(record("database.review", host, 0.9, 0.61, **review))
    return records


def standby(host: str) -> list[dict[str, t.Any]]:
    reason = "the server is a standby (in recovery): its primary is maintained instead"
    skipped = {"verdict": "skipped", "summary": "nothing done", "reason": reason}
    return [
        record("database.vacuum", host, 0.5, 0.1, **skipped),
        record("database.reindex", host, 3, 0.1, **skipped),
        record("backup.database", host, 0.2, 38, summary=f"dumped {HOSTILE}"),
        record("storage.sweep", host, 3, 4, summary="a role that is not in the catalogue did this"),
    ]


def data(**beside: t.Any) -> dict[str, t.Any]:
    """The whole input of the report."""
    hosts = ["db1.example.org", "db2.example.org", "db10.example.org", "db11.example.org"]
    return {
        "title": "Maintenance of the shop",
        "catalogue": catalogue(),
        "groups": {"all": [*hosts, "web1.example.org"], "postgres": hosts, "web": ["web1.example.org"]},
        "hosts": {
            hosts[0]: summary(healthy(hosts[0])),
            hosts[1]: summary(troubled(hosts[1]), torn=1),
            hosts[2]: summary(standby(hosts[2]), intact=False, problem="record 3: its hash does not match its content"),
            hosts[3]: {"unreachable": "Failed to connect to the host via ssh: No route to host"},
            "web1.example.org": summary([]),
        },
        **beside,
    }
