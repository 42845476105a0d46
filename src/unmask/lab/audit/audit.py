"""The audit of a data set: do its splits leak, and can fakes be told from file properties alone?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from unmask._internal.atomic import output_errors
from unmask.errors import ManifestError
from unmask.lab.audit.file_features import PIXEL_FACTS, Facts, all_facts
from unmask.lab.audit.identities import cluster, embed
from unmask.lab.audit.leakage import NAMES, Leak, Leaks, find_leaks
from unmask.lab.data.datasets.base import PICTURES
from unmask.lab.data.manifest import Item
from unmask.lab.data.samples import find_samples
from unmask.lab.evaluation.html import write_page
from unmask.lab.evaluation.metrics import Array, bootstrap_auc
from unmask.lab.evaluation.plots import data_uri, plot_by_class, plot_intervals, png

MOST_ROWS = 20_000
"""More rows of one set than this are drawn from: the figure does not get better, only slower."""

TELLS = 0.6
"""AUC from file properties alone above which a set has a shortcut: lower end of the interval."""

TOGETHER = "all together"
"""What several data sets are called where they are measured as one."""

EXAMPLES = 12
"""Pairs that are shown with their pictures; the others are listed by name."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What a classifier reaches that sees no faces.

    - wrapping: from properties of the file alone
    - pixels: with colour, sharpness and noise of the whole picture. Each (AUC, low, high)
    - by_fact: the same for each fact by itself, worst first
    - of_crops: measured on training crops; their wrapping is sharpness, noise and compression
    """

    data: str
    rows: int
    wrapping: tuple[float, float, float]
    pixels: tuple[float, float, float]
    by_fact: dict[str, tuple[float, float, float]]
    of_crops: bool = False

    @property
    def worst(self) -> str:
        """The file property that tells most."""
        return next((name for name in self.by_fact if name not in PIXEL_FACTS), "none")

    def words(self) -> str:
        """One sentence."""
        auc, low, high = self.wrapping
        interval = f"AUC {auc:.3f} [{low:.3f}, {high:.3f}]"
        if self.of_crops:
            told = f"{interval} from sharpness, noise and compression of the crops alone"
            found, more = "these", "their colours"
        else:
            told = f"{interval} from facts of the files alone, without a face"
            found, more = "file properties", "colour, sharpness and noise of the pictures"
        if low > TELLS:
            return f"{told}: fakes can be told from {found}; worst: {self.worst}"
        if self.pixels[1] > TELLS:
            with_more = "{:.3f} [{:.3f}, {:.3f}]".format(*self.pixels)
            return f"{told}; {more} raise it to {with_more}"
        return f"{told}: no shortcut of note"


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops as a recipe trains on them.

    - name: what they are called
    - items: of which picture each was cut
    - facts: of each
    """

    name: str
    items: Sequence[Item]
    facts: Sequence[Facts]


@dataclass(frozen=True, slots=True)
class Audit:
    """All that was found.

    shortcuts: of each data set with both classes, and of all together.
    """

    counts: list[dict[str, Any]]
    leaks: Leaks
    shortcuts: list[Shortcut]
    people: int | None
    notes: list[str]


