"""The page in a browser, as people use it."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from helpers.clips import write_video
from helpers.serving import Served
from helpers.web_site import Answer, sends
from unmask.regression import read_known
from unmask.report import overlay
from unmask.report.language import LANGUAGES

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PAGE_BYTES = 150_000

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Opens the page. A request to any other host, an error on the console or in a script fails the
    test."""
    contexts, faults = [], []

    def open_page(
        url: str = served.url, *, width: int = 1280, height: int = 900, **options: Any
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: faults.append(request.url) if not is_own(request.url, url) else None,
        )
        page.on(
            "console",
            lambda line: faults.append(line.text) if "Content Security" in line.text else None,
        )
        page.goto(url)
        expect(page.locator("#server[data-state=ready]")).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def is_own(url: str, base: str) -> bool:
    return url.startswith((base, "blob:", "data:"))


def give(page: Page, *files: Path | tuple[str, bytes]) -> None:
    named = [(file.name, file.read_bytes()) if isinstance(file, Path) else file for file in files]
    kinds = {"jpg": "image/jpeg", "mp4": "video/mp4", "avi": "video/x-msvideo"}
    payload = [{"name": name, "mimeType": kinds[name[-3:]], "buffer": data} for name, data in named]
    page.locator("#files").set_input_files(payload)  # type: ignore[arg-type]


def judged(page: Page, count: int = 1) -> None:
    expect(page.locator("#list .pill")).to_have_count(count, timeout=60_000)


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """A clip with two faces side by side; the right one is brighter, which the tiny bundle takes
    for fake."""
    faces = [
        np.asarray(Image.open(demo / name).convert("RGB").resize((360, 360)))
        for name in ("2-generated.jpg", "4-swapped.jpg")
    ]
    dark, light = (
        (faces[0] * 0.35).astype(np.uint8),
        np.clip(faces[1].astype(int) + 70, 0, 255).astype(np.uint8),
    )
    frame = np.concatenate([dark, light], axis=1)
    return write_video(tmp_path_factory.mktemp("clips") / "two.mp4", [frame] * 60)


def test_a_picture(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    give(page, demo / "2-generated.jpg")
    judged(page)
    expect(page.locator("#headline")).to_contain_text("in this picture")
    expect(page.locator(".stage img")).to_be_visible()
    expect(page.locator(".faces li, .people li")).to_have_count(0)  # the face is shown once
    expect(
        page.get_by_role("heading", name="File information and provenance (metadata)")
    ).to_be_visible()
    expect(page.locator("#live")).to_contain_text("2-generated.jpg")
    page.get_by_text("Add a case name and notes").click()
    page.get_by_label("Case").fill("Case 7")
    for kind, start in (("Web page (HTML)", b"<!doctype"), ("PDF", b"%PDF"), ("JSON", b"{")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind, exact=True).click()
        content = waiting.value.path().read_bytes()
        assert content.lower().startswith(start.lower())
        assert b"Case 7" in content or kind == "PDF"


def eventually(page: Page, check: Callable[[], bool]) -> None:
    """Players take their time."""
    for _ in range(150):
        if check():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it does not come")


def second(page: Page) -> float:
    return float(page.locator("video[controls]").evaluate("v => v.seeking ? -1 : v.currentTime"))


def painted(page: Page) -> int:
    """How many pixels of the overlay have something drawn on them."""
    return int(
        page.locator(".overlay").evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
            ".filter((value, i) => i % 4 === 3 && value).length"
        )
    )


