"""Media → face crops in Parquet shards, in parallel, resumable, with an account of every file.

The work is cut into lots. A lot is done when its `part-NNNNN.json` stands; it is written after the
shard of the same number, so a kill loses the lots under way and nothing else.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from unmask._internal.atomic import output_errors, write_atomically
from unmask.errors import LabError, ManifestError, MediaError, OutputError, UnmaskError
from unmask.faces import FaceFinder, find_close_up, load_finder
from unmask.faces.alignment import CropSpec, landmarks_from_box, similarity_transform
from unmask.lab.data.manifest import FACT, Item, write_manifest
from unmask.lab.data.samples import worker_pool
from unmask.media import open_media
from unmask.types import Face, Frame, Image, Media

SETTINGS_FILE, COVERAGE_FILE = "prepare.json", "coverage.json"
OK, NO_FACE = "ok", "no_face"


@dataclass(frozen=True, slots=True)
class Settings:
    """- frames: how many of each video, evenly spaced
    - every_s: instead one every so many seconds

    - faces: the largest of each frame, or all
    - size, margin, centre_y, via: as of `unmask.faces.alignment.CropSpec`; leave a margin for
      training to move in
    """

    frames: int = 10
    every_s: float | None = None
    finder: str = "yunet"
    faces: Literal["largest", "all"] = "largest"
    size: int = 256
    margin: float = 1.5
    centre_y: float = 0.6
    via: int | None = None
    encoding: Literal["jpeg", "png"] = "jpeg"
    lot: int = 16

    def spec(self) -> CropSpec:
        """How crops are cut."""
        return CropSpec(self.size, self.margin, self.centre_y, via=self.via)


def prepare(
    items: Sequence[Item],
    out: Path,
    settings: Settings,
    *,
    jobs: int = 2,
    advance: Callable[[int], Any] = lambda _: None,
) -> dict[str, Any]:
    """Write the shards of `items` into the folder `out` and return the coverage, which stands in
    coverage.json and coverage.csv too: for each item its status (`ok`, `no_face`, or why it could
    not be read) and its crops.

    - advance: told how many items are done

    Lots that are done already are not done again. Raises LabError where the folder holds crops of
    other items or settings, OutputError where it cannot be written, and as `load_finder`.
    """
    load_finder(settings.finder)  # a finder that cannot be had is told here, not by every file
    _begin(items, out, settings)
    lots = [
        list(items[start : start + settings.lot]) for start in range(0, len(items), settings.lot)
    ]
    waiting = [number for number in range(len(lots)) if not _account(out, number).is_file()]
    advance(sum(len(lot) for number, lot in enumerate(lots) if number not in set(waiting)))
    try:
        with worker_pool(min(jobs, max(1, len(waiting))), chunk=1) as run:
            for done in run(
                _lot, (lots[n] for n in waiting), waiting, repeat(out), repeat(settings)
            ):
                advance(done)
    except BrokenProcessPool as error:
        left = [n for n in waiting if not _account(out, n).is_file()]
        raise LabError(
            "a worker process died (memory, or a fault of a decoder) while at one of:"
            f" {_names(lots[n] for n in left[:jobs])}. Give the same command to go on"
        ) from error
    return _coverage(items, out, len(lots))


def _begin(items: Sequence[Item], out: Path, settings: Settings) -> None:
    digest = hashlib.sha256(
        "\n".join(f"{i.dataset}\0{i.name}\0{i.path}\0{i.label}" for i in items).encode(
            errors="replace"
        )
    )
    words = {"settings": asdict(settings), "items": len(items), "items_sha256": digest.hexdigest()}
    path = out / SETTINGS_FILE
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            path.write_text(json.dumps(words, indent=2))
            return
        before = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot use the folder {out}: {error}") from error
    if before != words:
        keys = [
            key
            for key, value in asdict(settings).items()
            if before.get("settings", {}).get(key) != value
        ]
        what = f"with other settings ({', '.join(keys)})" if keys else "of other items"
        raise LabError(f"{out} holds crops {what}; take another folder")


def _lot(items: Sequence[Item], number: int, out: Path, settings: Settings) -> int:
    """Do one lot: its shard, then its account."""
    crops: list[Item] = []
    account = []
    for item in items:
        try:
            mine = list(_crops(item, settings))
            status, why = (OK, "") if mine else (NO_FACE, "no face was found")
        except MediaError as error:
            mine, status, why = [], error.kind, str(error)
        except ManifestError as error:
            mine, status, why = [], "unknown_format", str(error)
        except UnmaskError:
            raise  # not the file's fault
        except Exception as error:  # whatever a hostile file sets off costs that file, and is told
            mine, status, why = [], "internal", f"{type(error).__name__}: {error}"
        crops += mine
        account.append({"status": status, "why": why, "crops": len(mine)})
    if crops:
        write_manifest(crops, out / f"part-{number:05}.parquet")
    write_atomically(_account(out, number), json.dumps(account))
    return len(items)


_finders: dict[str, FaceFinder] = {}


def _crops(item: Item, settings: Settings) -> Iterator[Item]:
    """The crops of one item, each an item with its landmarks and with the facts of its file."""
    if settings.finder not in _finders:
        _finders[settings.finder] = load_finder(settings.finder)
    finder = _finders[settings.finder]
    if item.data is not None:
        image = item.decode()
        media = Media(item.name, "", "image", image.shape[1], image.shape[0])
        yield from _of_frame(
            item, Frame(0, 0.0, image), media, {}, len(item.data), finder, settings
        )
        return
    path = item.path or Path()
    with open_media(path) as source:
        count = settings.frames if settings.every_s is None else sys.maxsize
        for frame in source.frames(count, settings.every_s):
            yield from _of_frame(
                item, frame, source.media, dict(source.tags), path.stat().st_size, finder, settings
            )


def _of_frame(
    item: Item,
    frame: Frame,
    media: Media,
    tags: dict[str, str],
    size: int,
    finder: FaceFinder,
    settings: Settings,
) -> Iterator[Item]:
    faces = finder.find(frame)
    if not faces and media.kind == "image":
        faces = find_close_up(finder, frame)
    if settings.faces == "largest":
        faces = sorted(faces, key=_area)[-1:]
    spec = settings.spec()
    for face in faces:
        landmarks = face.landmarks if face.landmarks is not None else landmarks_from_box(face.box)
        matrix = similarity_transform(landmarks, spec.target())
        crop = spec.cut(frame.image, matrix)
        placed = spec.carry(landmarks, matrix)
        x0, y0, x1, y1 = face.box
        facts: dict[str, Any] = {
            "bytes": size,
            "width": media.width,
            "height": media.height,
            "kind": media.kind,
            "codec": tags.get("codec", ""),
            "software": tags.get("encoder") or tags.get("software") or "",
            "duration_s": media.duration_s,
            "fps": float(media.fps) if media.fps else None,
            "frame": frame.index,
            "time_s": frame.time_s,
            "face_px": min(x1 - x0, y1 - y0),
        }
        yield Item(
            item.name, item.label, item.dataset, item.split, item.group, item.method,
            data=_encode(crop, settings.encoding), identities=item.identities,
            landmarks=tuple(float(v) for v in placed.ravel()),
            facts={FACT + key: value for key, value in facts.items()},
        )  # fmt: skip


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _encode(crop: Image, encoding: str) -> bytes:
    """JPEG at 95 without subsampling of colour, or PNG: the same for every crop, so that it tells
    nothing of its class.
    """
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    suffix, options = (".jpg", options) if encoding == "jpeg" else (".png", [])
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(crop[..., ::-1]), options)[1])


def _account(out: Path, number: int) -> Path:
    return out / f"part-{number:05}.json"


def _names(lots: Any) -> str:
    return ", ".join(item.name for lot in lots for item in lot)


def _coverage(items: Sequence[Item], out: Path, lots: int) -> dict[str, Any]:
    rows = [row for number in range(lots) for row in json.loads(_account(out, number).read_text())]
    table: dict[str, Counter[str]] = {}
    for item, row in zip(items, rows, strict=True):
        table.setdefault(f"{item.dataset} {'fake' if item.label else 'real'}", Counter())[
            row["status"]
        ] += 1
    coverage = {
        "items": len(items),
        "with_a_face": sum(row["status"] == OK for row in rows),
        "crops": sum(row["crops"] for row in rows),
        "by_data_set": {name: dict(counts) for name, counts in table.items()},
        "left_out": [
            {
                "name": item.name,
                "dataset": item.dataset,
                "label": "fake" if item.label else "real",
                "status": r["status"],
                "why": r["why"],
            }
            for item, r in zip(items, rows, strict=True)
            if r["status"] != OK
        ],
    }
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["name", "dataset", "label", "status", "crops", "why"])
    for item, row in zip(items, rows, strict=True):
        writer.writerow(
            [
                item.name,
                item.dataset,
                "fake" if item.label else "real",
                row["status"],
                row["crops"],
                row["why"],
            ]
        )
    with output_errors(out):
        (out / COVERAGE_FILE).write_text(json.dumps(coverage, indent=2, ensure_ascii=False))
        (out / "coverage.csv").write_text(
            text.getvalue(), encoding="utf-8", errors="backslashreplace"
        )
    return coverage
