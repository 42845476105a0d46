"""The work done by processes of this machine, one a core."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import monotonic, sleep
from typing import Any, BinaryIO, cast

from unmask.archive.desk import Desk
from unmask.archive.words import Outcome, Task
from unmask.errors import EngineError
from unmask.wire import Message, receive

WORKER = (sys.executable, "-m", "unmask.archive.worker")

AHEAD = 2
"""Lots that a worker has: one is judged while the next is fetched."""

ATTEMPTS = 2
"""How often a file is tried, alone, whose worker dies."""

START_S, TICK_S = 90.0, 0.2
"""For a worker to load its models; between looks at the clock and at a listing that goes on."""

BORN_DEAD = 5
"""Workers in a row that die before they have judged anything: something else than a file is wrong."""


@dataclass(slots=True)
class Lot:
    """Files given to one worker together. judging: whether the word to judge was given; left: without outcome."""

    number: int
    left: dict[int, Task]
    judging: bool = False
    since: float = 0.0


@dataclass(eq=False, slots=True)
class Hand:
    """A worker process, seen from here."""

    process: subprocess.Popen[bytes]
    began: float
    listener: threading.Thread | None = None
    ready: bool = False
    lots: dict[int, Lot] = field(default_factory=dict)
    judged: int = 0
    too_slow: bool = False


class LocalPool:
    """Engine: keeps `jobs` workers alive and busy. asked: as of `Judge`, and memory_bytes, time_s (for one file);
    command: what starts a worker."""

    def __init__(self, asked: Mapping[str, Any], jobs: int, command: Sequence[str] = WORKER) -> None:
        self._asked, self._jobs, self._time_s = asked, jobs, float(asked["time_s"])
        self._command = command
        self._begin()

    def _begin(self) -> None:
        self._news: queue.SimpleQueue[tuple[Hand, Message | None]] = queue.SimpleQueue()
        self._hands: list[Hand] = []
        self._again: deque[list[Task]] = deque()  # lots of workers that died
        self._deaths: dict[int, int] = {}
        self._born_dead = 0
        self._lots = 0

    def run(self, desk: Desk) -> Generator[Outcome]:
        """Judge what the desk gives, until it has no more or is stopping. Raises EngineError, and what workers were
        refused with."""
        self._begin()
        try:
            while not (first := desk.take()):  # no worker is started before there is work
                if desk.finished or desk.stopping:
                    return
                sleep(TICK_S / 10)
            self._again.append(first)
            self._hands = [self._start() for _ in range(self._jobs)]
            while True:
                self._feed(desk)
                if not any(hand.lots for hand in self._hands) and (
                    desk.stopping or (desk.finished and not self._again)
                ):
                    return
                with suppress(queue.Empty):
                    hand, message = self._news.get(timeout=TICK_S)
                    yield from self._hear(desk, hand, message)
                self._look_at_the_clock()
        finally:
            self._end()

    def _feed(self, desk: Desk) -> None:
        """Give lots to whoever has room for one, those of dead workers first."""
        for hand in self._hands:
            while hand.ready and len(hand.lots) < AHEAD and not desk.stopping:
                tasks = self._again.popleft() if self._again else desk.take()
                if not tasks:
                    return
                self._lots += 1
                hand.lots[self._lots] = Lot(self._lots, {task.file: task for task in tasks}, since=monotonic())
                self._tell(hand, Message("lot", {"lot": self._lots, "tasks": [asdict(task) for task in tasks]}))

    def _hear(self, desk: Desk, hand: Hand, message: Message | None) -> Iterator[Outcome]:
        if message is None:
            yield from self._bury(hand)
        elif message.kind == "ready":
            hand.ready = True
        elif message.kind == "outcome":
            outcome = Outcome.of(message)
            for lot in hand.lots.values():
                if lot.left.pop(outcome.file, None) is not None:
                    lot.since = monotonic()
                    hand.judged += 1
                    self._born_dead = 0
                    yield outcome
        elif message.kind == "fetched":
            lot = hand.lots[message.words["lot"]]
            tasks = [(lot.left[file], digest) for file, digest in message.words["digests"]]
            wanted = frozenset() if desk.stopping else desk.decide(tasks)
            lot.left = {file: task for file, task in lot.left.items() if file in wanted}
            lot.judging, lot.since = True, monotonic()
            self._tell(hand, Message("judge", {"lot": lot.number, "files": sorted(wanted)}))
        elif message.kind == "done":
            del hand.lots[message.words["lot"]]
            for lot in hand.lots.values():
                lot.since = monotonic()  # its turn begins
        else:  # refused or broken: not the fault of a file
            raise EngineError(str(message.words.get("message", "a worker speaks nonsense")))

    def _bury(self, hand: Hand) -> Iterator[Outcome]:
        """A worker has died. What it was judging may be why: each of those files is tried again alone, and given up
        after it has killed two."""
        _end(hand)
        self._hands.remove(hand)
        self._born_dead += not hand.judged
        if self._born_dead >= BORN_DEAD and not hand.lots:
            raise EngineError(f"worker processes die at once (the last with exit code {hand.process.returncode})")
        lots = sorted((lot for lot in hand.lots.values() if lot.left), key=lambda lot: not lot.judging)
        for place, lot in enumerate(lots):
            tasks = list(lot.left.values())
            if place:
                self._again.append(tasks)
            elif len(tasks) > 1:
                self._again.extend([task] for task in tasks)
            else:
                yield from self._suspect(tasks[0], hand.too_slow)
        self._hands.append(self._start())

    def _suspect(self, task: Task, too_slow: bool) -> Iterator[Outcome]:
        self._deaths[task.file] = self._deaths.get(task.file, 0) + 1
        if too_slow:
            words = f"judging this file takes longer than the {self._time_s:g} s that are allowed"
            yield Outcome(task.file, None, task.look, error_kind="too_slow", error_message=words)
        elif self._deaths[task.file] >= ATTEMPTS:
            words = f"the file crashes what decodes it; it was tried {ATTEMPTS} times alone"
            yield Outcome(task.file, None, task.look, error_kind="crashed", error_message=words)
        else:
            self._again.append([task])

    def _look_at_the_clock(self) -> None:
        now = monotonic()
        for hand in self._hands:
            if not hand.ready and now - hand.began > START_S:
                raise EngineError(f"a worker process is not ready after {START_S:g} s")
            first = next(iter(hand.lots.values()), None)  # a worker judges its lots in their order
            late = first is not None and first.judging and now - first.since > self._time_s
            if late and not hand.too_slow:
                hand.too_slow = True
                hand.process.kill()

    def _start(self) -> Hand:
        process = subprocess.Popen(
            [*self._command, json.dumps(self._asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: what is under way is finished
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},
        )
        hand = Hand(process, monotonic())
        hand.listener = threading.Thread(target=self._listen, args=(hand,), daemon=True)
        hand.listener.start()
        return hand

    def _listen(self, hand: Hand) -> None:
        with suppress(Exception):  # it died in the middle of a word
            while (message := receive(cast(BinaryIO, hand.process.stdout))) is not None:
                self._news.put((hand, message))
        self._news.put((hand, None))

    @staticmethod
    def _tell(hand: Hand, message: Message) -> None:
        assert hand.process.stdin is not None
        with suppress(OSError):  # it has died, which its listener notices
            hand.process.stdin.write(message.pack())
            hand.process.stdin.flush()

    def _end(self) -> None:
        for hand in self._hands:
            hand.process.kill()
        for hand in self._hands:
            _end(hand)


def _end(hand: Hand) -> None:
    """Wait until it has ended, and let go of its lines."""
    hand.process.wait()
    if hand.listener is not None:
        hand.listener.join()
    for stream in (hand.process.stdin, hand.process.stdout):
        if stream is not None:
            with suppress(OSError):  # what could not be sent any more
                stream.close()
