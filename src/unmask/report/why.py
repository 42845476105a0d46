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
from unmask.report.language import in_language, say, say_many
from unmask.report.phrases import explanation, label_words
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
    others = [explanation(reason) for reason in report.verdict.reasons if reason not in said]
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
        words = say("more than 99 %")
    elif probability < 0.005:
        words = say("less than 1 %")
    else:
        words = f"{100 * probability:.0f} %"
    return words.replace(" %", "\N{NO-BREAK SPACE}%")


def by_base_rate(probability: float | None) -> str:
    """What the probability comes to where fakes are rarer: a reader knows his own material."""
    if probability is None:
        return ""
    return say(
        "{even} if half of the files you check are fakes, {tenth} if 1 in 10 is, {hundredth} if 1"
        " in 100 is.",
        even=percent(probability),
        tenth=percent(at_prevalence(probability, 1 / 10)),
        hundredth=percent(at_prevalence(probability, 1 / 100)),
    )


def at_share(probability: float | None, prevalence: float | None) -> str:
    """The probability where the reader knows how common fakes are in what he checks.

    - prevalence: their share, 0–1; without it, nothing is said
    """
    if probability is None or prevalence is None:
        return ""
    return say(
        "Where {share:g} of all files are fake, the probability is {known:.3f}.",
        share=float(prevalence),
        known=float(at_prevalence(probability, prevalence)),
    )


def not_covered(kind: str, card: Card) -> str:
    """What a verdict does not cover, by the kind of file and the bundle's card."""
    beside = (
        say("Only faces were checked, not the rest of the picture.")
        if kind == "image"
        else say("Only faces were checked, not sound, speech or the rest of the picture.")
    )
    return " ".join([beside, *(say(str(limit)) for limit in card.text["limits"])])


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _no_face(report: Report) -> str:
    if report.media.kind == "image":
        return say("No face was found in the picture.")
    return say_many(
        "No face was found in the one frame that was checked.",
        "No face was found in any of the {n} frames that were checked.",
        report.media.frames_read,
    )


