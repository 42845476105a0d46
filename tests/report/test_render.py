"""The page and the PDF, of a report made by hand in which every text is hostile."""

from __future__ import annotations

import datetime
import io
import itertools
import json
import tempfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

from unmask._internal import jpeg
from unmask.bundle.card import parse_card
from unmask.report.case import Case, with_case
from unmask.report.files import complete, write_report
from unmask.report.json import to_json
from unmask.report.method_view import NAMED_SETS, _training_sets
from unmask.report.phrases import clip_sureness, sureness
from unmask.report.render import html, pack, pdf, unpack
from unmask.report.view import build, command
from unmask.testing import example_card
from unmask.types import (
    Credentials,
    Exhibit,
    Face,
    Faithfulness,
    Label,
    Media,
    ModelId,
    Moment,
    Person,
    Pointing,
    Provenance,
    Reason,
    Report,
    Score,
    Segment,
    Variant,
    Verdict,
)

EVIL = "<script>alert(1)</script>\"'&{{7*7}}#panic()\\"
DAY = datetime.date(2026, 11, 21)
CARD = parse_card(example_card(limits=[EVIL], intended_use=EVIL))


def grade(faithful: bool) -> Faithfulness:
    line = (1.0, 0.2, 0.0)
    return Faithfulness(
        (0.0, 0.1, 1.0),
        line,
        line[::-1],
        line,
        line,
        1.5,
        0.1,
        0.05 if faithful else 0.6,
        19,
        faithful,
    )


def example(
    label: Label = Label.FAKE,
    *,
    faithful: bool = True,
    pointing: Pointing | None = None,
    name: str = f"{EVIL.replace('/', '')}.mp4",
) -> Report:
    crop = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (64, 1, 3))
    heat = np.arange(16, dtype=np.float32).reshape(4, 4)
    scores = tuple(Score(Face(n, n / 2, (10, 10, 50, 50), 0.9), 2.0, 0.9, heat) for n in range(6))
    frame = jpeg.encode(np.full((96, 160, 3), 120, np.uint8), 85)
    corners = np.float32([[10, 10], [50, 10], [50, 50], [10, 50]])
    exhibits = (
        Exhibit(scores[0], "strongest", crop, frame, corners, grade(faithful), pointing),
        Exhibit(scores[1], "weakest", crop, None, None),
    )
    verdict = Verdict(label, 0.9, (Reason.FAKE_SEGMENT,))
    moments = tuple(Moment(n / 2, 0.8, 0.7, 0.9) for n in range(6))
    segments = (Segment(0.2, 1.6, 0.25, 0.95, 3, 0.5),)
    variants = (Variant("saved again", 0.93, Label.FAKE), Variant(EVIL, 0.4, Label.INCONCLUSIVE))
    person = Person(1, verdict, scores, moments, segments, variants, exhibits)
    others = tuple(
        Person(n, Verdict(Label.REAL, 0.1, (Reason.BELOW_REAL_THRESHOLD,)), scores[:1])
        for n in range(2, 60)
    )
    credentials = Credentials("tampered", EVIL, EVIL, EVIL, EVIL, (EVIL,), EVIL, True, (EVIL,))
    return Report(
        media=Media(name, "ab" * 32, "video", 160, 96, 3.0, None, 6, notes=(EVIL,)),
        verdict=verdict,
        people=(person, *others),
        model=ModelId("example", "1", "cd" * 32),
        provenance=Provenance(
            {"software": EVIL, "comment": EVIL},
            credentials,
            {"edit_history": EVIL, EVIL: EVIL},
            True,
        ),
        contradictions=(EVIL,),
    )


