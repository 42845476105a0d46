"""The figures of the contract, from labels (1 fake, 0 real) and probabilities of fake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata
from sklearn import metrics as sk

Array = npt.NDArray[Any]

DECISION = 0.5
"""Where a probability counts as fake in accuracy and confusion: bundles are calibrated for equal
numbers of both."""


def summarise(
    labels: Array,
    probabilities: Array,
    groups: Array,
    *,
    fake_threshold: float,
    real_threshold: float | None = None,
    rounds: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All figures of one set.

    - labels: (n,) 0 or 1
    - probabilities: (n,), NaN where nothing was judged
    - groups: (n,); rows of one group are drawn together in the bootstrap
    - fake_threshold, real_threshold: the card's; without the second, what it decides is not counted

    What is not defined for the set (AUC of one class) is None. Rows that were not judged count in
    coverage alone.
    """
    if not len(labels) == len(probabilities) == len(groups):
        raise ValueError(
            f"lengths differ: {len(labels)} labels, {len(probabilities)} probabilities,"
            f" {len(groups)} groups"
        )
    judged = ~np.isnan(probabilities)
    y, p, g = labels[judged].astype(int), probabilities[judged], groups[judged]
    fakes, reals = int((labels == 1).sum()), int((labels == 0).sum())
    called = p >= DECISION
    result: dict[str, Any] = {
        "n": len(labels),
        "n_real": reals,
        "n_fake": fakes,
        "coverage": float(judged.mean()) if len(labels) else 0.0,
        "auc": None,
        "auc_ci95": None,
        "ap": None,
        "eer": None,
        "accuracy": float((called == y).mean()) if len(y) else None,
        "accuracy_ci95": bootstrap_accuracy(called == y, g, rounds=rounds, seed=seed),
        "balanced_accuracy": None,
        "log_loss": (
            float(sk.log_loss(y, np.clip(p, 1e-7, 1 - 1e-7), labels=[0, 1])) if len(y) else None
        ),
        "brier": float(np.mean((p - y) ** 2)) if len(y) else None,
        "ece": expected_calibration_error(y, p) if len(y) else None,
        "tpr_at_fpr01": None,
        "decided": None,
        "wrong_if_decided": None,
        "aurc": None,
        "fpr_at_threshold": float((p[y == 0] >= fake_threshold).mean()) if (y == 0).any() else None,
        "confusion": {
            "tp": int((called & (y == 1)).sum()),
            "fn": int((~called & (y == 1)).sum()),
            "fp": int((called & (y == 0)).sum()),
            "tn": int((~called & (y == 0)).sum()),
        },
        "majority_baseline": max(fakes, reals) / len(labels) if len(labels) else None,
        "per_class": {
            word: per_class(y == label, called == label)
            for word, label in (("real", 0), ("fake", 1))
        },
        "not_judged": int((~judged).sum()),
    }
    if len(set(y.tolist())) == 2:
        fpr, tpr, _ = sk.roc_curve(y, p, drop_intermediate=False)
        result |= {
            "auc": float(sk.roc_auc_score(y, p)),
            "auc_ci95": bootstrap_auc(y, p, g, rounds=rounds, seed=seed),
            "ap": float(sk.average_precision_score(y, p)),
            "eer": equal_error_rate(fpr, tpr),
            "balanced_accuracy": float(sk.balanced_accuracy_score(y, called)),
            "tpr_at_fpr01": float(tpr[fpr <= 0.01].max()),
        }
        if real_threshold is not None:
            result |= decided(y, p, fake_threshold=fake_threshold, real_threshold=real_threshold)
        shares, risks = coverage_risk(y, p)
        result["aurc"] = float(np.trapezoid(risks, shares))
    return result


def coverage_risk(labels: Array, probabilities: Array) -> tuple[Array, Array]:
    """What deciding only the surest faces costs: shares decided, rising, and errors among them.

    How sure a probability is is its distance from an even chance. Real and fake weigh the same in
    both shares; both classes must be there. The curve begins at a share of 0 with the errors of
    the surest faces (El-Yaniv & Wiener, JMLR 2010; Geifman & El-Yaniv, NIPS 2017).
    """
    sureness = np.abs(probabilities - DECISION)
    order = np.argsort(-sureness, kind="stable")
    weights = 0.5 / np.bincount(labels, minlength=2)[labels[order]]
    wrong = ((probabilities >= DECISION) != (labels == 1))[order]
    shares, errors = np.cumsum(weights), np.cumsum(weights * wrong)
    # faces that are equally sure are decided together
    last_of_each = np.append(np.diff(sureness[order]) < 0, True)
    shares, risks = shares[last_of_each], (errors / shares)[last_of_each]
    return np.concatenate([[0.0], shares]), np.concatenate([risks[:1], risks])


def decided(
    labels: Array, probabilities: Array, *, fake_threshold: float, real_threshold: float
) -> dict[str, float | None]:
    """The share that a card's two thresholds decide, and the errors among it.

    Real and fake weigh the same in both; both classes must be there.
    """
    weights = 0.5 / np.bincount(labels, minlength=2)[labels]
    called_fake = probabilities >= fake_threshold
    called_real = probabilities <= real_threshold
    wrong = (called_fake & (labels == 0)) | (called_real & (labels == 1))
    share = float(weights[called_fake | called_real].sum())
    return {
        "decided": share,
        "wrong_if_decided": float(weights[wrong].sum()) / share if share else None,
    }


