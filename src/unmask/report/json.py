"""Report → JSON, in the shape that `report/shape.py` declares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from unmask._internal.text import valid_unicode
from unmask.analysis.verdict import at_prevalence
from unmask.report.shape import (
    SCHEMA,
    CredentialsJson,
    ExhibitJson,
    FaceJson,
    FailureJson,
    FindingJson,
    HeatmapTestJson,
    MediaJson,
    MomentJson,
    PersonJson,
    ProvenanceJson,
    QualityJson,
    ReportJson,
    SegmentJson,
    SettingsJson,
    VerdictJson,
)
from unmask.types import (
    Credentials,
    Exhibit,
    Failure,
    Faithfulness,
    Finding,
    Media,
    Moment,
    Person,
    Quality,
    Report,
    Score,
    Segment,
    Settings,
    Verdict,
)


def to_json(report: Report | Failure, prevalence: float | None = None) -> dict[str, Any]:
    """The report of one file as JSON values; all numbers are finite, all text is valid Unicode.

    - prevalence: the share of fakes among the user's files, 0–1, for which the verdict's
      probability is given as well
    """
    if isinstance(report, Failure):
        return cast(dict[str, Any], _failure(report))
    return cast(dict[str, Any], _report(report, prevalence))


def settings_json(settings: Settings) -> SettingsJson:
    """What was asked for, with the sha-256 of it as compact JSON with sorted keys."""
    values = {
        "frames": settings.frames,
        "faces": settings.finder,
        "engine": settings.engine,
        "stability": settings.stability,
        "explain": settings.explain,
    }
    if settings.by_length:
        values["by_length"] = True
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    tree: SettingsJson = {
        "frames": settings.frames,
        "faces": settings.finder,
        "engine": settings.engine,
        "stability": settings.stability,
        "explain": settings.explain,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    if settings.by_length:
        tree["by_length"] = True
    return tree


def _failure(failure: Failure) -> FailureJson:
    return {
        "schema": SCHEMA,
        "media": {"path": valid_unicode(failure.path)},
        "error": {"kind": failure.kind, "message": valid_unicode(failure.message)},
    }


def _report(report: Report, prevalence: float | None) -> ReportJson:
    is_video = report.media.kind == "video"
    timing = report.timing_s
    tree: ReportJson = {
        "schema": SCHEMA,
        "media": _media(report.media),
        "verdict": _verdict_at(report.verdict, prevalence),
        "people": [_person(person, is_video) for person in report.people],
        "model": {
            "name": report.model.name,
            "version": report.model.version,
            "sha256": report.model.sha256,
        },
        "provenance": _provenance(report),
        "settings": settings_json(report.settings),
        "timing_s": {
            "decode": _rounded(timing.decode),
            "find": _rounded(timing.find),
            "score": _rounded(timing.score),
            "evidence": _rounded(timing.evidence),
            "total": _rounded(timing.total),
        },
    }
    if report.further_findings:
        tree["findings"] = [_finding(finding) for finding in report.further_findings]
    return tree


def _media(media: Media) -> MediaJson:
    tree: MediaJson = {
        "path": valid_unicode(media.path),
        "sha256": media.sha256,
        "kind": media.kind,
        "width": media.width,
        "height": media.height,
        "duration_s": _rounded_or_none(media.duration_s),
        "fps": str(media.fps) if media.fps else None,
        "frames_read": media.frames_read,
        "read_share": _rounded(media.read_share),
        "notes": list(media.notes),
    }
    if media.longest_gap_s is not None:
        tree["longest_gap_s"] = _rounded(media.longest_gap_s, 3)
    if media.unseen:
        tree["unseen"] = [
            {"part": one.part, "count": one.count, "note": one.note} for one in media.unseen
        ]
    if media.fetched is not None:
        fetched = media.fetched
        tree["fetched"] = {
            "url": valid_unicode(fetched.url),
            "final_url": valid_unicode(fetched.final_url),
            "at": fetched.at,
        }
    return tree


def _verdict(verdict: Verdict) -> VerdictJson:
    return {
        "label": verdict.label,
        "probability_fake": _rounded_or_none(verdict.probability_fake),
        "reasons": list(verdict.reasons),
    }


def with_prevalence(tree: Mapping[str, Any], prevalence: float) -> dict[str, Any]:
    """A report's JSON for a reader who knows how common fakes are in what he checks.

    - prevalence: their share, 0–1
    """
    verdict = tree["verdict"]
    known = _at_share(verdict["probability_fake"], prevalence)
    return {**tree, "verdict": {**verdict, **known}}


def _at_share(probability: float | None, prevalence: float) -> dict[str, float | None]:
    there = None if probability is None else at_prevalence(probability, prevalence)
    return {"prevalence": prevalence, "probability_fake_at_prevalence": _rounded_or_none(there)}


def _verdict_at(verdict: Verdict, prevalence: float | None) -> VerdictJson:
    known = {} if prevalence is None else _at_share(verdict.probability_fake, prevalence)
    return cast(VerdictJson, {**_verdict(verdict), **known})


def _person(person: Person, is_video: bool) -> PersonJson:
    tree: PersonJson = {
        "id": person.id,
        "verdict": _verdict(person.verdict),
        "faces": [_face(score) for score in person.scores],
    }
    if is_video:
        tree["segments"] = [_segment(segment) for segment in person.segments]
        tree["timeline"] = [_moment(moment) for moment in person.timeline]
    if person.stability:
        tree["stability"] = [
            {
                "change": variant.change,
                "probability_fake": _rounded(variant.probability_fake),
                "label": variant.label,
            }
            for variant in person.stability
        ]
    if person.exhibits:
        tree["exhibits"] = [_exhibit(exhibit) for exhibit in person.exhibits]
    return tree


def _face(score: Score) -> FaceJson:
    face = score.face
    tree: FaceJson = {
        "frame": face.frame,
        "time_s": _rounded(face.time_s),
        "box": [_rounded(value, 1) for value in face.box],
        "probability_fake": _rounded_or_none(score.probability_fake),
        "quality": None if face.quality is None else _quality(face.quality),
    }
    if score.heatmap is not None:
        tree["heatmap"] = [[_rounded(value, 3) for value in row] for row in score.heatmap]
    if score.corners is not None:
        tree["corners"] = [[_rounded(value, 1) for value in corner] for corner in score.corners]
    if score.quick:
        tree["quick"] = True
    return tree


def _quality(quality: Quality) -> QualityJson:
    return {
        "size_px": _rounded(quality.size_px, 1),
        "brightness": _rounded(quality.brightness, 1),
        "sharpness": _rounded(quality.sharpness, 1),
        "inside": _rounded(quality.inside, 3),
        "novelty": _rounded_or_none(quality.novelty, 3),
        "unusable": quality.unusable,
    }


def _segment(segment: Segment) -> SegmentJson:
    return {
        "start_s": _rounded(segment.start_s, 3),
        "end_s": _rounded(segment.end_s, 3),
        "within_s": _rounded(segment.within_s, 3),
        "probability_fake": _rounded(segment.probability_fake),
        "faces": segment.faces,
    }


def _moment(moment: Moment) -> MomentJson:
    return {
        "time_s": _rounded(moment.time_s),
        "probability_fake": _rounded(moment.probability_fake),
        "ci95": [_rounded(moment.low), _rounded(moment.high)],
    }


def _exhibit(exhibit: Exhibit) -> ExhibitJson:
    face = exhibit.score.face
    tree: ExhibitJson = {
        "role": exhibit.role,
        "frame": face.frame,
        "time_s": _rounded(face.time_s),
    }
    if exhibit.faithfulness is not None:
        tree["heatmap_grade"] = _heatmap_test(exhibit.faithfulness)
    if exhibit.pointing is not None:
        known = exhibit.pointing
        tree["heatmap_pointing"] = {
            "faces": known.faces,
            "rate": _rounded(known.rate, 3),
            "middle": _rounded(known.middle, 3),
        }
    return tree


def _heatmap_test(tested: Faithfulness) -> HeatmapTestJson:
    return {
        "faithful": tested.faithful,
        "p": _rounded(tested.p, 3),
        "trials": tested.trials,
        "effect": _rounded(tested.effect, 3),
        "random_effect": _rounded(tested.random_effect, 3),
        "shares": list(tested.shares),
        "deletion": [_rounded(value, 3) for value in tested.deletion],
        "insertion": [_rounded(value, 3) for value in tested.insertion],
        "random_deletion": [_rounded(value, 3) for value in tested.random_deletion],
        "random_insertion": [_rounded(value, 3) for value in tested.random_insertion],
    }


def _provenance(report: Report) -> ProvenanceJson:
    provenance = report.provenance
    said = {name: valid_unicode(words) for name, words in provenance.said.items()}
    tree: dict[str, Any] = {
        **said,
        "ai_generated": provenance.ai_generated,
        "credentials": _credentials(provenance.credentials),
        "traces": {code: valid_unicode(words) for code, words in provenance.traces.items()},
        "contradictions": list(report.contradictions),
    }
    return cast(ProvenanceJson, tree)


def _credentials(credentials: Credentials) -> CredentialsJson:
    if credentials.state == "absent":
        return {"state": "absent"}
    return {
        "state": credentials.state,
        "signer": valid_unicode(credentials.signer),
        "issuer": valid_unicode(credentials.issuer),
        "generator": valid_unicode(credentials.generator),
        "signed_at": valid_unicode(credentials.signed_at),
        "actions": [valid_unicode(action) for action in credentials.actions],
        "digital_source_type": valid_unicode(credentials.source),
        "ai_generated": credentials.ai_generated,
        "problems": [valid_unicode(problem) for problem in credentials.problems],
        "unchecked": [valid_unicode(code) for code in credentials.unchecked],
        "trust": credentials.trust,
        "trust_list_sha256": credentials.trust_list or None,
        "soft_bindings": [valid_unicode(name) for name in credentials.soft_bindings],
        "history": [
            {
                "signer": valid_unicode(step.signer),
                "generator": valid_unicode(step.generator),
                "signed_at": valid_unicode(step.signed_at),
                "actions": [valid_unicode(action) for action in step.actions],
                "digital_source_type": valid_unicode(step.source),
            }
            for step in credentials.history
        ],
    }


def _finding(finding: Finding) -> FindingJson:
    return {
        "analyzer": valid_unicode(finding.analyzer),
        "code": valid_unicode(finding.code),
        "summary": valid_unicode(finding.summary),
        "points_to": finding.points_to,
        "probability_fake": _rounded_or_none(finding.probability_fake),
    }


def _rounded(value: float, digits: int = 6) -> float:
    return round(float(value), digits)


def _rounded_or_none(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else _rounded(value, digits)
