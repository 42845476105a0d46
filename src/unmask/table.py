"""A report as a table on the terminal."""

from __future__ import annotations

import os

from rich.table import Table
from rich.text import Text

from unmask.report import EXPLANATIONS, SENTENCES
from unmask.types import Label, Person, Reason, Report

COLOURS: dict[Label, str] = {
    Label.FAKE: "bold red",
    Label.REAL: "bold green",
    Label.INCONCLUSIVE: "bold yellow",
    Label.NOT_APPLICABLE: "bold",
}

THRESHOLD_REASONS = (Reason.ABOVE_FAKE_THRESHOLD, Reason.BELOW_REAL_THRESHOLD, Reason.BETWEEN_THRESHOLDS)


def report_table(report: Report) -> Table:
    """The verdict in words with its reasons, the probability, the people and the time of each stage."""
    media, verdict = report.media, report.verdict
    table = Table(title=Text(_printable(media.path)), title_justify="left", show_header=False, min_width=60)
    table.add_column(no_wrap=True)
    table.add_column()
    label = verdict.label.replace("_", " ").upper()
    table.add_row("Verdict", Text.assemble((label, COLOURS[verdict.label]), f" — {SENTENCES[verdict.label]}"))
    table.add_row("Why", "; ".join(EXPLANATIONS[reason] for reason in verdict.reasons))
    table.add_row("Probability of fake", _probability(verdict.probability_fake))
    brief = [person for person in report.people if Reason.FEW_FRAMES in person.verdict.reasons]
    for person in report.people:
        if person not in brief or len(brief) == len(report.people):
            table.add_row(f"Person {person.id}", Text.assemble(*_person(person, media.frames_read)))
    if brief and len(brief) < len(report.people):
        table.add_row("", f"and {len(brief)} more seen too briefly to be judged")
    length = (
        f", {media.duration_s:.1f} s, {media.frames_read} frames read"
        if media.kind == "video" and media.duration_s
        else ""
    )
    table.add_row("File", f"{media.kind}, {media.width}×{media.height}{length}")
    if media.read_share < 1:
        table.add_row("", f"only {media.read_share:.0%} of it could be read")
    for note in media.notes:
        table.add_row("", note)
    if said := report.provenance.said:
        table.add_row("The file says", Text("; ".join(f"{name}: {words}" for name, words in said.items())))
    timing = report.timing_s
    stages = f"decode {timing.decode:.2f}, find faces {timing.find:.2f}, score {timing.score:.2f}; they overlap"
    table.add_row("Time", f"{timing.total:.2f} s ({stages})")
    table.add_row("Model", f"{report.model.name} {report.model.version}, sha-256 {report.model.sha256[:12]}…")
    return table


def _person(person: Person, frames_read: int) -> list[str | tuple[str, str]]:
    verdict, scores = person.verdict, person.scores
    parts: list[str | tuple[str, str]] = [(verdict.label.replace("_", " "), COLOURS[verdict.label])]
    if verdict.probability_fake is not None:
        parts.append(f", probability of fake {verdict.probability_fake:.3f}")
    if frames_read > 1:
        first, last = scores[0].face.time_s, scores[-1].face.time_s
        parts.append(f"; seen in {len(scores)} of {frames_read} frames, {first:.1f}–{last:.1f} s")
        judged = sum(score.probability_fake is not None for score in scores)
        parts += [f", judged in {judged}"] if judged < len(scores) else []
    sizes = sorted({round(score.face.quality.size_px) for score in scores if score.face.quality})
    parts += [f"; face {'–'.join(map(str, sizes[:: max(1, len(sizes) - 1)]))} px"] if sizes else []
    limits = [EXPLANATIONS[reason] for reason in verdict.reasons if reason not in THRESHOLD_REASONS]
    return [*parts, *(f"; {limit}" for limit in limits)]


def _probability(value: float | None) -> str:
    return "none: nothing was judged" if value is None else f"{value:.3f}"


def _printable(path: str) -> str:
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
