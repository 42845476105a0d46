"""Figures source by source: how each data set of fakes stands against each of real faces.

An AUC over everything hides the sources on which a detector is useless, and hardly any source has
both classes. So each source is measured against every source of the other class; the mean says how
well it is recognised, the lowest against whom it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from unmask.lab.data.manifest import Item
from unmask.lab.evaluation.metrics import Array

SMALLEST = 20
"""Sources with fewer faces are measured, but nobody is measured against them."""


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """One source, one class.

    - n: faces that were judged
    - auc_mean: mean of the AUCs against each source of the other class, None if there is none
    - auc_lowest, against: the lowest of them, and of which source it is
    - wrong: share that is called the wrong name: real faces `fake`, fakes `real`
    - undecided: share between the thresholds
    - left_out: whether the detector has never seen the source
    """

    source: str
    label: int
    n: int
    auc_mean: float | None
    auc_lowest: float | None
    against: str
    wrong: float
    undecided: float
    left_out: bool

    def row(self) -> dict[str, Any]:
        """The figures for JSON and tables; the class in words."""
        return asdict(self) | {"label": "fake" if self.label else "real"}


def by_method(
    items: Sequence[Item], scores: Array, *, real_threshold: float, fake_threshold: float
) -> list[dict[str, Any]]:
    """How each method of forgery is recognised against all real faces, the worst first.

    - scores: of the items, NaN where nothing was judged
    - real_threshold, fake_threshold: at and below, at and above which a verdict is given
    """
    judged = ~np.isnan(scores)
    labels = np.array([item.label for item in items])
    methods = np.array([item.method or "not named" for item in items])
    real = scores[judged & (labels == 0)]
    rows = []
    for method in sorted(set(methods[judged & (labels == 1)].tolist())):
        own = scores[judged & (labels == 1) & (methods == method)]
        found = float(np.mean(own >= fake_threshold))
        missed = float(np.mean(own <= real_threshold))
        rows.append(
            {
                "method": method,
                "n": len(own),
                "auc": _auc(own, real) if len(real) else None,
                "found": found,
                "undecided": 1 - found - missed,
                "missed": missed,
            }
        )
    return sorted(rows, key=lambda row: (row["auc"] is not None, row["auc"]))


def by_source(
    items: Sequence[Item],
    scores: Array,
    *,
    real_threshold: float,
    fake_threshold: float,
    left_out: Collection[str] = (),
) -> list[SourceFigures]:
    """The figures of every source, fakes first, the worst recognised first.

    - scores: of the items, the higher the more likely fake, NaN where nothing was judged
    - real_threshold, fake_threshold: at and below, at and above which a verdict is given
    - left_out: sources that the detector has never seen
    """
    judged = ~np.isnan(scores)
    labels = np.array([item.label for item in items])
    names = np.array([item.dataset for item in items])
    scores_of = {
        (int(label), str(name)): scores[(labels == label) & (names == name) & judged]
        for label in (0, 1)
        for name in sorted(set(names[(labels == label) & judged].tolist()))
    }
    figures = []
    for (label, name), own in scores_of.items():
        others = {
            other: _auc(own, theirs) if label else _auc(theirs, own)
            for (other_label, other), theirs in scores_of.items()
            if other_label != label and len(theirs) >= SMALLEST
        }
        called_fake = own >= fake_threshold
        called_real = own <= real_threshold
        lowest = min(others, key=others.__getitem__) if others else ""
        figures.append(
            SourceFigures(
                source=name,
                label=label,
                n=len(own),
                auc_mean=float(np.mean(list(others.values()))) if others else None,
                auc_lowest=others[lowest] if others else None,
                against=lowest,
                wrong=float((called_real if label else called_fake).mean()),
                undecided=float((~called_real & ~called_fake).mean()),
                left_out=name in left_out,
            )
        )
    return sorted(figures, key=lambda one: (-one.label, one.auc_mean or 0.0))


def summary(figures: Sequence[SourceFigures]) -> dict[str, Any]:
    """Mean and worst over the sources of each class with at least `SMALLEST` faces."""
    result: dict[str, Any] = {}
    for label, word in ((1, "fake"), (0, "real")):
        large = [f for f in figures if f.label == label and f.n >= SMALLEST and f.auc_mean]
        if not large:
            continue
        aucs = [f.auc_mean or 0.0 for f in large]
        worst_auc = large[int(np.argmin(aucs))]
        most_wrong = max(large, key=lambda f: f.wrong)
        result[word] = {
            "sources": len(large),
            "auc_mean": float(np.mean(aucs)),
            "auc_worst": worst_auc.auc_mean,
            "worst": worst_auc.source,
            "wrong_mean": float(np.mean([f.wrong for f in large])),
            "wrong_worst": most_wrong.wrong,
            "most_wrong": most_wrong.source,
            "undecided_mean": float(np.mean([f.undecided for f in large])),
        }
    return result


def _auc(fakes: Array, reals: Array) -> float:
    labels = np.concatenate([np.ones(len(fakes)), np.zeros(len(reals))])
    return float(roc_auc_score(labels, np.concatenate([fakes, reals])))
