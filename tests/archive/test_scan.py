"""`unmask scan --ledger` as it is used: real workers, real kills."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.archives import COMMAND, contents, pictures, reports, run
from unmask.archive import (
    ProcessExecutor,
    Run,
    ScanJob,
    ScanPlan,
    make_pass,
    open_source,
    read_ledger,
    spool_of,
)
from unmask.archive.queries import Filter, rows
from unmask.errors import ExecutorError, SourceError


@pytest.fixture
def plan(tiny_bundle: Path) -> Any:
    def make(folder: Path) -> ScanPlan:
        scan_pass = make_pass(
            str(tiny_bundle),
            "yunet",
            frames=4,
            engine="onnxruntime",
            explain=False,
            stability=False,
        )
        return ScanPlan([open_source(str(folder))], {"full": scan_pass})

    return make


@pytest.fixture
def hostile(plan: Any, tmp_path: Path) -> Any:
    """Scans a folder with workers that do what files are named after."""

    def scan(folder: Path, jobs: int = 1, time_s: float = 60.0) -> dict[str, Any]:
        made = plan(folder)
        ledger = tmp_path / "scan.ledger"
        job = ScanJob(made.passes, max_pixels=10**8, spool=spool_of(ledger), time_s=time_s)
        engine = ProcessExecutor(
            job,
            jobs,
            (sys.executable, str(Path(__file__).parents[1] / "helpers" / "hostile_worker.py")),
        )
        with Run(ledger, made) as archive:
            list(archive.outcomes(engine))
        with closing(read_ledger(ledger)) as database:
            return {Path(row["path"]).name: row for row in rows(database, str(ledger), Filter())}

    return scan


def test_from_a_folder_to_a_ledger(tiny_bundle: Path, demo: Path, tmp_path: Path) -> None:
    folder, ledger = tmp_path / "media", tmp_path / "a.ledger"
    shutil.copytree(demo, folder)
    shutil.copy(demo / "2-generated.jpg", folder / "copy.jpg")
    (folder / "broken.jpg").write_text("no picture")
    options = ("--model", tiny_bundle, "--frames", 4, "--ledger", ledger)
    done = run("scan", *options, folder)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"unmask: {folder}/broken.jpg: neither a picture nor a video that can be decoded"
    ]
    assert (
        "8 files: 1 failed, 7 judged; 7 checked now, 1 already known (same content)" in done.stdout
    )
    again = run("scan", *options, "--json", folder)
    assert (again.returncode, again.stdout, again.stderr) == (3, "", "")
    plain = [
        json.loads(line) for line in run("scan", "--json", *options[:4], folder).stdout.splitlines()
    ]
    with closing(read_ledger(ledger)) as database:
        found = {row["path"]: row for row in rows(database, str(ledger), Filter())}
    for row in plain:  # word for word what a plain scan says
        mine = found[row["media"]["path"]]
        assert mine["probability_fake"] == row.get("verdict", {}).get("probability_fake")
        assert mine["label"] == row.get("verdict", {}).get("label")
        assert mine["error_kind"] == row.get("error", {}).get("kind")
        if "settings" in row:
            assert json.loads(mine["settings"]) == row["settings"]
            assert mine["model_sha256"] == row["model"]["sha256"]


def test_json_lines_of_what_this_run_did(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 3)
    options = ("--json", "--model", tiny_bundle, "--ledger", tmp_path / "a.ledger", folder)
    done = run("scan", *options)
    assert done.returncode == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(row["media"]["path"] for row in found) == [
        f"{folder}/{n:03}.png" for n in range(3)
    ]
    assert all(row["schema"] == "unmask.report/1" for row in found)
    (folder / "003.png").write_bytes(b"")
    done = run("scan", *options)
    assert done.returncode == 3
    assert [json.loads(line)["error"]["kind"] for line in done.stdout.splitlines()] == ["empty"]


def test_reports_are_written_as_by_a_plain_scan(
    tiny_bundle: Path, demo: Path, tmp_path: Path
) -> None:
    picture = demo / "2-generated.jpg"
    options = ("scan", "--model", tiny_bundle, "--report")
    assert (
        run(*options, tmp_path / "many", "--ledger", tmp_path / "a.ledger", picture).returncode == 0
    )
    assert run(*options, tmp_path / "one", picture).returncode == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == names
    one, many = (
        json.loads(next((tmp_path / n).glob("*.json")).read_text()) for n in ("one", "many")
    )
    assert one["people"] == many["people"]
    assert one["settings"] == many["settings"]


def test_usage(tiny_bundle: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (("s3://bucket",), "s3://bucket: only possible with --ledger FILE"),
        (("--again", "all", "."), "--again: only possible with --ledger FILE"),
        (("--engine", "ray", "."), "--engine ray: only possible with --ledger FILE"),
        (("--ledger", "x", "--again", "sometimes", "."), "not sometimes"),
        (("--ledger", "x", "--newer-than", "soon", "."), "not 'soon'"),
        (("--ledger", "x", "--budget", "2", "."), "--budget"),
        (
            ("--engine", "openvino", "--engine", "onnxruntime", "."),
            "--engine takes either onnxruntime or openvino",
        ),
    ):
        done = run("scan", *arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "x").exists()
    done = run("scan", "--model", tiny_bundle, "--ledger", tmp_path / "x", tmp_path / "none")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot open" in done.stderr
    (tmp_path / "empty").mkdir()
    done = run("scan", "--model", tiny_bundle, "--ledger", tmp_path / "x", tmp_path / "empty")
    assert (done.returncode, done.stderr) == (
        3,
        f"unmask: {tmp_path}/empty: it holds no picture or video, by their suffixes\n",
    )
    done = run("scan", "--model", "nonesuch", "--ledger", tmp_path / "x", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_a_dry_run_counts_estimates_and_changes_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    folder, ledger = pictures(tmp_path / "p", 30), tmp_path / "a.ledger"
    options = ("scan", "--model", tiny_bundle, "--ledger", ledger, folder)
    done = run(*options, "--dry-run")
    assert done.returncode == 0
    assert "30 pictures and videos found" in done.stdout
    assert "to be judged: 30 of kind image, 0.00 GB" in done.stdout
    assert "of them just now" in done.stdout
    assert not ledger.exists()
    assert run(*options).returncode == 0
    before = contents(ledger)
    pictures(folder / "more", 5, side=65)
    done = run(*options, "--dry-run")
    assert "35 pictures and videos found" in done.stdout
    assert "to be judged: 5 of kind image" in done.stdout
    assert "judged earlier" in done.stdout
    assert contents(ledger) == before


def test_a_file_that_crashes_its_worker_costs_no_other(hostile: Any, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 20)
    (folder / "007.png").rename(folder / "007-crash.png")
    (folder / "011.png").rename(folder / "011-once.png")
    found = hostile(folder)
    assert len(found) == 20
    assert found["007-crash.png"]["error_kind"] == "crashed"
    assert found["007-crash.png"]["state"] == "failed"
    assert found["007-crash.png"]["sha256"]
    assert [row["state"] for row in found.values()].count("judged") == 19


def test_a_file_that_takes_too_long_is_given_up(hostile: Any, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 4)
    (folder / "001.png").rename(folder / "001-slow.png")
    found = hostile(folder, time_s=1.0)
    assert found["001-slow.png"]["error_kind"] == "too_slow"
    assert [row["state"] for row in found.values()].count("judged") == 3


def test_workers_that_cannot_work_are_told_at_once(plan: Any, tmp_path: Path) -> None:
    made = plan(pictures(tmp_path / "p", 1))
    job = ScanJob(made.passes, max_pixels=10**8, spool=tmp_path / "spool")
    for command, said in (
        ((sys.executable, "-c", "pass"), "die at once"),
        ((sys.executable, "-c", "import sys; sys.stdout.write('nonsense')"), "die at once"),
    ):
        with Run(tmp_path / "a.ledger", made) as archive, pytest.raises(ExecutorError, match=said):
            list(archive.outcomes(ProcessExecutor(job, 1, command)))
    gone = replace(made.passes["full"], model=str(tmp_path / "gone.onnx"))
    job = replace(job, passes={"full": gone})
    with (
        Run(tmp_path / "a.ledger", made) as archive,
        pytest.raises(ExecutorError, match="no bundle"),
    ):
        list(archive.outcomes(ProcessExecutor(job, 1)))


def test_a_folder_that_goes_away_stops_the_run(plan: Any, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 200)
    made = plan(folder)
    ledger = tmp_path / "a.ledger"
    engine = ProcessExecutor(ScanJob(made.passes, max_pixels=10**8, spool=spool_of(ledger)), 1)

    def scan_while_it_goes_away() -> None:
        with Run(ledger, made) as archive:
            for number, _ in enumerate(archive.outcomes(engine)):
                if number == 3:
                    folder.rename(tmp_path / "unmounted")
                    folder.mkdir()

    with pytest.raises(SourceError, match="has gone away"):
        scan_while_it_goes_away()
    folder.rmdir()
    (tmp_path / "unmounted").rename(folder)
    assert 4 <= [row[2] for row in contents(ledger)].count("judged") < 200
    with Run(ledger, made) as archive:
        list(archive.outcomes(engine))
    assert [row[2] for row in contents(ledger)] == ["judged"] * 200


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(ledger: Path, judged: int) -> None:
    """Until the ledger has so many."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if ledger.exists():
            with closing(sqlite3.connect(ledger)) as database:
                tables = database.execute(
                    "SELECT count(*) FROM sqlite_schema WHERE name = 'judgements'"
                ).fetchone()
                if (
                    tables[0]
                    and database.execute("SELECT count(*) FROM judgements").fetchone()[0] >= judged
                ):
                    return
        time.sleep(0.01)
    raise AssertionError("nothing is judged")


