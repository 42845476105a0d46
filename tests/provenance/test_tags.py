from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from helpers.provenance_files import as_bytes, picture, signed
from unmask.media import open_media
from unmask.provenance import FileUnderCheck, check_provenance, contradictions
from unmask.provenance.tags import MAX_TEXT, check_tags, plain
from unmask.types import Credentials, Label, Provenance, Verdict

AI_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description
 xmp:CreatorTool="Adobe Photoshop 25.0"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia">
 <xmpMM:History><rdf:Seq><rdf:li stEvt:action="saved" stEvt:softwareAgent="Adobe Photoshop 25.0"/>
 <rdf:li stEvt:action="converted" stEvt:softwareAgent="Other &lt;editor&gt;"/></rdf:Seq>
 </xmpMM:History>
 </rdf:Description></rdf:RDF></x:xmpmeta>"""


def read(path: Path) -> Provenance:
    with open_media(path) as source:
        frame = next(iter(source.frames(1)))
        is_video = source.media.kind == "video"
        return check_provenance(FileUnderCheck(path, source.tags, is_video, frame.image))


def png(path: Path, **chunks: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for key, value in chunks.items():
        info.add_text(key, value)
    picture().save(path, pnginfo=info)
    return path


A1111 = (
    "a portrait\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size:"
    " 512x512"
)
COMFY = '{"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}'


@pytest.mark.parametrize(
    "chunks",
    [
        {"parameters": A1111},
        {"prompt": COMFY},
        {"workflow": COMFY},
        {"Dream": "a face -s 50"},
        {"invokeai_metadata": "{}"},
    ],
)
def test_settings_of_generators_in_text_chunks(tmp_path: Path, chunks: dict[str, str]) -> None:
    found = read(png(tmp_path / "a.png", **chunks))
    assert found.ai_generated
    assert "generator_settings" in found.traces


def test_settings_in_an_exif_comment(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    path = tmp_path / "a.jpg"
    path.write_bytes(as_bytes(picture(), exif=exif))
    found = read(path)
    assert "generator_settings" in found.traces
    assert found.said["comment"].startswith("a portrait")


def test_a_plain_comment_names_no_generator(tmp_path: Path) -> None:
    found = read(png(tmp_path / "a.png", Comment="Steps: walk to the camera", Software="GIMP 2.10"))
    assert not found.ai_generated
    assert found.said["software"] == "GIMP 2.10"
    assert found.traces == {}


def test_a_generator_that_signs_its_work(tmp_path: Path) -> None:
    found = read(png(tmp_path / "a.png", Software="Midjourney v7"))
    assert found.traces["generator_named"] == "names a generator: Midjourney"


def test_what_people_write_is_no_signature_of_a_program(tmp_path: Path) -> None:
    words = "On the runway, a firefly by Sora; una imagen de Kling"
    found = read(png(tmp_path / "a.png", Description=words, Comment=words, Artist=words))
    assert not found.ai_generated
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = words
    (tmp_path / "a.jpg").write_bytes(as_bytes(picture(), exif=exif))
    assert not read(tmp_path / "a.jpg").ai_generated


def photograph(path: Path, gps: dict[int, object]) -> Path:
    """A picture with the tags of a telephone's camera."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Maker", "Model 1"
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = "2026:05:04 03:02:01"
    inner[ExifTags.Base.LensModel] = "wide lens 4.2 mm"
    inner[ExifTags.Base.ExposureTime] = TiffImagePlugin.IFDRational(1, 120)
    inner[ExifTags.Base.FNumber] = TiffImagePlugin.IFDRational(18, 10)
    inner[ExifTags.Base.ISOSpeedRatings] = 64
    inner[ExifTags.Base.FocalLength] = TiffImagePlugin.IFDRational(42, 10)
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    picture().save(path, exif=exif)
    return path


SOUTH_WEST = {1: "S", 2: (33.0, 51.0, 24.12), 3: "W", 4: (70.0, 30.0, 0.0)}


def test_where_and_how_a_photograph_was_taken(tmp_path: Path) -> None:
    said = read(photograph(tmp_path / "a.jpg", SOUTH_WEST)).said
    assert said["place"] == "-33.85670, -70.50000"
    assert said["exposure"] == "1/120 s, f/1.8, ISO 64, 4.2 mm"
    assert said["lens"] == "wide lens 4.2 mm"


