"""The faces of one file: from its frames to the verdict on each person. The first analyzer."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from itertools import islice

from unmask.analysis.timeline import find_segments, trace
from unmask.analysis.tracking import group_people
from unmask.analysis.verdict import judge_person
from unmask.bundle import Scorer
from unmask.bundle.session import MAX_BATCH, has_two_parts
from unmask.detector.closer_looks import apply_closer_looks, plan_closer_looks
from unmask.detector.comparison import FaceComparison
from unmask.detector.coverage import frames_wanted
from unmask.detector.evidence import EvidenceStore, add_exhibits
from unmask.detector.extract import FaceExtractor
from unmask.detector.progress import ProgressReporter, Stage
from unmask.detector.rechecking import apply_recheck, plan_recheck
from unmask.detector.sampling import StridedSampler
from unmask.detector.scoring import (
    CropScore,
    ScoredCrops,
    Scoring,
    ScoringRequest,
    gate_by_novelty,
    to_score,
)
from unmask.detector.shots import ShotDetector
from unmask.faces import FaceFinder
from unmask.types import (
    Face,
    Finding,
    Frame,
    Image,
    Label,
    Media,
    Person,
    Score,
    Segment,
    Settings,
)

_POINTS_TO = {Label.FAKE: Label.FAKE, Label.REAL: Label.REAL}


KEPT_CROPS = 256
"""Crops of one file that are kept for a bundle's slow part at most, spread over it."""


