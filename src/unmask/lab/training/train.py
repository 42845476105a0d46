"""Train a recipe: find the faces, look for leaks, run the loop, and write down how it was made.

The best weights are those of the best figure on the validation split, never on test. A run that was
killed goes on from its last epoch when the same command is given, and ends as if nothing had
happened.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from unmask.lab.models.network import build_network  # before Lightning, for torchvision
from unmask.lab.training.loop import TrainingPlan, fit

# isort: split
import numpy as np
import torch
from lightning.fabric import Fabric
from torch.utils.data import DataLoader, Subset

from unmask.errors import LabError, ManifestError
from unmask.lab.audit.leakage import Leaks, find_leaks
from unmask.lab.data.datasets.base import UNSPLIT
from unmask.lab.data.manifest import Item, require_both_classes, select
from unmask.lab.data.samples import Found, Sample, find_samples
from unmask.lab.evaluation.plots import plot_curves, write_plot
from unmask.lab.models.from_bundle import recalibrate_batch_norm
from unmask.lab.recipe import Recipe
from unmask.lab.training.checkpoint import (
    RUN_FILE,
    TrainingProgress,
    write_checkpoint_file,
)
from unmask.lab.training.loader import (
    Batches,
    Crops,
    training_crops,
    use_one_thread,
)
from unmask.lab.training.teacher import Teacher
from unmask.lab.training.validation import Validation

Log = Callable[[str], None]

RECALIBRATION_FACES = 256
"""Training faces that give the batch norms of a bundle their statistics again."""


def train(
    recipe: Recipe,
    items: Sequence[Item],
    run: Path,
    *,
    jobs: int = 2,
    devices: str = "auto",
    data_names: Sequence[str] = (),
    allow_leak: bool = False,
    log: Log = lambda _: None,
) -> Path:
    """Train `recipe` on the items' train split into the folder `run`; returns `run`.

    - log: told what happens

    Leaves weights.safetensors (best on validation), last.safetensors (to go on from), run.json
    (recipe, counts, command, seed, commit), metrics.csv, curves.png and TensorBoard's log.

    - devices: GPUs to use; under torchrun or SLURM theirs

    Raises ManifestError for an empty split, one class or a leaking split, LabError where weights or
    faces are missing.
    """
    fabric = _fabric(recipe.train.precision, devices)
    log = log if fabric.is_global_zero else lambda _: None
    run.mkdir(parents=True, exist_ok=True)
    left_out = recipe.data.leave_out
    names = {item.dataset for item in items}
    if missing := sorted(set(left_out) - names):
        raise ManifestError(
            f"data.leave_out names {', '.join(missing)}, which is not among the data sets:"
            f" {', '.join(sorted(names))}"
        )
    training = select(items, recipe.data.train, left_out)
    validation = select(items, recipe.data.validation, left_out)
    alone = recipe.pseudo_fakes is not None and recipe.pseudo_fakes.share == 1
    if alone:  # no fakes but those that are made of the reals
        training = [item for item in training if not item.label]
    else:
        require_both_classes(training, f"split {recipe.data.train!r}")
    require_both_classes(validation, f"split {recipe.data.validation!r}")
    facts = _facts(recipe, data_names, [*training, *validation])
    if fabric.is_global_zero:
        facts = _begun(run, facts) | facts
    watched: list[Item] = []  # sources left out that choose the weights
    if recipe.train.monitor == "left_out_auc":
        watched = [item for item in items if item.dataset in left_out]
    parts = {"train": training, "validation": validation, "left-out": watched}
    with fabric.rank_zero_first():
        found = _find_faces({name: part for name, part in parts.items() if part}, run, jobs, log)
    sample_sets = [found["train"], found["validation"]]
    leaks = _leaks(items, [sample for part in sample_sets for sample in part.samples])
    if leaks and not allow_leak:
        raise LabError(leaks.error_message())
    facts |= {"counts": _counts(sample_sets), "leak": leaks.words() if leaks else None}
    facts["left_out"] = {
        name: {"no_face": len(part.no_face), "broken": len(part.broken)}
        for name, part in _named(sample_sets)
    }
    if fabric.is_global_zero:
        write_checkpoint_file(run / RUN_FILE, json.dumps(facts, indent=2).encode())

    _keep_buffers()
    fabric.seed_everything(recipe.train.seed, verbose=False)
    network = build_network(recipe.model)
    teacher = None
    if recipe.teacher is not None:
        teacher = Teacher.of_run(Path(recipe.teacher.run), recipe.crop).to(fabric.device)
    validated = found["validation"].samples
    measured = validated + (found["left-out"].samples if watched else [])
    with _loaders(recipe, found["train"].samples, measured, run, jobs, fabric) as (
        plan,
        batches,
        training_loader,
        measuring_loader,
    ):
        facts["images_per_epoch"] = plan.steps * recipe.train.batch

        if recipe.model.weights.endswith(".onnx"):  # a bundle, whose batch norms are folded away
            first = islice((draw for part in batches.at(0) for draw in part), RECALIBRATION_FACES)
            recalibrate_batch_norm(
                network, torch.stack([training_loader.dataset[draw][0] for draw in first])
            )

        def on_epoch_end(progress: TrainingProgress) -> None:
            _write_history(run, facts, progress)

        fit(
            recipe,
            network,
            plan,
            batches,
            training_loader,
            Validation(
                measuring_loader, [sample.item for sample in measured], len(validated), fabric
            ),
            teacher,
            run,
            fabric,
            on_epoch_end,
            log,
        )
    return run


def _find_faces(
    parts: Mapping[str, list[Item]], run: Path, jobs: int, log: Log
) -> dict[str, Found]:
    """The faces of each part of the data, kept in the run's folder.

    Raises LabError where a part has none.
    """
    found = {}
    for name, items in parts.items():
        part = found[name] = find_samples(items, jobs=jobs, cache=run / f"{name}-faces.npz")
        words = "training" if name == "train" else name
        log(
            f"{len(part.samples)} {words} faces; no face in {len(part.no_face)} pictures,"
            f" {len(part.broken)} broken"
        )
        for item, why in part.broken:
            log(f"  broken, left out: {why or item.name}")
        if not part.samples:
            raise LabError(f"no face was found in any of the {words} pictures")
    return found


def _fabric(precision: Any, devices: str) -> Fabric:
    """One process, as many as torchrun or SLURM started, or one for each of the GPUs."""
    env, nodes = os.environ, 1
    count: Any = devices if devices == "auto" else int(devices)
    if "LOCAL_WORLD_SIZE" in env:
        count = int(env["LOCAL_WORLD_SIZE"])
        nodes = int(env["WORLD_SIZE"]) // count
    elif "SLURM_NTASKS" in env and env.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        nodes = int(env["SLURM_NNODES"])
        count = int(env["SLURM_NTASKS"]) // nodes
    fabric = Fabric(
        devices=count,
        num_nodes=nodes,
        precision=precision,
        strategy="ddp" if nodes > 1 or count not in (1, "auto") else "auto",
    )
    fabric.launch()
    return fabric


@contextlib.contextmanager
def _loaders(
    recipe: Recipe,
    training: list[Sample],
    measured: list[Sample],
    run: Path,
    jobs: int,
    fabric: Fabric,
) -> Iterator[tuple[TrainingPlan, Batches, DataLoader[Any], DataLoader[Any]]]:
    """The plan, and loaders of training crops and of crops that measure, for this process."""
    settings, spec, rank, world = (
        recipe.train,
        recipe.crop.spec(),
        fabric.global_rank,
        fabric.world_size,
    )
    workers = max(0, jobs // max(1, world) - 1) or int(jobs > 1)
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": fabric.device.type == "cuda"}
    if workers:
        options |= {"persistent_workers": True, "multiprocessing_context": "spawn"}
        options["worker_init_fn"] = use_one_thread
    packs = [run / f"{name}-{rank}.pack" for name in ("train", "validation")]
    try:
        crops, draws = training_crops(recipe, training, packs[0])
        plan = TrainingPlan.of(settings, len(crops))
        batches = Batches(
            draws,
            settings.batch,
            plan.steps,
            accumulate=settings.accumulate,
            rank=rank,
            world=world,
        )
        seen = Subset(Crops(measured, spec, packs[1]), range(rank, len(measured), world))
        yield (
            plan,
            batches,
            DataLoader(crops, batch_sampler=batches, **options),
            DataLoader(seen, 64, **options),
        )
    finally:
        for pack in packs:
            pack.unlink(missing_ok=True)


def _write_history(run: Path, facts: dict[str, Any], progress: TrainingProgress) -> None:
    keys = list(progress.history[0])
    lines = [
        ",".join(keys),
        *(",".join(f"{row[key]:.8g}" for key in keys) for row in progress.history),
    ]
    write_checkpoint_file(run / "metrics.csv", ("\n".join(lines) + "\n").encode(), progress)
    best = progress.history[progress.best_epoch]
    facts |= {
        "epochs_run": progress.epoch,
        "stopped": progress.stopped,
        "best_epoch": progress.best_epoch + 1,
    }
    facts |= {
        "images_seen": progress.epoch * facts["images_per_epoch"],
        "best_validation_auc": best["validation_auc"],
    }
    measured = ("validation", "left_out")
    facts["best"] = {key: value for key, value in best.items() if key.startswith(measured)}
    write_checkpoint_file(run / RUN_FILE, json.dumps(facts, indent=2).encode(), progress)
    write_plot(plot_curves(progress.history), run / "curves.png")


def command_line() -> str:
    """The command that is running, absolute paths cut to their names.

    Cards are handed on, and folders are private.
    """

    def without_folders(word: str) -> str:
        # also the value of --set model.weights=/…/weights.safetensors
        key, equals, value = word.rpartition("=")
        return f"{key}{equals}{Path(value).name}" if value.startswith("/") else word

    return shlex.join(["unmask", *map(without_folders, sys.argv[1:])])


def data_digest(items: Sequence[Item]) -> str:
    """Of which faces there are, in hexadecimal: their names, splits and labels."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(
            f"{item.dataset}\0{item.name}\0{item.split}\0{item.label}\n".encode(errors="replace")
        )
    return digest.hexdigest()


