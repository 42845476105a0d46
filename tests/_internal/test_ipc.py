from __future__ import annotations

import asyncio
import io
import struct

import pytest

from unmask._internal.ipc import MAX_BYTES, Message, receive, receive_async

MESSAGES = [
    Message("ready"),
    Message(
        "result", {"probability": 0.25, "name": "größer"}, {"picture": b"\xff\xd8", "empty": b""}
    ),
]


def received_async(data: bytes, count: int) -> list[Message]:
    async def read() -> list[Message]:
        stream = asyncio.StreamReader()
        stream.feed_data(data)
        stream.feed_eof()
        return [await receive_async(stream) for _ in range(count)]

    return asyncio.run(read())


def test_both_ways_of_receiving_give_what_was_sent() -> None:
    data = b"".join(message.pack() for message in MESSAGES)
    stream = io.BytesIO(data)
    assert [receive(stream), receive(stream)] == MESSAGES
    assert receive(stream) is None
    assert received_async(data, 2) == MESSAGES


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_a_stream_that_ends_within_a_message(length: int) -> None:
    data = MESSAGES[1].pack()[:length]
    assert receive(io.BytesIO(data)) is None
    with pytest.raises(EOFError):
        received_async(data, 1)


def packed(head: bytes) -> bytes:
    return struct.pack(">I", len(head)) + head


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", MAX_BYTES + 1),
        packed(b"not JSON at all"),
        packed(b"[1, 2]"),
        packed(b'{"kind": "ready"}'),
        packed(b'{"kind": "x", "words": {}, "parts": [["a", %d]]}' % (MAX_BYTES + 1)),
    ],
    ids=["too long", "no JSON", "no object", "keys missing", "parts too large"],
)
def test_what_is_not_a_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSONDecodeError is one
        receive(io.BytesIO(data))
    with pytest.raises(ValueError):  # noqa: PT011
        received_async(data, 1)