class Page(HTMLParser):
    """What a browser would make of it: the tags with their attributes, and the text."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(report: Report) -> Page:
    return Page(html(build(report, CARD, DAY)))


def test_hostile_text_stays_text() -> None:
    text = html(build(example(), CARD, DAY)).decode()
    found = Page(text.encode())
    assert not [
        tag
        for tag, _ in found.tags
        if tag in ("script", "iframe", "object", "link", "base", "form")
    ]
    assert not [
        name for _, attributes in found.tags for name in attributes if name.startswith("on")
    ]
    assert "<script" not in text
    assert "".join(found.words).count("<script>alert(1)</script>") >= 10  # shown as what it is
    assert "49" not in "".join(found.words).split("{{7*7}}")[0][-20:]  # and not computed


def test_nothing_is_fetched() -> None:
    found = page(example())
    for tag, attributes in found.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:"), (tag, name)
    policy = [
        a["content"]
        for tag, a in found.tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy[0] is not None
    assert policy[0].startswith("default-src 'none'")


def test_for_screen_readers() -> None:
    found = page(example())
    tags = [tag for tag, _ in found.tags]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    assert dict(found.tags)["html"]["lang"] == "en"
    assert all(attributes.get("alt") for tag, attributes in found.tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in found.tags if tag == "svg")
    levels = [int(tag[1]) for tag in tags if tag in ("h1", "h2", "h3", "h4")]
    assert all(after - before <= 2 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("label", list(Label))
def test_every_verdict_has_its_words_and_its_mark(label: Label) -> None:
    words = "".join(page(example(label)).words)
    assert {"fake": "▲", "real": "●", "inconclusive": "◆", "not_applicable": "○"}[label] in words
    assert "What it does not mean" in words
    assert pdf(build(example(label), CARD, DAY)).startswith(b"%PDF")


def test_a_map_that_is_not_faithful_is_not_shown() -> None:
    words = "".join(page(example(faithful=False)).words)
    assert "No heat map: it failed its test" in words
    assert "Which parts of the face matter" not in words
    images = [a["alt"] for tag, a in page(example(faithful=False)).tags if tag == "img"]
    assert not [alt for alt in images if alt and "outline" in alt]
    shown = [a["alt"] for tag, a in page(example()).tags if tag == "img"]
    assert len([alt for alt in shown if alt and "outline" in alt]) == 2


def test_a_map_of_a_kind_that_points_is_shown_with_its_rate() -> None:
    report = example(faithful=False, pointing=Pointing(200, 0.84, 0.5))
    words = "".join(page(report).words)
    assert "Which parts of the face matter" in words
    assert "On 200 test faces of which only a part was forged" in words
    assert "within that part in 84%; the middle of the face lay in it in 50%" in words
    assert "could not be shown: hiding it changes the score by +1.50" in words
    assert "This heat map passed its test" not in words
    images = [a["alt"] for tag, a in page(report).tags if tag == "img"]
    assert len([alt for alt in images if alt and "outline" in alt]) == 2
    both = "".join(page(example(pointing=Pointing(200, 0.84, 0.5))).words)
    assert "This heat map passed its test" in both
    assert "On 200 test faces" in both
    text = "".join(
        one.extract_text() for one in PdfReader(io.BytesIO(pdf(build(report, CARD, DAY)))).pages
    )
    assert "On200testfaces" in "".join(text.split())


def test_what_a_judge_reads_first() -> None:
    words = "".join(page(example()).words)
    assert "1 of 59 faces in this video looks manipulated or generated at 0.2–1.6 s." in words
    assert "Probability of fake: 0.900" in words
    assert "Looks fake from 0.2 to 1.6 s" in words
    assert words.index("What it does not mean") < words.index("People")
    assert "and 18 more, in the JSON" in words


def test_the_pdf_says_the_same() -> None:
    reader = PdfReader(io.BytesIO(pdf(build(example(), CARD, DAY))))
    text = "".join(one.extract_text() for one in reader.pages)
    flat = "".join(text.split())
    assert "<script>alert(1)</script>" in flat
    for words in (
        "1 of 59 faces in this video looks manipulated",
        "What it does not mean",
        "Person 1",
        "cd" * 32,
    ):
        assert "".join(words.split()) in flat
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]  # tagged, for screen readers
    assert reader.trailer["/Root"]["/Lang"] == "en"


def test_the_same_report_gives_the_same_bytes() -> None:
    for make in (html, pdf):
        first, second = (make(build(example(), CARD, DAY)) for _ in range(2))
        assert first == second


def test_a_name_in_another_script(tmp_path: Path) -> None:
    paths = write_report(example(name="видео 証拠 \udcff.mp4"), CARD, tmp_path, made_on=DAY)
    assert [path.suffix for path in paths] == [".json", ".html", ".pdf"]
    assert "видео 証拠" in paths[1].read_text()
    assert "\\xff" in paths[1].read_text()


def test_a_character_without_a_glyph_is_written_out() -> None:
    rare = "a\U00010900.mp4"  # Phoenician: in no font here
    text = "".join(
        one.extract_text()
        for one in PdfReader(io.BytesIO(pdf(build(example(name=rare), CARD, DAY)))).pages
    )
    assert "10900" in text


def test_writing_again_replaces_and_leaves_no_rest(tmp_path: Path) -> None:
    report = example(name="a.mp4")
    write_report(report, CARD, tmp_path, made_on=DAY)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_report(report, CARD, tmp_path, made_on=DAY)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert len(before) == 3


def test_the_command_repeats_the_settings() -> None:
    report = example(name="my clip.mp4")
    assert command(report).startswith(
        "unmask scan 'my clip.mp4' --report out/ --frames 32 --faces yunet"
    )
    assert "--no-stability" in command(report)
    assert "--no-stability" not in command(
        replace(report, settings=replace(report.settings, stability=True))
    )


def test_a_hostile_file_from_its_bytes_to_its_page(tmp_path: Path) -> None:
    """Script tags in every text that a picture can carry, and in the name of its signer."""
    from PIL import Image, PngImagePlugin

    from helpers.provenance_files import as_bytes, signed
    from unmask.detector import Detector
    from unmask.testing import FakeFinder, FakeScorer

    evil = "<script>alert('x')</script>"
    info = PngImagePlugin.PngInfo()
    for key in (
        "parameters",
        "prompt",
        "workflow",
        "Software",
        "Comment",
        "Description",
        "XML:com.adobe.xmp",
    ):
        info.add_itxt(
            key, f'{evil} Steps: 1, Sampler: {evil} "class_type": xmp:CreatorTool="{evil}"'
        )
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298):
        exif[tag] = evil
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + evil.encode()
    path = tmp_path / "a onload=alert(1).png"
    picture = Image.new("RGB", (160, 120), "white")
    path.write_bytes(
        signed(as_bytes(picture, "PNG", pnginfo=info, exif=exif), "image/png", source=evil)
    )
    detector = Detector(FakeScorer(CARD), FakeFinder((20.0, 20.0, 100.0, 100.0)))
    report = detector.scan(path, explain=True)
    assert report.provenance.credentials.signer == "Signer <b>of tests</b>"
    assert report.provenance.ai_generated
    _, written, _ = write_report(report, CARD, tmp_path, made_on=DAY)
    found = Page(written.read_bytes())
    assert not [tag for tag, _ in found.tags if tag in ("script", "b", "iframe", "object")]
    assert not [
        name for _, attributes in found.tags for name in attributes if name.startswith("on")
    ]
    assert "".join(found.words).count(evil) >= 3


def test_a_card_of_another_make() -> None:
    """Figures are shown as far as the card has them in the usual form."""
    row = {"n": 10, "auc": 0.9, "fpr_at_threshold": None, "n_fake": 4, "confusion": {"tp": 3}}
    card = parse_card(
        example_card(
            metrics={"whole": row, "curious": {"accuracy": 1}, "text": "none"}, training_data=["?"]
        )
    )
    words = "".join(Page(html(build(example(), card, DAY))).words)
    assert "75.0%" in words
    assert "curious" not in words


def test_a_view_that_was_packed_makes_the_same_page_and_pdf() -> None:
    view = build(example(), CARD, DAY)
    tree, pictures = pack(view)
    again = unpack(json.loads(json.dumps(tree)), pictures)
    assert html(again) == html(view)
    assert pdf(again) == pdf(view)


def test_a_pdf_leaves_nothing_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # any temporary file would fail
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert pdf(build(example(), CARD, DAY)).startswith(b"%PDF")


def test_the_largest_training_sets_are_named_and_the_others_counted() -> None:
    rows = [
        {"dataset": f"set{number}", "split": "train", "real": number, "fake": 2 * number}
        for number in range(1, 11)
    ]
    words = _training_sets([*rows, "?"])
    assert len(words) == NAMED_SETS + 1
    assert words[0] == "set10 (train): 10 real, 20 fake faces"
    assert words[-1] == "2 smaller data sets: 3 real, 6 fake faces"
    assert _training_sets(rows[:2])[-1] == "set1 (train): 1 real, 2 fake faces"


def test_how_often_the_model_errs_in_words() -> None:
    fake = Verdict(Label.FAKE, 0.98, (Reason.ABOVE_FAKE_THRESHOLD,))
    faces = "Of a hundred real faces that the model was validated on, "
    assert sureness(fake, 0.004, 0.1) == f"{faces}fewer than one would be called fake."
    assert sureness(fake, 0.01, 0.1) == f"{faces}about one would be called fake."
    real = Verdict(Label.REAL, 0.02, (Reason.BELOW_REAL_THRESHOLD,))
    assert sureness(real, 0.01, 0.082).endswith("about 8 would be called real.")
    clip = {"fake": {"n": 57, "wrong": 0}, "real": {"n": 64, "wrong": 5}}
    assert clip_sureness(real, clip) == (
        "Of the 64 fake clips that its thresholds were chosen on, 5 would be called real."
    )
    undecided = Verdict(Label.INCONCLUSIVE, 0.5, (Reason.BETWEEN_THRESHOLDS,))
    assert sureness(undecided, 0.01, 0.05) == clip_sureness(undecided, clip) == ""


def test_the_words_of_a_reports_maker_are_theirs() -> None:
    view = build(example(), CARD, DAY)
    assert view["case"] is None
    assert with_case(view, Case(" ", "\n")) == view
    added = with_case(view, Case("Case 7", f"seen by me\n{EVIL}"))
    shown = html(added).decode()
    assert "Case 7" in shown
    assert "Written by the maker of this report, not by unmask." in shown
    assert "<p>seen by me</p>" in shown
    assert EVIL not in shown  # escaped
    assert pdf(added).startswith(b"%PDF")
    whole = json.loads(complete(to_json(example()), added))
    assert whole["case"]["name"] == "Case 7"
    assert whole["case"]["notes"].startswith("seen by me\n")
    assert "case" not in json.loads(complete(to_json(example()), view))
