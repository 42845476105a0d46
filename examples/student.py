"""A student who retrains: a recipe, a run, a bundle, and what it says of a picture.

python examples/student.py MANIFEST out/ picture.jpg [key=value …]       for example
train.max_images=20000"""

import sys
from pathlib import Path

import unmask
from unmask.lab import export_run, load_recipe, read_manifests, train
from unmask.report import sentence

if __name__ == "__main__":  # data are loaded by processes of their own, which read this file again
    data, out, picture = (Path(name) for name in sys.argv[1:4])
    recipe = load_recipe("unmask-lite0", sys.argv[4:])
    run = train(recipe, read_manifests([data]), out / "run", data_names=[data.name])
    export_run(run, out / "mine.onnx", [data], [data])
    report = unmask.load_detector(str(out / "mine.onnx")).scan(picture)
    print(sentence(report.verdict))
