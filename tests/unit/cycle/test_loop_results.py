# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a loop: none is lost, and what failed before it had one is not taken for well."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.steward.maintenance.plugins.filter.loop_results import loop_results


def test_what_failed_without_a_result_has_one_that_names_it() -> None:
    good: dict[str, t.Any] = {"verdict": "ok", "summary": "all is well", "changed": True}
    bad = {"failed": False, "msg": "webroot '/x' is no directory", "each": {"name": "shop"}}
    mute = {"failed": True, "each": "/etc/bundle.pem"}
    skipped = {"skipped": True, "each": {"name": "other"}}
    found = loop_results([good, bad, skipped, mute], "each")
    assert found[0] == good
    assert [each["verdict"] for each in found] == ["ok", "failed", "failed"]
    assert found[1]["reason"] == "shop: webroot '/x' is no directory"
    assert found[2]["reason"] == "/etc/bundle.pem: it failed and said nothing"
    assert (found[1]["changed"], found[1]["coverage"]) == (False, {"looked": 0, "of": 1})
    assert loop_results([]) == []


@pytest.mark.parametrize("wrong", [None, {"results": []}, ["ok"]])
def test_what_is_no_loop_is_refused(wrong: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="not the results of a loop"):
        loop_results(wrong)
