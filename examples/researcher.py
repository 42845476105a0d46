"""A researcher with labelled data: look for leaks, measure a model, read figures with intervals.

python examples/researcher.py MANIFEST out/        MANIFEST: Parquet, CSV, or a folder with real/
and fake/"""

import sys
from pathlib import Path

from unmask import load_detector
from unmask.lab import evaluate_detectors, find_leaks, read_manifests

data, out = Path(sys.argv[1]), Path(sys.argv[2])
items = read_manifests([data])
print(f"{len(items)} files, {sum(item.label for item in items)} of them fake")
for words in find_leaks(items).words():
    print(f"leak: {words}")
found = evaluate_detectors({"default": load_detector()}, items, out)
overall = found.metrics["default"]["overall"]
low, high = overall["auc_ci95"] or (None, None)
print(
    f"AUC {overall['auc']} ({low} to {high}), {overall['coverage']:.0%} of the files judged; more"
    f" in {out}"
)
