"""Hand-computed figures, and scikit-learn as the second opinion."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from unmask.lab.metrics import bootstrap_auc, equal_error_rate, expected_calibration_error, summarise

LABELS = np.array([0, 0, 0, 1, 1])
SCORES = np.array([0.1, 0.4, 0.6, 0.5, 0.9])
GROUPS = np.array(list("abcde"))


def test_by_hand() -> None:
    found = summarise(LABELS, SCORES, GROUPS, fake_threshold=0.55)
    assert (found["n"], found["n_real"], found["n_fake"], found["coverage"]) == (5, 3, 2, 1.0)
    # of the six pairs of a fake and a real, only (0.5, 0.6) is the wrong way round
    assert found["auc"] == pytest.approx(5 / 6)
    # at P ≥ 0.5: both fakes and one real
    assert found["confusion"] == {"tp": 2, "fn": 0, "fp": 1, "tn": 2}
    assert found["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["majority_baseline"] == pytest.approx(0.6)
    assert found["fpr_at_threshold"] == pytest.approx(1 / 3)
    assert found["brier"] == pytest.approx((0.01 + 0.16 + 0.36 + 0.25 + 0.01) / 5)
    # without any false alarm the threshold lies above 0.6: one of two fakes
    assert found["tpr_at_fpr01"] == pytest.approx(0.5)


def test_polarity() -> None:
    assert summarise(LABELS, 1 - SCORES, GROUPS, fake_threshold=0.5)["auc"] == pytest.approx(1 / 6)


def test_what_was_not_judged_counts_in_coverage_alone() -> None:
    scores = np.append(SCORES, np.nan)
    found = summarise(np.append(LABELS, 0), scores, np.append(GROUPS, "f"), fake_threshold=0.55)
    assert found["coverage"] == pytest.approx(5 / 6)
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["n_real"] == 4


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auc(label: int) -> None:
    found = summarise(np.full(3, label), np.array([0.2, 0.6, 0.7]), np.arange(3), fake_threshold=0.65)
    assert found["auc"] is found["auc_ci95"] is found["eer"] is found["balanced_accuracy"] is None
    assert found["fpr_at_threshold"] == (pytest.approx(1 / 3) if label == 0 else None)
    assert found["majority_baseline"] == 1


def test_nothing_judged_is_no_error() -> None:
    found = summarise(LABELS, np.full(5, np.nan), GROUPS, fake_threshold=0.5)
    assert found["coverage"] == 0
    assert found["auc"] is found["log_loss"] is None


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="5 labels, 4 prob"):
        summarise(LABELS, SCORES[:4], GROUPS, fake_threshold=0.5)


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    scores = np.clip(labels * 0.2 + rng.normal(0.4, 0.2, 500), 0.001, 0.999)
    found = summarise(labels, scores, np.arange(500), fake_threshold=0.5, rounds=200)
    called = scores >= 0.5
    assert found["auc"] == pytest.approx(sk.roc_auc_score(labels, scores))
    assert found["ap"] == pytest.approx(sk.average_precision_score(labels, scores))
    assert found["log_loss"] == pytest.approx(sk.log_loss(labels, scores))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(labels, scores))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, called))
    tn, fp, fn, tp = sk.confusion_matrix(labels, called).ravel()
    assert found["confusion"] == {"tp": tp, "fn": fn, "fp": fp, "tn": tn}
    low, high = found["auc_ci95"]
    assert low < found["auc"] < high


def test_equal_error_rate_by_hand() -> None:
    # the ROC goes (0, 0), (0, 0.5), (1/3, 0.5), (1/3, 1), (1, 1): misses fall from 0.5 to 0 at 1/3 false alarms
    assert equal_error_rate(np.array([0, 0, 1 / 3, 1 / 3, 1]), np.array([0, 0.5, 0.5, 1, 1])) == pytest.approx(1 / 3)
    assert equal_error_rate(np.array([0, 0, 1]), np.array([0, 1, 1])) == pytest.approx(0)
    assert equal_error_rate(np.array([0, 1.0]), np.array([0, 1.0])) == pytest.approx(0.5)


def test_calibration_error_by_hand() -> None:
    # two bins, each class weighing 1/2: 0.2 has both reals and no fake: gap 0.2 · 0.5; 0.7 both fakes: 0.3 · 0.5
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.2, 0.2, 0.7, 0.7])
    assert expected_calibration_error(labels, scores) == pytest.approx(0.25)
    assert expected_calibration_error(labels, labels.astype(float)) == 0
    # three times as many reals change nothing
    more = np.array([0] * 6 + [1, 1])
    assert expected_calibration_error(more, np.array([0.2] * 6 + [0.7, 0.7])) == pytest.approx(0.25)


def test_groups_widen_the_interval() -> None:
    """A hundred copies of each row are no further evidence."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 60)
    scores = labels * 0.3 + rng.random(60)
    single = bootstrap_auc(labels, scores, np.arange(60), rounds=300, seed=0)
    repeated = [np.repeat(a, 20) for a in (labels, scores, np.arange(60))]
    grouped = bootstrap_auc(*repeated, rounds=300, seed=0)
    naive = bootstrap_auc(repeated[0], repeated[1], np.arange(1200), rounds=300, seed=0)
    assert single is not None
    assert grouped is not None
    assert naive is not None
    assert grouped[1] - grouped[0] == pytest.approx(single[1] - single[0], rel=0.05)
    assert naive[1] - naive[0] < 0.4 * (grouped[1] - grouped[0])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    truth = 0.7602  # P(N(1, 1) > N(0, 1)) = Φ(1 / √2)
    hits = 0
    for _ in range(40):
        labels = rng.integers(0, 2, 200)
        scores = labels + rng.normal(0, 1, 200)
        interval = bootstrap_auc(labels, scores, np.arange(200), rounds=200, seed=0)
        assert interval is not None
        hits += interval[0] <= truth <= interval[1]
    assert hits >= 34
