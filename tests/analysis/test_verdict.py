"""Hand-computed verdicts. Thresholds: fake at 0.9, real at 0.2."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import pytest

from unmask.analysis.verdict import at_prevalence, combine, judge_file, judge_person, strongest
from unmask.bundle import Thresholds
from unmask.bundle.card import ClipThresholds
from unmask.types import Face, Label, Part, Person, Quality, Reason, Score, Segment, Verdict

THRESHOLDS = Thresholds(fake=0.9, real=0.2, false_positive_rate=0.01, false_negative_rate=0.05)


def score(probability: float | None, frame: int = 0, unusable: Reason | None = None) -> Score:
    quality = Quality(100, 100, 100, 1, unusable)
    logit = None if probability is None else log(probability / (1 - probability))
    return Score(Face(frame, frame / 10, (0, 0, 9, 9), 0.9, None, quality), logit, probability)


def seen(*probabilities: float) -> list[Score]:
    return [score(p, frame) for frame, p in enumerate(probabilities)]


def dark(count: int) -> list[Score]:
    return [score(None, 100 + frame, Reason.FACE_TOO_DARK) for frame in range(count)]


def person(number: int, scores: list[Score], frames_read: int = 32) -> Person:
    return Person(number, judge_person(scores, THRESHOLDS, frames_read), tuple(scores))


def test_combining_by_hand() -> None:
    # odds 9 and 1: their geometric mean is 3, so 3 / (1 + 3)
    assert combine([0.9, 0.5]) == pytest.approx(0.75)
    assert combine([0.3]) == pytest.approx(0.3)
    assert combine([0.2, 0.8]) == pytest.approx(0.5)
    # certainty is clipped to odds of 999: one frame cannot outweigh all others
    assert combine([1.0, 0.5, 0.5]) == pytest.approx(999 ** (1 / 3) / (1 + 999 ** (1 / 3)))


def test_a_fake_person() -> None:
    verdict = judge_person(seen(0.95, 0.95, 0.95, 0.95), THRESHOLDS, 4)
    assert verdict == Verdict(Label.FAKE, pytest.approx(0.95), (Reason.ABOVE_FAKE_THRESHOLD,))


def test_a_real_person() -> None:
    verdict = judge_person(seen(0.1, 0.1, 0.1), THRESHOLDS, 3)
    assert verdict == Verdict(Label.REAL, pytest.approx(0.1), (Reason.BELOW_REAL_THRESHOLD,))


def test_between_the_thresholds() -> None:
    verdict = judge_person(seen(0.5, 0.5, 0.5), THRESHOLDS, 3)
    assert verdict == Verdict(Label.INCONCLUSIVE, pytest.approx(0.5), (Reason.BETWEEN_THRESHOLDS,))


@pytest.mark.parametrize(
    ("probability", "label"),
    [(0.9, Label.FAKE), (0.8999, Label.INCONCLUSIVE), (0.2001, Label.INCONCLUSIVE)],
)
def test_at_the_thresholds(probability: float, label: Label) -> None:
    verdict = judge_person(seen(probability), Thresholds(0.9 - 1e-9, 0.2, 0.01, 0.05), 1)
    assert verdict.label is label


FOR_CLIPS = replace(THRESHOLDS, clip=ClipThresholds(min_faces=8, fake=0.7, real=0.4))


@pytest.mark.parametrize(
    ("probability", "faces", "label"),
    [
        (0.8, 8, Label.FAKE),
        (0.8, 7, Label.INCONCLUSIVE),
        (0.3, 8, Label.REAL),
        (0.3, 7, Label.INCONCLUSIVE),
        (0.5, 8, Label.INCONCLUSIVE),
    ],
)
def test_many_faces_of_a_person_have_thresholds_of_their_own(
    probability: float, faces: int, label: Label
) -> None:
    verdict = judge_person(seen(*[probability] * faces), FOR_CLIPS, 32)
    assert verdict.label is label


def test_what_counts_is_faces_that_were_judged() -> None:
    verdict = judge_person([*seen(*[0.8] * 7), *dark(5)], FOR_CLIPS, 32)
    assert verdict.label is Label.INCONCLUSIVE


def test_among_several_people_the_threshold_for_clips_rises_too() -> None:
    def people(*probabilities: float) -> list[Person]:
        return [
            Person(number, judge_person(scores, FOR_CLIPS, 32), tuple(scores))
            for number, scores in enumerate((seen(*[p] * 8) for p in probabilities), start=1)
        ]

    # odds of 0.7 are 7/3; for two people 14/3, so that P must reach 14/17 = 0.824
    assert judge_file(people(0.8, 0.1), FOR_CLIPS).reasons[0] is Reason.ONE_OF_MANY
    assert judge_file(people(0.83, 0.1), FOR_CLIPS).label is Label.FAKE


def test_one_picture_needs_one_face() -> None:
    assert judge_person(seen(0.97), THRESHOLDS, 1).label is Label.FAKE


@pytest.mark.parametrize("probability", [0.99, 0.01])
def test_a_face_in_two_frames_of_32_decides_nothing(probability: float) -> None:
    verdict = judge_person(seen(probability, probability), THRESHOLDS, 32)
    assert verdict == Verdict(Label.INCONCLUSIVE, pytest.approx(probability), (Reason.FEW_FRAMES,))


def test_half_the_frames_dark_and_the_rest_fake() -> None:
    verdict = judge_person([*seen(*[0.95] * 16), *dark(16)], THRESHOLDS, 32)
    assert verdict == Verdict(
        Label.FAKE,
        pytest.approx(0.95),
        (Reason.ABOVE_FAKE_THRESHOLD, Reason.SOME_FACES_UNUSABLE, Reason.FACE_TOO_DARK),
    )


def test_half_the_frames_dark_and_the_rest_real() -> None:
    assert judge_person([*seen(*[0.1] * 16), *dark(16)], THRESHOLDS, 32).label is Label.REAL


def test_more_than_half_dark_is_not_enough_for_real() -> None:
    verdict = judge_person([*seen(*[0.1] * 15), *dark(17)], THRESHOLDS, 32)
    assert verdict == Verdict(
        Label.INCONCLUSIVE,
        pytest.approx(0.1),
        (Reason.MOSTLY_UNUSABLE, Reason.SOME_FACES_UNUSABLE, Reason.FACE_TOO_DARK),
    )


def test_all_dark_has_no_probability() -> None:
    assert judge_person(dark(5), THRESHOLDS, 32) == Verdict(
        Label.NOT_APPLICABLE, None, (Reason.FACE_TOO_DARK,)
    )


def test_no_face_has_no_probability() -> None:
    assert judge_file([], THRESHOLDS) == Verdict(Label.NOT_APPLICABLE, None, (Reason.NO_FACE,))


def test_one_fake_person_among_three() -> None:
    people = [
        person(1, seen(*[0.05] * 32)),
        person(2, seen(*[0.97] * 20)),
        person(3, seen(*[0.1] * 32)),
    ]
    verdict = judge_file(people, THRESHOLDS)
    assert verdict == Verdict(
        Label.FAKE, pytest.approx(0.97), (Reason.ABOVE_FAKE_THRESHOLD, Reason.MIXED_PEOPLE)
    )


def test_all_people_real() -> None:
    people = [person(1, seen(*[0.05] * 32)), person(2, seen(*[0.15] * 32))]
    assert judge_file(people, THRESHOLDS) == Verdict(
        Label.REAL, pytest.approx(0.15), (Reason.BELOW_REAL_THRESHOLD,)
    )


def test_one_undecided_person_leaves_the_file_undecided() -> None:
    people = [person(1, seen(*[0.05] * 32)), person(2, seen(*[0.5] * 32))]
    assert judge_file(people, THRESHOLDS) == Verdict(
        Label.INCONCLUSIVE, pytest.approx(0.5), (Reason.BETWEEN_THRESHOLDS, Reason.MIXED_PEOPLE)
    )


def test_a_passer_by_seen_twice_does_not_decide() -> None:
    people = [person(1, seen(*[0.05] * 32)), person(2, seen(0.99, 0.99))]
    assert judge_file(people, THRESHOLDS) == Verdict(
        Label.REAL, pytest.approx(0.05), (Reason.BELOW_REAL_THRESHOLD, Reason.SOME_FACES_UNUSABLE)
    )


def test_a_passer_by_alone_leaves_the_file_undecided() -> None:
    assert judge_file([person(1, seen(0.99, 0.99))], THRESHOLDS) == Verdict(
        Label.INCONCLUSIVE, pytest.approx(0.99), (Reason.FEW_FRAMES,)
    )


def test_only_dark_people() -> None:
    assert judge_file([person(1, dark(9)), person(2, dark(3))], THRESHOLDS) == Verdict(
        Label.NOT_APPLICABLE, None, (Reason.FACE_TOO_DARK,)
    )


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Part.REST, Reason.MEDIA_TRUNCATED),
        (Part.FACES, Reason.FACES_LEFT_OUT),
        (Part.STREAMS, Reason.PARTLY_UNSEEN),
        (Part.PAGES, Reason.PARTLY_UNSEEN),
    ],
)
def test_a_file_of_which_a_part_went_unseen_is_not_called_real(part: Part, reason: Reason) -> None:
    innocent = [person(1, seen(0.05), 1)]
    assert judge_file(innocent, THRESHOLDS).label is Label.REAL
    verdict = judge_file(innocent, THRESHOLDS, unseen=[part, part])
    assert verdict.label is Label.INCONCLUSIVE
    assert verdict.reasons == (reason, Reason.BELOW_REAL_THRESHOLD)
    # what was seen is fake all the same
    verdict = judge_file([person(1, seen(0.99), 1)], THRESHOLDS, unseen=[part])
    assert verdict.label is Label.FAKE
    assert verdict.reasons == (Reason.ABOVE_FAKE_THRESHOLD, reason)
    nobody = judge_file([], THRESHOLDS, unseen=[part])
    assert nobody.label is Label.NOT_APPLICABLE
    assert nobody.reasons == (Reason.NO_FACE, reason)


def test_more_evidence_of_fake_never_lowers_the_probability() -> None:
    for low in (0.1, 0.4, 0.7):
        values = [combine([low, p]) for p in (0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1.0)]
        assert values == sorted(values)
        assert 1 / (1 + exp(-log(low / (1 - low)))) == pytest.approx(combine([low, low, low]))


def test_a_face_unlike_all_that_was_learnt_is_not_decided() -> None:
    strange = [score(None, frame, Reason.FACE_UNFAMILIAR) for frame in range(5)]
    verdict = Verdict(Label.INCONCLUSIVE, None, (Reason.FACE_UNFAMILIAR,))
    assert judge_person(strange, THRESHOLDS, 32) == verdict
    assert judge_file([person(1, strange)], THRESHOLDS) == verdict
    beside_a_real_one = judge_file([person(1, strange), person(2, seen(0.1, 0.1, 0.1))], THRESHOLDS)
    assert beside_a_real_one.label is Label.INCONCLUSIVE
    assert (
        judge_file([person(1, strange), person(2, seen(0.97, 0.98, 0.99))], THRESHOLDS).label
        is Label.FAKE
    )


def test_prevalence_by_hand() -> None:
    # of 1,000 files 10 are fake; P = 0.9 means odds of 9 to 1 where half is fake, here 9 x 10 to
    # 990
    assert at_prevalence(0.9, 0.01) == pytest.approx(9 * 10 / (9 * 10 + 990))
    assert at_prevalence(0.3, 0.5) == pytest.approx(0.3)
    assert at_prevalence(0.0, 0.2) == 0
    assert at_prevalence(1.0, 0.2) == 1
    for wrong in (0, 1, -0.1):
        with pytest.raises(ValueError, match="prevalence"):
            at_prevalence(0.5, wrong)


# many people, and segments


def odds(probability: float) -> float:
    return probability / (1 - probability)


def test_the_threshold_among_many_by_hand() -> None:
    assert THRESHOLDS.fake_among(1) == pytest.approx(0.9)
    assert odds(THRESHOLDS.fake_among(5)) == pytest.approx(45)
    with pytest.raises(ValueError, match="at least 1"):
        THRESHOLDS.fake_among(0.5)


def test_one_of_many_is_not_enough() -> None:
    crowd = [person(n, seen(*[0.05] * 8)) for n in range(2, 11)]
    # odds 19, and 90 are asked for
    verdict = judge_file([person(1, seen(*[0.95] * 8)), *crowd], THRESHOLDS)
    assert verdict.label is Label.INCONCLUSIVE
    assert verdict.reasons[0] is Reason.ONE_OF_MANY
    assert verdict.probability_fake == pytest.approx(0.95)
    assert judge_file([person(1, seen(*[0.995] * 8)), *crowd], THRESHOLDS).label is Label.FAKE


def test_passers_by_do_not_count_as_looks() -> None:
    brief = [person(n, seen(0.5)) for n in range(2, 30)]
    assert judge_file([person(1, seen(*[0.95] * 8)), *brief], THRESHOLDS).label is Label.FAKE


@pytest.mark.parametrize("people", [1, 5, 20])
@pytest.mark.parametrize("d", [1.0, 2.0, 3.0])
def test_the_rate_of_false_alarms_does_not_grow_with_the_crowd(people: int, d: float) -> None:
    """Real people whose calibrated log-odds are normal (mean -d²/2, variance d², as for two normal
    classes d apart); one in a hundred is called fake by itself."""
    import numpy as np
    from scipy.stats import norm

    # the threshold with a rate of 1 %, and a simulation of 40,000 files; 3 standard errors are left
    # for chance
    threshold = 1 / (1 + exp(-float(norm.ppf(0.99, -(d**2) / 2, d))))
    thresholds = Thresholds(threshold, 0.0, 0.01, 0.05)
    rng, files = np.random.default_rng(people), 40_000
    strongest = rng.normal(-(d**2) / 2, d, (files, people)).max(axis=1)
    limit = thresholds.fake_among(people)
    alarms = float((strongest >= log(limit / (1 - limit))).mean())
    assert alarms <= 0.01 + 3 * (0.01 * 0.99 / files) ** 0.5
    without = float((strongest >= log(threshold / (1 - threshold))).mean())
    assert without == pytest.approx(1 - 0.99**people, abs=0.01)  # what it would be otherwise


def test_the_simulated_crowd_is_judged_as_computed() -> None:
    """The same by judging files: 2,000 of 5 real people each."""
    import numpy as np

    rng = np.random.default_rng(0)
    thresholds = Thresholds(1 / (1 + exp(-(-2 + 2.326 * 2))), 0.0, 0.01, 0.05)  # d = 2
    alarms = 0
    for _ in range(2000):
        values = 1 / (1 + np.exp(-rng.normal(-2, 2, 5)))
        people = [
            Person(n, judge_person(seen(p), thresholds, 1), tuple(seen(p)))
            for n, p in enumerate(values.tolist())
        ]
        alarms += judge_file(people, thresholds).label is Label.FAKE
    assert alarms / 2000 <= 0.015


def part(probability: float, share: float) -> Segment:
    return Segment(3.0, 6.0, 0.2, probability, 10, share)


def test_a_segment_makes_a_person_fake() -> None:
    scores = seen(*[0.02] * 20, *[0.99] * 10)
    # odds 99, and 27 are asked for
    verdict = judge_person(scores, THRESHOLDS, 30, [part(0.99, 1 / 3)])
    assert verdict == Verdict(Label.FAKE, pytest.approx(0.99), (Reason.FAKE_SEGMENT,))


def test_the_strongest_of_two_segments_decides() -> None:
    # 10 · 3.5 and 3 · 4.6
    long_and_clear, short_and_sure = (
        part(0.97, 0.5),
        Segment(8.0, 9.0, 0.2, 0.99, 3, 0.1),
    )
    assert strongest([short_and_sure, long_and_clear]) is long_and_clear
    assert strongest([]) is None


def test_where_clips_ask_for_more_than_one_face_does_so_do_parts_of_them() -> None:
    stricter = replace(THRESHOLDS, clip=ClipThresholds(min_faces=8, fake=0.98, real=0.1))
    scores = seen(*[0.97] * 30)
    assert judge_person(scores, THRESHOLDS, 30, [part(0.97, 1.0)]).label is Label.FAKE
    verdict = judge_person(scores, stricter, 30, [part(0.97, 1.0)])
    assert verdict == Verdict(Label.INCONCLUSIVE, pytest.approx(0.97), (Reason.BETWEEN_THRESHOLDS,))
    # and where they ask for less, a part of one is still one look of many
    looks_fake = judge_person(seen(*[0.02] * 20, *[0.8] * 10), FOR_CLIPS, 30, [part(0.8, 1 / 3)])
    assert looks_fake.label is Label.REAL


def test_a_weak_segment_only_undoes_real() -> None:
    scores = seen(*[0.02] * 27, *[0.92] * 3)
    # odds 11.5, and 90 are asked for
    verdict = judge_person(scores, THRESHOLDS, 30, [part(0.92, 0.1)])
    assert verdict == Verdict(Label.INCONCLUSIVE, pytest.approx(0.92), (Reason.FAKE_SEGMENT,))


def test_a_segment_among_many_people_counts_for_all_looks() -> None:
    scores = tuple(seen(*[0.02] * 20, *[0.97] * 10))
    segments = (part(0.97, 1 / 3),)
    partly = Person(1, judge_person(scores, THRESHOLDS, 30, segments), scores, (), segments)
    assert partly.verdict.label is Label.FAKE  # odds 32, and 27 are asked for
    others = [person(n, seen(*[0.05] * 8)) for n in (2, 3)]
    verdict = judge_file([partly, *others], THRESHOLDS)  # 81 are asked for
    assert verdict.label is Label.INCONCLUSIVE
    assert verdict.reasons[0] is Reason.ONE_OF_MANY
