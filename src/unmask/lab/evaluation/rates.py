"""Exact intervals of rates."""

from __future__ import annotations

from typing import Any

from scipy.stats import beta

from unmask.lab.evaluation.metrics import Array


def exact_rate(wrong: Array) -> dict[str, Any]:
    """n, how many are wrong, and the exact 95 % interval of their share.

    Clopper & Pearson, Biometrika 1934.

    - wrong: (n,) bool
    """
    n = len(wrong)
    k = int(wrong.sum())
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return {"n": n, "wrong": k, "ci95": [low, high]}
