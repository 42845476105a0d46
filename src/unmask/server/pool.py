"""Worker processes, and what waits for them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from unmask.errors import UnmaskError
from unmask.wire import Message, receive_soon

log = logging.getLogger("unmask.server")

ATTEMPTS = 2
"""How often a file is tried whose worker dies: once more, for the death may not have been its fault."""

CANCEL_S, START_S, PAUSE_S = 2.0, 60.0, 1.0
"""Until a cancelled worker is killed; for a worker to load its models; between vain attempts to start one."""

SAID = {
    "progress": {"stage", "frames", "frames_asked", "faces", "scores"},
    "done": {"label"},
    "failed": {"error", "message"},
    "cancelled": set(),
}
"""What a worker may say, and the words that belong to it."""

Heard = Callable[[Message], None]


class Work:
    """A file to be judged. heard: is told `started`, each `progress`, and last what came of it."""

    def __init__(self, request: Mapping[str, Any], heard: Heard) -> None:
        self.request, self.heard = request, heard
        self.attempts = 0
        self.over = False
        self.cancelled = False

    def finish(self, message: Message) -> None:
        """What came of it; the first word is the last."""
        if not self.over:
            self.over = True
            self.heard(message)


class Pool:
    """Keeps `size` workers alive and gives each one file at a time, first come, first served."""

    def __init__(self, size: int, asked: Mapping[str, Any]) -> None:
        self.size, self._asked, self._time_s = size, asked, float(asked["time_s"])
        self.models: Mapping[str, Any] = {}
        self.restarts = 0
        self._waiting: deque[Work] = deque()
        self._news = asyncio.Event()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._working: dict[Work, asyncio.subprocess.Process] = {}
        self._tending: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> int:
        """Workers that have loaded their models and run."""
        return sum(process.returncode is None for process in self._processes.values())

    @property
    def waiting(self) -> int:
        """Files that no worker has begun with."""
        return len(self._waiting)

    async def start(self) -> None:
        """Start all workers. Raises UnmaskError where they cannot load what they were asked to."""
        started = await asyncio.gather(*(self._start() for _ in range(self.size)), return_exceptions=True)
        for number, process in enumerate(started):
            if isinstance(process, asyncio.subprocess.Process):
                self._processes[number] = process
        for error in started:
            if isinstance(error, BaseException):
                await self.stop()
                raise error
        self._tending = [asyncio.create_task(self._tend(number)) for number in range(self.size)]

    async def stop(self) -> None:
        """End all workers, whatever they are at."""
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, return_exceptions=True)
        for process in self._processes.values():
            _kill(process)
        await asyncio.gather(*(process.wait() for process in self._processes.values()))
        for work in self._waiting:
            work.finish(_stopping())
        self._waiting.clear()

    def submit(self, work: Work) -> None:
        """Let it wait for its turn."""
        self._waiting.append(work)
        self._news.set()

    def cancel(self, work: Work) -> None:
        """It is not wanted any more; a worker that is at it is asked to stop, and soon made to."""
        if work.over:
            return
        work.cancelled = True
        if work in self._waiting:
            self._waiting.remove(work)
        process = self._working.get(work)
        if process is not None:
            _tell(process, Message("cancel"))
            asyncio.get_running_loop().call_later(CANCEL_S, lambda: None if work.over else _kill(process))
        else:
            work.finish(Message("cancelled"))

    def place(self, work: Work) -> int:
        """How many files wait before it."""
        return self._waiting.index(work) if work in self._waiting else 0

    async def _tend(self, number: int) -> None:
        """Keep one worker alive and busy."""
        while True:
            process = self._processes[number]
            work = await self._next(process)
            if work is not None:
                await self._judge(process, work)
            if process.returncode is None:
                continue
            self.restarts += 1
            try:
                self._processes[number] = await self._start()
            except (UnmaskError, OSError) as error:
                log.error("a worker cannot be started: %s", type(error).__name__)
                await asyncio.sleep(PAUSE_S)

    async def _next(self, process: asyncio.subprocess.Process) -> Work | None:
        """The next file, or None where the worker has died while it waited for one."""
        died = asyncio.create_task(process.wait())
        try:
            while process.returncode is None:
                if self._waiting:
                    return self._waiting.popleft()
                self._news.clear()
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait({died, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            return None
        finally:
            died.cancel()

    async def _judge(self, process: asyncio.subprocess.Process, work: Work) -> None:
        work.attempts += 1
        self._working[work] = process
        work.heard(Message("started"))
        try:
            async with asyncio.timeout(self._time_s):
                _tell(process, Message("scan", work.request))
                answer = await self._answer(process, work)
                work.finish(answer)
            if answer.words.get("error") == "too_heavy":  # what a failed allocation left behind is not to be trusted
                await _end(process)
        except TimeoutError:
            words = f"judging this file takes longer than the {self._time_s:g} s that are allowed"
            work.finish(Message("failed", {"error": "too_slow", "message": words}))
            await _end(process)
        except Exception:  # it died, or talks nonsense
            await _end(process)
            await self._after_a_death(work)
        except asyncio.CancelledError:
            work.finish(_stopping())
            raise
        finally:
            del self._working[work]

    async def _answer(self, process: asyncio.subprocess.Process, work: Work) -> Message:
        assert process.stdout is not None
        while (message := _checked(await receive_soon(process.stdout))).kind == "progress":
            work.heard(message)
        return message

    async def _after_a_death(self, work: Work) -> None:
        log.warning("a worker died while it judged a file")
        if work.cancelled:
            work.finish(Message("cancelled"))
        elif work.attempts < ATTEMPTS:
            self._waiting.appendleft(work)
            self._news.set()
        else:
            words = "the file crashes what decodes it; it was tried twice"
            work.finish(Message("failed", {"error": "crashed", "message": words}))

    async def _start(self) -> asyncio.subprocess.Process:
        """A worker that is ready."""
        command = [sys.executable, "-m", "unmask.server.worker", json.dumps(self._asked)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 20,
            start_new_session=True,  # Ctrl-C is for the server, which ends its workers in good order
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},  # arenas would take the address space that files may use
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                message = await receive_soon(process.stdout)
        except (EOFError, TimeoutError, ValueError, KeyError) as error:
            await _end(process)
            raise UnmaskError("a worker process does not start") from error
        except asyncio.CancelledError:
            _kill(process)
            raise
        if message.kind != "ready":
            await _end(process)
            raise UnmaskError(str(message.words.get("message", "a worker process does not start")))
        self.models = message.words["models"]
        return process


def _checked(message: Message) -> Message:
    """The message. Raises ValueError where it is none that a worker may send."""
    if not SAID.get(message.kind, {""}) <= message.words.keys():
        raise ValueError(f"a worker says {message.kind!r} without its words")
    if message.kind == "done" and not {"report", "view"} <= message.parts.keys():
        raise ValueError("a worker is done without a report")
    return message


def _stopping() -> Message:
    return Message("failed", {"error": "stopping", "message": "the server is stopping"})


def _tell(process: asyncio.subprocess.Process, message: Message) -> None:
    assert process.stdin is not None
    with suppress(OSError, RuntimeError):  # it has died, which its reader will notice
        process.stdin.write(message.pack())


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def _end(process: asyncio.subprocess.Process) -> None:
    _kill(process)
    await process.wait()
