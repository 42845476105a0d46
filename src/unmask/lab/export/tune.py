"""A few hundred faces of one's own on top of a bundle, without losing what it knows.

Training goes on from the bundle with the new faces and a core of old ones (rehearsal), and the
weights are then moved back towards the bundle's (WiSE-FT; Wortsman et al., CVPR 2022). How far is
chosen by the new faces, among those ways back at which no old source gets worse beyond a bound. If
there is none, nothing is written.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unmask._internal.atomic import output_folder, write_atomically
from unmask.bundle import Bundle
from unmask.bundle.registry import find_bundle
from unmask.errors import LabError
from unmask.lab.data.manifest import Item, read_manifest, require_both_classes, write_manifest
from unmask.lab.data.samples import Sample, find_samples
from unmask.lab.data.splits import split_items
from unmask.lab.evaluation.metrics import Array
from unmask.lab.evaluation.rates import threshold_held
from unmask.lab.evaluation.sources import SMALLEST, SourceFigures, by_source
from unmask.lab.export.export import export_run, to_onnx
from unmask.lab.models.from_bundle import average, unfold
from unmask.lab.recipe import Recipe, load_recipe
from unmask.lab.training.checkpoint import load_run
from unmask.lab.training.leave_out import score_samples
from unmask.lab.training.train import train
from unmask.media import find_media

Log = Callable[[str], None]

RECIPE = "unmask-lite0-abroad"
"""Whose augmentation, pseudo-fakes and rules are used."""

SHARES = (0.0, 0.3, 0.5, 0.7)
"""Of the old bundle in the mean of the weights that are tried."""

NEW = "new: "
"""Before the names of the data sets that are added."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much worse an old source may get.

    - false_alarms: more of a real source's faces called fake, as a share
    - auc: less AUC of a fake source, against all real ones
    """

    false_alarms: float = 0.01
    auc: float = 0.02


@dataclass(frozen=True, slots=True)
class Compared:
    """A source before and after, on faces that were not trained on.

    - auc: mean over the sources of the other class; None for fewer than SMALLEST faces
    - wrong: share called the opposite, where 1 % of the old real faces are called fake, and 5 % of
      the old fakes real
    """

    source: str
    label: int
    n: int
    auc_before: float | None
    auc_after: float | None
    wrong_before: float
    wrong_after: float

    @property
    def is_new(self) -> bool:
        """Whether it was added."""
        return self.source.startswith(NEW)

    def worse(self, bounds: Bounds) -> str | None:
        """In words, where it got worse beyond the bounds."""
        if self.n < SMALLEST:
            return None
        alarms = self.wrong_after - self.wrong_before
        # one or two faces more are chance, however few there are
        if self.label == 0 and alarms > max(bounds.false_alarms, 2.5 / self.n):
            return (
                f"{self.source}: {self.wrong_after:.1%} of its real faces are called fake"
                f" ({self.wrong_before:.1%} before)"
            )
        if self.label == 0 or self.auc_before is None or self.auc_after is None:
            return None
        if self.auc_before - self.auc_after > bounds.auc:
            return f"{self.source}: AUC {self.auc_after:.3f} ({self.auc_before:.3f} before)"
        return None


def tune(
    bundle: str,
    out: Path,
    *,
    fakes: Sequence[Path] = (),
    reals: Sequence[Path] = (),
    core: Sequence[Path],
    run: Path,
    images: int = 4000,
    seed: int = 1,
    bounds: Bounds | None = None,
    allow_leak: bool = False,
    clips: Sequence[Path] = (),
    jobs: int = 2,
    log: Log = lambda _: None,
) -> list[Compared]:
    """Write a bundle that knows the new faces too; returns every source before and after.

    - fakes, reals: folders of pictures with a face, or manifests (whose labels then count)
    - core: manifests of old faces with the splits train and validation
    - run: folder for the run, and tune.json with the figures
    - images: shown in training
    - allow_leak: go on where the same picture is in both splits, and say so in the card
    - clips: manifests of videos, whose validation split sets thresholds for clips

    Raises LabError where some old source gets worse beyond the bounds at every way back: then
    nothing is written but the figures.
    """
    bounds = bounds or Bounds()
    path = find_bundle(bundle)
    old = Bundle(path)
    items = [*_added(fakes, 1), *_added(reals, 0)]
    if not items:
        raise LabError("nothing to add: name folders of pictures, or manifests")
    items = _split(items, seed, jobs)
    kept = [item for manifest in core for item in read_manifest(manifest)]
    for name in ("train", "validation"):
        require_both_classes([i for i in kept if i.split == name], f"the core's split {name!r}")
    everything = [*items, *kept]
    recipe = _recipe(path, old, everything, images, seed)
    train(recipe, everything, run, jobs=jobs, allow_leak=allow_leak, log=log)

    # Each way back is measured on the validation faces; the new ones choose among those allowed.
    validation = [item for item in everything if item.split == "validation"]
    samples = find_samples(validation, jobs=jobs, cache=run / "validation-faces.npz").samples
    before = _figures(samples, _moved_scores(run, path, 1.0, samples))
    tried: dict[float, list[Compared]] = {}
    for share in SHARES:
        tried[share] = _compared(
            before, _figures(samples, _moved_scores(run, path, share, samples))
        )
        log(f"{share:.1f} of the way back: {_words(tried[share], bounds)}")
    allowed = {s: rows for s, rows in tried.items() if not any(r.worse(bounds) for r in rows)}
    chosen = max(allowed, key=lambda share: _gain(allowed[share])) if allowed else None
    _write(run, tried, chosen)
    if chosen is None:
        least = tried[max(SHARES)]
        faults = [words for row in least if (words := row.worse(bounds))]
        raise LabError(
            f"old sources get worse at every way back, so nothing was written: {'; '.join(faults)};"
            f" the figures are in {run / 'tune.json'}"
        )
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        manifest = Path(folder) / "validation.parquet"
        write_manifest(validation, manifest)
        export_run(run, out, [manifest], [], toward=path, share=chosen, clips=clips)
    return tried[chosen]


def _split(items: Sequence[Item], seed: int, jobs: int) -> list[Item]:
    """Seven tenths to train on; frames of one clip, which look alike, stay together."""
    samples = find_samples(items, jobs=jobs).samples
    place = {id(item): row for row, item in enumerate(items)}
    prints = np.zeros((len(items), 32), np.uint8)
    prints[[place[id(sample.item)] for sample in samples]] = [sample.print for sample in samples]
    shares = {"train": 0.7, "validation": 0.3}
    return split_items(items, shares, ("group", "near_duplicate"), seed=seed, prints=prints)


def _added(paths: Sequence[Path], label: int) -> list[Item]:
    """The items of folders of pictures, all of one class, and of manifests."""
    items: list[Item] = []
    for path in paths:
        if not path.is_dir():
            found = [replace(item, dataset=f"{NEW}{item.dataset}") for item in read_manifest(path)]
        else:
            found = [
                Item(
                    file.name, label, f"{NEW}{path.name}", "", f"{path.name}/{file.name}", path=file
                )
                for file in find_media(path)
            ]
        items += found
    return items


def _recipe(path: Path, old: Bundle, items: Sequence[Item], images: int, seed: int) -> Recipe:
    """Short, gentle training from the bundle on; a third of what is drawn is new."""
    recipe = load_recipe(RECIPE)
    crop, made_by = old.card.crop, old.card.text["made_by"]
    if "backbone" not in made_by:
        raise LabError(f"{path} does not say which network it is; it cannot be trained on from")
    new = sorted({item.dataset for item in items if item.dataset.startswith(NEW)})
    data = recipe.data.model_copy(
        update={"weights": {name: 1 / 3 / len(new) for name in new}, "leave_out": ()}
    )
    changes = {
        "name": f"{old.id.name}-tuned",
        "crop": recipe.crop.model_copy(
            update={
                "size": crop.size,
                "margin": crop.margin,
                "centre_y": crop.centre_y,
                "interpolation": crop.interpolation,
                "via": crop.via,
            }
        ),
        "model": recipe.model.model_copy(
            update={"backbone": made_by["backbone"], "weights": str(path)}
        ),
        "data": data,
        # what the bundle finds too blurred to judge, it is not taught to judge
        "gates": recipe.gates.model_copy(update={"min_sharpness": old.card.gates.min_sharpness}),
        "train": recipe.train.model_copy(
            update={
                "images": images,
                "learning_rate": 2e-4,
                "validations": max(1, min(4, images // 1000)),
                "ema": 0.99,
                "seed": seed,
            }
        ),
    }
    return recipe.model_copy(update=changes)


def _moved_scores(run: Path, path: Path, share: float, samples: Sequence[Sample]) -> Array:
    """Logits of the run's network, moved by `share` of the way back to the bundle."""
    recipe, network, _ = load_run(run)
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        between = Path(folder) / "between.onnx"
        between.write_bytes(average(to_onnx(network, recipe.crop.size), path.read_bytes(), share))
        unfold(network, between)
    return score_samples(network, samples, recipe.crop.spec())


