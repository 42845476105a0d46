from __future__ import annotations

import pytest

from unmask.people import distance, group_people
from unmask.types import Box, Face, Score


def at(frame: int, x: float, y: float = 100, size: float = 50) -> Score:
    box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
    return Score(Face(frame, frame * 0.3, box, 0.9), 0.0, 0.5)


def tracks(scores: list[Score]) -> list[list[int]]:
    return [[score.face.frame for score in person] for person in group_people(scores)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (10, 0, 20, 10), 1.0),
        ((0, 0, 10, 10), (3, 4, 13, 14), 0.5),
        ((0, 0, 10, 10), (-5, -5, 15, 15), 1.0),  # twice the size
    ],
)
def test_distance_by_hand(a: Box, b: Box, expected: float) -> None:
    assert distance(a, b) == pytest.approx(expected)
    assert distance(b, a) == pytest.approx(expected)


def test_one_person_moving() -> None:
    assert tracks([at(k, 100 + 30 * k) for k in range(6)]) == [[0, 1, 2, 3, 4, 5]]


def test_two_people_side_by_side_are_kept_apart() -> None:
    scores = [at(k, x) for k in range(5) for x in (100, 220)]
    people = group_people(scores)
    assert [len(person) for person in people] == [5, 5]
    assert all(len({score.face.box[0] for score in person}) == 1 for person in people)


def test_a_person_who_walks_fast_is_followed_by_the_motion() -> None:
    # 1.2 widths a step: near enough at first, and then where they are expected
    assert tracks([at(k, 100 + 60 * k) for k in range(6)]) == [[0, 1, 2, 3, 4, 5]]


def test_two_people_crossing_keep_their_ways() -> None:
    left = [at(k, 100 + 40 * k, y=100) for k in range(8)]
    right = [at(k, 380 - 40 * k, y=130) for k in range(8)]
    people = group_people([*left, *right])
    assert sorted(len(person) for person in people) == [8, 8]
    for person in people:
        xs = [score.face.box[0] for score in person]
        assert xs in (sorted(xs), sorted(xs, reverse=True))


def test_a_cut_starts_another_person() -> None:
    assert tracks([at(0, 100), at(1, 105), at(2, 600), at(3, 605)]) == [[0, 1], [2, 3]]


def test_a_face_missed_for_a_while_is_found_again() -> None:
    assert tracks([at(0, 100), at(1, 100), at(7, 110)]) == [[0, 1, 7]]


def test_two_faces_of_one_frame_are_never_one_person() -> None:
    assert tracks([at(0, 100), at(0, 104)]) == [[0], [0]]


def test_most_seen_first_whatever_the_order() -> None:
    scores = [at(2, 100), at(0, 100), at(1, 100), at(1, 500)]
    assert tracks(scores) == [[0, 1, 2], [1]]


def test_nobody() -> None:
    assert group_people([]) == []
