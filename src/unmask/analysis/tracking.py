"""Face tracking: which faces are the same person, by place, motion and similarity.

A face continues the person whose last face, or whose expected place if they go on as before, lies
nearest, in units of the faces' size. Where that is in doubt (a cut lies between, a long time, a
long way, or somebody else is as near), the faces must also be alike. Then people who are never seen
together are brought together where they are alike: a face that leaves and returns, or comes back in
another shot.

Within one shot a place is believed without a look at the face: a swap that comes and goes changes
the face, not the person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from math import hypot, log2
from typing import NamedTuple

from unmask.types import Box, Face, Score

FaceSimilarity = Callable[[Score, Score], float | None]
"""Cosine of two faces' embeddings, or None where that cannot be told (too small, or too many were
asked for)."""

MAX_DISTANCE = 1.3
"""Face widths that a person may be from the expected place, a doubling in size counting as one."""

SURE_DISTANCE = 0.7
"""Below this a place alone tells who it is, unless a cut lies between."""

RIVAL = 0.5
"""A place is in doubt where another face, or another person, is less than so many widths farther
away."""

MAX_FORECAST_S = 1.0
"""A motion is carried on no longer than this, and a place is sure no longer than this."""

SAME_PLACE = 0.25
"""Cosine from which two faces in one shot, whose places fit, are one person. Of the pairs of 400
strangers (LFW) 2.8 % lie above; turned and blurred faces of one person mostly do."""

SAME_PERSON = 0.4
"""Cosine from which two faces anywhere in a file are one person: 0.01 % of those pairs lie above.
OpenCV says 0.363 for a pair (SFace: Zhong et al., IEEE TIP 2021), but here many are compared."""

COMPARED, PLAUSIBLE = 2, 0.15
"""Faces of a person that are compared with others': the largest, and the next where the first are
this alike."""


class Pair(NamedTuple):
    """A person and a face of the next frame that may be theirs.

    - gap: how far apart they are, in face widths, less how alike they are
    - person, score: their numbers
    """

    gap: float
    person: int
    score: int


def group_people(
    scores: Iterable[Score],
    *,
    cuts: Collection[int] = (),
    face_similarity: FaceSimilarity | None = None,
) -> list[tuple[Score, ...]]:
    """Scores in any order → one tuple in order of time for each person, the most often seen first.

    - cuts: numbers of frames before which the shot changes
    - face_similarity: how alike two faces are; without it, place and motion decide
    """
    people: list[list[Score]] = []
    in_order = sorted(scores, key=lambda score: score.face.frame)
    shot = 0
    last_seen = 0
    for frame, of_frame in groupby(in_order, key=lambda score: score.face.frame):
        if any(last_seen < cut <= frame for cut in cuts):
            shot = frame
        _continue(people, list(of_frame), shot, face_similarity)
        last_seen = frame
    if face_similarity is not None:
        people = _reunite(people, face_similarity)
    people.sort(key=lambda person: (-len(person), person[0].face.frame, person[0].face.box))
    return [tuple(person) for person in people]


def distance(a: Box, b: Box) -> float:
    """How far apart two faces are, in face widths; a doubling in size counts as one width."""
    (ax, ay, aw), (bx, by, bw) = _centre_and_width(a), _centre_and_width(b)
    return hypot(ax - bx, ay - by) / ((aw + bw) / 2) + abs(log2(aw / bw))


def _continue(
    people: list[list[Score]],
    scores: Sequence[Score],
    shot: int,
    face_similarity: FaceSimilarity | None,
) -> None:
    """Hand each score of one frame to the nearest person, nearest pairs first, or to a new one."""
    pairs = []
    for person, seen in enumerate(people):
        last_two = [score.face for score in seen[-2:]]
        for number, score in enumerate(scores):
            gap = _gap(last_two, score.face)
            if gap <= MAX_DISTANCE:
                pairs.append(Pair(gap, person, number))
    pairs.sort()
    if face_similarity is not None:
        pairs = _believed(pairs, people, scores, shot, face_similarity)
    free_people, free_scores = set(range(len(people))), set(range(len(scores)))
    for pair in pairs:
        if pair.person in free_people and pair.score in free_scores:
            free_people.discard(pair.person)
            free_scores.discard(pair.score)
            people[pair.person].append(scores[pair.score])
    people.extend([scores[number]] for number in sorted(free_scores))


def _believed(
    pairs: Sequence[Pair],
    people: Sequence[Sequence[Score]],
    scores: Sequence[Score],
    shot: int,
    face_similarity: FaceSimilarity,
) -> list[Pair]:
    """Pairs that place makes certain, and doubtful ones whose faces are alike, best first."""
    # Certain by place: near, seen a moment ago in this shot, and nobody else is about as near.
    recent = [
        pair
        for pair in pairs
        if people[pair.person][-1].face.frame >= shot
        and scores[pair.score].face.time_s - people[pair.person][-1].face.time_s <= MAX_FORECAST_S
    ]
    kept = [pair for pair in recent if pair.gap <= SURE_DISTANCE and not _has_rival(pair, recent)]
    certain_people = {pair.person for pair in kept}
    certain_scores = {pair.score for pair in kept}

    # The others are believed if the faces are alike: more so across a cut than within a shot.
    for pair in pairs:
        if pair.person in certain_people or pair.score in certain_scores:
            continue
        in_shot = people[pair.person][-1].face.frame >= shot
        alike = face_similarity(people[pair.person][-1], scores[pair.score])
        if alike is None:
            if in_shot:
                kept.append(pair)
        elif alike >= (SAME_PLACE if in_shot else SAME_PERSON):
            # place and similarity weigh about the same
            kept.append(pair._replace(gap=pair.gap - alike))
    return sorted(kept)


def _has_rival(pair: Pair, others: Sequence[Pair]) -> bool:
    """Whether the person has another face, or the face another person, about as near."""
    for other in others:
        shares_one = (other.person == pair.person) != (other.score == pair.score)
        if shares_one and other.gap <= pair.gap + RIVAL:
            return True
    return False


def _reunite(people: list[list[Score]], face_similarity: FaceSimilarity) -> list[list[Score]]:
    """Bring together people who are never in one frame and are alike, the most alike first."""
    frames = [{score.face.frame for score in person} for person in people]

    # Compare everybody with everybody, the most seen first: the number of comparisons is bounded,
    # and should not be spent on passers-by.
    most_seen_first = sorted(range(len(people)), key=lambda number: -len(people[number]))
    samples = [_to_compare(person) for person in people]
    similarity: dict[tuple[int, int], float] = {}
    for place, first in enumerate(most_seen_first):
        for second in most_seen_first[place + 1 :]:
            if not frames[first] & frames[second]:
                similarity[first, second] = _similarity_of_people(
                    samples[first], samples[second], face_similarity
                )

    # Join the most alike first; whoever was joined counts as one person from then on.
    joined_to = list(range(len(people)))
    most_alike_first = sorted(similarity.items(), key=lambda pair: (-pair[1], pair[0]))
    for (a, b), cosine in most_alike_first:
        if cosine < SAME_PERSON:
            break
        first, second = joined_to[a], joined_to[b]
        if first == second or frames[first] & frames[second]:
            continue
        frames[first] |= frames[second]
        together = [*people[first], *people[second]]
        people[first] = sorted(together, key=lambda score: score.face.frame)
        joined_to = [first if root == second else root for root in joined_to]
    return [people[number] for number, root in enumerate(joined_to) if root == number]


def _to_compare(person: Sequence[Score]) -> list[Score]:
    """The largest faces of a person."""
    return sorted(person, key=lambda score: -_size(score.face))[:COMPARED]


def _similarity_of_people(
    first: Sequence[Score], second: Sequence[Score], face_similarity: FaceSimilarity
) -> float:
    """The cosine of their most alike faces; −1 where that cannot be told.

    Where the largest faces are nothing alike, the others are not compared.
    """
    largest = face_similarity(first[0], second[0])
    if largest is None:
        return -1.0
    if largest < PLAUSIBLE:
        return largest
    cosines = []
    for one in first:
        for other in second:
            cosine = face_similarity(one, other)
            if cosine is not None:
                cosines.append(cosine)
    return max(cosines)


def _gap(seen: Sequence[Face], face: Face) -> float:
    """Distance of `face` to the last one seen, or to where that would be by now, if nearer."""
    last = seen[-1]
    gap = distance(last.box, face.box)
    if len(seen) > 1 and 0 < face.time_s - last.time_s <= MAX_FORECAST_S:
        before = seen[-2]
        steps = (face.time_s - last.time_s) / max(last.time_s - before.time_s, 1e-6)
        if steps <= 2:
            (x0, y0, _), (x1, y1, _) = _centre_and_width(before.box), _centre_and_width(last.box)
            dx, dy = (x1 - x0) * steps, (y1 - y0) * steps
            a, b, c, d = last.box
            gap = min(gap, distance((a + dx, b + dy, c + dx, d + dy), face.box))
    return gap


def _size(face: Face) -> float:
    return _centre_and_width(face.box)[2]


def _centre_and_width(box: Box) -> tuple[float, float, float]:
    """Centre and mean side, at least one pixel."""
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2, max((x1 - x0 + y1 - y0) / 2, 1.0)
