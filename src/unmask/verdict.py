"""Scores → verdict. docs/verdicts.md says the same in words, with worked examples.

A person: P = sigmoid(mean of logit(p_i)) over the n judged faces, p_i the calibrated probability of face i, clipped to
[0.001, 0.999]. `fake` if P ≥ the card's fake threshold; `real` if P ≤ its real threshold; else `inconclusive`. In a
video, `fake` and `real` need MIN_FACES judged faces, and `real` needs half of the person's faces to be judged.

A file: `fake` if any person is; else `real` if all people who could be judged are; else `inconclusive`. People without
a verdict for want of faces do not decide while there are others. P of the file is the largest P of a judged person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp, log

from unmask.bundle import Thresholds
from unmask.types import Label, Person, Reason, Score, Verdict

MIN_FACES = 3
"""Judged faces a person in a video needs for `fake` or `real`; fewer where fewer frames were read."""

MIN_JUDGED_SHARE = 0.5
"""Share of a person's faces that must be good enough to judge for `real`."""

_UNDECIDED = (Label.INCONCLUSIVE, Label.NOT_APPLICABLE)


def judge_person(scores: Sequence[Score], thresholds: Thresholds, frames_read: int) -> Verdict:
    """The verdict on one person from all faces found of them."""
    judged = [score.probability_fake for score in scores if score.probability_fake is not None]
    if not judged:
        why = _why_unusable(scores)
        # a face that can be seen well, but is unlike all that was learnt from, is not known, not unfit
        return Verdict(Label.INCONCLUSIVE if Reason.FACE_UNFAMILIAR in why else Label.NOT_APPLICABLE, None, why)
    probability = combine(judged)
    reasons: list[Reason] = []
    label = Label.INCONCLUSIVE
    share = len(judged) / len(scores)
    if len(judged) < min(MIN_FACES, frames_read):
        reasons.append(Reason.FEW_FRAMES)
    elif probability >= thresholds.fake:
        label = Label.FAKE
        reasons.append(Reason.ABOVE_FAKE_THRESHOLD)
    elif probability > thresholds.real:
        reasons.append(Reason.BETWEEN_THRESHOLDS)
    elif share < MIN_JUDGED_SHARE:
        reasons.append(Reason.MOSTLY_UNUSABLE)
    else:
        label = Label.REAL
        reasons.append(Reason.BELOW_REAL_THRESHOLD)
    if share < 1:
        reasons += [Reason.SOME_FACES_UNUSABLE, *_why_unusable(scores)]
    return Verdict(label, probability, tuple(dict.fromkeys(reasons)))


def judge_file(people: Sequence[Person], *, truncated: bool = False) -> Verdict:
    """The verdict on a file from those on its people. truncated: a part of the file could not be read."""
    notes = (Reason.MEDIA_TRUNCATED,) if truncated else ()
    if not people:
        return Verdict(Label.NOT_APPLICABLE, None, (Reason.NO_FACE, *notes))
    verdicts = [person.verdict for person in people]
    if all(v.label is Label.NOT_APPLICABLE for v in verdicts):
        return Verdict(Label.NOT_APPLICABLE, None, (*_reasons(verdicts), *notes))
    # passers-by seen too briefly, and faces too poor to judge, decide only if there is nobody else
    minor = [v for v in verdicts if Reason.FEW_FRAMES in v.reasons or v.label is Label.NOT_APPLICABLE]
    deciding = [v for v in verdicts if v not in minor] or [v for v in minor if v.label is Label.INCONCLUSIVE]
    labels = {v.label for v in deciding}
    if Label.FAKE in labels:
        label = Label.FAKE
    elif labels == {Label.REAL}:
        label = Label.REAL
    else:
        label = Label.INCONCLUSIVE
    causes = [v for v in deciding if v.label is label or (label is Label.INCONCLUSIVE and v.label in _UNDECIDED)]
    reasons = list(_reasons(causes))
    if len(labels) > 1:
        reasons.append(Reason.MIXED_PEOPLE)
    if len(deciding) < len(verdicts):
        reasons.append(Reason.SOME_FACES_UNUSABLE)
    probabilities = [v.probability_fake for v in deciding if v.probability_fake is not None]
    return Verdict(label, max(probabilities, default=None), (*dict.fromkeys(reasons), *notes))


def at_prevalence(probability: float, prevalence: float) -> float:
    """The probability of fake where the share `prevalence` of what is looked at is fake, from one that holds where half
    is (Bayes' rule; Saerens et al., Neural Computation 2002, eq. 2.4). Raises ValueError unless 0 < prevalence < 1."""
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence must lie between 0 and 1, but is {prevalence}")
    fake, real = probability * prevalence, (1 - probability) * (1 - prevalence)
    return fake / (fake + real) if fake + real else prevalence


def combine(probabilities: Sequence[float]) -> float:
    """The sigmoid of the mean logit: the geometric mean of the odds, so that one frame cannot decide alone."""
    clipped = [min(max(p, 0.001), 0.999) for p in probabilities]
    mean = sum(log(p / (1 - p)) for p in clipped) / len(clipped)
    return 1 / (1 + exp(-mean))


def _why_unusable(scores: Sequence[Score]) -> tuple[Reason, ...]:
    """The reasons why faces were not judged, the most frequent first."""
    found = Counter(s.face.quality.unusable for s in scores if s.face.quality and s.face.quality.unusable)
    return tuple(reason for reason, _ in found.most_common() if reason is not None)


def _reasons(verdicts: Sequence[Verdict]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons))
