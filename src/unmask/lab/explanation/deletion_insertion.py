"""Test a bundle's heat maps over a data set: deletion and insertion against random maps.

See `unmask.analysis.faithfulness`.

Graded are fakes that the bundle takes for fakes: where it sees nothing, there is nothing to
explain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unmask._internal.atomic import output_errors
from unmask.analysis.faithfulness import P_FAITHFUL, measure_faithfulness
from unmask.bundle.session import Scorer
from unmask.errors import ManifestError
from unmask.lab.data.samples import Sample
from unmask.lab.evaluation.plots import plot_deletion, png
from unmask.lab.explanation.pointing_game import MOST_DRAWN, PART, cut_sample, make_fakes

CURVE = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the face at which the curves are measured."""

GRADED = 100
"""Faces, by default; each takes about 230 scores."""

PERFECT = 50
"""True masks that are graded as if they were heat maps."""


def grade_maps(
    scorer: Scorer,
    samples: Sequence[Sample],
    out: Path,
    *,
    count: int = GRADED,
    reals: Sequence[Sample] = (),
    advance: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Test the maps of `count` fakes among `samples` with P ≥ 0.5, with whole curves.

    Areas under the curves are those of the calibrated probability over the share of the face, from
    0 to 1: deletion's is better low, insertion's high. Writes deletion.json and deletion.png into
    `out`; advance is called `count` times at most.

    - reals: if there are such, it is also measured how often a perfect map would pass
      (`true_masks`), as that says what the test is worth

    Raises ManifestError where there is no such face, OutputError.
    """
    calibration = scorer.card.calibration
    curves: dict[str, list[Any]] = {
        "deletion": [],
        "insertion": [],
        "random_deletion": [],
        "random_insertion": [],
    }
    ps: list[float] = []
    for sample in (sample for sample in samples if sample.item.label):
        if len(ps) == count:
            break
        crop = cut_sample(sample, scorer.card.crop)[0]
        scored = scorer.score([crop], explain=True)
        if scored.heatmaps is None:
            raise ValueError("the scorer gives no heat maps")
        if calibration.probability(float(scored.logits[0])) < 0.5:
            continue
        ps.append(measure_faithfulness(scorer, crop, scored.heatmaps[0]).p)
        tested = measure_faithfulness(
            scorer, crop, scored.heatmaps[0], trials=3, shares=CURVE, seed=1
        )
        for name, values in curves.items():
            values.append(calibration.probabilities(np.array(getattr(tested, name), np.float32)))
        advance()
    if not ps:
        raise ManifestError("there is no fake that the bundle takes for one: no heat map to grade")
    means = {name: np.mean(values, axis=0) for name, values in curves.items()}
    shares = [0.0, *CURVE, 1.0]
    tree = {
        "schema": "unmask.deletion/1",
        "model": {"name": scorer.id.name, "version": scorer.id.version},
        "n": len(ps),
        "faithful": float(np.mean(np.array(ps) <= P_FAITHFUL + 1e-9)),
        "mean_p": float(np.mean(ps)),
        "shares": shares,
        **{name: [round(float(v), 4) for v in values] for name, values in means.items()},
        "areas": {
            name: round(float(np.trapezoid(values, shares)), 4) for name, values in means.items()
        },
    }
    if len(reals) > 1:
        tree["true_masks"] = grade_true_masks(scorer, reals)
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "deletion.json").write_text(json.dumps(tree, indent=2))
        (out / "deletion.png").write_bytes(png(plot_deletion(shares, means)))
    return tree


def grade_true_masks(scorer: Scorer, reals: Sequence[Sample]) -> dict[str, Any]:
    """How often the true mask, taken for a heat map, passes the test: the power of the test.

    On up to `PERFECT` pseudo-fakes of the real faces of which a part was forged and that the bundle
    takes for fakes.
    """
    passed: list[bool] = []
    crops, masks = make_fakes(reals, scorer, MOST_DRAWN * PERFECT)
    for crop, mask in zip(crops, masks, strict=True):
        if len(passed) == PERFECT:
            break
        scored = scorer.score([crop], explain=True)
        logit = float(scored.logits[0])
        if mask.mean() >= PART or scorer.card.calibration.probability(logit) < 0.5:
            continue
        assert scored.heatmaps is not None
        places = scored.heatmaps.shape[2:0:-1]
        perfect = cv2.resize(mask.astype(np.float32), places, interpolation=cv2.INTER_AREA)
        passed.append(measure_faithfulness(scorer, crop, np.asarray(perfect)).faithful)
    share = float(np.mean(passed)) if passed else None
    return {"n": len(passed), "faithful": share}