@pytest.mark.parametrize("gps", [{}, {1: "N"}, {1: "N", 2: (95.0, 0, 0), 3: "E", 4: (1.0, 0, 0)}])
def test_a_broken_place_is_none(tmp_path: Path, gps: dict[int, object]) -> None:
    assert "place" not in read(photograph(tmp_path / "a.jpg", gps)).said


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+48.8584+002.2945+035.000/", "48.85840, 2.29450"),
        ("-33.8567-070.5000/", "-33.85670, -70.50000"),
        ("at home", None),
    ],
)
def test_the_place_of_a_video(text: str, place: str | None) -> None:
    tags = {"com.apple.quicktime.location.ISO6709": text}
    found = check_tags(FileUnderCheck(Path("a.mov"), tags, True, np.zeros((8, 8, 3), np.uint8)))
    assert found.said.get("place") == place


def test_xmp(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(as_bytes(picture(), xmp=AI_XMP.encode()))
    found = read(path)
    assert found.ai_generated
    assert found.said["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert found.said["created_with"] == "Adobe Photoshop 25.0"
    assert "history of 2 steps" in found.traces["edit_history"]


def test_camera_and_times(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Canon", "EOS R5", "2026:02:02 10:00:00"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 10:00:00"
    path = tmp_path / "a.jpg"
    path.write_bytes(as_bytes(picture(), exif=exif))
    found = read(path)
    assert (found.said["maker"], found.said["camera"]) == ("Canon", "EOS R5")
    assert found.said["taken"] == "2026:01:01 10:00:00"
    assert "saved_later" in found.traces
    assert "Canon EOS R5" in contradictions(found, Verdict(Label.FAKE, 0.95, ()))[0]


@pytest.mark.parametrize("quality", [30, 75, 92])
def test_jpeg_tables(tmp_path: Path, quality: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(as_bytes(picture(), quality=quality))
    assert read(path).traces["saved_by"].endswith(f"libjpeg's quality {quality}")


def test_an_encoder_signs_its_stream(tmp_path: Path) -> None:
    from helpers.clips import write_video

    found = read(write_video(tmp_path / "clip.mp4", 10))
    assert "x264" in found.traces["encoder"]
    assert "Lavf" in found.traces["written_by"]


def test_hostile_text_is_one_short_line() -> None:
    tags = {"Software": "<script>\x00\x1b[31m\n" + "x" * 5000, "comment": "\ud800 lone"}
    found = check_tags(FileUnderCheck(Path("none"), tags, False, np.zeros((8, 8, 3), np.uint8)))
    assert len(found.said["software"]) == MAX_TEXT
    assert "\x1b" not in found.said["software"]
    assert plain("a\r\nb\tc") == "a b c"


def test_broken_exif_is_no_fault(tmp_path: Path) -> None:
    data = as_bytes(picture(), exif=Image.Exif())
    path = tmp_path / "a.jpg"
    path.write_bytes(
        data[:2] + b"\xff\xe1\x00\x20Exif\x00\x00MM\x00*\xff\xff\xff\xff" + b"\xff" * 14 + data[2:]
    )
    assert read(path).said["format"] == "JPEG"


REAL, FAKE = Verdict(Label.REAL, 0.05, ()), Verdict(Label.FAKE, 0.95, ())


def test_contradictions() -> None:
    generated = Provenance(ai_generated=True)
    assert "generator" in contradictions(generated, REAL)[0]
    assert contradictions(generated, FAKE) == ()
    signed_capture = Provenance(
        credentials=Credentials("valid", signer="A", source="digitalCapture")
    )
    assert "intact credentials of A" in contradictions(signed_capture, FAKE)[0]
    assert contradictions(signed_capture, REAL) == ()
    assert (
        "changed after" in contradictions(Provenance(credentials=Credentials("tampered")), REAL)[0]
    )
    assert contradictions(Provenance(), FAKE) == ()  # absence is never evidence


def test_a_scan_reads_it_all(tmp_path: Path, demo: Path) -> None:
    from unmask.detector import Detector
    from unmask.testing import FakeFinder, FakeScorer

    path = tmp_path / "a.jpg"
    path.write_bytes(
        signed(as_bytes(Image.new("RGB", (160, 120))), source="trainedAlgorithmicMedia")
    )
    report = Detector(FakeScorer(), FakeFinder((20.0, 20.0, 100.0, 100.0))).scan(path)
    assert report.verdict.label is Label.REAL
    assert report.provenance.credentials.state == "valid"
    assert len(report.contradictions) == 1
