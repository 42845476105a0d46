"""The Deepfake Detection Challenge (Dolhansky et al., 2020): parts with a metadata.json each."""

from __future__ import annotations

import json
from pathlib import Path

from unmask.errors import ManifestError
from unmask.lab.data.datasets.base import DataSet, NotThere, Reading, there
from unmask.lab.data.manifest import Item

LABELS = {"REAL": 0, "FAKE": 1}


def _read(root: Path) -> Reading:
    lists = (
        [root / "metadata.json"]
        if (root / "metadata.json").is_file()
        else sorted(root.glob("*/metadata.json"))
    )
    if not lists:
        raise NotThere(root / "metadata.json", root / "dfdc_train_part_*" / "metadata.json")
    listed = []
    for path in lists:
        part = path.parent
        try:
            rows = json.loads(path.read_text())
        except ValueError as error:
            raise ManifestError(f"{path} is no JSON: {error}") from error
        for name, row in rows.items():
            if row.get("label") not in LABELS:
                raise ManifestError(
                    f"{path}: the label of {name} must be REAL or FAKE, but is {row.get('label')!r}"
                )
            listed.append(
                (
                    part / name,
                    Item(
                        name=name,
                        label=LABELS[row["label"]],
                        dataset="dfdc",
                        split=row.get("split") or "train",
                        group=row.get("original") or name,  # a swap and its original are one group
                        method="face-swap" if row["label"] == "FAKE" else "",
                        path=part / name,
                    ),
                )
            )
    return there(listed)


DATA_SET = DataSet(
    title="Deepfake Detection Challenge",
    tree="""
  ROOT/metadata.json  and  ROOT/*.mp4                       one part, or the sample of 400 videos
  ROOT/dfdc_train_part_0/metadata.json  and  *.mp4          or many parts
""".strip("\n"),
    source="ai.meta.com/datasets/dfdc, or the competition deepfake-detection-challenge on Kaggle",
    terms="the challenge's own research terms, accepted on download",
    read=_read,
)
