"""python -m benchmarks.in_time CLIPS.csv [--model accurate] [--jobs 2]

Does what happens from frame to frame tell fakes, besides what single frames show? In bursts of
consecutive frames of each clip: how much the face's outline trembles, whether it stays the same
person, how the score flickers, and how sharp the mouth is beside the eyes. Each feature's AUC
alone, and that of the clip's mean score with it, always for sources that the fit did not see.

CLIPS.csv: a manifest of videos, as `unmask export --clips` takes it."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unmask.analysis.timeline import log_odds
from unmask.bundle import Bundle
from unmask.bundle.registry import find_bundle
from unmask.detector import load_detector
from unmask.faces import find_main_face
from unmask.faces.alignment import crop_face
from unmask.faces.embedding import cut_for_sface, load_sface
from unmask.faces.registry import shared_finder
from unmask.lab.data.manifest import Item, read_manifests
from unmask.lab.export.clips import score_clips
from unmask.types import Floats, Image

BURSTS, LENGTH = 6, 5
FEATURES = (
    "outline trembles",
    "likeness, frame to frame",
    "likeness to the clip's mean",
    "score flickers, frame to frame",
    "score varies over the clip",
    "mouth's sharpness beside the eyes'",
    "its spread",
)

# of SFace's crop, 112 × 112: rows and columns
MOUTH, EYES = (slice(78, 105), slice(30, 82)), (slice(40, 62), slice(20, 92))


@dataclass(frozen=True, slots=True)
class Look:
    """One frame's face: five landmarks, who it is, the small network's logit, sharpness."""

    landmarks: Floats
    who: Floats
    logit: float
    mouth: float


def read_bursts(path: Path) -> Iterator[tuple[int, Image]]:
    """Frames in bursts, evenly spread: the number of the burst, and the frame."""
    with av.open(str(path)) as container:
        count = sum(1 for packet in container.demux(video=0) if packet.size)
    starts = np.linspace(0, max(0, count - LENGTH), BURSTS).astype(int)
    burst_of = {int(start) + k: n for n, start in enumerate(starts) for k in range(LENGTH)}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in burst_of:
                yield burst_of[number], frame.to_ndarray(format="rgb24")


def look_at(path: Path) -> Floats:
    """The features of a clip, (7,); NaN where too few faces were found."""
    cv2.setNumThreads(1)
    finder, sface = shared_finder("yunet"), load_sface(1)
    bundle = Bundle(find_bundle("default"), threads=1)
    bursts: dict[int, list[Look]] = defaultdict(list)
    for burst, image in read_bursts(path):
        face = find_main_face(finder, image)
        if face is None:
            continue
        aligned = cut_for_sface(image, face)
        edges = np.abs(cv2.Laplacian(cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY), cv2.CV_32F))
        crop = crop_face(image, face, bundle.card.crop)
        bursts[burst].append(
            Look(
                np.asarray(face.landmarks),
                sface.embed([aligned])[0],
                float(bundle.score([crop]).logits[0]),
                float(np.log((edges[MOUTH].mean() + 0.5) / (edges[EYES].mean() + 0.5))),
            )
        )
    return features(list(bursts.values()))


def features(bursts: Sequence[Sequence[Look]]) -> Floats:
    looks = [look for burst in bursts for look in burst]
    pairs = [pair for burst in bursts for pair in pairwise(burst)]
    if len(pairs) < LENGTH:
        return np.full(len(FEATURES), np.nan, np.float32)
    trembling = []
    for burst in bursts:
        for a, b, c in zip(burst, burst[1:], burst[2:], strict=False):
            # what is left of the landmarks' motion when the head's even motion is taken away
            bend = a.landmarks - 2 * b.landmarks + c.landmarks
            between_eyes = np.linalg.norm(b.landmarks[0] - b.landmarks[1])
            trembling.append(np.linalg.norm(bend - bend.mean(axis=0)) / between_eyes)
    mean = np.mean([look.who for look in looks], axis=0)
    mean /= np.linalg.norm(mean)
    values = (
        np.median(trembling),
        np.median([a.who @ b.who for a, b in pairs]),
        np.mean([look.who @ mean for look in looks]),
        np.median([abs(a.logit - b.logit) for a, b in pairs]),
        np.std([look.logit for look in looks]),
        np.mean([look.mouth for look in looks]),
        np.std([look.mouth for look in looks]),
    )
    return np.array(values, np.float32)


def folds_of(clips: Sequence[Item], count: int = 4) -> np.ndarray:
    """Each data set lies in one fold; those of fakes are shared out first, the largest first."""
    sets = sorted(
        {clip.dataset for clip in clips},
        key=lambda name: (
            not any(c.label for c in clips if c.dataset == name),
            -sum(c.dataset == name for c in clips),
        ),
    )
    fold = {name: number % count for number, name in enumerate(sets)}
    return np.array([fold[clip.dataset] for clip in clips])


def left_out_auc(columns: Floats, labels: np.ndarray, folds: np.ndarray) -> float:
    """AUC of what logistic regression on the other folds says of each."""
    said = np.zeros(len(labels))
    for fold in np.unique(folds):
        inside = folds == fold
        fit = make_pipeline(StandardScaler(), LogisticRegression())
        fit.fit(columns[~inside], labels[~inside])
        said[inside] = fit.decision_function(columns[inside])
    return float(roc_auc_score(labels, said))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default="accurate")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    clips = [clip for clip in read_manifests([asked.clips]) if clip.path is not None]
    scores = score_clips(load_detector(asked.model), clips)
    probability_of = dict(zip(scores.names, scores.probabilities, strict=True))
    clips = [clip for clip in clips if clip.name in probability_of]
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        rows = np.stack(list(pool.map(look_at, [clip.path for clip in clips])))
    rows = np.where(np.isnan(rows), np.nanmedian(rows, axis=0), rows)
    labels = np.array([clip.label for clip in clips])
    mean = np.array([log_odds(float(probability_of[clip.name])) for clip in clips])[:, None]
    folds = folds_of(clips)
    print(
        f"{len(clips)} clips, {labels.sum()} of them fake; the mean score of {asked.model} alone:"
    )
    print(
        f"  AUC {roc_auc_score(labels, mean):.3f}; refitted {left_out_auc(mean, labels, folds):.3f}"
    )
    print(f"  {'feature':36} {'alone':>6} {'with the mean score, source left out':>38}")
    for name, column in zip(FEATURES, rows.T, strict=True):
        alone = roc_auc_score(labels, column)
        both = left_out_auc(np.hstack([mean, column[:, None]]), labels, folds)
        print(f"  {name:36} {alone:6.3f} {both:38.3f}")
    print(f"  {'all':36} {'':6} {left_out_auc(np.hstack([mean, rows]), labels, folds):38.3f}")


if __name__ == "__main__":
    main()
