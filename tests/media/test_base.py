from __future__ import annotations

import pytest

from unmask.media import choose_frames


def test_300_frames_and_8_wanted_are_spread_over_the_whole_clip() -> None:
    times = [i / 30 for i in range(300)]
    # spans of 1.25 s; their middles 0.625, 1.875, … s; times 30: 18.75, 56.25, 93.75, 131.25,
    # 168.75, 206.25, …
    assert choose_frames(times, 10.0, 8) == [18, 56, 93, 131, 168, 206, 243, 281]


def test_one_frame_is_the_middle_one() -> None:
    assert choose_frames([0.0, 1.0, 2.0, 3.0, 4.0], 5.0, 1) == [2]


def test_frames_are_even_in_time_not_in_number() -> None:
    # nine frames in the first tenth of a second, then one that stays for nine seconds
    times = [i / 90 for i in range(9)] + [1.0]
    # spans of 2.5 s with middles at 1.25, 3.75, 6.25, 8.75 s: always the last frame, and it comes
    # once
    assert choose_frames(times, 10.0, 4) == [9]


def test_a_late_start_is_taken_into_account() -> None:
    times = [100.0 + i for i in range(10)]
    assert choose_frames(times, 110.0, 2) == [2, 7]


@pytest.mark.parametrize("have", [1, 5, 8])
def test_a_short_clip_gives_what_it_has(have: int) -> None:
    assert choose_frames([i / 25 for i in range(have)], have / 25, 8) == list(range(have))


def test_each_frame_once_and_in_order() -> None:
    for have in range(2, 60):
        for want in range(1, 60):
            chosen = choose_frames([i / 30 for i in range(have)], have / 30, want)
            assert chosen == sorted(set(chosen))
            assert len(chosen) == min(have, want)


def test_no_frames_wanted_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        choose_frames([0.0], 1.0, 0)
