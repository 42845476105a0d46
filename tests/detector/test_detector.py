from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.clips import write_video
from unmask._internal import jpeg
from unmask.bundle.card import ClipThresholds, parse_card
from unmask.bundle.session import Scored
from unmask.detector import MAX_JUDGED, Detector, Progress, Stage, load_detector
from unmask.detector.sampling import looks_at
from unmask.errors import MissingFileError, TooLongError, UnmaskError
from unmask.report.json import to_json
from unmask.report.phrases import headline
from unmask.testing import FakeFinder, FakeScorer, example_card
from unmask.types import Face, Failure, Frame, Label, Pointing, Reason, Report, Settings


def flat(value: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def detector(*boxes: tuple[float, float, float, float], **card: object) -> Detector:
    return Detector(FakeScorer(parse_card(example_card(**card))), FakeFinder(*boxes))


BOX = (20.0, 20.0, 100.0, 100.0)


def save(path: Path, value: int) -> Path:
    Image.fromarray(flat(value)).save(path)
    return path


@pytest.mark.parametrize(
    ("value", "label"), [(255, Label.FAKE), (0, Label.REAL), (128, Label.INCONCLUSIVE)]
)
def test_a_picture(tmp_path: Path, value: int, label: Label) -> None:
    report = detector(BOX).scan(save(tmp_path / "a.png", value))
    assert report.verdict.label is label
    assert report.media.frames_read == 1
    (person,) = report.people
    (score,) = person.scores
    assert score.logit == pytest.approx((value - 128) / 16)
    assert score.heatmap is None
    assert score.face.quality is not None
    assert score.face.quality.brightness == pytest.approx(value)
    assert report.timing_s.total > 0


def test_polarity_from_the_graph_to_the_verdict(tmp_path: Path) -> None:
    """White is fake for this scorer: the probability of fake must rise with brightness all the way
    through."""
    found = [
        detector(BOX).scan(save(tmp_path / f"{v}.png", v)).verdict.probability_fake
        for v in (60, 100, 140, 180)
    ]
    assert None not in found
    assert found == sorted(found)  # type: ignore[type-var]
    assert found[0] < 0.5 < found[-1]  # type: ignore[operator]


def test_explain_keeps_the_heat_maps(tmp_path: Path) -> None:
    report = detector(BOX).scan(save(tmp_path / "a.png", 200), explain=True)
    heatmap = report.people[0].scores[0].heatmap
    assert heatmap is not None
    assert heatmap.mean() == pytest.approx(report.people[0].scores[0].logit)


def test_a_video_of_two_people(tmp_path: Path) -> None:
    frames = []
    for _ in range(40):
        image = flat(0)
        image[:, 80:] = 255
        frames.append(image)
    clip = write_video(tmp_path / "clip.mp4", frames)
    report = detector((10, 30, 60, 90), (100, 30, 150, 90)).scan(clip, frames=20)
    assert [len(person.scores) for person in report.people] == [20, 20]
    assert {person.verdict.label for person in report.people} == {Label.REAL, Label.FAKE}
    assert report.verdict.label is Label.FAKE
    assert report.verdict.probability_fake == pytest.approx(0.999, abs=0.001)
    assert report.media.frames_read == 20
    times = [score.face.time_s for score in report.people[0].scores]
    assert times == sorted(times)
    assert times[-1] > 1.2


def test_no_face(tmp_path: Path) -> None:
    report = detector().scan(save(tmp_path / "a.png", 255))
    assert report.verdict.label is Label.NOT_APPLICABLE
    assert report.verdict.probability_fake is None
    assert report.verdict.reasons == (Reason.NO_FACE,)


@pytest.mark.parametrize(
    ("gates", "value", "reason"),
    [
        ({"min_size_px": 81}, 100, Reason.FACE_TOO_SMALL),
        ({"min_brightness": 30}, 20, Reason.FACE_TOO_DARK),
        ({"max_brightness": 240}, 250, Reason.FACE_TOO_BRIGHT),
        ({"min_sharpness": 5}, 100, Reason.FACE_TOO_BLURRED),
    ],
)
def test_a_face_that_cannot_be_judged_gets_no_probability(
    tmp_path: Path, gates: dict[str, float], value: int, reason: Reason
) -> None:
    card = example_card()
    report = detector(BOX, gates={**card["gates"], **gates}).scan(save(tmp_path / "a.png", value))
    assert report.verdict.label is Label.NOT_APPLICABLE
    assert report.verdict.probability_fake is None
    assert report.verdict.reasons == (reason,)
    (score,) = report.people[0].scores
    assert (score.logit, score.probability_fake) == (None, None)


def test_a_face_unlike_the_training_faces_is_not_guessed_at(tmp_path: Path) -> None:
    class Told(FakeScorer):
        def score(self, crops: Sequence[np.ndarray], *, explain: bool = False) -> Scored:
            scored = super().score(crops, explain=explain)
            return scored._replace(
                novelty=np.array([1.4 if crop.mean() > 200 else 0.5 for crop in crops], np.float32)
            )

    gates = {**example_card()["gates"], "max_novelty": 1.0}
    card = parse_card(example_card(gates=gates))
    judge = Detector(Told(card), FakeFinder(BOX))
    strange = judge.scan(save(tmp_path / "a.png", 250))
    assert (strange.verdict.label, strange.verdict.reasons) == (
        Label.INCONCLUSIVE,
        (Reason.FACE_UNFAMILIAR,),
    )
    (score,) = strange.people[0].scores
    assert (score.logit, score.probability_fake) == (None, None)
    assert score.face.quality is not None
    assert score.face.quality.novelty == pytest.approx(1.4)
    known = judge.scan(save(tmp_path / "b.png", 10))
    assert known.verdict.label is Label.REAL
    assert known.people[0].scores[0].face.quality.novelty == pytest.approx(0.5)  # type: ignore[union-attr]


def test_a_face_cut_by_the_border(tmp_path: Path) -> None:
    gates = {**example_card()["gates"], "min_inside": 0.6}
    report = detector((-60, 20, 20, 100), gates=gates).scan(save(tmp_path / "a.png", 100))
    assert report.verdict.reasons == (Reason.FACE_CUT_OFF,)


def test_many_files_keep_their_order_and_lose_nothing(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n:02}.png", 5 * n) for n in range(50)]
    (tmp_path / "07.png").write_text("no picture")
    (tmp_path / "30.png").write_bytes(b"")
    paths.insert(20, tmp_path / "none.png")
    results = list(detector(BOX).scan_many(paths, jobs=3))
    assert len(results) == 51
    failures = {i: r.kind for i, r in enumerate(results) if isinstance(r, Failure)}
    assert failures == {7: "unknown_format", 20: "missing", 31: "empty"}
    for path, result in zip(paths, results, strict=True):
        assert str(path) == (result.path if isinstance(result, Failure) else result.media.path)
        if isinstance(result, Report):
            assert result.people[0].scores[0].logit == pytest.approx(
                (5 * int(path.stem) - 128) / 16
            )


def test_many_gives_the_same_as_one(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n}.png", 25 * n) for n in range(10)]
    paths.append(write_video(tmp_path / "clip.mp4", [flat(6 * n) for n in range(40)]))
    judge = detector(BOX)
    for one, many in zip(
        (judge.scan(path, frames=24) for path in paths),
        judge.scan_many(paths, frames=24),
        strict=True,
    ):
        assert isinstance(many, Report)
        assert one.verdict == many.verdict
        assert [s.logit for p in one.people for s in p.scores] == [
            s.logit for p in many.people for s in p.scores
        ]


def test_a_fault_of_ours_in_one_file_costs_only_that_file(tmp_path: Path) -> None:
    class Fragile(FakeFinder):
        def find(self, frame: Frame) -> list[Face]:
            if frame.image[0, 0, 0] == 50:
                raise ZeroDivisionError("surprise")
            return super().find(frame)

    paths = [save(tmp_path / f"{v}.png", v) for v in (10, 50, 90)]
    results = list(Detector(FakeScorer(), Fragile(BOX)).scan_many(paths))
    assert [isinstance(r, Failure) for r in results] == [False, True, False]
    assert results[1] == Failure(str(paths[1]), "internal", "ZeroDivisionError: surprise")


def test_an_error_that_is_no_files_fault_stops_the_call(tmp_path: Path) -> None:
    class Broken(FakeFinder):
        def find(self, frame: Frame) -> list[Face]:
            raise UnmaskError("the finder's model is gone")

    with pytest.raises(UnmaskError, match="gone"):
        list(Detector(FakeScorer(), Broken(BOX)).scan_many([save(tmp_path / "a.png", 1)]))


def test_one_file_raises(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        detector().scan(tmp_path / "none.jpg")


@pytest.mark.parametrize("frames", [0, -1])
def test_frames_must_be_positive(tmp_path: Path, frames: int) -> None:
    with pytest.raises(ValueError, match="frames must be at least 1"):
        detector().scan(save(tmp_path / "a.png", 1), frames=frames)


def test_frames_are_never_all_in_memory(tmp_path: Path) -> None:
    """The finder sees frame k while at most a few later ones are decoded: their arrays are freed as
    we go."""
    import weakref

    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    class Counting(FakeFinder):
        def find(self, frame: Frame) -> list[Face]:
            nonlocal most
            alive.append(weakref.ref(frame.image))
            most = max(most, sum(ref() is not None for ref in alive))
            return super().find(frame)

    clip = write_video(tmp_path / "clip.mp4", 100)
    Detector(FakeScorer(), Counting(BOX)).scan(clip, frames=100)
    assert len(alive) == 100
    assert most <= 3


def test_with_a_real_bundle_and_finder(tiny_bundle: Path, demo: Path) -> None:
    report = load_detector(str(tiny_bundle)).scan(demo / "2-generated.jpg", explain=True)
    (person,) = report.people
    (score,) = person.scores
    assert score.heatmap is not None
    assert score.heatmap.shape == (4, 4)
    assert report.model.name == "example"
    assert len(report.model.sha256) == 64
    clip = load_detector(str(tiny_bundle)).scan(demo / "5-generated.mp4", frames=8)
    assert len(clip.people) == 1
    assert len(clip.people[0].scores) == 8


def test_crops_are_scored_whether_a_face_is_found_or_not(tiny_bundle: Path, demo: Path) -> None:
    images = [np.array(Image.open(demo / "2-generated.jpg")), flat(0), flat(255)]
    found = list(load_detector(str(tiny_bundle)).score_crops(images))
    assert len(found) == 3
    assert found[1] == pytest.approx(1 / (1 + np.exp(8)), rel=1e-3)  # black: logit -8
    assert found[2] > 0.99


# evidence


class Mood(FakeScorer):
    """As FakeScorer, but softer: the logit is (mean - 128) / 32, so that grey tones are between
    real and fake."""

    def score(self, crops: Sequence[np.ndarray], *, explain: bool = False) -> Scored:
        plain = super().score(crops, explain=explain)
        return Scored(plain.logits / 2, plain.heatmaps, None)


def toned(values: Sequence[int], size: tuple[int, int] = (120, 160)) -> list[np.ndarray]:
    """Frames with a fixed pattern, so that no cut is seen, and a face of this brightness in its
    middle."""
    background = np.zeros((*size, 3), np.uint8)
    background[:, ::2] = 60
    frames = []
    for value in values:
        image = background.copy()
        image[10:110, 10:110] = value
        frames.append(image)
    return frames


def test_fake_from_second_3_to_6(tmp_path: Path) -> None:
    values = [30] * 90 + [230] * 90 + [30] * 120  # 30 frames a second
    clip = write_video(tmp_path / "clip.mp4", toned(values))
    report = detector(BOX).scan(clip, frames=32)
    (person,) = report.people
    (segment,) = person.segments
    step = 10 / 32
    assert abs(segment.start_s - 3) <= step
    assert abs(segment.end_s - 6) <= step
    assert abs(segment.start_s - 3) <= segment.within_s + 1 / 30
    assert abs(segment.end_s - 6) <= segment.within_s + 1 / 30
    assert segment.within_s < step / 2  # denser where the score changes
    assert report.media.frames_read == 32  # and no more frames than asked for
    assert report.verdict.label is Label.FAKE
    assert report.verdict.reasons == (Reason.FAKE_SEGMENT,)


def test_a_clip_that_is_fake_throughout_has_one_segment(tmp_path: Path) -> None:
    # enough for a whole clip, but not for a part of one, which is asked for a single face's
    card = parse_card(example_card())
    for_clips = ClipThresholds(min_faces=8, fake=0.7, real=0.1)
    card = replace(card, thresholds=replace(card.thresholds, fake=0.97, clip=for_clips))
    clip = write_video(tmp_path / "clip.mp4", toned([190] * 60))
    report = Detector(Mood(card), FakeFinder(BOX)).scan(clip, frames=16)
    (person,) = report.people
    (segment,) = person.segments
    assert 0.7 < segment.probability_fake < 0.97
    assert segment.share == 1
    assert report.verdict.label is Label.FAKE


def test_a_clip_without_segments_is_looked_at_evenly(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", toned([30] * 300))
    (person,) = detector(BOX).scan(clip, frames=32).people
    assert person.segments == ()
    gaps = np.diff([score.face.time_s for score in person.scores])
    assert len(gaps) == 31
    assert gaps.max() - gaps.min() <= 1 / 30 + 1e-6
    assert len(person.timeline) == 32


def test_a_verdict_that_mild_changes_undo_is_none(tmp_path: Path) -> None:
    class Fragile(FakeScorer):
        """Fake as long as the finest detail is there."""

        def score(self, crops: Sequence[np.ndarray], *, explain: bool = False) -> Scored:
            fine = [np.abs(np.diff(crop[..., 1].astype(float), axis=1)).mean() for crop in crops]
            return Scored(
                np.array([3.0 if value > 60 else -3.0 for value in fine], np.float32), None, None
            )

    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    judge = Detector(Fragile(), FakeFinder((4.0, 4.0, 36.0, 36.0)))
    report = judge.scan(tmp_path / "a.png")
    assert report.verdict.label is Label.INCONCLUSIVE
    assert report.verdict.reasons[0] is Reason.UNSTABLE
    assert len(report.people[0].stability) == 5
    plain = judge.scan(tmp_path / "a.png", stability=False)
    assert plain.verdict.label is Label.FAKE
    assert plain.people[0].stability == ()


def test_a_verdict_that_holds_says_so_in_a_clip_too(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", toned([230] * 60))
    report = detector(BOX).scan(clip, frames=8, explain=True)
    assert report.verdict.label is Label.FAKE
    assert {variant.label for variant in report.people[0].stability} == {Label.FAKE}


def test_a_verdict_far_from_its_threshold_is_left_alone_unless_evidence_is_asked_for(
    tmp_path: Path,
) -> None:
    clip = write_video(tmp_path / "clip.mp4", toned([230] * 60))
    assert detector(BOX).scan(clip, frames=8).people[0].stability == ()
    picture = save(tmp_path / "a.png", 255)
    assert detector(BOX).scan(picture).people[0].stability == ()
    assert len(detector(BOX).scan(picture, explain=True).people[0].stability) == 5


def test_exhibits(tmp_path: Path) -> None:
    values = np.linspace(150, 250, 60).astype(int).tolist()
    report = Detector(Mood(), FakeFinder(BOX)).scan(
        write_video(tmp_path / "clip.mp4", toned(values)), explain=True
    )
    (person,) = report.people
    assert [exhibit.role for exhibit in person.exhibits] == ["strongest", "middle", "weakest"]
    chances = [exhibit.score.probability_fake for exhibit in person.exhibits]
    assert chances == sorted(chances, reverse=True)  # type: ignore[type-var]
    for exhibit in person.exhibits:
        assert exhibit.crop.shape == (32, 32, 3)
        assert exhibit.picture is not None
        assert exhibit.corners is not None
        assert exhibit.corners == pytest.approx(
            np.array([[20, 20], [100, 20], [100, 100], [20, 100]]), abs=8
        )
    assert person.exhibits[0].faithfulness is not None
    assert person.exhibits[0].faithfulness.trials == 19
    assert person.exhibits[0].pointing is None  # nothing is known of this bundle's maps
    assert detector(BOX).scan(tmp_path / "clip.mp4").people[0].exhibits == ()


def test_what_is_known_of_the_maps_goes_with_fakes_alone(tmp_path: Path) -> None:
    parts = {"faces": 200, "pointing": 0.8, "middle": 0.5, "p": 1e-6}
    mood = Mood(parse_card(example_card(heatmaps={"parts": parts})))
    for name, tone, known in (("fake", 220, Pointing(200, 0.8, 0.5)), ("real", 60, None)):
        picture = save(tmp_path / f"{name}.png", tone)
        report = Detector(mood, FakeFinder(BOX)).scan(picture, explain=True)
        (exhibit,) = report.people[0].exhibits
        assert exhibit.faithfulness is not None
        assert exhibit.pointing == known
        assert exhibit.map_shown or known is None
        (tree,) = to_json(report)["people"][0]["exhibits"]
        assert tree.get("heatmap_pointing") == (
            {"faces": 200, "rate": 0.8, "middle": 0.5} if known else None
        )


def test_fifty_faces_in_a_frame_are_bounded_and_said(tmp_path: Path) -> None:
    boxes = [
        (20.0 * (n % 10), 24.0 * (n // 10), 20.0 * (n % 10) + 14 + n / 10, 24.0 * (n // 10) + 18)
        for n in range(50)
    ]
    Image.fromarray(flat(0, (130, 220))).save(tmp_path / "crowd.png")
    report = detector(*boxes).scan(tmp_path / "crowd.png")
    assert sum(len(person.scores) for person in report.people) == MAX_JUDGED
    kept = sorted(
        score.face.box[2] - score.face.box[0] for person in report.people for score in person.scores
    )
    assert kept[0] > 14 + 2.9  # the largest
    assert Reason.FACES_LEFT_OUT in report.verdict.reasons
    assert "more than 20 faces" in report.media.notes[0]


def test_a_long_clip_keeps_little(tmp_path: Path) -> None:
    """Pictures and patches are kept for some frames, spread over the clip."""
    from unmask.detector.sampling import StridedSampler

    spread: StridedSampler[int] = StridedSampler(8)
    for number in range(100):
        spread.add(number, number if spread.due() else None)
    kept = sorted(spread.kept())
    assert 4 <= len(kept) <= 8
    assert np.diff(kept).max() == np.diff(kept).min()
    clip = write_video(tmp_path / "clip.mp4", toned([30] * 200))
    report = detector(BOX).scan(clip, frames=200, explain=True)
    assert report.people[0].exhibits[0].picture is not None


def test_a_person_who_is_never_clear(tmp_path: Path) -> None:
    card = example_card()
    gates = {**card["gates"], "min_brightness": 100}
    clip = write_video(tmp_path / "clip.mp4", toned([20] * 60))
    report = detector(BOX, gates=gates).scan(clip, frames=16, explain=True)
    assert report.verdict.label is Label.NOT_APPLICABLE
    (person,) = report.people
    assert person.exhibits == person.timeline == person.segments == person.stability == ()


def test_the_same_file_gives_the_same_report_but_for_timing(tmp_path: Path) -> None:
    from unmask.report import to_json

    clip = write_video(tmp_path / "clip.mp4", toned([30] * 30 + [230] * 60))
    first, second = (to_json(detector(BOX).scan(clip, explain=True)) for _ in range(2))
    assert {**first, "timing_s": None} == {**second, "timing_s": None}


def test_a_fault_in_the_evidence_of_one_file_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unmask.detector import face_analysis

    whole = face_analysis.add_exhibits

    def broken(people, store, scorer):  # type: ignore[no-untyped-def]
        if people[0].scores[0].face.quality.brightness == 254:
            raise RuntimeError("boom")
        return whole(people, store, scorer)

    monkeypatch.setattr(face_analysis, "add_exhibits", broken)
    values = {"a.png": 255, "bad.png": 254, "c.png": 255}
    paths = [save(tmp_path / name, value) for name, value in values.items()]
    good, bad, last = detector(BOX).scan_many(paths, explain=True)
    assert isinstance(good, Report)
    assert isinstance(last, Report)
    assert isinstance(bad, Failure)
    assert (bad.kind, bad.message) == ("internal", "RuntimeError: boom")
    with pytest.raises(RuntimeError):
        detector(BOX).scan(paths[1], explain=True)


def test_a_long_clip_with_many_faces_keeps_its_memory_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unmask.detector import scan as module
    from unmask.detector.face_analysis import FaceAnalysis

    analyses: list[FaceAnalysis] = []

    class Kept(FaceAnalysis):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            analyses.append(self)

    monkeypatch.setattr(module, "FaceAnalysis", Kept)
    clip = write_video(tmp_path / "clip.mp4", toned([30] * 300))
    judge = detector(BOX, (104.0, 20.0, 156.0, 100.0))
    judge.scan(clip, frames=300, explain=True)
    (faces,) = analyses
    assert len(faces.evidence.crops) <= 2 * 19  # crops of the frames that are kept to be shown
    assert len(faces.evidence.pictures()) <= 16
    assert len(faces.evidence.patches()) <= 96
    assert faces._waiting == {}


def test_whoever_watches_is_told_of_each_step(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [flat(255)] * 40)
    seen: list[Progress] = []
    report = detector(BOX).scan(clip, frames=24, explain=True, on_progress=seen.append)
    stages = [progress.stage for progress in seen]
    assert list(dict.fromkeys(stages)) == [
        Stage.OPENING,
        Stage.LOOKING,
        Stage.CHECKING,
        Stage.EXPLAINING,
    ]
    assert [progress.frames for progress in seen] == sorted(progress.frames for progress in seen)
    assert seen[-1].frames == report.media.frames_read == seen[-1].frames_asked == 24
    told = sorted(score for progress in seen for score in progress.scores)
    assert told == sorted((s.face.time_s, s.probability_fake) for s in report.people[0].scores)
    assert any(progress.scores for progress in seen[:20])  # the first ones before all was looked at


def test_what_the_watcher_raises_ends_the_scan(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [flat(255)] * 40)

    def watch(progress: Progress) -> None:
        if progress.frames == 3:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        detector(BOX).scan(clip, on_progress=watch)
    assert not [thread for thread in threading.enumerate() if thread.name == "unmask-decode"]


def test_a_heat_map_says_where_it_lies(tmp_path: Path) -> None:
    (score,) = detector(BOX).scan(save(tmp_path / "a.png", 200), explain=True).people[0].scores
    assert score.corners is not None
    assert score.corners.shape == (4, 2)
    x, y = score.corners.mean(axis=0)
    assert 20 < x < 100
    assert 20 < y < 100
    assert detector(BOX).scan(tmp_path / "a.png").people[0].scores[0].corners is None


def test_frames_of_a_video_are_kept_to_be_shown(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [flat(255)] * 40)
    report = detector(BOX).scan(clip, explain=True)
    assert 8 <= len(report.pictures) <= 16
    assert set(report.pictures) <= {score.face.frame for score in report.people[0].scores}
    assert jpeg.decode(next(iter(report.pictures.values()))).shape == (120, 160, 3)
    assert not detector(BOX).scan(clip).pictures


def test_longer_videos_than_allowed_are_refused(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [flat(255)] * 40)  # 1.33 s
    made = Detector(FakeScorer(), FakeFinder(BOX), max_duration_s=1.0)
    with pytest.raises(TooLongError, match="1 s that are allowed"):
        made.scan(clip)
    assert (
        Detector(FakeScorer(), FakeFinder(BOX), max_duration_s=2.0).scan(clip).media.frames_read
        == 32
    )
    assert made.scan(save(tmp_path / "a.png", 200)).media.kind == "image"


def long_clip(path: Path, seconds: int, every_s: int = 2) -> Path:
    """A clip of grey frames, one in `every_s` seconds, each tenth a key frame."""
    frames = toned([30] * (seconds // every_s))
    return write_video(
        path, frames, fps=1, pts=[n * every_s for n in range(len(frames))], options={"g": "10"}
    )


def test_long_videos_are_looked_at_more_often(tmp_path: Path) -> None:
    clip = long_clip(tmp_path / "long.mp4", 600)
    report = detector(BOX).scan(clip, stability=False)
    assert report.media.frames_read == 60
    assert report.media.longest_gap_s == pytest.approx(10, abs=6)
    assert report.settings.by_length
    words = headline(report)
    assert "may have been missed" in words
    # what is asked for is what is done
    report = detector(BOX).scan(clip, frames=12, stability=False)
    assert report.media.frames_read == 12
    assert report.media.longest_gap_s == pytest.approx(50, abs=25)
    assert not report.settings.by_length
    short = detector(BOX).scan(long_clip(tmp_path / "short.mp4", 30, 1), stability=False)
    assert short.media.frames_read == 30
    assert "missed" not in headline(short)


@pytest.mark.parametrize(
    ("duration_s", "looks"), [(None, 32), (0, 32), (320, 32), (321, 33), (2560, 256), (36000, 256)]
)
def test_how_often_a_video_is_looked_at(duration_s: float | None, looks: int) -> None:
    assert looks_at(duration_s, Settings(by_length=True)) == looks
    assert looks_at(duration_s, Settings(frames=5)) == 5


class OtherwiseInVideos(FakeScorer):
    """Sees brightness in pictures, and darkness in videos."""

    def score(self, crops: Sequence[np.ndarray], *, explain: bool = False) -> Scored:
        plain = super().score(crops, explain=explain)
        return plain._replace(video_logits=-plain.logits)


def test_frames_of_a_video_are_judged_by_what_the_bundle_says_of_videos(tmp_path: Path) -> None:
    light = np.full((120, 160, 3), 200, np.uint8)
    Image.fromarray(light).save(tmp_path / "light.png")
    clip = write_video(tmp_path / "light.mp4", [light] * 60)
    detector = Detector(OtherwiseInVideos(), FakeFinder((20.0, 20.0, 100.0, 100.0)))
    picture = detector.scan(tmp_path / "light.png", explain=True, stability=False)
    video = detector.scan(clip, frames=8, explain=True, stability=False)
    assert picture.verdict.label is Label.FAKE
    assert video.verdict.label is Label.REAL
    for report, sign in ((picture, 1), (video, -1)):
        for score in report.people[0].scores:
            assert score.logit is not None
            assert sign * score.logit > 4
            if score.heatmap is not None:  # its mean is the logit, whoever is judged
                assert score.heatmap.mean() == pytest.approx(score.logit, abs=1e-3)
