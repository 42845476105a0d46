"""The people of a report as a reader sees them: faces, heat map, timeline, small edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unmask._internal import jpeg
from unmask._internal.words import Words
from unmask.analysis.verdict import judged_faces
from unmask.bundle.card import Card
from unmask.report.figures import enlarge, overlay, show_in_frame, timeline
from unmask.report.language import fixed, in_language, say, say_many
from unmask.report.phrases import explanation, label_words, number
from unmask.report.why import THRESHOLD_REASONS, percent
from unmask.types import Exhibit, Floats, Label, Person, Pointing, Reason, Report, Segment

MARKS: dict[Label, str] = {
    Label.FAKE: "▲",
    Label.REAL: "●",
    Label.INCONCLUSIVE: "◆",
    Label.NOT_APPLICABLE: "○",
}
"""A shape for each verdict, so that none is told by its colour alone."""

QUALITY = 85
"""Of the pictures, as JPEG."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a report.

    - name: unique in a report
    - data: its bytes
    - kind: jpeg, png or svg
    - alt: what it shows, in words
    """

    name: str
    data: bytes
    kind: str
    alt: str


class Drawings(dict[str, bytes]):
    """Pictures by name, each drawn once, for the same report in several languages."""

    def once(self, name: str, draw: Callable[[], bytes]) -> bytes:
        """The picture of this name, drawn now if it is not yet there."""
        if name not in self:
            self[name] = draw()
        return self[name]


def person_view(person: Person, report: Report, card: Card, drawings: Drawings) -> dict[str, Any]:
    """All that is shown of a person with exhibits."""
    media, verdict = report.media, person.verdict
    return {
        "id": person.id,
        "label": verdict.label.value,
        "label_words": label_words(verdict.label),
        "mark": MARKS[verdict.label],
        "probability": number(verdict.probability_fake),
        "percent": percent(verdict.probability_fake),
        "reasons": _reasons(person, report),
        "seen": _seen(person, media.frames_read) if media.kind == "video" else "",
        "faces": [
            _face(person, exhibit, media.kind == "video", drawings) for exhibit in person.exhibits
        ],
        "map": _map(person, media.kind == "video", drawings),
        "timeline": _timeline(person, media.duration_s or 0.0, card, drawings),
        "segments": [_segment(segment) for segment in person.segments if segment.share < 1],
        "stability": [
            (
                in_language(v.change),
                number(v.probability_fake),
                MARKS[v.label],
                label_words(v.label),
            )
            for v in person.stability
        ],
        "unstable": Reason.UNSTABLE in verdict.reasons,
    }


def _reasons(person: Person, report: Report) -> list[str]:
    """What there is to say of a person besides verdict and probability.

    Nothing of a person alone: the file's reasons are theirs.
    """
    if len(report.people) == 1:
        return []
    reasons = [reason for reason in person.verdict.reasons if reason not in THRESHOLD_REASONS]
    return [explanation(reason) for reason in reasons]


def person_row(person: Person, is_video: bool) -> tuple[str, str, str, str, str]:
    """A person in a line of a table: number, verdict, probability, where seen, largest face."""
    verdict = person.verdict
    size = max(
        (score.face.quality.size_px for score in person.scores if score.face.quality), default=0.0
    )
    seen = (
        say_many(
            "{n} frame, from {start:.1f} s",
            "{n} frames, from {start:.1f} s",
            len(person.scores),
            start=float(person.scores[0].face.time_s),
        )
        if is_video
        else say("in the picture")
    )
    label = f"{MARKS[verdict.label]} {label_words(verdict.label)}"
    return str(person.id), label, number(verdict.probability_fake), seen, f"{size:.0f} px"


def _seen(person: Person, frames_read: int) -> str:
    judged = [score for score in person.scores if score.probability_fake is not None]
    by_both = sum(not score.quick for score in judged)
    words = say(
        "seen in {seen} of {frames} frames, {start:.1f} to {end:.1f} s; judged in {judged}",
        seen=len(person.scores),
        frames=frames_read,
        start=float(person.scores[0].face.time_s),
        end=float(person.scores[-1].face.time_s),
        judged=len(judged),
    )
    if by_both < len(judged):
        words += say(", in {n} of them by both parts of the model", n=by_both)
    return words


def _face(person: Person, exhibit: Exhibit, video: bool, drawings: Drawings) -> dict[str, Any]:
    roles = {
        "strongest": say("most evidence for a fake"),
        "middle": say("between"),
        "weakest": say("least evidence"),
    }
    score = exhibit.score
    when = (
        say("{time:.1f} s, frame {n}", time=float(score.face.time_s), n=score.face.frame)
        if video
        else say("as judged")
    )
    alt = say(
        "The face of person {id} as the model saw it ({when}): {probability}",
        id=person.id,
        when=when,
        probability=number(score.probability_fake),
    )
    name = f"person{person.id}-{exhibit.role}"

    def enlarged() -> bytes:
        return jpeg.encode(enlarge(exhibit.crop, 256), QUALITY)

    return {
        "picture": Picture(name, drawings.once(name, enlarged), "jpeg", alt),
        "role": roles[exhibit.role] if len(person.exhibits) > 1 else "",
        "when": when,
        "time_s": score.face.time_s,
        "percent": percent(score.probability_fake),
        "probability": number(score.probability_fake),
    }


def _map(person: Person, video: bool, drawings: Drawings) -> dict[str, Any] | None:
    """The heat map of the person's strongest face, what is known of it, or why none is shown."""
    graded = next(
        (exhibit for exhibit in person.exhibits if exhibit.faithfulness is not None), None
    )
    if graded is None or graded.faithfulness is None or graded.score.heatmap is None:
        return None
    grade = graded.faithfulness
    hidden_share = f"{grade.shares[1]:.0%}"
    effects = {
        "effect": f"{signed(grade.effect)}",
        "random": f"{signed(grade.random_effect)}",
    }
    shown: dict[str, Any] = {
        "shown": graded.map_shown,
        "faithful": grade.faithful,
        "known": _known_of_maps(graded.pointing),
        "caption": _map_caption(graded.score.face.time_s if video else None),
    }
    if not graded.map_shown:
        shown["result"] = say(
            "No heat map: it failed its test (hiding what it highlights changes the score by"
            " {effect}, random areas by {random}).",
            **effects,
        )
        return shown
    if grade.faithful:
        shown["result"] = say(
            "Hiding the {part} of the face that it highlights moves the model's score (its logit:"
            " above 0 for a fake) from {hidden}; showing only that, from {shown}. Together that is"
            " {effect}, against {random} for random maps: rank {rank} of {of}.",
            part=hidden_share,
            hidden=_from_to(*grade.deletion[:2]),
            shown=_from_to(*grade.insertion[:2]),
            rank=round(grade.p * (grade.trials + 1)),
            of=grade.trials + 1,
            **effects,
        )
    else:
        shown["result"] = say(
            "That this face's score rests on the outlined area could not be shown: hiding it"
            " changes the score by {effect}, hiding random areas by {random}.",
            **effects,
        )
    heatmap = graded.score.heatmap
    alt = say(
        "The face of person {id} with the area outlined that speaks most for a fake, {where}",
        id=person.id,
        where=_brightest(heatmap),
    )

    def outlined() -> bytes:
        return jpeg.encode(overlay(enlarge(graded.crop, 384), heatmap), QUALITY)

    name = f"person{person.id}-map"
    shown["crop"] = Picture(name, drawings.once(name, outlined), "jpeg", alt)
    name = f"person{person.id}-frame"
    frame = drawings.once(name, lambda: frame_of(graded, with_map=True))
    if frame:
        shown["frame"] = Picture(name, frame, "jpeg", say("The same outline in the whole frame"))
    return shown


