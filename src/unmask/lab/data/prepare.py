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

from unmask._internal.atomic import write_atomically
from unmask.errors import LabError, ManifestError, MediaError, OutputError, UnmaskError
from unmask.faces import FaceFinder, find_close_up, load_finder
from unmask.faces.alignment import CropSpec, landmarks_of, similarity_transform
from unmask.faces.registry import shared_finder
from unmask.lab.data.manifest import FACT, Item, write_manifest
from unmask.lab.data.samples import worker_pool
from unmask.media import open_media
from unmask.types import Face, Frame, Image, Media

SETTINGS_FILE, COVERAGE_FILE = "prepare.json", "coverage.json"
OK, NO_FACE = "ok", "no_face"


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How faces are cut out.

    - frames: how many of each video, evenly spaced
    - every_s: instead, one frame every so many seconds

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
    settings: CropSettings,
    *,
    jobs: int = 2,
    advance: Callable[[int], Any] = lambda _: None,
) -> dict[str, Any]:
    """Write crops of `items` as shards into `out`; returns the coverage.

    The coverage (also coverage.json and coverage.csv) has for each item its status (`ok`,
    `no_face`, or why it could not be read) and its crops.

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


def _begin(items: Sequence[Item], out: Path, settings: CropSettings) -> None:
    digest = hashlib.sha256(
        "\n".join(f"{i.dataset}\0{i.name}\0{i.path}\0{i.label}" for i in items).encode(
            errors="replace"
        )
    )
    run_key = {
        "settings": asdict(settings),
        "items": len(items),
        "items_sha256": digest.hexdigest(),
    }
    path = out / SETTINGS_FILE
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            path.write_text(json.dumps(run_key, indent=2))
            return
        before = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot use the folder {out}: {error}") from error
    if before != run_key:
        keys = [
            key
            for key, value in asdict(settings).items()
            if before.get("settings", {}).get(key) != value
        ]
        what = f"with other settings ({', '.join(keys)})" if keys else "of other items"
        raise LabError(f"{out} holds crops {what}; take another folder")


def _lot(items: Sequence[Item], number: int, out: Path, settings: CropSettings) -> int:
    """Do one lot: its shard, then its account."""
    crops: list[Item] = []
    account = []
    for item in items:
        try:
            item_crops = list(_crops(item, settings))
            status, why = (OK, "") if item_crops else (NO_FACE, "no face was found")
        except MediaError as error:
            item_crops, status, why = [], error.kind, str(error)
        except ManifestError as error:
            item_crops, status, why = [], "unknown_format", str(error)
        except UnmaskError:
            raise  # not the file's fault
        except Exception as error:  # whatever a hostile file sets off costs that file, and is told
            item_crops, status, why = [], "internal", f"{type(error).__name__}: {error}"
        crops += item_crops
        account.append({"status": status, "why": why, "crops": len(item_crops)})
    if crops:
        write_manifest(crops, out / f"part-{number:05}.parquet")
    write_atomically(_account(out, number), json.dumps(account))
    return len(items)


def _crops(item: Item, settings: CropSettings) -> Iterator[Item]:
    """The crops of one item, each an item with its landmarks and with the facts of its file."""
    finder = shared_finder(settings.finder)
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
    settings: CropSettings,
) -> Iterator[Item]:
    """The crops of one frame.

    - size: of the file, in bytes
    """
    faces = finder.find(frame)
    if not faces and media.kind == "image":
        faces = find_close_up(finder, frame)
    if settings.faces == "largest":
        faces = sorted(faces, key=lambda face: face.area_px)[-1:]
    spec = settings.spec()
    for face in faces:
        landmarks = landmarks_of(face)
        matrix = similarity_transform(landmarks, spec.target())
        crop = spec.cut(frame.image, matrix)
        in_crop = spec.carry(landmarks, matrix)
        facts = _facts(face, frame, media, tags, size)
        yield Item(
            item.name,
            item.label,
            item.dataset,
            item.split,
            item.group,
            item.method,
            data=_encode(crop, settings.encoding),
            identities=item.identities,
            landmarks=tuple(float(value) for value in in_crop.ravel()),
            facts={FACT + key: value for key, value in facts.items()},
        )


def _facts(
    face: Face, frame: Frame, media: Media, tags: dict[str, str], size: int
) -> dict[str, Any]:
    """What is known of the file that a crop comes from, for audits."""
    return {
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
        "face_px": face.shorter_side_px,
    }


def _encode(crop: Image, encoding: str) -> bytes:
    """JPEG at 95 without colour subsampling, or PNG; the same for real and fake crops."""
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
    """Put the accounts of all shards together, and write them as coverage.json and coverage.csv."""
    accounts: list[dict[str, Any]] = []
    for number in range(lots):
        accounts += json.loads(_account(out, number).read_text())

    # Count what became of the items, by data set and class, and list those without a crop.
    by_data_set: dict[str, Counter[str]] = {}
    left_out = []
    for item, account in zip(items, accounts, strict=True):
        label = "fake" if item.label else "real"
        by_data_set.setdefault(f"{item.dataset} {label}", Counter())[account["status"]] += 1
        if account["status"] != OK:
            left_out.append(
                {
                    "name": item.name,
                    "dataset": item.dataset,
                    "label": label,
                    "status": account["status"],
                    "why": account["why"],
                }
            )
    coverage = {
        "items": len(items),
        "with_a_face": sum(account["status"] == OK for account in accounts),
        "crops": sum(account["crops"] for account in accounts),
        "by_data_set": {name: dict(counts) for name, counts in by_data_set.items()},
        "left_out": left_out,
    }

    # The same for a spreadsheet: a row for each item.
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["name", "dataset", "label", "status", "crops", "why"])
    for item, account in zip(items, accounts, strict=True):
        label = "fake" if item.label else "real"
        known = (account["status"], account["crops"], account["why"])
        writer.writerow([item.name, item.dataset, label, *known])
    write_atomically(out / COVERAGE_FILE, json.dumps(coverage, indent=2, ensure_ascii=False))
    write_atomically(out / "coverage.csv", table.getvalue())
    return coverage
