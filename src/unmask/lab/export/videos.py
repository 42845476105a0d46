"""Heads for videos, learnt from clips, in the part of the bundle `accurate` that is ours.

A person's frames are judged by heads that were fitted on whole clips (`unmask.lab.training.
video_head`). Pictures are judged as before: nothing of what the card says of them changes.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from unmask._internal.atomic import atomic_path
from unmask.bundle import Bundle
from unmask.bundle.calibration import parse_calibration
from unmask.bundle.registry import find_bundle, shipped_part
from unmask.bundle.session import canary_crops
from unmask.detector import Detector
from unmask.faces.registry import load_finder
from unmask.lab.data.manifest import read_manifests, require_both_classes
from unmask.lab.evaluation.metrics import bootstrap_auc
from unmask.lab.export.clips import ClipScores, choose_clip_thresholds, score_clips
from unmask.lab.export.export import open_graph
from unmask.lab.export.joining import read_learnt, write_learnt
from unmask.lab.models.clip_encoder import read_tower
from unmask.lab.models.pair import Mix, join
from unmask.lab.models.tuned_tower import BlockHead
from unmask.lab.recipe import Data, ThresholdRules
from unmask.lab.training.train import command_line
from unmask.lab.training.video_head import (
    ClipLooks,
    cross_fitted,
    fit_video_heads,
    fit_video_mix,
    logits_of,
    look_at_clips,
)


def learn_from_clips(
    clips: Sequence[Path],
    out: Path,
    *,
    learnt: Path | None = None,
    version: str | None = None,
    keep_scores: Path | None = None,
    tower: bytes | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Fit heads for videos and their thresholds on clips, and write what `make` needs to `out`.

    - clips: manifests of videos. Those of the split `train` are clips whose frames the tower was
      trained on: they count less, and choose no threshold; those of the split `test` are kept out
    - learnt: what to begin with, by default the part that comes with unmask
    - version: of the new card
    - keep_scores: a CSV file for the probabilities by which thresholds are chosen

    Thresholds are chosen on scans of each clip by heads that saw none of its data set; the heads
    that are written saw all.

    Raises LabError for too few clips, ManifestError or OutputError.
    """
    tuned, mix, card, _ = read_learnt(learnt or shipped_part())
    tower = read_tower() if tower is None else tower
    base = Bundle(find_bundle("default"))
    items = [clip for clip in read_manifests(clips) if clip.split != "test"]
    trained = Data().train
    require_both_classes([clip for clip in items if clip.split != trained], "a set of other clips")
    # what a tower learns last is its sources; two blocks before it knows less of them
    blocks = sorted({max(tuned.depth - 3, 0), tuned.depth - 1})

    # 1. Heads, and what those say of a clip that saw none of its data set.
    looks = look_at_clips(items, base, tower, tuned, blocks)
    log(f"{len(looks.clips)} of {len(items)} clips can be read and have a face")
    weights = looks.weights(trained)
    fitted = cross_fitted(looks, blocks, weights)
    said = np.zeros(len(looks.clips))
    for rows, heads in fitted:
        said[rows] = logits_of(heads, looks)[rows]
    others = np.array([clip.split != trained for clip in looks.clips])
    calibration = parse_calibration(card["calibration"])
    video = fit_video_mix(
        said[others], looks.small[others], looks.labels[others], weights[others], calibration
    )
    mix = replace(mix, video=video)

    # 2. Thresholds, from scans like a user's, by those heads.
    def bundle_with(heads: tuple[BlockHead, ...]) -> Bundle:
        small = find_bundle("default").read_bytes()
        with_heads = replace(tuned, video=heads)
        graph = join(small, base.card.crop.size, tower, with_heads, mix)
        return open_graph(graph, {**card, "metrics": {}})

    scores = []
    for number, (rows, heads) in enumerate(fitted, start=1):
        unseen = [looks.clips[row] for row in np.flatnonzero(rows & others)]
        log(f"part {number} of {len(fitted)}: {len(unseen)} clips are scanned")
        scores.append(score_clips(Detector(bundle_with(heads), load_finder("yunet")), unseen))
    together = _joined(scores)
    if keep_scores is not None:
        _write_scores(together, keep_scores)
    thresholds = choose_clip_thresholds(together, ThresholdRules().clip_misses)

    # 3. What is written saw all of them.
    heads = fit_video_heads(looks, blocks, weights)
    card = {
        **card,
        "canaries": _canaries(bundle_with(heads)),
        "version": version or card["version"],
        "made_by": {**card["made_by"], "video_heads": _made_by(looks, blocks, mix.video)},
        "thresholds": {**card["thresholds"], "clip": thresholds},
        "videos": _figures(together, {clip.name: clip.dataset for clip in looks.clips}),
    }
    write_learnt(out, replace(tuned, video=heads), mix, card, base)


def _canaries(bundle: Bundle) -> dict[str, Any]:
    """The card's self-test, with what the heads for videos must say of its inputs."""
    canaries = bundle.card.canaries
    crops = canary_crops(canaries.seed, len(canaries.logits), bundle.card.crop)
    said = bundle.score(crops).video_logits
    assert said is not None
    return {
        **bundle.card.text["canaries"],
        "video_logits": [round(float(logit), 5) for logit in said],
    }


def _joined(scores: Sequence[ClipScores]) -> ClipScores:
    return ClipScores(
        np.concatenate([score.labels for score in scores]),
        np.concatenate([score.probabilities for score in scores]),
        tuple(name for score in scores for name in score.names),
    )


def _write_scores(scores: ClipScores, path: Path) -> None:
    """As `benchmarks.clips` reads them."""
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("path", "probability_fake"))
        rows.writerows(zip(scores.names, map(float, scores.probabilities), strict=True))


def _made_by(looks: ClipLooks, blocks: Sequence[int], mix: Mix | None) -> dict[str, Any]:
    """How the heads were made, for the card."""
    assert mix is not None
    return {
        "blocks": [block + 1 for block in blocks],
        "clips": {
            "real": int((looks.labels == 0).sum()),
            "fake": int((looks.labels == 1).sum()),
        },
        "data_sets": len({clip.dataset for clip in looks.clips}),
        "command": command_line(),
        "mix": {"small": mix.small, "tower": mix.tower, "constant": mix.constant},
    }


def _figures(scores: ClipScores, datasets: Mapping[str, str]) -> dict[str, Any]:
    """How well clips are told by heads that saw none of their data set, for the card."""
    groups = np.array([datasets[name] for name in scores.names])
    return {
        "real": int((scores.labels == 0).sum()),
        "fake": int((scores.labels == 1).sum()),
        "auc": float(roc_auc_score(scores.labels, scores.probabilities)),
        "auc_ci95": bootstrap_auc(scores.labels, scores.probabilities, groups, rounds=1000, seed=0),
        "judged_by": "heads that saw no clip of the same data set",
    }
