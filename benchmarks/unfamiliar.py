"""python -m benchmarks.unfamiliar DATA… [--rows N] [--model default]

Does the detector notice what it does not know? The share of faces whose novelty lies above the
card's gate (`face_unfamiliar`: `inconclusive`, never accused), of each data set as it is, and of
the first one turned into what is no photograph of a face, and into what is one still.

DATA: manifests of face crops; of those with a test split, that split."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from unmask._internal.jpeg import recompress
from unmask.bundle import load_bundle
from unmask.lab.data.manifest import read_manifests
from unmask.lab.export.export import cut_faces
from unmask.media import through_h264
from unmask.types import Image


def as_edges(crop: Image) -> Image:
    """A line drawing: dark edges on white."""
    edges = cv2.Canny(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), 60, 140)
    return cv2.cvtColor(255 - edges, cv2.COLOR_GRAY2RGB)


def half_hidden(crop: Image) -> Image:
    """The lower half, mouth and chin, behind a grey surface."""
    hidden = crop.copy()
    hidden[len(crop) // 2 :] = 128
    return hidden


def noise(crop: Image) -> Image:
    """Uniform noise of the crop's shape, which has nothing of the face."""
    return np.random.default_rng(int(crop.sum())).integers(0, 256, crop.shape).astype(np.uint8)


def pencil(crop: Image) -> Image:
    """OpenCV's pencil sketch, in colours."""
    return cv2.pencilSketch(crop, sigma_s=60, sigma_r=0.07, shade_factor=0.05)[1]  # type: ignore[return-value]


def mosaic(crop: Image) -> Image:
    """Blocks of a sixteenth of the side, as faces are hidden in news."""
    side = len(crop)
    small = cv2.resize(crop, (16, 16), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


def halftone(crop: Image) -> Image:
    """Dots of four pixels, as in newsprint."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(float) / 255
    rows, columns = np.mgrid[: len(crop), : len(crop)]
    dots = 0.5 + 0.5 * np.cos(rows * np.pi / 2) * np.cos(columns * np.pi / 2)
    printed = np.where(grey > 0.15 + 0.7 * dots, 255, 0).astype(np.uint8)
    return cv2.cvtColor(printed, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]


def false_colours(crop: Image) -> Image:
    """A heat camera's palette."""
    return cv2.applyColorMap(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLORMAP_JET)  # type: ignore[return-value]


def captioned(crop: Image) -> Image:
    """White letters over the chin."""
    words = crop.copy()
    cv2.putText(
        words, "LIVE 20:15", (12, len(crop) - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2
    )
    return words


def dark_glasses(crop: Image) -> Image:
    """Two dark boxes where the eyes are."""
    side = len(crop)
    worn = crop.copy()
    for left, right in ((0.23, 0.47), (0.53, 0.77)):
        worn[int(0.36 * side) : int(0.5 * side), int(left * side) : int(right * side)] = 12
    return worn


NO_PHOTOGRAPH: dict[str, Callable[[Image], Image]] = {
    "drawn as edges": as_edges,
    "lower half hidden": half_hidden,
    "posterised, four tones": lambda crop: crop // 64 * 64 + 32,
    "upside down": lambda crop: crop[::-1].copy(),
    "colours inverted": lambda crop: 255 - crop,
    "noise": noise,
    "pencil sketch": pencil,
    "mosaic of 16 × 16": mosaic,
    "halftone print": halftone,
    "false colours": false_colours,
}

STILL_ONE: dict[str, Callable[[Image], Image]] = {
    "black and white": lambda crop: np.repeat(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2
    ),
    "JPEG of quality 20": lambda crop: recompress(crop, 20),
    "H.264, crf 40": lambda crop: through_h264(crop, 40),
    "a quarter of the size": lambda crop: cv2.resize(
        cv2.resize(crop, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), crop.shape[:2]
    ),
    "captioned": captioned,
    "dark glasses": dark_glasses,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    bundle = load_bundle(asked.model)
    gates, thresholds = bundle.card.gates, bundle.card.thresholds

    def tell(name: str, crops: list[Image]) -> None:
        scored = bundle.score(crops)
        assert scored.novelty is not None, "this bundle does not tell novelty"
        outside = scored.novelty > gates.max_novelty
        probability = bundle.card.calibration.probabilities(scored.logits)
        fake = ~outside & (probability >= thresholds.fake)
        real = ~outside & (probability <= thresholds.real)
        print(
            f"{name:24} {len(crops):5} faces: {outside.mean():6.1%} unfamiliar,"
            f" {fake.mean():6.1%} called fake, {real.mean():6.1%} real;"
            f" novelty {np.median(scored.novelty):.2f}"
        )

    first: list[Image] = []
    for path in asked.data:
        items = read_manifests([path])
        if any(item.split == "test" for item in items):
            items = [item for item in items if item.split == "test"]
        faces = cut_faces(items[: asked.rows], bundle.card.crop)
        first = first or faces.crops
        for dataset in sorted(set(faces.datasets)):
            tell(dataset, faces.only(faces.datasets == dataset).crops)
    for what, changes in (("no photograph", NO_PHOTOGRAPH), ("still one", STILL_ONE)):
        print(f"\nthe {len(first)} faces of {asked.data[0].name}, {what}:")
        for name, change in changes.items():
            tell(name, [change(crop) for crop in first])


if __name__ == "__main__":
    main()
