"""Robustness to corruptions: the same pictures, degraded, at five strengths each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from unmask._internal.atomic import output_errors
from unmask._internal.jpeg import recompress
from unmask._internal.resizing import scaled_down
from unmask.analysis.verdict import label_of
from unmask.bundle import Thresholds
from unmask.detector import Detector
from unmask.lab.data.manifest import Item, require_both_classes
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.plots import plot_stress, png
from unmask.media import through_h264
from unmask.types import Image, Label

ROWS = 600
"""Pictures that are degraded, by default, as many real as fake: 41 times each takes minutes."""


@dataclass(frozen=True, slots=True)
class Stress:
    """A kind of degradation.

    - unit: what the strengths are
    - strengths: five, the mildest first
    - apply: picture, strength → picture
    """

    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Image, float], Image]


def _blurred(image: Image, sigma: float) -> Image:
    """- sigma: pixels of a picture of 224"""
    return cv2.GaussianBlur(image, (0, 0), sigma * image.shape[1] / 224)  # type: ignore[return-value]


def _noisy(image: Image, sigma: float) -> Image:
    rng = np.random.default_rng(int(image[:8, :8].sum()))  # the same picture gets the same noise
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def _gamma(image: Image, gamma: float) -> Image:
    return np.asarray(255 * (image / 255) ** gamma + 0.5, np.uint8)


def _smaller(image: Image, share: float) -> Image:
    """Left small, as platforms leave it."""
    return scaled_down(image, share, smallest_px=8)


def _shared(image: Image, share: float) -> Image:
    """Sent on twice: each time made smaller and saved as JPEG, the coarser the smaller."""
    for part in (share, (1 + share) / 2):
        image = recompress(_smaller(image, part), round(45 + 40 * share))
    return image


def _denoised(image: Image, strength: float) -> Image:
    """Non-local means, as telephones and restorers of films take grain away."""
    return cv2.fastNlMeansDenoisingColored(image, None, strength, strength, 5, 15)  # type: ignore[return-value]


STRESSES: Mapping[str, Stress] = {
    "jpeg": Stress(
        "quality", (100, 80, 60, 40, 20), lambda image, quality: recompress(image, int(quality))
    ),
    "h264": Stress("crf", (18, 24, 28, 32, 40), lambda image, crf: through_h264(image, int(crf))),
    "resize": Stress("share of the side", (1, 0.75, 0.5, 1 / 3, 0.25), _smaller),
    "blur": Stress("sigma, px of 224", (0.5, 1, 1.5, 2, 3), _blurred),
    "noise": Stress("sigma, levels", (2, 5, 10, 15, 25), _noisy),
    "denoise": Stress("strength, levels", (2, 4, 6, 10, 15), _denoised),
    "gamma": Stress("exponent", (0.8, 1.25, 0.6, 1.7, 2.2), _gamma),
    "social": Stress("share of the side, twice", (0.9, 0.8, 0.7, 0.6, 0.5), _shared),
}


def stress(
    detector: Detector,
    items: Sequence[Item],
    out: Path,
    *,
    rows: int = ROWS,
    jobs: int | None = None,
    advance: Callable[[], Any] = lambda: None,
) -> list[dict[str, Any]]:
    """Measure `detector` on `rows` of the pictures, as they are and degraded.

    One dict for each kind and strength, the first for the pictures as they are: AUC, its change,
    the shares of faces whose verdict changes (flipped) and is reversed between real and fake
    (reversed), of real faces called fake (accused), and the median probability of real faces.

    Each picture is a face crop and is judged. Writes stress.json, stress.csv and stress.png into
    `out`.

    - advance: called `1 + 5 × len(STRESSES)` times

    Raises ManifestError for one class, OutputError.
    """
    require_both_classes(items, "a stress test")
    items = draw(items, rows)
    labels = np.array([item.label for item in items])
    thresholds = detector.bundle.card.thresholds

    def judge(change: Callable[[Image], Image]) -> Array:
        return np.array(
            list(detector.score_crops((change(item.decode()) for item in items), jobs=jobs))
        )

    plain = judge(lambda image: image)
    advance()
    before = _verdicts(plain, thresholds)
    clean = float(roc_auc_score(labels, plain))
    measured = [
        {
            "stress": "none",
            "strength": 0.0,
            "unit": "",
            "n": len(items),
            "auc": clean,
            "change": 0.0,
        }
    ]
    measured[0] |= {"flipped": 0.0, "reversed": 0.0, **_of_reals(plain, labels, thresholds)}
    for name, kind in STRESSES.items():
        for strength in kind.strengths:
            scores = judge(lambda image, kind=kind, strength=strength: kind.apply(image, strength))  # type: ignore[misc]
            after, auc = _verdicts(scores, thresholds), float(roc_auc_score(labels, scores))
            turned = (
                (before != after) & (before != Label.INCONCLUSIVE) & (after != Label.INCONCLUSIVE)
            )
            measured.append(
                {
                    "stress": name,
                    "strength": round(float(strength), 3),
                    "unit": kind.unit,
                    "n": len(items),
                    "auc": auc,
                    "change": auc - clean,
                    "flipped": float((before != after).mean()),
                    "reversed": float(turned.mean()),
                    **_of_reals(scores, labels, thresholds),
                }
            )
            advance()
    _write(measured, detector, out)
    return measured


def draw(items: Sequence[Item], rows: int, seed: int = 0) -> list[Item]:
    """At most `rows` of the items, half of each class as far as there are, in their order."""
    labels = np.array([item.label for item in items])
    rng = np.random.default_rng(seed)
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[: max(1, rows // 2)] for label in (0, 1)
    ]
    return [items[row] for row in sorted(np.concatenate(chosen).tolist())]


def _verdicts(probabilities: Array, thresholds: Thresholds) -> Array:
    return np.array([label_of(float(p), thresholds) for p in probabilities], dtype=object)


def _of_reals(probabilities: Array, labels: Array, thresholds: Thresholds) -> dict[str, float]:
    """What a degradation does to real faces: how many are accused, and where they lie."""
    reals = probabilities[labels == 0]
    return {
        "accused": float((reals >= thresholds.fake).mean()),
        "median_real": float(np.median(reals)),
    }


def _write(found: Sequence[Mapping[str, Any]], detector: Detector, out: Path) -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(found[0]))
    writer.writeheader()
    writer.writerows(found)
    model = {"name": detector.bundle.id.name, "version": detector.bundle.id.version}
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "stress.json").write_text(
            json.dumps({"schema": "unmask.stress/1", "model": model, "rows": list(found)}, indent=2)
        )
        (out / "stress.csv").write_text(table.getvalue())
        (out / "stress.png").write_bytes(png(plot_stress(found)))
