"""The one path from a file to a report, from top to bottom."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from unmask._internal.concurrency import Clock, prefetch
from unmask.analysis.base import Analyzer
from unmask.analysis.verdict import judge_file
from unmask.bundle import Scorer
from unmask.detector.coverage import with_coverage
from unmask.detector.face_analysis import FaceAnalysis, face_findings
from unmask.detector.further import FurtherAnalyses
from unmask.detector.progress import OnProgress, ProgressReporter, Stage
from unmask.detector.sampling import (
    held_back_at_most,
    hold_back,
    longest_gap,
    looks_at,
    where_to_look_again,
)
from unmask.detector.scoring import ScanSteps, Scoring
from unmask.errors import MediaError, TooLongError
from unmask.faces import FaceFinder
from unmask.media import OpenMedia, open_media
from unmask.media.links import LinkLimits, fetched_file, is_link
from unmask.provenance import ProvenanceAnalysis, contradictions
from unmask.types import Frame, Media, Report, Settings, Timing

AHEAD = 3
"""Frames of a video that are decoded ahead of the finder."""

WAITING_BYTES = 120_000_000
"""Of frames that wait in memory ahead of the finder, and of those held back: one of 8K, which takes
100 MB, or four of 4K."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What scans work with, and how large a file may be.

    - analyzers: kinds of evidence besides faces and provenance
    - max_pixels: of a picture or frame
    - max_duration_s: of a video; None for no bound
    - decode_threads: for a video; 0 for all cores
    - links: what fetching a file by its link may take
    """

    scorer: Scorer
    finder: FaceFinder
    analyzers: Sequence[Analyzer]
    max_pixels: int
    max_duration_s: float | None
    decode_threads: int
    links: LinkLimits


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds of work on one file, stage by stage."""

    decode: Clock = field(default_factory=Clock)
    find: Clock = field(default_factory=Clock)
    evidence: Clock = field(default_factory=Clock)


def scan_place(
    place: str | os.PathLike[str],
    tools: Tools,
    settings: Settings,
    *,
    stop: threading.Event,
    on_progress: OnProgress | None = None,
) -> ScanSteps:
    """As `scan_file`, of a file or of what a link leads to; that is deleted at the end."""
    link = os.fspath(place)
    if not is_link(link):
        return (
            yield from scan_file(Path(place), tools, settings, stop=stop, on_progress=on_progress)
        )
    with fetched_file(link, tools.links) as (path, fetched):
        report = yield from scan_file(path, tools, settings, stop=stop, on_progress=on_progress)
    return replace(report, media=replace(report.media, path=path.name, fetched=fetched))


def scan_file(
    path: Path,
    tools: Tools,
    settings: Settings,
    *,
    stop: threading.Event,
    on_progress: OnProgress | None = None,
) -> ScanSteps:
    """From a file to its report; pauses where crops are to be scored.

    - stop: once set, the scan ends at the next frame

    The report's `timing_s.total` is left to whoever runs the scan and knows how long it was paused.
    Raises a MediaError where the file cannot be judged.
    """
    clocks = Clocks()
    progress = ProgressReporter(on_progress)
    progress.enter(Stage.OPENING)

    # 1. Open the file: is it a picture or a video, and is it small enough?
    with clocks.decode:
        source = open_media(path, max_pixels=tools.max_pixels, threads=tools.decode_threads)
    with source:
        _check_duration(source.media, tools.max_duration_s)
        is_video = source.media.kind == "video"
        looks = looks_at(source.media.duration_s, settings)
        progress.frames_expected = looks if is_video else 1

        # 2. Look at its frames: faces are found and cut out, and the other analyzers see them too.
        #    A video's faces are scored on the way, for their scores say where to look again. A
        #    picture's wait until the file is closed: they may be scored with other pictures'.
        faces = FaceAnalysis(
            tools.scorer, tools.finder, settings, is_video=is_video, progress=progress
        )
        with clocks.evidence:
            provenance = ProvenanceAnalysis(path, source.tags, is_video=is_video)
            further = FurtherAnalyses(tools.analyzers, path, source)
        viewing = Viewing(faces, provenance, further, clocks, progress, stop)
        if is_video:
            yield from _look_at_video(source, viewing, looks)
        else:
            _look_at_picture(source, viewing)
        media = replace(source.media, frames_read=progress.frames)
        if media.duration_s is not None:
            gap_s = longest_gap(viewing.times_s, media.duration_s)
            media = replace(media, longest_gap_s=gap_s)

    # 3. Score the faces that still wait; a bundle's slow part sees the best few of each person.
    yield from faces.score_all()
    yield from faces.look_closer()

    # 4. Tell people apart, and judge each.
    with clocks.evidence:
        people = faces.judge(media)

    # 5. Judge them again with perturbed pictures: a verdict that changes becomes inconclusive.
    if settings.stability:
        people = yield from faces.recheck(people)

    # 6. Choose what to show.
    if settings.explain:
        with clocks.evidence:
            people = faces.explain(people)

    # 7. Judge the file, and put all of it together.
    media = with_coverage(media, crowded_frames=faces.crowded_frames)
    unseen = [one.part for one in media.unseen]
    verdict = judge_file(people, tools.scorer.card.thresholds, unseen=unseen)
    pictures = faces.evidence.pictures() if is_video else {}
    return Report(
        media=media,
        verdict=verdict,
        people=people,
        model=tools.scorer.id,
        provenance=provenance.found,
        settings=settings,
        contradictions=contradictions(provenance.found, verdict),
        findings=(*face_findings(people), *provenance.findings(), *further.findings()),
        timing_s=Timing(
            decode=clocks.decode.seconds,
            find=clocks.find.seconds,
            score=faces.score_s,
            evidence=clocks.evidence.seconds,
        ),
        pictures={number: picture.data for number, picture in pictures.items()},
    )


