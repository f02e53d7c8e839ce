# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run left in the scratch place goes with the next one; what another run works in stays."""

from __future__ import annotations

import pathlib

from ansible_collections.steward.maintenance.plugins.module_utils._files.common import scratch


def test_what_a_killed_run_left_goes_and_what_is_in_use_stays(tmp_path: pathlib.Path) -> None:
    killed = tmp_path / "steward-files-killed"
    killed.mkdir()
    for name in ("lock", "plan"):
        (killed / name).touch()
    stranger = tmp_path / "steward-other"
    stranger.mkdir()
    (stranger / "lock").touch()
    with scratch(str(tmp_path)) as first:
        assert not killed.exists()
        with scratch(str(tmp_path)) as second:
            assert first != second
            assert pathlib.Path(first).is_dir()
        assert not pathlib.Path(second).exists()
    assert list(tmp_path.iterdir()) == [stranger]
