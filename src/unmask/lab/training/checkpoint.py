"""What a run leaves on disk: weights, and a checkpoint to go on from.

Safetensors and JSON, written whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from unmask._internal.atomic import write_atomically
from unmask.errors import LabError
from unmask.lab.models.network import Network, build_network
from unmask.lab.recipe import Recipe

WEIGHTS_FILE, RUN_FILE, LAST_FILE = "weights.safetensors", "run.json", "last.safetensors"


@dataclass
class TrainingProgress:
    """How far a run has come.

    - history: the figures of each epoch
    - best: of the monitored one (higher is better)
    - stale: epochs since
    - stopped: why it ended early, or empty
    """

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("-inf")
    best_epoch: int = -1
    stale: int = 0
    stopped: str = ""


def write_checkpoint_file(
    path: Path, content: bytes, progress: TrainingProgress | None = None
) -> None:
    """Write and rename, so that what stood there stays until the new is whole.

    Raises OutputError.
    """
    kept = ""
    if progress is not None and progress.epoch > 1:
        kept = f"the last good checkpoint stays, of epoch {progress.epoch - 1}. "
    advice = f"{kept}Make room and give the same command to go on"
    write_atomically(path, content, advice=advice)


def save_weights(run: Path, network: nn.Module, progress: TrainingProgress) -> None:
    """The network that is exported."""
    write_checkpoint_file(run / WEIGHTS_FILE, save(_whole(network.state_dict())), progress)


def save_last(
    run: Path,
    progress: TrainingProgress,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    schedule: Any,
) -> None:
    """All that the next epoch depends on."""
    state = optimizer.state_dict()
    tensors = {
        f"{name}/{key}": value
        for name, m in modules.items()
        for key, value in m.state_dict().items()
    }
    tensors |= {
        f"optimizer/{number}/{key}": torch.as_tensor(value)
        for number, values in state["state"].items()
        for key, value in values.items()
        if value is not None
    }
    header = {
        "progress": asdict(progress),
        "groups": state["param_groups"],
        "schedule": schedule.state_dict(),
    }
    write_checkpoint_file(
        run / LAST_FILE,
        save(_whole(tensors), {"unmask": json.dumps(header, default=lambda _: None)}),
        progress,
    )


def load_last(
    run: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, schedule: Any
) -> TrainingProgress:
    """Restore what `save_last` saved; a fresh Progress where there is no checkpoint."""
    path = run / LAST_FILE
    if not path.is_file():
        return TrainingProgress()
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["unmask"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (it is no mapping)
    except Exception as error:  # safetensors raises its own
        raise LabError(
            f"{path} cannot be read: {error}. Take another folder to begin anew"
        ) from error
    for name, module in modules.items():
        module.load_state_dict(
            {
                key.removeprefix(f"{name}/"): v
                for key, v in tensors.items()
                if key.startswith(f"{name}/")
            }
        )
    kept: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, number, slot = key.split("/")
            kept.setdefault(int(number), {})[slot] = value
    optimizer.load_state_dict({"state": kept, "param_groups": state["groups"]})
    schedule.load_state_dict(
        {key: value for key, value in state["schedule"].items() if value is not None}
    )
    return TrainingProgress(**state["progress"])


def load_run(run: Path) -> tuple[Recipe, Network, dict[str, Any]]:
    """The recipe, the best network so far (in evaluation mode) and the facts of a run folder.

    Raises LabError.
    """
    try:
        facts = json.loads((run / RUN_FILE).read_text())
        weights = load_file(run / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise LabError(f"{run} is no run that has come through an epoch: {error}") from error
    recipe = Recipe.model_validate(facts["recipe"])
    network = build_network(recipe.model, pretrained=False)
    network.load_state_dict(weights)
    return recipe, network.eval(), facts


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