def per_class(is_it: Array, called_it: Array) -> dict[str, float | int | None]:
    """Precision, recall and F1 of one class, and its size; None where a figure is not defined."""
    hits, named, there = int((is_it & called_it).sum()), int(called_it.sum()), int(is_it.sum())
    return {
        "precision": hits / named if named else None,
        "recall": hits / there if there else None,
        "f1": 2 * hits / (named + there) if named + there else None,
        "support": there,
    }


def by_video(labels: Array, probabilities: Array, videos: Array) -> tuple[Array, Array, Array]:
    """Rows of one video (or other source) joined into one.

    Returns first rows (n,), labels and probabilities: the sigmoid of the mean logit of those
    judged, each clipped to [0.001, 0.999], as a scan joins the faces of a person.
    """
    names, first, member = np.unique(videos.astype(str), return_index=True, return_inverse=True)
    judged = ~np.isnan(probabilities)
    clipped = np.clip(probabilities[judged], 0.001, 0.999)
    sums = np.bincount(member[judged], np.log(clipped / (1 - clipped)), len(names))
    counts = np.bincount(member[judged], minlength=len(names))
    with np.errstate(invalid="ignore"):
        joined = 1 / (1 + np.exp(-sums / counts))
    return first, labels[first], joined


def delong(labels: Array, first: Array, second: Array) -> dict[str, float]:
    """Are two AUCs over the same rows different? Both classes must be there.

    DeLong, DeLong & Clarke-Pearson, Biometrics 1988; by ranks, Sun & Xu, IEEE SPL 2014.

    Returns both AUCs, their difference, its z and the two-sided p.
    """
    fake, real = labels == 1, labels == 0
    fakes, reals = int(fake.sum()), int(real.sum())
    if not fakes or not reals:
        raise ValueError("DeLong's test needs both classes")

    # The structural components of each AUC: how each fake, and each real, fares against the others.
    of_fakes, of_reals = [], []
    for scores in (first, second):
        ranks = rankdata(scores)
        reals_below_each_fake = (ranks[fake] - rankdata(scores[fake])) / reals
        fakes_above_each_real = 1 - (ranks[real] - rankdata(scores[real])) / fakes
        of_fakes.append(reals_below_each_fake)
        of_reals.append(fakes_above_each_real)
    auc, other_auc = (float(components.mean()) for components in of_fakes)
    difference = auc - other_auc

    # Their covariance gives the variance of the difference.
    covariance = _covariance(of_fakes) / fakes + _covariance(of_reals) / reals
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance > 0:
        z = difference / np.sqrt(variance)
    elif difference == 0:
        z = 0.0
    else:
        z = float(np.sign(difference)) * np.inf
    return {
        "auc": auc,
        "other_auc": other_auc,
        "difference": difference,
        "z": float(z),
        "p": float(2 * norm.sf(abs(z))),
    }


def _covariance(rows: Sequence[Array]) -> Array:
    """(2, 2) covariance of two rows; zeros where they have one value each."""
    return np.cov(rows) if len(rows[0]) > 1 else np.zeros((2, 2))


def bootstrap_accuracy(
    right: Array, groups: Array, *, rounds: int, seed: int
) -> list[float] | None:
    """The 95 % percentile interval of the accuracy, drawing whole groups; None without rows."""
    if not len(right):
        return None
    _, member = np.unique(groups.astype(str), return_inverse=True)
    sizes, hits = np.bincount(member), np.bincount(member, right)
    drawn = np.random.default_rng(seed).integers(0, len(sizes), (rounds, len(sizes)))
    low, high = np.percentile(hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return [float(low), float(high)]


def equal_error_rate(fpr: Array, tpr: Array) -> float:
    """Where false alarms and misses are equally frequent, linear between points of the ROC."""
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    i = int(np.argmax(gap >= 0))
    if i == 0:
        return float(fpr[0])
    share = -gap[i - 1] / (gap[i] - gap[i - 1])
    return float(fpr[i - 1] + share * (fpr[i] - fpr[i - 1]))


def expected_calibration_error(labels: Array, probabilities: Array, bins: int = 15) -> float:
    """Mean gap between probability and share of fakes over `bins` equal spans.

    Guo et al., ICML 2017, eq. 3, with real and fake weighing the same in all, since that is what
    bundles are calibrated for.
    """
    counts = np.bincount(labels, minlength=2)
    weights = 1 / (counts[labels] * np.count_nonzero(counts))
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        abs(float(np.sum(weights[in_bin] * (probabilities[in_bin] - labels[in_bin]))))
        for in_bin in (place == b for b in range(bins))
    ]
    return float(sum(gaps))


def bootstrap_auc(
    labels: Array, probabilities: Array, groups: Array, *, rounds: int, seed: int
) -> list[float] | None:
    """The 95 % percentile interval of the AUC, drawing whole groups with replacement.

    Field & Welsh, JRSS B 2007.

    None where hardly any draw has both classes.
    """
    rng = np.random.default_rng(seed)
    names, member = np.unique(groups.astype(str), return_inverse=True)
    order = np.argsort(member, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(member))[:-1])
    values = []
    for _ in range(rounds):
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(names), len(names))])
        if 0 < labels[drawn].sum() < len(drawn):
            values.append(sk.roc_auc_score(labels[drawn], probabilities[drawn]))
    if len(values) < rounds / 2:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return [float(low), float(high)]
