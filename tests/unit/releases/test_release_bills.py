# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of parts of a release: each package once, with all places where it lies."""

from __future__ import annotations

from ansible_collections.steward.maintenance.plugins.module_utils._releases import bills
from ansible_collections.steward.maintenance.plugins.module_utils._releases.inventory import NPM, PYPI, Package

PACKAGES = [
    Package(NPM, "@a/b", "1.0.0", "web/node_modules/@a/b", "c" * 64),
    Package(NPM, "qs", "6.0.0", "node_modules/x/node_modules/qs", "d" * 64),
    Package(NPM, "qs", "6.0.0", "node_modules/qs", "e" * 64),
    Package(PYPI, "jinja2", "3.1.0", ".venv", ""),
]
NOW = "2026-11-27T05:13:52Z"


def test_a_package_that_lies_in_two_places_is_one_part_with_two_occurrences() -> None:
    bill = bills.bill_of("shop", ("5d2b", PACKAGES), NOW)
    listed = {one["purl"]: one for one in bill["components"]}
    assert list(listed) == ["pkg:npm/%40a/b@1.0.0", "pkg:npm/qs@6.0.0", "pkg:pypi/jinja2@3.1.0"]
    assert (listed["pkg:npm/%40a/b@1.0.0"]["group"], listed["pkg:npm/%40a/b@1.0.0"]["name"]) == ("@a", "b")
    assert listed["pkg:npm/qs@6.0.0"]["evidence"]["occurrences"] == [
        {"location": "node_modules/qs", "additionalContext": f"SHA-256 of its contents: {'e' * 64}"},
        {"location": "node_modules/x/node_modules/qs", "additionalContext": f"SHA-256 of its contents: {'d' * 64}"},
    ]
    assert listed["pkg:pypi/jinja2@3.1.0"]["evidence"]["occurrences"] == [{"location": ".venv"}]
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == ("shop", "5d2b")
    assert bill["dependencies"] == [{"ref": root["bom-ref"], "dependsOn": list(listed)}]


def test_the_same_parts_have_the_same_serial_number_and_others_have_another_one() -> None:
    numbers = [
        bills.bill_of("shop", (release, packages), NOW)["serialNumber"]
        for release, packages in (("5d2b", PACKAGES), ("5d2b", PACKAGES[::-1]), ("5d2b", PACKAGES[1:]), ("", []))
    ]
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3


def test_before_the_first_release_there_is_no_part_and_no_version() -> None:
    bill = bills.bill_of("shop", ("", ()), NOW)
    assert (bill["components"], "version" in bill["metadata"]["component"]) == ([], False)


def test_evidence_of_two_directories_never_comes_into_one_place() -> None:
    one, other = (bills.place_of("/state", directory, NOW, "5d2b") for directory in ("/srv/a/shop", "/srv/b/shop"))
    assert one != other
    assert one.startswith("/state/evidence/shop-")
    assert one.endswith("/2026-11-27T051352Z-5d2b")
