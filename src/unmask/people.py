"""Faces of several frames → people: who is the same human being, told by place and motion.

A face continues the person whose last face, or whose expected place if they go on as before, lies nearest, in units
of the faces' size. That holds while people move about their own width between two looked-at frames; a cut starts new
people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import hypot, log2

from unmask.types import Box, Face, Score

MAX_DISTANCE = 1.3
"""Face widths that a person may be from the expected place, a doubling in size counting as one."""

MAX_FORECAST_S = 1.0
"""A motion is carried on no longer than this."""


def group_people(scores: Iterable[Score]) -> list[tuple[Score, ...]]:
    """Scores in any order → one tuple in order of time for each person, the most often seen first."""
    people: list[list[Score]] = []
    in_order = sorted(scores, key=lambda score: score.face.frame)
    for _, of_frame in groupby(in_order, key=lambda score: score.face.frame):
        _continue(people, list(of_frame))
    people.sort(key=lambda person: -len(person))
    return [tuple(person) for person in people]


def distance(a: Box, b: Box) -> float:
    """How far apart two faces are, in face widths; a doubling in size counts as one width."""
    (ax, ay, aw), (bx, by, bw) = _centre_and_width(a), _centre_and_width(b)
    return hypot(ax - bx, ay - by) / ((aw + bw) / 2) + abs(log2(aw / bw))


def _continue(people: list[list[Score]], scores: Sequence[Score]) -> None:
    """Hand each score of one frame to the nearest person, nearest pairs first, or to a new one."""
    pairs = sorted(
        (_gap([score.face for score in person[-2:]], score.face), p, s)
        for p, person in enumerate(people)
        for s, score in enumerate(scores)
    )
    free_people, free_scores = set(range(len(people))), set(range(len(scores)))
    for gap, p, s in pairs:
        if gap <= MAX_DISTANCE and p in free_people and s in free_scores:
            free_people.discard(p)
            free_scores.discard(s)
            people[p].append(scores[s])
    people.extend([scores[s]] for s in sorted(free_scores))


def _gap(seen: Sequence[Face], face: Face) -> float:
    """Distance of `face` to the last one seen, or to where that would be by now, whichever is nearer."""
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


def _centre_and_width(box: Box) -> tuple[float, float, float]:
    """Centre and mean side, at least one pixel."""
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2, max((x1 - x0 + y1 - y0) / 2, 1.0)
