"""Why a verdict is what it is: sentences with the numbers that led to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from unmask.analysis.verdict import judge_file, judge_person
from unmask.bundle.card import parse_card
from unmask.report.why import by_base_rate, not_covered, percent, why
from unmask.testing import example_card
from unmask.types import (
    Face,
    Finding,
    Label,
    Media,
    ModelId,
    Part,
    Person,
    Provenance,
    Quality,
    Reason,
    Report,
    Score,
    Segment,
    Settings,
    Timing,
    Variant,
)

CARD = parse_card(example_card())  # fake from 0.9 on, real up to 0.2


def person(*probabilities: float | None, number: int = 1, size: float = 200.0) -> Person:
    """Seen once a second; None: too small to be judged."""
    scores = []
    for second, probability in enumerate(probabilities):
        unusable = Reason.FACE_TOO_SMALL if probability is None else None
        quality = Quality(size, 100.0, 100.0, 1.0, unusable)
        face = Face(second, float(second), (0, 0, size, size), 0.9, None, quality)
        scores.append(Score(face, None, probability))
    verdict = judge_person(scores, CARD.thresholds, len(scores))
    return Person(number, verdict, tuple(scores))


def report(people: Sequence[Person], kind: Any = "video", **changes: Any) -> Report:
    unseen = changes.pop("unseen", ())
    return Report(
        media=Media("clip.mp4", "ab" * 32, kind, 160, 96, 3.0, None, 6),
        verdict=judge_file(people, CARD.thresholds, unseen=unseen),
        people=tuple(people),
        model=ModelId("example", "1", "cd" * 32),
        settings=Settings(32, "yunet", "onnxruntime", True, False, True),
        timing_s=Timing(0, 0, 0, 0, 0),
        **changes,
    )


def words(people: Sequence[Person], **changes: Any) -> str:
    return plain(" ".join(why(report(people, **changes), CARD)))


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_percent_is_never_certain() -> None:
    assert [plain(percent(p)) for p in (0.0, 0.004, 0.1749, 0.95, 0.996)] == [
        "less than 1 %",
        "less than 1 %",
        "17 %",
        "95 %",
        "more than 99 %",
    ]


def test_a_fake_clip_says_how_many_frames_and_against_what() -> None:
    said = words([person(0.99, 0.93, 0.97)])
    assert said == (
        "3 of 3 frames point to a fake (93 % at 1.0 s to 99 % at 0.0 s); together 97 %;"
        " 90 % is enough for a fake."
    )


def test_a_picture_has_one_score() -> None:
    said = words([person(0.95)], kind="image")
    assert said == "The face scores 95 %; 90 % is enough for a fake."
    said = words([person(0.05)], kind="image")
    assert said == "The face scores 5 %; up to 20 % counts as real."


def test_what_small_edits_do() -> None:
    steady = replace(
        person(0.95, 0.95, 0.95),
        stability=(Variant("saved again", 0.93, Label.FAKE), Variant("cropped", 0.97, Label.FAKE)),
    )
    assert "Recompressing, resizing and cropping do not change that (93 % to 97 %)." in words(
        [steady]
    )
    shaky = replace(steady, stability=(Variant("saved again", 0.4, Label.INCONCLUSIVE),))
    assert "Some small edits change the result (saved again: 40 %)." in words([shaky])


def test_a_part_that_looks_fake() -> None:
    one = person(*[0.1] * 9, 0.97, 0.97, 0.97)
    segment = Segment(9.0, 11.0, 0.5, 0.97, 3, 0.25)
    scores = one.scores
    verdict = judge_person(scores, CARD.thresholds, 12, [segment])
    said = words([replace(one, verdict=verdict, segments=(segment,))])
    assert "From 9.0 to 11.0 s the face looks fake (97 % over 3 frames)." in said
    assert "9 of 12 frames point to a real face" in said


def test_an_open_case_says_what_could_decide_it() -> None:
    said = words([person(0.5, 0.5, 0.5, size=60)])
    assert "up to 20 % would count as real, from 90 % on as fake" in said
    assert "a copy in which the face is larger (here 60 pixels)" in said
    assert "the original file, before it was compressed or resized" in said
    brief = person(0.95, 0.95)
    verdict = judge_person(brief.scores, CARD.thresholds, frames_wanted=9)
    assert "3 are needed" in words([replace(brief, verdict=verdict)])
    assert "the whole file" in words([person(0.05, 0.05, 0.05)], unseen={Part.REST})


def test_no_face_and_none_that_can_be_judged() -> None:
    assert words([]) == "No face was found in any of the 6 frames that were checked."
    assert words([], kind="image") == "No face was found in the picture."
    small = words([person(None, None, size=23)])
    assert "The largest face is 23 pixels wide" in small
    assert "A face is too small." in small


def test_what_else_agrees_or_contradicts() -> None:
    said = words([person(0.05, 0.05, 0.05)], provenance=Provenance(ai_generated=True))
    assert "But the file itself says that a generator made it." in said
    finding = Finding("sound", "cloned", "the voice is generated", points_to=Label.FAKE)
    assert "Another check (sound) agrees." in words([person(0.95, 0.95, 0.95)], findings=(finding,))
    assert "Another check (sound) points to fake." in words(
        [person(0.05, 0.05, 0.05)], findings=(finding,)
    )


@pytest.mark.parametrize("people", [2, 5])
def test_among_several_people_the_most_suspicious_is_named(people: int) -> None:
    crowd = [person(0.05, 0.05, 0.05, number=n) for n in range(2, people + 1)]
    said = words([person(0.999, 0.999, 0.999), *crowd])
    assert said.startswith("Person 1: 3 of 3 frames point to a fake")
    assert "The people in it get different verdicts." in said


def test_the_probability_for_other_base_rates() -> None:
    assert plain(by_base_rate(0.95)) == (
        "95 % if half of the files you check are fakes, 68 % if 1 in 10 is, 16 % if 1 in 100 is."
    )
    assert by_base_rate(None) == ""


def test_what_a_verdict_does_not_cover() -> None:
    card = parse_card(example_card(limits=["Lip-sync is not looked at."]))
    assert not_covered("image", card) == (
        "Only faces were checked, not the rest of the picture. Lip-sync is not looked at."
    )
    assert "sound" in not_covered("video", card)
