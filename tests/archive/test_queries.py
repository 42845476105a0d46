"""Questions to a ledger: counts, lists, exports, the page, and a report on demand."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.archives import run
from unmask.archive import queries, read_ledger
from unmask.archive.overview import write_overview
from unmask.errors import LedgerError, OutputError

DOCS = (Path(__file__).parent.parent.parent / "docs" / "archive.md").read_text()


@pytest.fixture
def ledger(scan: Any, folder: Path, tmp_path: Path) -> Path:
    """Five judged files, one that failed, one postponed; a name with markup and a line break."""
    (folder / "b" / "<b>bold\n.jpg").write_bytes(b"\xf8x")
    (folder / "empty.jpg").touch()
    (folder / "nowhere.jpg").symlink_to(folder / "none")
    scan()
    return tmp_path / "scan.ledger"


def test_what_a_run_passed_over_stands_in_the_summary(
    scan: Any, folder: Path, tmp_path: Path
) -> None:
    for name in ("notes.txt", "more.txt", "README", ".hidden.jpg"):
        (folder / name).write_text("words")
    scan()
    with closing(read_ledger(tmp_path / "scan.ledger")) as database:
        (run_row,) = queries.summary(database, "it")["runs"]
    assert run_row["passed_over"] == {".txt": 2, "without a suffix": 1, "hidden": 1}


def test_summary(ledger: Path, folder: Path) -> None:
    with closing(read_ledger(ledger)) as database:
        total = queries.summary(database, "it")
        by = {by: queries.groups(database, "it", by) for by in queries.By}
    counts = {key: total[key] for key in queries.COUNTED}
    assert counts == {
        "files": 8,
        "fake": 4,
        "real": 1,
        "inconclusive": 1,
        "not_applicable": 0,
        "failed": 1,
        "postponed": 1,
        "pending": 0,
    }
    assert (total["contents"], total["bytes"], total["gone"]) == (5, 12, 0)
    assert [run["judged"] for run in total["runs"]] == [5]
    assert [(row["name"], row["files"], row["fake"]) for row in by[queries.By.FOLDER]] == [
        (str(folder), 4, 2), (f"{folder}/b", 4, 2),
    ]  # fmt: skip
    assert [(row["name"], row["files"]) for row in by[queries.By.ERROR]] == [
        ("empty", 1),
        ("missing", 1),
    ]
    assert [row["name"] for row in by[queries.By.MODEL]] == ["example 1, frames 32"]
    assert len(by[queries.By.DAY]) == 1
    # a link into nowhere has no date
    assert sum(row["files"] for row in by[queries.By.MODIFIED]) == 7


def test_rows_are_filtered_and_the_most_suspected_come_first(ledger: Path, folder: Path) -> None:
    with closing(read_ledger(ledger)) as database:

        def names(limit: int = -1, **asked: Any) -> list[str]:
            found = queries.rows(database, "it", queries.Filter(**asked), limit)
            return [Path(row["path"]).name for row in found]

        assert names(label="fake") == ["a.jpg", "e.png", "<b>bold\n.jpg", "f.mp4"]
        assert names(limit=1) == ["a.jpg"]
        assert names(state="failed") == ["empty.jpg"]
        assert names(error="missing") == ["nowhere.jpg"]
        assert names(below=f"{folder}/b", label="real") == ["c.jpg"]
        assert queries.histogram(database, "it", 4) == [1, 0, 1, 4]


def test_exports(ledger: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    with closing(read_ledger(ledger)) as database:
        for suffix, count in ((".csv", 8), (".parquet", 8), (".jsonl", 6)):
            assert (
                queries.export(database, "it", tmp_path / f"out{suffix}", queries.Filter()) == count
            )
        with pytest.raises(
            OutputError, match=r"\.csv, \.parquet, \.jsonl or \.html, not as 'out.txt'"
        ):
            queries.export(database, "it", tmp_path / "out.txt", queries.Filter())
        with pytest.raises(OutputError, match="cannot write"):
            queries.export(database, "it", tmp_path / "none" / "out.csv", queries.Filter())
    with (tmp_path / "out.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["path"] for row in read] == [row["path"] for row in table]
    assert [row["probability_fake"] for row in table if row["label"] == "inconclusive"] == [0.5]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    # each under its own path, also what was judged once
    assert len({line["media"]["path"] for line in lines}) == 6
    assert not list(tmp_path.glob("*.part"))


def test_the_page(ledger: Path, tmp_path: Path) -> None:
    with closing(read_ledger(ledger)) as database:
        assert write_overview(database, str(ledger), tmp_path / "page.html", queries.Filter()) == 8
        row = queries.find(
            database,
            str(ledger),
            next(iter(queries.rows(database, "it", queries.Filter())))["path"],
        )
        folder = tmp_path / "reports"
        folder.mkdir()
        (folder / f"a.jpg-{row['sha256'][:8]}.html").touch()
        write_overview(database, str(ledger), tmp_path / "linked.html", queries.Filter(), folder)
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert "http" not in page.replace('http-equiv="Content', "")
    # no script but the page's own: the browser is told its digest
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert not re.findall(r'<a href="([^"]+\.html)"', page)
    assert re.findall(r'<a href="([^"]+\.html)"', (tmp_path / "linked.html").read_text()) == [
        f"reports/a.jpg-{row['sha256'][:8]}.html"
    ]


def test_the_page_speaks_in_words(ledger: Path, tmp_path: Path) -> None:
    with closing(read_ledger(ledger)) as database:
        write_overview(database, str(ledger), tmp_path / "page.html", queries.Filter())
    page = (tmp_path / "page.html").read_text()
    assert "the score lies between the thresholds for real and fake" in page
    assert not re.findall(r"<td>[^<]*\b[a-z]+_[a-z_]+", page)  # no codes
    assert "0.0 GB" not in page


@contextmanager
def opened(file: Path) -> Iterator[tuple[Any, list[str]]]:
    """A page in Chromium, and what it says on the console."""
    from playwright.sync_api import sync_playwright

    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.on("console", lambda line: faults.append(line.text))
        page.goto(file.as_uri())
        yield page, faults
        browser.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium")
def test_thumbnails_when_they_are_asked_for(tiny_bundle: Path, demo: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    media, ledger = tmp_path / "media", tmp_path / "a.ledger"
    media.mkdir()
    for name in ("2-generated.jpg", "5-generated.mp4"):
        (media / name).write_bytes((demo / name).read_bytes())
    (media / "broken.jpg").write_bytes(b"no picture")
    scan = ["scan", str(media), "--ledger", str(ledger), "--model", str(tiny_bundle)]
    export = ["ledger", "export", str(ledger), "--out", str(tmp_path / "page.html")]
    for command in (scan, export):
        subprocess.run([sys.executable, "-m", "unmask", *command], capture_output=True, check=False)
    with opened(tmp_path / "page.html") as (page, faults):
        expect(page.locator(".thumb")).to_have_count(0)
        page.get_by_label("Show pictures").check()
        expect(page.locator("img.thumb, video.thumb")).to_have_count(2)
        page.wait_for_function("document.querySelector('img.thumb').naturalWidth > 0")
        page.wait_for_function("document.querySelector('video.thumb').videoWidth > 0")
        page.get_by_label("Show pictures").uncheck()
        expect(page.locator(".thumb")).to_have_count(0)
    assert not [fault for fault in faults if "Content Security" in fault]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium")
def test_the_page_in_a_browser(ledger: Path, tmp_path: Path) -> None:
    page_file = tmp_path / "page.html"
    with closing(read_ledger(ledger)) as database:
        write_overview(database, str(ledger), page_file, queries.Filter())
    with opened(page_file) as (page, faults):
        rows = page.locator("#files tbody tr:visible")
        assert rows.count() == 8
        page.get_by_label("Verdict").select_option("none")
        assert 0 < rows.count() < 8
        page.get_by_label("Verdict").select_option("")
        page.get_by_role("button", name="probability of fake").click()
        page.get_by_role("button", name="probability of fake").click()  # the other way round
        numbers = [row.locator("td.number").inner_text() for row in rows.all()]
        found = [float(number) for number in numbers if number != "–"]
        assert found == sorted(found)
        page.get_by_label("Path contains").fill("nothing like this")
        assert rows.count() == 0
        assert page.locator("#shown").inner_text() == "0 of 8 files"
    assert not faults


def test_one_file(ledger: Path, folder: Path) -> None:
    with closing(read_ledger(ledger)) as database:
        row = queries.find(database, "it", f"{folder}/b/e.png")
        assert queries.find(database, "it", row["sha256"][:10])["path"] == f"{folder}/a.jpg"
        found = queries.report_of(database, "it", row)
        assert found is not None
        assert found["media"]["path"] == f"{folder}/b/e.png"
        for which in ("none.jpg", row["sha256"][:7]):
            with pytest.raises(LedgerError, match="knows no file"):
                queries.find(database, "it", which)


def test_the_command_line(tiny_bundle: Path, demo: Path, tmp_path: Path) -> None:
    ledger, picture = tmp_path / "a.ledger", tmp_path / "media" / "a.jpg"
    picture.parent.mkdir()
    picture.write_bytes((demo / "2-generated.jpg").read_bytes())
    (picture.parent / "empty.jpg").touch()
    assert run("scan", "--model", tiny_bundle, "--ledger", ledger, picture.parent).returncode == 3
    done = run("ledger", "summary", ledger, "--by", "folder")
    assert done.returncode == 0
    assert "2 files, 1 contents" in done.stdout
    assert str(picture.parent)[:20] in done.stdout
    errors = json.loads(run("ledger", "summary", ledger, "--by", "error", "--json").stdout)[
        "by_error"
    ]
    assert [row["name"] for row in errors] == ["empty"]
    listed = run("ledger", "list", ledger, "--state", "failed")
    assert listed.stdout.split(maxsplit=3)[1:3] == ["failed", str(picture.parent / "empty.jpg")]
    assert json.loads(run("ledger", "list", ledger, "--limit", 1, "--json").stdout)["path"] == str(
        picture
    )
    done = run("ledger", "report", ledger, picture, "--out", tmp_path / "r", "--model", tiny_bundle)
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "r").glob("*.json")
    tree = json.loads(made.read_text())
    with closing(read_ledger(ledger)) as database:
        known = queries.report_of(database, "it", queries.find(database, "it", str(picture)))
    assert known is not None
    assert tree["verdict"] == known["verdict"]
    assert tree["people"][0]["exhibits"]
    done = run(
        "ledger", "export", ledger, "--out", tmp_path / "page.html", "--reports", tmp_path / "r"
    )
    assert done.returncode == 0
    assert f'<a href="r/{made.stem}.html"' in (tmp_path / "page.html").read_text()
    done = run("ledger", "report", ledger, picture, "--out", tmp_path / "r")
    assert (done.returncode, "name the other with --model" in done.stderr) == (1, True)
    picture.write_bytes((demo / "3-generated.jpg").read_bytes())
    done = run("ledger", "report", ledger, picture, "--out", tmp_path / "r", "--model", tiny_bundle)
    assert (done.returncode, "has changed since it was judged" in done.stderr) == (1, True)
    done = run("ledger", "report", ledger, picture.parent / "empty.jpg", "--out", tmp_path / "r")
    assert (done.returncode, "has no verdict: the file is empty" in done.stderr) == (1, True)
    assert run("ledger", "summary", tmp_path / "none").returncode == 1


def test_duckdb_reads_it_as_the_docs_say(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    with closing(read_ledger(ledger)) as database:
        queries.export(database, "it", tmp_path / "files.parquet", queries.Filter())
    (block,) = re.findall(r"```sql\n(.*?)```", DOCS, flags=re.DOTALL)
    statements = [query for query in block.split(";") if query.strip()]
    assert len(statements) >= 2
    for query in statements:
        assert duckdb.sql(query).fetchall()
