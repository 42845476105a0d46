"""python -m benchmarks.evidence people|stability|times|marks …

people A B C      how people are told apart in made clips, of the faces in three clips or pictures
stability DATA [--rows N] [--split test]      how many verdicts mild changes undo, of the pictures
                  of a manifest
times CLIP        what evidence adds to a scan
marks FOLDER      how many pictures seem to carry an invisible mark of a generator
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.__main__ import take_turns
from benchmarks.people import CASES, faces_of, make_clip, measure
from unmask.analysis.timeline import log_odds
from unmask.analysis.tracking import group_people
from unmask.detector import Detector, load_detector
from unmask.errors import MediaError
from unmask.media import find_media, open_media
from unmask.provenance.generator_marks import SMALLEST_PIXELS, read_mark
from unmask.types import Failure, Label, Reason


def people(paths: list[Path]) -> None:
    """Purity and completeness, with likeness and by place alone."""
    faces = dict(zip("abc", (faces_of(path) for path in paths), strict=True))
    detector = load_detector()
    print(
        f"{'case':12} {'purity':>8} {'complete':>9} {'people':>7}   by place alone: purity,"
        " completeness, people"
    )
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            report = detector.scan(
                make_clip(Path(folder) / f"{case}.mp4", case, faces), stability=False
            )
            pure, whole, count = measure(report, case)
            alone = group_people(score for person in report.people for score in person.scores)
            again = _by_place(report, alone)
            print(
                f"{case:12} {pure:8.3f} {whole:9.3f} {count:7}  "
                f" {'{:.3f}, {:.3f}, {}'.format(*measure(again, case))}"
            )


def _by_place(report, groups):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    shown = report.people[0]
    return replace(
        report,
        people=tuple(replace(shown, id=n, scores=group) for n, group in enumerate(groups, start=1)),
    )


def stability(data: Path, rows: int | None, split: str | None) -> None:
    """Scans the pictures as a user would."""
    from unmask.lab.data.manifest import read_manifests, select
    from unmask.lab.evaluation.evaluate import _paths

    items = read_manifests([data])
    items = (select(items, split) if split else items)[:rows]
    detector = load_detector(threads=1)
    thresholds = detector.bundle.card.thresholds
    before: Counter[str] = Counter()
    undone: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    turned: Counter[str] = Counter()
    distances: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for item, report in zip(
            items, detector.scan_many(_paths(items, Path(folder))), strict=True
        ):
            if isinstance(report, Failure):
                continue
            for person in report.people:
                p = person.verdict.probability_fake
                if p is None or thresholds.real < p < thresholds.fake:
                    continue
                label = Label.FAKE if p >= thresholds.fake else Label.REAL
                key = f"{'fake' if item.label else 'real'} faces called {label}"
                before[key] += 1
                if any(variant.label is not label for variant in person.stability):
                    edge = thresholds.fake if label is Label.FAKE else thresholds.real
                    undone_at = Reason.UNSTABLE in person.verdict.reasons
                    distances[undone_at].append(abs(log_odds(p) - log_odds(edge)))
                undone[key] += Reason.UNSTABLE in person.verdict.reasons
                touched[key] += any(variant.label is not label for variant in person.stability)
                opposite = Label.REAL if label is Label.FAKE else Label.FAKE
                turned[key] += any(variant.label is opposite for variant in person.stability)
    print(f"{data.name}: {len(items)} pictures, {sum(before.values())} verdicts")
    for key, count in sorted(before.items()):
        counts = (
            (undone, "undone"),
            (touched, "by one change at least"),
            (turned, "turned round by one"),
        )
        shares = (f"{words} {found[key]} ({found[key] / count:.1%})" for found, words in counts)
        print(f"  {key:24} {count:5}: " + "; ".join(shares))
    for at, words in ((True, "undone verdicts"), (False, "others with a change that undoes them")):
        if distances[at]:
            told = ", ".join(f"{value:.2f}" for value in np.quantile(distances[at], [0.5, 0.95, 1]))
            print(f"  log-odds between the threshold and P, {words}: median, 95 %, most: {told}")


def times(path: Path, rounds: int) -> None:
    """Medians, the ways taking turns; shares of the plain scan."""
    detector = load_detector()
    card = detector.bundle.card
    plain = partial(detector.scan, path, stability=False)

    def report(folder: Path, detector: Detector = detector) -> object:
        from unmask.report.files import write_report

        return write_report(found, card, folder)

    found = detector.scan(path, explain=True)
    with tempfile.TemporaryDirectory() as folder:
        seconds = take_turns(
            {
                "plain": plain,
                "--stability": partial(detector.scan, path, stability=True),
                "--explain": partial(detector.scan, path, stability=False, explain=True),
                "both": partial(detector.scan, path, explain=True),
                "writing page, PDF and JSON": partial(report, Path(folder)),
            },
            rounds,
        )
    base = seconds["plain"]
    for name, value in seconds.items():
        added = value if name.startswith("writing") else value - base
        print(
            f"  {name:28} {value:7.3f} s   adds {added:+.3f} s, {added / base:+.1%} of the plain"
            " scan"
        )


def marks(folders: list[Path]) -> None:
    """Pictures with a mark, by its name; pictures too small for one are not counted."""
    looked_at, found = 0, Counter[str]()
    for folder in folders:
        for path in find_media(folder):
            try:
                with open_media(path) as media:
                    frame = next(iter(media.frames(1)))
                    is_picture = media.media.kind == "image"
            except MediaError:
                continue
            if is_picture and frame.image.shape[0] * frame.image.shape[1] >= SMALLEST_PIXELS:
                looked_at += 1
                if mark := read_mark(frame.image):
                    found[mark[0]] += 1
    print(f"  {looked_at} pictures; with a mark: {dict(found) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["people", "stability", "times", "marks"])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--split")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    if asked.what == "people":
        people(asked.paths)
    elif asked.what == "stability":
        stability(asked.paths[0], asked.rows, asked.split)
    elif asked.what == "marks":
        marks(asked.paths)
    else:
        for path in asked.paths:
            print(path.name)
            times(path, asked.rounds)


if __name__ == "__main__":
    main()
