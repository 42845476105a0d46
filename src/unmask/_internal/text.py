"""Text from files and file names, made fit to be shown."""

from __future__ import annotations

import os


def valid_unicode(text: str) -> str:
    """Bytes of a file name that are not UTF-8 become `\\xNN`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def on_one_line(text: str) -> str:
    """Valid Unicode, with spaces for control characters and line ends."""
    valid = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else " " for character in valid)
