"""What decoders of pictures raise for broken files, as errors of ours: in this one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unmask.errors import MediaError, UnknownFormatError, UnmaskError


@contextmanager
def broken_as(
    what: str,
    kind: type[MediaError] = UnknownFormatError,
    passing: type[Exception] = UnmaskError,
) -> Iterator[None]:
    """Turn whatever a decoder raises into a MediaError of this kind.

    Decoders written in Python stumble over hostile files in every way there is: `struct.error`,
    `IndexError`, `KeyError`, `ZeroDivisionError`, `OverflowError`, … besides the `OSError` and
    `SyntaxError` that they raise on purpose.

    - what: is broken; the beginning of the message
    - passing: what is let through as it is, besides errors of ours and want of memory
    """
    try:
        yield
    except (UnmaskError, MemoryError, passing):
        raise
    except Exception as error:
        words = str(error) or type(error).__name__
        raise kind(f"{what}: {words}") from error