def test_ctrl_c_finishes_what_is_under_way_and_the_next_run_goes_on(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, ledger = pictures(tmp_path / "p", 400, side=256), tmp_path / "a.ledger"
    options = ("scan", "--model", tiny_bundle, "--ledger", ledger, "--jobs", 1, folder)
    with start(*options) as process:
        wait_for(ledger, 1)
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaint.splitlines() == [
        "unmask: stopping after the files in progress (Ctrl-C again: at once);"
        " the same command resumes",
        "unmask: stopped",
    ]
    states = [row[2] for row in contents(ledger)]
    assert 0 < states.count("judged") < 400
    assert set(states) == {"judged", "pending"}
    assert f"{states.count('judged')} judged" in out
    assert not Path(f"{ledger}-spool").exists()
    assert run(*options).returncode == 0
    assert [row[2] for row in contents(ledger)] == ["judged"] * 400


def test_no_worker_outlives_its_master(tiny_bundle: Path, tmp_path: Path) -> None:
    folder, ledger = pictures(tmp_path / "p", 300, side=256), tmp_path / "a.ledger"
    with start("scan", "--model", tiny_bundle, "--ledger", ledger, "--jobs", 2, folder) as process:
        wait_for(ledger, 1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    assert len(children) == 2
    end = time.monotonic() + 20
    while time.monotonic() < end and any(Path(f"/proc/{child}/exe").exists() for child in children):
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}/exe").exists() for child in children)


@pytest.mark.slow
def test_kills_at_random_moments_leave_the_ledger_of_an_undisturbed_run(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = pictures(tmp_path / "p", 300, side=200)
    for number in range(0, 300, 10):
        shutil.copy(folder / f"{number:03}.png", folder / f"copy-{number:03}.png")
    (folder / "empty.png").touch()
    options = ("scan", "--model", tiny_bundle, "--jobs", 2, folder, "--ledger")
    assert run(*options, tmp_path / "calm.ledger").returncode == 3
    rng = random.Random(7)
    ledger = tmp_path / "killed.ledger"
    kills = 0
    judged = [0]
    while kills < 20:
        with start(*options, ledger) as process:
            try:
                # from before the first table is made to the middle of judging
                process.wait(timeout=rng.uniform(0.2, 2.6))
                process.communicate()
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.communicate()
                kills += 1
        if ledger.exists():
            with closing(sqlite3.connect(ledger)) as database:
                if database.execute("PRAGMA user_version").fetchone()[0]:
                    judged.append(database.execute("SELECT count(*) FROM judgements").fetchone()[0])
        assert judged == sorted(judged)  # nothing that was written is lost
        if judged[-1] == 301:  # done too soon: the rest of the kills at another one
            assert run(*options, ledger).returncode == 3
            assert contents(ledger) == contents(tmp_path / "calm.ledger")
            ledger.unlink()
            judged = [0]
    assert run(*options, ledger).returncode == 3
    assert contents(ledger) == contents(tmp_path / "calm.ledger")
    assert reports(ledger) == reports(tmp_path / "calm.ledger")
