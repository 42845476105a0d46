from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import unmask.demo
from helpers.lab import encoded
from unmask._internal.jpeg import recompress


@pytest.fixture(scope="session")
def toy_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the demo's generated faces; the greenish ones are the fakes: easy, and without anybody in
    it. Turned, scaled and lit so differently that no two are near-duplicates."""
    folder = Path(unmask.demo.__file__).parent
    faces = [
        np.array(Image.open(folder / name).convert("RGB").resize((200, 200)))
        for name in ("2-generated.jpg", "3-generated.jpg")
    ]
    rng = np.random.default_rng(0)
    rows = []
    for number in range(96):
        fake = number % 2
        image = faces[number // 2 % 2].astype(float) * rng.uniform(0.7, 1.1)
        image[..., 1] *= 1.25 if fake else 0.95
        image *= np.exp(
            cv2.resize(rng.normal(0, 0.6, (5, 5)), (200, 200), interpolation=cv2.INTER_CUBIC)
        )[..., None]
        turn = cv2.getRotationMatrix2D((100, 100), rng.uniform(-25, 25), rng.uniform(0.75, 1.1))
        image = cv2.warpAffine(
            np.clip(image, 0, 255).astype(np.uint8), turn, (200, 200), borderValue=(90, 90, 90)
        )
        rows.append(
            {
                "image": {
                    "bytes": encoded(recompress(image, int(rng.integers(60, 95)))),
                    "path": f"{number}.jpg",
                },
                "label": "fake" if fake else "real",
                "method": "green" if fake else "",
                "dataset": "toy",
                "split": ("train", "train", "validation", "test")[number // 2 % 4],
                "source": f"video-{number}",
                "group": f"group-{number // 2}",
            }
        )
    path = tmp_path_factory.mktemp("toy") / "toy.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path