def _known_of_maps(pointing: Pointing | None) -> str:
    """How often such maps point at a forged part; empty where that is not known."""
    if pointing is None:
        return ""
    return say(
        "On {faces} test faces of which only a part was forged, such a heat map was strongest"
        " within that part in {rate}; the middle of the face lay in it in {middle}. Where a whole"
        " face was exchanged or generated, it outlines little more than the middle of the face.",
        faces=pointing.faces,
        rate=f"{pointing.rate:.0%}",
        middle=f"{pointing.middle:.0%}",
    )


def frame_of(exhibit: Exhibit, *, with_map: bool) -> bytes:
    """The frame with the face marked, as JPEG; empty where the frame was not kept."""
    frame = show_in_frame(exhibit, with_map=with_map)
    return b"" if frame is None else jpeg.encode(frame, QUALITY)


def _map_caption(time_s: float | None) -> str:
    if time_s is None:
        return say("The face. Outlined: the quarter of it that speaks most for a fake.")
    return say(
        "The face at {time:.1f} s. Outlined: the quarter of it that speaks most for a fake.",
        time=float(time_s),
    )


def signed(value: float) -> str:
    """With its sign and two decimals."""
    return f"{'+' if value >= 0 else ''}{fixed(value, 2)}"


def _from_to(before: float, after: float) -> str:
    return say("{before} to {after}", before=signed(before), after=signed(after))


_PLACES = (
    (Words("in its upper left"), Words("in its upper middle"), Words("in its upper right")),
    (Words("in its middle left"), Words("in its middle"), Words("in its middle right")),
    (Words("in its lower left"), Words("in its lower middle"), Words("in its lower right")),
)


def _brightest(heatmap: Floats) -> str:
    """Where the map is highest, in words."""
    row, column = divmod(int(heatmap.argmax()), heatmap.shape[1])
    down, across = 3 * row // heatmap.shape[0], 3 * column // heatmap.shape[1]
    return say(_PLACES[min(2, down)][min(2, across)])


def _timeline(person: Person, duration_s: float, card: Card, drawings: Drawings) -> Picture | None:
    if len(person.timeline) < 2:
        return None
    thresholds = card.thresholds.over(judged_faces(person))

    def drawn() -> bytes:
        return timeline(person, duration_s, thresholds.fake, thresholds.real).encode()

    values = [moment.probability_fake for moment in person.timeline]
    alt = say(
        "Probability of fake over time: between {lowest:.2f} and {highest:.2f}",
        lowest=float(min(values)),
        highest=float(max(values)),
    )
    name = f"person{person.id}-timeline"
    return Picture(name, drawings.once(name, drawn), "svg", alt)


def _segment(segment: Segment) -> str:
    return say(
        "Looks fake from {start:.1f} to {end:.1f} s (each end within {within:.2f} s), probability"
        " of fake {probability:.3f} over {faces} faces.",
        start=float(segment.start_s),
        end=float(segment.end_s),
        within=float(segment.within_s),
        probability=float(segment.probability_fake),
        faces=segment.faces,
    )
