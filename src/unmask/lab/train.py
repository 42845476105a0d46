"""Train a recipe, on Lightning. The best weights are those of the best AUC on the validation split, never on test."""

from __future__ import annotations

import ctypes
import json
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unmask.lab.backbones import Network, build_network  # before Lightning, which imports torchvision

# isort: split
import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unmask.errors import LabError
from unmask.lab.data import Crops, Draws, sample_weights
from unmask.lab.manifest import Item, require_both_classes, select
from unmask.lab.prepare import Sample, find_samples
from unmask.lab.recipe import Recipe

WEIGHTS_FILE, RUN_FILE = "weights.safetensors", "run.json"


class Training(pl.LightningModule):  # type: ignore[misc]  # Lightning's types are not followed
    """The training shell around a network: loss, schedule, validation AUC."""

    def __init__(self, network: Network, recipe: Recipe, steps: int) -> None:
        super().__init__()
        self.network = network
        self._recipe = recipe
        self._steps = steps
        self._seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        faces, labels = batch
        logits = self.network(faces)[0]
        smoothing = self._recipe.train.label_smoothing
        targets = labels * (1 - smoothing) + smoothing / 2
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
        self.log("train_loss", loss, prog_bar=True, on_step=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        faces, labels = batch
        self._seen.append((self.network(faces)[0].float().cpu(), labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        auc = roc_auc_score(labels.numpy(), logits.numpy()) if len(set(labels.tolist())) == 2 else float("nan")
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        self.log_dict({"validation_auc": float(auc), "validation_loss": loss}, prog_bar=True)

    def configure_optimizers(self) -> Any:
        train = self._recipe.train
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]  # batch norm and biases are not decayed
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": train.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=train.learning_rate,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=train.learning_rate, total_steps=self._steps, pct_start=train.warmup
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    recipe: Recipe,
    items: Sequence[Item],
    run: Path,
    *,
    jobs: int = 2,
    data_names: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train `recipe` on the items' train split into the folder `run`; returns `run`. say: told what was found.

    Leaves weights.safetensors (best validation AUC), run.json (recipe, counts, command, seed, commit, metrics) and
    metrics.csv. Raises ManifestError for an empty split or one class, LabError where weights or faces are missing.
    """
    run.mkdir(parents=True, exist_ok=True)
    training, validation = select(items, recipe.data.train), select(items, recipe.data.validation)
    require_both_classes(training, f"split {recipe.data.train!r}")
    require_both_classes(validation, f"split {recipe.data.validation!r}")
    train_samples, train_missed = find_samples(training, jobs=jobs)
    validation_samples, validation_missed = find_samples(validation, jobs=jobs)
    if not train_samples or not validation_samples:
        raise LabError("no face was found in any picture of the training or the validation split")
    say(
        f"{len(train_samples)} training and {len(validation_samples)} validation faces; "
        f"no face in {len(train_missed)} and {len(validation_missed)} pictures"
    )

    _keep_buffers()
    settings = recipe.train
    pl.seed_everything(settings.seed, verbose=False)
    network = build_network(recipe.model.backbone, recipe.model.weights, recipe.model.dropout)
    spec = recipe.crop.spec()
    steps = settings.images // settings.batch
    loaders = _loaders(recipe, train_samples, validation_samples, spec, jobs)
    best = ModelCheckpoint(
        run, "best", monitor="validation_auc", mode="max", save_weights_only=True, enable_version_counter=False
    )
    trainer = pl.Trainer(
        max_steps=steps,
        val_check_interval=max(1, steps // settings.validations),
        precision=settings.precision,
        callbacks=[best, EMAWeightAveraging(decay=settings.ema), TQDMProgressBar(refresh_rate=20)],
        logger=CSVLogger(run, name="", version=""),
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_model_summary=False,
    )
    shell = Training(network, recipe, steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(shell, *loaders)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    weights = {
        key.removeprefix("network."): value.contiguous() for key, value in state.items() if key.startswith("network.")
    }
    save_file(weights, run / WEIGHTS_FILE)
    Path(best.best_model_path).unlink()
    facts = {
        "recipe": recipe.model_dump(mode="json"),
        "command": command_line(),
        "commit": _commit(),
        "best_validation_auc": float(best.best_model_score) if best.best_model_score is not None else None,
        "data": list(data_names),
        "counts": _counts(train_samples, validation_samples),
        "no_face": {"train": len(train_missed), "validation": len(validation_missed)},
    }
    (run / RUN_FILE).write_text(json.dumps(facts, indent=2))
    return run


def command_line() -> str:
    """The command that is running, absolute paths cut to their names: cards are handed on, and folders are private."""
    words = (Path(word).name if word.startswith("/") else word for word in sys.argv[1:])
    return shlex.join(["unmask", *words])


def load_run(run: Path) -> tuple[Recipe, Network, dict[str, Any]]:
    """The recipe, the trained network (in evaluation mode) and the facts of a run folder. Raises LabError."""
    try:
        facts = json.loads((run / RUN_FILE).read_text())
        weights = load_file(run / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise LabError(f"{run} is no finished run: {error}") from error
    recipe = Recipe.model_validate(facts["recipe"])
    network = build_network(recipe.model.backbone, recipe.model.weights, recipe.model.dropout, pretrained=False)
    network.load_state_dict(weights)
    return recipe, network.eval(), facts


def _keep_buffers() -> None:
    """Let glibc keep freed memory. By default it returns torch's large buffers to the system at every step and has them
    zeroed again at the next: on two cores EfficientNet-Lite0 then trains at 33 instead of 53 pictures a second."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library
    mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def _loaders(
    recipe: Recipe, training: list[Sample], validation: list[Sample], spec: Any, jobs: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    settings = recipe.train
    weights = sample_weights(training, recipe.data.weights)
    draws = Draws(np.asarray(weights), settings.images // settings.batch * settings.batch, settings.seed)
    workers = {"num_workers": max(1, jobs - 1), "persistent_workers": True, "multiprocessing_context": "spawn"}
    crops = Crops(training, spec, recipe.augment, settings.seed)
    return (
        DataLoader(crops, settings.batch, sampler=draws, drop_last=True, **workers),  # type: ignore[arg-type]
        DataLoader(Crops(validation, spec), 64, **workers),  # type: ignore[arg-type]
    )


def _counts(training: list[Sample], validation: list[Sample]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for split, samples in (("train", training), ("validation", validation)):
        for sample in samples:
            key = (split, sample.item.dataset)
            row = rows.setdefault(key, {"dataset": sample.item.dataset, "split": split, "real": 0, "fake": 0})
            row["fake" if sample.item.label else "real"] += 1
    return list(rows.values())


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
        )
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"
