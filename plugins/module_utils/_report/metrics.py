# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's maintenance as Prometheus reads it, in the text format of the node exporter's textfile collector.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from .._core.result import SEVERITIES, VERDICTS
from .history import Activity, Data, History
from .text import clean

_ACTIVITY = "steward_activity_"
_WRITTEN = "steward_metrics_written_timestamp_seconds"

#: Name, type and help of every metric, in the order in which they are written.
FAMILIES = (
    ("steward_records_readable", "gauge", "Whether the records could be read (1) or not (0), and nothing is known."),
    ("steward_records_total", "counter", "Records that were ever written."),
    ("steward_records_chain_intact", "gauge", "Whether every record is there as it was written (1) or not (0)."),
    ("steward_records_torn_lines", "gauge", "Record lines that were cut off in their middle and set aside."),
    (f"{_ACTIVITY}last_success_timestamp_seconds", "gauge", "When the activity was last done; 0 if never."),
    (f"{_ACTIVITY}last_run_timestamp_seconds", "gauge", "When the activity last ran, whatever came of it; 0 if never."),
    (f"{_ACTIVITY}next_due_timestamp_seconds", "gauge", "When the activity is due next; 0 if it was never done."),
    (f"{_ACTIVITY}overdue_seconds", "gauge", "For how long the activity has been overdue; +Inf if it was never done."),
    (f"{_ACTIVITY}duration_seconds", "gauge", "How long the last run of the activity took."),
    (f"{_ACTIVITY}figure", "gauge", "What the last run measured, of all or of one subject; the unit is in its name."),
    (f"{_ACTIVITY}verdict", "gauge", "1 for the verdict of the activity's last run, 0 for the others."),
    (f"{_ACTIVITY}findings", "gauge", "Findings of the activity that still stand, by severity."),
    (_WRITTEN, "gauge", "When these metrics were written."),
)  # fmt: skip

_WRITTEN_LINE = re.compile(rf"^{_WRITTEN} .*$", re.MULTILINE)
_GROWING_LINE = re.compile(rf"^({_ACTIVITY}overdue_seconds\{{[^\n]*\}}) (?!0$|\+Inf$).*$", re.MULTILINE)

_Samples = t.Dict[str, t.List[str]]


def render_metrics(summary: Data | None, catalogue: t.Iterable[Data], now: int) -> str:
    """The whole file; with no summary, only that the records could not be read.

    `catalogue` holds the activities with `available` and `applies`; those that are not automated, or not for this host,
    have no series.

    :raises DurationError: for an activity whose period cannot be read.
    """
    samples: _Samples = {}
    _add(samples, "steward_records_readable", summary is not None)
    _add(samples, _WRITTEN, now)
    if summary is not None:
        _add_chain(samples, summary.get("chain") or {})
        entries = summary.get("activities") or {}
        for activity in applying(catalogue):
            _add_activity(samples, activity, History(entries.get(activity.name)), now)
    lines = []
    for name, kind, told in FAMILIES:
        if name in samples:
            lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}", *samples[name]]
    return "\n".join(lines) + "\n"


def applying(catalogue: t.Iterable[Data]) -> list[Activity]:
    """The automated activities for this host, each once: the exporter refuses a file with a series in it twice."""
    wanted = {}
    for entry in catalogue:
        activity = Activity.from_dict(entry)
        if activity.available and entry.get("applies", True) is not False:
            wanted[activity.name] = activity
    return [wanted[name] for name in sorted(wanted)]


def without_written(text: str) -> str:
    """The metrics but for the time of writing and what grows with it by itself."""
    return _GROWING_LINE.sub(r"\1 growing", _WRITTEN_LINE.sub("", text))


def _add_chain(samples: _Samples, chain: Data) -> None:
    _add(samples, "steward_records_total", chain.get("length") or 0)
    _add(samples, "steward_records_chain_intact", chain.get("intact") is True)
    _add(samples, "steward_records_torn_lines", chain.get("torn") or 0)


def _add_activity(samples: _Samples, activity: Activity, history: History, now: int) -> None:
    schedule = history.schedule(activity, now)
    labels = {"activity": activity.name, "guide": activity.guide}
    _add(samples, f"{_ACTIVITY}last_success_timestamp_seconds", history.last_success_at or 0, **labels)
    _add(samples, f"{_ACTIVITY}last_run_timestamp_seconds", history.last_run or 0, **labels)
    _add(samples, f"{_ACTIVITY}overdue_seconds", schedule.overdue_seconds, **labels)
    if activity.every_seconds is not None:
        _add(samples, f"{_ACTIVITY}next_due_timestamp_seconds", schedule.due or 0, **labels)
    if history.last is not None:
        _add(samples, f"{_ACTIVITY}duration_seconds", history.seconds, **labels)
    for subject, name, number in history.measured():
        about = {"subject": subject} if subject else {}
        _add(samples, f"{_ACTIVITY}figure", number, activity=activity.name, **about, figure=name)
    for verdict in VERDICTS:
        _add(samples, f"{_ACTIVITY}verdict", history.verdict == verdict, activity=activity.name, verdict=verdict)
    found = [finding.severity for finding in history.findings()]
    for severity in SEVERITIES:
        _add(samples, f"{_ACTIVITY}findings", found.count(severity), activity=activity.name, severity=severity)


def _add(samples: _Samples, name: str, value: float, **labels: str) -> None:
    written = ",".join(f'{label}="{_label(text)}"' for label, text in labels.items())
    samples.setdefault(name, []).append(f"{name}{'{' + written + '}' if written else ''} {_value(value)}")


def _label(text: str) -> str:
    return clean(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _value(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else f"{value:.3f}"