def audit(
    items: Sequence[Item],
    out: Path,
    *,
    identities: bool = True,
    crops: Callable[[], Crops] | None = None,
    jobs: int = 2,
    log: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Audit `items`; writes audit.json and audit.html into `out`.

    - identities: compare faces as well (slow: about 15 ms each)
    - crops: makes crops of them as a recipe trains on them, which are asked for a shortcut, too

    Raises ManifestError where nothing can be compared, OutputError where `out` cannot be written,
    and what `crops` raises.
    """
    pictures = [item for item in items if item.data is not None or _is_picture(item)]
    notes = []
    if len(pictures) < len(items):
        notes.append(
            f"{len(items) - len(pictures)} videos: only their groups and file facts are looked at"
            " (`data prepare` them)"
        )
    if not identities:
        notes.append("faces were not compared: the same person may stand in two splits")
    leaks, people = find_leaks(items), None
    if pictures:
        samples = find_samples(pictures, jobs=jobs)
        log(f"{len(samples.samples)} faces in {len(pictures)} pictures")
        numbers = cluster(embed(samples.samples, jobs)).tolist() if identities else None
        people = len(set(numbers)) if numbers else None
        looked = [sample.item for sample in samples.samples]
        leaks = find_leaks(
            looked,
            np.stack([sample.print for sample in samples.samples]) if looked else None,
            numbers,
        )
        if samples.no_face or samples.broken:
            notes.append(
                f"no face in {len(samples.no_face)} pictures, {len(samples.broken)} broken: not"
                " compared"
            )
    facts = all_facts(items, jobs)
    log("facts of all files read")
    measured, too_small = _shortcuts(items, facts)
    notes += too_small
    shown = [
        _shortcut_to_show(shortcut, *_rows_of(shortcut, items, facts)) for shortcut in measured
    ]
    if crops is not None:
        made = crops()
        log(f"facts of {len(made.items)} training crops read")
        of_crops = measure_shortcut(made.name, made.items, made.facts)
        measured.append(replace(of_crops, of_crops=True))
        shown.append(_shortcut_to_show(measured[-1], made.items, made.facts))
    result = Audit(_counts(items), leaks, measured, people, notes)
    _write(result, shown, out)
    return result


def _is_picture(item: Item) -> bool:
    return item.path is not None and item.path.suffix.lower() in PICTURES


def _shortcuts(items: Sequence[Item], facts: Sequence[Facts]) -> tuple[list[Shortcut], list[str]]:
    """Of each data set with both classes and of all together; and which were too small for that.

    Raises ManifestError where the only data set is.
    """
    shortcuts: list[Shortcut] = []
    too_small: list[str] = []
    names = sorted({item.dataset for item in items})
    wholes = [(name, [i for i, item in enumerate(items) if item.dataset == name]) for name in names]
    if len(names) > 1:
        wholes.append((TOGETHER, list(range(len(items)))))
    for name, rows in wholes:
        if len({items[i].label for i in rows}) == 2:
            try:
                shortcuts.append(
                    measure_shortcut(name, [items[i] for i in rows], [facts[i] for i in rows])
                )
            except ManifestError as error:
                if len(names) == 1:
                    raise
                too_small.append(str(error))
    return shortcuts, too_small


def measure_shortcut(
    name: str, items: Sequence[Item], facts: Sequence[Facts], seed: int = 0
) -> Shortcut:
    """How well the class can be told from file features alone.

    Gradient-boosted trees (a single tree for each feature by itself), five folds split by group,
    AUC over the held-out rows with a group-bootstrap interval. Raises ManifestError where a class
    has under ten groups.
    """
    labels = np.array([item.label for item in items])
    groups = np.array([f"{item.dataset} {item.group}" for item in items])
    if min(len(set(groups[labels == label])) for label in (0, 1)) < 10:
        raise ManifestError(
            f"{name}: fewer than ten groups of real or of fake rows, too few to measure a shortcut"
        )
    if len(labels) > MOST_ROWS:
        kept = np.sort(np.random.default_rng(seed).choice(len(labels), MOST_ROWS, replace=False))
        labels, groups, facts = labels[kept], groups[kept], [facts[i] for i in kept]
    columns = {
        key: _column([row.get(key) for row in facts])
        for key in sorted({key for row in facts for key in row})
    }
    columns = {key: values for key, values in columns.items() if len(np.unique(values)) > 1}
    wrapping = [key for key in columns if key not in PIXEL_FACTS]

    def reach(keys: Sequence[str]) -> tuple[float, float, float]:
        if not keys:
            return 0.5, 0.5, 0.5
        scores = _held_out(np.column_stack([columns[key] for key in keys]), labels, groups, seed)
        low, high = bootstrap_auc(labels, scores, groups, rounds=200, seed=seed) or (0.0, 1.0)
        return float(roc_auc_score(labels, scores)), low, high

    by_fact = {key: reach([key]) for key in columns}
    worst_first = dict(sorted(by_fact.items(), key=lambda pair: -pair[1][0]))
    return Shortcut(name, len(labels), reach(wrapping), reach(list(columns)), worst_first)


def _column(values: Sequence[float | str | None]) -> Array:
    """Numbers as they are (None: NaN); words as numbers, the rarer the higher."""
    if any(isinstance(value, str) for value in values):
        words = [str(value) for value, _ in Counter(str(value) for value in values).most_common()]
        return np.array([words.index(str(value)) for value in values], float)
    return np.array([np.nan if value is None else value for value in values], float)


def _held_out(x: Array, labels: Array, groups: Array, seed: int) -> Array:
    scores = np.zeros(len(labels))
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(
        x, labels, groups
    ):
        if x.shape[1] == 1:
            model: Any = DecisionTreeClassifier(
                max_leaf_nodes=12, min_samples_leaf=10, class_weight="balanced", random_state=seed
            )
        else:
            model = HistGradientBoostingClassifier(
                max_iter=60, max_leaf_nodes=15, class_weight="balanced", random_state=seed
            )
        with threadpool_limits(1):  # on a busy machine its threads wait for each other
            scores[test] = model.fit(x[train], labels[train]).predict_proba(x[test])[:, 1]
    return scores


def _counts(items: Sequence[Item]) -> list[dict[str, Any]]:
    table: dict[tuple[str, str], dict[str, Any]] = {}
    groups: dict[tuple[str, str], set[str]] = {}
    for item in items:
        key = (item.dataset, item.split)
        row = table.setdefault(
            key, {"data": item.dataset, "split": item.split, "real": 0, "fake": 0, "groups": 0}
        )
        row["fake" if item.label else "real"] += 1
        groups.setdefault(key, set()).add(item.group)
    return [row | {"groups": len(groups[key])} for key, row in table.items()]


def _write(result: Audit, shortcuts: Sequence[dict[str, Any]], out: Path) -> None:
    """Write audit.json for programs and audit.html to look at.

    - shortcuts: as `_shortcut_to_show` prepares them
    """
    tree = json.dumps(_as_json(result), indent=2, ensure_ascii=False)
    leaks = [_leak_to_show(leak, result.leaks.items) for leak in result.leaks.found]
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "audit.json").write_text(tree)
        write_page(
            out / "audit.html",
            "audit.html",
            counts=result.counts,
            leaks=leaks,
            shortcuts=shortcuts,
            audit=result,
        )


def _as_json(result: Audit) -> dict[str, Any]:
    leaks = []
    for leak in result.leaks.found:
        pairs = [[result.leaks.items[row].name for row in pair] for pair in leak.pairs]
        found = {"kind": leak.kind, "count": leak.count, "examples": pairs[:EXAMPLES]}
        leaks.append({**found, "pairs": pairs})
    shortcuts = []
    for shortcut in result.shortcuts:
        shortcuts.append(
            {
                "data": shortcut.data,
                "rows": shortcut.rows,
                "wrapping": shortcut.wrapping,
                "with_pixels": shortcut.pixels,
                "worst": shortcut.worst,
                "by_fact": shortcut.by_fact,
            }
        )
    return {
        "schema": "unmask.audit/1",
        "counts": result.counts,
        "leaks": leaks,
        "people_found": result.people,
        "shortcuts": shortcuts,
        "notes": result.notes,
    }


def _leak_to_show(leak: Leak, items: Sequence[Item]) -> dict[str, Any]:
    """A leak with pictures of its first examples, and the names of all."""
    examples = [[_exhibit(items[row]) for row in pair] for pair in leak.pairs[:EXAMPLES]]
    names = [
        " – ".join(f"{items[row].name} ({items[row].split})" for row in pair) for pair in leak.pairs
    ]
    # a likeness is no proof, equal content is
    return {
        "name": NAMES[leak.kind],
        "count": leak.count,
        "examples": examples,
        "all": names if len(names) > len(examples) else [],
        "possible": leak.kind == "lookalike",
    }


def _rows_of(
    shortcut: Shortcut, items: Sequence[Item], facts: Sequence[Facts]
) -> tuple[list[Item], list[Facts]]:
    """The rows that a shortcut of files was measured on."""
    rows = [n for n, item in enumerate(items) if shortcut.data in (item.dataset, TOGETHER)]
    return [items[n] for n in rows], [facts[n] for n in rows]


def _shortcut_to_show(
    shortcut: Shortcut, items: Sequence[Item], facts: Sequence[Facts]
) -> dict[str, Any]:
    """A shortcut with its plots: the AUC of each fact alone, and the worst fact by class.

    - items, facts: those that it was measured on
    """
    strongest = dict(list(shortcut.by_fact.items())[:14])
    aucs = plot_intervals(strongest, "AUC from this fact alone")
    worst = ""
    if shortcut.worst != "none":
        labels = np.array([item.label for item in items])
        values = _values([row.get(shortcut.worst) for row in facts])
        worst = data_uri(png(plot_by_class(values, labels, shortcut.worst)))
    return {
        "data": shortcut.data,
        "words": shortcut.words(),
        "bad": shortcut.wrapping[1] > TELLS,
        "facts": data_uri(png(aucs)),
        "worst": worst,
    }


def _values(values: Sequence[float | str | None]) -> Array:
    if any(isinstance(value, str) for value in values):
        return np.array([str(value or "") for value in values])
    return np.array([np.nan if value is None else value for value in values], float)


def _exhibit(item: Item) -> dict[str, str]:
    try:
        image = cv2.resize(item.decode(), (112, 112), interpolation=cv2.INTER_AREA)
    except ManifestError:
        return {"name": item.name, "split": item.split, "picture": ""}
    encoded = cv2.imencode(".jpg", image[..., ::-1])[1]
    label = "fake" if item.label else "real"
    return {
        "name": item.name,
        "split": item.split,
        "label": label,
        "picture": data_uri(bytes(encoded), "image/jpeg"),
    }
