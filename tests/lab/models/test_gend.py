"""GenD's folders: tiny encoders with random weights, under the names that its authors' code gives.

Against that code itself the adapter was tried by hand (docs/foreign.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unmask.errors import LabError
from unmask.lab.models.foreign import from_hub_folder
from unmask.lab.models.gend import SIZE, read_gend

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


def with_random_weights(network: Any) -> Any:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval()


def clip() -> Any:
    settings = transformers.CLIPVisionConfig(**SMALL, intermediate_size=256, patch_size=32)
    return with_random_weights(transformers.CLIPVisionModel(settings))


def dinov2(registers: int | None = 4) -> Any:
    if registers is None:
        settings = transformers.Dinov2Config(**SMALL, image_size=280, patch_size=28)
        return with_random_weights(transformers.Dinov2Model(settings))
    settings = transformers.Dinov2WithRegistersConfig(
        **SMALL, image_size=280, patch_size=28, num_register_tokens=registers
    )
    return with_random_weights(transformers.Dinov2WithRegistersModel(settings))


def dinov3() -> Any:
    settings = transformers.DINOv3ViTConfig(
        **SMALL, intermediate_size=256, patch_size=32, num_register_tokens=4
    )
    return with_random_weights(transformers.DINOv3ViTModel(settings))


def published(encoder: Any, inside: str, width: int = 128) -> dict[str, Tensor]:
    """All weights of a detector with this encoder, by the names that GenD's files have."""
    linear = with_random_weights(nn.Linear(width, 2))
    state = {f"feature_extractor.{inside}.{k}": v.clone() for k, v in encoder.state_dict().items()}
    return state | {f"model.linear.{k}": v.clone() for k, v in linear.state_dict().items()}


def expected(features: Tensor, state: dict[str, Tensor]) -> Tensor:
    """GenD's second head, as the paper has it: a linear layer on features of length 1."""
    features = features / features.norm(dim=1, keepdim=True)
    return features @ state["model.linear.weight"].T + state["model.linear.bias"]


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "encoder", "inside"),
    [
        ("openai/clip-vit-base-patch32", clip(), "vision_model"),
        ("facebook/dinov2-with-registers-base", dinov2(), "backbone"),
        ("facebook/dinov2-base", dinov2(registers=None), "backbone"),
        ("facebook/dinov3-vitl16-pretrain-lvd1689m", dinov3(), "backbone"),
    ],
)
def test_its_logits_are_the_encoders_features_times_the_head(
    name: str, encoder: Any, inside: str, pictures: Tensor
) -> None:
    state = published(encoder, inside)
    detector = read_gend({"backbone": name, "head": "LinearNorm"}, state)
    with torch.no_grad():
        seen = encoder(pictures)
        features = seen.pooler_output if "clip" in name else seen.last_hidden_state[:, 0]
        logits = detector.network(pictures)
    assert torch.allclose(logits, expected(features, state), atol=1e-5)


def test_the_names_of_older_versions_of_transformers_are_known(pictures: Tensor) -> None:
    encoder = dinov2()
    older = {"q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value"}
    older |= {"o_proj": "output.dense"}
    state = published(encoder, "backbone")
    for new, old in older.items():
        state = {
            key.replace(f"attention.{new}.", f"attention.{old}."): v for key, v in state.items()
        }
    detector = read_gend(
        {"backbone": "facebook/dinov2-with-registers-base", "head": "linear"}, state
    )
    with torch.no_grad():
        features = encoder(pictures).last_hidden_state[:, 0]
        wanted = features @ state["model.linear.weight"].T + state["model.linear.bias"]
        assert torch.allclose(detector.network(pictures), wanted, atol=1e-4)


def test_a_folder_becomes_a_graph(tmp_path: Path, pictures: Tensor) -> None:
    state = published(clip(), "vision_model")
    save_file(state, tmp_path / "model.safetensors")
    config = {
        "model_type": "GenD",
        "backbone": "openai/clip-vit-base-patch32",
        "head": "LinearNorm",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = from_hub_folder(tmp_path)
    assert found.positive == "fake"
    assert found.preprocessing.size == SIZE
    scores = onnxruntime.InferenceSession(found.graph).run(None, {"faces": pictures.numpy()})[0]
    with torch.no_grad():
        wanted = read_gend(config, state).network(pictures).numpy()
    assert np.abs(scores - wanted).max() < 1e-5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"head": "mlp"}, "no head 'mlp'"),
        ({"backbone": "google/siglip"}, "no encoder 'google/siglip'"),
        ({"backbone": "vit_pe_of_nobody"}, "timm has no"),
        ({"backbone": "facebook/dinov2-base"}, "DINO's encoder are not all there"),
    ],
)
def test_what_is_not_known_is_an_error(change: dict[str, str], words: str) -> None:
    config = {"backbone": "openai/clip-vit-base-patch32", "head": "linear"} | change
    with pytest.raises(LabError, match=words):
        read_gend(config, published(clip(), "vision_model"))


@pytest.mark.parametrize("gone", ["layer_norm1.weight", "post_layernorm", "model.linear.bias"])
def test_missing_weights_are_an_error(gone: str) -> None:
    state = {k: v for k, v in published(clip(), "vision_model").items() if gone not in k}
    with pytest.raises(LabError, match=r"missing|not all there"):
        read_gend({"backbone": "openai/clip-vit-base-patch32", "head": "linear"}, state)
