from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask._internal.resizing import shrink
from unmask.errors import FinderError, MissingExtraError
from unmask.faces import FINDERS, MAX_FACES, find_close_up, find_main_face, load_finder
from unmask.faces.yunet import YuNet
from unmask.types import Face, Frame

PORTRAIT = "2-generated.jpg"


def picture(demo: Path, name: str = PORTRAIT) -> np.ndarray:
    return np.array(Image.open(demo / name).convert("RGB"))


def frame(image: np.ndarray) -> Frame:
    return Frame(0, 0.0, image)


def overlap(a: Face, b: Face) -> float:
    """Intersection over union."""
    x = max(0.0, min(a.box[2], b.box[2]) - max(a.box[0], b.box[0]))
    y = max(0.0, min(a.box[3], b.box[3]) - max(a.box[1], b.box[1]))
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in (a, b)]
    return x * y / (sum(areas) - x * y)


@pytest.mark.parametrize("name", sorted(FINDERS))
def test_every_finder_finds_the_portrait_in_the_same_place(demo: Path, name: str) -> None:
    try:
        finder = load_finder(name)
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert finder.name == name
    image = picture(demo)
    faces = finder.find(frame(image))
    assert len(faces) == 1
    (reference,) = YuNet().find(frame(image))
    assert overlap(faces[0], reference) > 0.7
    assert 0 <= faces[0].confidence <= 1
    if name in ("yunet", "mtcnn"):
        assert faces[0].landmarks is not None
    if faces[0].landmarks is not None:  # boxes alone do, too
        assert reference.landmarks is not None
        width = reference.box[2] - reference.box[0]
        assert np.abs(faces[0].landmarks - reference.landmarks).max() < 0.1 * width
        right_eye, left_eye, nose, right_mouth, left_mouth = faces[0].landmarks
        assert right_eye[0] < left_eye[0]  # the person's right eye is on the left of the picture
        assert right_mouth[0] < left_mouth[0]
        assert right_eye[1] < nose[1] < right_mouth[1]


@pytest.mark.parametrize("name", sorted(FINDERS))
def test_no_face_is_an_empty_list(demo: Path, name: str) -> None:
    finder = load_finder(name)
    assert finder.find(frame(picture(demo, "6-no-face.jpg"))) == []
    assert finder.find(frame(np.zeros((40, 40, 3), np.uint8))) == []


@pytest.mark.parametrize("size", [(640, 640), (640, 360), (333, 500), (97, 41), (64, 64)])
def test_onnx_runtime_finds_what_opencv_finds(demo: Path, size: tuple[int, int]) -> None:
    from unmask.faces.models import carried_model
    from unmask.faces.yunet import YUNET_SHA256, OpenCvYuNet, YuNetSession

    model = carried_model("face_detection_yunet_2023mar_int8bq.onnx", YUNET_SHA256)
    ours, theirs = (
        YuNetSession(model.read_bytes(), min_confidence=0.6),
        OpenCvYuNet(model, min_confidence=0.6),
    )
    found = 0
    for name in (
        "1-photograph.jpg",
        "2-generated.jpg",
        "3-generated.jpg",
        "4-swapped.jpg",
        "6-no-face.jpg",
    ):
        image = np.array(Image.open(demo / name).convert("RGB").resize(size))
        ours_rows, theirs_rows = (
            np.array(sorted(d.detect(image).tolist())) for d in (ours, theirs)
        )
        assert ours_rows.shape == theirs_rows.shape
        assert ours_rows == pytest.approx(theirs_rows, abs=0.05)
        found += len(ours_rows)
    assert found >= 4 or max(size) < 100


def test_boxes_are_in_pixels_of_the_full_frame(demo: Path) -> None:
    small = np.array(Image.fromarray(picture(demo)).resize((640, 640)))
    large = np.array(Image.fromarray(small).resize((2560, 2560)))
    (a,), (b,) = YuNet().find(frame(small)), YuNet().find(frame(large))
    assert np.array(b.box) / 4 == pytest.approx(np.array(a.box), abs=4)
    assert b.landmarks is not None
    assert a.landmarks is not None
    assert b.landmarks / 4 == pytest.approx(a.landmarks, abs=4)


def test_many_small_faces(demo: Path) -> None:
    """Eight faces of 60 px side by side in a 1080p frame, as in a street."""
    face = np.array(Image.fromarray(picture(demo)).resize((84, 84)))
    street = np.full((1080, 1920, 3), 120, np.uint8)
    for k in range(8):
        street[400 : 400 + 84, 100 + 220 * k : 184 + 220 * k] = face
    assert len(YuNet().find(frame(street))) == 8


def test_a_crowd_is_bounded() -> None:
    from unmask.faces.base import most_confident

    crowd = [Face(0, 0.0, (0, 0, 9, 9), confidence=k / 100) for k in range(100)]
    assert len(most_confident(crowd)) == MAX_FACES
    assert most_confident(crowd)[0].confidence == 0.99


def test_a_face_cut_by_the_border_is_found(demo: Path) -> None:
    image = picture(demo)
    (whole,) = YuNet().find(frame(image))
    x0, y0, x1, y1 = (int(v) for v in whole.box)
    cut = np.ascontiguousarray(image[y0 + (y1 - y0) // 6 :, : x1 - (x1 - x0) // 5])
    finder = YuNet()
    faces = finder.find(frame(cut)) or find_close_up(finder, frame(cut))
    assert len(faces) == 1


def test_a_face_that_fills_the_picture_is_found_by_the_second_look(demo: Path) -> None:
    image = picture(demo)
    (whole,) = YuNet().find(frame(image))
    x0, y0, x1, y1 = (int(v) for v in whole.box)
    tight = np.ascontiguousarray(image[y0 + 30 : y1 - 10, x0 + 10 : x1 - 10])
    face = find_main_face(YuNet(), np.array(Image.fromarray(tight).resize((900, 1100))))
    assert face is not None
    assert face.landmarks is not None
    assert (face.landmarks > 0).all()


def test_shrink() -> None:
    image, scale = shrink(np.zeros((1080, 1920, 3), np.uint8), 640)
    assert image.shape == (360, 640, 3)
    assert scale == pytest.approx(1 / 3)
    small = np.zeros((10, 20, 3), np.uint8)
    assert shrink(small, 640)[0] is small


def test_an_unknown_finder_is_told_with_the_known_ones() -> None:
    with pytest.raises(FinderError, match="yunet, mtcnn, dlib"):
        load_finder("magic")


def test_ones_own_model_file(tmp_path: Path) -> None:
    with pytest.raises(FinderError, match="no YuNet model"):
        load_finder(f"yunet={tmp_path / 'none.onnx'}")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(FinderError, match="cannot read"):
        load_finder(f"yunet={tmp_path / 'broken.onnx'}").find(
            frame(np.zeros((40, 40, 3), np.uint8))
        )


def test_a_changed_model_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from unmask.faces import yunet

    monkeypatch.setattr(yunet, "YUNET_SHA256", "0" * 64)
    with pytest.raises(FinderError, match="sha-256"):
        YuNet()


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingExtraError, match=r"'\.\[finders\]'"):
        load_finder("dlib")


def test_the_street(shared: Path) -> None:
    from unmask.media import open_media

    with open_media(shared / "media" / "several_people.mp4") as source:
        counts = [len(YuNet().find(f)) for f in source.frames(8)]
    assert max(counts) >= 6