def _figures(samples: Sequence[Sample], logits: Array) -> Mapping[tuple[str, int], SourceFigures]:
    """By source and class, at thresholds that the old sources give."""
    items = [sample.item for sample in samples]
    labels = np.array([item.label for item in items])
    known = np.array([not item.dataset.startswith(NEW) for item in items])
    fake = threshold_held(logits[known & (labels == 0)], 0.01)
    real = -threshold_held(-logits[known & (labels == 1)], 0.05)
    rows = by_source(items, logits, real_threshold=min(real, fake), fake_threshold=fake)
    return {(row.source, row.label): row for row in rows}


def _compared(
    before: Mapping[tuple[str, int], SourceFigures], after: Mapping[tuple[str, int], SourceFigures]
) -> list[Compared]:
    return [
        Compared(name, label, row.n, row.auc_mean, after[name, label].auc_mean, row.wrong,
                 after[name, label].wrong)
        for (name, label), row in before.items()
    ]  # fmt: skip


def _gain(rows: Sequence[Compared]) -> float:
    """What the new sources win: AUC of fakes, and false alarms that are gone, on average."""
    gains = [
        (row.auc_after or 0) - (row.auc_before or 0)
        if row.label
        else row.wrong_before - row.wrong_after
        for row in rows
        if row.is_new
    ]
    return float(np.mean(gains)) if gains else 0.0


def _words(rows: Sequence[Compared], bounds: Bounds) -> str:
    worse = sum(row.worse(bounds) is not None for row in rows)
    return f"new sources {_gain(rows):+.3f}, {worse} old sources worse beyond the bounds"


def _write(run: Path, tried: Mapping[float, Sequence[Compared]], chosen: float | None) -> None:
    figures: dict[str, Any] = {
        "schema": "unmask.tune/1",
        "chosen": chosen,
        "measured_on": "validation faces, by which the way back was chosen too",
        "tried": {str(share): [asdict(row) for row in rows] for share, rows in tried.items()},
    }
    write_atomically(output_folder(run) / "tune.json", json.dumps(figures, indent=2) + "\n")
