"""Faces of several frames → people: who is the same human being, told by place, motion and
likeness.

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
    pairs = sorted(
        (gap, p, s)
        for p, person in enumerate(people)
        for s, score in enumerate(scores)
        if (gap := _gap([seen.face for seen in person[-2:]], score.face)) <= MAX_DISTANCE
    )
    if face_similarity is not None:
        pairs = _believed(pairs, people, scores, shot, face_similarity)
    free_people, free_scores = set(range(len(people))), set(range(len(scores)))
    for _, p, s in pairs:
        if p in free_people and s in free_scores:
            free_people.discard(p)
            free_scores.discard(s)
            people[p].append(scores[s])
    people.extend([scores[s]] for s in sorted(free_scores))


def _believed(
    pairs: Sequence[tuple[float, int, int]],
    people: Sequence[Sequence[Score]],
    scores: Sequence[Score],
    shot: int,
    face_similarity: FaceSimilarity,
) -> list[tuple[float, int, int]]:
    """The pairs that are sure by place, and the doubtful ones whose faces are alike, the most alike
    first.
    """
    near = [
        (gap, p, s)
        for gap, p, s in pairs
        if people[p][-1].face.frame >= shot
        and scores[s].face.time_s - people[p][-1].face.time_s <= MAX_FORECAST_S
    ]
    kept = [
        (gap, p, s)
        for gap, p, s in near
        if gap <= SURE_DISTANCE
        and not any((q == p) != (t == s) and other <= gap + RIVAL for other, q, t in near)
    ]
    sure_people, sure_scores = {p for _, p, _ in kept}, {s for _, _, s in kept}
    for gap, p, s in pairs:
        if p in sure_people or s in sure_scores:
            continue
        in_shot = people[p][-1].face.frame >= shot
        alike = face_similarity(people[p][-1], scores[s])
        if alike is None:
            if in_shot:
                kept.append((gap, p, s))
        elif alike >= (SAME_PLACE if in_shot else SAME_PERSON):
            kept.append((gap - alike, p, s))  # place and likeness weigh about the same
    return sorted(kept)


def _reunite(people: list[list[Score]], face_similarity: FaceSimilarity) -> list[list[Score]]:
    """Bring together people who are never in one frame and are alike, the most alike first."""
    frames = [{score.face.frame for score in person} for person in people]
    shown = [sorted(person, key=lambda score: -_size(score.face))[:COMPARED] for person in people]

    def alike(a: int, b: int) -> float:
        first = face_similarity(shown[a][0], shown[b][0])
        if first is None or first < PLAUSIBLE:
            return -1.0 if first is None else first
        found = [
            near for x in shown[a] for y in shown[b] if (near := face_similarity(x, y)) is not None
        ]
        return max(found)

    # the most seen first, so that a bound on comparisons leaves out passers-by
    order = sorted(range(len(people)), key=lambda p: -len(people[p]))
    near = {
        (a, b): alike(a, b)
        for place, a in enumerate(order)
        for b in order[place + 1 :]
        if not frames[a] & frames[b]
    }
    parent = list(range(len(people)))
    for (a, b), cosine in sorted(near.items(), key=lambda pair: (-pair[1], pair[0])):
        if cosine < SAME_PERSON:
            break
        first, second = parent[a], parent[b]
        if first != second and not frames[first] & frames[second]:
            frames[first] |= frames[second]
            people[first] = sorted(
                [*people[first], *people[second]], key=lambda score: score.face.frame
            )
            parent = [first if root == second else root for root in parent]
    return [people[p] for p in range(len(people)) if parent[p] == p]


def _gap(seen: Sequence[Face], face: Face) -> float:
    """Distance of `face` to the last one seen, or to where that would be by now, whichever is
    nearer.
    """
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
