"""Why a verdict is what it is, in sentences made of what was measured.

How many frames point where, in which range, against which threshold; whether small edits change it;
what else agrees or contradicts; and what could decide a case that is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unmask._internal.text import on_one_line
from unmask.analysis.verdict import (
    MIN_FACES,
    at_prevalence,
    judged_faces,
    strongest,
    suspicion,
)
from unmask.bundle.card import Card, Thresholds
from unmask.report.phrases import EXPLANATIONS
from unmask.types import Label, Person, Reason, Report, Score

LARGE_FACE_PX = 120
"""About as many pixels as the model sees: a larger face would tell it little more."""

THRESHOLD_REASONS = frozenset(
    {Reason.ABOVE_FAKE_THRESHOLD, Reason.BELOW_REAL_THRESHOLD, Reason.BETWEEN_THRESHOLDS}
)
"""What the first sentence says with numbers."""


def why(report: Report, card: Card) -> list[str]:
    """The reasons for the file's verdict, one sentence each, the most important first."""
    people = sorted(report.people, key=suspicion)
    sentences = [_no_face(report)] if not people else list(_of_person(people[0], report, card))
    said = THRESHOLD_REASONS | {Reason.NO_FACE, Reason.FAKE_SEGMENT}
    if people and people[0].stability:
        said |= {Reason.UNSTABLE}  # with its numbers
    others = [EXPLANATIONS[reason] for reason in report.verdict.reasons if reason not in said]
    if others:
        sentences.append(_sentence("; ".join(others)))
    sentences += _from_the_file(report)
    if people and report.verdict.label is Label.INCONCLUSIVE:
        sentences.append(_what_could_decide(people[0], report))
    return sentences


def percent(probability: float | None) -> str:
    """A probability as people read it, never 0 or 100 %; number and sign stay on one line.

    Empty where there is none.
    """
    if probability is None:
        return ""
    if probability >= 0.995:
        words = "more than 99 %"
    elif probability < 0.005:
        words = "less than 1 %"
    else:
        words = f"{100 * probability:.0f} %"
    return words.replace(" %", "\N{NO-BREAK SPACE}%")


def by_base_rate(probability: float | None) -> str:
    """What the probability comes to where fakes are rarer: a reader knows his own material."""
    if probability is None:
        return ""
    rarer = [
        f"{percent(at_prevalence(probability, 1 / count))} if 1 in {count} is"
        for count in (10, 100)
    ]
    return f"{percent(probability)} if half of the files you check are fakes, {', '.join(rarer)}."


def not_covered(kind: str, card: Card) -> str:
    """What a verdict does not cover, by the kind of file and the bundle's card."""
    beside = {
        "image": "Only faces were checked, not the rest of the picture.",
        "video": "Only faces were checked, not sound, speech or the rest of the picture.",
    }[kind]
    return " ".join([beside, *(str(limit) for limit in card.text["limits"])])


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _no_face(report: Report) -> str:
    if report.media.kind == "image":
        return "No face was found in the picture."
    return f"No face was found in any of the {report.media.frames_read} frames that were checked."


def _of_person(person: Person, report: Report, card: Card) -> Iterator[str]:
    """What speaks for and against the most suspicious person."""
    judged = [score for score in person.scores if score.probability_fake is not None]
    if not judged:
        yield from _unusable(person, card)
        return
    name = f"Person {person.id}" if len(report.people) > 1 else ""
    thresholds = card.thresholds.over(judged_faces(person))
    yield _evidence(name, person, judged, thresholds, is_video=report.media.kind == "video")
    segment = strongest(person.segments)
    if segment is not None and segment.share < 1:
        yield (
            f"From {segment.start_s:.1f} to {segment.end_s:.1f} s the face looks fake"
            f" ({percent(segment.probability_fake)} over {segment.faces} frames)."
        )
    if person.stability:
        yield _after_edits(person)


