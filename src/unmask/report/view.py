"""Report → what a reader is shown, in words and pictures, on the page and in the PDF."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unmask
from unmask._internal import jpeg
from unmask._internal.text import on_one_line
from unmask.analysis.verdict import judged_faces, suspicion
from unmask.bundle.card import Card, Thresholds
from unmask.report.figures import enlarge, overlay, show_in_frame, timeline
from unmask.report.file_words import file_words
from unmask.report.json import settings_json
from unmask.report.phrases import (
    CREDENTIAL_WORDS,
    EXPLANATIONS,
    IDENTITY_UNCHECKED,
    MEANS,
    TRACE_WORDS,
    clip_sureness,
    headline,
    number,
    sureness,
)
from unmask.report.summary import summary
from unmask.report.why import THRESHOLD_REASONS, by_base_rate, not_covered, percent, why
from unmask.types import Exhibit, Finding, Label, Person, Reason, Report, Segment, Verdict

MARKS: dict[Label, str] = {
    Label.FAKE: "▲",
    Label.REAL: "●",
    Label.INCONCLUSIVE: "◆",
    Label.NOT_APPLICABLE: "○",
}
"""A shape for each verdict, so that none is told by its colour alone."""

QUALITY = 85
"""Of the pictures, as JPEG."""

LISTED_PEOPLE = 40
"""People in the table at most."""

NAMED_SETS = 8
"""Data sets that a bundle was trained on that are named, the largest; the others are counted."""


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


def build(
    report: Report, card: Card, made_on: datetime.date, prevalence_words: str = ""
) -> dict[str, Any]:
    """All that the templates need: text, and `Picture`s.

    Nothing in it depends on the clock but `made_on`.
    """
    verdict, media = report.verdict, report.media
    means, means_not = MEANS[verdict.label]
    people = sorted(report.people, key=suspicion)
    thresholds = card.thresholds.over(judged_faces(people[0]) if people else 0)
    shown = [person for person in people if person.exhibits] or people[:1]
    others = [person for person in report.people if person not in shown]
    view = {
        "title": f"{on_one_line(Path(media.path).name)}: {verdict.label.replace('_', ' ')}",
        "name": on_one_line(Path(media.path).name),
        "label": verdict.label.value,
        "label_words": verdict.label.replace("_", " "),
        "mark": MARKS[verdict.label],
        "headline": headline(report),
        "reasons": why(report, card),
        "probability": number(verdict.probability_fake),
        "percent": percent(verdict.probability_fake),
        "base_rates": by_base_rate(verdict.probability_fake),
        "not_covered": on_one_line(not_covered(media.kind, card)),
        "sureness": _sureness(verdict, thresholds, card),
        "prevalence": prevalence_words,
        "means": means,
        "means_not": means_not,
        "contradictions": list(report.contradictions),
        "findings": [
            {"analyzer": on_one_line(finding.analyzer), "words": _finding_words(finding)}
            for finding in report.further_findings
        ],
        "facts": list(_facts(report)),
        "notes": [on_one_line(note) for note in media.notes],
        "lead": _lead(report),
        "people": [_person(person, report, card) for person in shown],
        "others": [_row(person, media.kind == "video") for person in others[:LISTED_PEOPLE]],
        "unlisted": max(0, len(others) - LISTED_PEOPLE),
        "said": list(file_words(report.provenance.said, media.path)),
        "traces": [
            (TRACE_WORDS.get(code, code), on_one_line(words))
            for code, words in report.provenance.traces.items()
        ],
        "ai_generated": report.provenance.ai_generated,
        "credentials": _credentials(report),
        "method": _method(report, card),
        "fake_percent": percent(thresholds.fake),
        "real_percent": percent(thresholds.real),
        "fake_threshold": number(thresholds.fake),
        "real_threshold": number(thresholds.real),
        "digests": [
            ("file", media.sha256),
            ("model", report.model.sha256),
            ("settings", settings_json(report.settings)["sha256"]),
        ],
        "command": command(report),
        "version": unmask.__version__,
        "date": made_on.isoformat(),
    }
    return {**view, "summary": summary(view), "case": None}


def _sureness(verdict: Verdict, thresholds: Thresholds, card: Card) -> str:
    """How often the model errs: by single faces, or by clips where their thresholds were used.

    - thresholds: those that led to the verdict
    """
    if thresholds is card.thresholds:
        rates = thresholds.false_positive_rate, thresholds.false_negative_rate
        return sureness(verdict, *rates)
    return clip_sureness(verdict, card.text["thresholds"]["clip"])


def _finding_words(finding: Finding) -> str:
    words = on_one_line(finding.summary)
    if finding.points_to is not None:
        words += f" (points to {finding.points_to.value})"
    return words


def command(report: Report) -> str:
    """What repeats this report."""
    settings = report.settings
    arguments = [
        "unmask",
        "scan",
        on_one_line(report.media.fetched.url if report.media.fetched else report.media.path),
        "--report",
        "out/",
    ]
    arguments += [] if settings.by_length else ["--frames", str(settings.frames)]
    arguments += ["--faces", settings.finder, "--engine", settings.engine]
    arguments += [] if settings.stability else ["--no-stability"]
    return " ".join(shlex.quote(argument) for argument in arguments)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    media = report.media
    yield "File", on_one_line(media.path)
    if media.fetched is not None:
        yield "Fetched from", on_one_line(media.fetched.url)
        if media.fetched.final_url != media.fetched.url:
            yield "Which led to", on_one_line(media.fetched.final_url)
        yield "Fetched at", media.fetched.at
    shape = f"{media.width}×{media.height} pixels"
    if media.kind == "video":
        rate = f", {float(media.fps):.2f} frames a second" if media.fps else ""
        yield (
            "Video",
            (
                f"{shape}, {media.duration_s or 0:.1f} s{rate}; {media.frames_read} frames were"
                " checked"
            ),
        )
    else:
        yield "Picture", shape
    judged = sum(
        score.probability_fake is not None for person in report.people for score in person.scores
    )
    faces = sum(len(person.scores) for person in report.people)
    yield "Faces", f"{faces} found, {judged} judged; different people: {len(report.people)}"


def _lead(report: Report) -> Picture | None:
    """The frame with the most suspected face."""
    for person in sorted(report.people, key=suspicion):
        for exhibit in person.exhibits[:1]:
            frame = show_in_frame(exhibit, with_map=False)
            if frame is not None:
                video = report.media.kind == "video"
                what = f"The frame at {exhibit.score.face.time_s:.1f} s" if video else "The picture"
                alt = f"{what}; a square marks the face of person {person.id}"
                return Picture("lead", jpeg.encode(frame, QUALITY), "jpeg", alt)
    return None


def _person(person: Person, report: Report, card: Card) -> dict[str, Any]:
    media, verdict = report.media, person.verdict
    return {
        "id": person.id,
        "label": verdict.label.value,
        "label_words": verdict.label.replace("_", " "),
        "mark": MARKS[verdict.label],
        "probability": number(verdict.probability_fake),
        "percent": percent(verdict.probability_fake),
        "reasons": _reasons(person, report),
        "seen": _seen(person, media.frames_read) if media.kind == "video" else "",
        "faces": [_face(person, exhibit, media.kind == "video") for exhibit in person.exhibits],
        "map": _map(person, media.kind == "video"),
        "timeline": _timeline(person, media.duration_s or 0.0, card),
        "segments": [_segment(segment) for segment in person.segments if segment.share < 1],
        "stability": [
            (v.change, number(v.probability_fake), MARKS[v.label], v.label.replace("_", " "))
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
    return [EXPLANATIONS[reason] for reason in reasons]


def _row(person: Person, is_video: bool) -> tuple[str, str, str, str, str]:
    verdict = person.verdict
    size = max(
        (score.face.quality.size_px for score in person.scores if score.face.quality), default=0.0
    )
    count, first_s = len(person.scores), person.scores[0].face.time_s
    frames = "1 frame" if count == 1 else f"{count} frames"
    seen = f"{frames}, from {first_s:.1f} s" if is_video else "in the picture"
    label = f"{MARKS[verdict.label]} {verdict.label.replace('_', ' ')}"
    return str(person.id), label, number(verdict.probability_fake), seen, f"{size:.0f} px"


def _seen(person: Person, frames_read: int) -> str:
    first, last = person.scores[0].face.time_s, person.scores[-1].face.time_s
    judged = [score for score in person.scores if score.probability_fake is not None]
    by_both = sum(not score.quick for score in judged)
    closely = f", in {by_both} of them by both parts of the model" if by_both < len(judged) else ""
    return (
        f"seen in {len(person.scores)} of {frames_read} frames, {first:.1f} to {last:.1f} s;"
        f" judged in {len(judged)}{closely}"
    )


def _face(person: Person, exhibit: Exhibit, video: bool) -> dict[str, Any]:
    roles = {
        "strongest": "most evidence for a fake",
        "middle": "between",
        "weakest": "least evidence",
    }
    score = exhibit.score
    when = f"{score.face.time_s:.1f} s, frame {score.face.frame}" if video else "as judged"
    alt = (
        f"The face of person {person.id} as the model saw it ({when}):"
        f" {number(score.probability_fake)}"
    )
    name = f"person{person.id}-{exhibit.role}"
    return {
        "picture": Picture(name, jpeg.encode(enlarge(exhibit.crop, 256), QUALITY), "jpeg", alt),
        "role": roles[exhibit.role] if len(person.exhibits) > 1 else "",
        "when": when,
        "time_s": score.face.time_s,
        "percent": percent(score.probability_fake),
        "probability": number(score.probability_fake),
    }


def _map(person: Person, video: bool) -> dict[str, Any] | None:
    """The graded heat map of the person's strongest face, or why none is shown."""
    graded = next(
        (exhibit for exhibit in person.exhibits if exhibit.faithfulness is not None), None
    )
    if graded is None or graded.faithfulness is None or graded.score.heatmap is None:
        return None
    grade = graded.faithfulness
    hidden_share = f"{grade.shares[1]:.0%}"
    shown: dict[str, Any] = {
        "faithful": grade.faithful,
        "rank": f"{round(grade.p * (grade.trials + 1))} of {grade.trials + 1}",
        "part": hidden_share,
        "effect": f"{grade.effect:+.2f}",
        "random": f"{grade.random_effect:+.2f}",
        "deletion": f"{grade.deletion[0]:+.2f} to {grade.deletion[1]:+.2f}",
        "insertion": f"{grade.insertion[0]:+.2f} to {grade.insertion[1]:+.2f}",
        "when": f" at {graded.score.face.time_s:.1f} s" if video else "",
    }
    if not grade.faithful:
        return shown
    name = f"person{person.id}"
    big = enlarge(graded.crop, 384)
    coloured = overlay(big, graded.score.heatmap)
    alt = (
        f"The face of person {person.id} with the area outlined that speaks most for a fake, in"
        f" {_brightest(graded)}"
    )
    shown["crop"] = Picture(f"{name}-map", jpeg.encode(coloured, QUALITY), "jpeg", alt)
    frame = show_in_frame(graded, with_map=True)
    if frame is not None:
        shown["frame"] = Picture(
            f"{name}-frame",
            jpeg.encode(frame, QUALITY),
            "jpeg",
            "The same outline in the whole frame",
        )
    return shown


