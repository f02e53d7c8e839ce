# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page says, before any markup."""

from __future__ import annotations

import pytest
from support import report_sample as sample

from ansible_collections.steward.maintenance.plugins.module_utils._report.collect import NOT_IN_THIS_RUN, host_entry
from ansible_collections.steward.maintenance.plugins.module_utils._report.guide import SECTIONS
from ansible_collections.steward.maintenance.plugins.module_utils._report.model import View, build_view


@pytest.fixture(name="view")
def _view() -> View:
    return build_view(sample.data(), sample.GENERATED)


def test_headline_names_the_hosts_and_why(view: View) -> None:
    assert view.headline == (
        "5 hosts, 3 need attention: "
        "db2.example.org: 1 failed, 1 unknown, 2 overdue, 2 serious findings, 1 warning; "
        "db10.example.org: 5 overdue, 1 warning; "
        "db11.example.org: records not read"
    )


def test_nothing_wrong_and_no_hosts_are_said_as_such() -> None:
    one = {"a": sample.summary(sample.healthy("a"))}
    data = sample.data(hosts=one, groups={"postgres": ["a"]})
    assert build_view(data, sample.GENERATED).headline == "1 host, none needs attention"
    assert build_view(sample.data(hosts={}), sample.GENERATED).headline.startswith("No hosts")


def test_only_some_hosts_are_named_in_the_headline() -> None:
    many = {f"db{number}": {"unreachable": "off"} for number in range(12)}
    headline = build_view(sample.data(hosts=many), sample.GENERATED).headline
    assert headline.startswith("12 hosts, 12 need attention: db0: records not read; db1:")
    assert headline.endswith("; and 7 more")


def test_never_done_comes_before_overdue_and_longest_first(view: View) -> None:
    told = [(row.activity.name, row.host.split(".")[0], row.schedule.due is None) for row in view.overdue]
    assert told == [
        ("backup.verify", "db10", True),
        ("recovery.retire", "db10", True),
        ("database.analyze", "db10", True),
        ("database.review", "db10", True),
        ("database.reindex", "db2", True),
        ("database.vacuum", "db2", False),
        ("database.reindex", "db10", False),
    ]


def test_every_activity_of_the_catalogue_has_its_line_in_its_section(view: View) -> None:
    told = [(section.number, line.activity.name) for section in view.sections for line in section.lines]
    assert sorted(told) == sorted((entry["guide"], entry["name"]) for entry in sample.catalogue())
    headings = [(section.number, section.title) for section in view.sections]
    assert [heading for heading in headings if heading[1]] == [one for one in SECTIONS.items() if one in headings]
    assert [number for number, title in headings if not title] == ["Document History"]


def test_what_has_no_row_says_why() -> None:
    view = build_view(sample.data(groups={}), sample.GENERATED)
    absent = {line.activity.name: line.absent for section in view.sections for line in section.lines}
    assert absent["backup.database"] == "no host in group postgres"
    assert absent["bugs.fix"] == "not automated yet"
    assert all(absent.values())


def test_what_no_clock_asks_for_has_a_row_where_somebody_asked_for_it() -> None:
    """And on a host that is not read nobody knows: what its group may have been asked for is unknown there."""
    hosts = {
        "asked": sample.summary([sample.record("release.return", "asked", 1)]),
        "never": sample.summary([]),
        "unread": {"unreachable": "No route to host"},
    }
    data = sample.data(hosts=hosts, groups={"production": ["never", "unread"]})
    view = build_view(data, sample.GENERATED)
    found = {(row.host, row.activity.name, row.verdict) for row in view.rows if row.activity.every == "event"}
    assert ("asked", "release.return", "ok") in found
    assert not [row for row in found if row[0] == "never"]
    assert ("unread", "release.production", "unknown") in found
    assert [row for row in found if row[1] == "release.return"] == [("asked", "release.return", "ok")]
    absent = {line.activity.name: line.absent for section in view.sections for line in section.lines}
    assert absent["release.staging"] == "nobody asked for it"


def test_hosts_are_in_natural_order_and_only_in_their_groups(view: View) -> None:
    assert [host.name.split(".")[0] for host in view.hosts] == ["db1", "db2", "db10", "db11", "web1"]
    assert view.hosts[-1].rows == ()
    assert view.hosts[-1].attention == ()


def test_an_unread_host_is_unknown_in_every_row_and_not_called_overdue(view: View) -> None:
    rows = [row for row in view.rows if row.host.startswith("db11")]
    assert len(rows) == 9
    assert {row.verdict for row in rows} == {"unknown"}
    assert all("No route to host" in row.reason for row in rows)
    assert not any(row.schedule.is_overdue for row in rows)


def test_broken_chain_torn_lines_and_future_records_are_warnings() -> None:
    ahead = sample.summary(
        [sample.record("database.vacuum", "h", -1)], intact=False, problem="record 3 changed", torn=2
    )
    (host,) = build_view(sample.data(hosts={"h": ahead}), sample.GENERATED).hosts
    chain, torn, clock = host.warnings
    assert chain == "record chain broken: record 3 changed"
    assert torn.startswith("2 torn record lines set aside")
    assert "records from the future (database.vacuum)" in clock


def test_a_chain_that_says_nothing_is_not_intact() -> None:
    silent = {"activities": {}, "now": sample.moment()}
    (host,) = build_view(sample.data(hosts={"h": silent}), sample.GENERATED).hosts
    assert host.warnings
    assert host.attention == ("1 warning",)


def test_findings_the_most_severe_first_with_their_action(view: View) -> None:
    told = [(found.severity, found.action) for _row, found in view.findings]
    assert told == [
        ("critical", sample.FREEZE),
        ("medium", "drop it"),
        ("info", "add it to shared_preload_libraries"),
    ]


def test_done_lately_holds_only_what_was_really_done(view: View) -> None:
    done = view.done_lately
    assert {one.record["verdict"] for one in done} == {"ok", "findings"}
    assert [one.ended for one in done] == sorted((one.ended for one in done), reverse=True)
    assert ("backup.verify", "db2.example.org") in [(one.row.activity.name, one.row.host) for one in done]
    assert "database.reindex" not in [one.row.activity.name for one in done]  # twelve days ago


def test_records_beside_the_catalogue_are_kept(view: View) -> None:
    assert [name for host in view.hosts for name, _history in host.others] == ["storage.sweep"]


@pytest.mark.parametrize(
    ("registered", "reason"),
    [
        (None, NOT_IN_THIS_RUN),
        ({"skipped": True, "changed": False}, NOT_IN_THIS_RUN),
        ({"failed": True, "msg": "m", "reason": "permission denied"}, "permission denied"),
        ({"unreachable": True, "msg": "no route"}, "no route"),
        ({"failed": True}, "its records could not be read"),
        ({"stdout": "x"}, "what its task returned is no summary of records"),
    ],
)
def test_a_host_without_a_summary_says_why(registered: object, reason: str) -> None:
    assert host_entry(registered) == {"unreachable": reason}


def test_only_the_summary_goes_into_the_report() -> None:
    registered = {**sample.summary([]), "invocation": {"module_args": {"records_password": "geheim"}}, "failed": False}
    assert host_entry(registered) == sample.summary([])
