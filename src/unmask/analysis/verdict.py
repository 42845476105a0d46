"""Scores → verdict. docs/verdicts.md says the same in words, with worked examples.

A person: P = sigmoid(mean of logit(p_i)) over the n judged faces, p_i the calibrated probability of
face i, clipped to [0.001, 0.999]. `fake` if P ≥ the card's fake threshold; `real` if P ≤ its real
threshold; else `inconclusive`. The card may have other thresholds for people with many judged
faces. In a video, `fake` and `real` need MIN_FACES judged faces, and `real` needs half of the
person's faces to be judged and no segment that looks fake. A segment makes a person `fake` if its
own P reaches the threshold for 1 / share looks.

A file: `fake` if people are, and it cannot be chance among so many; else `real` if
all people who could be judged are and no part of the file went unseen; else `inconclusive`. People
without a verdict for want of faces do not decide while there are others. P of the file is the
largest P of a judged person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from math import exp

from unmask.analysis.crowd import can_be_chance
from unmask.analysis.timeline import combine, log_odds
from unmask.bundle import Thresholds
from unmask.types import Label, Part, Person, Reason, Score, Segment, Variant, Verdict

MIN_FACES = 3
"""Judged faces a person in a video needs for `fake` or `real`; fewer where it has fewer frames."""

MIN_JUDGED_SHARE = 0.5
"""Share of a person's faces that must be good enough to judge for `real`."""

_UNSEEN_REASONS = {Part.REST: Reason.MEDIA_TRUNCATED, Part.FACES: Reason.FACES_LEFT_OUT}
"""Reason codes of their own; all other parts have PARTLY_UNSEEN."""

_UNDECIDED = (Label.INCONCLUSIVE, Label.NOT_APPLICABLE)


def judge_person(
    scores: Sequence[Score],
    thresholds: Thresholds,
    frames_wanted: int,
    segments: Sequence[Segment] = (),
) -> Verdict:
    """The verdict on one person from all faces found of them.

    - thresholds: of the card
    - frames_wanted: how many frames were asked for, or the file has, if that is less
    """
    judged = [score.probability_fake for score in scores if score.probability_fake is not None]
    if not judged:
        why = _why_unusable(scores)
        # a face that can be seen well, but is unlike all that was learnt from, is not known, not
        # unfit
        return Verdict(
            Label.INCONCLUSIVE if Reason.FACE_UNFAMILIAR in why else Label.NOT_APPLICABLE, None, why
        )
    probability = combine(judged)
    overall, of_part = thresholds.over(len(judged)), thresholds.of_part(len(judged))
    segment = strongest(segments)
    reasons: list[Reason] = []
    label = Label.INCONCLUSIVE
    share = len(judged) / len(scores)
    if len(judged) < min(MIN_FACES, frames_wanted):
        reasons.append(Reason.FEW_FRAMES)
    elif probability >= overall.fake:
        label = Label.FAKE
        reasons.append(Reason.ABOVE_FAKE_THRESHOLD)
    elif segment is not None and segment.probability_fake >= of_part.fake:
        reasons.append(Reason.FAKE_SEGMENT)
        probability = segment.probability_fake
        if probability >= of_part.fake_among(1 / segment.share):
            label = Label.FAKE
    elif probability > overall.real:
        reasons.append(Reason.BETWEEN_THRESHOLDS)
    elif share < MIN_JUDGED_SHARE:
        reasons.append(Reason.MOSTLY_UNUSABLE)
    else:
        label = Label.REAL
        reasons.append(Reason.BELOW_REAL_THRESHOLD)
    if share < 1:
        reasons += [Reason.SOME_FACES_UNUSABLE, *_why_unusable(scores)]
    return Verdict(label, probability, tuple(dict.fromkeys(reasons)))


def strongest(segments: Sequence[Segment]) -> Segment | None:
    """The segment with the most evidence: the largest sum of its faces' log-odds."""
    return max(
        segments,
        key=lambda segment: log_odds(segment.probability_fake) * segment.faces,
        default=None,
    )


def judged_faces(person: Person) -> int:
    """How many faces the person's probability is made of."""
    return sum(score.probability_fake is not None for score in person.scores)


def suspicion(person: Person) -> tuple[bool, float, int]:
    """Sort key for the people of a file: the most suspicious first, those seen too briefly last."""
    verdict = person.verdict
    return Reason.FEW_FRAMES in verdict.reasons, -(verdict.probability_fake or -1.0), person.id


def label_of(probability: float, thresholds: Thresholds) -> Label:
    """What a probability means by itself."""
    if probability >= thresholds.fake:
        return Label.FAKE
    return Label.REAL if probability <= thresholds.real else Label.INCONCLUSIVE


def hold_against(verdict: Verdict, variants: Sequence[Variant]) -> Verdict:
    """The verdict after the faces were judged again with perturbed pictures.

    `fake` or `real` becomes `inconclusive`, with the reason `unstable`, where one perturbation
    reverses it or more than half of them undo it.
    """
    if verdict.label not in (Label.FAKE, Label.REAL) or not variants:
        return verdict
    opposite = Label.REAL if verdict.label is Label.FAKE else Label.FAKE
    undone = sum(variant.label is not verdict.label for variant in variants)
    if not any(variant.label is opposite for variant in variants) and 2 * undone <= len(variants):
        return verdict
    return replace(verdict, label=Label.INCONCLUSIVE, reasons=(Reason.UNSTABLE, *verdict.reasons))


