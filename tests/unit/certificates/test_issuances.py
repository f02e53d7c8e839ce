# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the same names are ordered."""

from __future__ import annotations

import datetime
import pathlib

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issuances import Issuances
from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time

HOUR = datetime.timedelta(hours=1)


@pytest.mark.parametrize(("days", "hours"), [(90, 168), (45, 168), (6, 144), (0.25, 6)])
def test_five_young_ones_are_enough_for_any_lifetime(tmp_path: pathlib.Path, days: float, hours: float) -> None:
    issued, now = Issuances(str(tmp_path / "account")), utc_now().replace(microsecond=0)
    for number in range(5):
        assert issued.too_often(["b.example", "a.example"], now) == ""
        issued.note(["a.example", "b.example"], days * 86400, now + number * HOUR / 60)
    last = now + HOUR / 10
    assert f"not ordered before {write_time(now + hours * HOUR)}" in issued.too_often(["a.example", "b.example"], last)
    assert issued.too_often(["a.example"], last) == ""
    assert issued.too_often(["b.example", "a.example"], now + hours * HOUR) == ""


def test_a_short_life_is_never_in_its_own_way(tmp_path: pathlib.Path) -> None:
    """Renewed at half of six hours for a week."""
    issued, now = Issuances(str(tmp_path)), utc_now()
    for number in range(56):
        then = now + number * 3 * HOUR
        assert issued.too_often(["a.example"], then) == ""
        issued.note(["a.example"], 6 * 3600, then)


def test_what_cannot_be_read_counts_for_nothing(tmp_path: pathlib.Path) -> None:
    issued = Issuances(str(tmp_path))
    for content in ("{", "[]", '{"a.example": 7}', '{"a.example": ["soon", null]}'):
        (tmp_path / "issued.json").write_text(content)
        assert issued.too_often(["a.example"]) == ""
        issued.note(["a.example"], 86400)
