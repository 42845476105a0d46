"""Messages between a worker process and its master: JSON with named bytes behind it.

Nothing in them can run, so a worker that a hostile file has taken over can only send data.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_BYTES = 512_000_000
"""Bytes of one message; a longer one is not ours."""

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    - kind: what it is
    - words: JSON values
    - parts: bytes by name
    """

    kind: str
    words: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)

    def pack(self) -> bytes:
        """As it is sent: the length of the head, the head as JSON, then the parts."""
        sizes = [[name, len(data)] for name, data in self.parts.items()]
        head = json.dumps({"kind": self.kind, "words": self.words, "parts": sizes}).encode()
        return b"".join((_LENGTH.pack(len(head)), head, *self.parts.values()))


def receive(stream: BinaryIO) -> Message | None:
    """The next message; None at the end of the stream, also where it comes within a message.

    Raises ValueError where the bytes are not a message.
    """
    reading = _read_message()
    wanted = next(reading)
    while True:
        data = stream.read(wanted)
        if len(data) < wanted:
            return None
        try:
            wanted = reading.send(data)
        except StopIteration as end:
            return _message(end)


async def receive_async(stream: asyncio.StreamReader) -> Message:
    """The next message.

    Raises EOFError at the end of the stream, ValueError where the bytes are not a message.
    """
    reading = _read_message()
    wanted = next(reading)
    while True:
        data = await stream.readexactly(wanted)
        try:
            wanted = reading.send(data)
        except StopIteration as end:
            return _message(end)


def _message(end: StopIteration) -> Message:
    message: Message = end.value
    return message


def _read_message() -> Generator[int, bytes, Message]:
    """Yields how many bytes it needs next, is sent them, and returns the message."""
    (length,) = _LENGTH.unpack((yield _LENGTH.size))
    if length > MAX_BYTES:
        raise ValueError("a message that is too large")
    head = json.loads((yield length))
    if not isinstance(head, dict) or not {"kind", "words", "parts"} <= head.keys():
        raise ValueError("not a message")
    if sum(size for _, size in head["parts"]) > MAX_BYTES:
        raise ValueError("a message that is too large")
    parts = {}
    for name, size in head["parts"]:
        parts[name] = yield size
    return Message(head["kind"], head["words"], parts)
