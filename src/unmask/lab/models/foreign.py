"""Networks of other people, from the files that they publish, as plain ONNX graphs.

A checkpoint of a timm architecture, or a folder as the Hugging Face hub has it. What is read is
weights and JSON; nothing in them is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

import unmask.lab.models.network  # noqa: F401  # lets timm and transformers import torchvision
from unmask.errors import LabError, MissingExtraError
from unmask.lab.models import deepfakebench, gend
from unmask.lab.models.onnx_export import exported

FAKE_WORDS = {"fake", "deepfake", "deepfakes", "ai", "artificial", "synthetic", "generated"}
FAKE_WORDS |= {"manipulated", "forged", "swapped", "spoof", "altered"}
REAL_WORDS = {"real", "realism", "authentic", "human", "genuine", "original", "pristine"}
REAL_WORDS |= {"natural", "live", "bonafide"}
"""What publishers call the two classes."""

WRAPPERS = ("module.", "model.", "backbone.", "net.", "network.", "encoder.")
"""What training code puts before the names of a network's weights."""

OTHER_LAST_LAYERS = ("last_linear", "last_linear.1", "last_layer", "classifier", "fc", "head")
"""What others call the layer before the scores."""

MEAN = STD = (0.5, 0.5, 0.5)
"""Of folders that say nothing else."""

Positive = Literal["fake", "real"]
"""What a high output stands for, or the second of two."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network wants of a face.

    - size: side of its input in pixels; None: as its graph says
    - margin, centre_y: how much of the face, as `CropSpec` has them
    - mean, std: of pixel values over 255, in the network's own order of channels
    - order: of the channels
    """

    size: int | None = None
    margin: float = 1.3
    centre_y: float = 0.5
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    order: Literal["RGB", "BGR"] = "RGB"


@dataclass(frozen=True, slots=True)
class ForeignNetwork:
    """A network as ONNX, and what its files say of it.

    - graph: takes (N, 3, size, size) float32, gives logits (N, 1) or (N, 2)
    - positive: what the second of two outputs stands for, where the files say so
    """

    graph: bytes
    preprocessing: Preprocessing
    positive: Positive | None


def read_network(
    source: Path, architecture: str | None = None, size: int | None = None
) -> ForeignNetwork:
    """Whatever it is: an .onnx file, a folder, or the checkpoint of a timm architecture.

    Raises LabError, MissingExtraError.
    """
    if source.is_dir():
        return from_hub_folder(source)
    if architecture is not None:
        return from_timm(source, architecture, size)
    if source.suffix != ".onnx":
        raise LabError(
            f"{source} is neither an .onnx file nor a folder; of a checkpoint the architecture must"
            " be named: --timm"
        )
    try:
        return ForeignNetwork(source.read_bytes(), Preprocessing(), None)
    except OSError as error:
        raise LabError(f"cannot read {source}: {error.strerror or error}") from error


def from_timm(weights: Path, architecture: str, size: int | None = None) -> ForeignNetwork:
    """A checkpoint (.safetensors, or a state dict that is read without running it).

    - size: side of the pictures it was trained on, where that is not the architecture's usual one

    Raises LabError.
    """
    import timm

    state = _stripped(_state(weights))
    if architecture == deepfakebench.ARCHITECTURE:
        size = size or deepfakebench.SIZE
        graph = _exported(deepfakebench.efficientnet_b4(state).eval(), size)
        return ForeignNetwork(graph, Preprocessing(size, mean=MEAN, std=STD), None)
    if architecture not in timm.list_models():
        family = architecture.partition("_")[0]
        near = ", ".join(timm.list_models(f"*{family}*")[:8]) or "see timm.list_models()"
        raise LabError(f"timm has no {architecture!r}; {near}")
    named = timm.create_model(architecture).default_cfg["classifier"]
    last = named if isinstance(named, str) else named[0]
    state = _with_last_layer(state, last)
    classes = _classes(state, last)
    network = timm.create_model(architecture, num_classes=classes)
    own = network.state_dict()
    lacking = [
        key for key, value in own.items() if getattr(state.get(key), "shape", None) != value.shape
    ]
    if lacking:
        raise LabError(
            f"{weights} lacks {len(lacking)} of {len(own)} weights of {architecture}, or has others"
            f" in their place, among them {lacking[0]}: another architecture?"
        )
    network.load_state_dict({key: state[key] for key in own})
    about = network.pretrained_cfg
    size = size or int(about["input_size"][1])
    wanted = Preprocessing(size, mean=tuple(about["mean"]), std=tuple(about["std"]))
    return ForeignNetwork(_exported(network, size), wanted, None)


