"""Each reader on a small copy of its set: rows, polarity, splits, groups, missing folders,
half-missing sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.dataset_builders import BUILDERS, put
from unmask.errors import ManifestError
from unmask.lab.data.datasets import DATASETS, read_dataset
from unmask.lab.data.manifest import Item, read_manifests, write_manifest

ROOT = Path(__file__).parents[4]

# name: label, split, group of every row
EXPECTED: dict[str, dict[str, tuple[int, str, str]]] = {
    "dfdc": {
        "aaa.mp4": (0, "train", "aaa.mp4"),
        "bbb.mp4": (1, "train", "aaa.mp4"),
        "ccc.mp4": (1, "train", "aaa.mp4"),
        "ddd.mp4": (0, "train", "ddd.mp4"),
    },
    "dfdc-faces224": {
        "aaa.mp4": (0, "unsplit", "aaa.mp4"),
        "bbb.mp4": (1, "unsplit", "aaa.mp4"),
        "ccc.mp4": (0, "unsplit", "ccc.mp4"),
    },
    "celeb-df-v2": {
        "Celeb-real/id0_0000.mp4": (0, "train", "id0_0000"),
        "Celeb-real/id1_0003.mp4": (0, "test", "id1_0003"),
        "Celeb-synthesis/id0_id1_0000.mp4": (1, "train", "id0_0000"),
        "Celeb-synthesis/id1_id0_0003.mp4": (1, "test", "id1_0003"),
        "YouTube-real/00012.mp4": (0, "test", "YouTube-real/00012"),
    },
    "140k": {
        f"{folder}/{label}/{number}.jpg": (number, split, f"{folder}/{label}/{number}.jpg")
        for folder, split in (("train", "train"), ("valid", "validation"), ("test", "test"))
        for number, label in enumerate(("real", "fake"))
    },
    "ai-faces": {
        f"{folder}/{label}/1.jpg": (code, split, f"{folder}/{label}/1.jpg")
        for folder, split in (("train", "train"), ("valid", "validation"))
        for code, label in enumerate(("REAL", "FAKE"))
    },
    "wild-deepfake": {
        f"{folder}/7/{folder.split('_')[0]}/52": (
            int("fake" in folder),
            folder.split("_")[1],
            f"{folder}/7",
        )
        for folder in ("real_train", "fake_train", "real_test", "fake_test")
    },
    "df40": {
        "simswap/ff/frames/033_097": (1, "test", "ff/033_097"),
        "simswap/cdf/frames/id0_id1_0000": (1, "test", "cdf/id0_0000"),
        "midjourney/real/x": (0, "test", "midjourney/x"),
        "midjourney/fake/y": (1, "test", "midjourney/y"),
        "simswap/frames/097_033": (1, "train", "ff/033_097"),
    },
    "files": {
        "real/a.jpg": (0, "test", "real/a.jpg"),
        "fake/sub/b.mp4": (1, "test", "fake/sub/b.mp4"),
    },
}
EXPECTED["celeb-df-v1"] = EXPECTED["celeb-df-v2"]


def built(name: str, root: Path) -> Path:
    root.mkdir(exist_ok=True)
    BUILDERS[name](root)
    return root


def rows(items: list[Item]) -> dict[str, tuple[int, str, str]]:
    return {item.name: (item.label, item.split, item.group) for item in items}


def test_each_reader_has_its_file_its_builder_and_its_page() -> None:
    assert set(BUILDERS) == set(DATASETS)
    assert set(EXPECTED) | {"faceforensics"} == set(DATASETS)
    files = {path.stem for path in (ROOT / "src/unmask/lab/data/datasets").glob("*.py")} - {
        "__init__",
        "base",
    }
    assert {data_set.read.__module__.rpartition(".")[2] for data_set in DATASETS.values()} == files
    pages = (ROOT / "docs" / "datasets.md").read_text()
    for name in DATASETS:
        assert f"\n## `{name}`" in pages, f"docs/datasets.md has no section on {name}"


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_rows_labels_splits_and_groups(name: str, tmp_path: Path) -> None:
    reading = read_dataset(name, built(name, tmp_path))
    assert rows(reading.items) == EXPECTED[name]
    assert all(item.path is not None and item.path.is_file() for item in reading.items)


def test_faceforensics(tmp_path: Path) -> None:
    items = read_dataset("faceforensics", built("faceforensics", tmp_path)).items
    assert len(items) == 2 * (4 + 8) + 2
    by_name = {item.name: item for item in items}
    fake = by_name["manipulated_sequences/Deepfakes/c23/videos/003_000.mp4"]
    assert (fake.label, fake.split, fake.group, fake.method) == (1, "train", "000_003", "Deepfakes")
    # both ways of a pair, every method and compression, and the originals: one group; but each its
    # own video
    group = [item for item in items if item.group == "000_003"]
    assert len(group) == 2 * (2 + 4)
    assert len({item.name for item in group}) == len(group)
    assert {item.method for item in group} == {"", "Deepfakes", "NeuralTextures"}
    assert by_name["original_sequences/youtube/c40/videos/054.mp4"].split == "test"
    actor = by_name[
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking__ABCDEFGH.mp4"
    ]
    assert (actor.split, actor.group, actor.identities) == (
        "unsplit",
        "actors/01__walking",
        ("actor 01", "actor 02"),
    )
    assert by_name["original_sequences/actors/c23/videos/01__walking.mp4"].group == actor.group


def test_people_are_known_where_the_set_names_them(tmp_path: Path) -> None:
    items = {
        item.name: item
        for item in read_dataset("celeb-df-v2", built("celeb-df-v2", tmp_path)).items
    }
    assert items["Celeb-synthesis/id0_id1_0000.mp4"].identities == ("id0", "id1")
    assert items["Celeb-real/id0_0000.mp4"].identities == ("id0",)
    assert items["YouTube-real/00012.mp4"].identities == ()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_folder_that_is_not_the_set_is_told(name: str, tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ManifestError) as error:
            read_dataset(name, root)
        text = str(error.value)
        assert f"looked for {root}" in text
        assert "It should look like this:\n  ROOT/" in text
        assert f"Where to get it: {DATASETS[name].source}" in text
        assert f"Terms: {DATASETS[name].terms}" in text


MISSING = {
    "dfdc": ("dfdc_train_part_0/bbb.mp4", "bbb.mp4"),
    "dfdc-faces224": ("faces_224/bbb.jpg", "bbb.mp4"),
    "celeb-df-v2": ("Celeb-real/id1_0003.mp4", "Celeb-real/id1_0003.mp4"),
    "faceforensics": (
        "manipulated_sequences/Deepfakes/c23/videos/003_000.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/003_000.mp4",
    ),
    "140k": ("real_vs_fake/real-vs-fake/valid/fake/1.jpg", "valid/fake/1.jpg"),
}


@pytest.mark.parametrize("name", sorted(MISSING))
def test_what_is_listed_but_not_there_is_named(name: str, tmp_path: Path) -> None:
    root = built(name, tmp_path)
    whole = len(read_dataset(name, root).items)
    path, said = MISSING[name]
    (root / path).unlink()
    reading = read_dataset(name, root)
    assert reading.missing == [said]
    assert len(reading.items) == whole - 1


def test_archives_that_were_not_unpacked_are_named(tmp_path: Path) -> None:
    reading = read_dataset("wild-deepfake", built("wild-deepfake", tmp_path))
    assert reading.missing == ["fake_test/8.tar.gz (not unpacked)"]


def test_the_sample_at_hand_lists_five_videos_and_has_two(shared: Path) -> None:
    reading = read_dataset("dfdc", shared / "media" / "dfdc_sample")
    assert sorted(item.name for item in reading.items) == ["abofeumbvv.mp4", "abqwwspghj.mp4"]
    assert len(reading.missing) == 3
    assert all(item.label == 1 for item in reading.items)


def test_a_set_of_which_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps({"a.mp4": {"label": "REAL"}}))
    with pytest.raises(ManifestError, match=r"not one is there: a\.mp4"):
        read_dataset("dfdc", tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "match"),
    [
        ("dfdc", "dfdc_train_part_1/metadata.json", '"REAL"', '"real?"', "must be REAL or FAKE"),
        ("dfdc", "dfdc_train_part_1/metadata.json", "{", "", "no JSON"),
        ("dfdc-faces224", "metadata.csv", "FAKE", "1", "must be REAL or FAKE"),
        ("140k", "train.csv", ",0,fake,", ",1,fake,", "disagree"),
        ("celeb-df-v2", "List_of_testing_videos.txt", "1 Celeb-real", "0 Celeb-real", "1 is real"),
        ("faceforensics", "splits/train.json", '["000", "003"]', '"000"', "must hold pairs"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(
    name: str, file: str, old: str, new: str, match: str, tmp_path: Path
) -> None:
    root = built(name, tmp_path)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    with pytest.raises(ManifestError, match=match):
        read_dataset(name, root)


def test_140k_without_its_tables(tmp_path: Path) -> None:
    root = built("140k", tmp_path)
    for table in root.glob("*.csv"):
        table.unlink()
    assert rows(read_dataset("140k", root).items) == EXPECTED["140k"]


def test_the_human_faces_folders(tmp_path: Path) -> None:
    put(tmp_path / "Real Images" / "a.jpg")
    put(tmp_path / "AI-Generated Images" / "b.jpg")
    found = {
        item.name: (item.label, item.split) for item in read_dataset("ai-faces", tmp_path).items
    }
    assert found == {
        "Real Images/a.jpg": (0, "unsplit"),
        "AI-Generated Images/b.jpg": (1, "unsplit"),
    }


def test_own_files_as_a_table(tmp_path: Path) -> None:
    put(tmp_path / "x.jpg")
    (tmp_path / "mine.csv").write_text(
        "path,label,split,group\nx.jpg,fake,train,g\ngone.jpg,real,train,h\n"
    )
    reading = read_dataset("files", tmp_path)
    assert [(item.label, item.split, item.group) for item in reading.items] == [(1, "train", "g")]
    assert reading.missing == ["gone.jpg"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_what_was_read_can_be_written_and_read_again(suffix: str, tmp_path: Path) -> None:
    items = read_dataset("celeb-df-v2", built("celeb-df-v2", tmp_path / "set")).items
    write_manifest(items, tmp_path / "out" / f"m.{suffix}")
    again = read_manifests([tmp_path / "out" / f"m.{suffix}"])
    for before, after in zip(items, again, strict=True):
        assert after.path is not None
        assert before.path is not None
        assert after.path.resolve() == before.path.resolve()
        for key in ("name", "label", "dataset", "split", "group", "method", "identities"):
            assert getattr(after, key) == getattr(before, key), key


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="did you mean celeb-df-v"):
        read_dataset("celebdf-v2", tmp_path)