def _evidence(
    name: str, person: Person, judged: Sequence[Score], thresholds: Thresholds, *, is_video: bool
) -> str:
    """The score against the thresholds; in a video also how many frames point where."""
    probabilities = [score.probability_fake or 0.0 for score in judged]
    segment = strongest(person.segments)
    in_segment = segment is not None and Reason.FAKE_SEGMENT in person.verdict.reasons
    together = person.verdict.probability_fake or 0.0
    real, fake = percent(thresholds.real), percent(thresholds.fake)
    limits = {
        Label.FAKE: f"{fake} is enough for a fake",
        Label.REAL: f"up to {real} counts as real",
    }.get(person.verdict.label, f"up to {real} would count as real, from {fake} on as fake")
    if not is_video or len(judged) == 1:
        return f"{name or 'The face'} scores {percent(together)}; {limits}."
    lowest, highest = (f(judged, key=_probability) for f in (min, max))
    fakes = sum(p > 0.5 for p in probabilities)
    points_to_fake = fakes * 2 >= len(judged)
    count, what = (fakes, "a fake") if points_to_fake else (len(judged) - fakes, "a real face")
    return (
        f"{name}{': ' if name else ''}{count} of {len(judged)} frames point to {what}"
        f" ({percent(_probability(lowest))} at {lowest.face.time_s:.1f} s to"
        f" {percent(_probability(highest))} at {highest.face.time_s:.1f} s)"
        + ("." if in_segment else f"; together {percent(together)}; {limits}.")
    )


def _probability(score: Score) -> float:
    return score.probability_fake or 0.0


def _after_edits(person: Person) -> str:
    """What recompressing, resizing and cropping do to the score."""
    values = [variant.probability_fake for variant in person.stability]
    differing = [v for v in person.stability if v.label is not person.verdict.label]
    unstable = Reason.UNSTABLE in person.verdict.reasons
    if not differing and not unstable:
        span = " to ".join(dict.fromkeys((percent(min(values)), percent(max(values)))))
        return f"Recompressing, resizing and cropping do not change that ({span})."
    shown = differing if not unstable else person.stability
    words = ", ".join(
        f"{on_one_line(variant.change)}: {percent(variant.probability_fake)}"
        for variant in shown[:3]
    )
    return f"Some small edits change the result ({words})."


def _unusable(person: Person, card: Card) -> Iterator[str]:
    """Why no face of the person could be judged."""
    sizes = [score.face.quality.size_px for score in person.scores if score.face.quality]
    if Reason.FACE_TOO_SMALL in person.verdict.reasons and sizes:
        yield (
            f"The largest face is {max(sizes):.0f} pixels wide;"
            f" {card.gates.min_size_px:.0f} are needed."
        )


def _from_the_file(report: Report) -> Iterator[str]:
    """Which other findings agree with the verdict, or contradict it."""
    label = report.verdict.label
    if report.provenance.ai_generated:
        but = "But the" if label is Label.REAL else "The"
        yield f"{but} file itself says that a generator made it."
    for finding in report.further_findings:
        if finding.points_to in (Label.FAKE, Label.REAL):
            agrees = "agrees" if finding.points_to is label else f"points to {finding.points_to}"
            yield f"Another check ({on_one_line(finding.analyzer)}) {agrees}."


def _what_could_decide(person: Person, report: Report) -> str:
    """What would settle an open case."""
    reasons = {*person.verdict.reasons, *report.verdict.reasons}
    if Reason.FACE_UNFAMILIAR in reasons and not judged_faces(person):
        return (
            "This model cannot decide it: the face is unlike those it was trained on. Ask a person"
            " or another detector."
        )
    helpful = []
    sizes = [score.face.quality.size_px for score in person.scores if score.face.quality]
    if sizes and max(sizes) < LARGE_FACE_PX:
        helpful.append(f"a copy in which the face is larger (here {max(sizes):.0f} pixels)")
    if Reason.FEW_FRAMES in reasons:
        seen = judged_faces(person)
        frames = "one frame" if seen == 1 else f"{seen} frames"
        helpful.append(
            f"a longer stretch (the face can be judged in {frames}; {MIN_FACES} are needed)"
        )
    if Reason.MEDIA_TRUNCATED in reasons:
        helpful.append("the whole file")
    if Reason.UNSTABLE in reasons or Reason.BETWEEN_THRESHOLDS in reasons:
        helpful.append("the original file, before it was compressed or resized")
    helpful.append("other footage of the same scene")
    return f"What could decide it: {'; '.join(helpful)}."