def judge_file(
    people: Sequence[Person],
    thresholds: Thresholds,
    *,
    unseen: Collection[Part] = (),
) -> Verdict:
    """The verdict on a file from those on its people.

    - thresholds: of the card; where many people decide, those who look fake make the file fake only
      where that cannot be chance among so many (`crowd`), so that the rate of false alarms of a
      file does not grow with the crowd
    - unseen: parts of the file that were not looked at; there may be a fake among them, so it is
      not called real
    """
    notes = dict.fromkeys(_UNSEEN_REASONS.get(part, Reason.PARTLY_UNSEEN) for part in unseen)
    verdicts = [person.verdict for person in people]
    if not verdicts:
        return Verdict(Label.NOT_APPLICABLE, None, (Reason.NO_FACE, *notes))
    if all(verdict.label is Label.NOT_APPLICABLE for verdict in verdicts):
        return Verdict(Label.NOT_APPLICABLE, None, (*_reasons(verdicts), *notes))

    # The label: fake if somebody is, and it cannot be chance among so many; real if all are.
    deciding = _deciding(verdicts)
    labels = {verdict.label for verdict in deciding}
    chance = _by_chance(people, deciding, thresholds)
    if Label.FAKE in labels and not chance:
        label = Label.FAKE
    elif labels == {Label.REAL}:
        label = Label.INCONCLUSIVE if unseen else Label.REAL
    else:
        label = Label.INCONCLUSIVE

    # The reasons: those of the people who led to the label, and what else is to be known.
    leading_labels: tuple[Label, ...] = (label,)
    if labels == {Label.REAL}:
        # whatever went unseen is all that keeps such a file from being called real
        leading_labels, reasons = (Label.REAL,), list(notes)
    else:
        if label is Label.INCONCLUSIVE:
            leading_labels = _UNDECIDED
        reasons = [Reason.ONE_OF_MANY] if chance else []
    reasons += _reasons([verdict for verdict in deciding if verdict.label in leading_labels])
    if len(labels) > 1:
        reasons.append(Reason.MIXED_PEOPLE)
    if len(deciding) < len(verdicts):
        reasons.append(Reason.SOME_FACES_UNUSABLE)
    probabilities = [v.probability_fake for v in deciding if v.probability_fake is not None]
    return Verdict(
        label, max(probabilities, default=None), tuple(dict.fromkeys((*reasons, *notes)))
    )


def _deciding(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that the verdict on the file rests on.

    Passers-by seen too briefly, and faces too poor to judge, decide only if there is nobody else.
    """
    minor = []
    major = []
    for verdict in verdicts:
        too_brief = Reason.FEW_FRAMES in verdict.reasons
        if too_brief or verdict.label is Label.NOT_APPLICABLE:
            minor.append(verdict)
        else:
            major.append(verdict)
    return major or [verdict for verdict in minor if verdict.label is Label.INCONCLUSIVE]


def at_prevalence(probability: float, prevalence: float) -> float:
    """The probability of fake where the share `prevalence` of all files is fake.

    - probability: where half of all files are fake

    Bayes' rule (Saerens et al., Neural Computation 2002, eq. 2.4).

    Raises ValueError unless 0 < prevalence < 1.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence must lie between 0 and 1, but is {prevalence}")
    fake, real = probability * prevalence, (1 - probability) * (1 - prevalence)
    return fake / (fake + real) if fake + real else prevalence


def _by_chance(
    people: Sequence[Person], deciding: Sequence[Verdict], thresholds: Thresholds
) -> bool:
    """Whether somebody looks fake, but so few do, so little, that it can be chance."""
    fakes = [
        person
        for person in people
        if person.verdict in deciding and person.verdict.label is Label.FAKE
    ]
    strengths = [_strength(person, thresholds) for person in fakes]
    return bool(fakes) and len(deciding) > 1 and can_be_chance(strengths, len(deciding))


def _strength(person: Person, thresholds: Thresholds) -> float:
    """How many times the odds of a person who looks fake reach those of the threshold."""
    probability = person.verdict.probability_fake or 0.0
    segment = strongest(person.segments)
    if segment is not None and Reason.FAKE_SEGMENT in person.verdict.reasons:
        # a segment is the most suspicious of many: each part of the video was a chance
        of_part = thresholds.of_part(judged_faces(person))
        return exp(log_odds(probability) - log_odds(of_part.fake)) * segment.share
    return exp(log_odds(probability) - log_odds(thresholds.over(judged_faces(person)).fake))


def _why_unusable(scores: Sequence[Score]) -> tuple[Reason, ...]:
    """The reasons why faces were not judged, the most frequent first."""
    counts = Counter(
        s.face.quality.unusable for s in scores if s.face.quality and s.face.quality.unusable
    )
    return tuple(reason for reason, _ in counts.most_common() if reason is not None)


def _reasons(verdicts: Sequence[Verdict]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons))
