"""Small copies of the published data sets in their true structure; a file's content does not matter
to a reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PIXEL = b"not a picture, but there"


def put(path: Path, content: bytes = PIXEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def dfdc(root: Path) -> None:
    """Two parts: an original with two swaps of it, and one original alone."""
    parts = {
        "dfdc_train_part_0": {
            "aaa.mp4": {"label": "REAL", "split": "train"},
            "bbb.mp4": {"label": "FAKE", "split": "train", "original": "aaa.mp4"},
            "ccc.mp4": {"label": "FAKE", "split": "train", "original": "aaa.mp4"},
        },
        "dfdc_train_part_1": {"ddd.mp4": {"label": "REAL", "split": "train"}},
    }
    for part, rows in parts.items():
        for name in rows:
            put(root / part / name)
        (root / part / "metadata.json").write_text(json.dumps(rows))


def dfdc_faces224(root: Path) -> None:
    lines = ["videoname,original_width,original_height,label,original"]
    for name, label, original in (
        ("aaa", "REAL", "NAN"),
        ("bbb", "FAKE", "aaa.mp4"),
        ("ccc", "REAL", ""),
    ):
        lines.append(f"{name}.mp4,129,129,{label},{original}")
        put(root / "faces_224" / f"{name}.jpg")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")


def celeb_df(root: Path) -> None:
    for name in (
        "Celeb-real/id0_0000.mp4",
        "Celeb-real/id1_0003.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
        "Celeb-synthesis/id1_id0_0003.mp4",
        "YouTube-real/00012.mp4",
    ):
        put(root / name)
    tested = (
        "1 YouTube-real/00012.mp4\n1 Celeb-real/id1_0003.mp4\n0 Celeb-synthesis/id1_id0_0003.mp4\n"
    )
    (root / "List_of_testing_videos.txt").write_text(tested)


def faceforensics(root: Path) -> None:
    for compression in ("c23", "c40"):
        for name in ("000", "003", "071", "054"):
            put(root / "original_sequences" / "youtube" / compression / "videos" / f"{name}.mp4")
        for method in ("Deepfakes", "NeuralTextures"):
            for name in ("000_003", "003_000", "071_054", "054_071"):
                put(
                    root / "manipulated_sequences" / method / compression / "videos" / f"{name}.mp4"
                )
    put(root / "original_sequences" / "actors" / "c23" / "videos" / "01__walking.mp4")
    put(
        root
        / "manipulated_sequences"
        / "DeepFakeDetection"
        / "c23"
        / "videos"
        / "01_02__walking__ABCDEFGH.mp4"
    )
    (root / "splits").mkdir()
    for name, pairs in (("train", [["000", "003"]]), ("val", []), ("test", [["071", "054"]])):
        (root / "splits" / f"{name}.json").write_text(json.dumps(pairs))


def real_fake_140k(root: Path) -> None:
    for split in ("train", "valid", "test"):
        lines = [",original_path,id,label,label_str,path"]
        for number, (label, code) in enumerate((("real", 1), ("fake", 0))):
            path = f"{split}/{label}/{number}.jpg"
            put(root / "real_vs_fake" / "real-vs-fake" / path)
            lines.append(f"{number},/x/{number}.jpg,{number},{code},{label},{path}")
        (root / f"{split}.csv").write_text("\n".join(lines) + "\n")


def ai_faces(root: Path) -> None:
    for split in ("train", "valid"):
        for label in ("REAL", "FAKE"):
            put(root / split / label / "1.jpg")


def wild_deepfake(root: Path) -> None:
    base = root / "deepfake_in_the_wild"
    for folder, label in (
        ("real_train", "real"),
        ("fake_train", "fake"),
        ("real_test", "real"),
        ("fake_test", "fake"),
    ):
        for frame in ("1", "2"):
            put(base / folder / "7" / label / "52" / f"{frame}.png")
    put(base / "fake_test" / "8.tar.gz")


def df40(root: Path) -> None:
    put(root / "DF40" / "simswap" / "ff" / "frames" / "033_097" / "000.png")
    put(root / "DF40" / "simswap" / "cdf" / "frames" / "id0_id1_0000" / "000.png")
    put(root / "DF40" / "midjourney" / "real" / "x" / "1.png")
    put(root / "DF40" / "midjourney" / "fake" / "y" / "1.png")
    put(root / "DF40_train" / "simswap" / "frames" / "097_033" / "000.png")


def files(root: Path) -> None:
    put(root / "real" / "a.jpg")
    put(root / "fake" / "sub" / "b.mp4")


BUILDERS: dict[str, Callable[[Path], None]] = {
    "dfdc": dfdc,
    "dfdc-faces224": dfdc_faces224,
    "celeb-df-v1": celeb_df,
    "celeb-df-v2": celeb_df,
    "faceforensics": faceforensics,
    "140k": real_fake_140k,
    "ai-faces": ai_faces,
    "wild-deepfake": wild_deepfake,
    "df40": df40,
    "files": files,
}
