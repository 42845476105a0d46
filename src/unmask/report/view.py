"""Report → what a reader is shown, in words and pictures, on the page and in the PDF."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import unmask
from unmask._internal.text import on_one_line
from unmask.analysis.verdict import judged_faces, suspicion
from unmask.bundle.card import Card, Thresholds
from unmask.provenance.generator_marks import MESSAGES, SMALLEST_PIXELS
from unmask.report.credential_words import chain, source_words
from unmask.report.file_words import file_words
from unmask.report.json import settings_json
from unmask.report.language import fixed, in_language, language, say, say_many
from unmask.report.method_view import method_view
from unmask.report.people_view import MARKS, Drawings, Picture, frame_of, person_row, person_view
from unmask.report.phrases import (
    IDENTITY_UNCHECKED,
    MEANS,
    TRACE_WORDS,
    clip_sureness,
    credentials_in_words,
    headline,
    label_words,
    number,
    sureness,
)
from unmask.report.summary import summary
from unmask.report.texts import texts
from unmask.report.why import by_base_rate, not_covered, percent, why
from unmask.types import Finding, Report, Verdict

LISTED_PEOPLE = 40
"""People in the table at most."""


def build(
    report: Report,
    card: Card,
    made_on: datetime.date,
    prevalence_words: str = "",
    drawings: Drawings | None = None,
) -> dict[str, Any]:
    """All that the templates need: text, and `Picture`s.

    Nothing in it depends on the clock but `made_on`.

    - drawings: pictures of this report that are drawn already; new ones are added
    """
    drawings = Drawings() if drawings is None else drawings
    verdict, media = report.verdict, report.media
    means, means_not = (say(words) for words in MEANS[verdict.label])
    people = sorted(report.people, key=suspicion)
    thresholds = card.thresholds.over(judged_faces(people[0]) if people else 0)
    shown = [person for person in people if person.exhibits] or people[:1]
    others = [person for person in report.people if person not in shown]
    view = {
        "language": language(),
        "title": f"{on_one_line(Path(media.path).name)}: {label_words(verdict.label)}",
        "name": on_one_line(Path(media.path).name),
        "label": verdict.label.value,
        "label_words": label_words(verdict.label),
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
        "contradictions": [in_language(words) for words in report.contradictions],
        "findings": [
            {"analyzer": on_one_line(finding.analyzer), "words": _finding_words(finding)}
            for finding in report.further_findings
        ],
        "facts": list(_facts(report)),
        "notes": [on_one_line(in_language(note)) for note in media.notes],
        "lead": _lead(report, drawings),
        "people": [person_view(person, report, card, drawings) for person in shown],
        "others": [person_row(person, media.kind == "video") for person in others[:LISTED_PEOPLE]],
        "unlisted": max(0, len(others) - LISTED_PEOPLE),
        "said": list(file_words(report.provenance.said, media.path)),
        "traces": [
            (say(TRACE_WORDS.get(code, code)), on_one_line(in_language(words)))
            for code, words in report.provenance.traces.items()
        ]
        + _marks_not_found(report),
        "ai_generated": report.provenance.ai_generated,
        "credentials": _credentials(report),
        "method": method_view(report, card),
        "thresholds": {"fake": thresholds.fake, "real": thresholds.real},
        "fake_percent": percent(thresholds.fake),
        "real_percent": percent(thresholds.real),
        "fake_threshold": number(thresholds.fake),
        "real_threshold": number(thresholds.real),
        "digests": [
            (say("sha-256 of the file"), media.sha256),
            (say("sha-256 of the model"), report.model.sha256),
            (say("sha-256 of the settings"), settings_json(report.settings)["sha256"]),
        ],
        "command": command(report),
        "version": unmask.__version__,
        "date": made_on.isoformat(),
    }
    view["texts"] = texts(view)
    return {**view, "summary": summary(view), "case": None}


def _sureness(verdict: Verdict, thresholds: Thresholds, card: Card) -> str:
    """How often the model errs: by single faces, or by clips where their thresholds were used.

    - thresholds: those that led to the verdict
    """
    if thresholds is card.thresholds:
        rates = thresholds.false_positive_rate, thresholds.false_negative_rate
        return sureness(verdict, *rates)
    return clip_sureness(verdict, card.text["thresholds"]["clip"])


def _marks_not_found(report: Report) -> list[tuple[str, str]]:
    """Which marks were looked for in a picture in vain."""
    media = report.media
    too_small = media.width * media.height < SMALLEST_PIXELS
    if media.kind == "video" or too_small or "generator_mark" in report.provenance.traces:
        return []
    words = say(
        "none of {generators} was found, which says nothing", generators=", ".join(MESSAGES)
    )
    return [(say("Invisible marks"), words)]


def _finding_words(finding: Finding) -> str:
    words = on_one_line(in_language(finding.summary))
    if finding.points_to is None:
        return words
    return say("{words} (points to {verdict})", words=words, verdict=label_words(finding.points_to))


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
    yield say("File"), on_one_line(media.path)
    if media.fetched is not None:
        yield say("Fetched from"), on_one_line(media.fetched.url)
        if media.fetched.final_url != media.fetched.url:
            yield say("Which led to"), on_one_line(media.fetched.final_url)
        yield say("Fetched at"), media.fetched.at
    shape = say("{width}×{height} pixels", width=media.width, height=media.height)
    if media.kind == "video":
        length = f"{fixed(media.duration_s or 0, 1)} s"
        rate = say("{rate:.2f} frames a second", rate=float(media.fps)) if media.fps else ""
        checked = say_many("{n} frame was checked", "{n} frames were checked", media.frames_read)
        yield say("Video"), f"{', '.join(filter(None, (shape, length, rate)))}; {checked}"
    else:
        yield say("Picture"), shape
    judged = sum(
        score.probability_fake is not None for person in report.people for score in person.scores
    )
    yield (
        say("Faces"),
        say(
            "{found} found, {judged} judged; different people: {people}",
            found=sum(len(person.scores) for person in report.people),
            judged=judged,
            people=len(report.people),
        ),
    )


def _lead(report: Report, drawings: Drawings) -> Picture | None:
    """The frame with the most suspected face."""
    for person in sorted(report.people, key=suspicion):
        for exhibit in person.exhibits[:1]:
            frame = drawings.once(f"lead{person.id}", partial(frame_of, exhibit, with_map=False))
            if not frame:
                continue
            alt = (
                say(
                    "The frame at {time:.1f} s; a square marks the face of person {id}",
                    time=float(exhibit.score.face.time_s),
                    id=person.id,
                )
                if report.media.kind == "video"
                else say("The picture; a square marks the face of person {id}", id=person.id)
            )
            return Picture("lead", frame, "jpeg", alt)
    return None


def _credentials(report: Report) -> dict[str, Any]:
    credentials = report.provenance.credentials
    rows = [
        (say("Signed by"), credentials.signer),
        (say("Certificate issued to"), credentials.issuer),
        (say("Signed at"), credentials.signed_at),
        (say("Made with"), credentials.generator),
        (say("Digital source type"), source_words(credentials.source)),
        (say("Failed checks"), ", ".join(credentials.problems)),
        (say("Not checked"), say(IDENTITY_UNCHECKED) if credentials.unchecked else ""),
        (say("Watermark or fingerprint named"), ", ".join(credentials.soft_bindings)),
        (say("sha-256 of the list of trusted signers"), credentials.trust_list),
    ]
    return {
        "state": credentials.state,
        "words": credentials_in_words(credentials),
        "rows": [(name, on_one_line(words)) for name, words in rows if words],
        "chain": list(chain(credentials)),
    }