class FaceAnalysis:
    """What was seen and scored of one file's faces so far.

    - score_s: seconds of work for the scores
    - crowded_frames: frames with more faces than are judged
    """

    def __init__(
        self,
        scorer: Scorer,
        finder: FaceFinder,
        settings: Settings,
        *,
        is_video: bool,
        progress: ProgressReporter,
    ) -> None:
        self._scorer = scorer
        self._card = scorer.card
        self._settings = settings
        self._is_video = is_video
        self._progress = progress
        self._extractor = FaceExtractor(finder, scorer.card)
        self._shots = ShotDetector()
        self._comparison = FaceComparison()
        self._faces: list[Face] = []  # a face's number is its place here
        self._waiting: dict[int, Image] = {}  # crops to be scored, by the face's number
        self._scores: dict[int, CropScore] = {}  # by the face's number
        # Of a bundle with a slow part: what the quick part says, and crops for the slow one.
        self._two_parts = has_two_parts(scorer)
        self._quick_scores: Mapping[int, CropScore] = self._scores
        self._crops: StridedSampler[Image] = StridedSampler(KEPT_CROPS, progress.frames_expected)
        self.evidence = EvidenceStore(scorer.card, settings, progress.frames_expected)
        self.score_s = 0.0
        self.crowded_frames = 0

    def see(self, frame: Frame) -> None:
        """Find the faces of a frame, cut them out, and keep what will be needed of them."""
        found = self._extractor.extract(
            frame, first_id=len(self._faces), may_be_close_up=not self._is_video
        )
        self.crowded_frames += found.left_out
        if self._is_video:
            # people are told apart only where there are several frames
            self._shots.add(frame)
            for face in found.faces:
                self._comparison.add(frame.image, face.face)
        for face in found.faces:
            self._faces.append(face.face)
            if face.usable:
                self._waiting[face.face.id] = face.crop
        self.evidence.add(frame, found)
        self._progress.faces = len(self._faces)

    def score_full_batches(self) -> Scoring:
        """Score what fills whole batches, so that a long video's crops do not pile up."""
        while len(self._waiting) >= MAX_BATCH:
            yield from self._score_waiting(MAX_BATCH)

    def score_all(self) -> Scoring:
        """Score all faces that wait."""
        if self._waiting:
            yield from self._score_waiting(len(self._waiting))

    def look_closer(self) -> Scoring:
        """Let the bundle's slow part, if it has one, see the best faces of each person."""
        if not self._two_parts:
            return
        crops = self._crops.kept()
        stretches = plan_closer_looks(self.group(), list(crops))
        numbers = [number for stretch in stretches for number in stretch.looked_at]
        if not numbers:
            return
        scored = yield self._request([crops[number] for number in numbers], quick=False)
        self.score_s += scored.seconds
        closer = dict(zip(numbers, scored.scores, strict=True))
        self._quick_scores = self._scores
        self._scores = apply_closer_looks(self._scores, stretches, closer)
        self._progress.enter(Stage.LOOKING)

    def group(self) -> list[tuple[Score, ...]]:
        """The faces seen so far, with their scores, by person."""
        scores = [to_score(face, self._scores.get(face.id), self._card) for face in self._faces]
        if not self._is_video:
            return group_people(scores)
        return group_people(
            scores, cuts=self._shots.cuts(), face_similarity=self._comparison.similarity
        )

    def judge(self, media: Media) -> tuple[Person, ...]:
        """The people of the file with their verdicts; all faces must be scored."""
        wanted = frames_wanted(media)
        step_s = (media.duration_s or 0.0) / max(media.frames_read, 1)
        people = []
        for number, scores in enumerate(self.group(), start=1):
            timeline = trace(scores, step_s) if self._is_video else ()
            segments = self._fake_segments(scores) if self._is_video else ()
            verdict = judge_person(scores, self._card.thresholds, wanted, segments)
            people.append(Person(number, verdict, scores, timeline, segments))
        return tuple(people)

    def recheck(
        self, people: tuple[Person, ...]
    ) -> Generator[ScoringRequest, ScoredCrops, tuple[Person, ...]]:
        """The people after their faces were perturbed and scored again."""
        self._progress.enter(Stage.CHECKING)
        plan = plan_recheck(
            people,
            self.evidence.patches(),
            self._card,
            however_sure=self._settings.explain,
        )
        after: dict[tuple[int, str], CropScore] = {}
        if plan.crops:
            scored = yield self._request(list(plan.crops.values()), quick=self._two_parts)
            self.score_s += scored.seconds
            after = dict(zip(plan.crops, scored.scores, strict=True))
            self._progress.enter(Stage.CHECKING)
        return apply_recheck(people, plan, self._quick_scores, after, self._card)

    def explain(self, people: tuple[Person, ...]) -> tuple[Person, ...]:
        """The people with exhibits: faces to look at, and tested heat maps."""
        self._progress.enter(Stage.EXPLAINING)
        return add_exhibits(people, self.evidence, self._scorer)

    def _score_waiting(self, count: int) -> Scoring:
        numbers = list(islice(self._waiting, count))
        crops = [self._waiting.pop(number) for number in numbers]
        scored = yield self._request(crops, quick=self._two_parts)
        self.score_s += scored.seconds
        for number, crop, crop_score in zip(numbers, crops, scored.scores, strict=True):
            face = gate_by_novelty(self._faces[number], crop_score.novelty, self._card)
            self._faces[number] = face
            if face.quality is None or face.quality.unusable is None:
                self._scores[number] = crop_score
                if self._two_parts:
                    self._crops.add(number, crop)
        just_scored = [
            to_score(self._faces[number], self._scores.get(number), self._card)
            for number in numbers
        ]
        self._progress.enter(Stage.LOOKING, just_scored)

    def _request(self, crops: Sequence[Image], *, quick: bool) -> ScoringRequest:
        # a picture's faces are few: they are scored together with other pictures'
        return ScoringRequest(crops, may_wait=not self._is_video, quick=quick, video=self._is_video)

    def _fake_segments(self, scores: Sequence[Score]) -> tuple[Segment, ...]:
        """The segments that look fake enough to be called so.

        One that is the whole appearance of the person is a mean over all of it, so the threshold
        for that holds: a clip that is called fake throughout has that one segment.
        """
        judged = sum(score.probability_fake is not None for score in scores)
        of_part = self._card.thresholds.of_part(judged).fake
        overall = self._card.thresholds.over(judged).fake
        return tuple(
            segment
            for segment in find_segments(scores)
            if segment.probability_fake >= (of_part if segment.share < 1 else overall)
        )


def face_findings(people: Sequence[Person]) -> tuple[Finding, ...]:
    """A finding for each person: what their verdict says."""
    return tuple(
        Finding(
            analyzer="faces",
            code=person.verdict.label.value,
            summary=f"person {person.id}: {person.verdict.label.value.replace('_', ' ')}",
            points_to=_POINTS_TO.get(person.verdict.label),
            probability_fake=person.verdict.probability_fake,
        )
        for person in people
    )