@dataclass(frozen=True, slots=True)
class Viewing:
    """Shows each frame to everybody who looks at frames.

    - times_s: of the frames so far
    """

    faces: FaceAnalysis
    provenance: ProvenanceAnalysis
    further: FurtherAnalyses
    clocks: Clocks
    progress: ProgressReporter
    stop: threading.Event
    times_s: list[float] = field(default_factory=list)

    def see(self, frame: Frame) -> None:
        """Look at one frame. Raises MediaError where the scan is to stop."""
        if self.stop.is_set():
            raise MediaError("stopped")
        with self.clocks.evidence:
            self.provenance.see(frame)
            self.further.see(frame)
        with self.clocks.find:
            self.faces.see(frame)
        self.times_s.append(frame.time_s)
        self.progress.frames += 1
        self.progress.enter(Stage.LOOKING)

    def see_and_score(self, frames: Generator[Frame]) -> Scoring:
        """Look at frames, and score their faces batch by batch."""
        with closing(frames):
            for frame in frames:
                self.see(frame)
                yield from self.faces.score_full_batches()


def _look_at_picture(source: OpenMedia, viewing: Viewing) -> None:
    frames = source.frames(1)
    with viewing.clocks.decode:
        frame = next(frames, None)
    if frame is not None:
        viewing.see(frame)


def _look_at_video(source: OpenMedia, viewing: Viewing, looks: int) -> Scoring:
    """Look at evenly spaced frames, then at some around the moments where the score changes."""
    decode = viewing.clocks.decode
    held: list[Frame] = []
    at_hand = _frames_at_hand(source.media)
    evenly = prefetch(source.frames(looks), decode, depth=min(AHEAD, at_hand))
    # one place at least belongs to the frame that waits for the finder
    most_held = min(held_back_at_most(looks), at_hand - 1)
    yield from viewing.see_and_score(hold_back(evenly, held, most_held))
    yield from viewing.faces.score_all()

    with viewing.clocks.evidence:
        times_s = where_to_look_again(viewing.faces.group(), len(held))
    if times_s:
        before = viewing.progress.frames
        again = prefetch(source.frames_at(times_s), decode, depth=min(AHEAD, at_hand))
        yield from viewing.see_and_score(again)
        # each frame around a change takes the turn of one that was held back
        del held[: viewing.progress.frames - before]
    yield from viewing.see_and_score(held.pop(0) for _ in range(len(held)))
    yield from viewing.faces.score_all()


def _frames_at_hand(media: Media) -> int:
    """How many frames may wait in memory: at least one."""
    frame_bytes = max(1, 3 * media.width * media.height)
    return max(1, WAITING_BYTES // frame_bytes)


def _check_duration(media: Media, most_s: float | None) -> None:
    duration_s = media.duration_s
    if most_s is not None and duration_s is not None and duration_s > most_s:
        raise TooLongError(
            f"a video of {duration_s:.0f} s, more than the {most_s:g} s that are allowed"
        )
