"""A second head for a tuned vision transformer, on one of its earlier blocks.

What a network learns last is the sources that it is shown; an earlier block knows less of them, and
more that holds elsewhere. A linear head is fitted on what such a block says of training pictures,
the network as it is, and its logit is added to the network's. It costs no time to speak of: the
block is computed anyway. Koutlis & Papadopoulos, "Leveraging Representations from Intermediate
Encoder-blocks for Synthetic Image Detection" (ECCV 2024), learn from all blocks of a frozen tower.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from unmask.lab.models.network import Network  # before anything that imports torchvision

# isort: split
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader

from unmask.lab.data.manifest import Item, require_both_classes, select
from unmask.lab.data.samples import find_samples, watched
from unmask.lab.models.low_rank import fold_low_rank
from unmask.lab.models.tuned_tower import BlockHead
from unmask.lab.recipe import EarlyHeadRules, Recipe
from unmask.lab.training.loader import training_crops, use_one_thread
from unmask.lab.training.train import data_digest
from unmask.types import Floats

KEPT = "early-head.safetensors"
"""Where in the run's folder the head is kept, for it takes long to learn."""


def early_head_of(
    run: Path,
    recipe: Recipe,
    network: Network,
    items: Sequence[Item],
    *,
    jobs: int = 2,
    log: Callable[[str], None] = lambda _: None,
) -> BlockHead | None:
    """The second head that the recipe wants, learnt from the training split of `items`.

    None where the recipe wants none. A head that the run's folder holds already, learnt on the same
    network by the same recipe from the same faces, is taken from there.

    - network: the run's; its low-rank changes are folded into its matrices

    Raises ManifestError for a training split with one class or none, LabError.
    """
    rules = recipe.early_head
    if rules is None:
        return None
    training = select(items, recipe.data.train, recipe.data.leave_out)
    require_both_classes(training, f"split {recipe.data.train!r}")
    made_of = _digest(recipe, network, training)
    kept = _read(run / KEPT, made_of)
    if kept is not None:
        log(f"the second head is taken from {run / KEPT}")
        return kept

    log(f"{rules.images} training pictures are drawn for the second head")
    said, logits, labels = _what_the_block_says(run, recipe, rules, network, training, jobs)
    head = fit_early_head(rules, said, logits, labels)
    save_file(
        {"weight": head.weight, "bias": np.array([head.bias], np.float32)},
        run / KEPT,
        {"made_of": made_of, "block": str(head.block)},
    )
    return head


def fit_early_head(
    rules: EarlyHeadRules, said: Floats, logits: Floats, labels: np.ndarray
) -> BlockHead:
    """By logistic regression; its logit varies `rules.share` as much as the network's own.

    - said: (n, 2 C): the mean over the places, and the token for the whole picture
    - logits: (n,) of the network
    - labels: (n,) 1 fake
    """
    scale = StandardScaler().fit(said)
    fit = LogisticRegression(C=rules.strength, max_iter=500).fit(scale.transform(said), labels)
    weight = fit.coef_[0] / scale.scale_
    early = said @ weight
    factor = rules.share * logits.std() / early.std()
    # centred, so that the sum keeps its place until it is calibrated
    return BlockHead(
        rules.block, (factor * weight).astype(np.float32), float(-factor * early.mean())
    )


def _what_the_block_says(
    run: Path,
    recipe: Recipe,
    rules: EarlyHeadRules,
    network: Network,
    training: list[Item],
    jobs: int,
) -> tuple[Floats, Floats, np.ndarray]:
    """Of augmented training pictures: (n, 2 C), the network's logits (n,), and labels (n,).

    They are drawn as in training, but pseudo-fakes are passed over: with them, what the head says
    carried less far.
    """
    samples = find_samples(training, jobs=jobs, cache=run / "train-faces.npz").samples
    fold_low_rank(network.backbone)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device).eval()
    in_half = recipe.train.precision == "bf16-mixed"
    pack = run / "early-head.pack"
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    try:
        crops, draws = training_crops(recipe, samples, pack)
        drawn = [(draws[number], number) for number in range(rules.images)]
        # pseudo-fakes stand behind the samples that they are made of
        kept = [(index, number) for index, number in drawn if index < len(samples)]
        batches = [kept[i : i + rules.batch] for i in range(0, len(kept), rules.batch)]
        workers = max(0, jobs - 1)
        loader = DataLoader(
            crops,
            batch_sampler=batches,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=use_one_thread if workers else None,
        )
        half = torch.autocast(device.type, torch.bfloat16, enabled=in_half)
        with torch.inference_mode(), half:
            for faces, labels, _ in watched(loader, len(batches), "second head"):
                logit, tokens = network.logit_and_tokens(faces.to(device), rules.block)
                said = torch.cat([tokens[:, 1:].mean(1), tokens[:, 0]], dim=1)
                rows.append((said.cpu().numpy(), logit.float().cpu().numpy(), labels.numpy()))
    finally:
        pack.unlink(missing_ok=True)
    of_block, of_network, of_faces = zip(*rows, strict=True)
    return np.concatenate(of_block), np.concatenate(of_network), np.concatenate(of_faces)


def _digest(recipe: Recipe, network: Network, training: Sequence[Item]) -> str:
    """Of all that a head is made of, in hexadecimal."""
    digest = hashlib.sha256(data_digest(training).encode())
    # what is done, chosen and written afterwards has no part in it
    afterwards = {"name", "way_back", "thresholds", "gates", "card"}
    digest.update(recipe.model_dump_json(exclude=afterwards).encode())
    for value in network.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, made_of: str) -> BlockHead | None:
    """The head that the file holds, if it was made as `made_of` says."""
    try:
        with safe_open(path, "numpy") as file:
            notes = file.metadata() or {}
            if notes.get("made_of") != made_of:
                return None
            weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
    except (OSError, SafetensorError):
        return None
    return BlockHead(int(notes["block"]), weight, float(bias[0]))
