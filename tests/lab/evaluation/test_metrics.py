"""Hand-computed figures, and scikit-learn as the second opinion."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from unmask.lab.evaluation.metrics import (
    bootstrap_accuracy,
    bootstrap_auc,
    by_video,
    coverage_risk,
    delong,
    equal_error_rate,
    expected_calibration_error,
    per_class,
    summarise,
)

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


def test_coverage_and_risk_by_hand() -> None:
    # each real weighs 1/6, each fake 1/4; the surest are 0.1 and 0.9, equally, both right
    shares, risks = coverage_risk(LABELS, SCORES)
    assert shares == pytest.approx([0, 5 / 12, 9 / 12, 1])
    # then 0.4, right, with 0.6, wrong, equally sure; then the fake at 0.5, which counts as fake
    assert risks == pytest.approx([0, 0, (1 / 6) / (9 / 12), 1 / 6])
    found = summarise(LABELS, SCORES, GROUPS, fake_threshold=0.55, real_threshold=0.5)
    # all are decided: 0.1, 0.4 and (wrongly) the fake at 0.5 as real; 0.6 and 0.9 as fake
    assert found["decided"] == pytest.approx(1)
    assert found["wrong_if_decided"] == pytest.approx(1 / 6 + 1 / 4)
    assert 0 < found["aurc"] < 0.2


def test_a_sharper_detector_has_less_risk_at_every_coverage() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 2
    near, far = (
        1 / (1 + np.exp(-(labels * 2 - 1) * gap - rng.normal(0, 1, 2000))) for gap in (0.5, 2.0)
    )
    shares_near, risks_near = coverage_risk(labels, near)
    shares_far, risks_far = coverage_risk(labels, far)
    for share in (0.2, 0.5, 1.0):
        assert np.interp(share, shares_far, risks_far) < np.interp(share, shares_near, risks_near)


def test_thresholds_that_decide_nothing_have_no_errors() -> None:
    found = summarise(LABELS, SCORES, GROUPS, fake_threshold=0.95, real_threshold=0.05)
    assert found["decided"] == 0
    assert found["wrong_if_decided"] is None


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
    found = summarise(
        np.full(3, label), np.array([0.2, 0.6, 0.7]), np.arange(3), fake_threshold=0.65
    )
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
    # the ROC goes (0, 0), (0, 0.5), (1/3, 0.5), (1/3, 1), (1, 1): misses fall from 0.5 to 0 at 1/3
    # false alarms
    assert equal_error_rate(
        np.array([0, 0, 1 / 3, 1 / 3, 1]), np.array([0, 0.5, 0.5, 1, 1])
    ) == pytest.approx(1 / 3)
    assert equal_error_rate(np.array([0, 0, 1]), np.array([0, 1, 1])) == pytest.approx(0)
    assert equal_error_rate(np.array([0, 1.0]), np.array([0, 1.0])) == pytest.approx(0.5)


def test_calibration_error_by_hand() -> None:
    # two bins, each class weighing 1/2: 0.2 has both reals and no fake: gap 0.2 · 0.5; 0.7 both
    # fakes: 0.3 · 0.5
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


def test_classes_by_hand() -> None:
    found = summarise(LABELS, SCORES, GROUPS, fake_threshold=0.55)
    tp, fn, fp, tn = (found["confusion"][cell] for cell in ("tp", "fn", "fp", "tn"))
    fake, real = found["per_class"]["fake"], found["per_class"]["real"]
    assert fake["precision"] == pytest.approx(tp / (tp + fp))
    assert fake["recall"] == pytest.approx(tp / (tp + fn))
    assert real["precision"] == pytest.approx(tn / (tn + fn))
    assert real["recall"] == pytest.approx(tn / (tn + fp))
    assert fake["support"] + real["support"] == len(LABELS)
    assert found["accuracy"] == pytest.approx((tp + tn) / len(LABELS))


def test_classes_and_confusion_against_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 300)
    scores = np.clip(labels * 0.2 + rng.random(300) * 0.8, 0, 1)
    found = summarise(labels, scores, np.arange(300), fake_threshold=0.9, rounds=50)
    called = scores >= 0.5
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, called)
    for code, word in enumerate(("real", "fake")):
        assert list(found["per_class"][word].values()) == pytest.approx(
            [precision[code], recall[code], f1[code], support[code]]
        )
    tn, fp, fn, tp = sk.confusion_matrix(labels, called).ravel()
    assert found["confusion"] == {"tp": tp, "fn": fn, "fp": fp, "tn": tn}
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, called))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, called))
    assert found["auc"] == pytest.approx(sk.roc_auc_score(labels, scores))
    assert found["ap"] == pytest.approx(sk.average_precision_score(labels, scores))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(labels, scores))


def test_a_class_that_is_never_called_has_no_precision() -> None:
    found = per_class(np.array([True, False]), np.array([False, False]))
    assert found == {"precision": None, "recall": 0.0, "f1": 0.0, "support": 1}
    assert per_class(np.zeros(2, bool), np.zeros(2, bool))["f1"] is None


def test_the_accuracys_interval_draws_whole_groups() -> None:
    right = np.array([1, 1, 0, 0] * 25, bool)
    alone = bootstrap_accuracy(right, np.arange(100), rounds=1000, seed=0)
    # both of a pair right or wrong
    paired = bootstrap_accuracy(right, np.repeat(np.arange(50), 2), rounds=1000, seed=0)
    assert alone is not None
    assert paired is not None
    assert alone == pytest.approx([0.40, 0.60], abs=0.02)
    assert paired == pytest.approx([0.36, 0.64], abs=0.02)
    assert bootstrap_accuracy(np.zeros(0, bool), np.zeros(0), rounds=10, seed=0) is None


def test_videos_by_hand() -> None:
    labels, scores = np.array([1, 1, 0, 0, 1]), np.array([0.9, 0.5, 0.2, np.nan, np.nan])
    first, joined_labels, joined = by_video(labels, scores, np.array(["v", "v", "w", "w", "x"]))
    assert first.tolist() == [0, 2, 4]
    assert joined_labels.tolist() == [1, 0, 1]
    assert joined[:2] == pytest.approx([0.75, 0.2])  # odds 9 and 1: their geometric mean is 3
    assert np.isnan(joined[2])


def delong_by_definition(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """z from the structural components themselves (DeLong et al., eqs. 4–7), pair by pair."""
    fakes, reals = labels == 1, labels == 0
    tens, ones = [], []
    for scores in (first, second):
        wins = (scores[fakes][:, None] > scores[reals][None]) + 0.5 * (
            scores[fakes][:, None] == scores[reals][None]
        )
        tens.append(wins.mean(axis=1))
        ones.append(wins.mean(axis=0))
    cov = np.cov(tens) / fakes.sum() + np.cov(ones) / reals.sum()
    return float((tens[0].mean() - tens[1].mean()) / np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]))


def test_delongs_test() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 80)
    first = np.round(labels + rng.normal(0, 1, 80), 1)  # with ties
    second = np.round(labels * 0.4 + rng.normal(0, 1, 80), 1)
    found = delong(labels, first, second)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(labels, first))
    assert found["other_auc"] == pytest.approx(sk.roc_auc_score(labels, second))
    assert found["z"] == pytest.approx(delong_by_definition(labels, first, second))
    assert 0 < found["p"] < 1
    assert delong(labels, second, first)["z"] == pytest.approx(-found["z"])
    assert delong(labels, first, first)["p"] == 1.0
    with pytest.raises(ValueError, match="both classes"):
        delong(np.ones(3), np.arange(3), np.arange(3))


def test_delongs_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(120) % 2
    ps = []
    for _ in range(400):
        truth = labels + rng.normal(0, 1, 120)
        ps.append(
            delong(labels, truth + rng.normal(0, 0.5, 120), truth + rng.normal(0, 0.5, 120))["p"]
        )
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.03)