def _facts(recipe: Recipe, data_names: Sequence[str], items: Sequence[Item]) -> dict[str, Any]:
    return {
        "recipe": recipe.model_dump(mode="json"),
        "command": command_line(),
        "commit": _commit(),
        "data": list(data_names),
        "data_sha256": data_digest(items),
    }


def _begun(run: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """What the folder says of the run it holds, which must be this one; empty if there is none."""
    if not (run / RUN_FILE).is_file():
        return {}
    try:
        before = json.loads((run / RUN_FILE).read_text())
    except (OSError, ValueError) as error:
        raise LabError(f"{run / RUN_FILE} cannot be read: {error}. Take another folder") from error
    differing = [key for key in ("recipe", "data_sha256") if before.get(key) != facts[key]]
    if differing:
        old, new = before.get("recipe", {}), facts["recipe"]
        keys = [key for key in new if old.get(key) != new[key]] if "recipe" in differing else []
        what = f"another recipe (differs in {', '.join(keys)})" if keys else "other data"
        raise LabError(
            f"{run} holds a run with {what}; take another folder, or give what it was begun with"
            " to go on"
        )
    return dict(before)


def _leaks(items: Sequence[Item], samples: Sequence[Sample]) -> Leaks:
    """What the splits have in common.

    Groups and named people of all splits, the test's too, and near-duplicates among what is trained
    and validated on.
    """
    prints = {id(sample.item): sample.print for sample in samples}
    split = [item for item in items if item.split != UNSPLIT]
    blank = np.zeros(32, np.uint8)
    return find_leaks(split, np.stack([prints.get(id(item), blank) for item in split]))


def _named(found: Sequence[Found]) -> Iterator[tuple[str, Found]]:
    return zip(("train", "validation"), found, strict=True)


def _counts(found: Sequence[Found]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for split, part in _named(found):
        for sample in part.samples:
            key = (split, sample.item.dataset)
            row = rows.setdefault(
                key, {"dataset": sample.item.dataset, "split": split, "real": 0, "fake": 0}
            )
            row["fake" if sample.item.label else "real"] += 1
    return list(rows.values())


def _commit() -> str:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
            check=False,
        )
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


def _keep_buffers() -> None:
    """Let glibc keep freed memory.

    By default it returns torch's large buffers to the system at every step and has them zeroed
    again at the next: on two cores EfficientNet-Lite0 then trains at 33 instead of 53 pictures a
    second.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library
    mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
