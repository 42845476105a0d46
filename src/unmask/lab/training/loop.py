"""The training loop, on Lightning Fabric: one for a CPU, a GPU, several, or several machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.lab.models.network import Network  # before Lightning, which imports torchvision

# isort: split
import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from unmask.lab.recipe import Recipe, Train
from unmask.lab.training.checkpoint import TrainingProgress, load_last, save_last, save_weights
from unmask.lab.training.loader import Batches


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long training goes on.

    - epochs: at most, each with a validation
    - steps: of the optimizer in each
    """

    epochs: int
    steps: int

    @classmethod
    def of(cls, settings: Train, samples: int) -> TrainingPlan:
        """From images or epochs, given the number of training samples."""
        if settings.epochs is not None:
            return cls(settings.epochs, max(1, samples // settings.batch))
        return cls(
            settings.validations, (settings.images or 0) // settings.batch // settings.validations
        )


def fit(
    recipe: Recipe,
    network: Network,
    plan: TrainingPlan,
    batches: Batches,
    training_loader: DataLoader[Any],
    validate: Callable[[nn.Module], dict[str, float]],
    teacher: nn.Module | None,
    run: Path,
    fabric: Fabric,
    on_epoch_end: Callable[[TrainingProgress], None],
    log: Callable[[str], None],
) -> None:
    """The training loop: train an epoch, validate, keep the best, save.

    - training_loader: batches, as `batches` draws them
    - validate: what is measured of the network after each epoch
    - teacher: gives probabilities of faces (`unmask.lab.training.teacher`), on the same device
    - on_epoch_end: is told of the progress after each epoch, in the first process
    - log: takes lines for people

    Resumes from the checkpoint in `run` if there is one. Raises OutputError.
    """
    settings = recipe.train

    # 1. Network, optimizer, schedule, and a moving average of the weights if it is asked for.
    network = network.to(fabric.device)
    optimizer = _optimizer(network, settings)
    schedule = _schedule(optimizer, settings, plan)
    if fabric.world_size > 1 and fabric.device.type != "cpu":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    average = None
    if settings.ema:
        rule = moving_average(settings.ema)
        average = AveragedModel(network, multi_avg_fn=rule, use_buffers=True)

    # 2. Where an earlier run was stopped.
    state: dict[str, nn.Module] = {"network": network}
    if average is not None:
        state["average"] = average
    progress = load_last(run, state, optimizer, schedule)
    if progress.epoch:
        log(f"resuming after epoch {progress.epoch} of {plan.epochs}")
    if average is not None:
        average.to(fabric.device)
    model, optimizer = fabric.setup(network, optimizer)
    weights = None
    if settings.class_weights:
        weights = class_weights(training_loader.dataset.labels, fabric.device)  # type: ignore[attr-defined]
    curves = _tensorboard(run, progress.epoch) if fabric.is_global_zero else None

    while progress.epoch < plan.epochs and not progress.stopped:
        # 3. An epoch. Its seed depends on its number alone, so that a resumed run repeats it.
        torch.manual_seed(settings.seed * 1_000_003 + progress.epoch * 1_009 + fabric.global_rank)
        batches.at(progress.epoch)
        figures = _epoch(
            model,
            network,
            optimizer,
            schedule,
            average,
            training_loader,
            teacher,
            recipe,
            weights,
            fabric,
            progress.epoch,
        )
        validated = network if average is None else average.module
        figures |= validate(validated)

        # 4. Keep the weights if they are the best so far, and what is needed to resume.
        improved = _record(progress, figures, settings)
        if fabric.is_global_zero:
            if improved:
                save_weights(run, validated, progress)
            save_last(run, progress, state, optimizer, schedule)
            on_epoch_end(progress)
            for name, value in figures.items():
                curves.add_scalar(name, value, progress.epoch)  # type: ignore[union-attr]
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        log(f"epoch {progress.epoch} of {plan.epochs}: {shown}")
        fabric.barrier()

    if curves is not None:
        curves.close()
    why = f": {progress.stopped}" if progress.stopped else ""
    log(f"ended after epoch {progress.epoch}{why}; best: epoch {progress.best_epoch + 1}")


def _record(progress: TrainingProgress, figures: Mapping[str, float], settings: Train) -> bool:
    """Count an epoch with its figures; returns whether it is the best so far."""
    progress.epoch += 1
    progress.history.append({"epoch": progress.epoch, **figures})
    # a loss is better the lower it is
    sign = -1 if settings.monitor == "validation_loss" else 1
    monitored = sign * figures[settings.monitor]
    improved = progress.best_epoch < 0 or monitored > progress.best
    if improved:
        progress.best = monitored
        progress.best_epoch = progress.epoch - 1
        progress.stale = 0
    else:
        progress.stale += 1
    if settings.patience and progress.stale >= settings.patience:
        progress.stopped = f"no better {settings.monitor} for {settings.patience} epochs"
    return improved


def _epoch(
    model: Any,
    network: Network,
    optimizer: Any,
    schedule: Any,
    average: AveragedModel | None,
    loader: DataLoader[Any],
    teacher: nn.Module | None,
    recipe: Recipe,
    class_weights: Tensor | None,
    fabric: Fabric,
    epoch: int,
) -> dict[str, float]:
    """One pass over the epoch's batches: loss, accuracy, rate, and share of time spent waiting."""
    settings, map_weight = (
        recipe.train,
        recipe.pseudo_fakes.map_weight if recipe.pseudo_fakes else 0.0,
    )
    network.train()
    total = torch.zeros(3, device=fabric.device)  # loss, hits, faces
    started = time.perf_counter()
    waits = _Waits(loader)
    quiet = None if fabric.is_global_zero else True  # None: a bar on terminals only
    for number, batch in enumerate(
        tqdm(waits, f"epoch {epoch + 1}", leave=False, disable=quiet), start=1
    ):
        faces, labels, masks = (part.to(fabric.device, non_blocking=True) for part in batch)
        stepping = number % settings.accumulate == 0
        with fabric.no_backward_sync(model, enabled=not stepping):
            logits, heatmaps = model(faces)
            logits = logits.float()
            targets = labels * (1 - settings.label_smoothing) + settings.label_smoothing / 2
            if teacher is not None and recipe.teacher is not None:
                with fabric.autocast():
                    answers = teacher(faces)
                targets += recipe.teacher.share * (answers - targets)
            chosen = None if class_weights is None else class_weights[labels.long()]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets, chosen)
            extra = network.head.penalty()
            if map_weight:
                extra = extra + map_weight * map_loss(heatmaps.float(), masks)
            fabric.backward((loss + extra) / settings.accumulate)
        if stepping:
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if average is not None:
                average.update_parameters(network)
        hits = ((logits > 0) == (labels > 0.5)).sum()
        total += torch.stack(
            [loss.detach() * len(labels), hits, torch.full_like(hits, len(labels))]
        )
    total = fabric.all_reduce(total, reduce_op="sum") if fabric.world_size > 1 else total
    loss_sum, right, faces_seen = (float(value) for value in total)
    seconds = time.perf_counter() - started
    return {
        "train_loss": loss_sum / faces_seen,
        "train_accuracy": right / faces_seen,
        "learning_rate": float(optimizer.param_groups[0]["lr"]),
        "images_per_s": faces_seen / seconds,
        "waiting_share": waits.seconds / seconds,
    }


def map_loss(heatmaps: Tensor, masks: Tensor) -> Tensor:
    """How far each heat map lies from where the forgery is.

    - heatmaps: (N, h, w)
    - masks: (N, m, m)

    Cross-entropy of softmax(heat map) over the places, against the mask as a distribution.

    It shapes the map and leaves its mean, the logit, alone. Faces without a mask, or forged all
    over, do not count; 0 if there are no others.
    """
    # (N, h·w)
    places = nn.functional.adaptive_avg_pool2d(
        masks, (heatmaps.shape[1], heatmaps.shape[2])
    ).flatten(1)
    mass = places.sum(dim=1)
    partly = (mass > 0) & (places.amin(dim=1) < 0.5 * places.amax(dim=1))
    target = places / mass.clamp(min=1e-6)[:, None]
    gap = -(target * nn.functional.log_softmax(heatmaps.flatten(1), dim=1)).sum(dim=1)
    return (gap * partly).sum() / partly.sum().clamp(min=1)


class _Waits:
    """A loader, and the seconds that were spent waiting for it."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader, self.seconds = loader, 0.0

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._loader)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch


def _optimizer(network: Network, settings: Train) -> torch.optim.Optimizer:
    learning = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": settings.weight_decay},
        {
            "params": [p for p in learning if p.ndim <= 1],
            "weight_decay": 0.0,
        },  # batch norm and biases are not decayed
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate)


def _schedule(
    optimizer: torch.optim.Optimizer, settings: Train, plan: TrainingPlan
) -> torch.optim.lr_scheduler.LRScheduler:
    """Of the learning rate, step by step."""
    steps = plan.epochs * plan.steps
    if settings.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=settings.learning_rate, total_steps=steps, pct_start=settings.warmup
        )
    if settings.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rate = settings.decay if settings.schedule == "exponential" else 1.0
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate ** (step / plan.steps))


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """The rule of the weights' moving average.

    `decay`, but less in the first steps, (1 + n) / (10 + n), or a run of a few hundred steps would
    be judged by weights from its beginning.
    """

    def update(averaged: Any, current: Any, count: Any) -> None:
        warm = min(decay, (1 + float(count)) / (10 + float(count)))
        get_ema_multi_avg_fn(warm)(averaged, current, count)  # type: ignore[no-untyped-call]

    return update


def class_weights(labels: np.ndarray, device: torch.device) -> Tensor:
    """(2,) weights of real and fake faces: both classes weigh the same, and the mean is 1."""
    counts = np.bincount(labels.astype(int), minlength=2)
    return torch.tensor(len(labels) / (2 * counts), dtype=torch.float32, device=device)


def _tensorboard(run: Path, epoch: int) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(run / "tensorboard"), purge_step=epoch + 1 if epoch else None)
