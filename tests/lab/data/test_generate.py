from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unmask.demo
from unmask.errors import LabError
from unmask.faces import load_finder
from unmask.lab.data.generate import generate, load_generator
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.data.samples import Sample, find_samples

FACES = Path(unmask.demo.__file__).parent


def stand_in(seed: int) -> np.ndarray:
    """A generator: the demo's generated face, lit by the seed, large as generators make them."""
    face = np.asarray(Image.open(FACES / "2-generated.jpg").convert("RGB").resize((640, 640)))
    return np.clip(face * (0.7 + 0.3 * np.random.default_rng(seed).random()), 0, 255).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def likes(toy_set: Path) -> list[Sample]:
    """Real pictures of two wrappings."""
    items = [item for item in read_manifest(toy_set) if not item.label][:6]
    small = Image.fromarray(items[5].decode()).resize((150, 150))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=50, subsampling=0)
    other = Item("other", 0, "other", "test", "other", data=file.getvalue())
    return find_samples([*items[:3], other], jobs=1).samples


def test_each_fake_takes_the_place_of_a_real_picture(likes: list[Sample]) -> None:
    made = list(generate(stand_in, "gan", likes, 8, load_finder("yunet"), seed=3))
    assert len({item.name for item in made}) == 8
    found = find_samples(
        [Item(i.name, 1, "gan", i.split, i.group, data=i.data) for i in made], jobs=1
    ).samples
    assert len(found) == 8
    for item, seen in zip(made, found, strict=True):
        like = min(likes, key=lambda s: float(np.abs(s.landmarks.ravel() - item.landmarks).sum()))
        assert (item.label, item.dataset, item.split) == (1, "gan", like.item.split)
        with (
            Image.open(io.BytesIO(item.data or b"")) as fake,
            Image.open(io.BytesIO(like.item.data or b"")) as real,
        ):
            assert (fake.size, fake.format) == (real.size, real.format)
            assert fake.quantization == real.quantization  # type: ignore[attr-defined]
            assert fake.layer == real.layer  # type: ignore[attr-defined]  # chroma sampling
        # its face lies where the real one's does
        size = float(np.ptp(like.landmarks, axis=0).max())
        assert np.abs(seen.landmarks - like.landmarks).mean() < 0.15 * size
    assert {i.data for i in generate(stand_in, "gan", likes, 8, load_finder("yunet"), seed=3)} == {
        i.data for i in made
    }


def test_what_shows_no_face_is_given_up_on(likes: list[Sample]) -> None:
    with pytest.raises(LabError, match="without a face"):
        list(
            generate(
                lambda _: np.zeros((64, 64, 3), np.uint8), "grey", likes, 1, load_finder("yunet")
            )
        )
    with pytest.raises(LabError, match="no real pictures"):
        list(generate(stand_in, "gan", [], 1, load_finder("yunet")))


def test_unknown_and_absent_generators_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="mobilestylegan"):
        load_generator("stylegan9")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabError, match="pip install --no-deps random-face"):
        load_generator("mobilestylegan")


def test_changed_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    (tmp_path / "data").mkdir()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(LabError, match="is missing: pip install"):
        load_generator("mobilestylegan")
    (tmp_path / "data" / "MappingNetwork.bin").write_bytes(b"other")
    with pytest.raises(LabError, match="not the known file"):
        load_generator("mobilestylegan")


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("random_face", "openvino")),
    reason="the generator's wheel or OpenVINO is not installed",
)
def test_mobilestylegan_makes_faces_that_can_be_found(likes: list[Sample]) -> None:
    faces = load_generator("mobilestylegan")
    assert np.array_equal(faces(1), faces(1))
    assert faces(1).shape == (1024, 1024, 3)
    assert len(list(generate(faces, "mobilestylegan", likes, 2, load_finder("yunet")))) == 2
