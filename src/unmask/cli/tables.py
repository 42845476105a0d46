"""Reports, figures and cards as tables and lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.table import Table
from rich.text import Text

from unmask._internal.text import valid_unicode
from unmask._internal.units import duration_words, size_words
from unmask._internal.words import Words
from unmask.analysis.verdict import at_prevalence
from unmask.bundle.card import Card
from unmask.report.file_words import file_words
from unmask.report.language import fixed, in_language, say, say_many
from unmask.report.phrases import (
    IDENTITY_UNCHECKED,
    credentials_in_words,
    explanation,
    headline,
    label_words,
    number,
)
from unmask.report.why import percent, why
from unmask.types import Label, Media, Person, Reason, Report

COLOURS: dict[Label, str] = {
    Label.FAKE: "bold red",
    Label.REAL: "bold green",
    Label.INCONCLUSIVE: "bold yellow",
    Label.NOT_APPLICABLE: "bold",
}

THRESHOLD_REASONS = (
    Reason.ABOVE_FAKE_THRESHOLD,
    Reason.BELOW_REAL_THRESHOLD,
    Reason.BETWEEN_THRESHOLDS,
)


def report_table(report: Report, card: Card, prevalence: float | None = None) -> Table:
    """A report as a table: the verdict and its reasons, probability, people, file and timing.

    - card: of the bundle that judged
    - prevalence: the user's share of fakes, 0–1, or None
    """
    media, verdict = report.media, report.verdict
    table = Table(
        title=Text(printable(media.path)), title_justify="left", show_header=False, min_width=60
    )
    table.add_column(max_width=19)
    table.add_column()
    label = label_words(verdict.label).upper()
    table.add_row(
        say("Verdict"), Text.assemble((label, COLOURS[verdict.label]), f" — {headline(report)}")
    )
    # the table would break lines between a number and its sign
    table.add_row(say("Why"), Text(" ".join(why(report, card)).replace("\N{NO-BREAK SPACE}%", "%")))
    table.add_row(say("Probability of fake"), _probability(verdict.probability_fake))
    if prevalence is not None and verdict.probability_fake is not None:
        known = at_prevalence(verdict.probability_fake, prevalence)
        at_share = Words("{known:.3f} if {share:g} of the files you check are fakes")
        table.add_row("", say(at_share, known=float(known), share=float(prevalence)))
    brief = [person for person in report.people if Reason.FEW_FRAMES in person.verdict.reasons]
    for person in report.people:
        if person not in brief or len(brief) == len(report.people):
            name = say("Person {id}", id=person.id)
            table.add_row(name, Text.assemble(*_person(person, media.frames_read)))
    if brief and len(brief) < len(report.people):
        table.add_row("", say("and {n} more, seen too briefly to be judged", n=len(brief)))
    table.add_row(say("File"), _shape(media))
    if media.fetched is not None:
        words = say("fetched from {url} at {time}", url=media.fetched.url, time=media.fetched.at)
        table.add_row("", Text(words))
    for note in media.notes:
        table.add_row("", in_language(note))
    for name, words in _provenance(report):
        table.add_row(name, Text(words))
    timing = report.timing_s
    stages = Words(
        "{total:.2f} s (decode {decode:.2f}, find faces {find:.2f}, score {score:.2f}, evidence"
        " {evidence:.2f}; they overlap)"
    )
    seconds = {
        "total": timing.total,
        "decode": timing.decode,
        "find": timing.find,
        "score": timing.score,
        "evidence": timing.evidence,
    }
    table.add_row(say("Time"), say(stages, **seconds))
    table.add_row(
        say("Model"),
        f"{report.model.name} {report.model.version}, sha-256 {report.model.sha256[:12]}…",
    )
    return table


def _shape(media: Media) -> str:
    size = {"width": media.width, "height": media.height}
    if media.kind != "video":
        return say("picture, {width}×{height}", **size)
    if not media.duration_s:
        return say("video, {width}×{height}", **size)
    return say_many(
        "video, {width}×{height}, {seconds:.1f} s, {n} frame checked",
        "video, {width}×{height}, {seconds:.1f} s, {n} frames checked",
        media.frames_read,
        seconds=float(media.duration_s),
        **size,
    )


def _provenance(report: Report) -> Iterator[tuple[str, str]]:
    claims = report.provenance
    if claims.said:
        rows = file_words(claims.said, report.media.path)
        yield say("The file says"), "; ".join(f"{name}: {words}" for name, words in rows)
    for words in claims.traces.values():
        yield "", in_language(words)
    if claims.credentials.state != "absent":
        signer = claims.credentials.signer
        signed = f" {say('Signed by')}: {signer}." if signer else ""
        yield say("Credentials"), credentials_in_words(claims.credentials) + signed
    if claims.credentials.unchecked:
        yield "", f"{say('Not checked')}: {say(IDENTITY_UNCHECKED)}."
    for words in report.contradictions:
        yield say("Contradiction"), in_language(words)
    for finding in report.further_findings:
        yield finding.analyzer.capitalize(), in_language(finding.summary)


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """The figures of an evaluation, set by set."""
    table = Table()
    for column in (
        "data",
        "n",
        "real",
        "fake",
        "coverage",
        "AUC",
        "95 % interval",
        "accuracy",
        "majority",
        "ECE",
    ):
        table.add_column(column, justify="left" if column == "data" else "right")
    for name, row in (*metrics["datasets"].items(), ("overall", metrics["overall"])):
        interval = "–".join(f"{end:.3f}" for end in row["auc_ci95"]) if row["auc_ci95"] else "–"
        counts = (str(row[key]) for key in ("n", "n_real", "n_fake"))
        figures = (number(row[key]) for key in ("accuracy", "majority_baseline", "ece"))
        table.add_row(
            name, *counts, number(row["coverage"]), number(row["auc"]), interval, *figures
        )
    return table


def lab_table(content: Mapping[str, Any]) -> Table:
    """A table of the lab's pages for a terminal.

    - content: head and rows of words, the first of each row a name
    """
    table = Table()
    for place, column in enumerate(content["head"]):
        table.add_column(column, justify="right" if place else "left")
    for row in content["rows"]:
        table.add_row(*row)
    return table


def source_summary(summary: Mapping[str, Any]) -> Iterator[str]:
    """Mean and worst of the sources of each class, as lines."""
    for word, part in summary.items():
        wrong = "real" if word == "fake" else "fake"
        yield (
            f"{part['sources']} sources of {word} faces: AUC {part['auc_mean']:.3f} on average,"
            f" {part['auc_worst']:.3f} at worst ({part['worst']}); called {wrong}:"
            f" {part['wrong_mean']:.1%} on average, {part['wrong_worst']:.1%} at worst"
            f" ({part['most_wrong']}); inconclusive: {part['undecided_mean']:.1%}"
        )


def stress_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What stress does: for each kind and strength the AUC, verdicts that change, reals accused.

    - rows: of the lab's stress test, the first for the pictures as they are
    """
    clean = rows[0]
    table = Table(
        title=f"{clean['n']} pictures, AUC {clean['auc']:.3f} as they are", title_justify="left"
    )
    table.add_column("degraded by")
    heads = ("strength", "AUC", "change", "verdicts that change", "real ↔ fake", "real called fake")
    for words in heads:
        table.add_column(words, justify="right")
    for before, row in pairwise(rows):
        new = row["stress"] != before["stress"]
        table.add_row(
            f"{row['stress']} ({row['unit']})" if new else "",
            f"{row['strength']:g}",
            f"{row['auc']:.3f}",
            f"{row['change']:+.3f}",
            f"{row['flipped']:.1%}",
            f"{row['reversed']:.1%}",
            f"{row['accused']:.1%}",
        )
    return table


