# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of parts of a host with apt, by the schema of CycloneDX 1.6, which managed hosts do not have."""

from __future__ import annotations

import pytest
from support import bills
from support.apt import Package, architecture
from support.patching import FIX, Site

pytestmark = [pytest.mark.apt, pytest.mark.packages]
pytest_plugins = ("support.patching_fixtures",)


def test_the_lists_of_parts_of_an_upgrade_are_what_the_standard_says(site: Site) -> None:
    """With versions that need quoting: an epoch, whose colon stays as it is, and a plus, which does not."""
    site.populate(Package("alpha", "1:1.0"), Package("libstdc++6", "12.2.0~rc1-14"))
    site.security.publish(Package("alpha", f"1:{FIX}"))
    answer = site.patch()
    files = bills.valid(answer["done"][0]["evidence"])
    about = f"arch={architecture()}&distro=bookworm"
    same = f"pkg:deb/debian/libstdc%2B%2B6@12.2.0~rc1-14?{about}"
    assert bills.purls(files["sbom-before.json"]) == {same, f"pkg:deb/debian/alpha@1:1.0?{about}"}
    assert bills.purls(files["sbom-after.json"]) == {same, f"pkg:deb/debian/alpha@1:1.0%2Bdeb12u1?{about}"}
    assert files["difference.json"] == answer["changes"]
    # Back, it is the other way round.
    files = bills.valid(site.patch(state="returned")["done"][0]["evidence"])
    assert bills.purls(files["sbom-after.json"]) == {same, f"pkg:deb/debian/alpha@1:1.0?{about}"}
