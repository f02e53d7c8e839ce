# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package URLs as the specification's own examples have them."""

from __future__ import annotations

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core import cyclonedx


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