def ledger_lines(total: Mapping[str, Any]) -> Iterator[str]:
    """What a ledger holds, in words.

    - total: of `unmask.archive.queries.summary`
    """
    video = f", {duration_words(total['video_s'])} of video" if total["video_s"] else ""
    gone = f"; {total['gone']:,} more are no longer there" if total["gone"] else ""
    yield (
        f"{total['files']:,} files, {total['contents']:,} contents,"
        f" {size_words(total['bytes'])}{video}{gone}"
    )
    for key in (*Label, "failed", "postponed", "pending"):
        if total[key] or key in tuple(Label):
            yield f"  {key.replace('_', ' '):16} {total[key]:10,}"
    for run in total["runs"][:3]:
        ended = (
            f"{run['how']}, {_utc(run['ended_at'])}"
            if run["ended_at"]
            else "still running, or was killed"
        )
        yield (
            f"run {run['id']}, {_utc(run['started_at'])}: {run['judged']:,} judged of"
            f" {', '.join(run['roots'])} ({ended})"
        )
        passed_over = run["passed_over"]
        if passed_over:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in passed_over.items())
            yield f"  passed over, being neither pictures nor videos: {kinds}"


def ledger_table(by: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Counts of a ledger, row by row.

    - rows: of `unmask.archive.queries.groups`
    """
    table = Table()
    table.add_column(by, overflow="fold")
    # what no row has is left out: the table is to be read at 80 columns
    rare = [name for name in ("failed", "postponed", "pending") if any(row[name] for row in rows)]
    columns = ("files", *Label, *rare)
    for column in columns:
        heading = "no face" if column == Label.NOT_APPLICABLE else column
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(Text(printable(row["name"])), *(f"{row[column]:,}" for column in columns))
    return table


def _utc(time: str) -> str:
    """A time of a ledger, to the second."""
    return f"{time[:19].replace('T', ' ')} UTC"


def card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """A card in words."""
    yield f"{card['name']} {card['version']} — {card['licence']}"
    yield f"Intended use: {card['intended_use']}"
    yield from (f"Limit: {limit}" for limit in card["limits"])
    thresholds = card["thresholds"]
    yield (
        f"Called fake at P ≥ {thresholds['fake']['probability']:.3f}"
        f" ({thresholds['fake']['false_positive_rate']:.1%} of real validation faces lie there),"
        f" real at P ≤ {thresholds['real']['probability']:.3f}"
        f" ({thresholds['real']['false_negative_rate']:.1%} of fake ones)"
    )
    if clip := thresholds.get("clip"):
        yield (
            f"People judged in {clip['min_faces']} frames or more: fake at P ≥"
            f" {clip['fake']['probability']:.3f}, real at P ≤ {clip['real']['probability']:.3f}"
            f" (chosen on {clip['chosen_on']})"
        )
    for label, what in (("fake", "real faces called fake"), ("real", "fake faces called real")):
        for name, row in thresholds[label].get("by_data_set", {}).items():
            low, high = row["ci95"]
            yield (
                f"  validation, {name}: {row['wrong']} of {row['n']} {what} (95 %:"
                f" {low:.1%}–{high:.1%})"
            )
    yield f"Measured on {card['evaluated_on']}:"
    for name, row in card["metrics"].items():
        yield f"  {name}: " + ", ".join(_figures(row))
    if videos := card.get("videos"):
        yield f"  whole clips, judged by {videos['judged_by']}: " + ", ".join(_of_clips(videos))
    for column, rows in card.get("by_column", {}).items():
        yield f"By {column.replace('_', ' ')}, with exact 95 % intervals:"
        yield from (f"  {_rates_in_words(row)}" for row in rows)
    if isinstance(leak := card["made_by"].get("leak"), list):
        yield from (f"TRAINED ON SPLITS THAT LEAK: {words}" for words in leak)
    for row in card["training_data"]:
        yield (
            f"Trained on {row['dataset']} ({row['split']}): {row['real']} real, {row['fake']} fake"
        )
    yield f"Made by: {card['made_by'].get('command')} at commit {card['made_by'].get('commit')}"


def _of_clips(videos: Mapping[str, Any]) -> Iterator[str]:
    """What a card says of whole clips."""
    yield f"{videos['real']} real, {videos['fake']} fake"
    interval = videos["auc_ci95"]
    yield f"AUC {videos['auc']:.3f}" + (
        "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    )


def _rates_in_words(row: Mapping[str, Any]) -> str:
    """A group of a card's `by_column`: how many are called the opposite, how many stay open."""
    opposite = "fake" if row["label"] == "real" else "real"
    wrong, undecided = row["opposite"], row["undecided"]
    low, high = undecided["ci95"]
    return (
        f"{row['value']}: of {wrong['n']} {row['label']} faces {wrong['wrong']} called {opposite}"
        f" (at most {wrong['ci95'][1]:.1%}), {undecided['wrong'] / undecided['n']:.0%} inconclusive"
        f" ({low:.0%}–{high:.0%})"
    )


def _figures(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"n {row['n']}"
    if row["auc"] is not None:
        yield f"AUC {row['auc']:.3f} [{', '.join(number(end) for end in row['auc_ci95'] or ())}]"
    if row["fpr_at_threshold"] is not None:
        yield f"real faces called fake {row['fpr_at_threshold']:.1%}"
    if row["n_real"] == 0:
        yield f"called fake at P ≥ 0.5 {row['confusion']['tp'] / row['n_fake']:.1%}"


def _person(person: Person, frames_read: int) -> list[str | tuple[str, str]]:
    verdict, scores = person.verdict, person.scores
    parts: list[str | tuple[str, str]] = [(label_words(verdict.label), COLOURS[verdict.label])]
    if verdict.probability_fake is not None:
        probability = fixed(verdict.probability_fake, 3)
        parts.append(f", {say('probability of fake {probability}', probability=probability)}")
    if frames_read > 1:
        seen = say(
            "seen in {seen} of {frames} frames, {start:.1f}–{end:.1f} s",
            seen=len(scores),
            frames=frames_read,
            start=float(scores[0].face.time_s),
            end=float(scores[-1].face.time_s),
        )
        judged = sum(score.probability_fake is not None for score in scores)
        of_them = f", {say('judged in {n}', n=judged)}" if judged < len(scores) else ""
        parts.append(f"; {seen}{of_them}")
    if Reason.FAKE_SEGMENT in verdict.reasons:
        times = ", ".join(
            f"{fixed(segment.start_s, 1)}–{fixed(segment.end_s, 1)} s"
            for segment in person.segments
        )
        parts.append(f"; {say('looks fake at {times}', times=times)}")
    if person.stability:
        low, high = (end(v.probability_fake for v in person.stability) for end in (min, max))
        span = f"{fixed(low, 3)}–{fixed(high, 3)}"
        parts.append(f"; {say('{span} after small edits', span=span)}")
    sizes = sorted({round(score.face.quality.size_px) for score in scores if score.face.quality})
    if sizes:
        span = "–".join(map(str, sizes[:: max(1, len(sizes) - 1)]))
        parts.append(f"; {say('face {span} px', span=span)}")
    limits = [explanation(reason) for reason in verdict.reasons if reason not in THRESHOLD_REASONS]
    return [*parts, *(f"; {limit}" for limit in limits)]


def _probability(value: float | None) -> str:
    """As people read it, and exactly."""
    if value is None:
        return say("none (nothing was judged)")
    return f"{percent(value)} ({fixed(value, 3)})"


def printable(path: str) -> str:
    """A name in one line, whatever it holds."""
    characters = valid_unicode(path)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in characters)
