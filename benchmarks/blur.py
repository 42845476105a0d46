"""python -m benchmarks.blur CLIPS.csv [--model default accurate] [--plot FILE.png]

What do blurred faces in clips score? Every face of every person, by its sharpness
(`unmask.types.Quality`): the median probability of fake, and how many lie above the threshold for a
single face. The gate of sharpness is opened for this, since it is what is asked about.

CLIPS.csv: a manifest of videos, as `unmask export --clips` takes it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from unmask.bundle import load_bundle
from unmask.detector import Detector
from unmask.faces import load_finder
from unmask.lab.data.manifest import Item, read_manifests
from unmask.lab.evaluation.plots import png
from unmask.types import Report

EDGES = (0, 8, 15, 25, 40, 100, 1e9)
"""Bounds of the table's rows, in units of `Quality.sharpness`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Faces of clips, one row each.

    - label: (n,) 1 of a fake clip
    - person: (n,) a number for each person
    - sharpness: (n,) variance of the Laplacian at 112×112
    - probability: (n,) of fake
    """

    label: np.ndarray
    person: np.ndarray
    sharpness: np.ndarray
    probability: np.ndarray

    def between(self, low: float, high: float, label: int) -> Seen:
        """Those of a class that are as sharp as this."""
        rows = (self.sharpness >= low) & (self.sharpness < high) & (self.label == label)
        return Seen(
            *(
                column[rows]
                for column in (self.label, self.person, self.sharpness, self.probability)
            )
        )


def look(model: str, clips: Sequence[Item]) -> tuple[Seen, float]:
    """All faces that a scan finds, and the model's threshold for a single face."""
    bundle = load_bundle(model)
    bundle.card = replace(bundle.card, gates=replace(bundle.card.gates, min_sharpness=0))
    detector = Detector(bundle, load_finder("yunet"))
    paths = [clip.path for clip in clips if clip.path is not None]
    rows, person = [], 0
    for clip, result in zip(clips, detector.scan_many(paths, stability=False), strict=True):
        for seen in result.people if isinstance(result, Report) else ():
            person += 1
            for score in seen.scores:
                quality = score.face.quality
                if quality is not None and score.probability_fake is not None:
                    rows.append((clip.label, person, quality.sharpness, score.probability_fake))
    columns = np.array(rows).T
    return Seen(columns[0].astype(int), columns[1].astype(int), columns[2], columns[3]), (
        bundle.card.thresholds.fake
    )


def table(model: str, seen: Seen, threshold: float) -> None:
    """Print the rows by sharpness."""
    print(f"{model}: {len(seen.label)} faces; threshold for one face {threshold:.3f}")
    print(
        f"  {'sharpness':12} {'real':>6} {'people':>7} {'median P':>9} {'above':>6} {'share':>7}"
        f" {'fake':>7} {'median P':>9} {'above':>6}"
    )
    for low, high in pairwise(EDGES):
        real, fake = seen.between(low, high, 0), seen.between(low, high, 1)
        if not len(real.label):
            continue
        above = real.probability >= threshold
        fakes = (
            f"{len(fake.label):7} {np.median(fake.probability):9.2f}"
            f" {(fake.probability >= threshold).mean():6.0%}"
            if len(fake.label)
            else f"{0:7}"
        )
        print(
            f"  {low:5.0f}–{min(high, 9999):<6.0f} {len(real.label):6}"
            f" {len(set(real.person)):7} {np.median(real.probability):9.2f} {above.sum():6}"
            f" {above.mean():7.1%} {fakes}"
        )


def draw(found: dict[str, tuple[Seen, float]]) -> bytes:
    """Real faces: median and upper decile of P over sharpness, one curve for each model."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    edges = np.array([4, 8, 11, 15, 20, 30, 45, 70, 110, 180, 300, 600])
    for number, (model, (seen, threshold)) in enumerate(found.items()):
        colour = f"C{number}"
        of_part = {
            np.sqrt(low * high): seen.between(low, high, 0).probability
            for low, high in pairwise(edges)
        }
        parts = [part for part in of_part.values() if len(part)]
        middles = [middle for middle, part in of_part.items() if len(part)]
        axes.plot(middles, [np.median(part) for part in parts], color=colour, label=model)
        axes.plot(
            middles,
            [np.quantile(part, 0.9) for part in parts],
            color=colour,
            ls=":",
            label=f"{model}, one in ten above",
        )
        axes.axhline(threshold, color=colour, lw=0.5)
    axes.axvspan(4, 15, color="0.9", label="not judged since 0.4.1")
    axes.set(
        xscale="log",
        xlabel="sharpness of the face (variance of the Laplacian)",
        ylabel="probability of fake",
        ylim=(0, 1),
        xlim=(4, 600),
    )
    axes.set_xticks([5, 10, 15, 30, 100, 300], ["5", "10", "15", "30", "100", "300"])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", nargs="+", default=["default", "accurate"])
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    clips = [clip for clip in read_manifests([asked.clips]) if clip.path is not None]
    found = {model: look(model, clips) for model in asked.model}
    for model, (seen, threshold) in found.items():
        table(model, seen, threshold)
    if asked.plot:
        asked.plot.write_bytes(draw(found))


if __name__ == "__main__":
    main()
