"""Scans, from the request until their results are deleted."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from unmask._internal.ipc import Message
from unmask.server.errors import ProblemError
from unmask.server.limits import Limits
from unmask.server.logs import request_id
from unmask.server.metrics import Metrics
from unmask.server.requests import ScanRequest
from unmask.server.uploads import Upload
from unmask.server.webhooks import Webhooks
from unmask.server.workers import Job, WorkerPool

log = logging.getLogger("unmask.server")

HEARTBEAT_S = 15.0
"""Seconds after which a follower gets a sign of life where nothing is new."""


class Status(StrEnum):
    """The states of a scan."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(eq=False, slots=True)
class Scan:
    """One file on its way through the server.

    parts: the result, as JSON texts and pictures by name; request: the id of the one that
    asked; callback: what is told when it has ended.
    """

    id: str
    client: str
    upload: Upload | None
    size: int
    status: Status = Status.QUEUED
    progress: dict[str, Any] = field(default_factory=dict)
    scores: list[tuple[float, float]] = field(default_factory=list)
    error: dict[str, str] | None = None
    parts: Mapping[str, bytes] = field(default_factory=dict)
    changes: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    job: Job | None = None
    began: float = 0.0
    request: str = ""
    callback: str | None = None

    @property
    def over(self) -> bool:
        """Whether the scan has ended."""
        return self.status in (Status.DONE, Status.FAILED, Status.CANCELLED)

    @property
    def kept_bytes(self) -> int:
        """Memory that its result takes, and a little for itself."""
        return 1000 + sum(map(len, self.parts.values()))

    def change(self) -> None:
        """Notify those who follow this scan."""
        self.changes += 1
        self.news.set()
        self.news = asyncio.Event()


class UploadSlot:
    """A place in the queue, held while a file is being uploaded."""

    def __init__(self, jobs: ScanJobs, client: str, size: int) -> None:
        self.client = client
        self._jobs, self._size, self._held = jobs, size, True
        jobs.count(client, 1, size)

    def release(self) -> None:
        """Give the place back."""
        if self._held:
            self._held = False
            self._jobs.count(self.client, -1, -self._size)


