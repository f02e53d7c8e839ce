# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of both ecosystems: their order, their ranges, and what a change of version means."""

from __future__ import annotations

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._packages import changes, cvss, pep440, semver
from ansible_collections.steward.maintenance.plugins.module_utils._packages.locks_python import poetry_range

#: The order of PEP 440, "Summary of permitted suffixes and relative ordering", and epochs.
PEP440_ORDER = [
    *("1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2"),
    *("1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7", "1.0+5"),
    *("1.0.post456.dev34", "1.0.post456", "1.1.dev1", "1.1", "1!0.5"),
]
#: The order of semantic versioning 2.0.0, section 11.
SEMVER_ORDER = [
    *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
    *("1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "2.0.0"),
]


def test_order_of_python_versions() -> None:
    keys = [pep440.parse(version) for version in PEP440_ORDER]
    assert None not in keys
    assert keys == sorted(keys, key=lambda key: key or ())
    assert len({str(key) for key in keys}) == len(keys)


def test_order_of_node_versions() -> None:
    keys = [semver.parse(version) for version in SEMVER_ORDER]
    assert None not in keys
    assert all(left < right for left, right in zip(keys, keys[1:]))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.0", "1.0.0"), ("1.0a1", "1.0.alpha-1"), ("v1.0", "1.0"), ("1.0-1", "1.0.post1"), ("1.0c1", "1.0rc1")],
)
def test_spellings_of_the_same_python_version(one: str, other: str) -> None:
    assert pep440.same(one, other)


@pytest.mark.parametrize("text", ["", "latest", "1.0-beta-nothing", "1..0", "2004d", "1.0+", "french toast"])
def test_no_python_version(text: str) -> None:
    assert pep440.parse(text) is None
    assert pep440.satisfies(text, ">=1") is None


@pytest.mark.parametrize(
    ("specifier", "fits", "fits_not"),
    [
        (">=1.2,<2", ["1.2", "1.9.9", "1.2.post1"], ["1.1", "2.0", "2.0rc1", "1.2rc1"]),
        ("~=2.2", ["2.2", "2.9", "2.2.post3"], ["3.0", "2.1"]),
        ("~=1.4.5", ["1.4.5", "1.4.99"], ["1.5.0", "1.4.4"]),
        ("~=2.2.post3", ["2.2.post3", "2.9"], ["2.2", "3"]),
        ("==1.4.*", ["1.4", "1.4.5", "1.4a1"], ["1.5", "1.40"]),
        ("!=1.4.*", ["1.5"], ["1.4.1"]),
        ("==1.0", ["1.0", "1.0.0", "1.0+local"], ["1.0.post1", "1.0.1"]),
        ("==1.0+local", ["1.0+local"], ["1.0"]),
        (">1.7", ["1.7.1", "1.8"], ["1.7", "1.7.post2", "1.7.0"]),
        ("<3.1", ["3.0", "3.0.9"], ["3.1", "3.1rc1", "3.1.dev0"]),
        ("===1.0", ["1.0"], ["1.0.0"]),
        ("", ["0.1", "9"], []),
        ("(>=1.0)", ["1.0"], ["0.9"]),
    ],
)
def test_python_specifiers(specifier: str, fits: list[str], fits_not: list[str]) -> None:
    assert {version: pep440.satisfies(version, specifier) for version in fits} == dict.fromkeys(fits, True)
    assert {version: pep440.satisfies(version, specifier) for version in fits_not} == dict.fromkeys(fits_not, False)


@pytest.mark.parametrize("specifier", ["1.0", "=1.0", ">=", ">=1.0 <2", ">=latest", "~1.2"])
def test_no_python_specifier(specifier: str) -> None:
    assert not pep440.is_valid_specifier(specifier)


def test_highest_leaves_pre_releases_out_unless_there_is_nothing_else() -> None:
    versions = ["1.0", "1.10", "1.9", "2.0rc1", "not a version"]
    assert pep440.highest(versions) == "1.10"
    assert pep440.highest(versions, pre_releases=True) == "2.0rc1"
    assert pep440.highest(["2.0rc1", "2.0b1"]) == "2.0rc1"
    assert pep440.highest(versions, ">=3") is None


#: As npm's own semver judges them.
RANGES = [
    ("^1.2.3", ["1.2.3", "1.9.0"], ["2.0.0", "1.2.2", "2.0.0-rc.1", "1.3.0-rc.1"]),
    ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0"]),
    ("^0.0.3", ["0.0.3"], ["0.0.4"]),
    ("^1.x", ["1.0.0", "1.9.9"], ["2.0.0"]),
    ("^0", ["0.0.1", "0.9.0"], ["1.0.0"]),
    ("^0.0", ["0.0.9"], ["0.1.0"]),
    ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0"]),
    ("~1.2", ["1.2.0"], ["1.3.0"]),
    ("~1", ["1.9.0"], ["2.0.0"]),
    ("1.2.x", ["1.2.0", "1.2.7"], ["1.3.0"]),
    ("*", ["0.0.1", "9.9.9"], ["1.0.0-alpha"]),
    ("", ["1.0.0"], []),
    ("1.2.3 - 2.3.4", ["1.2.3", "2.3.4"], ["2.3.5", "1.2.2"]),
    ("1.2.3 - 2.3", ["2.3.9"], ["2.4.0"]),
    (">=1.2.7 <1.3.0", ["1.2.7", "1.2.99"], ["1.2.6", "1.3.0"]),
    ("<=1.2", ["1.2.9"], ["1.3.0"]),
    (">1.2", ["1.3.0"], ["1.2.9"]),
    ("1.2.7 || >=1.2.9 <2.0.0", ["1.2.7", "1.2.9", "1.4.6"], ["1.2.8", "2.0.0"]),
    (">= 1.0.0", ["1.0.0"], ["0.9.9"]),
    ("=v1.0.0", ["1.0.0"], ["1.0.1"]),
    ("^1.2.3-beta.2", ["1.2.3-beta.4", "1.2.3"], ["1.2.4-beta.2", "1.2.3-beta.1"]),
]


