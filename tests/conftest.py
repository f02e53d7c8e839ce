# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable as the collection that it is, and tests/support as `support`."""

from __future__ import annotations

import gc
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / ".cache" / "collections"


def link_checkout_as_collection() -> None:
    """Ansible and Python look for ansible_collections/steward/maintenance: give them that name for this tree."""
    link = COLLECTIONS / "ansible_collections" / "steward" / "maintenance"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)


def keep_what_is_compiled() -> None:
    """Tests start thousands of Pythons, and much of the time of a short one would be compiling what was compiled.

    Outside of the tree, which in a container is read-only and was compiled by another Python.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / ".cache" / "compiled"))


def pytest_configure() -> None:
    """Have the Pythons that tests start do so sooner. Benchmarks import this file too, and see the whole time."""
    gc.set_threshold(50_000, 20, 20)
    kept = ROOT / ".cache" / "kept-code"
    kept.mkdir(parents=True, exist_ok=True)
    os.environ["STEWARD_KEPT_CODE"] = str(kept)
    path = [str(ROOT / "tests" / "support" / "quick_start"), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)


link_checkout_as_collection()
keep_what_is_compiled()
for entry in (str(COLLECTIONS), str(ROOT / "tests")):
    if entry not in sys.path:
        sys.path.insert(0, entry)
