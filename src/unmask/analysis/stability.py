"""Judge a face again after small edits: does a little recompression undo the verdict?

Each change is one that a file meets on its way (saved again, made smaller) or that the face finder
could have made (a face cut a little closer, shifted, turned). The changes are made on the face with
its surroundings, as the frame shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unmask._internal import jpeg
from unmask._internal.resizing import scaled_down
from unmask._internal.words import Words
from unmask.analysis.timeline import log_odds, sigmoid
from unmask.analysis.verdict import label_of
from unmask.bundle import Thresholds
from unmask.faces.alignment import CropSpec, corners_of, similarity_transform
from unmask.types import Floats, Image, Label, Variant

MAX_SIDE = 640
"""Longest side of a patch: a larger face is shrunk first, as a bundle sees it far smaller still."""

AROUND = 0.2
"""How much a patch holds beyond the crop on each side, in sides of the crop: the changes move it by
less."""

NEAR = 1.5
"""Log-odds from its threshold beyond which a verdict is left alone unless evidence is asked for: of
3,166 verdicts no change undid one farther away than 1.36 (docs/results.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A face with its surroundings.

    - image: (h, w, 3) RGB
    - landmarks: (5, 2) in its pixels
    """

    image: Image
    landmarks: Floats


def cut_patch(image: Image, landmarks: Floats, spec: CropSpec) -> Patch:
    """The face and what is around it, as far as the crop reaches and a little more: a copy."""
    height, width = image.shape[:2]
    corners = corners_of(landmarks, spec)
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    reach = AROUND * max(x1 - x0, y1 - y0)
    left, top = (
        int(min(max(low - reach, 0), side - 1)) for low, side in ((x0, width), (y0, height))
    )
    right, bottom = (
        int(min(max(high + reach, 0), side - 1)) + 1 for high, side in ((x1, width), (y1, height))
    )
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)].copy()
    patch = Patch(part, np.asarray(landmarks - [left, top], np.float32))
    scale = MAX_SIDE / max(part.shape[:2])
    return _resized(patch, scale) if scale < 1 else patch


def _resized(patch: Patch, share: float) -> Patch:
    height, width = patch.image.shape[:2]
    small = scaled_down(patch.image, share)
    # resized about the pixels' centres
    factor = [small.shape[1] / width, small.shape[0] / height]
    placed = np.asarray((patch.landmarks + 0.5) * factor - 0.5, np.float32)
    return Patch(small, placed)


def _saved(patch: Patch, quality: int) -> Patch:
    """As JPEG, with colour at half the detail, as most programs save."""
    return Patch(jpeg.recompress(patch.image, quality), patch.landmarks)


def _moved(patch: Patch, scale: float = 1.0, turn_deg: float = 0.0, shift: float = 0.0) -> Patch:
    """Landmarks moved about their middle, so that the crop is wider, turned or shifted.

    - scale: above 1: wider
    - shift: in distances of the landmarks from their middle
    """
    middle = patch.landmarks.mean(axis=0)
    angle = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    arms = patch.landmarks - middle
    reach = float(np.sqrt((arms**2).sum(axis=1).mean()))
    return Patch(patch.image, np.asarray(arms @ turn + middle + shift * reach, np.float32))


PERTURBATIONS: Mapping[str, Callable[[Patch], Patch]] = {
    Words("saved again (JPEG 80)"): lambda patch: _saved(patch, 80),
    Words("saved again (JPEG 50)"): lambda patch: _saved(patch, 50),
    Words("made smaller (70 %)"): lambda patch: _resized(patch, 0.7),
    Words("cut closer and shifted"): lambda patch: _moved(patch, scale=0.95, shift=0.08),
    Words("cut wider and turned"): lambda patch: _moved(
        patch, scale=1.05, turn_deg=3.0, shift=-0.05
    ),
}


def crop_patch(patch: Patch, spec: CropSpec) -> Image:
    """The crop that a bundle sees."""
    return spec.cut(patch.image, similarity_transform(patch.landmarks, spec.target()))


def perturb(patch: Patch, spec: CropSpec) -> dict[str, Image]:
    """The crops after each change, by its name."""
    return {name: crop_patch(change(patch), spec) for name, change in PERTURBATIONS.items()}


def rejudge(
    probability: float,
    before: Sequence[float],
    after: Mapping[str, Sequence[float]],
    thresholds: Thresholds,
) -> tuple[Variant, ...]:
    """What becomes of a person's probability under each change.

    - before, after: probabilities of some of the person's faces, as they are and by change; the
      mean difference of their log-odds is added to the log-odds of `probability`
    """
    variants = []
    for change, values in after.items():
        moved = float(
            np.mean([log_odds(b) - log_odds(a) for a, b in zip(before, values, strict=True)])
        )
        again = sigmoid(log_odds(probability) + moved)
        variants.append(Variant(change, again, label_of(again, thresholds)))
    return tuple(variants)


def worth_perturbing(
    probability: float, thresholds: Thresholds, *, however_sure: bool = False
) -> bool:
    """Whether there is a verdict that a perturbation could undo.

    - however_sure: also one that is farther than NEAR from its threshold
    """
    label = label_of(probability, thresholds)
    if label is Label.INCONCLUSIVE:
        return False
    edge = thresholds.fake if label is Label.FAKE else thresholds.real
    return however_sure or abs(log_odds(probability) - log_odds(edge)) <= NEAR
