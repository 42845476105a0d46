"""Leave-one-source-out: train without some sources, and measure on them.

A detector that is tested on the sources it was trained on is tested on what it has memorised of
them. Here every source is left out once, alone or with others of its fold, the recipe is trained on
the rest, and the source is measured by that run. The mean and the worst of the sources are the
figures to choose by.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unmask.lab.models.network import Network  # before Lightning, which imports torchvision

# isort: split
import numpy as np
import torch

from unmask._internal.atomic import output_errors, write_atomically
from unmask.errors import ManifestError
from unmask.faces.alignment import CropSpec, similarity_transform
from unmask.lab.data.manifest import Item
from unmask.lab.data.samples import Sample, find_samples
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.plots import plot_sources, png
from unmask.lab.evaluation.rates import threshold_held
from unmask.lab.evaluation.sources import SourceFigures, by_source, summary
from unmask.lab.recipe import Recipe
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.train import train

Log = Callable[[str], None]

SCHEMA = "unmask.leave_out/1"
FALSE_ALARMS, MISSES = 0.01, 0.05
"""At which shares of the validation faces that were kept the thresholds of a fold lie."""

BATCH = 64


def folds_of(items: Sequence[Item], count: int) -> list[tuple[str, ...]]:
    """The data sets in `count` folds, each with real and fake sources as far as there are.

    - count: 0: each data set is a fold by itself

    Raises ManifestError for fewer than two data sets.
    """
    names = sorted({item.dataset for item in items})
    if len(names) < 2:
        raise ManifestError(
            "leaving sources out needs at least two data sets, but the data has"
            f" {', '.join(names) or 'none'}"
        )
    if count == 0 or count >= len(names):
        return [(name,) for name in names]
    sizes = {name: sum(item.dataset == name for item in items) for name in names}
    fakes = {item.dataset for item in items if item.label}
    # Fakes and reals are dealt out one after the other, the largest first, so that folds are alike.
    dealt: list[list[str]] = [[] for _ in range(count)]
    order = sorted(names, key=lambda name: (name in fakes, -sizes[name], name))
    for place, name in enumerate(order):
        dealt[place % count].append(name)
    return [tuple(sorted(fold)) for fold in dealt]


def leave_sources_out(
    recipe: Recipe,
    items: Sequence[Item],
    out: Path,
    *,
    folds: int = 0,
    jobs: int = 2,
    allow_leak: bool = False,
    log: Log = lambda _: None,
) -> dict[str, Any]:
    """Train `recipe` once for each fold of data sets, without them, and measure each on them.

    - folds: how many; 0: one for each data set

    Writes a run folder for each fold, leave_out.json, leave_out.csv and leave_out.png into `out`,
    and returns what leave_out.json holds. Resumes where it was stopped: runs that have ended and
    folds that were measured are not repeated.

    Raises ManifestError, LabError or OutputError.
    """
    figures: list[SourceFigures] = []
    planned = folds_of(items, folds)
    for number, fold in enumerate(planned, start=1):
        log(f"fold {number} of {len(planned)} leaves out {', '.join(fold)}")
        folder = out / f"fold-{number:02}"
        done = folder / "sources.json"
        if not done.is_file():
            left_out = tuple(sorted({*recipe.data.leave_out, *fold}))
            data = recipe.data.model_copy(update={"leave_out": left_out})
            without = recipe.model_copy(update={"data": data})
            train(without, items, folder, jobs=jobs, allow_leak=allow_leak, log=log)
            measured = _measured(folder, items, fold, jobs)
            write_atomically(done, json.dumps([one.row() for one in measured], indent=2))
        figures += [_read(row) for row in json.loads(done.read_text())]
    result = {
        "schema": SCHEMA,
        "recipe": recipe.name,
        "folds": [list(fold) for fold in planned],
        "summary": summary(figures),
        "sources": [one.row() for one in figures],
    }
    with output_errors(out):
        (out / "leave_out.json").write_text(json.dumps(result, indent=2, allow_nan=False))
        (out / "leave_out.csv").write_text(_csv(figures))
        (out / "leave_out.png").write_bytes(png(plot_sources(figures)))
    return result


def _measured(
    run: Path, items: Sequence[Item], fold: Sequence[str], jobs: int
) -> list[SourceFigures]:
    """The figures of the sources in `fold`.

    They are compared with each other and with the validation faces of the sources that were kept,
    which also give the thresholds.
    """
    recipe, network, _ = load_run(run)
    never = set(recipe.data.leave_out)
    kept = [
        item for item in items if item.split == recipe.data.validation and item.dataset not in never
    ]
    tested = [item for item in items if item.dataset in fold]
    samples = find_samples([*kept, *tested], jobs=jobs, cache=run / "leave-out-faces.npz").samples
    logits = score_samples(network, samples, recipe.crop.spec())
    labels = np.array([sample.item.label for sample in samples])
    known = np.array([sample.item.dataset not in fold for sample in samples])
    fake_threshold = threshold_held(logits[known & (labels == 0)], FALSE_ALARMS)
    real_threshold = -threshold_held(-logits[known & (labels == 1)], MISSES)
    figures = by_source(
        [sample.item for sample in samples],
        logits,
        real_threshold=min(real_threshold, fake_threshold),
        fake_threshold=fake_threshold,
        left_out=fold,
    )
    return [one for one in figures if one.left_out]


def score_samples(network: Network, samples: Sequence[Sample], spec: CropSpec) -> Array:
    """The network's logits of the samples' faces, cut as a scan cuts them: (n,) float64."""
    logits = []
    with torch.inference_mode():
        for start in range(0, len(samples), BATCH):
            crops = [
                spec.cut(
                    sample.item.decode(), similarity_transform(sample.landmarks, spec.target())
                )
                for sample in samples[start : start + BATCH]
            ]
            faces = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())
            logits.append(network(faces)[0].double().numpy())
    return np.concatenate(logits)


def _read(row: dict[str, Any]) -> SourceFigures:
    return SourceFigures(**(row | {"label": int(row["label"] == "fake")}))


def _csv(figures: Sequence[SourceFigures]) -> str:
    rows = [one.row() for one in figures]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
