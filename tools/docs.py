# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the HTML documentation of modules and roles into .cache/docs: `make docs`."""

from __future__ import annotations

import shutil
import subprocess
import sys

from .layers.places import ROOT


def main() -> int:
    place = ROOT / ".cache" / "docs"
    shutil.rmtree(place, ignore_errors=True)
    (place / "rst").mkdir(parents=True)
    (place / "rst").chmod(0o755)  # antsibull-docs refuses a directory that others may write to
    # A theme that comes with Sphinx, and no references to other sites: the build needs no network.
    plain = [
        "-D",
        "html_theme=alabaster",
        "-D",
        "extensions=sphinx_antsibull_ext",
        "-D",
        "nitpicky=0",
        "-D",
        "suppress_warnings=ref.ref",
    ]
    for command in (
        ["antsibull-docs", "sphinx-init", "--use-current", "--dest-dir", str(place), "steward.maintenance"],
        ["antsibull-docs", "collection", "--use-current", "--dest-dir", str(place / "rst"), "steward.maintenance"],
        ["sphinx-build", "-q", "-b", "html", "-c", str(place), *plain, str(place / "rst"), str(place / "html")],
    ):
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status != 0:
            return status
    print(f"open {(place / 'html' / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
