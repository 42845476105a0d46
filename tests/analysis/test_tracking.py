from __future__ import annotations

import pytest

from unmask.analysis.tracking import distance, group_people
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


# With likeness: each face carries who it is in its logit, and SFace is played by comparing that.

TOLD: dict[int, int] = {}


def who(frame: int, identity: int, x: float, y: float = 100, size: float = 50) -> Score:
    score = at(frame, x, y, size)
    TOLD[id(score)] = identity
    KEPT.append(score)
    return score


KEPT: list[Score] = []


def alike(a: Score, b: Score) -> float | None:
    return 0.7 if TOLD[id(a)] == TOLD[id(b)] else 0.05


def identities(scores: list[Score], cuts: tuple[int, ...] = ()) -> list[list[int]]:
    people = group_people(scores, cuts=cuts, face_similarity=alike)
    return [[TOLD[id(score)] for score in person] for person in people]


def test_a_cut_to_somebody_else_in_the_same_place() -> None:
    scores = [who(k, 1 if k < 4 else 2, 100) for k in range(8)]
    assert identities(scores, cuts=(4,)) == [[1] * 4, [2] * 4]


def test_without_a_cut_the_place_is_believed() -> None:
    """A swap that comes and goes changes the face, not the person."""
    scores = [who(k, 1 if k < 4 else 2, 100) for k in range(8)]
    assert identities(scores) == [[1, 1, 1, 1, 2, 2, 2, 2]]


def test_shot_and_reverse_shot_make_two_people() -> None:
    scores = [who(k, (k // 3) % 2, 100) for k in range(12)]
    assert sorted(identities(scores, cuts=(3, 6, 9))) == [[0] * 6, [1] * 6]


def test_a_face_that_leaves_and_comes_back_elsewhere() -> None:
    scores = [*(who(k, 1, 100) for k in range(4)), *(who(k, 1, 600) for k in range(9, 12))]
    assert identities(scores) == [[1] * 7]


def test_two_people_who_pass_each_other_closely() -> None:
    left = [who(k, 1, 100 + 40 * k) for k in range(8)]
    right = [who(k, 2, 380 - 40 * k) for k in range(8)]
    assert sorted(identities([*left, *right])) == [[1] * 8, [2] * 8]


def test_twins_in_one_frame_stay_two() -> None:
    scores = [*(who(k, 1, 100) for k in range(4)), *(who(k, 1, 400) for k in range(4))]
    assert [len(person) for person in identities(scores)] == [4, 4]


def test_where_likeness_cannot_tell_the_place_does_within_a_shot() -> None:
    scores = [at(k, 100) for k in range(6)]
    assert [len(p) for p in group_people(scores, face_similarity=lambda a, b: None)] == [6]
    assert [len(p) for p in group_people(scores, cuts=(3,), face_similarity=lambda a, b: None)] == [
        3,
        3,
    ]


def test_few_comparisons_in_a_quiet_clip() -> None:
    """One face takes tens of milliseconds to embed: a person who sits still is never compared."""
    asked = []

    def counting(a: Score, b: Score) -> float | None:
        asked.append((a, b))
        return 1.0

    group_people([at(k, 100 + k) for k in range(32)], face_similarity=counting)
    assert asked == []


def test_nobody() -> None:
    assert group_people([]) == []
