"""How alike two faces of a file are, by embeddings that are made when first needed."""

from __future__ import annotations

from unmask.detector.sampling import StridedSampler
from unmask.faces.embedding import cut_for_sface, load_sface
from unmask.types import Face, Floats, Image, Score

KEPT_PORTRAITS = 512
"""Faces of one file that are kept for comparison at most, spread over it."""

COMPARED_PX = 40
"""Faces smaller than this are not compared: SFace looks at 112 pixels."""

MAX_COMPARED = 32
"""Faces of one file that are embedded at most; one takes 20 to 30 ms."""


class FaceComparison:
    """The faces of one file, ready to be compared."""

    def __init__(self) -> None:
        self._portraits: StridedSampler[Image] = StridedSampler(KEPT_PORTRAITS)
        self._embeddings: dict[int, Floats] = {}  # by the face's number

    def add(self, image: Image, face: Face) -> None:
        """Keep a face of this frame, if it is large enough."""
        if face.shorter_side_px < COMPARED_PX:
            return
        self._portraits.add(face.id, cut_for_sface(image, face) if self._portraits.due() else None)

    def similarity(self, a: Score, b: Score) -> float | None:
        """The cosine of two faces' embeddings, −1 to 1.

        None where one of them was not kept, or too many have been embedded.
        """
        first, second = self._embedding(a.face), self._embedding(b.face)
        if first is None or second is None:
            return None
        return float(first @ second)

    def _embedding(self, face: Face) -> Floats | None:
        if face.id not in self._embeddings:
            portrait = self._portraits.kept().get(face.id)
            if portrait is None or len(self._embeddings) >= MAX_COMPARED:
                return None
            self._embeddings[face.id] = load_sface().embed([portrait])[0]
        return self._embeddings[face.id]
