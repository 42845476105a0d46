"""Readers of published data sets.

A new one is a file here, a line below, a builder in tests and a section of docs/datasets.md.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from unmask._internal.plugins import load_plugins
from unmask.errors import ManifestError
from unmask.lab.data.datasets import (
    ai_faces,
    celeb_df,
    df40,
    dfdc,
    dfdc_faces224,
    faceforensics,
    files,
    real_fake_140k,
    wild_deepfake,
)
from unmask.lab.data.datasets.base import DataSet, Reading, read

DATASETS: dict[str, DataSet] = {
    "dfdc": dfdc.DATA_SET,
    "dfdc-faces224": dfdc_faces224.DATA_SET,
    "celeb-df-v1": celeb_df.V1,
    "celeb-df-v2": celeb_df.V2,
    "faceforensics": faceforensics.DATA_SET,
    "140k": real_fake_140k.DATA_SET,
    "ai-faces": ai_faces.DATA_SET,
    "wild-deepfake": wild_deepfake.DATA_SET,
    "df40": df40.DATA_SET,
    "files": files.DATA_SET,
}


def all_datasets() -> dict[str, DataSet]:
    """The project's own readers, and those of installed packages (group `unmask.datasets`).

    Raises PluginError where one cannot be loaded.
    """
    return {**load_plugins("unmask.datasets"), **DATASETS}


def read_dataset(name: str, root: Path) -> Reading:
    """What is at `root` of the data set `name`.

    Raises ManifestError for an unknown name or a tree that does not fit.
    """
    known = all_datasets()
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise ManifestError(f"there is no reader {name!r}{hint} The readers are {', '.join(known)}")
    return read(known[name], name, root)