def _brightest(exhibit: Exhibit) -> str:
    """Where the map is highest, in words."""
    heatmap = exhibit.score.heatmap
    if heatmap is None:
        return ""
    row, column = divmod(int(heatmap.argmax()), heatmap.shape[1])
    down = ("the upper", "the middle", "the lower")[min(2, 3 * row // heatmap.shape[0])]
    across = ("left", "middle", "right")[min(2, 3 * column // heatmap.shape[1])]
    return f"{down} {across} of the square".replace("the middle middle", "the middle")


def _timeline(person: Person, duration_s: float, card: Card) -> Picture | None:
    if len(person.timeline) < 2:
        return None
    thresholds = card.thresholds.over(judged_faces(person))
    drawn = timeline(person, duration_s, thresholds.fake, thresholds.real)
    values = [moment.probability_fake for moment in person.timeline]
    alt = f"Probability of fake over time: between {min(values):.2f} and {max(values):.2f}"
    return Picture(f"person{person.id}-timeline", drawn.encode(), "svg", alt)


def _segment(segment: Segment) -> str:
    return (
        f"{segment.start_s:.1f} to {segment.end_s:.1f} s (each end within {segment.within_s:.2f}"
        f" s), probability of fake {segment.probability_fake:.3f} over {segment.faces} faces"
    )


def _credentials(report: Report) -> dict[str, Any]:
    credentials = report.provenance.credentials
    rows = [
        ("Signed by", credentials.signer),
        ("Certificate issued to", credentials.issuer),
        ("Signed at", credentials.signed_at),
        ("Made with", credentials.generator),
        ("Actions", ", ".join(credentials.actions)),
        ("Digital source type", credentials.source),
        ("Failed checks", ", ".join(credentials.problems)),
        ("Not checked", IDENTITY_UNCHECKED if credentials.unchecked else ""),
    ]
    return {
        "state": credentials.state,
        "words": CREDENTIAL_WORDS[credentials.state],
        "rows": [(name, on_one_line(words)) for name, words in rows if words],
    }


def _method(report: Report, card: Card) -> dict[str, Any]:
    tree, settings = card.text, report.settings
    limits = tree["thresholds"]
    more = ", more in long videos" if settings.by_length else ""
    return {
        "model": f"{card.name} {card.version}",
        "intended_use": on_one_line(str(tree["intended_use"])),
        "limits": [on_one_line(str(limit)) for limit in tree["limits"]],
        "evaluated_on": on_one_line(str(tree["evaluated_on"])),
        "training": _training_sets(tree["training_data"]),
        "rates": [
            *_rates(limits.get("fake", {}), "real faces called fake"),
            *_rates(limits.get("real", {}), "fake faces called real"),
        ],
        "figures": [*_figures(tree.get("metrics", {}))],
        "settings": (
            f"{settings.frames} frames at most{more}; faces by {settings.finder};"
            f" {settings.engine};"
            f" judged again after changes: {'yes' if settings.stability else 'no'}"
        ),
    }


def _rates(tree: Any, what: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows for the table of error rates, as far as the card has them.

    Only its bundle's maker filled it in.
    """
    for name, row in _rows(
        tree.get("by_data_set") if isinstance(tree, Mapping) else None, "ci95", "wrong", "n"
    ):
        low, high = row["ci95"]
        yield name, what, f"{row['wrong']} of {row['n']}", f"{low:.1%} to {high:.1%}"


def _figures(metrics: Any) -> Iterator[tuple[str, str, str, str, str]]:
    for name, row in _rows(metrics, "n", "auc", "fpr_at_threshold", "n_fake", "confusion"):
        auc = "–" if row["auc"] is None else f"{row['auc']:.3f}"
        if interval := row.get("auc_ci95"):
            auc += f" ({interval[0]:.3f} to {interval[1]:.3f})"
        accused, fakes = row["fpr_at_threshold"], row["n_fake"]
        found_share = f"{row['confusion']['tp'] / fakes:.1%}" if fakes else "–"
        yield name, str(row["n"]), auc, "–" if accused is None else f"{accused:.1%}", found_share


def _rows(tree: Any, *keys: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a table in the card that have these keys."""
    for name, row in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(row, Mapping) and set(keys) <= row.keys():
            yield on_one_line(str(name)), row


def _training_sets(rows: Sequence[Any]) -> list[str]:
    """What the bundle was trained on, as far as the card has it in the usual form.

    The largest data sets by name; the others are counted.
    """
    needed = {"dataset", "split", "real", "fake"}
    usual = [row for row in rows if isinstance(row, Mapping) and needed <= row.keys()]
    # cards of another make may have anything there
    usual = [row for row in usual if all(isinstance(row[key], int) for key in ("real", "fake"))]
    usual.sort(key=lambda row: -(row["real"] + row["fake"]))
    shown, others = usual[:NAMED_SETS], usual[NAMED_SETS:]
    words = [_training_set(row) for row in shown]
    if others:
        real, fake = (sum(row[label] for row in others) for label in ("real", "fake"))
        names = len({row["dataset"] for row in others})
        words.append(f"{names} smaller data sets: {real} real, {fake} fake faces")
    return words


def _training_set(row: Mapping[str, Any]) -> str:
    name, split = on_one_line(str(row["dataset"])), on_one_line(str(row["split"]))
    return f"{name} ({split}): {row['real']} real, {row['fake']} fake faces"
