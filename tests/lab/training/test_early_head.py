"""A second head on an earlier block of a vision transformer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unmask.errors import LabError, ManifestError
from unmask.lab.data.manifest import read_manifest
from unmask.lab.models.low_rank import LowRankLinear, fold_low_rank
from unmask.lab.models.network import Network, build_network
from unmask.lab.recipe import EarlyHeadRules, LowRank, Model, Recipe, load_recipe
from unmask.lab.training.early_head import KEPT, early_head_of, fit_early_head

RULES = EarlyHeadRules(block=1, images=64, batch=16)
CROP = "crop={size: 64, margin: 1.0, centre_y: 0.6}"


def small_transformer() -> Network:
    """A vision transformer of three blocks with low-rank changes, from random weights."""
    torch.manual_seed(0)
    model = Model(
        backbone="vit_tiny_patch16_224",
        weights="random",
        low_rank=LowRank(rank=2, blocks=2),
        input_size=64,
        depth=3,
    )
    network = build_network(model).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LowRankLinear):
                module.up.normal_(0, 0.05)
    return network


def recipe_with(rules: EarlyHeadRules | None) -> Recipe:
    recipe = load_recipe("unmask-lite0", [CROP, "augment.smallest_px=24", "data.weights={}"])
    return recipe.model_copy(update={"early_head": rules})


def test_what_a_block_says_and_the_networks_logit() -> None:
    network = small_transformer()
    faces = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logit, tokens = network.logit_and_tokens(faces, 1)
        expected, _ = network(faces)
        # the block's own output, before any norm
        outputs: list[torch.Tensor] = []
        network.backbone.blocks[1].register_forward_hook(lambda _, __, out: outputs.append(out))
        network(faces)
    assert torch.allclose(logit, expected, atol=1e-5)
    assert tokens.shape == (2, 1 + 16, 192)
    assert torch.allclose(tokens, outputs[0], atol=1e-5)


def test_folded_low_rank_changes_are_the_same_function() -> None:
    network = small_transformer()
    faces = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        before, _ = network(faces)
        fold_low_rank(network.backbone)
        after, _ = network(faces)
    assert not any(isinstance(module, LowRankLinear) for module in network.modules())
    assert torch.allclose(before, after, atol=1e-4)


def test_other_networks_have_no_early_head() -> None:
    network = build_network(Model(backbone="test_resnet", weights="random"))
    with pytest.raises(LabError, match="needs a vision transformer"):
        network.logit_and_tokens(torch.zeros(1, 3, 64, 64), 1)


def test_the_head_follows_what_tells_fakes_apart() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 2
    said = rng.normal(3, 1, (2000, 8)) * np.array([1, 1, 1, 1, 100, 1, 1, 1])
    said[:, 4] += 150 * labels  # of another size than the rest, and the one that knows
    logits = rng.normal(0, 5, 2000)
    head = fit_early_head(EarlyHeadRules(block=2, strength=1.0), said, logits, labels)
    early = said @ head.weight + head.bias
    assert head.block == 2
    assert np.corrcoef(early, said[:, 4])[0, 1] > 0.95
    assert early.std() == pytest.approx(0.5 * logits.std(), rel=1e-3)
    assert early.mean() == pytest.approx(0, abs=1e-2)
    assert early[labels == 1].mean() > early[labels == 0].mean()


def test_it_is_learnt_from_the_training_split_and_kept(toy_set: Path, tmp_path: Path) -> None:
    recipe, items = recipe_with(RULES), read_manifest(toy_set)
    said: list[str] = []
    head = early_head_of(tmp_path, recipe, small_transformer(), items, jobs=1, log=said.append)
    assert head is not None
    assert (head.block, head.weight.shape, head.weight.dtype) == (1, (2 * 192,), np.float32)
    assert np.isfinite(head.weight).all()
    assert not (tmp_path / "early-head.pack").exists()

    # the same again is taken from the folder, whatever else is in the data, and whatever is done
    # with the blocks afterwards
    others = [item for item in items if item.split == recipe.data.train]
    moved = recipe.model_copy(update={"way_back": (0.5, 0.5)})
    kept = early_head_of(tmp_path, moved, small_transformer(), others, jobs=1, log=said.append)
    assert kept is not None
    assert np.array_equal(kept.weight, head.weight)
    assert kept.bias == pytest.approx(head.bias)
    assert "taken from" in said[-1]

    # by other rules or of other weights it is learnt anew; so is one that cannot be read
    other = small_transformer()
    with torch.no_grad():
        other.backbone.blocks[0].mlp.fc1.weight.mul_(2)
    anew = early_head_of(tmp_path, recipe, other, items, jobs=1, log=said.append)
    assert anew is not None
    assert not np.array_equal(anew.weight, head.weight)
    milder = recipe_with(RULES.model_copy(update={"share": 0.25}))
    half = early_head_of(tmp_path, milder, small_transformer(), items, jobs=1)
    assert half is not None
    assert np.allclose(half.weight, head.weight / 2, rtol=1e-3)
    (tmp_path / KEPT).write_bytes(b"broken")
    again = early_head_of(tmp_path, milder, small_transformer(), items, jobs=1)
    assert again is not None
    assert np.allclose(again.weight, half.weight)


def test_a_recipe_without_one_and_data_without_training_faces(
    toy_set: Path, tmp_path: Path
) -> None:
    items = read_manifest(toy_set)
    assert early_head_of(tmp_path, recipe_with(None), small_transformer(), items) is None
    only_test = [item for item in items if item.split == "test"]
    with pytest.raises(ManifestError):
        early_head_of(tmp_path, recipe_with(RULES), small_transformer(), only_test)
