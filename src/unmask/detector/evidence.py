"""What is laid on the table for each person: faces judged again, and exhibits with graded heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from unmask.bundle import Scorer
from unmask.bundle.card import Card
from unmask.crop import corners_of, landmarks_of
from unmask.detector.look import Look
from unmask.faithful import grade
from unmask.stability import CHANGES, judge_again
from unmask.types import Exhibit, Face, Person, Score, Variant, Verdict
from unmask.verdict import suspicion

TESTED, TESTED_PEOPLE = 4, 5
"""Faces of a person in a video, and people of a file, that are judged again at most."""

SHOWN_PEOPLE, GRADED = 8, 2
"""People who have exhibits, and those whose strongest face has a graded heat map: the ones most suspected."""


def choose_tested(numbers: Sequence[int]) -> list[int]:
    """At most TESTED of these, evenly spaced."""
    if len(numbers) <= TESTED:
        return list(numbers)
    return [numbers[round((k + 0.5) * len(numbers) / TESTED - 0.5)] for k in range(TESTED)]


def variants(look: Look, numbers: Sequence[int], verdict: Verdict, card: Card) -> tuple[Variant, ...]:
    """The person of these faces, judged again with what was scored after each change."""
    tested = [n for n in numbers if (n, "") in look.results and all((n, change) in look.results for change in CHANGES)]
    if not tested or verdict.probability_fake is None:
        return ()

    def probabilities(change: str) -> list[float]:
        return [card.calibration.probability(look.results[n, change][0]) for n in tested]

    after = {change: probabilities(change) for change in CHANGES}
    return judge_again(verdict.probability_fake, probabilities(""), after, card.thresholds)


def exhibit(people: Sequence[Person], look: Look, place: Mapping[Face, int], scorer: Scorer) -> tuple[Person, ...]:
    """The people with their exhibits."""
    suspected = sorted(people, key=suspicion)[:SHOWN_PEOPLE]
    rank = {person.id: number for number, person in enumerate(suspected)}
    found = []
    for person in people:
        if person.id not in rank:
            found.append(person)
            continue
        exhibits = [_exhibit(role, score, look, place, scorer) for role, score in _chosen(person, look, place)]
        if exhibits and rank[person.id] < GRADED:
            exhibits[0] = _graded(exhibits[0], scorer)
        found.append(replace(person, exhibits=tuple(exhibits)))
    return tuple(found)


def _chosen(person: Person, look: Look, place: Mapping[Face, int]) -> list[tuple[str, Score]]:
    """The faces with the most and the least evidence for a fake, and one between; of those whose frame is kept, if
    any."""
    judged = [s for s in person.scores if s.probability_fake is not None and place[s.face] in look.shown]
    pictures = look.pictures.kept()
    ordered = sorted(
        [s for s in judged if s.face.frame in pictures] or judged, key=lambda s: -(s.probability_fake or 0)
    )
    if not ordered:
        return []
    roles = {"strongest": 0, "middle": len(ordered) // 2, "weakest": len(ordered) - 1}
    chosen: dict[int, str] = {}
    for role, at in roles.items():
        chosen.setdefault(at, role)
    return [(role, ordered[at]) for at, role in chosen.items()]


def _exhibit(role: str, score: Score, look: Look, place: Mapping[Face, int], scorer: Scorer) -> Exhibit:
    face = score.face
    crop = look.shown[place[face]]
    kept = look.pictures.kept().get(face.frame)
    if kept is None:
        return Exhibit(score, role, crop, None, None)
    data, scale = kept
    return Exhibit(score, role, crop, data, corners_of(landmarks_of(face), scorer.card.crop) * np.float32(scale))


def _graded(exhibit: Exhibit, scorer: Scorer) -> Exhibit:
    if exhibit.score.heatmap is None:
        return exhibit
    return replace(exhibit, faithfulness=grade(scorer, exhibit.crop, exhibit.score.heatmap))
