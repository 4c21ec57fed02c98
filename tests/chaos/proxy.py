"""A network that can be told to fail: passes on what comes on loopback to a port, unless a fault forbids it."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Literal

#: pass: as it should be; slow: each piece waits; silent: nothing passes; deaf: requests pass, answers do not.
Mood = Literal["pass", "slow", "silent", "deaf"]


class Proxy:
    """One listening port in front of another, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.mood: Mood = "pass"
        self.slow_seconds = 0.0
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port: int = self._do(self._start())

    def cut(self) -> None:
        """End every connection that there is."""
        self._do(self._cut())

    def stop(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, inner_writer}
        self._writers |= both
        pumps = self._pump(reader, inner_writer, ask=True), self._pump(inner_reader, writer, ask=False)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*pumps)
        self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, ask: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.mood == "slow":
                    await asyncio.sleep(self.slow_seconds)
                while self.mood == "silent" or (self.mood == "deaf" and not ask):
                    await asyncio.sleep(0.01)
                writer.write(data)
                await writer.drain()
        writer.close()