class ScanJobs:
    """Accepts scans, queues them for the workers, keeps their results for a while."""

    def __init__(
        self, pool: WorkerPool, limits: Limits, metrics: Metrics, webhooks: Webhooks | None = None
    ) -> None:
        self.pool, self.limits, self.metrics, self.webhooks = pool, limits, metrics, webhooks
        self._scans: dict[str, Scan] = {}  # in the order in which they were asked for
        self._open: Counter[str] = Counter()  # of each client
        self.closing = False
        self._mean_s = 0.5
        self.held_bytes = 0  # of uploads that are not judged yet
        self._kept: dict[str, int] = {}  # bytes of results, in the order in which they came
        self.kept_bytes = 0

    @property
    def open(self) -> int:
        """Files that are being sent, wait or are judged."""
        return sum(self._open.values())

    def admit(self, client: str, size: int) -> UploadSlot:
        """A place in the queue for a file of this size, taken before it is uploaded.

        Raises ProblemError 429 or 503.
        """
        retry = {"retry-after": str(max(1, round(self._mean_s * self.open / self.pool.size)))}
        if self.closing:
            raise ProblemError(503, "stopping", "the server is stopping", {"retry-after": "5"})
        if self._open[client] >= self.limits.per_client:
            message = (
                f"{self._open[client]} of your files wait already; {self.limits.per_client} may"
            )
            raise ProblemError(429, "too_many", message, retry)
        if self.open >= self.limits.queue or self.held_bytes + size > self.limits.held_bytes:
            raise ProblemError(
                503, "queue_full", "too many files are waiting; try again in a moment", retry
            )
        return UploadSlot(self, client, size)

    def count(self, client: str, files: int, size: int) -> None:
        """Add to the files and bytes that a client has here."""
        self.held_bytes += size
        self._open[client] += files
        if not self._open[client]:
            del self._open[client]

    def submit(
        self, slot: UploadSlot, upload: Upload, request: ScanRequest, callback: str | None = None
    ) -> Scan:
        """A new scan of this upload, which belongs to the scan from now on, as its slot does."""
        slot.release()
        scan = Scan(secrets.token_urlsafe(16), slot.client, upload, upload.size)
        scan.request, scan.callback = request_id.get(), callback
        scan.job = Job(request, lambda message: self._on_message(scan, message))
        self._scans[scan.id] = scan
        self.count(scan.client, 1, scan.size)
        self.metrics.uploaded.inc(upload.size)
        self.pool.submit(scan.job)
        return scan

    def describe(self, scan: Scan) -> bytes:
        """The state of a scan and its result, as JSON."""
        tree: dict[str, Any] = {
            "id": scan.id,
            "status": scan.status,
            "position": self.position(scan),
            "progress": scan.progress or None,
            "error": scan.error,
        }
        body = json.dumps({key: value for key, value in tree.items() if value is not None}).encode()
        if "report" not in scan.parts:
            return body
        return body[:-1] + b', "report": ' + scan.parts["report"] + b"}"  # it is JSON already

    def find(self, name: str) -> Scan | None:
        """The scan with this id, or None."""
        return self._scans.get(name)

    def discard(self, scan: Scan) -> None:
        """Stop a scan and delete everything about it."""
        self._scans.pop(scan.id, None)
        self.kept_bytes -= self._kept.pop(scan.id, 0)
        if not scan.over and scan.job is not None:
            self.pool.cancel(scan.job)
        scan.parts = {}

    async def wait(self, scan: Scan, seconds: float) -> bool:
        """Whether it is over within this time."""
        try:
            async with asyncio.timeout(seconds):
                while not scan.over:
                    await scan.news.wait()
        except TimeoutError:
            return False
        return True

    async def follow(self, scan: Scan) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Events of a scan.

        `progress` from where it stands, `scores` from the first, `waiting` where nothing is new,
        `end`.
        """
        sent, seen = 0, -1
        while True:
            if scan.changes != seen:
                seen = scan.changes
                yield (
                    "progress",
                    {"status": scan.status, "position": self.position(scan), **scan.progress},
                )
                sent = min(sent, len(scan.scores))  # a second attempt begins anew
                if new := scan.scores[sent:]:
                    yield "scores", {"from": sent, "scores": new}
                    sent += len(new)
            if scan.over:
                yield "end", {"status": scan.status} | ({"error": scan.error} if scan.error else {})
                return
            if scan.changes == seen and not await self._wake(scan):
                yield "waiting", {"status": scan.status, "position": self.position(scan)}

    async def _wake(self, scan: Scan) -> bool:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await scan.news.wait()
        except TimeoutError:
            return False
        return True

    def position(self, scan: Scan) -> int:
        """How many files are before it in the queue."""
        return self.pool.position(scan.job) if scan.job is not None else 0

    def _on_message(self, scan: Scan, message: Message) -> None:
        """React to what a worker says about a scan."""
        if message.kind == "started":
            scan.status, scan.began = Status.RUNNING, time.monotonic()
            scan.progress, scan.scores = {}, []  # of an attempt before, whose worker died
        elif message.kind == "progress":
            progress = dict(message.words)
            scan.scores += [(time_s, p) for time_s, p in progress.pop("scores")]
            scan.progress = progress
        else:
            self._end(scan, message)
        scan.change()

    def _end(self, scan: Scan, message: Message) -> None:
        seconds = time.monotonic() - scan.began if scan.began else 0.0
        if message.kind == "done":
            scan.status, scan.parts, outcome = (
                Status.DONE,
                message.parts,
                str(message.words["label"]),
            )
        elif message.kind == "cancelled":
            scan.status, outcome = Status.CANCELLED, "cancelled"
        else:
            scan.status, outcome = Status.FAILED, str(message.words["error"])
            scan.error = {"kind": outcome, "message": message.words["message"]}
        if scan.began:
            self._mean_s += 0.1 * (seconds - self._mean_s)
        self.metrics.ended(outcome, seconds)
        log.info("a scan ended: %s, %.2f s", outcome, seconds, extra={"request": scan.request})
        if scan.upload is not None:
            scan.upload.close()
            scan.upload = None
        self.count(scan.client, -1, -scan.size)
        if scan.id not in self._scans:
            scan.parts = {}  # dropped while it ran
            return
        if scan.callback is not None and self.webhooks is not None:
            self.webhooks.tell(scan.callback, self.describe(scan), scan.request)
        asyncio.get_running_loop().call_later(self.limits.keep_s, self.discard, scan)
        self._kept[scan.id] = scan.kept_bytes
        self.kept_bytes += scan.kept_bytes
        while self.kept_bytes > self.limits.kept_bytes and len(self._kept) > 1:
            # the oldest go first
            self.discard(self._scans[next(iter(self._kept))])
