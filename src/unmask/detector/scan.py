"""The one path from a file to a report."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from unmask.bundle import Scorer, load_bundle
from unmask.bundle.session import MAX_BATCH
from unmask.crop import corners_of, crop_face, landmarks_of, measure_quality
from unmask.detector.evidence import TESTED_PEOPLE, choose_tested, exhibit, variants
from unmask.detector.look import KEPT_PICTURES, MAX_JUDGED, Key, Look, Spread, Watch
from unmask.errors import MediaError, TooLongError, UnmaskError
from unmask.faces import FaceFinder, find_close_up, find_main_face, load_finder
from unmask.media import DEFAULT_MAX_PIXELS, Source, open_media
from unmask.people import group_people
from unmask.pipeline import Clock, one_opencv_thread, ordered_map, prefetch
from unmask.provenance import contradictions, look_at_pixels, read_provenance
from unmask.stability import varied, worth_testing
from unmask.timeline import find_segments, trace, where_to_look
from unmask.types import Face, Failure, Frame, Image, Person, Progress, Report, Score, Segment, Settings, Stage, Timing
from unmask.verdict import hold_against, judge_file, judge_person

DEFAULT_FRAMES = 32


HELD_SHARE, MOST_HELD = 8, 8
"""One in so many frames of a video, and at most so many, is held back: looked at last, or given up for a frame where
the score changes, so that the number of frames stays what was asked for."""


class Detector:
    """Judges pictures and videos with one bundle and one face finder. Safe to call from several threads."""

    def __init__(
        self,
        bundle: Scorer,
        finder: FaceFinder,
        *,
        engine: str = "onnxruntime",
        max_pixels: int = DEFAULT_MAX_PIXELS,
        max_duration_s: float | None = None,
        decode_threads: int = 0,
    ) -> None:
        self.bundle = bundle
        self.finder = finder
        self._engine = engine
        self._max_pixels = max_pixels
        self._max_duration_s = max_duration_s
        self._decode_threads = decode_threads

    def scan(
        self,
        path: str | os.PathLike[str],
        *,
        frames: int = DEFAULT_FRAMES,
        explain: bool = False,
        stability: bool = True,
        watch: Watch | None = None,
    ) -> Report:
        """Judge one picture or video.

        frames: how many to look at in a video, at most; explain: keep the heat maps, and exhibits with graded ones;
        stability: judge again after mild changes; watch: is told of each step, and what it raises ends the scan.
        Raises a MediaError where the file cannot be judged.
        """
        settings = self._settings(frames, explain, stability)
        look = self._look(Path(path), settings, threading.Event(), watch)
        self._conclude([look], settings)
        return self._report(look, settings)

    def scan_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        frames: int = DEFAULT_FRAMES,
        explain: bool = False,
        stability: bool = True,
        jobs: int | None = None,
    ) -> Iterator[Report | Failure]:
        """Judge many files, `jobs` at a time (default: one a core), in order; one that cannot be judged is a Failure.

        Faces of several pictures are scored together. Closing the iterator stops at the next frame.
        """
        settings = self._settings(frames, explain, stability)
        _require_positive("jobs", jobs if jobs is not None else 1)
        jobs = jobs or os.cpu_count() or 1
        stop = threading.Event()

        def look(path: str | os.PathLike[str]) -> Look | Failure:
            try:
                return self._look(Path(path), settings, stop)
            except MediaError as error:
                return Failure(os.fspath(path), error.kind, str(error))
            except UnmaskError:
                raise  # not the file's fault
            except Exception as error:  # whatever a hostile file sets off must not cost the other files their verdicts
                return Failure(os.fspath(path), "internal", f"{type(error).__name__}: {error}")

        waiting: list[Look | Failure] = []
        try:
            with (
                one_opencv_thread(jobs > 1),
                closing(ordered_map(look, paths, jobs, ahead=2 * MAX_BATCH if jobs > 1 else 1)) as looks,
            ):
                for found in looks:
                    waiting.append(found)
                    if len(waiting) >= MAX_BATCH or (isinstance(found, Look) and found.media.kind == "video"):
                        yield from self._finish(waiting, settings)
                        waiting.clear()
                yield from self._finish(waiting, settings)
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

    def _check_duration(self, source: Source) -> None:
        most, duration = self._max_duration_s, source.media.duration_s
        if most is not None and duration is not None and duration > most:
            raise TooLongError(f"a video of {duration:.0f} s, more than the {most:g} s that are allowed")

    def _settings(self, frames: int, explain: bool, stability: bool) -> Settings:
        _require_positive("frames", frames)
        return Settings(frames, self.finder.name, self._engine, stability, explain)

    def _look(self, path: Path, settings: Settings, stop: threading.Event, watch: Watch | None = None) -> Look:
        """Decode, find and crop. Of a picture the crops are left to be scored together with others'; of a video all is
        done here but the verdict."""
        started = perf_counter()
        if watch is not None:
            watch(Progress(Stage.OPENING))
        decode, evidence = Clock(), Clock()
        with decode:
            source = open_media(path, max_pixels=self._max_pixels, threads=self._decode_threads)
        with source:
            self._check_duration(source)
            with evidence:
                provenance = read_provenance(path, source.tags)
            look = Look(source.media, provenance, started, decode=decode, evidence=evidence, watch=watch)
            look.frames_asked = 1 if source.media.kind == "image" else settings.frames
            look.pictures = Spread(KEPT_PICTURES, look.frames_asked)
            if source.media.kind == "image":
                for frame in _timed(source.frames(1), decode):
                    with evidence:
                        look.provenance = look_at_pixels(provenance, frame.image, source.tags)
                    self._read(look, iter([frame]), settings, stop)
            else:
                self._watch(look, source, settings, stop)
            look.media = replace(source.media, frames_read=look.frames)
        look.total_s = perf_counter() - look.started
        return look

    def _watch(self, look: Look, source: Source, settings: Settings, stop: threading.Event) -> None:
        """Look at a video, once more where segments begin and end, and judge faces again."""
        most = min(settings.frames // HELD_SHARE, MOST_HELD)
        held: list[Frame] = []
        frames = prefetch(source.frames(settings.frames), look.decode)
        self._read(look, _hold_back(frames, held, most), settings, stop)
        self._score([look], settings)
        with look.evidence:
            wanted = self._borders(look, len(held))
        if wanted:
            before = look.frames
            self._read(look, prefetch(source.frames_at(wanted), look.decode), settings, stop)
            del held[: look.frames - before]
        self._read(look, (held.pop(0) for _ in range(len(held))), settings, stop)
        self._score([look], settings)
        if settings.stability:
            with look.evidence:
                look.crops.update(self._changed(look, settings))
            self._score([look], settings)

    def _borders(self, look: Look, count: int) -> list[float]:
        """At most `count` times around the ends of segments."""
        people = [person for person in self._group(look) if len(person) > 1]
        ends = [where_to_look(find_segments(person), person, count) for person in people]
        ends = [times for times in ends if times]
        each = max(1, count // max(1, len(ends)))
        return sorted({time for times in ends for time in times[:each]})[:count]

    def _read(self, look: Look, pictures: Iterator[Frame], settings: Settings, stop: threading.Event) -> None:
        """Find and crop; what fills whole batches of a video is scored on the way."""
        try:
            for frame in pictures:
                if stop.is_set():
                    raise MediaError("stopped")
                with look.find:
                    self._find(look, frame, settings)
                look.frames += 1
                look.tell(Stage.LOOKING)
                while look.media.kind == "video" and len(look.crops) >= MAX_BATCH:
                    self._score([look], settings, at_most=MAX_BATCH)
        finally:
            if isinstance(pictures, Generator):
                pictures.close()

    def _find(self, look: Look, frame: Frame, settings: Settings) -> None:
        card, still = self.bundle.card, look.media.kind == "image"
        faces = self.finder.find(frame)
        if not faces and still:
            faces = find_close_up(self.finder, frame)
        if len(faces) > MAX_JUDGED:
            look.crowded += 1
            faces = sorted(faces, key=_area, reverse=True)[:MAX_JUDGED]
        if not still:
            look.glimpse(frame)
        shown = settings.explain and look.pictures.due()
        for face in faces:
            number = len(look.faces)
            crop = crop_face(frame.image, face, card.crop)
            quality = measure_quality(crop, face.box, frame.image.shape[:2])
            quality = replace(quality, unusable=card.gates.refuse(quality))
            look.faces.append(replace(face, quality=quality))
            if not still:
                look.keep_portrait(number, frame.image, face)
            if quality.unusable is not None:
                continue
            look.crops[number, ""] = crop
            if shown:
                look.shown[number] = crop
            if settings.stability:
                look.keep_patch(number, frame.image, face, card.crop)
        if settings.explain and faces:
            look.keep_picture(frame)

    def _score(self, looks: Sequence[Look], settings: Settings, at_most: int | None = None) -> None:
        """Score the waiting crops of these files together."""
        places = [(look, key) for look in looks for key in look.crops][:at_most]
        if not places:
            return
        clock = Clock()
        with clock:
            crops = [look.crops[key] for look, key in places]
            scored = self.bundle.score(crops, explain=settings.explain)
        for place, (look, key) in enumerate(places):
            if key[1] or self._familiar(look, key[0], None if scored.novelty is None else scored.novelty[place]):
                heatmap = None if scored.heatmaps is None else scored.heatmaps[place]
                look.results[key] = float(scored.logits[place]), heatmap
            look.score_s += clock.seconds / len(places)
            look.total_s += clock.seconds / len(places) if look.total_s else 0.0  # after the look, not during it
            del look.crops[key]
        for look in {id(look): look for look, _ in places if look.watch is not None}.values():
            self._tell(look, [key for other, key in places if other is look])

    def _tell(self, look: Look, keys: Sequence[Key]) -> None:
        """Whoever watches, of these scores."""
        scores = [(look.faces[n].time_s, self._probability(look, (n, ""))) for n, change in keys if not change]
        known = tuple((time, p) for time, p in scores if p is not None)
        look.tell(Stage.LOOKING if scores else Stage.CHECKING, known)

    def _familiar(self, look: Look, number: int, novelty: float | None) -> bool:
        """Write down how new the face is, and whether it may be judged."""
        face = look.faces[number]
        if novelty is None or face.quality is None:
            return True
        quality = replace(face.quality, novelty=float(novelty))
        quality = replace(quality, unusable=self.bundle.card.gates.refuse(quality))
        look.faces[number] = replace(face, quality=quality)
        return quality.unusable is None

    def _probability(self, look: Look, key: Key) -> float | None:
        found = look.results.get(key)
        return None if found is None else self.bundle.card.calibration.probability(found[0])

    def _scores(self, look: Look) -> list[Score]:
        """One for each face, in their order."""
        found = []
        for number, face in enumerate(look.faces):
            logit, heatmap = look.results.get((number, ""), (None, None))
            corners = None if heatmap is None else corners_of(landmarks_of(face), self.bundle.card.crop)
            found.append(Score(face, logit, self._probability(look, (number, "")), heatmap, corners))
        return found

    def _group(self, look: Look) -> list[tuple[Score, ...]]:
        scores = self._scores(look)
        if look.media.kind == "image":
            return group_people(scores)
        numbers = {id(score): number for number, score in enumerate(scores)}
        return group_people(scores, cuts=look.cuts(), likeness=look.likeness(numbers))

    def _segments(self, scores: Sequence[Score]) -> tuple[Segment, ...]:
        """Those that look fake enough to be called so."""
        fake = self.bundle.card.thresholds.fake
        return tuple(segment for segment in find_segments(scores) if segment.probability_fake >= fake)

    def _changed(self, look: Look, settings: Settings) -> dict[Key, Image]:
        """The crops of chosen faces after each change."""
        card, patches = self.bundle.card, look.patches.kept()
        place = {face: number for number, face in enumerate(look.faces)}
        look.tell(Stage.CHECKING)
        crops: dict[Key, Image] = {}
        tested = 0
        for person in self._group(look):
            segments = self._segments(person) if look.media.kind == "video" else ()
            p = judge_person(person, card.thresholds, look.media.frames_read, segments).probability_fake
            if p is None or not worth_testing(p, card.thresholds, however_sure=settings.explain):
                continue
            for number in choose_tested([place[score.face] for score in person if place[score.face] in patches]):
                crops |= {(number, name): crop for name, crop in varied(patches[number], card.crop).items()}
            tested += 1
            if tested == TESTED_PEOPLE:
                break
        return crops

    def _finish(self, waiting: Sequence[Look | Failure], settings: Settings) -> Iterator[Report | Failure]:
        self._conclude([look for look in waiting if isinstance(look, Look)], settings)
        for found in waiting:
            if isinstance(found, Failure):
                yield found
                continue
            try:
                result: Report | Failure = self._report(found, settings)
            except UnmaskError:
                raise
            except Exception as error:  # as in a look
                result = Failure(found.media.path, "internal", f"{type(error).__name__}: {error}")
            yield result

    def _conclude(self, looks: Sequence[Look], settings: Settings) -> None:
        """Score what waits, and what pictures are judged again by."""
        self._score(looks, settings)
        for look in looks:
            if settings.stability and look.media.kind == "image":
                before = look.evidence.seconds
                with look.evidence:
                    look.crops.update(self._changed(look, settings))
                look.total_s += look.evidence.seconds - before
        self._score(looks, settings)

    def _report(self, look: Look, settings: Settings) -> Report:
        before = look.evidence.seconds
        with look.evidence:
            people = self._judge(look, settings)
        after = look.evidence.seconds - before
        media, left_out = look.media, look.crowded > 0
        if left_out:
            note = (
                f"more than {MAX_JUDGED} faces in {look.crowded} of {media.frames_read} frames; the largest were judged"
            )
            media = replace(media, notes=(*media.notes, note))
        thresholds = self.bundle.card.thresholds
        verdict = judge_file(people, thresholds, truncated=media.read_share < 1, left_out=left_out)
        total = look.total_s + after
        return Report(
            media=media,
            verdict=verdict,
            people=people,
            model=self.bundle.id,
            provenance=look.provenance,
            settings=settings,
            contradictions=contradictions(look.provenance, verdict),
            pictures={n: data for n, (data, _) in look.pictures.kept().items()} if media.kind == "video" else {},
            timing_s=Timing(look.decode.seconds, look.find.seconds, look.score_s, total, look.evidence.seconds),
        )

    def _judge(self, look: Look, settings: Settings) -> tuple[Person, ...]:
        """The people of a file whose faces are all scored, with their evidence."""
        card, media = self.bundle.card, look.media
        place = {face: number for number, face in enumerate(look.faces)}
        video = media.kind == "video"
        step = (media.duration_s or 0.0) / max(media.frames_read, 1)
        people = []
        for number, scores in enumerate(self._group(look), start=1):
            segments = self._segments(scores) if video else ()
            verdict = judge_person(scores, card.thresholds, media.frames_read, segments)
            again = variants(look, [place[score.face] for score in scores], verdict, card)
            course = trace(scores, step) if video else ()
            people.append(Person(number, hold_against(verdict, again), scores, course, segments, again))
        if not settings.explain:
            return tuple(people)
        look.tell(Stage.EXPLAINING)
        return exhibit(people, look, place, self.bundle)


def load_detector(
    model: str = "default",
    *,
    faces: str = "yunet",
    engine: str = "onnxruntime",
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_duration_s: float | None = None,
    decode_threads: int = 0,
) -> Detector:
    """A detector. model: a shipped bundle's name or a file; faces: yunet, mtcnn, dlib or yunet=FILE; engine:
    onnxruntime or openvino; threads, decode_threads: for scoring and for decoding a video, 0 for all cores; max_pixels,
    max_duration_s: larger pictures and frames and longer videos are refused.

    Raises BundleError, FinderError or MissingExtraError.
    """
    _require_positive("max_pixels", max_pixels)
    bundle = load_bundle(model, threads=threads, engine=engine)
    finder = load_finder(faces)
    bounds: dict[str, Any] = {"max_pixels": max_pixels, "max_duration_s": max_duration_s}
    return Detector(bundle, finder, engine=engine, decode_threads=decode_threads, **bounds)


def _timed(items: Iterable[Frame], clock: Clock) -> Generator[Frame]:
    iterator = iter(items)
    while True:
        with clock:
            item = next(iterator, None)
        if item is None:
            return
        yield item


def _hold_back(frames: Generator[Frame], held: list[Frame], most: int) -> Generator[Frame]:
    """The frames but for one in HELD_SHARE, at most `most`, which go to `held`."""
    with closing(frames):
        for number, frame in enumerate(frames):
            if number % HELD_SHARE == HELD_SHARE // 2 and len(held) < most:
                held.append(frame)
            else:
                yield frame


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, but is {value}")
