"""What a worker process and its master say to each other: JSON with named bytes behind it.

Nothing in it can run, so a worker that a hostile file has taken over has only words to attack with.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MOST = 512_000_000
"""Bytes of one message; more is no message of ours."""

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Message:
    """kind: what it is; words: JSON values; parts: bytes by name."""

    kind: str
    words: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)

    def pack(self) -> bytes:
        """As it goes over the wire."""
        sizes = [[name, len(data)] for name, data in self.parts.items()]
        head = json.dumps({"kind": self.kind, "words": self.words, "parts": sizes}).encode()
        return b"".join((_LENGTH.pack(len(head)), head, *self.parts.values()))


def receive(stream: BinaryIO) -> Message | None:
    """The next message, or None at the end, also where that comes in the middle of one. Raises ValueError where it is
    none."""
    try:
        head = _head(_exactly(stream, _length(_exactly(stream, _LENGTH.size))))
        return Message(head["kind"], head["words"], {name: _exactly(stream, size) for name, size in head["parts"]})
    except EOFError:
        return None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


async def receive_soon(stream: asyncio.StreamReader) -> Message:
    """The next message. Raises EOFError at the end, ValueError where it is none."""
    head = _head(await stream.readexactly(_length(await stream.readexactly(_LENGTH.size))))
    if sum(size for _, size in head["parts"]) > MOST:
        raise ValueError("a message too large to be one")
    return Message(head["kind"], head["words"], {n: await stream.readexactly(size) for n, size in head["parts"]})


def _length(start: bytes) -> int:
    length = int(_LENGTH.unpack(start)[0])
    if length > MOST:
        raise ValueError("a message too large to be one")
    return length


def _head(text: bytes) -> dict[str, Any]:
    head = json.loads(text)
    if not isinstance(head, dict) or not {"kind", "words", "parts"} <= head.keys():
        raise ValueError("not a message")
    return head
