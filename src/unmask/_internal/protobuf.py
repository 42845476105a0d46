"""The wire format of protobuf, as far as ONNX files need it: read fields, and write one.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

from unmask.errors import BundleFormatError


def walk(
    message: bytes, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int, int, int]]:
    """Each field of the message in message[start:end] as (number, start, start of its body, end).

    Raises BundleFormatError where it is no protobuf or is cut short.
    """
    end = len(message) if end is None else end
    position = start
    while position < end:
        field = position
        tag, position = _read_varint(message, position, end)
        kind, body = tag & 7, position
        if kind == 0:
            _, position = _read_varint(message, position, end)
        elif kind == 1:
            position += 8
        elif kind == 2:
            length, body = _read_varint(message, position, end)
            position = body + length
        elif kind == 5:
            position += 4
        else:
            raise BundleFormatError(
                f"no ONNX file, or a broken one: unknown wire type {kind} at byte {field}"
            )
        if position > end or tag >> 3 == 0:
            raise BundleFormatError(
                f"no ONNX file, or a truncated one: the field at byte {field} goes past the end"
            )
        yield tag >> 3, field, body, position


def tagged(number: int, payload: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(message: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= end:
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise BundleFormatError(
        f"no ONNX file, or a truncated one: it ends within a number at byte {position}"
    )
