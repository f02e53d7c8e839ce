# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package URLs as the specification's own examples have them, and evidence that does not grow without end."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core import cyclonedx, evidence


@pytest.mark.parametrize(
    ("given", "about", "expected"),
    [
        (
            ("deb", "curl", "7.50.3-1", "debian"),
            {"distro": "jessie", "arch": "i386"},
            "pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie",
        ),
        (
            ("deb", "attr", "1:2.4.47-2+b1", "debian"),
            {"arch": "amd64", "distro": ""},
            "pkg:deb/debian/attr@1:2.4.47-2%2Bb1?arch=amd64",
        ),
        (
            ("rpm", "centerim", "4.22.10-1.el6", "fedora"),
            {"epoch": "1", "arch": "i686", "distro": "fedora-25"},
            "pkg:rpm/fedora/centerim@4.22.10-1.el6?arch=i686&distro=fedora-25&epoch=1",
        ),
        (("npm", "@angular/animation", "12.3.1"), {}, "pkg:npm/%40angular/animation@12.3.1"),
        (("deb", "libstdc++6", "12.2.0~rc1-14", "debian"), {}, "pkg:deb/debian/libstdc%2B%2B6@12.2.0~rc1-14"),
        (("pypi", "django", "1!2.0+local"), {}, "pkg:pypi/django@1%212.0%2Blocal"),
    ],
)
def test_a_package_url_is_canonical(given: tuple[str, ...], about: dict[str, str], expected: str) -> None:
    """Those of curl, attr, centerim and animation are in the definitions of types of the specification."""
    assert cyclonedx.package_url(*given, **about) == expected


def kept(parent: pathlib.Path, name: str, size: int = 10) -> str:
    (parent / name).mkdir()
    (parent / name / "file").write_bytes(b"x" * size)
    return str(parent / name)


def test_the_newest_evidence_is_kept_and_what_was_not_finished_goes(tmp_path: pathlib.Path) -> None:
    for name in ("2026-01", "2026-02", "2026-03", "2026-04.new", "2025-12.old"):
        kept(tmp_path, name)
    (tmp_path / "2020-01").write_text("somebody's own file")
    place = kept(tmp_path, "2026-05")
    assert sorted(evidence.keep_newest(place, 3, 1000)) == ["2025-12.old", "2026-01", "2026-04.new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2020-01", "2026-02", "2026-03", "2026-05"]
    assert evidence.keep_newest(place, 3, 1000) == []


def test_too_much_evidence_goes_from_its_oldest_on_and_never_what_was_just_written(tmp_path: pathlib.Path) -> None:
    for name, size in (("2026-01", 1), ("2026-02", 600), ("2026-03", 300)):
        kept(tmp_path, name, size)
    # The clock went backwards: by its name it is the oldest.
    place = kept(tmp_path, "2025-01", 200)
    assert sorted(evidence.keep_newest(place, 24, 1000)) == ["2026-01", "2026-02"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2025-01", "2026-03"]
    assert evidence.keep_newest(place, 24, 1) == ["2026-03"]
    assert [path.name for path in tmp_path.iterdir()] == ["2025-01"]
