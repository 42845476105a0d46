"""python -m benchmarks [clip|folder|parts|start] [--file CLIP]

Or: make bench WHAT="clip --file …".
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks import media
from unmask.bundle.registry import find_bundle
from unmask.demo import demo_media
from unmask.detector import Detector, load_detector
from unmask.errors import BundleNotFoundError
from unmask.faces.models import carried_model
from unmask.faces.yunet import YUNET_SHA256, YuNet


def take_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each way, after one warm-up, the ways taking turns so that a drift hits
    all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = perf_counter()
            way()
            if number:
                seconds[name].append(perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def show(title: str, seconds: dict[str, float], floor: str) -> None:
    print(f"\n{title}")
    for name, value in seconds.items():
        print(f"  {name:58} {value:8.3f} s   {value / seconds[floor]:6.2f} × {floor}")


def peak_megabytes(arguments: list[str]) -> float:
    """Of one `unmask` process; asked by a small process, since a child starts with its parent's
    peak."""
    code = (
        "import resource, subprocess, sys;subprocess.run([sys.executable, '-m', 'unmask',"
        " *sys.argv[1:]], check=True,"
        " stdout=subprocess.DEVNULL);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss"
        " / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def clip(path: Path | None, rounds: int) -> None:
    """32 frames of a 1080p clip: decoding alone, a scan, and the way the origin systems did it."""
    from benchmarks import origin

    with tempfile.TemporaryDirectory() as folder:
        path = path or media.make_clip(Path(folder) / "clip.mp4")
        detector = load_detector()
        ways: dict[str, Callable[[], object]] = {
            "plain decode": lambda: media.plain_decode(path, 32),
            "our reader alone": lambda: media.read(path, 32),
            "scan": lambda: detector.scan(path, frames=32, stability=False),
        }
        seconds = take_turns(ways, rounds)
        show(f"{path.name}, 32 frames", seconds, "plain decode")
        slow = origin.Origin()
        turns = take_turns(
            {"scan": ways["scan"], "origin": lambda: slow.judge(path, 32)}, max(1, rounds // 4)
        )
        show(
            "the origin systems' parts: OpenCV, MTCNN on whole frames, InceptionResNetV2 in torch,"
            " one by one",
            turns,
            "scan",
        )
        print(
            "\npeak memory of `unmask scan`:"
            f" {peak_megabytes(['scan', '--json', str(path)]):.0f} MB"
        )


def folder(_: Path | None, rounds: int) -> None:
    """A folder of 1,000 pictures: `scan_many` against plain loops over the same stages, one picture
    after the other."""
    with tempfile.TemporaryDirectory() as name:
        paths = media.make_pictures(Path(name), 1000)
        detector = load_detector()
        beside = load_detector(threads=1)
        library = YuNet(carried_model("face_detection_yunet_2023mar_int8bq.onnx", YUNET_SHA256))
        plain = Detector(detector.bundle, library)
        ways: dict[str, Callable[[], object]] = {
            "plain loop, YuNet as OpenCV runs it": lambda: [
                plain.scan(path, stability=False) for path in paths
            ],
            "plain loop, our YuNet": lambda: [
                detector.scan(path, stability=False) for path in paths
            ],
            "scan_many": lambda: list(beside.scan_many(paths, stability=False)),
            "scan_many, judging again after changes": lambda: list(beside.scan_many(paths)),
        }
        seconds = take_turns(ways, max(1, rounds // 3))
        show("1,000 pictures", seconds, "scan_many")
        print(f"  {1000 / seconds['scan_many']:.0f} pictures a second")


def parts(path: Path | None, rounds: int) -> None:
    """A picture and a 1080p clip, by the small model alone and by both parts of `accurate`."""
    try:
        find_bundle("accurate")
    except BundleNotFoundError as error:
        print(f"\nparts: {error}")
        return
    with tempfile.TemporaryDirectory() as folder:
        clip_path = path or media.make_clip(Path(folder) / "clip.mp4")
        picture = next(sample.path for sample in demo_media() if sample.path.suffix == ".jpg")
        detectors = {"default": load_detector("default"), "accurate": load_detector("accurate")}
        for shown in (picture, clip_path):
            is_clip = shown is clip_path
            ways: dict[str, Callable[[], object]] = {
                name: lambda detector=detector, shown=shown: detector.scan(shown)
                for name, detector in detectors.items()
            }
            floor = "default"
            if is_clip:
                ways = {"plain decode": lambda: media.plain_decode(clip_path, 32), **ways}
                floor = "plain decode"
            show(shown.name, take_turns(ways, rounds), floor)
            for name in detectors:
                megabytes = peak_megabytes(["scan", "--json", "--model", name, str(shown)])
                print(f"  peak memory, {name}: {megabytes:.0f} MB")


def start(_: Path | None, rounds: int) -> None:
    """Starting up, and the size of what is installed."""
    seconds = take_turns(
        {
            "unmask --help": lambda: subprocess.run(
                [sys.executable, "-m", "unmask", "--help"], check=True, capture_output=True
            )
        },
        rounds,
    )
    show("start", seconds, "unmask --help")


def main() -> None:
    benchmarks = {"clip": clip, "folder": folder, "parts": parts, "start": start}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(benchmarks)}; none: all")
    parser.add_argument("--file", type=Path, help="a clip of one's own instead of a generated one")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if unknown := set(options.what) - set(benchmarks):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    for name in options.what or benchmarks:
        benchmarks[name](options.file, options.rounds)


if __name__ == "__main__":
    main()
