# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes through two pipes comes out as it was, whoever of the three is slow, and whoever goes."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import pouring
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.pouring import Pour

DATA = hashlib.shake_256(b"a table").digest(5_000_011)


@pytest.fixture(params=["moved", "copied"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By the kernel, where Python can have it do that, and without."""
    if request.param == "copied":
        monkeypatch.delattr(pouring.os, "splice", raising=False)
    return str(request.param)


def _writer(end: int, size: int) -> threading.Thread:
    """Writes until all is written or nobody reads; it has an end of its own, as a program would."""
    own = os.dup(end)

    def write() -> None:
        try:
            for start in range(0, len(DATA), size):
                os.write(own, DATA[start : start + size])
        except BrokenPipeError:
            pass
        finally:
            os.close(own)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.parametrize("written", [700, 1 << 20])
@pytest.mark.parametrize("read", [4096, 1 << 20])
def test_all_of_it_comes_out_as_it_was(written: int, read: int) -> None:
    reader, target = os.pipe()
    pour = Pour(target)
    writer = _writer(pour.end, written)
    pour.start()
    came = bytearray()
    while data := os.read(reader, read):
        came += data
    os.close(reader)
    writer.join()
    pour.join()
    assert bytes(came) == DATA
    assert pour.error is None


def test_nothing_at_all_is_an_end() -> None:
    reader, target = os.pipe()
    pour = Pour(target)
    pour.start()
    assert os.read(reader, 1) == b""
    os.close(reader)
    pour.join()
    assert pour.error is None


def test_a_reader_who_goes_ends_the_writer() -> None:
    """Even one that goes while the pipe is full and nothing is poured."""
    reader, target = os.pipe()
    pour = Pour(target)
    writer = _writer(pour.end, 1 << 16)
    pour.start()
    assert os.read(reader, 100) == DATA[:100]
    time.sleep(0.1)
    os.close(reader)
    pour.join()
    writer.join()
    assert pour.error is None


def test_what_cannot_be_given_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pouring, "_gulp", fail)
    reader, target = os.pipe()
    pour = Pour(target)
    writer = _writer(pour.end, 1 << 16)
    pour.start()
    assert os.read(reader, 1) == b""
    os.close(reader)
    pour.join()
    writer.join()
    assert "Input/output error" in str(pour.error)
