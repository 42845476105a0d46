"""python -m benchmarks.clips CLIPS.csv [--model default] [--scores FILE.csv]

What a model says of whole clips, by what it knows of their sources, and what thresholds chosen on
some of them do to the others.

CLIPS.csv: a manifest of videos. Its split says how well a clip's source is known: `train` frames of
it were trained on, `validation` it was at hand when choices were made, `test` never seen. --scores
keeps the probabilities, or takes those that are there."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from unmask.detector import load_detector
from unmask.lab.data.manifest import Item, read_manifests
from unmask.lab.evaluation.metrics import bootstrap_auc
from unmask.lab.export.clips import ClipScores, choose_clip_thresholds, score_clips
from unmask.lab.recipe import ThresholdRules


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips with somebody who was judged: (n,) each.

    - label: 1 of a fake; probability: of fake, of the most suspicious person
    - split, method, group: of the manifest
    """

    label: np.ndarray
    probability: np.ndarray
    split: np.ndarray
    method: np.ndarray
    group: np.ndarray

    def only(self, rows: np.ndarray) -> Clips:
        """Those of the clips for which `rows` is true."""
        return Clips(
            self.label[rows],
            self.probability[rows],
            self.split[rows],
            self.method[rows],
            self.group[rows],
        )

    def thresholds(self) -> tuple[float, float]:
        """`fake` and `real`, chosen on these clips as `unmask export` chooses them."""
        names = tuple(map(str, range(len(self.label))))
        scores = ClipScores(self.label, self.probability, names)
        chosen = choose_clip_thresholds(scores, ThresholdRules().clip_misses)
        return chosen["fake"]["probability"], chosen["real"]["probability"]


def scored(clips: Sequence[Item], model: str, kept: Path | None) -> Clips:
    """The clips with their scores, from the file where it has them."""
    if kept is not None and kept.exists():
        with kept.open(newline="", encoding="utf-8") as file:
            said = {row["path"]: float(row["probability_fake"]) for row in csv.DictReader(file)}
    else:
        scores = score_clips(load_detector(model), clips)
        said = dict(zip(scores.names, map(float, scores.probabilities), strict=True))
        if kept is not None:
            with kept.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerows([("path", "probability_fake"), *said.items()])
    judged = [clip for clip in clips if clip.name in said]
    return Clips(
        np.array([clip.label for clip in judged]),
        np.array([said[clip.name] for clip in judged]),
        np.array([clip.split for clip in judged]),
        np.array([clip.method or "" for clip in judged]),
        np.array([clip.group for clip in judged]),
    )


def tell_auc(name: str, clips: Clips) -> None:
    if len(set(clips.label)) < 2:  # of these there are no scores
        return
    low, high = bootstrap_auc(clips.label, clips.probability, clips.group, rounds=2000, seed=0) or (
        np.nan,
        np.nan,
    )
    print(
        f"  {name:12} {(clips.label == 0).sum():4} real, {clips.label.sum():4} fake:"
        f" AUC {roc_auc_score(clips.label, clips.probability):.3f} ({low:.3f}–{high:.3f})"
    )


def tell_counts(name: str, clips: Clips, fake: float, real: float) -> None:
    words = []
    for label, kind in ((0, "real"), (1, "fake")):
        said = clips.probability[clips.label == label]
        words.append(
            f"{len(said)} {kind}: {(said >= fake).sum()} called fake, {(said <= real).sum()} real"
        )
    print(f"  {name:36} fake at {fake:.3f}, real at {real:.3f};  {';  '.join(words)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--scores", type=Path)
    asked = parser.parse_args()
    manifest = [clip for clip in read_manifests([asked.clips]) if clip.path is not None]
    clips = scored(manifest, asked.model, asked.scores)

    print(f"{asked.model}: {len(clips.label)} of {len(manifest)} clips with somebody to judge")
    for split in ("test", "validation", "train"):
        tell_auc(split, clips.only(clips.split == split))

    print("thresholds")
    choosing, unseen = clips.split != "train", clips.split == "test"
    fake, real = clips.only(choosing).thresholds()
    tell_counts("chosen on all but train, tried there", clips.only(choosing), fake, real)
    tell_counts("the same, on test", clips.only(unseen), fake, real)
    tell_counts(
        "chosen without test, tried on test",
        clips.only(unseen),
        *clips.only(~unseen).thresholds(),
    )

    print("each way of making the fakes of test, against its real clips")
    reals = clips.only(unseen & (clips.label == 0))
    for method in sorted(set(clips.method[unseen & (clips.label == 1)])):
        made = clips.only(unseen & (clips.label == 1) & (clips.method == method)).probability
        labels = np.r_[np.zeros(len(reals.label)), np.ones(len(made))]
        auc = roc_auc_score(labels, np.r_[reals.probability, made])
        print(
            f"  {method:24} {len(made):3} clips, AUC {auc:.2f}, {(made >= fake).sum()} called"
            f" fake, {(made <= real).sum()} real"
        )


if __name__ == "__main__":
    main()