def test_a_clip_second_by_second(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    give(page, demo / "5-generated.mp4")
    judged(page)
    timeline = page.get_by_role("slider", name="Probability of fake over time")
    expect(timeline).to_be_visible()
    assert page.locator(".timeline .dot").count() > 20
    timeline.press("Home")
    expect(timeline).to_have_attribute("aria-valuetext", re.compile(r"^0\.0 s: person 1, 0\.\d\d$"))
    eventually(page, lambda: 0 <= second(page) < 0.05 and painted(page) > 500)  # the box
    timeline.press("ArrowRight")
    eventually(page, lambda: 0.05 < second(page) < 0.3)
    outline = page.get_by_role("checkbox", name=re.compile("^Outline the part of the face"))
    if outline.count():  # a heat map passed its test
        timeline.press("Home")
        outline.set_checked(checked=False)
        expect(page.locator("#heat-told")).not_to_be_empty()
    else:
        expect(page.locator("#heat-told")).to_have_text("No heat map is shown: it failed its test.")
    box = timeline.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 20)
    eventually(page, lambda: 1.7 < second(page) < 2.4)
    expect(page.locator(".faces li")).to_have_count(0)  # the player shows the only face
    page.get_by_role("button", name=re.compile(r"^Show \d+ faces over time$")).click()
    expect(page.locator(".sheet li")).to_have_count(32)
    page.locator(".sheet button").first.click()
    eventually(page, lambda: 0 <= second(page) < 0.1)
    page.get_by_role("button", name="Show the frame: Least evidence").click()
    expect(page.locator(".sheet canvas").first).to_be_visible()


