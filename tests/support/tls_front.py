# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS in front of a server on loopback that has none, for clients that speak nothing else; it ends with its test."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from .postgres import free_port

_BLOCK = 2**16


class TlsFront:
    """Use as a context manager. Its certificate is its own, so clients must not verify it.

    Each connection is ended by TLS's own farewell (close_notify), which moto's server leaves out.
    """

    def __init__(self, behind: int) -> None:
        self.port = free_port()
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> TlsFront:
        self._thread.start()
        assert self._ready.wait(30), "the TLS server did not start"
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self) -> None:
        from werkzeug.serving import generate_adhoc_ssl_context

        asyncio.set_event_loop(self._loop)
        serving = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=generate_adhoc_ssl_context())
        server = self._loop.run_until_complete(serving)
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, inside_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        one_way = asyncio.ensure_future(_pour(reader, inside_writer))
        try:
            await _pour(inside, writer)
        finally:
            one_way.cancel()
            for each in (writer, inside_writer):
                each.close()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await source.read(_BLOCK):
            sink.write(block)
            await sink.drain()
