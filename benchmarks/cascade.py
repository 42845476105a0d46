"""python -m benchmarks.cascade clips DATA [--count 300] [--split test]
python -m benchmarks.cascade pictures FIRST FULL DATA …
python -m benchmarks.cascade cost CLIP …

What a first look costs in fakes. clips: made of the faces in a data set, one each, moving before a
background; looked at in 4 frames (without the stability test) and in 32. pictures: face crops,
judged by one bundle first and another in full. cost: the work of a first look at clips of one's
own, as a share of a full one.

For each budget: the share of all work that is spent, and how many of the fakes that the full look
calls fake it still sees, where nearly all files are real (as in an archive), so that the budget
alone sets the bar."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import av
import cv2
import numpy as np

from unmask.bundle import load_bundle
from unmask.detector import load_detector
from unmask.faces import load_finder
from unmask.lab.data.manifest import Item, read_manifests, select
from unmask.types import Image

BUDGETS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


def make_clip(path: Path, face: Image, number: int) -> None:
    """Five seconds at 15 frames a second, 640×360, H.264 at crf 28: the face drifts, turns a
    little, comes nearer, and the light changes, each clip in its own way."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(60, 190, (12, 20, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_CUBIC)
    phase, swing = rng.uniform(0, 6.28, 4), rng.uniform(0.3, 1.0, 4)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=Fraction(15), options={"crf": "28", "preset": "fast"}
        )
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for n in range(75):
            x, y, turn, light = np.sin(phase + swing * n / 8)
            side = 200 * (1 + 0.15 * float(np.sin(phase[0] + n / 25)))
            matrix = cv2.getRotationMatrix2D(
                (face.shape[1] / 2, face.shape[0] / 2), 6 * turn, side / face.shape[1]
            )
            matrix[:, 2] += (320 + 120 * x - face.shape[1] / 2, 180 + 40 * y - face.shape[0] / 2)
            picture = ground.copy()
            cv2.warpAffine(face, matrix, (640, 360), dst=picture, borderMode=cv2.BORDER_TRANSPARENT)
            picture = np.clip(picture * (1 + 0.12 * light), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def clips(data: Path, count: int, split: str | None) -> None:
    """First and full look at made clips."""
    items = balanced(read_manifests([data]), split, count)
    detector = load_detector(threads=1)
    first, full, labels, fakes = [], [], [], []
    spent = {"first": 0.0, "full": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        for number, item in enumerate(items):
            path = Path(folder) / "clip.mp4"
            make_clip(path, item.decode(), number)
            began = process_time()
            short = detector.scan(path, frames=4, stability=False).verdict
            between = process_time()
            whole = detector.scan(path).verdict
            spent["first"] += between - began
            spent["full"] += process_time() - between
            first.append(0.5 if short.probability_fake is None else short.probability_fake)
            full.append(whole.probability_fake)
            labels.append(item.label)
            fakes.append(whole.label == "fake")
            if number % 50 == 49:
                print(f"{number + 1} of {len(items)} clips", file=sys.stderr, flush=True)
    tell(np.array(first), np.array(fakes), np.array(labels), spent["first"] / spent["full"])


def cost(paths: Sequence[Path]) -> None:
    """Processor seconds, the second time that each is read."""
    detector = load_detector(threads=1, decode_threads=1)
    for path in paths:
        spent = []
        for frames, stability in ((32, True), (4, False), (32, True)):
            began = process_time()
            detector.scan(path, frames=frames, stability=stability)
            spent.append(process_time() - began)
        print(
            f"{path.name}: first look {spent[1]:.2f} s, full {spent[2]:.2f} s:"
            f" {spent[1] / spent[2]:.0%}"
        )


def pictures(first: str, full: str, data: Sequence[Path], count: int, split: str | None) -> None:
    """Two bundles on the same face crops, each set by itself."""
    from unmask.faces import find_main_face
    from unmask.faces.alignment import crop_face

    finder = load_finder("yunet")
    small, large = load_bundle(first), load_bundle(full)
    scores: dict[str, list[float]] = {"first": [], "full": []}
    labels: list[int] = []
    spent = {"first": 0.0, "full": 0.0}
    for path in data:
        for item in balanced(
            read_manifests([path]), split if path.stem.startswith(("dfdc", "ffhq")) else None, count
        ):
            image = item.decode()
            face = find_main_face(finder, image)
            if face is None:
                continue
            for name, bundle in (("first", small), ("full", large)):
                began = process_time()
                logit = float(bundle.score([crop_face(image, face, bundle.card.crop)]).logits[0])
                spent[name] += process_time() - began
                scores[name].append(bundle.card.calibration.probability(logit))
            labels.append(item.label)
    fakes = np.array(scores["full"]) >= large.card.thresholds.fake
    print("scoring alone; finding and decoding are the same in both:")
    tell(np.array(scores["first"]), fakes, np.array(labels), spent["first"] / spent["full"])


def balanced(items: Sequence[Item], split: str | None, count: int) -> list[Item]:
    """As many real ones as fake ones, `count` in all at most, spread over the rows."""
    items = select(list(items), split) if split else list(items)
    chosen = []
    for label in (0, 1):
        mine = [item for item in items if item.label == label]
        chosen += mine[:: max(1, len(mine) // (count // 2))][: count // 2]
    return chosen


def tell(first: Any, fakes: Any, labels: Any, cost: float) -> None:
    """The table. first: probabilities of the first look; fakes: which the full look calls fake."""
    real, found = labels == 0, (labels == 1) & fakes
    print(
        f"{len(labels)} files, {int(real.sum())} real; the full look calls {int(found.sum())} of"
        f" {int((~real).sum())}"
    )
    print(f"fakes fake, and {int((real & fakes).sum())} real ones", end="; ")
    print(f"a first look takes {cost:.0%} of the work of a full one")
    for budget in BUDGETS:
        bar = np.quantile(first[real], 1 - budget)
        kept, of = int((first[found] >= bar).sum()), int(found.sum())
        row = {
            "budget": budget,
            "work": round(cost + budget, 3),
            "kept": kept,
            "of": of,
            "share": round(kept / max(of, 1), 3),
        }
        print(json.dumps(row))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["clips", "pictures", "cost"])
    parser.add_argument("words", nargs="+")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--split", default="test")
    asked = parser.parse_args()
    if asked.what == "clips":
        clips(Path(asked.words[0]), asked.count, asked.split)
    elif asked.what == "cost":
        cost([Path(word) for word in asked.words])
    else:
        first, full, *data = asked.words
        pictures(first, full, [Path(path) for path in data], asked.count, asked.split)


if __name__ == "__main__":
    main()
