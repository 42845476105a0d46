"""python -m benchmarks.archive loop|overhead|memory|ray …

loop [CLIP …] [--pictures 1000]  the pool against a plain loop of Detector.scan, and the share of
each stage overhead                         what ledger and engine add to a file of 100 ms memory
[--files 100000]          peak memory over many small generated pictures, and scanning the finished
ledger again ray [--pictures 1000]            a Ray cluster of this machine against the pool"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import cv2
import numpy as np

from benchmarks import media
from benchmarks.serve import megabytes
from unmask.archive import (
    Executor,
    ProcessExecutor,
    Run,
    ScanJob,
    ScanPlan,
    make_pass,
    open_source,
    read_ledger,
    spool_of,
)
from unmask.archive.executors.ray_cluster import RayExecutor
from unmask.detector import load_detector
from unmask.testing import FakeExecutor

CORES = os.cpu_count() or 1

SLEEPING = """
import time
from unmask.archive.executors import worker
from unmask.archive.executors.batch import Judge
judge = Judge.judge
def slow(self, files):
    for file in files:
        time.sleep(0.1)
        yield from judge(self, [file])
Judge.judge = slow
worker.main()
"""


def plan_for(folder: Path) -> ScanPlan:
    """The folder, with the settings of `unmask scan`."""
    passes = {
        "full": make_pass(
            "default", "yunet", frames=32, engine="onnxruntime", explain=False, stability=True
        )
    }
    return ScanPlan([open_source(str(folder))], passes)


def run(
    folder: Path, ledger: Path, make: Callable[[dict[str, Any]], Executor]
) -> tuple[float, float]:
    """Scan the folder: seconds in all, and until the first outcome."""
    plan = plan_for(folder)
    engine = make(ScanJob(plan.passes, max_pixels=10**8, spool=spool_of(ledger)))
    began = perf_counter()
    first = 0.0
    with Run(ledger, plan) as archive:
        for _ in archive.outcomes(engine):
            first = first or perf_counter() - began
    return perf_counter() - began, first


def stages(ledger: Path) -> str:
    """The mean of each stage, and its share in all work."""
    with closing(read_ledger(ledger)) as database:
        names = ("fetch", "decode", "find", "score", "evidence")
        means = database.execute(
            f"SELECT {', '.join(f'avg({name}_s)' for name in names)} FROM judgements"
        ).fetchone()
    total = sum(means)
    told = zip(names, means, strict=True)
    return ", ".join(f"{name} {value * 1000:.1f} ms ({value / total:.0%})" for name, value in told)


def cases(root: Path, clips: list[Path], pictures: int) -> dict[str, Path]:
    """Folders to scan, by what is in them."""
    found: dict[str, Path] = {}
    if pictures:
        found[f"{pictures} pictures"] = root / "pictures"
        (root / "pictures").mkdir()
        media.make_pictures(root / "pictures", pictures)
    if clips:
        found[f"{len(clips)} clips"] = root / "clips"
        (root / "clips").mkdir()
        for number, clip in enumerate(clips):  # other bytes each, or they would be judged once
            (root / "clips" / f"{number:03}.mp4").write_bytes(
                clip.read_bytes() + bytes(divmod(number, 256))
            )
    return found


def loop(clips: list[Path], pictures: int, rounds: int) -> None:
    """The pool against a loop, taking turns; starting up is told apart."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        detector = load_detector()
        for case, folder in cases(root, clips, pictures).items():
            paths = sorted(folder.iterdir())
            plain, whole, starting = [], [], []
            for number in range(rounds):
                began = perf_counter()
                reports = [detector.scan(path) for path in paths]
                plain.append(perf_counter() - began)
                ledger = root / f"{folder.name}-{number}.ledger"
                seconds, first = run(folder, ledger, lambda job: ProcessExecutor(job, CORES))
                whole.append(seconds)
                starting.append(first)
            video = sum(report.media.duration_s or 0 for report in reports)
            a, b, c = median(plain), median(whole), median(starting)
            print(
                f"{case}: loop {a:.2f} s; pool {b:.2f} s, {c:.2f} s of it until the first outcome",
                end="; ",
            )
            print(
                f"ratio {a / b:.2f}, without that start {a / (b - c):.2f}; {len(paths) / b:.2f}"
                " files/s",
                end="",
            )
            print(f", {video / b:.1f} seconds of video a second" if video else "")
            print(f"  stages: {stages(ledger)}")


