from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from unmask.faces import find_main_face, load_finder
from unmask.faces.embedding import SFACE, SFACE_SHA256, cut_for_sface, load_sface
from unmask.faces.models import carried_model
from unmask.media import open_media


def crops_of(demo: Path, *names: str) -> list[np.ndarray]:
    found = []
    for name in names:
        with open_media(demo / name) as source:
            (frame,) = source.frames(1)
        face = find_main_face(load_finder("yunet"), frame.image)
        assert face is not None
        found.append(cut_for_sface(frame.image, face))
    return found


def test_it_computes_what_opencv_computes(demo: Path) -> None:
    crops = crops_of(demo, "1-photograph.jpg", "2-generated.jpg")
    opencv = cv2.FaceRecognizerSF.create(str(carried_model(SFACE, SFACE_SHA256)), "")
    for crop, vector in zip(crops, load_sface().embed(crops), strict=True):
        expected = opencv.feature(np.ascontiguousarray(crop[..., ::-1]))[0]
        expected = expected / np.linalg.norm(expected)
        assert np.abs(vector - expected).max() < 1e-4


def test_one_person_is_alike_and_two_are_not(demo: Path) -> None:
    a, b = crops_of(demo, "2-generated.jpg", "3-generated.jpg")
    darker = np.asarray(a * 0.7, np.uint8)
    one, again, other = load_sface().embed([a, darker[:, ::-1].copy(), b])
    assert float(one @ again) > 0.6
    assert float(one @ other) < 0.4


def test_nothing_gives_nothing() -> None:
    assert load_sface().embed([]).shape == (0, 128)
