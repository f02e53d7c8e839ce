# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bin/demo calls once the environment is there: `python -m demo run|start|neglect|clean`."""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing as t

from .layout import DemoError, Layout


def main(argv: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bin/demo")
    parser.add_argument("action", choices=("run", "start", "clean"))
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the checkout")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="where to remember what was started")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="where downloads are kept until clean")
    given = parser.parse_args(argv)
    layout = Layout(given.root.resolve(), given.state.resolve())
    try:
        if given.action == "clean":
            return clean(layout)
        # Imported late: clean must work with any Python, without the packages of the environment.
        from . import show

        return show.run(layout, given.cache) if given.action == "run" else show.start(layout, given.cache)
    except DemoError as exc:
        print(f"\nbin/demo: {exc}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nbin/demo: interrupted. bin/demo starts over; bin/demo clean removes everything.", file=sys.stderr)
        return 130
    return 1


def clean(layout: Layout) -> int:
    """Stop and remove everything; say what."""
    from .teardown import take_down

    for line in take_down(layout):
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
