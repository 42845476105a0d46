"""Clips made by code in which it is known who is where, to measure how people are told apart.

Made of pictures of faces, several of each person if there are: cuts, people crossing, leaving and
coming back, changing places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from unmask.faces import find_main_face, load_finder
from unmask.media import open_media
from unmask.types import Image, Report

WIDTH, HEIGHT, SIDE, FPS = 960, 400, 240, 15


@dataclass(frozen=True, slots=True)
class Place:
    """Who stands where: the centre of a picture of `who`, and its size as a factor."""

    who: str
    x: float
    y: float = HEIGHT / 2
    size: float = 1.0


Case = Callable[[int], Sequence[Place]]
"""The number of a frame → who is in it. None of the cases needs more than 120 frames."""


def _cuts(n: int) -> Sequence[Place]:
    """Shot and reverse shot: two people in the same place, in turns."""
    return [Place("ab"[n // 20 % 2], 480)]


def _crossing(n: int) -> Sequence[Place]:
    """Two people walk past each other; the first is in front."""
    return [Place("b", 820 - 6 * n), Place("a", 140 + 6 * n, HEIGHT / 2 + 20)]


def _returning(n: int) -> Sequence[Place]:
    """One leaves and comes back on the other side, farther away."""
    if n < 40:
        return [Place("a", 240)]
    return [] if n < 80 else [Place("a", 700, 200, 0.7)]


def _places(n: int) -> Sequence[Place]:
    """Two side by side; after a cut they have changed places."""
    a, b = (260, 700) if n < 60 else (700, 260)
    return [Place("a", a), Place("b", b)]


def _coming(n: int) -> Sequence[Place]:
    """One comes nearer while the other sits still, and a third looks in."""
    third = [Place("c", 820, 120, 0.6)] if 50 <= n < 90 else []
    return [Place("b", 160), Place("a", 480, 200, 0.4 + n / 170), *third]


CASES: Mapping[str, Case] = {
    "cuts": _cuts,
    "crossing": _crossing,
    "returning": _returning,
    "places": _places,
    "coming": _coming,
}

SHOTS: Mapping[str, int] = {"cuts": 20, "places": 60}
"""Frames after which the background changes, where a case has cuts."""


def faces_of(path: Path, count: int = 40) -> list[Image]:
    """Square pictures of the main face of a clip or a picture, with its surroundings, (SIDE, SIDE,
    3)."""
    finder, found = load_finder("yunet"), []
    with open_media(path) as source:
        for frame in source.frames(count):
            face = find_main_face(finder, frame.image)
            if face is None:
                continue
            x0, y0, x1, y1 = face.box
            reach, cx, cy = 0.8 * max(x1 - x0, y1 - y0), (x0 + x1) / 2, (y0 + y1) / 2
            matrix = np.array(
                [
                    [SIDE / 2 / reach, 0, SIDE / 2 * (1 - cx / reach)],
                    [0, SIDE / 2 / reach, SIDE / 2 * (1 - cy / reach)],
                ]
            )
            found.append(
                cv2.warpAffine(
                    frame.image,
                    matrix,
                    (SIDE, SIDE),
                    flags=cv2.INTER_AREA,
                    borderMode=cv2.BORDER_REPLICATE,
                )
            )
    return found  # type: ignore[return-value]


def make_clip(
    path: Path, case: str, people: Mapping[str, Sequence[Image]], frames: int = 120
) -> Path:
    """Write the clip of a case. people: pictures of `a`, `b` and `c`, shown in turn."""
    rng = np.random.default_rng(0)
    backgrounds = [
        cv2.resize(
            rng.integers(40, 200, (6, 12, 3), dtype=np.uint8),
            (WIDTH, HEIGHT),
            interpolation=cv2.INTER_CUBIC,
        )
        for _ in range(8)
    ]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(frames):
            shot = n // SHOTS[case] if case in SHOTS else 0
            image = np.asarray(backgrounds[shot % len(backgrounds)], np.float32).copy()
            for place in CASES[case](n):
                pictures = people[place.who]
                _paste(image, pictures[n // 3 % len(pictures)], place, tilt_deg=8 * np.sin(n / 7))
            frame = av.VideoFrame.from_ndarray(
                np.clip(image, 0, 255).astype(np.uint8), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _paste(image: np.ndarray, picture: Image, place: Place, tilt_deg: float) -> None:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), tilt_deg, place.size)
    matrix[:, 2] += [place.x - SIDE / 2, place.y - SIDE / 2]
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    round_mask = np.clip(4 * (1 - np.hypot(x, y)), 0, 1).astype(np.float32)
    mask = cv2.warpAffine(round_mask, matrix, (WIDTH, HEIGHT))[..., None]
    image[:] = (
        image * (1 - mask)
        + cv2.warpAffine(picture.astype(np.float32), matrix, (WIDTH, HEIGHT)) * mask
    )


def measure(report: Report, case: str) -> tuple[float, float, int]:
    """Purity (share of faces whose person is mostly of their kind), completeness (share of faces
    that are in the person who holds most of their kind) and the number of people found."""
    kinds: list[Counter[str]] = []
    by_kind: dict[str, list[int]] = defaultdict(list)
    for person in report.people:
        kind: Counter[str] = Counter()
        for score in person.scores:
            x0, y0, x1, y1 = score.face.box
            places = CASES[case](score.face.frame)
            near = min(
                places,
                key=lambda p: np.hypot(p.x - (x0 + x1) / 2, p.y - (y0 + y1) / 2),
                default=None,
            )
            kind[near.who if near else "nobody"] += 1
        kinds.append(kind)
        for who, count in kind.items():
            by_kind[who].append(count)
    faces = sum(sum(kind.values()) for kind in kinds)
    pure = sum(max(kind.values()) for kind in kinds)
    whole = sum(max(counts) for counts in by_kind.values())
    return pure / faces, whole / faces, len(kinds)
