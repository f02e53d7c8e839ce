# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser, headless: what a page looks like and whether it fits is asked of it, not guessed."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 120


class BrowserError(AssertionError):
    """No browser, or one that did not do what it was asked."""


def find_browser() -> str:
    """The browser to test with: the one in STEWARD_BROWSER, else the first found."""
    wanted = os.environ.get("STEWARD_BROWSER")
    for name in [wanted] if wanted else _NAMES:
        found = shutil.which(name)
        if found:
            return found
    raise BrowserError(f"no browser found ({wanted or ', '.join(_NAMES)}): install the Debian package chromium")


def run_browser(page: pathlib.Path, *arguments: str) -> str:
    """Load a local file without network; what the browser printed."""
    with tempfile.TemporaryDirectory(prefix="steward-browser-") as profile:
        argv = [
            find_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--disable-dev-shm-usage", f"--user-data-dir={profile}", *arguments, page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise BrowserError(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def dump_dom(page: pathlib.Path) -> str:
    return run_browser(page, "--dump-dom")


def screenshot(page: pathlib.Path, picture: pathlib.Path, width: int, height: int, *arguments: str) -> None:
    run_browser(page, f"--screenshot={picture}", f"--window-size={width},{height}", *arguments)
    if not picture.is_file():
        raise BrowserError(f"the browser wrote no {picture}")


def measure(page: pathlib.Path, width: int, script: str) -> object:
    """Evaluate a JavaScript expression inside the page laid out at this width.

    A window of a desktop browser cannot be narrower than about 500 px, so the page is laid out in a frame of the wanted
    width. The page's own policy forbids scripts: the copy that is measured has it taken out and is otherwise the same.
    """
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>\n?'
    source, taken_out = re.subn(policy, "", page.read_text(encoding="utf-8"))
    if taken_out != 1:
        raise BrowserError(f"{page} has {taken_out} content security policies, expected 1")
    with tempfile.TemporaryDirectory(prefix="steward-frame-") as directory:
        frame = pathlib.Path(directory) / "frame.html"
        quoted = source.replace("&", "&amp;").replace('"', "&quot;")
        frame.write_text(
            f'<!DOCTYPE html><meta charset="utf-8"><body><iframe id="f" width="{width}" height="800" '
            f'style="border:0" srcdoc="{quoted}"></iframe><pre id="told"></pre><script>\n'
            "const frame = document.getElementById('f');\n"
            "frame.onload = () => { const window_ = frame.contentWindow, document_ = window_.document;\n"
            f"document.getElementById('told').textContent = JSON.stringify((({script}))(window_, document_)); }};\n"
            "</script></body>",
            encoding="utf-8",
        )
        dom = run_browser(frame, "--dump-dom", "--window-size=1400,1000")
    told = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
    if not told or not told.group(1):
        raise BrowserError(f"the page told nothing of {script}")
    text = told.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(text)
