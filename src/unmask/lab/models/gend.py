"""GenD's detectors: a foundation model's image encoder, and a linear layer on what it says.

Yermakov et al., "Deepfake Detection that Generalizes Across Benchmarks" (WACV 2026). A folder names
the encoder and holds all weights, but not the encoder's own settings, which its authors fetch from
a hub. Here they are read off the shapes of the weights, so that nothing is fetched.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

import unmask.lab.models.network  # noqa: F401  # lets timm and transformers import torchvision
from unmask.errors import LabError, MissingExtraError

MODEL_TYPE = "GenD"
"""What config.json calls itself."""

SIZE = 224
"""Side of the pictures that all of its encoders are given, in pixels."""

OF_A_HEAD = 64
"""Numbers in each attention head of CLIP's and DINO's encoders."""

Statistics = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class GenD:
    """A detector as it was published.

    - network: (N, 3, SIZE, SIZE) → logits (N, 2), of which the second stands for fake
    - mean, std: of pixel values over 255
    """

    network: nn.Module
    mean: Statistics
    std: Statistics


def read_gend(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> GenD:
    """The detector of a folder.

    - config: its config.json, with `backbone` (the encoder's name) and `head`
    - state: its weights by name

    Raises LabError for encoders and heads that are not known and for missing weights,
    MissingExtraError without transformers.
    """
    from timm.data.constants import (
        IMAGENET_DEFAULT_MEAN,
        IMAGENET_DEFAULT_STD,
        OPENAI_CLIP_MEAN,
        OPENAI_CLIP_STD,
    )

    name, head = str(config.get("backbone", "")), config.get("head")
    if head not in ("linear", "LinearNorm"):
        raise LabError(f"GenD has no head {head!r}; it has linear and LinearNorm")
    weights = _under(state, "feature_extractor.")
    if "clip" in name.lower():
        encoder = _clip(_under(weights, "vision_model."))
        mean, std = OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
    elif "vit_pe" in name.lower():
        encoder, mean, std = _perception_encoder(name, _under(weights, "backbone."))
    elif "dino" in name.lower():
        encoder = _dino(name.lower(), _under(weights, "backbone."))
        mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    else:
        raise LabError(f"GenD has no encoder {name!r}; it has CLIP's, DINO's and vit_pe_…")
    linear = _linear(_under(state, "model."))
    return GenD(_Detector(encoder, linear, normalised=head == "LinearNorm"), mean, std)


class _Detector(nn.Module):
    """Encoder and linear layer.

    - normalised: the encoder's numbers are brought to length 1 first
    """

    def __init__(
        self, encoder: Callable[[Tensor], Tensor], linear: nn.Linear, *, normalised: bool
    ) -> None:
        super().__init__()
        self.encoder, self.linear, self.normalised = encoder, linear, normalised

    def forward(self, faces: Tensor) -> Tensor:
        features = self.encoder(faces)
        if self.normalised:
            features = nn.functional.normalize(features, dim=1)
        logits: Tensor = self.linear(features)
        return logits


class _Pooled(nn.Module):
    """An encoder of transformers: its summary of the picture (of DINO, the first token)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, faces: Tensor) -> Tensor:
        summary: Tensor = self.encoder(faces).pooler_output
        return summary


def _clip(state: Mapping[str, Tensor]) -> nn.Module:
    with _shapes_of("CLIP's encoder"):
        width, _, patch, _ = state["embeddings.patch_embedding.weight"].shape
        places = len(state["embeddings.position_embedding.weight"]) - 1
        inner = len(state["encoder.layers.0.mlp.fc1.weight"])
    transformers = _transformers()
    settings = transformers.CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=_layers(state, "encoder.layers."),
        num_attention_heads=width // OF_A_HEAD,
        image_size=math.isqrt(places) * patch,
        patch_size=patch,
    )
    return _Pooled(_loaded(transformers.CLIPVisionModel, settings, state))


def _dino(name: str, state: Mapping[str, Tensor]) -> nn.Module:
    transformers = _transformers()
    third = "dinov3" in name
    with _shapes_of("DINO's encoder"):
        patches = "patch_embeddings" if third else "patch_embeddings.projection"
        width, _, patch, _ = state[f"embeddings.{patches}.weight"].shape
        first_layer = next(key for key in state if key.endswith(("fc1.weight", "up_proj.weight")))
        inner = len(state[first_layer])
        registers = state.get("embeddings.register_tokens")
        places = None if third else state["embeddings.position_embeddings"].shape[1] - 1
    layers = _layers(state, first_layer.split(".0.")[0] + ".")
    common = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // OF_A_HEAD,
        "patch_size": patch,
    }
    if registers is not None:
        common["num_register_tokens"] = registers.shape[1]
    if places is None:
        gated = any("gate_proj" in key for key in state)
        settings = transformers.DINOv3ViTConfig(
            **common, intermediate_size=inner, use_gated_mlp=gated, image_size=SIZE
        )
        return _Pooled(_loaded(transformers.DINOv3ViTModel, settings, state))
    common |= {"mlp_ratio": inner // width, "image_size": math.isqrt(places) * patch}
    if registers is None:
        settings = transformers.Dinov2Config(**common)
        return _Pooled(_loaded(transformers.Dinov2Model, settings, state))
    settings = transformers.Dinov2WithRegistersConfig(**common)
    return _Pooled(_loaded(transformers.Dinov2WithRegistersModel, settings, state))


def _perception_encoder(
    name: str, state: Mapping[str, Tensor]
) -> tuple[nn.Module, Statistics, Statistics]:
    import timm

    if name not in timm.list_models("vit_pe_*"):
        raise LabError(f"timm has no {name!r}")
    encoder: Any = timm.create_model(name, pretrained=False, dynamic_img_size=True)
    encoder.head = nn.Identity()
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise LabError(f"the weights are not those of {name}: {error!s:.200}") from error
    about = encoder.pretrained_cfg
    return encoder, tuple(about["mean"]), tuple(about["std"])


def _linear(state: Mapping[str, Tensor]) -> nn.Linear:
    with _shapes_of("the layer before the scores"):
        weight, bias = state["linear.weight"], state["linear.bias"]
        classes, width = weight.shape
    if classes != 2:
        raise LabError(f"a detector has two classes, this one {classes}")
    linear = nn.Linear(width, classes)
    linear.load_state_dict({"weight": weight, "bias": bias})
    return linear


def _loaded(model: Any, settings: Any, state: Mapping[str, Tensor]) -> nn.Module:
    """An encoder of transformers, which knows the names that its older versions gave weights."""
    network, about = model.from_pretrained(
        None, config=settings, state_dict=dict(state), output_loading_info=True
    )
    # never used in judging a picture, and dropped by some
    if lacking := sorted(set(about["missing_keys"]) - {"embeddings.mask_token"}):
        raise LabError(
            f"{len(lacking)} weights of the encoder are missing, among them {lacking[0]}"
        )
    encoder: nn.Module = network
    return encoder


def _transformers() -> Any:
    try:
        import transformers
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingExtraError("GenD's detectors", "foreign") from error
    disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin so, without that beginning."""
    return {k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)}


def _layers(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many layers are numbered behind `prefix`."""
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})


@contextlib.contextmanager
def _shapes_of(what: str) -> Iterator[None]:
    """Raises LabError where weights are missing or have other shapes than they should."""
    try:
        yield
    except (KeyError, ValueError, StopIteration, IndexError) as error:
        raise LabError(f"the weights of {what} are not all there: {error!s:.200}") from error
