"""What was found in one file, on its way to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

import cv2
import numpy as np

from unmask import jpeg
from unmask.crop import CropSpec, landmarks_of
from unmask.people import Likeness
from unmask.pipeline import Clock
from unmask.sface import cut_for_sface, load_sface
from unmask.stability import Patch, cut_patch
from unmask.types import Face, Floats, Frame, Image, Media, Progress, Provenance, Score, Stage

MAX_JUDGED = 20
"""Faces of one frame that are judged, the largest: bounds the work on a crowd. The report says where there were
more."""

PICTURE_SIDE = 960
"""Longest side of a frame that is kept to be shown."""

KEPT_PATCHES, KEPT_PICTURES, KEPT_PORTRAITS = 96, 16, 512
"""Faces with their surroundings, frames, and faces to be compared, that are kept of one file at most, spread over
it."""

COMPARED_PX = 40
"""Faces smaller than this are not compared with others: SFace looks at 112 pixels."""

MAX_COMPARED = 32
"""Faces of one file that are compared with others at most; one takes 20 to 30 ms."""

CUT = 0.5
"""Correlation of two frames, 32×18, below which a cut lies between."""

T = TypeVar("T")

Key = tuple[int, str]
"""Number of a face in a file, and the change it was judged with; '' for the face as it is."""

Watch = Callable[[Progress], None]


class Spread(Generic[T]):
    """Keeps at most `most` of what it is given, spread over the whole: one in so many from the start, if `expected` are
    to come, and with more of them every second, every fourth, … of those."""

    def __init__(self, most: int, expected: int = 1) -> None:
        self._most, self._stride, self._seen = most, max(1, -(-expected // most)), 0
        self._kept: dict[int, tuple[int, T]] = {}  # by key: when it came, and what

    def due(self) -> bool:
        """Whether the next one would be kept."""
        return self._seen % self._stride == 0

    def add(self, key: int, item: T | None) -> None:
        """The next one; None where it was not due."""
        if item is not None and self.due():
            self._kept[key] = self._seen, item
        self._seen += 1
        while len(self._kept) > self._most:
            self._stride *= 2
            self._kept = {k: v for k, v in self._kept.items() if v[0] % self._stride == 0}

    def kept(self) -> Mapping[int, T]:
        """What is kept, by key."""
        return {key: item for key, (_, item) in self._kept.items()}


@dataclass(slots=True)
class Look:
    """crops: what waits to be scored; results: logit and heat map of what was; portraits: faces as SFace wants them."""

    media: Media
    provenance: Provenance
    started: float
    faces: list[Face] = field(default_factory=list)
    crops: dict[Key, Image] = field(default_factory=dict)
    results: dict[Key, tuple[float, Floats | None]] = field(default_factory=dict)
    shown: dict[int, Image] = field(default_factory=dict)  # crops that were scored, for exhibits
    portraits: Spread[Image] = field(default_factory=lambda: Spread(KEPT_PORTRAITS))
    vectors: dict[int, Floats] = field(default_factory=dict)
    patches: Spread[Patch] = field(default_factory=lambda: Spread(KEPT_PATCHES))
    pictures: Spread[tuple[bytes, float]] = field(default_factory=lambda: Spread(KEPT_PICTURES))  # JPEG, scale
    glimpses: dict[int, Floats] = field(default_factory=dict)
    frames: int = 0  # looked at
    crowded: int = 0  # frames with more faces than are judged
    decode: Clock = field(default_factory=Clock)
    find: Clock = field(default_factory=Clock)
    evidence: Clock = field(default_factory=Clock)
    score_s: float = 0.0
    total_s: float = 0.0
    watch: Watch | None = None
    frames_asked: int = 1

    def tell(self, stage: Stage, scores: tuple[tuple[float, float], ...] = ()) -> None:
        """Whoever watches how far it has come."""
        if self.watch is not None:
            self.watch(Progress(stage, self.frames, self.frames_asked, len(self.faces), scores))

    def glimpse(self, frame: Frame) -> None:
        """Remember coarsely what the frame shows."""
        height, width = frame.image.shape[:2]
        coarse = np.ascontiguousarray(frame.image[:: max(1, height // 144), :: max(1, width // 256), 1])
        small = np.asarray(cv2.resize(coarse, (32, 18), interpolation=cv2.INTER_AREA), np.float32)
        self.glimpses[frame.index] = small - small.mean()

    def cuts(self) -> list[int]:
        """Frames that look unlike the one looked at before."""
        found = []
        for (_, before), (number, after) in pairwise(sorted(self.glimpses.items(), key=lambda item: item[0])):
            norm = float(np.linalg.norm(before) * np.linalg.norm(after))
            if norm > 0 and float((before * after).sum()) < CUT * norm:
                found.append(number)
        return found

    def keep_portrait(self, number: int, image: Image, face: Face) -> None:
        """For telling people apart."""
        x0, y0, x1, y1 = face.box
        if min(x1 - x0, y1 - y0) >= COMPARED_PX:
            self.portraits.add(number, cut_for_sface(image, face) if self.portraits.due() else None)

    def keep_patch(self, number: int, image: Image, face: Face, spec: CropSpec) -> None:
        """For judging the face again."""
        self.patches.add(number, cut_patch(image, landmarks_of(face), spec) if self.patches.due() else None)

    def keep_picture(self, frame: Frame) -> None:
        """For showing the frame."""
        if not self.pictures.due():
            self.pictures.add(frame.index, None)
            return
        height, width = frame.image.shape[:2]
        scale = min(1.0, PICTURE_SIDE / max(height, width))
        image = frame.image
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        self.pictures.add(frame.index, (jpeg.encode(image, 85), scale))

    def likeness(self, numbers: Mapping[int, int]) -> Likeness:
        """Compares scores, whose faces' numbers are given by the scores' `id`; each face is embedded once."""
        vectors, portraits = self.vectors, self.portraits.kept()

        def vector(score: Score) -> Floats | None:
            number = numbers[id(score)]
            if number not in vectors:
                if number not in portraits or len(vectors) >= MAX_COMPARED:
                    return None
                vectors[number] = load_sface().embed([portraits[number]])[0]
            return vectors[number]

        def likeness(a: Score, b: Score) -> float | None:
            first, second = vector(a), vector(b)
            return None if first is None or second is None else float(first @ second)

        return likeness
