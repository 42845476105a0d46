"""Networks made elsewhere as bundles: what they say is proved on labelled faces.

The faces are the demo's, real ones dark and fake ones bright; the networks tell brightness.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner

from unmask import load_detector
from unmask.bundle import Bundle
from unmask.cli import app
from unmask.errors import LabError
from unmask.faces.alignment import CropSpec
from unmask.lab.data.manifest import read_manifests
from unmask.lab.export.export import cut_faces
from unmask.lab.export.wrap import Words, are_probabilities, to_logits, wrap
from unmask.lab.models.foreign import (
    Positive,
    Preprocessing,
    from_hub_folder,
    from_timm,
    polarity,
)

SIZE = 48
WORDS = Words("theirs", "MIT", "theirs.onnx")


@pytest.fixture(scope="module")
def faces(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with real/ (dark) and fake/ (bright)."""
    folder = tmp_path_factory.mktemp("faces")
    picture = np.asarray(Image.open(demo / "1-photograph.jpg").convert("RGB").resize((480, 480)))
    for kind, lowest in (("real", 0.5), ("fake", 0.8)):
        (folder / kind).mkdir()
        for number in range(12):
            scaled = (picture * (lowest + 0.015 * number)).astype(np.uint8)
            Image.fromarray(scaled).save(folder / kind / f"{number}.png")
    return folder


def brightness_network(
    *,
    outputs: str = "logit",
    channels_last: bool = False,
    first_channel_only: bool = False,
    batch: int | str = "N",
    sides: tuple[int | str, int | str] = (SIZE, SIZE),
    sign: float = 1.0,
) -> bytes:
    """Brightness of pixels 0–1 around 0.5, times 8, as other people's exports give it.

    outputs: `logit` (N, 1), `sigmoid` (N,), `two_logits`, `softmax` or `three` (N, 3).
    """
    shape = [batch, *sides, 3] if channels_last else [batch, 3, *sides]
    places = [1, 2] if channels_last else [2, 3]
    weights = np.array([1, 0, 0] if first_channel_only else [1 / 3] * 3, np.float32)[:, None]
    arrays: dict[str, Any] = {
        "places": np.array(places, np.int64),
        "weights": weights * 8 * sign,
        "offset": np.array([-4 * sign], np.float32),
        "spread": {
            "two_logits": np.array([[-0.5, 0.5]], np.float32),
            "softmax": np.array([[-0.5, 0.5]], np.float32),
            "three": np.ones((1, 3), np.float32),
        }.get(outputs, np.ones((1, 1), np.float32)),
    }
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "places"], ["channels"], keepdims=0),
        helper.make_node("MatMul", ["channels", "weights"], ["bright"]),
        helper.make_node("Add", ["bright", "offset"], ["centred"]),
        helper.make_node("MatMul", ["centred", "spread"], ["spread_out"]),
        helper.make_node(
            {"sigmoid": "Sigmoid", "softmax": "Softmax"}.get(outputs, "Identity"),
            ["spread_out"],
            ["scores"],
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", "K"])],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def wrapped(
    model: bytes,
    faces: Path,
    out: Path,
    positive: Positive = "fake",
    preprocessing: Preprocessing | None = None,
    output: str | None = None,
) -> Bundle:
    wanted = preprocessing or Preprocessing()
    wrap(model, out, [faces], positive, wanted, WORDS, output=output)
    return Bundle(out)


def brightness(crop: np.ndarray[Any, Any], channel: int | None = None) -> float:
    pixels = crop / 255
    return float((pixels if channel is None else pixels[..., channel]).mean())


