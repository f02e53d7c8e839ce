# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue holds every activity of the guide: each row of each table, each item of each list, each process."""

from __future__ import annotations

import pathlib
import re

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import (
    CHANGES,
    TYPES,
    load_catalogue,
    merge_catalogue,
)

ROOT = pathlib.Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")

#: What the guide tells as a process instead of a table.
PROCESSES = {
    ("2.1", "Bug Fix Process"),
    ("2.2", "Monthly Update Procedure"),
    ("2.2", "Security Patches"),
    ("2.3", "Performance Monitoring"),
    ("3.1", "Change Request Process"),
    ("5.2", "Database Recovery"),
    ("6.2", "Security Incident Response"),
    ("8.2", "Documentation Review"),
}
AVAILABLE = {
    "database.vacuum",
    "database.analyze",
    "database.reindex",
    "database.review",
    "backup.database",
    "backup.verify",
    "recovery.database",
    "recovery.retire",
    "drill.database",
    "drill.system",
    "drill.region",
    "security.secrets",
    "secrets.database",
    "secrets.api",
    "secrets.jwt",
    "secrets.certificates",
    "security.patches",
    "release.development",
    "release.staging",
    "release.production",
    "release.return",
    "security.dependencies",
    "dependencies.update",
    "dependencies.security",
}


def sections() -> dict[str, list[str]]:
    """The lines below each heading, by its number (or its words, where it has none)."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in GUIDE.splitlines():
        heading = re.match(r"#{2,3} (?:(\d+\.\d+) )?(.+)", line)
        if heading:
            current = found.setdefault(heading.group(1) or heading.group(2), [])
        current.append(line)
    return found


def table_rows() -> set[tuple[str, str]]:
    rows = set()
    for section, lines in sections().items():
        header_seen = False
        for line in lines:
            if not line.startswith("|"):
                header_seen = False
            elif re.fullmatch(r"[|\- ]+", line):
                header_seen = True
            elif header_seen:
                rows.add((section, line.split("|")[1].strip().strip("`")))
    return rows


def list_items() -> set[tuple[str, str]]:
    """7.1 and 7.2 are lists; the items of other lists are steps of one process."""
    return {
        (section, re.sub(r"^- (\[ \] )?", "", line))
        for section in ("7.1", "7.2")
        for line in sections()[section]
        if line.startswith("- ")
    }


def test_the_parser_sees_all_tables() -> None:
    assert len(table_rows()) == 52
    assert ("9.2", "[DB vendor]") in table_rows()
    assert len(list_items()) == 10


@pytest.mark.parametrize(("section", "row"), sorted(table_rows() | list_items() | PROCESSES))
def test_every_row_of_the_guide_is_an_activity(section: str, row: str) -> None:
    covering = [name for name, entry in load_catalogue().items() if (entry["guide"], entry["row"]) == (section, row)]
    assert covering, f"no activity for {row!r} of section {section}"


def test_no_activity_claims_a_row_that_the_guide_does_not_have() -> None:
    known = table_rows() | list_items() | PROCESSES
    assert {(entry["guide"], entry["row"]) for entry in load_catalogue().values()} <= known
    for _section, process in PROCESSES:
        assert process.lower() in GUIDE.lower()


def test_each_entry_is_complete_and_says_whether_it_is_automated() -> None:
    for name, entry in load_catalogue().items():
        wanted = {"title", "guide", "row", "type", "every", "hosts", "change", "owner", "available"}
        assert wanted <= set(entry), f"{name} lacks {wanted - set(entry)}"
        assert entry["type"] in TYPES
        assert entry["change"] in CHANGES
        assert entry["available"] is (name in AVAILABLE)
        # Each value must also stand as a project's override: the same rules hold for both.
        assert merge_catalogue(load_catalogue(), {name: dict(entry)})[name].title == entry["title"]


def test_the_guides_frequencies_are_kept() -> None:
    every = {name: entry["every"] for name, entry in load_catalogue().items()}
    assert every["database.vacuum"] == every["database.analyze"] == every["security.dependencies"] == "7d"
    assert every["backup.database"] == every["backup.verify"] == every["backup.logs"] == "1d"
    assert every["database.reindex"] == every["security.access"] == "30d"
    assert every["documentation.review"] == "91d"
    assert every["security.penetration"] == "365d"
    # A secret is asked how old it is; the guide's quarter and year are its period.
    periods = (ROOT / "roles" / "secret_rotation" / "defaults" / "main.yml").read_text(encoding="utf-8")
    for line in ("database_period: 90d", "jwt_period: 90d", "api_key_period: 365d"):
        assert f"\nsecret_rotation_{line}\n" in periods
    assert every["health.application"] == "1m"
    assert every["backup.configuration"] == "event"


def test_roles_that_are_said_to_be_there_are_there() -> None:
    for entry in load_catalogue().values():
        if entry["available"]:
            assert (ROOT / "roles" / entry["role"] / "tasks" / f"{entry['entry']}.yml").is_file()
