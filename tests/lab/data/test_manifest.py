from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unmask.errors import ManifestError
from unmask.lab.data.manifest import (
    Item,
    read_manifest,
    read_manifests,
    require_both_classes,
    select,
    write_manifest,
)


def jpeg(value: int = 100) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (value, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_parquet(path: Path, labels: list[object], **columns: list[object]) -> Path:
    table = {
        "image": [{"bytes": jpeg(), "path": f"{i}.jpg"} for i in range(len(labels))],
        "label": labels,
        **columns,
    }
    pq.write_table(pa.table(table), path)
    return path


def test_the_layout_of_hub_data_sets(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "set.parquet",
        ["real", "fake"],
        split=["train", "test"],
        group=["g1", "g1"],
        source=["v1", "v2"],
        dataset=["dfdc", "dfdc"],
        method=["", "swap"],
    )
    real, fake = read_manifest(path)
    assert (real.label, fake.label) == (0, 1)
    assert (fake.name, fake.group, fake.split, fake.dataset, fake.method) == (
        "v2",
        "g1",
        "test",
        "dfdc",
        "swap",
    )
    assert real.decode().shape == (30, 40, 3)


def test_missing_columns_have_plain_meanings(tmp_path: Path) -> None:
    (item, _) = read_manifest(write_parquet(tmp_path / "mine.parquet", ["FAKE", " real "]))
    assert (item.label, item.dataset, item.split, item.group) == (1, "mine", "test", "0.jpg")


@pytest.mark.parametrize("label", [1, "1", "true", "", "deepfake"])
def test_labels_are_words(tmp_path: Path, label: object) -> None:
    with pytest.raises(ManifestError, match="row 0: label must be 'real' or 'fake'"):
        read_manifest(write_parquet(tmp_path / "a.parquet", [label]))


def test_csv_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "set.csv").write_text(
        "path,label,split\npictures/a.jpg,fake,train\npictures/none.jpg,real,train\n"
    )
    there, missing = read_manifest(tmp_path / "set.csv")
    assert there.decode().shape == (30, 40, 3)
    assert there.path == tmp_path / "pictures" / "a.jpg"
    with pytest.raises(ManifestError, match="cannot be decoded"):
        missing.decode()


def test_a_folder_of_real_and_fake(tmp_path: Path) -> None:
    for name in ("real/a.jpg", "real/deep/b.jpg", "fake/c.jpg", "other/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(jpeg())
    items = read_manifest(tmp_path)
    assert [(item.name, item.label) for item in items] == [
        ("real/a.jpg", 0),
        ("real/deep/b.jpg", 0),
        ("fake/c.jpg", 1),
    ]
    assert items[1].decode().shape == (30, 40, 3)


def test_what_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there is no manifest"):
        read_manifest(tmp_path / "none.parquet")
    with pytest.raises(ManifestError, match="no files under real/ or fake/"):
        read_manifest(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(ManifestError, match="cannot be read as Parquet"):
        read_manifest(tmp_path / "a.parquet")
    (tmp_path / "a.txt").touch()
    with pytest.raises(ManifestError, match="is no manifest"):
        read_manifest(tmp_path / "a.txt")
    with pytest.raises(ManifestError, match="no items"):
        read_manifests([])


def test_an_empty_split_names_the_others(tmp_path: Path) -> None:
    items = read_manifest(
        write_parquet(tmp_path / "a.parquet", ["real", "fake"], split=["train", "train"])
    )
    assert len(select(items, "train")) == 2
    with pytest.raises(ManifestError, match=r"'validation'; the splits are \{'train': 2\}"):
        select(items, "validation")


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    items = read_manifest(write_parquet(tmp_path / "a.parquet", ["fake", "fake"]))
    with pytest.raises(ManifestError, match="0 real and 2 fake"):
        require_both_classes(items, "split 'train'")


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    table = pa.table({"image": [{"bytes": b"broken", "path": "x.jpg"}], "label": ["real"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ManifestError, match=r"x\.jpg"):
        read_manifest(tmp_path / "a.parquet")[0].decode()


def test_the_sets_at_hand_have_the_polarity_they_say(shared: Path) -> None:
    items = read_manifest(shared / "data" / "gan_portraits.parquet")
    assert {item.label for item in items} == {1}
    items = read_manifest(shared / "data" / "lfw_real.parquet")
    assert {item.label for item in items} == {0}
    assert np.array(items[0].decode()).shape == (250, 250, 3)


def test_numbers_are_read_where_the_file_names_its_classes(tmp_path: Path) -> None:
    """As files from the hub do; here 1 is real."""
    table = pa.table(
        {
            "image": [{"bytes": b"a", "path": "a.jpg"}, {"bytes": b"b", "path": "b.jpg"}],
            "label": [0, 1],
        }
    )
    features = {"info": {"features": {"label": {"names": ["Fake", "Real"], "_type": "ClassLabel"}}}}
    named = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(named, tmp_path / "named.parquet")
    assert [item.label for item in read_manifest(tmp_path / "named.parquet")] == [1, 0]
    pq.write_table(table, tmp_path / "bare.parquet")
    with pytest.raises(ManifestError, match="numbers are refused"):
        read_manifest(tmp_path / "bare.parquet")


def test_a_folder_of_shards(tmp_path: Path) -> None:
    for number in range(2):
        item = Item(
            f"v{number}",
            number,
            "d",
            "train",
            "g",
            data=bytes([number]),
            landmarks=tuple(range(10)),
        )
        write_manifest([item], tmp_path / f"part-{number:05}.parquet")
    items = read_manifests([tmp_path])
    assert [(item.name, item.label, item.landmarks[9]) for item in items] == [
        ("v0", 0, 9),
        ("v1", 1, 9),
    ]


def test_rows_that_are_there_twice(tmp_path: Path) -> None:
    def written(*items: Item) -> list[Path]:
        write_manifest(items, tmp_path / "m.parquet")
        return [tmp_path / "m.parquet"]

    a = Item("a", 0, "d", "train", "g", data=b"same")
    with pytest.raises(ManifestError, match="twice, with the same label"):
        read_manifests(written(a, a))
    with pytest.raises(ManifestError, match="once as real and once as fake"):
        read_manifests(written(a, replace(a, name="b", label=1)))
    assert len(read_manifests(written(a, replace(a, name="b")))) == 2  # published sets have such


def test_links_are_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "x.jpg")
    items = [Item(n, 0, "d", "train", n, path=tmp_path / n) for n in ("x.jpg", "link.jpg")]
    write_manifest(items, tmp_path / "m.parquet")
    assert [item.path for item in read_manifests([tmp_path / "m.parquet"])] == [
        tmp_path / "x.jpg",
        tmp_path / "link.jpg",
    ]


def test_videos_are_sent_to_prepare(tmp_path: Path) -> None:
    from unmask.lab.data.samples import find_samples

    with pytest.raises(
        ManifestError, match=r"1 of 1 rows are videos \(clip, …\); `unmask data prepare`"
    ):
        find_samples([Item("clip", 1, "d", "train", "g", path=tmp_path / "clip.mp4")], jobs=1)
