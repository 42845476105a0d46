"""Whether faces that look fake can be chance among so many people.

Each person is a test of its own, with a rate of false alarms of one in a hundred or so. Of a crowd
somebody will look fake by chance; several who do, or one who does so beyond doubt, will not.
"""

from __future__ import annotations

from collections.abc import Sequence

FEWEST, LEAST_SHARE = 4, 0.4
"""From so many people and this share of all on, those who look fake are too many for chance. Of
4 faces of 10, 8 of 20, 20 of 50: with fewer, and false alarms that depend on each other, more than
one file in a hundred would be one (simulated with 1 % for each face)."""


def can_be_chance(strengths: Sequence[float], people: int) -> bool:
    """Whether the faces that look fake may be false alarms among all that were looked at.

    - strengths: of those that look fake, their odds in units of the threshold's, so at least 1
    - people: how many were looked at

    They cannot be chance in two cases:

    - Simes' test (Biometrika 1986): for some k the k-th strongest reaches the odds of the threshold
      people / k times. With k = 1 that is Bonferroni's. As `Thresholds.fake_among` says, a face of
      strength s is a false alarm at most 1 / s times as often as one at the threshold, so 1 / s is
      its p-value in units of the threshold's rate.
    - At least FEWEST people look fake, and LEAST_SHARE of all. Independent false alarms never are
      so many; where all depend on one cause (a bad copy, a filter), they are so no more often than
      one face is a false alarm.

    So a file is a false alarm no more often than a single face at the threshold; simulated for 1 to
    50 people, independent and dependent ones, in tests/analysis/test_crowd.py.
    """
    if len(strengths) >= max(FEWEST, LEAST_SHARE * people):
        return False
    ranked = sorted(strengths, reverse=True)
    return not any(rank * strength >= people for rank, strength in enumerate(ranked, start=1))
