"""The command line as other programs call it: streams, exit codes, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from corpus.members import MEMBERS
from helpers.clips import write_sound, write_video

COMMAND = [sys.executable, "-m", "unmask"]

PASSED_OVER = (
    "unmask: 2 files were passed over, being neither pictures nor videos: 1 .py, 1 .json\n"
)
"""What is said of the demo's folder, on stderr."""


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def portrait(demo: Path) -> Path:
    return demo / "2-generated.jpg"


def test_json_lines_one_a_file_and_nothing_else(tiny_bundle: Path, demo: Path) -> None:
    done = run("scan", "--json", "--model", tiny_bundle, "--frames", 4, demo)
    assert done.returncode == 0
    assert done.stderr == PASSED_OVER
    found = lines(done)
    assert [Path(row["media"]["path"]).name for row in found] == sorted(
        p.name for p in demo.iterdir() if p.name[0] in "123456"
    )
    assert all(row["schema"] == "unmask.report/1" for row in found)
    assert found[-1]["verdict"] == {
        "label": "not_applicable",
        "probability_fake": None,
        "reasons": ["no_face"],
    }
    assert found[4]["media"]["frames_read"] == 4


def test_a_bar_on_the_terminal_keeps_the_results_on_stdout(
    tiny_bundle: Path, demo: Path, tmp_path: Path
) -> None:
    import pty

    terminal, end = pty.openpty()
    with (tmp_path / "out.jsonl").open("w") as out:
        command = [
            *COMMAND,
            "scan",
            "--json",
            "--model",
            str(tiny_bundle),
            "--frames",
            "2",
            str(demo),
        ]
        process = subprocess.Popen(command, stdout=out, stderr=end)
        os.close(end)
        encode_path = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # the other end was closed
                break
            if not part:
                break
            encode_path += part
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert b"file 6 of 6: " in encode_path
    assert b"unmask.report" not in encode_path
    assert (
        len([json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]) == 6
    )


def test_a_table_for_people(tiny_bundle: Path, portrait: Path) -> None:
    done = run("scan", "--model", tiny_bundle, portrait)
    assert done.returncode == 0
    for part in (
        "Verdict",
        "Why",
        "Probability of fake",
        "Person 1",
        "decode",
        "find faces",
        "score",
    ):
        assert part in done.stdout


def test_the_probability_at_the_users_share_of_fakes(tiny_bundle: Path, portrait: Path) -> None:
    plain = lines(run("scan", "--json", "--model", tiny_bundle, portrait))[0]["verdict"]
    assert "prevalence" not in plain
    (row,) = lines(run("scan", "--json", "--model", tiny_bundle, "--prevalence", "0.01", portrait))
    p = plain["probability_fake"]
    expected = p * 0.01 / (p * 0.01 + (1 - p) * 0.99)
    assert row["verdict"]["probability_fake_at_prevalence"] == pytest.approx(expected, abs=1e-5)
    assert {k: v for k, v in row["verdict"].items() if "prevalence" not in k} == plain
    assert (
        "if 0.01 of the files you check are fakes"
        in run("scan", "--model", tiny_bundle, "--prevalence", "0.01", portrait).stdout
    )
    assert run("scan", "--model", tiny_bundle, "--prevalence", "2", portrait).returncode == 2


def test_explain_and_report(tiny_bundle: Path, portrait: Path, tmp_path: Path) -> None:
    done = run(
        "scan",
        "--json",
        "--model",
        tiny_bundle,
        "--explain",
        "--report",
        tmp_path / "out",
        portrait,
    )
    assert done.returncode == 0
    (row,) = lines(done)
    assert np.array(row["people"][0]["faces"][0]["heatmap"]).shape == (4, 4)
    name = f"2-generated.jpg-{row['media']['sha256'][:8]}"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}{end}" for end in (".json", ".html", ".pdf")
    }
    written = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    made = written.pop("made")
    assert written == row
    assert made["by"].startswith("unmask ")
    assert "--report" in made["command"]