@pytest.mark.parametrize("outputs", ["logit", "sigmoid", "two_logits", "softmax"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_whatever_its_form_the_logit_is_the_networks(
    faces: Path, tmp_path: Path, outputs: str, channels_last: bool
) -> None:
    model = brightness_network(outputs=outputs, channels_last=channels_last)
    bundle = wrapped(model, faces, tmp_path / "w.onnx")
    rng = np.random.default_rng(1)
    crops = [rng.integers(low, low + 100, (SIZE, SIZE, 3), np.uint8) for low in (0, 60, 150)]
    expected = [8 * brightness(crop) - 4 for crop in crops]
    assert bundle.score(crops).logits == pytest.approx(expected, abs=1e-3)
    assert bundle.card.text["made_by"]["output_stands_for"] == "fake"


def test_mean_std_and_the_order_of_channels_are_applied(faces: Path, tmp_path: Path) -> None:
    wanted = Preprocessing(mean=(0.2, 0.0, 0.0), std=(0.5, 1.0, 1.0), order="BGR")
    model = brightness_network(first_channel_only=True)
    bundle = wrapped(model, faces, tmp_path / "w.onnx", preprocessing=wanted)
    crop = np.zeros((SIZE, SIZE, 3), np.uint8)
    crop[..., 2] = 204  # blue, which the network takes first: 0.8
    assert bundle.score([crop]).logits[0] == pytest.approx(8 * (0.8 - 0.2) / 0.5 - 4, abs=1e-3)


def test_a_scan_by_it_decides(faces: Path, tmp_path: Path) -> None:
    wrapped(brightness_network(), faces, tmp_path / "w.onnx")
    detector = load_detector(str(tmp_path / "w.onnx"))
    assert detector.scan(faces / "fake" / "11.png").verdict.label == "fake"
    assert detector.scan(faces / "real" / "5.png").verdict.label == "real"
    report = detector.scan(faces / "fake" / "11.png", explain=True)
    grades = [exhibit.faithfulness for exhibit in report.people[0].exhibits]
    assert not any(grade is not None and grade.faithful for grade in grades)


def test_the_other_polarity_is_found_out_and_named(faces: Path, tmp_path: Path) -> None:
    upside_down = brightness_network(sign=-1)
    with pytest.raises(LabError, match="stands for real faces, so it is --positive real"):
        wrapped(upside_down, faces, tmp_path / "w.onnx")
    assert not (tmp_path / "w.onnx").exists()
    bundle = wrapped(upside_down, faces, tmp_path / "w.onnx", positive="real")
    bright = np.full((SIZE, SIZE, 3), 230, np.uint8)
    assert bundle.score([bright]).logits[0] > 2


def test_a_network_that_tells_nothing_is_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"cannot be said; check size"):
        wrapped(brightness_network(sign=0), faces, tmp_path / "w.onnx")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (b"no model", "this is no ONNX model"),
        (brightness_network(outputs="three"), "gives 3 numbers"),
        (brightness_network(batch=1), "one picture at a time"),
        (brightness_network(sides=("h", "w")), "--size"),
        (brightness_network(sides=(48, 64)), "48 × 64 pixels"),
    ],
)
def test_what_does_not_fit_is_said(faces: Path, tmp_path: Path, model: bytes, words: str) -> None:
    with pytest.raises(LabError, match=words):
        wrapped(model, faces, tmp_path / "w.onnx")


def test_of_several_outputs_one_must_be_named(faces: Path, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(brightness_network())
    model.graph.output.append(helper.make_tensor_value_info("bright", TensorProto.FLOAT, ["N", 1]))
    two = model.SerializeToString()
    with pytest.raises(LabError, match="one of: scores, bright"):
        wrapped(two, faces, tmp_path / "w.onnx")
    assert wrapped(two, faces, tmp_path / "w.onnx", output="scores").card.name == "theirs"


def test_outputs_are_probabilities_where_all_lie_between_0_and_1() -> None:
    assert are_probabilities(np.array([[0.1], [0.9]]))
    assert are_probabilities(np.array([[0.1, 0.9], [0.7, 0.3]]))
    assert not are_probabilities(np.array([[0.1, 0.8], [0.7, 0.3]]))  # do not sum to 1
    assert not are_probabilities(np.array([[0.1], [1.2]]))
    logits = to_logits(np.array([[0.25, 0.75]]), probabilities=True, positive="real")
    assert logits[0] == pytest.approx(-np.log(3))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({0: "Realism", 1: "Deepfake"}, "fake"),
        ({0: "FAKE", 1: "REAL"}, "real"),
        ({0: "ai_generated", 1: "human"}, "real"),
        ({}, None),
    ],
)
def test_polarity_comes_from_the_names_of_labels(
    labels: dict[int, str], expected: str | None
) -> None:
    assert polarity(labels) == expected


@pytest.mark.parametrize(
    "labels", [{0: "LABEL_0", 1: "LABEL_1"}, {0: "real", 1: "real-ish"}, {0: "a", 1: "b", 2: "c"}]
)
def test_names_that_do_not_say_which_is_fake_are_refused(labels: dict[int, str]) -> None:
    with pytest.raises(LabError, match=r"which of|two classes"):
        polarity(labels)


