"""`Detector` judges files, for the command line, the evaluation, the server and the archive."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice

from unmask._internal.concurrency import one_opencv_thread, ordered_map
from unmask._internal.cores import cores
from unmask.analysis.base import Analyzer
from unmask.bundle import Scorer, load_scorer
from unmask.bundle.session import MAX_BATCH
from unmask.detector.further import installed_analyzers
from unmask.detector.progress import OnProgress, Progress
from unmask.detector.scan import Tools, scan_place
from unmask.detector.scoring import PausedScan, run_alone, score_together
from unmask.errors import MediaError, UnmaskError
from unmask.faces import FaceFinder, find_main_face, load_finder
from unmask.faces.alignment import crop_face
from unmask.media import DEFAULT_MAX_PIXELS
from unmask.media.links import LinkLimits
from unmask.types import Failure, Image, Report, Settings

DEFAULT_FRAMES = 32


class Detector:
    """Judges pictures and videos with one bundle and one face finder.

    Safe to call from several threads.
    """

    def __init__(
        self,
        bundle: Scorer,
        finder: FaceFinder,
        *,
        engine: str = "onnxruntime",
        analyzers: Sequence[Analyzer] = (),
        max_pixels: int = DEFAULT_MAX_PIXELS,
        max_duration_s: float | None = None,
        decode_threads: int = 0,
    ) -> None:
        """Put together what scans work with.

        - engine: what runs the bundle, for the report
        - analyzers: kinds of evidence besides faces and provenance
        - max_pixels: larger pictures and frames are refused
        - max_duration_s: longer videos are refused; None for no bound
        - decode_threads: for a video; 0 for all cores
        """
        self.bundle = bundle
        self.finder = finder
        self._engine = engine
        self._tools = Tools(
            bundle, finder, analyzers, max_pixels, max_duration_s, decode_threads, LinkLimits()
        )

    def scan(
        self,
        path: str | os.PathLike[str],
        *,
        frames: int | None = None,
        explain: bool = False,
        stability: bool = True,
        on_progress: OnProgress | None = None,
    ) -> Report:
        """Judge one picture or video.

        - path: of the file, or a link to it (https://…), which is fetched
        - frames: how many to look at in a video, at most; None: 32, and more in one of over five
          minutes (`unmask.detector.sampling.looks_at`)
        - explain: keep the heat maps, and exhibits with tested ones
        - stability: judge again with perturbed pictures
        - on_progress: is told of each step, and what it raises ends the scan

        Raises a MediaError where the file cannot be judged.
        """
        settings = self._settings(frames, explain, stability)
        steps = scan_place(
            path, self._tools, settings, stop=threading.Event(), on_progress=on_progress
        )
        return run_alone(PausedScan(steps), self.bundle, explain=explain)

    def scan_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        frames: int | None = None,
        explain: bool = False,
        stability: bool = True,
        jobs: int | None = None,
        on_progress: Callable[[str, Progress], None] | None = None,
    ) -> Iterator[Report | Failure]:
        """Judge many files, in order; one that cannot be judged is a Failure.

        - paths, frames: as in `scan`
        - jobs: how many files at a time; None: one a core
        - on_progress: is told of each step of each file, in the thread that takes it

        Faces of several pictures are scored together. Closing the iterator stops at the next frame.
        """
        settings = self._settings(frames, explain, stability)
        _require_positive("jobs", jobs if jobs is not None else 1)
        jobs = cores(jobs)
        stop = threading.Event()

        def begin(path: str | os.PathLike[str]) -> PausedScan | Report | Failure:
            """Run a video to its end, and a picture until its faces can be scored."""
            try:
                told = None if on_progress is None else partial(on_progress, os.fspath(path))
                steps = scan_place(path, self._tools, settings, stop=stop, on_progress=told)
                scan = PausedScan(steps)
                if scan.request is not None and scan.request.may_wait:
                    return scan
                return run_alone(scan, self.bundle, explain=explain)
            except MediaError as error:
                return Failure(os.fspath(path), error.kind, str(error))
            except UnmaskError:
                raise  # not the file's fault
            except Exception as error:
                # whatever a hostile file sets off must not cost the other files their verdicts
                return _internal_failure(os.fspath(path), error)

        waiting: list[tuple[str, PausedScan | Report | Failure]] = []
        ahead = 2 * MAX_BATCH if jobs > 1 else 1
        try:
            with (
                one_opencv_thread(jobs > 1),
                closing(ordered_map(lambda path: (path, begin(path)), paths, jobs, ahead)) as begun,
            ):
                for path, scan in begun:
                    waiting.append((os.fspath(path), scan))
                    ended_video = isinstance(scan, Report) and scan.media.kind == "video"
                    if len(waiting) >= MAX_BATCH or ended_video:
                        yield from self._finish(waiting, explain=explain)
                        waiting.clear()
                yield from self._finish(waiting, explain=explain)
        finally:
            stop.set()

    def score_crops(self, images: Iterable[Image], *, jobs: int | None = None) -> Iterator[float]:
        """The probability of fake of each picture that is a face crop already, in order.

        The face in it is looked for and cut out as the card says, as in a scan; where none is found
        the whole picture is taken. No face is refused for its quality: whoever hands in crops wants
        each of them judged.
        """
        spec = self.bundle.card.crop
        calibration = self.bundle.card.calibration

        def cut(image: Image) -> Image:
            face = find_main_face(self.finder, image)
            return spec.fit(image) if face is None else crop_face(image, face, spec)

        jobs = cores(jobs)
        with closing(ordered_map(cut, images, jobs, ahead=2 * MAX_BATCH)) as crops:
            while batch := list(islice(crops, MAX_BATCH)):
                for probability in calibration.probabilities(self.bundle.score(batch).logits):
                    yield float(probability)

    def _settings(self, frames: int | None, explain: bool, stability: bool) -> Settings:
        most = DEFAULT_FRAMES if frames is None else frames
        _require_positive("frames", most)
        by_length = frames is None
        return Settings(most, self.finder.name, self._engine, stability, explain, by_length)

    def _finish(
        self, begun: Sequence[tuple[str, PausedScan | Report | Failure]], *, explain: bool
    ) -> Iterator[Report | Failure]:
        """The results of these files, in their order.

        Paused scans are scored together until all have ended.
        """
        results: dict[int, Report | Failure] = {}
        paused: dict[int, PausedScan] = {}
        for place, (_, scan) in enumerate(begun):
            if isinstance(scan, PausedScan):
                paused[place] = scan
            else:
                results[place] = scan
        while paused:
            requests = [scan.request for scan in paused.values() if scan.request is not None]
            answers = score_together(self.bundle, requests, explain=explain)
            for (place, scan), answer in zip(list(paused.items()), answers, strict=True):
                try:
                    scan.resume(answer)
                except UnmaskError:
                    raise
                except Exception as error:  # as in the beginning of a scan
                    results[place] = _internal_failure(begun[place][0], error)
                if scan.report is not None:
                    results[place] = scan.report
                if place in results:
                    del paused[place]
        for place in range(len(begun)):
            yield results[place]


def load_detector(
    model: str = "default",
    *,
    faces: str = "yunet",
    engine: str = "onnxruntime",
    threads: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_duration_s: float | None = None,
    decode_threads: int = 0,
    device: str = "cpu",
) -> Detector:
    """A detector.

    - model: a shipped bundle's name, a file, or the name of an installed detector
    - faces: yunet, mtcnn, dlib, yunet=FILE, or the name of an installed finder
    - engine: onnxruntime or openvino
    - threads, decode_threads: for scoring and for decoding a video, 0 for all cores
    - max_pixels, max_duration_s: larger pictures and frames and longer videos are refused
    - device: where the bundle runs: cpu, cuda, or auto (a GPU where there is one)

    Raises BundleError, DeviceError, FinderError, MissingExtraError or PluginError.
    """
    _require_positive("max_pixels", max_pixels)
    return Detector(
        load_scorer(model, threads=threads, engine=engine, device=device),
        load_finder(faces),
        engine=engine,
        analyzers=installed_analyzers(),
        max_pixels=max_pixels,
        max_duration_s=max_duration_s,
        decode_threads=decode_threads,
    )


def _internal_failure(path: str, error: Exception) -> Failure:
    return Failure(path, "internal", f"{type(error).__name__}: {error}")


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, but is {value}")
