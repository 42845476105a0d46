"""The same network in float, in int8 and by OpenVINO in bf16: time for one face and for sixteen,
and AUC on crops.

python -m benchmarks.engines --bundle default --int8 INT8.onnx --data dfdc_faces-test.parquet
[--data …]"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.__main__ import take_turns
from unmask.bundle import Bundle
from unmask.bundle.registry import find_bundle
from unmask.detector import Detector
from unmask.faces import load_finder
from unmask.lab.data.manifest import read_manifests
from unmask.lab.evaluation.evaluate import score_items


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--int8", type=Path)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    path = find_bundle(options.bundle)
    engines: dict[str, Bundle] = {"ONNX Runtime, float": Bundle(path)}
    if options.int8:
        engines["ONNX Runtime, int8"] = Bundle(options.int8)
    engines["OpenVINO, bf16"] = Bundle(path, engine="openvino")
    size = engines["ONNX Runtime, float"].card.crop.size
    crops = list(np.random.default_rng(0).integers(0, 256, (16, size, size, 3), dtype=np.uint8))
    one = take_turns(
        {name: lambda e=e: e.score(crops[:1]) for name, e in engines.items()}, options.rounds
    )
    many = take_turns(
        {name: lambda e=e: e.score(crops) for name, e in engines.items()}, options.rounds
    )
    items = read_manifests(options.data) if options.data else []
    for name, engine in engines.items():
        line = f"{name:22} one face {one[name] * 1e3:6.1f} ms   sixteen {many[name] * 1e3:6.1f} ms"
        if items:
            scores = score_items(
                Detector(engine, load_finder("yunet")), items, crops=True
            ).probabilities
            line += f"   AUC {roc_auc_score([item.label for item in items], scores):.4f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