def fitted(
    features: Callable[[torch.Tensor], torch.Tensor], faces: Path, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and biases of a last layer of two that tells the dark faces from the bright ones."""
    wanted = Preprocessing(size)
    spec = CropSpec(size, wanted.margin, wanted.centre_y)
    cut = cut_faces(read_manifests([faces]), spec)
    batch = (torch.tensor(np.stack(cut.crops)).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.no_grad():
        found = features(batch)
    widened = torch.cat([found, torch.ones(len(found), 1)], dim=1)
    labels = torch.tensor(2.0 * cut.labels - 1, dtype=torch.float32)[:, None]
    solved = torch.linalg.lstsq(widened, labels, driver="gelsd").solution
    weight = torch.cat([-solved[:-1].T, solved[:-1].T])
    return weight, torch.cat([-solved[-1], solved[-1]])


@pytest.mark.slow
def test_a_timm_checkpoint_becomes_a_bundle(faces: Path, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(1)
    name = "mobilenetv3_small_050"
    network = timm.create_model(name, num_classes=2).eval()
    weight, bias = fitted(
        lambda x: network.forward_head(network.forward_features(x), pre_logits=True), faces, 224
    )
    network.classifier.weight.data, network.classifier.bias.data = weight, bias
    path = tmp_path / "checkpoint.safetensors"
    state = {f"module.{key}": value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, path)
    found = from_timm(path, name)
    assert found.preprocessing.mean == tuple(network.pretrained_cfg["mean"])
    # the faces above were told apart at 0.5, 0.5
    wanted = Preprocessing(found.preprocessing.size, mean=(0.5,) * 3, std=(0.5,) * 3)
    wrap(found.graph, tmp_path / "w.onnx", [faces], "fake", wanted, WORDS)
    bundle = Bundle(tmp_path / "w.onnx")
    side = bundle.card.crop.size
    crop = np.full((side, side, 3), 100, np.uint8)
    pixels = (torch.tensor(crop)[None].permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.no_grad():
        two = network(pixels)[0]
    assert bundle.score([crop]).logits[0] == pytest.approx(float(two[1] - two[0]), abs=2e-3)

    with pytest.raises(LabError, match="another architecture"):
        from_timm(path, "mobilenetv3_small_075")
    with pytest.raises(LabError, match="timm has no 'xceptoin'"):
        from_timm(path, "xceptoin")
    pickled = tmp_path / "evil.pth"
    torch.save({"state_dict": {"a": print}}, pickled)  # code, which is not run
    with pytest.raises(LabError, match="cannot be read"):
        from_timm(pickled, name)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["last_linear", "last_linear.1"])
def test_checkpoints_of_deepfakebench_are_read(tmp_path: Path, other: str) -> None:
    import timm

    torch.manual_seed(2)
    network = timm.create_model("legacy_xception", num_classes=2).eval()
    state = {
        f"backbone.{other}{key.removeprefix('fc')}"
        if key.startswith("fc.")
        else f"backbone.{key}": v
        for key, v in network.state_dict().items()
    }
    # what its detector carries besides
    state["backbone.adjust_channel.0.weight"] = torch.zeros(512, 2048, 1, 1)
    path = tmp_path / "ckpt_best.pth"
    torch.save(state, path)
    found = from_timm(path, "legacy_xception", 64)
    assert found.preprocessing.size == 64
    session = onnxruntime.InferenceSession(found.graph)
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(pixels).numpy()
    assert session.run(None, {"faces": pixels.numpy()})[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_a_folder_of_the_hub_becomes_a_bundle(faces: Path, tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=16,
        num_labels=2,
        id2label={0: "Fake", 1: "Real"},
        label2id={"Fake": 0, "Real": 1},
    )
    network = ViTForImageClassification(config).eval()
    weight, bias = fitted(lambda x: network.vit(x).last_hidden_state[:, 0], faces, 32)
    # of their labels, the first is fake
    network.classifier.weight.data, network.classifier.bias.data = weight.flip(0), bias.flip(0)
    folder = tmp_path / "vit"
    network.save_pretrained(folder)
    says = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(says))
    found = from_hub_folder(folder)
    assert found.positive == "real"
    assert found.preprocessing == Preprocessing(32, mean=(0.5,) * 3, std=(0.5,) * 3)

    out = tmp_path / "w.onnx"
    command = ["models", "wrap", str(folder), "--data", str(faces), "--out", str(out)]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert load_detector(str(out)).scan(faces / "fake" / "11.png").verdict.label == "fake"


def test_the_command_wants_to_know_what_the_output_stands_for(faces: Path, tmp_path: Path) -> None:
    model = tmp_path / "theirs.onnx"
    model.write_bytes(brightness_network())
    command = ["models", "wrap", str(model), "--data", str(faces), "--out", str(tmp_path / "w")]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 2
    assert "--positive" in ended.stderr
