from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from helpers.bundles import brightness_graph, write_bundle
from unmask.bundle import Bundle, load_bundle, read_seal, seal, shipped_bundles
from unmask.bundle.session import MAX_BATCH, canary_crops
from unmask.errors import (
    BundleFormatError,
    BundleIntegrityError,
    BundleNotFoundError,
    CanaryError,
    MissingExtraError,
)
from unmask.testing import example_card


def grey(value: int, size: int = 32) -> np.ndarray:
    return np.full((size, size, 3), value, np.uint8)


def test_scores_and_heat_maps(tiny_bundle: Path) -> None:
    bundle = Bundle(tiny_bundle)
    half = grey(128)
    half[:, 16:] = 160  # right half brighter
    logits, maps, *_ = bundle.score([grey(128), grey(144), half], explain=True)
    assert logits == pytest.approx([0, 1, 1])
    assert maps is not None
    assert maps.shape == (3, 4, 4)
    assert maps[2, :, :2] == pytest.approx(0)
    assert maps[2, :, 2:] == pytest.approx(2)
    assert maps.mean(axis=(1, 2)) == pytest.approx(logits)


def test_without_explain_there_are_no_maps(tiny_bundle: Path) -> None:
    assert Bundle(tiny_bundle).score([grey(1)]).heatmaps is None
    assert Bundle(tiny_bundle).score([]).logits.shape == (0,)


def test_more_than_a_batch(tiny_bundle: Path) -> None:
    crops = [grey(v) for v in range(3 * MAX_BATCH + 1)]
    logits, maps, *_ = Bundle(tiny_bundle).score(crops, explain=True)
    assert logits == pytest.approx([(v - 128) / 16 for v in range(len(crops))])
    assert maps is not None
    assert len(maps) == len(crops)


def test_a_float_graph_gets_normalised_crops(tmp_path: Path) -> None:
    where = {**example_card()["preprocessing"], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    path = write_bundle(
        tmp_path / "b.onnx", brightness_graph(kind=TensorProto.FLOAT), preprocessing=where
    )
    # 255 → (1 - 0.5) / 0.25 = 2, and the graph gives (2 - 128) / 16
    assert Bundle(path).score([grey(255)]).logits == pytest.approx([(2 - 128) / 16])


@pytest.mark.parametrize(
    "crop", [np.zeros((31, 32, 3), np.uint8), np.zeros((32, 32, 3), np.float32)]
)
def test_a_crop_of_another_shape_or_type_is_refused(tiny_bundle: Path, crop: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(32, 32, 3\)"):
        Bundle(tiny_bundle).score([crop])


def test_one_changed_byte(tiny_bundle: Path, tmp_path: Path) -> None:
    content = bytearray(tiny_bundle.read_bytes())
    content[content.index(b"AveragePool")] ^= 1
    (tmp_path / "b.onnx").write_bytes(content)
    with pytest.raises(BundleIntegrityError, match=r"b.onnx is refused: the graph was changed"):
        load_bundle(str(tmp_path / "b.onnx"))


def test_flipped_labels_are_caught_by_the_canaries(tiny_bundle: Path, tmp_path: Path) -> None:
    """Somebody swaps the graph for one whose logit means real, and seals it properly."""
    card = read_seal(tiny_bundle.read_bytes())
    (tmp_path / "b.onnx").write_bytes(seal(brightness_graph(sign=-1), card))
    with pytest.raises(CanaryError, match="polarity"):
        load_bundle(str(tmp_path / "b.onnx"))


@pytest.mark.parametrize("change", [{"margin": 1.1}, {"centre_y": 0.6}])
def test_another_preprocessing_is_caught_by_the_canaries(
    tiny_bundle: Path, tmp_path: Path, change: dict
) -> None:
    card = copy.deepcopy(read_seal(tiny_bundle.read_bytes()))
    card["preprocessing"] |= change
    (tmp_path / "b.onnx").write_bytes(seal(tiny_bundle.read_bytes(), card))
    with pytest.raises(CanaryError, match="preprocessing"):
        load_bundle(str(tmp_path / "b.onnx"))


def test_another_normalisation_is_caught_by_the_canaries(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b.onnx", brightness_graph(kind=TensorProto.FLOAT))
    card = copy.deepcopy(read_seal(path.read_bytes()))
    card["preprocessing"]["mean"] = [0.5, 0.5, 0.5]
    card["canaries"]["tolerance"] = 0.001
    path.write_bytes(seal(path.read_bytes(), card))
    with pytest.raises(CanaryError):
        load_bundle(str(path))


def test_a_missing_card(tmp_path: Path) -> None:
    (tmp_path / "b.onnx").write_bytes(brightness_graph())
    with pytest.raises(BundleFormatError, match="no card"):
        load_bundle(str(tmp_path / "b.onnx"))


def test_a_size_that_the_graph_does_not_take(tmp_path: Path) -> None:
    card = example_card(preprocessing={**example_card()["preprocessing"], "size": 64})
    (tmp_path / "b.onnx").write_bytes(seal(brightness_graph(32), card))
    with pytest.raises(BundleFormatError, match="64"):
        load_bundle(str(tmp_path / "b.onnx"))


def test_other_inputs_and_outputs(tmp_path: Path) -> None:
    graph = brightness_graph().replace(b"logit", b"score")
    (tmp_path / "b.onnx").write_bytes(seal(graph, example_card()))
    with pytest.raises(BundleFormatError, match="'logit'"):
        load_bundle(str(tmp_path / "b.onnx"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BundleNotFoundError, match="default"):
        load_bundle("nonesuch")


def test_canaries_repeat_and_differ(tiny_bundle: Path) -> None:
    spec = Bundle(tiny_bundle).card.crop
    first, second = canary_crops(7, 4, spec), canary_crops(7, 4, spec)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], canary_crops(8, 1, spec)[0])


def test_what_ships_is_right_and_small_enough() -> None:
    assert "default" in shipped_bundles()
    for name, path in shipped_bundles().items():
        assert load_bundle(name).card.name
        assert path.stat().st_size <= 25_000_000


def test_openvino_gives_about_the_same(demo: Path) -> None:
    pytest.importorskip("openvino")
    crops = canary_crops(3, 5, load_bundle("default").card.crop)
    plain, maps, *_ = load_bundle("default").score(crops, explain=True)
    other, other_maps, *_ = load_bundle("default", engine="openvino").score(crops, explain=True)
    assert other == pytest.approx(plain, abs=0.1)
    assert maps is not None
    assert other_maps is not None
    assert other_maps.shape == maps.shape


def test_an_unknown_or_missing_engine(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    with pytest.raises(ValueError, match="onnxruntime, openvino"):
        load_bundle(str(tiny_bundle), engine="magic")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"'\.\[openvino\]'"):
        load_bundle(str(tiny_bundle), engine="openvino")