def test_signing_and_verifying(tiny_bundle: Path, portrait: Path, tmp_path: Path) -> None:
    key, out = tmp_path / "key.pem", tmp_path / "out"
    assert run("report", "new-key", key).returncode == 0
    done = run("scan", "--model", tiny_bundle, "--report", out, "--sign", key, portrait)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.json")
    assert run("report", "verify", path).returncode == 0
    assert run("report", "verify", path, "--key", f"{key}.pub").returncode == 0
    path.write_text(path.read_text().replace('"image"', '"video"', 1))
    changed = run("report", "verify", path)
    assert changed.returncode == 1
    assert "changed after it was signed" in changed.stderr
    assert (
        run(
            "scan", "--model", tiny_bundle, "--report", tmp_path / "b", "--sign", key, portrait
        ).returncode
        == 0
    )
    (whole,) = (tmp_path / "b").glob("*.json")
    both = run("report", "verify", path, whole)  # one that fails does not hide the other
    assert both.returncode == 1
    assert f"{whole}: unchanged" in both.stdout
    # without --report
    assert run("scan", "--model", tiny_bundle, "--sign", key, portrait).returncode == 2
    assert run("scan", "--report", out, "--sign", tmp_path / "none.pem", portrait).returncode == 1


def test_bad_files_each_get_an_error_and_the_good_ones_a_verdict(
    tiny_bundle: Path, portrait: Path, tmp_path: Path
) -> None:
    import av

    content = portrait.read_bytes()
    (tmp_path / "a-empty.jpg").touch()
    (tmp_path / "b-text.mp4").write_text("no video\n" * 50)
    (tmp_path / "c-truncated.jpg").write_bytes(content[: len(content) // 2])
    with av.open(str(tmp_path / "d-sound.mp4"), "w") as container:
        write_sound(container, container.add_stream("aac", rate=44100))
    write_video(tmp_path / "e-one-frame.mp4", 1)
    (tmp_path / "f-good.jpg").write_bytes(content)
    done = run("scan", "--json", "--model", tiny_bundle, tmp_path, tmp_path / "missing.jpg")
    assert done.returncode == 3
    found = {Path(row["media"]["path"]).name: row for row in lines(done)}
    assert {name: row["error"]["kind"] for name, row in found.items() if "error" in row} == {
        "a-empty.jpg": "empty",
        "b-text.mp4": "unknown_format",
        "d-sound.mp4": "no_video",
        "missing.jpg": "missing",
    }
    assert found["c-truncated.jpg"]["media"]["read_share"] < 1
    assert "media_truncated" in found["c-truncated.jpg"]["verdict"]["reasons"]
    assert found["e-one-frame.mp4"]["media"]["frames_read"] == 1
    assert found["f-good.jpg"]["verdict"]["probability_fake"] is not None
    assert all(row["error"]["message"] for row in found.values() if "error" in row)


def test_for_people_errors_are_one_line_on_stderr(
    tiny_bundle: Path, portrait: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    done = run("scan", "--model", tiny_bundle, tmp_path / "empty.jpg", portrait)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"unmask: {tmp_path / 'empty.jpg'}: the file is empty (0 bytes)"
    ]
    assert "Verdict" in done.stdout
    assert "1 failed" in done.stdout


def test_a_folder_with_nothing_to_judge(tiny_bundle: Path, tmp_path: Path) -> None:
    done = run("scan", "--json", "--model", tiny_bundle, tmp_path)
    assert done.returncode == 3
    assert lines(done)[0]["error"]["kind"] == "nothing_to_judge"


def test_the_bound_on_pixels_is_an_option(tiny_bundle: Path, portrait: Path) -> None:
    done = run("scan", "--json", "--model", tiny_bundle, "--max-pixels", 1000, portrait)
    assert done.returncode == 3
    assert lines(done)[0]["error"]["kind"] == "too_large"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tiny_bundle: Path, portrait: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(portrait.read_bytes())
    (tmp_path / "a.jpg").chmod(0)
    done = run("scan", "--json", "--model", tiny_bundle, tmp_path / "a.jpg")
    assert done.returncode == 3
    assert lines(done)[0]["error"]["kind"] == "unreadable"


def test_a_corrupt_bundle_fails_before_any_file(
    tiny_bundle: Path, portrait: Path, tmp_path: Path
) -> None:
    content = bytearray(tiny_bundle.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "bad.onnx").write_bytes(content)
    done = run("scan", "--json", "--model", tmp_path / "bad.onnx", portrait)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "is refused" in done.stderr


def test_unknown_names_are_told(portrait: Path, tiny_bundle: Path) -> None:
    done = run("scan", "--model", "nonesuch", portrait)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "nonesuch" in done.stderr
    done = run("scan", "--model", tiny_bundle, "--faces", "magic", portrait)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "yunet, mtcnn, dlib" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["scan"], ["scan", "--frames", "0", "x.jpg"], ["nonesuch"], ["scan", "--no-such", "x"]],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_an_unwritable_report_folder_fails_before_any_work(
    tiny_bundle: Path, portrait: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = run("scan", "--model", tiny_bundle, "--report", tmp_path / "file" / "out", portrait)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "cannot write into" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_on_stdout_is_told(tiny_bundle: Path, portrait: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "scan", "--json", "--model", str(tiny_bundle), str(portrait)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "unmask: cannot write the output: No space left on device\n"


def test_libraries_do_not_write_to_stderr(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "holed.tif"
    MEMBERS["packed.tif"](path)
    content = bytearray(path.read_bytes())
    content[9000:9200] = bytes(200)  # libtiff would complain of the code not in its table
    path.write_bytes(content)
    done = run("scan", "--model", tiny_bundle, path)
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr


def test_a_reader_that_goes_away_is_no_fault(tiny_bundle: Path, demo: Path) -> None:
    command = f"{sys.executable} -m unmask scan --json --model {tiny_bundle} {demo} | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == PASSED_OVER


@pytest.fixture
def heeded_ctrl_c() -> Iterator[None]:
    """Processes heed Ctrl-C, also where the tests run in the background of a shell's script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_stops_at_once_and_leaves_whole_lines(tiny_bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(400):
        Image.fromarray(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)).save(
            tmp_path / f"{number:03}.jpg"
        )
    command = [*COMMAND, "scan", "--json", "--model", str(tiny_bundle), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        rest, complaint = process.stdout.read(), process.stderr.read()
        assert process.wait(timeout=30) == 130
        assert time.monotonic() - started < 3
    assert complaint == b"unmask: stopped\n"
    printed = (first + rest).decode().splitlines()
    assert 1 <= len(printed) < 400
    assert all(json.loads(line)["media"]["path"] for line in printed)


def test_models(tiny_bundle: Path, tmp_path: Path) -> None:
    assert "default" in run("models", "list").stdout
    encode_path = run("models", "show", tiny_bundle, "--json")
    assert json.loads(encode_path.stdout)["name"] == "example"
    assert "real at P ≤" in run("models", "show", tiny_bundle).stdout
    assert "self-test passed" in run("models", "check", tiny_bundle).stdout
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    done = run("models", "check", tmp_path / "bad.onnx")
    assert done.returncode == 1
    assert "no ONNX file" in done.stderr


def test_doctor() -> None:
    done = run("doctor")
    assert done.returncode == 0
    for part in ("Python", "onnxruntime", "self-test passed", "face finder yunet", "[openvino]"):
        assert part in done.stdout


def test_the_demo() -> None:
    done = run("demo")
    assert done.returncode == 0
    for part in (
        "truth: real, a photograph",
        "truth: fake, wholly generated",
        "NASA",
        "CC0",
        "NOT APPLICABLE",
    ):
        assert part in done.stdout


def test_recipes(tmp_path: Path) -> None:
    assert "unmask-lite0" in run("recipes", "list").stdout
    assert "backbone: efficientnet_lite0" in run("recipes", "show", "unmask-lite0").stdout
    assert run("recipes", "check", "unmask-lite0").returncode == 0
    assert run("recipes", "copy", "unmask-lite0", tmp_path / "mine.yaml").returncode == 0
    assert run("recipes", "copy", "unmask-lite0", tmp_path / "mine.yaml").returncode == 1
    done = run(
        "recipes",
        "check",
        tmp_path / "mine.yaml",
        "--set",
        "train.batch=none",
        "--set",
        "model.colour=blue",
    )
    assert done.returncode == 1
    assert "2 fault(s)" in done.stderr


def test_notes_go_into_reports(tiny_bundle: Path, demo: Path, tmp_path: Path) -> None:
    asked = [*COMMAND, "scan", "--model", str(tiny_bundle), str(demo / "2-generated.jpg")]
    asked += ["--case-name", "Case 7", "--notes", "seen by me"]
    alone = subprocess.run(asked, check=False, capture_output=True, text=True)
    assert alone.returncode == 2
    assert "--report" in alone.stderr
    asked += ["--report", str(tmp_path)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    (page,) = tmp_path.glob("*.html")
    assert f"report: {page}" in done.stdout
    assert "Case 7" in page.read_text()
