"""One face a video of DFDC, 224², with a metadata.csv: the derived set that many notebooks use."""

from __future__ import annotations

import csv
from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.datasets.base import UNSPLIT, DataSet, NotThere, Reading, there
from unmask.lab.data.datasets.dfdc import LABELS
from unmask.lab.data.manifest import Item


def _read(root: Path) -> Reading:
    table, faces = root / "metadata.csv", root / "faces_224"
    if not table.is_file() or not faces.is_dir():
        raise NotThere(table, faces)
    listed = []
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            name = row.get("videoname") or ""
            if row.get("label") not in LABELS:
                raise ManifestError(
                    f"{table}: the label of {name} must be REAL or FAKE, but is"
                    f" {row.get('label')!r}"
                )
            original = row.get("original") or ""
            path = faces / f"{Path(name).stem}.jpg"
            label = LABELS[row["label"]]
            group = original if original not in ("", "NAN", "nan") else name
            method = "face-swap" if label else ""
            listed.append(
                (path, Item(name, label, "dfdc_faces224", UNSPLIT, group, method, path=path))
            )
    return there(listed)


DATA_SET = DataSet(
    title="DFDC faces, 224²",
    tree="""
  ROOT/metadata.csv          videoname,original_width,original_height,label,original
  ROOT/faces_224/NAME.jpg    for each NAME.mp4 of the table
""".strip("\n"),
    source="the data set deepfake-faces on Kaggle",
    terms="DFDC's research terms",
    read=_read,
)
