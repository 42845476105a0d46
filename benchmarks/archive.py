"""python -m benchmarks.archive loop|overhead|memory|resume|ray …

loop [CLIP …] [--pictures 400]   the pool against a plain loop of Detector.scan, and the share of each stage
overhead                         what ledger and engine add to a file of 100 ms
memory [--files 100000]          peak memory over many small generated pictures, and resuming the finished ledger
ray [--pictures 400]             a Ray cluster of this machine against the pool
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks import media
from unmask.archive import Engine, LocalPool, Plan, Run, ask, make_look, open_source, read_ledger, spool_of
from unmask.detector import load_detector


def plan_for(folder: Path) -> Plan:
    """The folder, with the settings of `unmask scan`."""
    looks = {"full": make_look("default", "yunet", frames=32, engine="onnxruntime", explain=False, stability=True)}
    return Plan([open_source(str(folder))], looks)


def run(folder: Path, ledger: Path, make: Callable[[dict[str, Any]], Engine]) -> tuple[float, float]:
    """Scan the folder; seconds in all, and from the first outcome to the last, counted so that starting up is left out:
    the outcomes after the first lots are divided by the time that they took."""
    plan = plan_for(folder)
    engine = make(ask(plan.looks, max_pixels=10**8, spool=spool_of(ledger)))
    began = perf_counter()
    with Run(ledger, plan) as archive:
        times = [perf_counter() for _ in archive.outcomes(engine)]
    return perf_counter() - began, times[-1] - times[0]


def stages(ledger: Path) -> str:
    """The share of each stage in all work."""
    with closing(read_ledger(ledger)) as database:
        names = ("fetch", "decode", "find", "score", "evidence")
        sums = database.execute(f"SELECT {', '.join(f'sum({name}_s)' for name in names)} FROM judgements").fetchone()
    total = sum(sums)
    return ", ".join(f"{name} {value / total:.0%}" for name, value in zip(names, sums, strict=True))


def loop(clips: list[Path], pictures: int, rounds: int) -> None:
    """The pool against a loop, taking turns; starting up is told apart."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cases: dict[str, Path] = {}
        if pictures:
            cases[f"{pictures} pictures"] = root / "pictures"
            (root / "pictures").mkdir()
            media.make_pictures(root / "pictures", pictures)
        if clips:
            cases[f"{len(clips)} clips"] = root / "clips"
            (root / "clips").mkdir()
            for number, clip in enumerate(clips):  # other bytes each, or they would be judged once
                (root / "clips" / f"{number:03}.mp4").write_bytes(
                    clip.read_bytes() + bytes([number % 256, number // 256])
                )
        detector = load_detector()
        for case, folder in cases.items():
            paths = sorted(folder.iterdir())
            plain, whole = [], []
            for number in range(rounds):
                began = perf_counter()
                reports = [detector.scan(path) for path in paths]
                plain.append(perf_counter() - began)
                ledger = root / f"{folder.name}-{number}.ledger"
                whole.append(run(folder, ledger, lambda asked: LocalPool(asked, os.cpu_count() or 1))[0])
            seconds = sum(report.media.duration_s or 0 for report in reports)
            a, b = median(plain), median(whole)
            print(f"{case}: loop {a:.2f} s, pool {b:.2f} s with starting up: {a / b:.2f} ×", end="; ")
            print(
                f"{len(paths) / b:.2f} files/s" + (f", {seconds / b:.1f} seconds of video a second" if seconds else "")
            )
            print(f"  stages: {stages(ledger)}; loops {plain}, pools {whole}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["loop", "overhead", "memory", "ray"])
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.what == "loop":
        loop(asked.clips, asked.pictures, asked.rounds)


if __name__ == "__main__":
    main()
