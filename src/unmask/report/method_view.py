"""How a report came about and how often its model errs, by its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unmask._internal.text import on_one_line
from unmask.bundle.card import Card
from unmask.report.language import say
from unmask.report.phrases import number
from unmask.types import Report, Settings

NAMED_SETS = 8
"""Data sets that a bundle was trained on that are named, the largest; the others are counted."""


def method_view(report: Report, card: Card) -> dict[str, Any]:
    """Model, settings and error rates."""
    tree, settings = card.text, report.settings
    limits = tree["thresholds"]
    return {
        "model": f"{card.name} {card.version}",
        "intended_use": on_one_line(say(str(tree["intended_use"]))),
        "limits": [on_one_line(say(str(limit))) for limit in tree["limits"]],
        "evaluated_on": on_one_line(str(tree["evaluated_on"])),
        "training": _training_sets(tree["training_data"]),
        "rates": [
            *_rates(limits.get("fake", {}), say("real faces called fake")),
            *_rates(limits.get("real", {}), say("fake faces called real")),
        ],
        "figures": [*_figures(tree.get("metrics", {}))],
        "settings": _settings(settings),
    }


def _settings(settings: Settings) -> str:
    frames = (
        say("{n} frames at most, more in long videos", n=settings.frames)
        if settings.by_length
        else say("{n} frames at most", n=settings.frames)
    )
    again = (
        say("judged again after changes") if settings.stability else say("judged once, unchanged")
    )
    found = say("faces by {finder}", finder=settings.finder)
    return f"{frames}; {found}; {settings.engine}; {again}"


def _rates(tree: Any, what: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows for the table of error rates, as far as the card has them.

    Only its bundle's maker filled it in.
    """
    for name, row in _rows(
        tree.get("by_data_set") if isinstance(tree, Mapping) else None, "ci95", "wrong", "n"
    ):
        low, high = row["ci95"]
        count = say("{wrong} of {n}", wrong=row["wrong"], n=row["n"])
        yield name, what, count, say("{low:.1%} to {high:.1%}", low=float(low), high=float(high))


def _figures(metrics: Any) -> Iterator[tuple[str, str, str, str, str]]:
    for name, row in _rows(metrics, "n", "auc", "fpr_at_threshold", "n_fake", "confusion"):
        auc = number(row["auc"])
        if interval := row.get("auc_ci95"):
            low, high = interval
            auc += say(" ({low:.3f} to {high:.3f})", low=float(low), high=float(high))
        accused, fakes = row["fpr_at_threshold"], row["n_fake"]
        found = row["confusion"]["tp"] / fakes if fakes else None
        yield name, str(row["n"]), auc, _share(accused), _share(found)


def _share(value: float | None) -> str:
    return "–" if value is None else say("{share:.1%}", share=float(value))


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
        words.append(
            say(
                "{sets} smaller data sets: {real} real, {fake} fake faces",
                sets=names,
                real=real,
                fake=fake,
            )
        )
    return words


def _training_set(row: Mapping[str, Any]) -> str:
    name, split = on_one_line(str(row["dataset"])), on_one_line(str(row["split"]))
    return say(
        "{name} ({split}): {real} real, {fake} fake faces",
        name=name,
        split=split,
        real=row["real"],
        fake=row["fake"],
    )
