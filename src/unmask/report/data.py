"""Report → JSON, schema unmask.report/1."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from unmask.types import Credentials, Exhibit, Failure, Person, Provenance, Report, Score, Settings, Verdict
from unmask.verdict import at_prevalence

SCHEMA = "unmask.report/1"


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
        "people": [_person(person, report.media.kind == "video") for person in report.people],
        "model": {"name": report.model.name, "version": report.model.version, "sha256": report.model.sha256},
        "provenance": _provenance(report.provenance) | {"contradictions": list(report.contradictions)},
        "settings": settings_json(report.settings),
        "timing_s": {
            "decode": _round(timing.decode),
            "find": _round(timing.find),
            "score": _round(timing.score),
            "evidence": _round(timing.evidence),
            "total": _round(timing.total),
        },
    }


def settings_json(settings: Settings) -> dict[str, Any]:
    """What was asked for, with the sha-256 of it as compact JSON with sorted keys."""
    asked = {
        "frames": settings.frames,
        "faces": settings.finder,
        "engine": settings.engine,
        "stability": settings.stability,
        "explain": settings.explain,
    }
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return asked | {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def _person(person: Person, video: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": person.id,
        "verdict": _verdict(person.verdict),
        "faces": [_face(score) for score in person.scores],
    }
    if video:
        row["segments"] = [
            {
                "start_s": _round(segment.start_s, 3),
                "end_s": _round(segment.end_s, 3),
                "within_s": _round(segment.within_s, 3),
                "probability_fake": _round(segment.probability_fake),
                "faces": segment.faces,
            }
            for segment in person.segments
        ]
        row["timeline"] = [
            {
                "time_s": _round(moment.time_s),
                "probability_fake": _round(moment.probability_fake),
                "ci95": [_round(moment.low), _round(moment.high)],
            }
            for moment in person.timeline
        ]
    if person.stability:
        row["stability"] = [
            {"change": v.change, "probability_fake": _round(v.probability_fake), "label": v.label}
            for v in person.stability
        ]
    if person.exhibits:
        row["exhibits"] = [_exhibit(exhibit) for exhibit in person.exhibits]
    return row


def _exhibit(exhibit: Exhibit) -> dict[str, Any]:
    face, grade = exhibit.score.face, exhibit.faithfulness
    row: dict[str, Any] = {"role": exhibit.role, "frame": face.frame, "time_s": _round(face.time_s)}
    if grade is not None:
        row["heatmap_grade"] = {
            "faithful": grade.faithful,
            "p": _round(grade.p, 3),
            "trials": grade.trials,
            "effect": _round(grade.effect, 3),
            "random_effect": _round(grade.random_effect, 3),
            "shares": list(grade.shares),
            "deletion": [_round(v, 3) for v in grade.deletion],
            "insertion": [_round(v, 3) for v in grade.insertion],
            "random_deletion": [_round(v, 3) for v in grade.random_deletion],
            "random_insertion": [_round(v, 3) for v in grade.random_insertion],
        }
    return row


def _provenance(provenance: Provenance) -> dict[str, Any]:
    said = {name: _text(words) for name, words in provenance.said.items()}
    return said | {
        "ai_generated": provenance.ai_generated,
        "credentials": _credentials(provenance.credentials),
        "traces": {name: _text(words) for name, words in provenance.traces.items()},
    }


def _credentials(found: Credentials) -> dict[str, Any]:
    if found.state == "absent":
        return {"state": "absent"}
    return {
        "state": found.state,
        "signer": _text(found.signer),
        "issuer": _text(found.issuer),
        "generator": _text(found.generator),
        "signed_at": _text(found.signed_at),
        "actions": [_text(action) for action in found.actions],
        "digital_source_type": _text(found.source),
        "ai_generated": found.ai_generated,
        "problems": [_text(problem) for problem in found.problems],
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
    if score.corners is not None:
        row["corners"] = [[_round(float(v), 1) for v in corner] for corner in score.corners]
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