def test_heat_maps_are_outlined_as_in_the_reports(visit: Callable[..., Page]) -> None:
    heatmap = np.random.default_rng(4).normal(size=(5, 5)).astype(np.float32)
    side = 192
    # white on black: nothing but the outline is left of the face
    drawn = overlay(np.zeros((side, side, 3), np.uint8), heatmap)[..., 0] > 128
    code = """async ([heatmap, side]) => {
        const { drawHeat } = await import('/heat.js');
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [side, side];
        const context = canvas.getContext('2d');
        drawHeat(context, { heatmap, corners: [[0, 0], [side, 0], [side, side], [0, side]] }, 1);
        const { data } = context.getImageData(0, 0, side, side);
        return Array.from({ length: side * side }, (_, i) => data[4 * i] > 128);
    }"""
    shown = np.array(visit().evaluate(code, [heatmap.tolist(), side])).reshape(side, side)
    inside = slice(6, -6)  # what lies at the border is clipped
    drawn, shown = drawn[inside, inside], shown[inside, inside]
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert shown.sum() > 100
    assert (shown & near).sum() > 0.97 * shown.sum()
    near = cv2.dilate(shown.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert (drawn & near).sum() > 0.97 * drawn.sum()


def test_looking_closer_and_saving_a_frame(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    give(page, demo / "2-generated.jpg")
    judged(page)
    page.get_by_role("button", name="Look closer").click()
    dialog = page.get_by_role("dialog")
    before = dialog.locator("output").inner_text()
    page.keyboard.press("+")
    expect(dialog.locator("output")).not_to_have_text(before)
    page.keyboard.press("1")
    expect(dialog.locator("output")).to_have_text("100 %")
    with page.expect_download() as waiting:
        dialog.get_by_role("button", name="Save as PNG").click()
    with Image.open(waiting.value.path()) as saved:
        saved.load()  # checksums too
        words = saved.text["Description"]  # type: ignore[attr-defined]
        assert saved.size == Image.open(demo / "2-generated.jpg").size
    assert "2-generated.jpg: " in words
    assert "sha-256 of the file: " in words
    page.keyboard.press("m")  # without marks
    with page.expect_download() as waiting:
        dialog.get_by_role("button", name="Save as PNG").click()
    plain = np.asarray(Image.open(waiting.value.path()).convert("RGB"), int)
    given = np.asarray(Image.open(demo / "2-generated.jpg").convert("RGB"), int)
    assert np.abs(plain - given).mean() < 3
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_summary_is_passed_on(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    give(page, demo / "2-generated.jpg")
    judged(page)
    page.get_by_role("button", name="Copy a summary").click()
    expect(page.get_by_text("The summary is in the clipboard.")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("2-generated.jpg: ")
    assert "A screening aid, not proof." in text
    links = page.locator(".links a").all()
    assert len(links) == 4
    assert all("noopener" in (link.get_attribute("rel") or "") for link in links)


def test_who_knows_better_saves_a_line_for_a_set_of_known_files(
    visit: Callable[..., Page], demo: Path, tmp_path: Path
) -> None:
    page = visit()
    give(page, demo / "2-generated.jpg")
    judged(page)
    page.get_by_text("I know better: this verdict is wrong").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="It is real").click()
    path = tmp_path / "known.jsonl"
    download.value.save_as(path)
    (known,) = read_known(path)
    assert (known.expected, known.path) == ("real", "2-generated.jpg")
    assert known.sha256 == hashlib.sha256((demo / "2-generated.jpg").read_bytes()).hexdigest()
    assert known.before is not None
    assert known.before["label"] == "inconclusive"  # the server of the tests judges by brightness


def test_many_files_together(visit: Callable[..., Page], demo: Path, portrait: bytes) -> None:
    page = visit()
    names = ["1-photograph.jpg", "2-generated.jpg", "6-no-face.jpg"]
    give(page, *[demo / name for name in names], ("=cmd.mp4", b"no video " * 100))
    judged(page, 4)
    assert page.locator(".entry-name").all_inner_texts() == [*names, "=cmd.mp4"]
    page.get_by_role("button", name="not checked 1").click()
    expect(page.locator("#list li")).to_have_count(1)
    page.get_by_role("button", name="all 4").click()
    page.get_by_label("Order").select_option("suspicion")
    shares = [re.search(r"(\d+).%", words) for words in page.locator(".state").all_inner_texts()]
    numbers = [int(share[1]) for share in shares if share]
    assert len(numbers) == 2
    assert numbers == sorted(numbers, reverse=True)
    assert page.locator(".entry-name").last.inner_text() == "=cmd.mp4"
    page.get_by_label("Order").select_option("given")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the table (CSV)").click()
    rows = list(csv.DictReader(waiting.value.path().read_text("utf-8-sig").splitlines()))
    assert [row["file"] for row in rows] == [*names, "'=cmd.mp4"]  # no formula
    assert [row["verdict"] for row in rows][2:] == ["not_applicable", "failed"]
    assert len(rows[0]["sha256"]) == 64
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save all reports (ZIP)").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert archive.testzip() is None
        reports = [
            f"{number:03}-{name}-report.{kind}"
            for number, name in enumerate(names, 1)
            for kind in ("html", "json")
        ]
        assert sorted(archive.namelist()) == [*reports, "unmask.csv"]
    page.locator(".brand").click()  # does not begin a new visit
    expect(page.locator("#list li")).to_have_count(4)


def test_a_folder(visit: Callable[..., Page], demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    (folder / "inner").mkdir(parents=True)
    shutil.copy(demo / "2-generated.jpg", folder / "inner")
    (folder / ".DS_Store").write_bytes(b"1")
    page = visit()
    page.locator("#folder").set_input_files(folder)
    judged(page)
    assert page.locator(".entry-name").all_inner_texts() == ["2-generated.jpg"]


def test_a_warning_comes_before_a_result_is_deleted(
    visit: Callable[..., Page], serve: Callable[..., Served], demo: Path
) -> None:
    server = serve(workers=1, limits={"keep_s": 8.0})
    page = visit(server.url)
    give(page, demo / "2-generated.jpg")
    judged(page)
    expect(page.locator(".warn")).to_contain_text("about to delete this result")
    expect(page.locator(".warn")).to_contain_text("has expired on the server")
    page.get_by_role("button", name="Check again").click()
    judged(page)
    expect(page.locator("#headline")).to_be_visible()


def test_a_link_instead_of_a_file(
    visit: Callable[..., Page],
    serve: Callable[..., Served],
    site: Callable[[str, Answer], str],
    demo: Path,
) -> None:
    server = serve(workers=1, limits={"links": True}, this_machine_is_public=True)
    page = visit(server.url)
    page.get_by_label("Or a link to a file").fill(
        site("/x/face.jpg", sends((demo / "2-generated.jpg").read_bytes()))
    )
    page.get_by_role("button", name="Check", exact=True).click()
    judged(page)
    expect(page.locator(".entry-name")).to_have_text("face.jpg")
    eventually(page, lambda: page.locator(".stage img").evaluate("i => i.naturalWidth") > 100)
    clip = site("/x/clip.mp4", sends((demo / "5-generated.mp4").read_bytes()))
    page.get_by_label("Or a link to a file").fill(clip)
    page.keyboard.press("Enter")
    judged(page, 2)
    eventually(page, lambda: page.locator(".stage img").evaluate("i => i.naturalWidth") > 100)
    expect(page.get_by_role("slider", name="Probability of fake over time")).to_be_visible()
    page.get_by_label("Or a link to a file").fill(site("/none.mp4", sends(b"", 404)))
    page.keyboard.press("Enter")
    judged(page, 3)
    expect(page.locator(".panel.failed")).to_contain_text("The server answers 404")


def test_printing_gives_the_report(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    give(page, demo / "2-generated.jpg")
    judged(page)
    page.emulate_media(media="print")
    expect(page.locator("#headline")).to_be_visible()
    for gone in (".drop", ".bar", "#visit", ".next"):
        expect(page.locator(gone)).to_be_hidden()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".result details:not([open])").count() == 0


def test_the_api_has_a_page(visit: Callable[..., Page], served: Served) -> None:
    page = visit()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="API").click()
    described = opened.value
    expect(described.get_by_role("heading", name="POST /v1/scans", exact=True)).to_be_visible()
    paths = httpx.get(f"{served.url}openapi.json").json()["paths"]
    expect(described.locator("#operations > section")).to_have_count(
        sum(len(methods) for methods in paths.values())
    )


def test_several_people(visit: Callable[..., Page], two_people: Path) -> None:
    page = visit()
    give(page, two_people)
    judged(page)
    expect(page.locator(".people li")).to_have_count(2)
    expect(page.locator(".timeline .course")).to_have_count(2)
    labels = page.locator(".people .pill").all_inner_texts()
    assert len(set(labels)) == 2
    page.get_by_role("button", name="Show person 2").click()
    expect(page.locator(".faces li")).to_have_count(2)


def test_a_video_that_the_browser_cannot_play(
    visit: Callable[..., Page], two_people: Path, tmp_path: Path
) -> None:
    import av

    with av.open(str(two_people)) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    old = write_video(tmp_path / "old.avi", frames, codec="mpeg4")
    page = visit()
    give(page, old)
    judged(page)
    expect(page.locator(".notice")).to_contain_text("cannot play")
    expect(page.locator(".faces li")).to_have_count(2)
    shown = page.locator(".screen img").get_attribute("src")
    assert page.locator(".screen img").evaluate("i => i.naturalWidth") == 720
    eventually(page, lambda: painted(page) > 500)
    page.get_by_role("slider", name="Probability of fake over time").press("Home")
    expect(page.locator(".screen img")).not_to_have_attribute("src", shown or "")
    expect(page.locator(".faces li")).to_have_count(2)


def test_several_files_in_a_row_and_one_that_is_none(
    visit: Callable[..., Page], demo: Path
) -> None:
    page = visit()
    broken = ("broken.mp4", b"no video " * 100)
    give(page, demo / "1-photograph.jpg", broken, demo / "6-no-face.jpg")
    judged(page, 3)
    page.get_by_role("button", name="broken.mp4").click()
    expect(page.locator("#failed-title")).to_contain_text("broken.mp4 could not be checked")
    expect(page.locator(".panel.failed")).to_contain_text("Neither a picture nor a video")
    page.get_by_role("button", name="6-no-face.jpg").click()
    expect(page.locator("#headline")).to_contain_text("no face")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#list li")).to_have_count(2)


def test_a_file_that_is_too_large_is_told_before_it_is_sent(
    visit: Callable[..., Page], serve: Callable[..., Served], demo: Path
) -> None:
    server = serve(workers=1, limits={"upload_bytes": 20_000})
    page = visit(server.url)
    give(page, demo / "2-generated.jpg")
    judged(page)
    expect(page.locator(".panel.failed")).to_contain_text("The server takes up to")
    assert server.metric("unmask_uploaded_bytes_total") == 0


def test_the_server_goes_away_and_comes_back(
    visit: Callable[..., Page], serve: Callable[..., Served], demo: Path
) -> None:
    server = serve(workers=1)
    page = visit(server.url)
    server.kill()
    give(page, demo / "2-generated.jpg")
    expect(page.locator(".doing")).to_contain_text("does not respond")
    expect(page.locator("#server")).to_contain_text("does not respond")
    serve(workers=1, port=server.port)
    judged(page)
    expect(page.locator("#headline")).to_be_visible()
    expect(page.locator("#server[data-state=ready]")).to_be_visible()


def test_a_server_that_was_restarted_is_sent_the_file_again(
    visit: Callable[..., Page], serve: Callable[..., Served], long_clip: bytes
) -> None:
    server = serve(workers=1)
    page = visit(server.url)
    give(page, ("long.mp4", long_clip))
    expect(page.locator(".doing")).to_contain_text("faces", timeout=20_000)
    server.kill()
    serve(workers=1, port=server.port)
    judged(page)
    expect(page.locator("#headline")).to_contain_text("no face")


def test_the_keyboard_alone(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    files = [str(demo / "5-generated.mp4"), str(demo / "2-generated.jpg")]
    # early: the browser takes a moment to hand it over
    page.on("filechooser", lambda chooser: chooser.set_files(files))
    page.wait_for_timeout(300)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.locator("#choose").evaluate("b => b === document.activeElement"):
            break
    expect(page.locator("#choose")).to_be_focused()
    page.keyboard.press("Enter")
    judged(page, 2)
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate_handle("document.activeElement").evaluate(
                "e => e.id || e.className || e.textContent"
            )
        )
    assert {"entry", "timeline"} <= seen
    page.locator(".entry").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_focused()


@pytest.mark.parametrize(
    ("event", "field"), [("DragEvent", "dataTransfer"), ("ClipboardEvent", "clipboardData")]
)
def test_dropping_and_pasting(
    visit: Callable[..., Page], portrait: bytes, event: str, field: str
) -> None:
    page = visit()
    code = """(body, [bytes, event, field]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'given.jpg', { type: 'image/jpeg' }));
        const name = event === 'DragEvent' ? 'drop' : 'paste';
        const options = { [field]: data, bubbles: true, cancelable: true };
        document.dispatchEvent(new window[event](name, options));
    }"""
    page.locator("body").evaluate(code, [list(portrait), event, field])
    judged(page)
    expect(page.locator(".entry-name")).to_have_text("given.jpg")


def test_a_key_is_asked_for(
    visit: Callable[..., Page], serve: Callable[..., Served], demo: Path, browser: Browser
) -> None:
    server = serve(workers=1, keys=["sesame"])
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url)
    field = page.get_by_label("API key")
    expect(field).to_be_visible()
    field.fill("sesame")
    field.blur()
    expect(page.locator("#server[data-state=ready]")).to_be_visible()
    give(page, demo / "2-generated.jpg")
    judged(page)
    expect(page.locator("#headline")).to_be_visible()
    expect(page.locator(".stage img")).to_be_visible()
    context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360], ids=["desktop", "phone"])
