"""Report → JSON (schema unmask.report/1), and the words that people read."""

from __future__ import annotations

import os
from typing import Any

from unmask.types import Failure, Label, Person, Reason, Report, Score, Verdict
from unmask.verdict import at_prevalence

SCHEMA = "unmask.report/1"

SENTENCES: dict[Label, str] = {
    Label.FAKE: "The face looks manipulated or generated.",
    Label.REAL: "No sign of manipulation was found in the face.",
    Label.INCONCLUSIVE: "This cannot be decided from the picture alone.",
    Label.NOT_APPLICABLE: "There is no face that could be judged.",
}

EXPLANATIONS: dict[Reason, str] = {
    Reason.ABOVE_FAKE_THRESHOLD: "the evidence for a fake is above the model's threshold",
    Reason.BELOW_REAL_THRESHOLD: "the evidence for a fake is below the model's threshold for real",
    Reason.BETWEEN_THRESHOLDS: "the evidence lies between the thresholds for real and fake",
    Reason.FEW_FRAMES: "the face is seen in too few frames",
    Reason.MIXED_PEOPLE: "the people in it are judged differently",
    Reason.NO_FACE: "no face was found",
    Reason.FACE_TOO_SMALL: "a face is too small",
    Reason.FACE_TOO_DARK: "a face is too dark",
    Reason.FACE_TOO_BRIGHT: "a face is overexposed",
    Reason.FACE_TOO_BLURRED: "a face is too blurred",
    Reason.FACE_UNFAMILIAR: "a face is unlike those the detector was trained on",
    Reason.FACE_CUT_OFF: "a face is cut off by the border",
    Reason.SOME_FACES_UNUSABLE: "some faces could not be judged",
    Reason.MOSTLY_UNUSABLE: "most of the faces could not be judged",
    Reason.MEDIA_TRUNCATED: "a part of the file could not be read",
}


def to_json(report: Report | Failure, prevalence: float | None = None) -> dict[str, Any]:
    """The report of one file as JSON values; all numbers are finite, all text is valid Unicode. prevalence: the share
    of fakes among the user's files, for which the verdict's probability is told as well."""
    if isinstance(report, Failure):
        return {
            "schema": SCHEMA,
            "media": {"path": _text(report.path)},
            "error": {"kind": report.kind, "message": _text(report.message)},
        }
    media, timing = report.media, report.timing_s
    return {
        "schema": SCHEMA,
        "media": {
            "path": _text(media.path),
            "sha256": media.sha256,
            "kind": media.kind,
            "width": media.width,
            "height": media.height,
            "duration_s": _round(media.duration_s),
            "fps": str(media.fps) if media.fps else None,
            "frames_read": media.frames_read,
            "read_share": _round(media.read_share),
            "notes": list(media.notes),
        },
        "verdict": _verdict(report.verdict) | _at_prevalence(report.verdict, prevalence),
        "people": [_person(person) for person in report.people],
        "model": {"name": report.model.name, "version": report.model.version, "sha256": report.model.sha256},
        "provenance": {name: _text(words) for name, words in report.provenance.said.items()},
        "timing_s": {
            "decode": _round(timing.decode),
            "find": _round(timing.find),
            "score": _round(timing.score),
            "total": _round(timing.total),
        },
    }


def sentence(verdict: Verdict) -> str:
    """The verdict and its reasons as one line of plain words."""
    reasons = "; ".join(EXPLANATIONS[reason] for reason in verdict.reasons)
    return f"{SENTENCES[verdict.label]} Reason: {reasons}." if reasons else SENTENCES[verdict.label]


def _person(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "verdict": _verdict(person.verdict),
        "faces": [_face(score) for score in person.scores],
    }


def _face(score: Score) -> dict[str, Any]:
    face, quality = score.face, score.face.quality
    row: dict[str, Any] = {
        "frame": face.frame,
        "time_s": _round(face.time_s),
        "box": [_round(v, 1) for v in face.box],
        "probability_fake": _round(score.probability_fake),
        "quality": quality
        and {
            "size_px": _round(quality.size_px, 1),
            "brightness": _round(quality.brightness, 1),
            "sharpness": _round(quality.sharpness, 1),
            "inside": _round(quality.inside, 3),
            "novelty": None if quality.novelty is None else _round(quality.novelty, 3),
            "unusable": quality.unusable,
        },
    }
    if score.heatmap is not None:
        row["heatmap"] = [[_round(float(v), 3) for v in line] for line in score.heatmap]
    return row


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "label": verdict.label,
        "probability_fake": _round(verdict.probability_fake),
        "reasons": list(verdict.reasons),
    }


def _at_prevalence(verdict: Verdict, prevalence: float | None) -> dict[str, Any]:
    if prevalence is None:
        return {}
    p = verdict.probability_fake
    return {
        "prevalence": prevalence,
        "probability_fake_at_prevalence": None if p is None else _round(at_prevalence(p, prevalence)),
    }


def _round(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(float(value), digits)


def _text(value: str) -> str:
    """A file name with bytes that are no UTF-8 shows them as \\xNN."""
    return os.fsencode(value).decode("utf-8", "backslashreplace")