@pytest.mark.parametrize(("wanted", "fits", "fits_not"), RANGES)
def test_node_ranges(wanted: str, fits: list[str], fits_not: list[str]) -> None:
    assert {version: semver.satisfies(version, wanted) for version in fits} == dict.fromkeys(fits, True)
    assert {version: semver.satisfies(version, wanted) for version in fits_not} == dict.fromkeys(fits_not, False)


def test_ranges_of_advisories_hold_pre_releases() -> None:
    assert semver.satisfies("2.0.0-rc.1", "<2.0.0") is False
    assert semver.satisfies("2.0.0-rc.1", "<2.0.0", pre_releases=True) is True


@pytest.mark.parametrize(
    "wanted", ["latest", "git+https://example.org/x.git", "file:../x", "^^1", "1.2.3.4", "npm:x@1"]
)
def test_no_node_range(wanted: str) -> None:
    assert not semver.is_range(wanted)
    assert semver.satisfies("1.0.0", wanted) is None


@pytest.mark.parametrize(
    ("ecosystem", "installed", "target", "expected"),
    [
        ("pypi", "1.2.3", "1.2.4", "patch"),
        ("pypi", "1.2", "1.2.1", "patch"),
        ("pypi", "1.2.3", "1.3.0", "minor"),
        ("pypi", "0.4.2", "0.5.0", "minor-0x"),
        ("pypi", "0.9", "1.0", "major"),
        ("pypi", "1.9", "1!0.1", "major"),
        ("pypi", "2.0", "1.9", "downgrade"),
        ("pypi", "1.0", "1.0.0", "none"),
        ("pypi", "1.0", "1.0.post1", "patch"),
        ("pypi", "2004d", "2005", "unknown"),
        ("npm", "4.17.4", "4.17.21", "patch"),
        ("npm", "4.17.4", "5.0.0", "major"),
        ("npm", "0.3.9", "0.4.0", "minor-0x"),
        ("npm", "0.0.3", "0.0.4", "minor-0x"),
        ("npm", "1.0.0", "1.0.0-rc.1", "downgrade"),
        ("npm", "1.0.0", "latest", "unknown"),
    ],
)
def test_update_class(ecosystem: str, installed: str, target: str, expected: str) -> None:
    assert changes.update_class(ecosystem, installed, target) == expected


def test_the_nearest_fix_is_the_lowest_above_else_the_highest_below() -> None:
    assert changes.lowest_fix("pypi", "1.5", ["2.0", "1.10", "1.2"]) == "1.10"
    assert changes.lowest_fix("npm", "1.5.0", ["1.2.0", "1.3.0"]) == "1.3.0"
    assert changes.lowest_fix("npm", "1.5.0", []) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("~1.2", ">=1.2,<1.3"),
        ("*", ""),
        ("1.2", "==1.2"),
        ("1.2.*", "==1.2.*"),
        (">=1,<3", ">=1,<3"),
    ],
)
def test_ranges_of_poetry(given: str, expected: str) -> None:
    assert poetry_range(given) == expected
    assert pep440.is_valid_specifier(poetry_range(given))


@pytest.mark.parametrize(
    ("vector", "score", "severity"),
    [
        # Worked examples of https://www.first.org/cvss/v3.1/examples
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4, "medium"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5, "high"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical"),
        ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1, "low"),
        ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2, "medium"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, ""),
        # By the calculator of FIRST: https://www.first.org/cvss/calculator/4.0
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3, "critical"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0, "critical"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:N/SC:N/SI:L/SA:N", 6.9, "medium"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 8.6, "high"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:P/VC:H/VI:L/VA:N/SC:L/SI:H/SA:H", 8.4, "high"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:L/UI:A/VC:N/VI:L/VA:L/SC:L/SI:L/SA:H", 6.2, "medium"),
        ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:L/VI:N/VA:H/SC:N/SI:L/SA:L", 6.0, "medium"),
        ("CVSS:4.0/AV:N/AC:L/AT:P/PR:L/UI:A/VC:H/VI:H/VA:L/SC:L/SI:L/SA:L", 7.3, "high"),
        ("CVSS:4.0/AV:N/AC:L/AT:P/PR:H/UI:A/VC:N/VI:L/VA:N/SC:N/SI:L/SA:N", 1.8, "low"),
        ("CVSS:4.0/AV:N/AC:H/AT:N/PR:L/UI:P/VC:L/VI:N/VA:N/SC:H/SI:H/SA:H", 5.5, "medium"),
        ("CVSS:4.0/AV:N/AC:H/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:L/SA:N", 9.5, "critical"),
        ("CVSS:4.0/AV:N/AC:H/AT:N/PR:H/UI:P/VC:L/VI:L/VA:L/SC:H/SI:N/SA:L", 4.5, "medium"),
        ("CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/E:A", 7.3, "high"),
        ("CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/E:P", 5.9, "medium"),
        ("CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/E:U", 4.1, "medium"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0, ""),
        # Not whole, told twice, or with values that are none.
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N", None, ""),
        ("CVSS:4.0/AV:N/AV:P/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None, ""),
        ("CVSS:4.0/AV:Q/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None, ""),
        ("CVSS:3.1/AV:N/AC:L", None, ""),
        ("", None, ""),
    ],
)
def test_scores(vector: str, score: float, severity: str) -> None:
    assert cvss.base_score(vector) == score
    assert cvss.severity_of_vector(vector) == severity
