# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change one bit in the middle of the largest file below a directory, and print the name of the file."""

from __future__ import annotations

import pathlib
import sys

largest = max(
    (path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
)
data = bytearray(largest.read_bytes())
data[len(data) // 2] ^= 1
largest.write_bytes(data)
print(largest)