def test_accessible_and_fitting(
    visit: Callable[..., Page], two_people: Path, width: int, dark: bool
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(width=width, height=740, color_scheme="dark" if dark else "light", bypass_csp=True)
    for state in ("empty", "judged", "de", "es", "closer", "failed"):
        if state == "judged":
            give(page, two_people)
            judged(page)
            for summary in page.locator("summary").all():
                summary.click()
        if state in LANGUAGES:
            page.locator("#language").select_option(state)
            expect(page.locator("html")).to_have_attribute("lang", state)
        if state == "closer":
            page.locator("#language").select_option("en")
            page.get_by_role("button", name="Look closer").click()
        if state == "failed":
            page.keyboard.press("Escape")
            give(page, ("a.mp4", b"none"))
            judged(page, 2)
        found = [
            fault
            for fault in Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert not found, (
            state,
            [(fault["id"], [node["html"][:200] for node in fault["nodes"]]) for fault in found],
        )
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], state


def test_a_group_on_a_phone(visit: Callable[..., Page], demo: Path, tmp_path: Path) -> None:
    """Twelve people: eight as cards, the others in a table of five columns."""
    face = Image.open(demo / "2-generated.jpg").convert("RGB").resize((240, 240))
    sheet = Image.new("RGB", (4 * 240, 3 * 240))
    for place in range(12):
        sheet.paste(face, (place % 4 * 240, place // 4 * 240))
    sheet.save(tmp_path / "group.jpg")
    page = visit(width=360, height=740, is_mobile=True, has_touch=True)
    give(page, tmp_path / "group.jpg")
    judged(page)
    expect(page.locator(".people li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_no_face_and_no_rest(visit: Callable[..., Page], demo: Path) -> None:
    page = visit()
    give(page, demo / "6-no-face.jpg")
    judged(page)
    texts = page.locator("article.done").evaluate(
        "e => [...e.childNodes].filter(n => n.nodeType === Node.TEXT_NODE).map(n => n.data)"
    )
    assert texts == []


def test_less_motion(visit: Callable[..., Page]) -> None:
    page = visit(reduced_motion="reduce")
    assert page.locator("#drop").evaluate("e => getComputedStyle(e).transitionDuration") in (
        "0s",
        "",
    )


def test_the_page_is_light() -> None:
    folder = Path(__file__).parents[2] / "src" / "unmask" / "server" / "page"
    assert sum(path.stat().st_size for path in folder.rglob("*.*")) <= PAGE_BYTES


def test_leaving_the_page_leaves_nothing_on_the_server(
    visit: Callable[..., Page], serve: Callable[..., Served], demo: Path
) -> None:
    server = serve(workers=1)
    page = visit(server.url)
    give(page, demo / "2-generated.jpg")
    judged(page)
    assert server.metric("unmask_kept_bytes") > 0
    page.goto("about:blank")
    eventually(page, lambda: server.metric("unmask_kept_bytes") == 0)


def test_the_share_of_fakes_that_only_the_reader_knows(
    visit: Callable[..., Page], demo: Path
) -> None:
    page = visit()
    give(page, demo / "2-generated.jpg", demo / "1-photograph.jpg")
    judged(page, 2)
    asked = page.get_by_label("How common are fakes")
    asked.select_option("1 in 100")
    told = page.locator(".base-rate strong")
    expect(told).to_have_text(re.compile(r"^(more|less)?.*%$"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Web page (HTML)").click()
    assert "Where 0.01 of all files are fake" in download.value.path().read_text()
    # it holds for the other files of the visit too
    page.locator("#list li button").nth(1).click()
    expect(page.get_by_label("How common are fakes")).to_have_value("0.01")


def test_the_page_speaks_the_language_of_its_reader(
    visit: Callable[..., Page], two_people: Path
) -> None:
    page = visit(locale="de-AT")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#choose")).to_have_text("Dateien wählen")
    give(page, two_people)
    judged(page)
    result = page.locator("#result")
    expect(result).to_contain_text("Personen")
    expect(result).not_to_contain_text("What this means")
    # drawn by numbers, not by words with a comma in them
    for zone in page.locator(".ruler .zone").all():
        assert float(zone.get_attribute("width") or 0) > 0
    # a switch, and what is there is said anew
    page.locator("#language").select_option("es")
    expect(page.locator("#choose")).to_have_text("Elegir archivos")
    expect(result).to_contain_text("Lo que significa")
    expect(page.locator("#list li")).to_have_count(1)
    assert not re.search(r"\b(Was das|Personen|gefälscht|echt)\b", page.inner_text("body"))
    with page.expect_download() as download:
        result.get_by_role("button", name="Página web (HTML)").click()
    assert '<html lang="es">' in download.value.path().read_text()
    # the choice is kept
    page.reload()
    expect(page.locator("#choose")).to_have_text("Elegir archivos")
    page.locator("#language").select_option("en")
    expect(page.locator("#choose")).to_have_text("Choose files")
