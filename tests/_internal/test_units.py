from __future__ import annotations

import pytest

from unmask._internal.units import duration_words, size_words


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (4e12, "4.0 TB")]
)
def test_sizes_have_units_that_fit(count: float, words: str) -> None:
    assert size_words(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(59, "59 seconds"), (150, "2.5 minutes"), (7200, "2.0 hours")]
)
def test_times_have_units_that_fit(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words
