# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wants to read at the end: what was done, and what it changed."""

from __future__ import annotations

import json
import pathlib
import textwrap
import typing as t

from .seed import Condition

Record = dict[str, t.Any]


def read_records(directory: pathlib.Path) -> list[Record]:
    """Every record of every host, in the order of their end."""
    found = [
        json.loads(line)
        for path in sorted(directory.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    return sorted(found, key=lambda record: (record["ended"], record["started"]))


def activities_table(records: t.Iterable[Record], width: int) -> str:
    """One row an activity: verdict, what it did with its own figures, how long it took."""
    rows = []
    for record in records:
        why = f" ({record['reason']})" if record["reason"] else ""
        rows.append([record["activity"], record["verdict"], record["summary"] + why, _duration(record)])
    return table(["Activity", "Verdict", "What it did", "Took"], rows, width, flexible=2)


def _duration(record: Record) -> str:
    seconds = record.get("figures", {}).get("duration_seconds")
    return "" if seconds is None else f"{seconds:.1f} s"


def effects_table(before: Condition, after: Condition, records: t.Iterable[Record], width: int) -> str:
    """What the maintenance changed, measured before and after it; what is not known is left out."""
    rows = [
        ["Dead rows in shop", f"{before.dead_rows:,}", f"{after.dead_rows:,}"],
        ["Invalid indexes in shop", str(before.invalid_indexes), str(after.invalid_indexes)],
        ["Size of the bloated index", human_bytes(before.bloated_index_bytes), human_bytes(after.bloated_index_bytes)],
        ["Tables never analyzed in shop", str(before.never_analyzed), str(after.never_analyzed)],
    ]
    figures = {name: number for record in records for name, number in record.get("figures", {}).items()}
    if "backup_bytes" in figures:
        rows.append(["Newest backup", "none", human_bytes(figures["backup_bytes"])])
    if "restore_seconds" in figures:
        rows.append(["Its restore, rows counted", "never tried", f"{figures['restore_seconds']:.1f} s"])
    return table(["Measured", "Before", "After"], rows, width, flexible=0)


def human_bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def table(headers: list[str], rows: t.Iterable[list[str]], width: int, flexible: int) -> str:
    """A plain table; the column `flexible` is wrapped so that the whole fits the width."""
    lines = [headers, *rows]
    widths = [max(len(row[column]) for row in lines) for column in range(len(headers))]
    others = sum(widths) - widths[flexible] + 2 * len(headers)
    widths[flexible] = max(20, min(widths[flexible], width - others))
    out = []
    for number, row in enumerate(lines):
        wrapped = textwrap.wrap(row[flexible], widths[flexible]) or [""]
        for index, part in enumerate(wrapped):
            cells = [cell if index == 0 else "" for cell in row]
            cells[flexible] = part
            out.append("  " + "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip())
        if number == 0:
            out.append("  " + "  ".join("-" * size for size in widths))
    return "\n".join(out)
