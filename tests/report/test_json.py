from __future__ import annotations

import hashlib
import json
import os
from fractions import Fraction

import numpy as np
import pytest

from unmask.bundle.card import parse_card
from unmask.cli.tables import report_table
from unmask.report import EXPLANATIONS, SENTENCES, sentence, to_json
from unmask.testing import example_card
from unmask.types import (
    Face,
    Failure,
    Label,
    Media,
    ModelId,
    Person,
    Provenance,
    Quality,
    Reason,
    Report,
    Score,
    Timing,
    Verdict,
)


def example(path: str = "clip.mp4") -> Report:
    face = Face(7, 0.28, (1.04, 2.0, 30.0, 40.0), 0.9, None, Quality(29.0, 100.0, 50.0, 1.0))
    dark = Face(
        8,
        0.32,
        (1.0, 2.0, 30.0, 40.0),
        0.9,
        None,
        Quality(29.0, 3.0, 50.0, 1.0, Reason.FACE_TOO_DARK),
    )
    scores = (Score(face, 2.0, 0.9, np.ones((2, 2), np.float32)), Score(dark, None, None))
    verdict = Verdict(Label.FAKE, 0.9, (Reason.ABOVE_FAKE_THRESHOLD,))
    return Report(
        media=Media(path, "ab" * 32, "video", 160, 96, 2.4, Fraction(30000, 1001), 32),
        verdict=verdict,
        people=(Person(1, verdict, scores),),
        model=ModelId("example", "1", "cd" * 32),
        provenance=Provenance({"software": "x264"}),
        timing_s=Timing(0.1, 0.2, 0.3, 0.4),
    )


def test_the_schema() -> None:
    tree = to_json(example())
    assert json.loads(json.dumps(tree, allow_nan=False)) == {
        "schema": "unmask.report/1",
        "media": {
            "path": "clip.mp4",
            "sha256": "ab" * 32,
            "kind": "video",
            "width": 160,
            "height": 96,
            "duration_s": 2.4,
            "fps": "30000/1001",
            "frames_read": 32,
            "read_share": 1.0,
            "notes": [],
        },
        "verdict": {"label": "fake", "probability_fake": 0.9, "reasons": ["above_fake_threshold"]},
        "people": [
            {
                "id": 1,
                "verdict": {
                    "label": "fake",
                    "probability_fake": 0.9,
                    "reasons": ["above_fake_threshold"],
                },
                "faces": [
                    {
                        "frame": 7,
                        "time_s": 0.28,
                        "box": [1.0, 2.0, 30.0, 40.0],
                        "probability_fake": 0.9,
                        "quality": {
                            "size_px": 29.0,
                            "brightness": 100.0,
                            "sharpness": 50.0,
                            "inside": 1.0,
                            "novelty": None,
                            "unusable": None,
                        },
                        "heatmap": [[1.0, 1.0], [1.0, 1.0]],
                    },
                    {
                        "frame": 8,
                        "time_s": 0.32,
                        "box": [1.0, 2.0, 30.0, 40.0],
                        "probability_fake": None,
                        "quality": {
                            "size_px": 29.0,
                            "brightness": 3.0,
                            "sharpness": 50.0,
                            "inside": 1.0,
                            "novelty": None,
                            "unusable": "face_too_dark",
                        },
                    },
                ],
                "segments": [],
                "timeline": [],
            }
        ],
        "model": {"name": "example", "version": "1", "sha256": "cd" * 32},
        "provenance": {
            "software": "x264",
            "ai_generated": False,
            "credentials": {"state": "absent"},
            "traces": {},
            "contradictions": [],
        },
        "settings": {
            "frames": 32,
            "faces": "yunet",
            "engine": "onnxruntime",
            "stability": False,
            "explain": False,
            "sha256": hashlib.sha256(
                b'{"engine":"onnxruntime","explain":false,"faces":"yunet","frames":32,"stability":false}'
            ).hexdigest(),
        },
        "timing_s": {"decode": 0.1, "find": 0.2, "score": 0.3, "evidence": 0.0, "total": 0.4},
    }


def test_a_failure() -> None:
    assert to_json(Failure("a.jpg", "empty", "the file is empty")) == {
        "schema": "unmask.report/1",
        "media": {"path": "a.jpg"},
        "error": {"kind": "empty", "message": "the file is empty"},
    }


def test_a_name_that_is_not_utf8_is_shown_with_its_bytes() -> None:
    name = os.fsdecode(b"caf\xe9\n.jpg")
    text = json.dumps(to_json(Failure(name, "empty", "x")), ensure_ascii=False)
    assert text.encode()  # a lone surrogate would not encode
    assert json.loads(text)["media"]["path"] == "caf\\xe9\n.jpg"


def test_every_label_and_reason_has_words() -> None:
    assert set(SENTENCES) == set(Label)
    assert set(EXPLANATIONS) == set(Reason)


def test_the_sentence() -> None:
    said = sentence(Verdict(Label.NOT_APPLICABLE, None, (Reason.NO_FACE,)))
    assert said == "There is no face that could be judged. Reason: no face was found."


@pytest.mark.parametrize("name", ["clip.mp4", os.fsdecode(b"\xff[red].mp4"), "a\x1b[31m\nb.mp4"])
def test_the_table_shows_all_that_matters_and_no_control_characters(name: str) -> None:
    from rich.console import Console

    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(report_table(example(name), parse_card(example_card())))
    text = console.export_text()
    console.file.close()
    said = ("FAKE", "manipulated", "0.900", "Person 1", "judged in 1", "29 px", "x264")
    for part in (*said, "decode 0.10", "find faces 0.20", "score 0.30"):
        assert part in text
    assert "\x1b" not in text
