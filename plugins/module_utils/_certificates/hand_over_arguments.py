# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module that brings a pair from the host that had it issued to the others.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from .._core.suggest import InputError
from .hand_over import Settings
from .issue_arguments import fingerprints_from

HAND_OVER_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "act": {"type": "str", "choices": ["ask", "give", "take"], "required": True},
    "directory": {"type": "path", "required": True},
    "fingerprint": {"type": "str", "required": True},
    "recipients": {"type": "dict", "default": {}},
    "sealed": {"type": "str", "default": "", "no_log": True},
    "keep": {"type": "int", "default": 3},
}

_MOST_KEPT = 1000
#: What each act needs beside directory and fingerprint.
_NEEDED = {"ask": "", "give": "recipients", "take": "sealed"}


def hand_over_settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    """:raises InputError: naming the option, the value and what would be right."""
    if not os.path.isabs(params["directory"]):
        raise InputError(f"directory is {params['directory']!r}: write an absolute path")
    if not 0 <= params["keep"] <= _MOST_KEPT:
        raise InputError(f"keep is {params['keep']}: write a number from 0 to {_MOST_KEPT}")
    act = params["act"]
    for option in ("recipients", "sealed"):
        if bool(params[option]) != (_NEEDED[act] == option):
            told = "missing" if _NEEDED[act] == option else "of no use"
            right = "give takes recipients, take takes sealed, and ask takes neither"
            raise InputError(f"{option} is {told} where act is {act!r}: {right}")
    return Settings(
        act=act,
        directory=params["directory"],
        fingerprint=fingerprints_from("fingerprint", [params["fingerprint"]])[0],
        recipients={str(host): str(text) for host, text in params["recipients"].items()},
        sealed=params["sealed"],
        keep=params["keep"],
    )
