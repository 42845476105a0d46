"""The audit finds what was put there, and nothing where nothing is."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.lab import encoded
from unmask.errors import ManifestError
from unmask.lab.audit.audit import (
    EXAMPLES,
    TOGETHER,
    _leak_to_show,
    audit,
    measure_shortcut,
)
from unmask.lab.audit.file_features import item_facts
from unmask.lab.audit.identities import cluster, embed
from unmask.lab.audit.leakage import Leak
from unmask.lab.data.manifest import Item, read_manifest
from unmask.lab.data.near_duplicates import SAME_BITS, near_duplicates, perceptual_hash
from unmask.lab.data.samples import find_samples


def picture(rng: np.random.Generator, size: int = 64) -> np.ndarray:
    return cv2.resize(
        rng.integers(0, 256, (32, 32, 3), dtype=np.uint8),
        (size, size),
        interpolation=cv2.INTER_CUBIC,
    )


def jpeg(image: np.ndarray, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def pictures(count: int, fake_quality: int) -> list[Item]:
    """Pictures that say nothing of their class, but for the quality they were saved with."""
    rng = np.random.default_rng(0)
    return [
        Item(
            str(i),
            i % 2,
            "set",
            "train",
            str(i),
            data=jpeg(picture(rng), fake_quality if i % 2 else 80),
        )
        for i in range(count)
    ]


def test_another_jpeg_quality_is_found_and_named() -> None:
    items = pictures(120, fake_quality=90)
    found = measure_shortcut("set", items, [item_facts(item) for item in items])
    assert found.wrapping[0] > 0.99
    assert found.wrapping[1] > 0.95
    assert found.worst in {"jpeg_luma_table", "jpeg_chroma_table", "bytes_per_pixel"}
    assert found.by_fact["jpeg_luma_table"][0] > 0.99
    assert "fakes can be told from file properties" in found.words()


def test_equal_wrapping_stays_at_one_half() -> None:
    items = pictures(400, fake_quality=80)
    found = measure_shortcut("set", items, [item_facts(item) for item in items])
    low, high = found.wrapping[1:]
    assert low < 0.5 < high
    assert "no shortcut of note" in found.words()


def test_colour_is_no_wrapping_but_told() -> None:
    rng = np.random.default_rng(0)
    items = []
    for i in range(120):
        image = picture(rng).astype(float)
        image[..., 1] = np.clip(image[..., 1] + (60 if i % 2 else 0), 0, 255)
        items.append(
            Item(str(i), i % 2, "set", "train", str(i), data=jpeg(image.astype(np.uint8), 80))
        )
    found = measure_shortcut("set", items, [item_facts(item) for item in items])
    assert found.pixels[0] > 0.9
    assert found.wrapping[0] < found.pixels[0] - 0.1


def test_rows_of_a_group_do_not_vouch_for_each_other() -> None:
    """A fact that tells groups apart, but not classes, must not look like a shortcut."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(40)
    items = [
        Item(f"{g}-{k}", int(g % 2), "set", "train", str(g)) for g in groups for k in range(10)
    ]
    facts = [{"bytes": float(int(item.group) * 7919 % 1000)} for item in items]
    assert abs(measure_shortcut("set", items, facts).wrapping[0] - 0.5) < 0.2
    alone = [replace(item, group=item.name) for item in items]
    # what rows parted at random would have said
    assert measure_shortcut("set", alone, facts).wrapping[0] > 0.9


def test_too_few_groups_are_told() -> None:
    with pytest.raises(ManifestError, match="fewer than ten groups"):
        measure_shortcut("set", pictures(12, 90), [{}] * 12)


def test_small_sets_among_others_are_noted(tmp_path: Path) -> None:
    """A set too small to be measured by itself still counts in the whole."""
    few = [replace(item, dataset="few", group=f"few {item.group}") for item in pictures(6, 90)]
    found = audit([*pictures(60, 90), *few], tmp_path, identities=False, jobs=1)
    assert [shortcut.data for shortcut in found.shortcuts] == ["set", TOGETHER]
    assert any("few: fewer than ten groups" in note for note in found.notes)


def test_facts_by_hand() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[..., 0] = 200
    facts = item_facts(Item("x", 0, "d", "s", "g", data=jpeg(image, 75)))
    assert (facts["format"], facts["width"], facts["height"], facts["aspect"]) == (
        "JPEG",
        80,
        40,
        2.0,
    )
    assert facts["mean_red"] == pytest.approx(200, abs=2)
    assert facts["mean_blue"] == pytest.approx(0, abs=2)
    assert facts["jpeg_luma_table"] == pytest.approx(sum(sum(row) for row in LUMA_75))
    assert facts["sharpness"] == pytest.approx(0, abs=1)
    video = Item(
        "v",
        0,
        "d",
        "s",
        "g",
        facts={"media_bytes": 1000, "media_duration_s": 2.0, "media_frame": 7},
    )
    assert item_facts(video) == {"media_duration_s": 2.0, "media_bit_rate": 4000.0}