def from_hub_folder(folder: Path) -> ForeignNetwork:
    """A folder with config.json and weights, as the Hugging Face hub has it.

    Polarity comes from the names of its labels. Raises LabError, MissingExtraError.
    """
    config = _json(folder / "config.json")
    if config.get("model_type") == gend.MODEL_TYPE:
        return _from_gend(config, folder)
    positive = polarity(_labels(config))
    if "architecture" in config:  # timm's own kind
        weights = _only_weights(folder)
        about = config.get("pretrained_cfg", {})
        size = about["input_size"][1] if "input_size" in about else None
        found = from_timm(weights, config["architecture"], size)
        mean, std = (
            tuple(about.get(key, getattr(found.preprocessing, key))) for key in ("mean", "std")
        )
        wanted = Preprocessing(found.preprocessing.size, mean=mean, std=std)
        return ForeignNetwork(found.graph, wanted, positive)
    try:
        from transformers import AutoModelForImageClassification
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingExtraError("folders of the Hugging Face hub", "foreign") from error
    try:
        disable_progress_bar()  # type: ignore[no-untyped-call]
        network = AutoModelForImageClassification.from_pretrained(
            folder, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise LabError(f"{folder} cannot be loaded: {str(error).splitlines()[0]:.300}") from error
    about = _json(folder / "preprocessor_config.json")
    wanted = Preprocessing(
        _side(about, config),
        mean=tuple(about.get("image_mean", MEAN)),
        std=tuple(about.get("image_std", STD)),
    )
    assert wanted.size is not None
    return ForeignNetwork(_exported(_Logits(network), wanted.size), wanted, positive)


def _from_gend(config: Mapping[str, Any], folder: Path) -> ForeignNetwork:
    """Encoder and linear layer; what its classes are its authors' code says, not the folder."""
    detector = gend.read_gend(config, _state(_only_weights(folder)))
    wanted = Preprocessing(gend.SIZE, mean=detector.mean, std=detector.std)
    return ForeignNetwork(_exported(detector.network, gend.SIZE), wanted, "fake")


def _only_weights(folder: Path) -> Path:
    """The file with the weights of a folder. Raises LabError."""
    found = [*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.bin"))]
    if not found:
        raise LabError(f"{folder} has no weights (.safetensors)")
    return found[0]


def polarity(labels: Mapping[int, str]) -> Positive | None:
    """What the second of two classes stands for; None where there are no names.

    Raises LabError for names that do not say which is fake.
    """
    if not labels:
        return None
    if sorted(labels) != [0, 1]:
        raise LabError(f"a detector has two classes, but these are {dict(labels)}")
    first, second = (_side_of(labels[number]) for number in (0, 1))
    if {first, second} != {"fake", "real"}:
        raise LabError(
            f"which of {labels[0]!r} and {labels[1]!r} is fake? Say it: --positive fake if it is"
            f" {labels[1]!r}"
        )
    return second


def _side_of(label: str) -> Literal["fake", "real"] | None:
    words = set(label.lower().replace("-", " ").replace("_", " ").split())
    fake, real = bool(words & FAKE_WORDS), bool(words & REAL_WORDS)
    return None if fake == real else "fake" if fake else "real"


def _labels(config: Mapping[str, Any]) -> dict[int, str]:
    if "label_names" in config:  # timm's
        return dict(enumerate(config["label_names"]))
    return {int(number): str(name) for number, name in config.get("id2label", {}).items()}


class _Logits(torch.nn.Module):
    """A network of transformers that gives its logits alone."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixel_values=pixel_values).logits
        return logits


def _exported(network: torch.nn.Module, size: int) -> bytes:
    return exported(network, torch.zeros(2, 3, size, size), ["scores"])


def _state(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file, read as data."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that anybody may have written
        raise LabError(f"{path} cannot be read: {str(error).splitlines()[0]:.200}") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(
        isinstance(v, torch.Tensor) for v in loaded.values()
    ):
        raise LabError(f"{path} holds no state dict")
    return loaded


def _stripped(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the names that training code puts before those of the network."""
    while wrapper := next((w for w in WRAPPERS if all(key.startswith(w) for key in state)), None):
        state = {key.removeprefix(wrapper): value for key, value in state.items()}
    return state


def _with_last_layer(state: dict[str, torch.Tensor], last: str) -> dict[str, torch.Tensor]:
    """With the last layer under timm's name, where others call it otherwise.

    DeepfakeBench and the FaceForensics++ authors keep the older name of Cadene's Xception, inside a
    Sequential where there is dropout before it.
    """
    if f"{last}.weight" in state:
        return state
    for other in OTHER_LAST_LAYERS:
        if f"{other}.weight" in state:
            return {
                f"{last}{key.removeprefix(other)}" if key.startswith(f"{other}.") else key: value
                for key, value in state.items()
            }
    return state


def _classes(state: Mapping[str, torch.Tensor], last: str) -> int:
    """How many outputs the layer of that name has."""
    weight = state.get(f"{last}.weight")
    if weight is None:
        raise LabError(f"the checkpoint has no {last}.weight, the network's last layer")
    return int(weight.shape[0])


def _side(about: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    size = about.get("size", config.get("image_size", 224))
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge", 224))
    return int(size)


def _json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        raise LabError(f"{path} is not an object")
    return tree
