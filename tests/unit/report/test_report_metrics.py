# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics' text; promtool judges the same text in tests/integration/test_metrics_module.py."""

from __future__ import annotations

from support import report_sample as sample

from ansible_collections.steward.maintenance.plugins.module_utils._report.metrics import (
    FAMILIES,
    applying,
    render_metrics,
    without_written,
)

HOST = "db2.example.org"


def values(text: str) -> dict[str, str]:
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def metrics(records: list[dict], **chain: object) -> dict[str, str]:
    return values(render_metrics(sample.summary(records, **chain), sample.catalogue(), sample.GENERATED))


def test_what_the_records_say() -> None:
    told = metrics(sample.troubled(HOST), torn=1)
    vacuum = '{activity="database.vacuum",guide="2.3"}'
    assert told[f"steward_activity_last_success_timestamp_seconds{vacuum}"] == str(sample.GENERATED - 15 * 86400)
    assert told[f"steward_activity_last_run_timestamp_seconds{vacuum}"] == str(sample.GENERATED - 1728)
    assert told[f"steward_activity_next_due_timestamp_seconds{vacuum}"] == str(sample.GENERATED - 8 * 86400)
    assert told[f"steward_activity_overdue_seconds{vacuum}"] == str(8 * 86400)
    assert told[f"steward_activity_duration_seconds{vacuum}"] == "30"
    assert told['steward_activity_verdict{activity="database.vacuum",verdict="unknown"}'] == "1"
    assert told['steward_activity_verdict{activity="database.vacuum",verdict="ok"}'] == "0"
    assert told['steward_activity_findings{activity="database.review",severity="critical"}'] == "1"
    assert told['steward_activity_findings{activity="database.review",severity="low"}'] == "0"
    assert told["steward_records_total"] == str(len(sample.troubled(HOST)))
    assert told["steward_records_chain_intact"] == "1"
    assert told["steward_records_torn_lines"] == "1"
    assert told["steward_records_readable"] == "1"
    assert told["steward_metrics_written_timestamp_seconds"] == str(sample.GENERATED)


def test_never_done_fires_an_alert_and_has_no_verdict() -> None:
    told = metrics([])
    reindex = '{activity="database.reindex",guide="2.3"}'
    assert told[f"steward_activity_last_success_timestamp_seconds{reindex}"] == "0"
    assert told[f"steward_activity_overdue_seconds{reindex}"] == "+Inf"
    assert f"steward_activity_duration_seconds{reindex}" not in told
    assert [value for name, value in told.items() if name.startswith("steward_activity_verdict")] == ["0"] * 60


def test_only_what_is_automated_and_for_this_host() -> None:
    catalogue = [*sample.catalogue(), {"name": "web.check", "every": "1d", "applies": False}]
    names = [activity.name for activity in applying(catalogue)]
    assert names == sorted(entry["name"] for entry in sample.catalogue() if entry.get("available", True))


def test_without_records_it_says_only_that() -> None:
    told = values(render_metrics(None, sample.catalogue(), sample.GENERATED))
    assert told == {
        "steward_records_readable": "0",
        "steward_metrics_written_timestamp_seconds": str(sample.GENERATED),
    }


def test_a_broken_chain_is_not_intact() -> None:
    assert metrics([], intact=False, problem="p")["steward_records_chain_intact"] == "0"


def test_labels_are_escaped() -> None:
    catalogue = [{"name": 'a"b\\c\nd', "guide": "x", "every": "1d"}]
    text = render_metrics(sample.summary([]), catalogue, sample.GENERATED)
    assert r'steward_activity_overdue_seconds{activity="a\"b\\c d",guide="x"} +Inf' in text


def test_time_passing_alone_is_no_difference_but_becoming_overdue_is() -> None:
    summary = sample.summary(sample.troubled(HOST))

    def at(seconds: int) -> str:
        return without_written(render_metrics(summary, sample.catalogue(), sample.GENERATED + seconds))

    assert at(0) == at(600)
    assert at(0) != at(2 * 86400)


def test_every_metric_has_help_and_type_once() -> None:
    text = render_metrics(sample.summary(sample.troubled(HOST)), sample.catalogue(), sample.GENERATED)
    for name, kind, told in FAMILIES:
        assert text.count(f"# HELP {name} {told}\n# TYPE {name} {kind}\n{name}") == 1
