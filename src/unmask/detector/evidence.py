"""What is kept of a file to show what its verdict rests on, and what is shown of each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unmask._internal import jpeg
from unmask._internal.resizing import shrink
from unmask.analysis.faithfulness import measure_faithfulness
from unmask.analysis.stability import Patch, cut_patch
from unmask.analysis.verdict import suspicion
from unmask.bundle import Scorer
from unmask.bundle.card import Card
from unmask.detector.extract import FrameFaces
from unmask.detector.sampling import StridedSampler
from unmask.faces.alignment import corners_of, landmarks_of
from unmask.types import Exhibit, ExhibitRole, Frame, Image, Person, Score, Settings

PICTURE_SIDE = 960
"""Longest side of a frame that is kept to be shown, in pixels."""

KEPT_PICTURES = 16
"""Frames of one file that are kept to be shown at most, spread over it."""

KEPT_PATCHES = 96
"""Faces of one file that are kept with their surroundings at most, spread over it."""

SHOWN_PEOPLE, TESTED_MAPS = 8, 2
"""People who have exhibits, and those whose strongest face has a tested heat map: the ones most
suspected."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptPicture:
    """A frame kept to be shown.

    - data: JPEG, at most PICTURE_SIDE wide and high
    - scale: its size relative to the frame, ≤ 1
    """

    data: bytes
    scale: float


class EvidenceStore:
    """Keeps faces and frames of one file, a bounded number, spread over it.

    - crops: what the bundle saw of each face, by its number, in frames that are kept to be shown
    """

    def __init__(self, card: Card, settings: Settings, frames_expected: int) -> None:
        self._card = card
        self._settings = settings
        self._pictures: StridedSampler[KeptPicture] = StridedSampler(KEPT_PICTURES, frames_expected)
        self._patches: StridedSampler[Patch] = StridedSampler(KEPT_PATCHES)
        self.crops: dict[int, Image] = {}

    def add(self, frame: Frame, found: FrameFaces) -> None:
        """Keep what is needed of a frame and its faces."""
        frame_is_shown = self._settings.explain and self._pictures.due()
        for face in found.faces:
            if not face.usable:
                continue
            if frame_is_shown:
                self.crops[face.face.id] = face.crop
            if self._settings.stability:
                self._keep_patch(frame, face.face.id, landmarks_of(face.face))
        if self._settings.explain and found.faces:
            self._pictures.add(frame.index, shrunk_jpeg(frame) if frame_is_shown else None)

    def _keep_patch(self, frame: Frame, face_id: int, landmarks: np.ndarray) -> None:
        patch = None
        if self._patches.due():
            patch = cut_patch(frame.image, landmarks, self._card.crop)
        self._patches.add(face_id, patch)

    def patches(self) -> Mapping[int, Patch]:
        """Faces with their surroundings, by the faces' numbers."""
        return self._patches.kept()

    def pictures(self) -> Mapping[int, KeptPicture]:
        """Frames, by their numbers."""
        return self._pictures.kept()


def shrunk_jpeg(frame: Frame) -> KeptPicture:
    """The frame as JPEG, no larger than PICTURE_SIDE."""
    image, scale = shrink(frame.image, PICTURE_SIDE)
    return KeptPicture(jpeg.encode(image, 85), scale)


def add_exhibits(
    people: Sequence[Person], store: EvidenceStore, scorer: Scorer
) -> tuple[Person, ...]:
    """The people with their exhibits: up to three faces of each, and tested heat maps."""
    suspected = sorted(people, key=suspicion)[:SHOWN_PEOPLE]
    rank = {person.id: place for place, person in enumerate(suspected)}
    with_exhibits = []
    for person in people:
        exhibits: list[Exhibit] = []
        if person.id in rank:
            exhibits = [
                _exhibit(role, score, store, scorer.card) for role, score in _chosen(person, store)
            ]
        if exhibits and rank[person.id] < TESTED_MAPS:
            exhibits[0] = _with_tested_map(exhibits[0], scorer)
        with_exhibits.append(replace(person, exhibits=tuple(exhibits)))
    return tuple(with_exhibits)


def _chosen(person: Person, store: EvidenceStore) -> list[tuple[ExhibitRole, Score]]:
    """The faces with the most and the least evidence for a fake, and one between, with their roles.

    Only faces whose crop was kept; those whose frame is kept as well, if there are any. The most
    evidence is looked for among faces that the whole bundle saw, if it saw any: the others' scores
    are moved by what it said of those.
    """
    judged = [
        score
        for score in person.scores
        if score.probability_fake is not None and score.face.id in store.crops
    ]
    pictures = store.pictures()
    with_picture = [score for score in judged if score.face.frame in pictures]
    ordered = sorted(with_picture or judged, key=lambda score: -(score.probability_fake or 0))
    if not ordered:
        return []
    strongest = next((place for place, score in enumerate(ordered) if not score.quick), 0)
    places: dict[ExhibitRole, int] = {
        "strongest": strongest,
        "middle": len(ordered) // 2,
        "weakest": len(ordered) - 1,
    }
    # of a person with one or two faces, one face has several roles: it is shown in the first
    role_at_place: dict[int, ExhibitRole] = {}
    for role, place in places.items():
        role_at_place.setdefault(place, role)
    return [(role, ordered[place]) for place, role in role_at_place.items()]


def _exhibit(role: ExhibitRole, score: Score, store: EvidenceStore, card: Card) -> Exhibit:
    face = score.face
    crop = store.crops[face.id]
    picture = store.pictures().get(face.frame)
    if picture is None:
        return Exhibit(score, role, crop, None, None)
    corners = corners_of(landmarks_of(face), card.crop) * np.float32(picture.scale)
    return Exhibit(score, role, crop, picture.data, corners)


def _with_tested_map(exhibit: Exhibit, scorer: Scorer) -> Exhibit:
    if exhibit.score.heatmap is None:
        return exhibit
    tested = measure_faithfulness(scorer, exhibit.crop, exhibit.score.heatmap)
    # what is known of the maps was measured on fakes, judged by the whole bundle
    known = _looks_fake(exhibit.score) and not exhibit.score.quick
    pointing = scorer.card.pointing if known else None
    return replace(exhibit, faithfulness=tested, pointing=pointing)


def _looks_fake(score: Score) -> bool:
    """Whether a face is more probably fake than real."""
    return score.probability_fake is not None and score.probability_fake >= 0.5