# the table of ITU-T T.81, annex K.1, halved as libjpeg does for quality 75
LUMA_75 = [
    [8, 6, 5, 8, 12, 20, 26, 31], [6, 6, 7, 10, 13, 29, 30, 28],
    [7, 7, 8, 12, 20, 29, 35, 28], [7, 9, 11, 15, 26, 44, 40, 31],
    [9, 11, 19, 28, 34, 55, 52, 39], [12, 18, 28, 32, 41, 52, 57, 46],
    [25, 32, 39, 44, 52, 61, 60, 51], [36, 46, 48, 49, 56, 50, 52, 50],
]  # fmt: skip


def test_near_duplicates_survive_what_is_done_to_copies() -> None:
    rng = np.random.default_rng(1)
    originals = [picture(rng, 128) for _ in range(30)]
    copies = [
        np.asarray(Image.open(io.BytesIO(jpeg(cv2.resize(image, (64, 64)), 40))))
        for image in originals
    ]
    prints = np.stack([perceptual_hash(image) for image in (*originals, *copies)])
    assert {(i, j) for i, j, _ in near_duplicates(prints)} == {(i, i + 30) for i in range(30)}
    assert {(i, j) for i, j, _ in near_duplicates(prints[:30], prints[30:])} == {
        (i, i) for i in range(30)
    }
    assert all(bits <= SAME_BITS for _, _, bits in near_duplicates(prints))


def test_empty_pictures_resemble_nothing() -> None:
    prints = np.stack(
        [perceptual_hash(np.full((32, 32, 3), grey, np.uint8)) for grey in (0, 0, 120)]
    )
    assert not list(near_duplicates(prints))


def test_people_are_told_apart(toy_set: Path) -> None:
    items = [item for item in read_manifest(toy_set) if item.label == 0][:12]
    found = find_samples(items, jobs=1).samples
    numbers = cluster(embed(found, jobs=1))
    # the toy has two faces, taking turns
    face = [int(sample.item.group.split("-")[1]) % 2 for sample in found]
    assert len({(number, f) for number, f in zip(numbers.tolist(), face, strict=True)}) == len(
        set(numbers.tolist())
    )


def test_clusters_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.9, 0.1], [0.1, 0.9], [-1, 0]], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert cluster(vectors, 0.5).tolist() == [0, 1, 0, 1, 2]
    assert cluster(np.zeros((0, 4), np.float32)).tolist() == []


def test_the_page_and_the_file(toy_set: Path, tmp_path: Path) -> None:
    items = read_manifest(toy_set)
    items += [replace(items[0], name="<b>copy</b>", split="test", data=encoded(items[0].decode()))]
    found = audit(items, tmp_path / "out", identities=False, jobs=1)
    assert [leak.kind for leak in found.leaks.found] == ["group", "near_duplicate"]
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert set(told["leaks"][1]["examples"][0]) == {items[0].name, "<b>copy</b>"}
    assert told["shortcuts"][0]["with_pixels"][0] > 0.9  # the toy's fakes are green
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "&lt;b&gt;copy" in page
    assert "<b>copy" not in page
    assert page.count("data:image/png") == 2
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_what_is_known_of_the_sets_at_hand(shared: Path, tmp_path: Path) -> None:
    """One JPEG quality for both classes of ffhq_stylegan; gan_portraits beside lfw_real are told
    apart by their wrapping."""
    data = shared / "data"
    (same,) = audit(
        read_manifest(data / "ffhq_stylegan.parquet"), tmp_path / "a", identities=False
    ).shortcuts
    assert same.wrapping[1] < 0.5 < same.wrapping[2]
    different = [
        *read_manifest(data / "gan_portraits.parquet"),
        *read_manifest(data / "lfw_real.parquet"),
    ]
    (shortcut,) = audit(different, tmp_path / "b", identities=False).shortcuts
    assert shortcut.data == "all together"
    assert shortcut.wrapping[1] > 0.99


def test_likenesses_are_possible_leaks_and_contents_are_leaks() -> None:
    for kind, possible in (("lookalike", True), ("near_duplicate", False), ("group", False)):
        shown = _leak_to_show(Leak(kind, 1, ()), ())
        assert shown["possible"] is possible


def test_all_pairs_are_listed() -> None:
    items = [Item(f"{n}.png", n % 2, "set", ("train", "test")[n % 2], f"{n}") for n in range(40)]
    pairs = tuple((2 * n, 2 * n + 1) for n in range(20))
    shown = _leak_to_show(Leak("lookalike", 20, pairs), items)
    assert len(shown["examples"]) == EXAMPLES
    assert len(shown["all"]) == 20
    assert shown["all"][19] == "38.png (train) – 39.png (test)"
