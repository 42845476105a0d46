"""Verdicts tried with perturbed pictures: does a little recompression undo them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unmask.analysis.stability import PERTURBATIONS, Patch, perturb, rejudge, worth_perturbing
from unmask.analysis.verdict import hold_against, judged_faces
from unmask.bundle.card import Card
from unmask.detector.scoring import CropScore
from unmask.types import Image, Person

TESTED_FACES, TESTED_PEOPLE = 4, 5
"""Faces of a person in a video, and people of a file, that are judged again at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Recheck:
    """The perturbed crops of a file's people.

    - faces_of: by the person's id, the numbers of the faces that stand for them
    - crops: by the face's number and the name of the perturbation
    """

    faces_of: Mapping[int, Sequence[int]]
    crops: Mapping[tuple[int, str], Image]


def plan_recheck(
    people: Sequence[Person], patches: Mapping[int, Patch], card: Card, *, however_sure: bool
) -> Recheck:
    """What to score again.

    - patches: faces with their surroundings, by the faces' numbers
    - however_sure: also verdicts that no perturbation is likely to undo
    """
    faces_of: dict[int, list[int]] = {}
    crops: dict[tuple[int, str], Image] = {}
    for person in people:
        probability = person.verdict.probability_fake
        if probability is None:
            continue
        thresholds = card.thresholds.over(judged_faces(person))
        if not worth_perturbing(probability, thresholds, however_sure=however_sure):
            continue
        kept = [score.face.id for score in person.scores if score.face.id in patches]
        faces_of[person.id] = evenly_spaced(kept, TESTED_FACES)
        for face_id in faces_of[person.id]:
            for name, crop in perturb(patches[face_id], card.crop).items():
                crops[face_id, name] = crop
        if len(faces_of) == TESTED_PEOPLE:
            break
    return Recheck(faces_of, crops)


def apply_recheck(
    people: Sequence[Person],
    recheck: Recheck,
    before: Mapping[int, CropScore],
    after: Mapping[tuple[int, str], CropScore],
    card: Card,
) -> tuple[Person, ...]:
    """The people with what became of their verdicts.

    - before: scores of the faces as they are, by their numbers; a face that was refused has none
    - after: scores of the perturbed crops
    """
    probability = card.calibration.probability
    rechecked = []
    for person in people:
        faces = [number for number in recheck.faces_of.get(person.id, ()) if number in before]
        if not faces or person.verdict.probability_fake is None:
            rechecked.append(person)
            continue
        as_they_are = [probability(before[number].logit) for number in faces]
        perturbed = {
            name: [probability(after[number, name].logit) for number in faces]
            for name in PERTURBATIONS
        }
        thresholds = card.thresholds.over(judged_faces(person))
        variants = rejudge(person.verdict.probability_fake, as_they_are, perturbed, thresholds)
        verdict = hold_against(person.verdict, variants)
        rechecked.append(replace(person, verdict=verdict, stability=variants))
    return tuple(rechecked)


def evenly_spaced(numbers: Sequence[int], most: int) -> list[int]:
    """At most `most` of these, evenly spaced."""
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[round((place + 0.5) * len(numbers) / most - 0.5)] for place in range(most)]
