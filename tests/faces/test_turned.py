"""Faces that lie on their side or head, and small ones in large pictures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask._internal.resizing import scaled_down
from unmask.faces import load_finder
from unmask.faces.alignment import CropSpec, crop_face
from unmask.faces.base import FaceFinder, overlap
from unmask.faces.turned import THEN_EVERY, TRIES, TurnedFaces
from unmask.faces.yunet import OVERLAP, TILE, tiles
from unmask.testing import FakeFinder
from unmask.types import Face, Frame


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return load_finder("yunet")


@pytest.fixture(scope="module")
def portrait(demo: Path) -> np.ndarray:
    """A generated face with room around it, (600, 500, 3)."""
    face = np.array(Image.open(demo / "2-generated.jpg").convert("RGB").resize((300, 300)))
    picture = np.full((600, 500, 3), 110, np.uint8)
    picture[120:420, 90:390] = face
    return picture


def frame_of(image: np.ndarray) -> Frame:
    return Frame(0, 0.0, np.ascontiguousarray(image))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_face_is_found_and_cut_out_upright(
    finder: FaceFinder, portrait: np.ndarray, turns: int
) -> None:
    spec = CropSpec(112, 1.0, 0.5)
    (face,) = finder.find(frame_of(portrait))
    wanted = crop_face(portrait, face, spec).astype(float)
    turned = np.ascontiguousarray(np.rot90(portrait, turns))
    (found,) = TurnedFaces(finder).find(frame_of(turned))
    cut = crop_face(turned, found, spec).astype(float)
    assert np.abs(cut - wanted).mean() < 6
    x0, y0, x1, y1 = found.box
    assert 0 <= x0 < x1 <= turned.shape[1]
    assert 0 <= y0 < y1 <= turned.shape[0]
    assert found.landmarks is not None
    assert ((found.landmarks >= [x0, y0]) & (found.landmarks <= [x1, y1])).all()


def test_people_who_lie_and_people_who_stand_are_both_found(
    finder: FaceFinder, portrait: np.ndarray
) -> None:
    lying = np.rot90(portrait[:500], 1)
    both = np.concatenate([portrait[:500], lying], axis=1)
    faces = TurnedFaces(finder).find(frame_of(both))
    assert len(faces) == 2
    eyes = [face.landmarks[1] - face.landmarks[0] for face in faces if face.landmarks is not None]
    angles = sorted(abs(np.degrees(np.arctan2(y, x))) for x, y in eyes)
    assert angles[0] < 20
    assert angles[1] == pytest.approx(90, abs=20)


class Counting(FakeFinder):
    """Finds nothing, and counts how often it was asked."""

    asked = 0

    def find(self, frame: Frame) -> list[Face]:
        self.asked += 1
        return super().find(frame)


def test_a_file_without_faces_is_not_turned_for_ever() -> None:
    counting = Counting()
    turned = TurnedFaces(counting)
    frame = frame_of(np.zeros((40, 40, 3), np.uint8))
    for _ in range(TRIES + 8 * THEN_EVERY):
        assert turned.find(frame) == []
    views = counting.asked - (TRIES + 8 * THEN_EVERY)
    assert views == pytest.approx(3 * (TRIES + 8), abs=6)


def test_faces_without_landmarks_are_left_as_they_are() -> None:
    class Unsure(FakeFinder):
        def find(self, frame: Frame) -> list[Face]:
            return [Face(0, 0.0, (1.0, 1.0, 30.0, 30.0), 0.5)]

    assert len(TurnedFaces(Unsure()).find(frame_of(np.zeros((40, 40, 3), np.uint8)))) == 1


@pytest.mark.parametrize("size", [(640, 480), (1920, 1280), (3840, 2160), (1281, 5000)])
def test_tiles_cover_the_picture_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    covering = tiles(width, height)
    assert len(set(covering)) == len(covering)
    for side, spans in (
        (width, {(x, w) for x, _, w, _ in covering}),
        (height, {(y, h) for _, y, _, h in covering}),
    ):
        ordered = sorted(spans)
        assert ordered[0][0] == 0
        assert sum(ordered[-1]) == side
        assert all(length <= TILE for _, length in spans)
        for (first, length), (second, _) in itertools.pairwise(ordered):
            assert first + length - second >= OVERLAP - 1


def test_small_faces_in_large_pictures_are_found(finder: FaceFinder, portrait: np.ndarray) -> None:
    """Faces of about 50 pixels in 24 megapixels, beside a large one that is found once."""
    small = scaled_down(portrait[100:440, 80:400], 0.25)
    picture = np.full((4000, 6000, 3), 110, np.uint8)
    places = [(200, 300), (2500, 5600), (3800, 100), (1300, 2000)]
    for y, x in places:
        picture[y : y + small.shape[0], x : x + small.shape[1]] = small
    large = np.array(Image.fromarray(portrait[100:440, 80:400]).resize((1500, 1600)))
    picture[1800:3400, 2600:4100] = large
    faces = finder.find(frame_of(picture))
    sizes = sorted(face.shorter_side_px for face in faces)
    assert len(faces) == 5
    assert 40 < sizes[0] < 80
    assert sizes[-1] > 700
    for y, x in places:
        box = (float(x), float(y), float(x + small.shape[1]), float(y + small.shape[0]))
        assert any(overlap(face.box, box) > 0.8 for face in faces)