def _of_person(person: Person, report: Report, card: Card) -> Iterator[str]:
    """What speaks for and against the most suspicious person."""
    judged = [score for score in person.scores if score.probability_fake is not None]
    if not judged:
        yield from _unusable(person, card)
        return
    name = say("Person {id}", id=person.id) if len(report.people) > 1 else ""
    thresholds = card.thresholds.over(judged_faces(person))
    yield _evidence(name, person, judged, thresholds, is_video=report.media.kind == "video")
    segment = strongest(person.segments)
    if segment is not None and segment.share < 1:
        yield say(
            "From {start:.1f} to {end:.1f} s the face looks fake ({percent} over {faces} frames).",
            start=segment.start_s,
            end=segment.end_s,
            percent=percent(segment.probability_fake),
            faces=segment.faces,
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
    limits = _limits(person.verdict.label, thresholds)
    if not is_video or len(judged) == 1:
        scored = {"percent": percent(together), "limits": limits}
        if name:
            return say("{name} scores {percent}; {limits}.", name=name, **scored)
        return say("The face scores {percent}; {limits}.", **scored)
    fakes = sum(p > 0.5 for p in probabilities)
    points = (
        say_many(
            "{n} of {of} frames points to a fake",
            "{n} of {of} frames point to a fake",
            fakes,
            of=len(judged),
        )
        if fakes * 2 >= len(judged)
        else say_many(
            "{n} of {of} frames points to a real face",
            "{n} of {of} frames point to a real face",
            len(judged) - fakes,
            of=len(judged),
        )
    )
    lowest, highest = (f(judged, key=_probability) for f in (min, max))
    span = say(
        "{lowest} at {lowest_at:.1f} s to {highest} at {highest_at:.1f} s",
        lowest=percent(_probability(lowest)),
        lowest_at=float(lowest.face.time_s),
        highest=percent(_probability(highest)),
        highest_at=float(highest.face.time_s),
    )
    counted = f"{name}{': ' if name else ''}{points} ({span})"
    if in_segment:
        return f"{counted}."
    return f"{counted}; {say('together {percent}', percent=percent(together))}; {limits}."


def _limits(label: Label, thresholds: Thresholds) -> str:
    """Against what the score was held."""
    if not thresholds.decide:
        return say("this detector brings no thresholds, so nothing is decided by it")
    real, fake = percent(thresholds.real), percent(thresholds.fake)
    if label is Label.FAKE:
        return say("{fake} is enough for a fake", fake=fake)
    if label is Label.REAL:
        return say("up to {real} counts as real", real=real)
    return say("up to {real} would count as real, from {fake} on as fake", real=real, fake=fake)


def _probability(score: Score) -> float:
    return score.probability_fake or 0.0


def _after_edits(person: Person) -> str:
    """What recompressing, resizing and cropping do to the score."""
    values = [variant.probability_fake for variant in person.stability]
    differing = [v for v in person.stability if v.label is not person.verdict.label]
    unstable = Reason.UNSTABLE in person.verdict.reasons
    if not differing and not unstable:
        ends = list(dict.fromkeys((percent(min(values)), percent(max(values)))))
        span = (
            say("{lowest} to {highest}", lowest=ends[0], highest=ends[1]) if ends[1:] else ends[0]
        )
        return say("Recompressing, resizing and cropping do not change that ({span}).", span=span)
    shown = differing if not unstable else person.stability
    words = ", ".join(
        f"{on_one_line(in_language(variant.change))}: {percent(variant.probability_fake)}"
        for variant in shown[:3]
    )
    return say("Some small edits change the result ({edits}).", edits=words)


def _unusable(person: Person, card: Card) -> Iterator[str]:
    """Why no face of the person could be judged."""
    sizes = [score.face.quality.size_px for score in person.scores if score.face.quality]
    if Reason.FACE_TOO_SMALL in person.verdict.reasons and sizes:
        yield say(
            "The largest face is {size:.0f} pixels wide; {needed:.0f} are needed.",
            size=float(max(sizes)),
            needed=float(card.gates.min_size_px),
        )


def _from_the_file(report: Report) -> Iterator[str]:
    """Which other findings agree with the verdict, or contradict it."""
    label = report.verdict.label
    if report.provenance.ai_generated:
        yield (
            say("But the file itself says that a generator made it.")
            if label is Label.REAL
            else say("The file itself says that a generator made it.")
        )
    for finding in report.further_findings:
        name = on_one_line(finding.analyzer)
        if finding.points_to is None or finding.points_to not in (Label.FAKE, Label.REAL):
            continue
        if finding.points_to is label:
            yield say("Another check ({name}) agrees.", name=name)
        else:
            found = label_words(finding.points_to)
            yield say("Another check ({name}) points to {verdict}.", name=name, verdict=found)


def _what_could_decide(person: Person, report: Report) -> str:
    """What would settle an open case."""
    reasons = {*person.verdict.reasons, *report.verdict.reasons}
    if Reason.FACE_UNFAMILIAR in reasons and not judged_faces(person):
        return say(
            "This model cannot decide it: the face is unlike those it was trained on. Ask a person"
            " or another detector."
        )
    helpful = []
    sizes = [score.face.quality.size_px for score in person.scores if score.face.quality]
    if sizes and max(sizes) < LARGE_FACE_PX:
        helpful.append(
            say("a copy in which the face is larger (here {size:.0f} pixels)", size=max(sizes))
        )
    if Reason.FEW_FRAMES in reasons:
        helpful.append(
            say_many(
                "a longer stretch (the face can be judged in one frame; {needed} are needed)",
                "a longer stretch (the face can be judged in {n} frames; {needed} are needed)",
                judged_faces(person),
                needed=MIN_FACES,
            )
        )
    if Reason.MEDIA_TRUNCATED in reasons:
        helpful.append(say("the whole file"))
    if Reason.UNSTABLE in reasons or Reason.BETWEEN_THRESHOLDS in reasons:
        helpful.append(say("the original file, before it was compressed or resized"))
    helpful.append(say("other footage of the same scene"))
    return say("What could decide it: {help}.", help="; ".join(helpful))