def overhead() -> None:
    """Files that take 100 ms: with workers that sleep, so that nothing else is measured."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder = root / "p"
        folder.mkdir()
        tiny(folder, 600)
        began = perf_counter()
        with Run(root / "fake.ledger", plan_for(folder)) as archive:
            count = sum(1 for _ in archive.outcomes(FakeExecutor()))
        alone = (perf_counter() - began) / count
        print(f"ledger, with listing and reading digests, no judging: {alone * 1000:.2f} ms a file")
        command = (sys.executable, "-c", SLEEPING)
        plain = load_detector(threads=1)
        paths = sorted(folder.rglob("*.png"))
        began = perf_counter()
        for path in paths:
            plain.scan(path)
        work = (perf_counter() - began) / len(paths)
        seconds, first = run(
            folder, root / "pool.ledger", lambda job: ProcessExecutor(job, CORES, command)
        )
        each = (seconds - first) * CORES / (count - CORES)  # the first of each is done by then
        print(
            f"pool: {each * 1000:.1f} ms a file and worker, of which 100 asleep and"
            f" {work * 1000:.1f} of judging alone"
        )
        print(f"  engine and ledger add {(each - 0.1 - work) * 1000:.1f} ms to them")


def tiny(folder: Path, count: int) -> None:
    """Small noisy pictures, no two alike, a thousand in a folder."""
    rng = np.random.default_rng(0)
    for number in range(count):
        into = folder / f"{number // 1000:03}"
        into.mkdir(exist_ok=True)
        picture = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(into / f"{number:06}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def memory(files: int) -> None:
    """Master and workers, sampled twice a second; what is theirs alone and their share of the rest
    (PSS)."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for count in (1000, files):
            folder, ledger = root / f"{count}", root / f"{count}.ledger"
            folder.mkdir()
            tiny(folder, count)
            command = [sys.executable, "-m", "unmask", "scan", "--ledger", str(ledger), str(folder)]
            began = perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            sizes, own = [], []
            while process.poll() is None:
                sizes.append(megabytes(process.pid))
                own.append(resident(process.pid))
                sleep(0.5)
            took = perf_counter() - began
            third = len(sizes) // 3
            print(
                f"{count} files: {took:.0f} s, {count / took:.0f} files/s; peak {max(sizes):.0f}"
                " MB,",
                end=" ",
            )
            print(f"its master alone {max(own):.0f} MB;", end=" ")
            print(f"median of the second third {median(sizes[third : 2 * third]):.0f} MB,", end=" ")
            print(
                f"of the last {median(sizes[2 * third :]):.0f} MB; ledger"
                f" {ledger.stat().st_size / 1e6:.0f} MB"
            )
            began = perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            print(f"  the finished ledger again: {perf_counter() - began:.2f} s", flush=True)


def resident(process: int) -> float:
    """Megabytes of one process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:")), 0.0)


def ray(clips: list[Path], pictures: int) -> None:
    """The same files; starting up told apart."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for case, folder in cases(root, clips, pictures).items():
            engines: dict[str, Callable[[dict[str, Any]], Executor]] = {
                "pool": lambda job: ProcessExecutor(job, CORES),
                "ray": lambda job: RayExecutor(job, None),
            }
            rest = {}
            for engine, make in engines.items():
                seconds, first = run(folder, root / f"{folder.name}-{engine}.ledger", make)
                rest[engine] = seconds - first
                print(
                    f"{case}, {engine}: {seconds:.2f} s, {first:.2f} s of it until the first"
                    " outcome"
                )
            print(
                f"  after that, Ray takes {rest['ray'] / rest['pool']:.2f} × the pool's time",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["loop", "overhead", "memory", "ray"])
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.what == "loop":
        loop(asked.clips, asked.pictures, asked.rounds)
    elif asked.what == "overhead":
        overhead()
    elif asked.what == "memory":
        memory(asked.files)
    else:
        ray(asked.clips, asked.pictures)


if __name__ == "__main__":
    main()
