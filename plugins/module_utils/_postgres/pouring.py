# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one pipe into another, in gulps.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

pg_restore reads 4 KiB at a time. A pipe that is always full has its writer woken after each of them, to write just as
much and to sleep again: for zstd, which is faster than any COPY, a hundred thousand times for each gigabyte. So nothing
is written while a pipe is half full, and then as much as it takes.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
import threading
import time

from .pipeline import widen

#: fcntl(2): Python knows it from 3.10 on.
_GET_PIPE_SIZE = 1032
_WAIT_SECONDS = 0.004


class Pour:
    """A pipe to write to, of which a thread gives what comes to another pipe, until there is no more or nobody reads.

    :param target: the end of a pipe to write to; closed here.
    """

    def __init__(self, target: int) -> None:
        #: Why not all was given on, when it was not for want of a reader.
        self.error: OSError | None = None
        self._target = target
        self._source, self.end = os.pipe()
        for pipe in (target, self._source):
            widen(pipe)
        self._thread = threading.Thread(target=self._run, name="pour", daemon=True)

    def start(self) -> None:
        """Whoever writes has got the end by now; it is closed here, so that the thread sees when they are done."""
        os.close(self.end)
        self._thread.start()

    def join(self) -> None:
        """When the writer or the reader has ended, so does it."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._pour()
        except BrokenPipeError:
            pass
        except OSError as exc:
            self.error = exc
        finally:
            os.close(self._source)
            os.close(self._target)

    def _pour(self) -> None:
        half = fcntl.fcntl(self._target, _GET_PIPE_SIZE) // 2
        gone = select.poll()
        gone.register(self._target, 0)  # that the other end was closed is told without being asked for
        while not gone.poll(0):
            if _held(self._target) > half:
                time.sleep(_WAIT_SECONDS)
            elif not _gulp(self._source, self._target, half):
                return


def _held(pipe: int) -> int:
    """The bytes in a pipe."""
    answer = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, answer)
    return answer[0]


def _gulp(source: int, target: int, size: int) -> int:
    """Wait for something to come, give it on, and return how much it was; 0 at the end."""
    splice = getattr(os, "splice", None)  # Python 3.10
    if splice is not None:
        return int(splice(source, target, size))
    data = os.read(source, size)
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)
