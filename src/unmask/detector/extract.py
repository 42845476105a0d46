"""Frame → faces: found, cut out, measured, and refused where they cannot be seen well enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

from unmask.bundle.card import Card
from unmask.faces import FaceFinder, find_close_up
from unmask.faces.alignment import crop_face, measure_quality
from unmask.faces.sparing import SparingFinder
from unmask.faces.turned import TurnedFaces
from unmask.types import Face, Frame, Image

MAX_JUDGED = 20
"""Faces of one frame that are judged, the largest: bounds the work on a crowd. The report says
where there were more."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A face with the crop that the bundle would see.

    - face: numbered, with its quality; `quality.unusable` says why it must not be scored
    - crop: (size, size, 3) uint8 RGB
    """

    face: Face
    crop: Image

    @property
    def usable(self) -> bool:
        """Whether it can be seen well enough to be scored."""
        return self.face.quality is not None and self.face.quality.unusable is None


@dataclass(frozen=True, slots=True, eq=False)
class FrameFaces:
    """The faces of one frame.

    - faces: at most MAX_JUDGED, numbered in their order
    - left_out: whether there were more
    """

    faces: tuple[FoundFace, ...]
    left_out: bool


class FaceExtractor:
    """Finds and cuts the faces of one file as a bundle's card asks for."""

    def __init__(self, finder: FaceFinder, card: Card) -> None:
        self._finder = finder
        self._turned = TurnedFaces(SparingFinder(finder))
        self._card = card

    def extract(self, frame: Frame, *, first_id: int, may_be_close_up: bool) -> FrameFaces:
        """The faces of a frame.

        - first_id: number of the first one in its file
        - may_be_close_up: search again, smaller and with a border, where nothing was found; for
          pictures, which a face may fill
        """
        faces = self._turned.find(frame)
        if not faces and may_be_close_up:
            faces = find_close_up(self._finder, frame)
        left_out = len(faces) > MAX_JUDGED
        if left_out:
            faces = sorted(faces, key=lambda face: face.area_px, reverse=True)[:MAX_JUDGED]
        cut = [
            self._cut(frame, replace(face, id=number))
            for number, face in enumerate(faces, start=first_id)
        ]
        return FrameFaces(tuple(cut), left_out)

    def _cut(self, frame: Frame, face: Face) -> FoundFace:
        crop = crop_face(frame.image, face, self._card.crop)
        quality = measure_quality(crop, face.box, frame.image.shape[:2])
        quality = replace(quality, unusable=self._card.gates.refuse(quality))
        return FoundFace(replace(face, quality=quality), crop)
