"""Sentences that can be said in another language after they were made."""

from __future__ import annotations

import string
from typing import Any


class Words(str):
    """A sentence in English that remembers its pattern and the values in it.

    It is a `str` like any other; `unmask.report.language.in_language` says it anew in the reader's
    language. The pattern is what translators see: `Words("only {share:.0%} of it", share=0.2)`.

    - pattern: as `str.format` takes it
    - values: what it is filled with, by name
    """

    __slots__ = ("pattern", "values")

    pattern: str
    values: dict[str, Any]

    def __new__(cls, pattern: str, **values: Any) -> Words:
        """The pattern filled with the values."""
        self = super().__new__(cls, pattern.format(**values) if values else pattern)
        self.pattern, self.values = pattern, values
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: made anew from pattern and values."""
        return _words, (self.pattern, self.values)


def _words(pattern: str, values: dict[str, Any]) -> Words:
    return Words(pattern, **values)


class LocalFormatter(string.Formatter):
    """`str.format` with the decimal mark of a language.

    - mark: between a number's whole part and its decimals
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def format_field(self, value: Any, format_spec: str) -> str:
        """Floats get the mark; everything else stays as it is."""
        words: str = super().format_field(value, format_spec)
        return words.replace(".", self._mark) if isinstance(value, float) else words
