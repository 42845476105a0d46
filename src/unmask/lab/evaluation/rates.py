"""Exact intervals of rates, and thresholds that hold a rate."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def threshold_held(values: Array, share: float) -> float:
    """The lowest threshold that at most `share` of the values reach (lie at or above).

    It is one of the values wherever some may reach it, else just above the highest.

    - values: (n,), n ≥ 1
    """
    highest_first = np.sort(np.asarray(values, float))[::-1]
    # what is allowed is a whole number of values; 0.05 · 20 must count as one, not as 0.999…
    allowed = int(share * len(highest_first) + 1e-9)
    first_kept_below = highest_first[min(allowed, len(highest_first) - 1)]
    above = highest_first[highest_first > first_kept_below]
    return float(above.min()) if above.size else float(np.nextafter(first_kept_below, np.inf))
