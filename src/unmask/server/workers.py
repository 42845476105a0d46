"""The pool of worker processes, and the jobs that wait for them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from unmask._internal.ipc import Message, receive_async
from unmask.errors import UnmaskError
from unmask.server.requests import ScanRequest, WorkerConfig
from unmask.workers import (
    ATTEMPTS,
    SPAWN_OPTIONS,
    Fault,
    crashed,
    environment,
    too_slow,
    worker_command,
)

log = logging.getLogger("unmask.server")

WORKER_MODULE = "unmask.server.worker"

CANCEL_S, START_S, PAUSE_S = 2.0, 60.0, 1.0
"""Seconds until a cancelled worker is killed, for a worker to load its models, and between failed
attempts to start one."""

ALLOWED_MESSAGES = {
    "progress": {"stage", "frames", "frames_asked", "faces", "scores"},
    "done": {"label"},
    "failed": {"error", "message"},
    "cancelled": set(),
}
"""What a worker may send, and the words that belong to it."""

OnMessage = Callable[[Message], None]


class Job:
    """A file to be judged.

    - attempts: workers that were given it so far
    - over: whether it has come to its end
    - cancelled: whether it is no longer wanted
    """

    def __init__(self, request: ScanRequest, on_message: OnMessage) -> None:
        """Nothing is done yet.

        - on_message: is told `started`, each `progress`, and last what came of it
        """
        self.request = request
        self.on_message = on_message
        self.attempts = 0
        self.over = False
        self.cancelled = False

    def finish(self, message: Message) -> None:
        """What came of it; only the first call counts."""
        if not self.over:
            self.over = True
            self.on_message(message)


class WorkerPool:
    """Keeps `size` workers alive and gives each one file at a time, first come, first served."""

    def __init__(self, size: int, config: WorkerConfig) -> None:
        self.size = size
        self._config = config
        self.models: Mapping[str, Any] = {}
        self.restarts = 0
        self._waiting: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._running: dict[Job, asyncio.subprocess.Process] = {}
        self._supervisors: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> int:
        """How many workers have loaded their models and are running."""
        return sum(process.returncode is None for process in self._processes.values())

    @property
    def waiting(self) -> int:
        """How many jobs no worker has begun."""
        return len(self._waiting)

    async def start(self) -> None:
        """Start all workers.

        Raises UnmaskError where they cannot load what they were asked to.
        """
        started = await asyncio.gather(
            *(self._start() for _ in range(self.size)), return_exceptions=True
        )
        for number, process in enumerate(started):
            if isinstance(process, asyncio.subprocess.Process):
                self._processes[number] = process
        for error in started:
            if isinstance(error, BaseException):
                await self.stop()
                raise error
        self._supervisors = [
            asyncio.create_task(self._supervise(number)) for number in range(self.size)
        ]

    async def stop(self) -> None:
        """Stop all workers at once."""
        for task in self._supervisors:
            task.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        for process in self._processes.values():
            _kill(process)
        await asyncio.gather(*(process.wait() for process in self._processes.values()))
        for job in self._waiting:
            job.finish(_stopping())
        self._waiting.clear()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._waiting.append(job)
        self._wake.set()

    def cancel(self, job: Job) -> None:
        """Drop a job; a worker that is busy with it is asked to stop, and killed if it does not."""
        if job.over:
            return
        job.cancelled = True
        if job in self._waiting:
            self._waiting.remove(job)
        process = self._running.get(job)
        if process is not None:
            _send(process, Message("cancel"))
            asyncio.get_running_loop().call_later(
                CANCEL_S, lambda: None if job.over else _kill(process)
            )
        else:
            job.finish(Message("cancelled"))

    def position(self, job: Job) -> int:
        """How many jobs wait before this one."""
        return self._waiting.index(job) if job in self._waiting else 0

    async def _supervise(self, number: int) -> None:
        """Keep one worker alive and busy: restart it when it dies."""
        while True:
            process = self._processes[number]
            job = await self._next(process)
            if job is not None:
                await self._judge(process, job)
            if process.returncode is None:
                continue
            self.restarts += 1
            try:
                self._processes[number] = await self._start()
            except (UnmaskError, OSError) as error:
                log.error("a worker cannot be started: %s", type(error).__name__)
                await asyncio.sleep(PAUSE_S)

    async def _next(self, process: asyncio.subprocess.Process) -> Job | None:
        """The next job, or None if the worker died while it waited for one."""
        died = asyncio.create_task(process.wait())
        try:
            while process.returncode is None:
                if self._waiting:
                    return self._waiting.popleft()
                self._wake.clear()
                news = asyncio.create_task(self._wake.wait())
                await asyncio.wait({died, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
            return None
        finally:
            died.cancel()

    async def _judge(self, process: asyncio.subprocess.Process, job: Job) -> None:
        job.attempts += 1
        self._running[job] = process
        job.on_message(Message("started"))
        try:
            async with asyncio.timeout(self._config.time_s):
                _send(process, Message("scan", job.request.to_json()))
                answer = await self._answer(process, job)
                job.finish(answer)
            if answer.words.get("error") == "too_heavy":
                # what a failed allocation left behind is not to be trusted
                await _end(process)
        except TimeoutError:
            job.finish(_failed(too_slow(self._config.time_s)))
            await _end(process)
        except Exception:
            # it died, or sent what is not a message
            await _end(process)
            await self._after_crash(job)
        except asyncio.CancelledError:
            job.finish(_stopping())
            raise
        finally:
            del self._running[job]

    async def _answer(self, process: asyncio.subprocess.Process, job: Job) -> Message:
        assert process.stdout is not None
        while (message := _validated(await receive_async(process.stdout))).kind == "progress":
            job.on_message(message)
        return message

    async def _after_crash(self, job: Job) -> None:
        log.warning("a worker died while it judged a file")
        if job.cancelled:
            job.finish(Message("cancelled"))
        elif job.attempts < ATTEMPTS:
            self._waiting.appendleft(job)
            self._wake.set()
        else:
            job.finish(_failed(crashed(ATTEMPTS)))

    async def _start(self) -> asyncio.subprocess.Process:
        """Start a worker, and wait until it is ready."""
        process = await asyncio.create_subprocess_exec(
            *worker_command(WORKER_MODULE, self._config.to_json()),
            limit=1 << 20,  # bytes that are read ahead
            env=environment(),
            **SPAWN_OPTIONS,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                message = await receive_async(process.stdout)
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


def _validated(message: Message) -> Message:
    """The message.

    Raises ValueError for a message that a worker may not send.
    """
    if not ALLOWED_MESSAGES.get(message.kind, {""}) <= message.words.keys():
        raise ValueError(f"a worker says {message.kind!r} without its words")
    if message.kind == "done" and not {"report", "view/en"} <= message.parts.keys():
        raise ValueError("a worker is done without a report")
    return message


def _failed(fault: Fault) -> Message:
    return Message("failed", {"error": fault.kind, "message": fault.message})


def _stopping() -> Message:
    return _failed(Fault("stopping", "the server is stopping"))


def _send(process: asyncio.subprocess.Process, message: Message) -> None:
    assert process.stdin is not None
    with suppress(OSError, RuntimeError):  # it has died, which its reader will notice
        process.stdin.write(message.pack())


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def _end(process: asyncio.subprocess.Process) -> None:
    _kill(process)
    await process.wait()
