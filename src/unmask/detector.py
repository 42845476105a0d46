"""`Detector.scan`: the one path from a file to a report. Command line, evaluation and server all call it."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from time import perf_counter

from unmask.bundle import Scorer, load_bundle
from unmask.bundle.session import MAX_BATCH
from unmask.crop import crop_face, measure_quality
from unmask.errors import MediaError, UnmaskError
from unmask.faces import FaceFinder, find_close_up, find_main_face, load_finder
from unmask.media import DEFAULT_MAX_PIXELS, open_media
from unmask.people import group_people
from unmask.pipeline import Clock, one_opencv_thread, ordered_map, prefetch
from unmask.provenance import read_provenance
from unmask.types import (
    Face,
    Failure,
    Floats,
    Frame,
    Image,
    Media,
    Person,
    Provenance,
    Report,
    Score,
    Timing,
)
from unmask.verdict import judge_file, judge_person

DEFAULT_FRAMES = 32


@dataclass(slots=True)
class _Look:
    """What was found in one file, on its way to a report. crops holds those of `faces` that can be judged and wait for
    it; results those that were."""

    media: Media
    provenance: Provenance
    started: float
    faces: list[Face] = field(default_factory=list)
    crops: dict[int, Image] = field(default_factory=dict)
    results: dict[int, tuple[float, Floats | None]] = field(default_factory=dict)
    decode: Clock = field(default_factory=Clock)
    find: Clock = field(default_factory=Clock)
    score_s: float = 0.0
    total_s: float = 0.0


class Detector:
    """Judges pictures and videos with one bundle and one face finder. Safe to call from several threads."""

    def __init__(self, bundle: Scorer, finder: FaceFinder, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.bundle = bundle
        self.finder = finder
        self._max_pixels = max_pixels

    def scan(self, path: str | os.PathLike[str], *, frames: int = DEFAULT_FRAMES, explain: bool = False) -> Report:
        """Judge one picture or video. frames: how many to look at in a video; explain: keep the heat maps.

        Raises a MediaError where the file cannot be judged.
        """
        look = self._look(Path(path), frames, explain, threading.Event())
        self._score([look], explain)
        return self._report(look)

    def scan_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        frames: int = DEFAULT_FRAMES,
        explain: bool = False,
        jobs: int | None = None,
    ) -> Iterator[Report | Failure]:
        """Judge many files, `jobs` at a time (default: one a core), in order; one that cannot be judged is a Failure.

        Faces of several files are scored together. Closing the iterator stops at the next frame.
        """
        _require_positive("frames", frames)
        _require_positive("jobs", jobs if jobs is not None else 1)
        jobs = jobs or os.cpu_count() or 1
        stop = threading.Event()

        def look(path: str | os.PathLike[str]) -> _Look | Failure:
            try:
                return self._look(Path(path), frames, explain, stop)
            except MediaError as error:
                return Failure(os.fspath(path), error.kind, str(error))
            except UnmaskError:
                raise  # not the file's fault
            except Exception as error:  # whatever a hostile file sets off must not cost the other files their verdicts
                return Failure(os.fspath(path), "internal", f"{type(error).__name__}: {error}")

        waiting: list[_Look | Failure] = []
        try:
            with (
                one_opencv_thread(jobs > 1),
                closing(ordered_map(look, paths, jobs, ahead=2 * MAX_BATCH if jobs > 1 else 1)) as looks,
            ):
                for found in looks:
                    waiting.append(found)
                    if len(waiting) >= MAX_BATCH or (isinstance(found, _Look) and found.media.kind == "video"):
                        yield from self._finish(waiting, explain)
                yield from self._finish(waiting, explain)
        finally:
            stop.set()

    def score_crops(self, images: Iterable[Image], *, jobs: int | None = None) -> Iterator[float]:
        """The probability of fake of each picture that is a face crop already, in order.

        The face in it is looked for and cut out as the card says, as in a scan; where none is found the whole picture
        is taken. No face is refused for its quality: whoever hands in crops wants each of them judged.
        """
        spec = self.bundle.card.crop

        def cut(image: Image) -> Image:
            face = find_main_face(self.finder, image)
            if face is not None:
                return crop_face(image, face, spec)
            return spec.fit(image)

        with closing(ordered_map(cut, images, jobs or os.cpu_count() or 1, ahead=2 * MAX_BATCH)) as crops:
            while batch := list(islice(crops, MAX_BATCH)):
                yield from map(float, self.bundle.card.calibration.probabilities(self.bundle.score(batch).logits))

    def _look(self, path: Path, frames: int, explain: bool, stop: threading.Event) -> _Look:
        """Decode, find and crop; what fills whole batches is scored on the way."""
        _require_positive("frames", frames)
        started = perf_counter()
        decode = Clock()
        with decode:
            source = open_media(path, max_pixels=self._max_pixels)
        with source:
            look = _Look(source.media, read_provenance(source.tags), started, decode=decode)
            still = source.media.kind == "image"
            pictures = source.frames(frames)
            with closing(_timed(pictures, decode) if still else prefetch(pictures, decode)) as shown:
                for frame in shown:
                    if stop.is_set():
                        raise MediaError("stopped")
                    with look.find:
                        self._find(look, frame, thorough=still)
                    while len(look.crops) >= MAX_BATCH:
                        self._score([look], explain, at_most=MAX_BATCH)
            look.media = source.media
        look.total_s = perf_counter() - look.started
        return look

    def _find(self, look: _Look, frame: Frame, *, thorough: bool) -> None:
        card = self.bundle.card
        faces = self.finder.find(frame)
        if not faces and thorough:
            faces = find_close_up(self.finder, frame)
        for face in faces:
            crop = crop_face(frame.image, face, card.crop)
            quality = measure_quality(crop, face.box, frame.image.shape[:2])
            quality = replace(quality, unusable=card.gates.refuse(quality))
            if quality.unusable is None:
                look.crops[len(look.faces)] = crop
            look.faces.append(replace(face, quality=quality))

    def _score(self, looks: Sequence[_Look], explain: bool, at_most: int | None = None) -> None:
        """Score the waiting crops of these files together."""
        places = [(look, number) for look in looks for number in look.crops][:at_most]
        if not places:
            return
        clock = Clock()
        with clock:
            scored = self.bundle.score([look.crops[number] for look, number in places], explain=explain)
        for place, (look, number) in enumerate(places):
            if self._familiar(look, number, None if scored.novelty is None else float(scored.novelty[place])):
                heatmap = None if scored.heatmaps is None else scored.heatmaps[place]
                look.results[number] = float(scored.logits[place]), heatmap
            look.score_s += clock.seconds / len(places)
            look.total_s += clock.seconds / len(places) if look.total_s else 0.0  # after the look, not during it
            del look.crops[number]

    def _familiar(self, look: _Look, number: int, novelty: float | None) -> bool:
        """Write down how new the face is, and whether it may be judged."""
        face = look.faces[number]
        if novelty is None or face.quality is None:
            return True
        quality = replace(face.quality, novelty=novelty)
        quality = replace(quality, unusable=self.bundle.card.gates.refuse(quality))
        look.faces[number] = replace(face, quality=quality)
        return quality.unusable is None

    def _finish(self, waiting: list[_Look | Failure], explain: bool) -> Iterator[Report | Failure]:
        self._score([look for look in waiting if isinstance(look, _Look)], explain)
        done, waiting[:] = list(waiting), []
        for look in done:
            yield look if isinstance(look, Failure) else self._report(look)

    def _report(self, look: _Look) -> Report:
        card = self.bundle.card
        scores = []
        for number, face in enumerate(look.faces):
            logit, heatmap = look.results.get(number, (None, None))
            probability = None if logit is None else card.calibration.probability(logit)
            scores.append(Score(face, logit, probability, heatmap))
        people = tuple(
            Person(number, judge_person(group, card.thresholds, look.media.frames_read), group)
            for number, group in enumerate(group_people(scores), start=1)
        )
        return Report(
            media=look.media,
            verdict=judge_file(people, truncated=look.media.read_share < 1),
            people=people,
            model=self.bundle.id,
            provenance=look.provenance,
            timing_s=Timing(look.decode.seconds, look.find.seconds, look.score_s, look.total_s),
        )


def load_detector(
    model: str = "default",
    *,
    faces: str = "yunet",
    engine: str = "onnxruntime",
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Detector:
    """A detector. model: a shipped bundle's name or a file; faces: yunet, mtcnn, dlib or yunet=FILE; engine:
    onnxruntime or openvino; threads: for scoring, 0 for all cores; max_pixels: larger pictures and frames are refused.

    Raises BundleError, FinderError or MissingExtraError.
    """
    _require_positive("max_pixels", max_pixels)
    return Detector(load_bundle(model, threads=threads, engine=engine), load_finder(faces), max_pixels=max_pixels)


def _timed(items: Iterable[Frame], clock: Clock) -> Generator[Frame]:
    iterator = iter(items)
    while True:
        with clock:
            item = next(iterator, None)
        if item is None:
            return
        yield item


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, but is {value}")
