"""Heads on a tuned tower for faces in videos, learnt from whole clips.

A network that was tuned on pictures, and on single frames of a hundred clips, knows little of how
a face in a video looks: through an encoder that forgets detail, moving, and made by methods that
no picture is made by. What its blocks say of a face tells more of it than its own head does. So
linear heads on some of them are fitted on clips, each by the mean over its frames, and speak in
the place of the tower's head where a face is a frame of a video; pictures are judged as before.

Nobody has thousands of kinds of clips, so what a head says of a clip counts only where it saw no
clip of that source: scores are taken by cross-fitting over data sets (Chernozhukov et al.,
"Double/debiased machine learning", 2018, call it so).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import compose
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from unmask._internal.onnx_runtime import open_session
from unmask.bundle import Bundle
from unmask.bundle.calibration import Calibration
from unmask.errors import LabError, UnmaskError
from unmask.faces import find_main_face
from unmask.faces.alignment import crop_face
from unmask.faces.registry import load_finder
from unmask.lab.data.manifest import Item
from unmask.lab.data.samples import watched
from unmask.lab.models.clip_encoder import WIDTH
from unmask.lab.models.pair import Mix, resizing
from unmask.lab.models.tuned_tower import BlockHead, TunedTower, blocks_graph
from unmask.media import open_media
from unmask.types import Floats, Image

LOOKS = 12
"""Frames of a clip that are looked at, evenly spread."""

STRENGTH = 30.0
"""Of the logistic regression: one over the penalty on its weights, in the mean over the inputs."""

TRAINED_SHARE = 0.4
"""How much a clip counts whose frames the tower was trained on: it knows that one by heart."""

SMALL_SHARE = 0.5
"""How much the small network's logit varies for each unit that the heads' varies."""

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ClipLooks:
    """What small network and tower say of clips in which a face was found.

    - clips: (n)
    - said: (n, blocks · 2 · 768): for each block the mean over the places, and the token for the
      whole picture, both as the mean over the clip's frames
    - small: (n,) the small network's logit, likewise
    """

    clips: tuple[Item, ...]
    said: Floats
    small: Floats

    @property
    def labels(self) -> np.ndarray:
        """(n,) 1 fake."""
        return np.array([clip.label for clip in self.clips])

    def weights(self, trained: str) -> np.ndarray:
        """(n,): clips of a data set and class count by the square root of their number.

        - trained: the split whose frames the tower was trained on
        """
        sources = [(clip.dataset, clip.label) for clip in self.clips]
        number = Counter(sources)
        shares = [TRAINED_SHARE if clip.split == trained else 1.0 for clip in self.clips]
        return np.array(shares) / np.sqrt([number[source] for source in sources])


def look_at_clips(
    clips: Sequence[Item],
    base: Bundle,
    tower: bytes,
    tuned: TunedTower,
    blocks: Sequence[int],
) -> ClipLooks:
    """What both networks say of the clips' main faces. Clips without any are left out.

    - base: the small network
    - tower: the package's graph
    - blocks: whose tokens are taken, from 0
    """
    size = base.card.crop.size
    ordered = sorted(blocks, reverse=True)  # the first is computed last
    body = blocks_graph(tower, tuned, ordered)
    taken = [("resized", body.graph.input[0].name)]
    session = open_session(
        compose.merge_models(
            resizing(size, tuned.side),
            body,
            io_map=taken,
            outputs=[o.name for o in body.graph.output],
        ).SerializeToString()
    )
    kept: list[tuple[Item, Floats, float]] = []
    for clip in watched(clips, len(clips), "clips"):
        crops = list(main_faces(clip, base))
        if not crops:
            continue
        tokens = session.run(None, {"faces": np.stack(crops).transpose(0, 3, 1, 2)})
        of_block = dict(zip(ordered, tokens, strict=True))
        said = [
            part
            for block in blocks
            for part in (of_block[block][:, 1:].mean(1), of_block[block][:, 0])
        ]
        small = float(base.score(crops).logits.mean())
        kept.append((clip, np.concatenate(said, axis=1).mean(axis=0), small))
    if not kept:
        raise LabError("no face was found in any clip")
    items, rows, logits = zip(*kept, strict=True)
    return ClipLooks(items, np.stack(rows), np.array(logits))


def main_faces(clip: Item, base: Bundle) -> Iterator[Image]:
    """The largest face of each of `LOOKS` frames, as the bundle sees it.

    A clip that cannot be read, or breaks off, gives those before.
    """
    finder = load_finder("yunet")
    try:
        with open_media(clip.path or Path(clip.name)) as media:
            for frame in media.frames(LOOKS):
                face = find_main_face(finder, frame.image)
                if face is not None:
                    yield crop_face(frame.image, face, base.card.crop)
    except UnmaskError:
        return


def fit_video_heads(
    looks: ClipLooks, blocks: Sequence[int], weights: np.ndarray, only: np.ndarray | None = None
) -> tuple[BlockHead, ...]:
    """By logistic regression on what all blocks say; both classes weigh the same.

    - weights: (n,) of the clips
    - only: (n,) which clips are learnt from, by default all

    Raises LabError where these are of one class.
    """
    rows = np.ones(len(looks.clips), bool) if only is None else only
    if len(set(looks.labels[rows])) < 2:
        raise LabError(
            "without a fifth of the data sets there are no real and fake clips left to learn from:"
            " give each source of clips a data set of its own, and clips of at least five"
        )
    scale = StandardScaler().fit(looks.said[rows])
    inputs = scale.transform(looks.said[rows]) / np.sqrt(looks.said.shape[1])
    fit = LogisticRegression(C=STRENGTH, max_iter=3000, class_weight="balanced")
    fit.fit(inputs, looks.labels[rows], sample_weight=weights[rows])
    whole = fit.coef_[0] / scale.scale_ / np.sqrt(looks.said.shape[1])
    bias = float(fit.intercept_[0] - scale.mean_ @ whole)
    parts = np.split(whole.astype(np.float32), len(blocks))
    assert parts[0].shape == (2 * WIDTH,)
    # the bias is of the sum: the first head has it
    return tuple(
        BlockHead(block, part, bias if number == 0 else 0.0)
        for number, (block, part) in enumerate(zip(blocks, parts, strict=True))
    )


def logits_of(heads: Sequence[BlockHead], looks: ClipLooks) -> Floats:
    """(n,): what the heads say of the clips."""
    weight = np.concatenate([head.weight for head in heads])
    return np.asarray(looks.said @ weight + sum(head.bias for head in heads))


def folds_of(clips: Sequence[Item], seed: int = 0) -> np.ndarray:
    """(n,) the fold of each clip: all clips of a data set lie in one."""
    names = sorted({clip.dataset for clip in clips})
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[place]: number % FOLDS for number, place in enumerate(order)}
    return np.array([fold[clip.dataset] for clip in clips])


def cross_fitted(
    looks: ClipLooks, blocks: Sequence[int], weights: np.ndarray
) -> list[tuple[np.ndarray, tuple[BlockHead, ...]]]:
    """For each fold: which clips lie in it (n,), and heads that saw none of their data sets."""
    folds = folds_of(looks.clips)
    return [
        (folds == number, fit_video_heads(looks, blocks, weights, folds != number))
        for number in range(FOLDS)
        if (folds == number).any()
    ]


def fit_video_mix(
    heads: Floats, small: Floats, labels: np.ndarray, weights: np.ndarray, calibration: Calibration
) -> Mix:
    """How the heads' logit and the small network's are joined, for the card's calibration.

    The small network's varies `SMALL_SHARE` as much; slope and constant by logistic regression.

    - heads, small: (n,) of clips, those of the heads by cross-fitting
    - weights: (n,)

    Raises LabError where the two do not tell fake clips from real ones.
    """
    if calibration.method != "temperature":
        raise LabError(
            f"heads for videos need a calibration by temperature, not {calibration.method}"
        )
    sum_ = heads / heads.std() + SMALL_SHARE * small / small.std()
    fit = LogisticRegression(C=1e3, class_weight="balanced")
    fit.fit(sum_[:, None], labels, sample_weight=weights * len(labels) / weights.sum())
    slope, constant = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:
        raise LabError(f"heads and small network do not tell the clips: their slope is {slope:.3f}")
    # what the card's calibration makes the wanted log-odds of
    wanted = (slope * sum_ + constant - calibration.bias) * calibration.temperature
    expected = LinearRegression().fit(small[:, None], wanted, sample_weight=weights)
    steepness = slope * calibration.temperature
    return Mix(
        small=float(steepness * SMALL_SHARE / small.std()),
        tower=float(steepness / heads.std()),
        constant=float((constant - calibration.bias) * calibration.temperature),
        quick_slope=float(expected.coef_[0]),
        quick_constant=float(expected.intercept_),
    )
