"""Cases: what is written, and what is noticed when somebody changes it."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.time_authority import make_authority, time_authority
from unmask.custody import CaseLog, verify_case
from unmask.errors import SignatureError
from unmask.report.signature import add_time, new_key, read_key, sign, stamped, verify
from unmask.report.timestamp import check_stamp, stamp
from unmask.types import Failure, ModelId

MODEL = ModelId("tiny", "1", "0" * 64)


def failure(name: str) -> Failure:
    return Failure(name, "unknown_format", "no picture")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    new_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and root certificate of a real time authority on this machine."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which gives the time")
    folder = tmp_path_factory.mktemp("authority")
    root = make_authority(folder)
    with time_authority(folder) as address:
        yield address, root


@pytest.fixture
def case(tmp_path: Path, key: Path) -> Path:
    """Three entries; the second has a report."""
    log = CaseLog(tmp_path / "case", read_key(key), who="A. Examiner")
    report = log.reports / "b.json"
    report.write_text("{}")
    evidence = tmp_path / "c.jpg"
    evidence.write_bytes(b"evidence")
    log.add(failure("a.jpg"), MODEL)
    log.add(failure("b.jpg"), MODEL, [report])
    log.add(failure(str(evidence)), MODEL)
    return tmp_path / "case"


def entries(case: Path) -> list[bytes]:
    return (case / "log.jsonl").read_bytes().splitlines()


def rewrite(case: Path, lines: list[bytes]) -> None:
    (case / "log.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def test_each_entry_says_who_when_what_with_which_model(case: Path, key: Path) -> None:
    first, second, third = map(json.loads, entries(case))
    assert (first["who"], first["number"], first["previous"]) == ("A. Examiner", 1, "0" * 64)
    assert datetime.datetime.fromisoformat(first["at"]).tzinfo is not None
    assert first["model"]["sha256"] == "0" * 64
    assert second["previous"] == hashlib.sha256(entries(case)[0]).hexdigest()
    assert second["reports"] == {"b.json": hashlib.sha256(b"{}").hexdigest()}
    assert third["file"]["sha256"] == hashlib.sha256(b"evidence").hexdigest()
    found = verify_case(case, key=key.with_name("key.pem.pub"), files=True)
    assert found.faults == []
    assert len(found.entries) == 3
    assert found.head == hashlib.sha256(entries(case)[-1]).hexdigest()


def test_a_case_is_gone_on_with(case: Path, key: Path) -> None:
    digest = CaseLog(case, read_key(key)).add(failure("d.jpg"), MODEL)
    found = verify_case(case)
    assert (found.faults, len(found.entries), found.head) == ([], 4, digest)


def change_word(case: Path) -> None:
    lines = entries(case)
    rewrite(case, [lines[0].replace(b"A. Examiner", b"B. Examiner"), *lines[1:]])


def leave_out(case: Path) -> None:
    first, _, third = entries(case)
    rewrite(case, [first, third])


def swap(case: Path) -> None:
    first, second, third = entries(case)
    rewrite(case, [second, first, third])


def double(case: Path) -> None:
    rewrite(case, [*entries(case), entries(case)[-1]])


def break_line(case: Path) -> None:
    rewrite(case, [b"{no json", *entries(case)[1:]])


def add_space(case: Path) -> None:
    first, *rest = entries(case)
    rewrite(case, [first.replace(b",", b", ", 1), *rest])


def cut(case: Path) -> None:
    path = case / "log.jsonl"
    path.write_bytes(path.read_bytes()[:-20])


def change_report(case: Path) -> None:
    (case / "reports" / "b.json").write_text("{ }")


def lose_report(case: Path) -> None:
    (case / "reports" / "b.json").unlink()


def change_evidence(case: Path) -> None:
    (case.parent / "c.jpg").write_bytes(b"other")


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (change_word, "entry 1 was changed after it was signed"),
        (leave_out, "entry 2 calls itself 3"),
        (swap, "entry 1 calls itself 2"),
        (double, "entry 4 calls itself 3"),
        (break_line, "entry 1 cannot be read"),
        (add_space, "entry 2 does not follow"),
        (cut, "the last line is not whole"),
        (change_report, "its report b.json is another one now"),
        (lose_report, "its report b.json cannot be read"),
        (change_evidence, "is another one now"),
    ],
)
def test_what_somebody_changes_is_noticed(
    case: Path, tamper: Callable[[Path], None], words: str
) -> None:
    tamper(case)
    found = verify_case(case, files=True)
    assert any(words in fault for fault in found.faults), found.faults


def test_a_log_cut_after_a_whole_line_is_noticed_by_its_digest(case: Path) -> None:
    head = verify_case(case).head
    rewrite(case, entries(case)[:2])
    assert verify_case(case).faults == []  # by itself it looks whole
    assert "cut short" in verify_case(case, head=head).faults[0]


def test_another_key_is_noticed(case: Path, tmp_path: Path) -> None:
    new_key(tmp_path / "other.pem")
    found = verify_case(case, key=tmp_path / "other.pem.pub")
    assert len(found.faults) == 3
    assert "signed by another key" in found.faults[0]


def test_a_log_that_is_not_whole_is_not_gone_on_with(case: Path, key: Path) -> None:
    cut(case)
    with pytest.raises(SignatureError, match="not whole"):
        CaseLog(case, read_key(key))


def test_no_case_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="is no case"):
        verify_case(tmp_path)


# --- time ---


def test_an_authority_confirms_the_time(authority: tuple[str, Path]) -> None:
    address, root = authority
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=2)
    mark = stamp(b"content", address)
    seen = check_stamp(mark, b"content", root)
    assert seen.trusted
    assert before <= seen.time <= datetime.datetime.now(datetime.UTC)
    assert check_stamp(mark, b"content").trusted is None
    with pytest.raises(SignatureError, match="of other content"):
        check_stamp(mark, b"Content", root)


def test_an_authority_nobody_named_is_not_trusted(
    authority: tuple[str, Path], tmp_path: Path
) -> None:
    mark = stamp(b"content", authority[0])
    other = make_authority(tmp_path)
    with pytest.raises(SignatureError, match="does not lead to the authorities"):
        check_stamp(mark, b"content", other)


def test_a_token_that_was_touched_is_noticed(authority: tuple[str, Path]) -> None:
    address, root = authority
    mark = stamp(b"content", address)
    with pytest.raises(SignatureError, match="is broken"):
        check_stamp({**mark, "token": mark["token"][:100]}, b"content", root)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/", "ftp://127.0.0.1/", "nonsense"])
def test_no_authority_is_an_error(address: str) -> None:
    with pytest.raises(SignatureError):
        stamp(b"content", address)


def test_the_entries_of_a_case_have_times(
    authority: tuple[str, Path], tmp_path: Path, key: Path
) -> None:
    address, root = authority
    log = CaseLog(tmp_path / "case", read_key(key), authority=address)
    log.add(failure("a.jpg"), MODEL)
    log.add(failure("b.jpg"), MODEL)
    found = verify_case(tmp_path / "case", authorities=root)
    assert found.faults == []
    assert sorted(found.times) == [1, 2]
    # a token moved to another entry is of other content
    first, second = map(json.loads, entries(tmp_path / "case"))
    first["timestamp"] = second["timestamp"]
    rewrite(tmp_path / "case", [json.dumps(first).encode(), entries(tmp_path / "case")[1]])
    assert any("of other content" in fault for fault in verify_case(tmp_path / "case").faults)


def test_without_the_time_the_entry_stands(tmp_path: Path, key: Path) -> None:
    log = CaseLog(tmp_path / "case", read_key(key), authority="http://127.0.0.1:9/")
    with pytest.raises(SignatureError, match="gives no time"):
        log.add(failure("a.jpg"), MODEL)
    found = verify_case(tmp_path / "case")
    assert (found.faults, len(found.entries), found.times) == ([], 1, {})


def test_a_report_has_its_time_in_the_signature(
    authority: tuple[str, Path], tmp_path: Path, key: Path
) -> None:
    address, root = authority
    report = add_time(sign({"verdict": "fake"}, read_key(key)), address)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert verify(path)
    seen = stamped(path, root)
    assert seen is not None
    assert seen.trusted
    path.write_text(json.dumps(sign({"verdict": "fake"}, read_key(key))))
    assert stamped(path, root) is None


# --- the commands ---


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unmask", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_from_a_scan_to_a_verified_case(
    authority: tuple[str, Path], tmp_path: Path, key: Path, demo: Path, tiny_bundle: Path
) -> None:
    address, root = authority
    case, broken = tmp_path / "case", tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    scanned = run(
        "scan", demo / "2-generated.jpg", broken, "--model", tiny_bundle, "--case", case,
        "--sign", key, "--who", "A. Examiner", "--timestamp", address,
    )  # fmt: skip
    assert scanned.returncode == 3, scanned.stderr
    assert len(list((case / "reports").iterdir())) == 3
    checked = run("case", "verify", case, "--key", f"{key}.pub", "--authorities", root, "--files")
    assert checked.returncode == 0, checked.stderr
    assert "2 entries, 2 with a time stamp" in checked.stdout
    shown = run("case", "show", case).stdout
    assert "A. Examiner" in shown
    assert "unknown_format" in shown
    report = next((case / "reports").glob("*.json"))
    verified = run("report", "verify", report, "--authorities", root)
    assert verified.returncode == 0, verified.stderr
    assert f"by {address}" in verified.stdout

    # the page and the PDF are signed with the JSON
    page = next((case / "reports").glob("*.html"))
    page.write_bytes(page.read_bytes().replace(b"unmask", b"Unmask", 1))
    assert "was changed after" in run("report", "verify", report).stderr
    tampered = run("case", "verify", case)
    assert tampered.returncode == 1
    assert "is another one now" in tampered.stderr


def test_no_time_is_told_and_loses_nothing(
    tmp_path: Path, key: Path, demo: Path, tiny_bundle: Path
) -> None:
    case = tmp_path / "case"
    scanned = run(
        "scan", demo / "2-generated.jpg", demo / "1-photograph.jpg", "--model", tiny_bundle,
        "--case", case, "--sign", key, "--timestamp", "http://127.0.0.1:9/",
    )  # fmt: skip
    assert scanned.returncode == 1
    assert "4 times could not be confirmed" in scanned.stderr
    assert verify_case(case).faults == []
    assert len(list((case / "reports").iterdir())) == 6


@pytest.mark.parametrize(
    "words",
    [
        ["--case", "case"],
        ["--case", "case", "--sign", "key", "--report", "out"],
        ["--timestamp", "http://127.0.0.1/"],
        ["--sign", "key"],
    ],
)
def test_options_that_need_others_say_so(demo: Path, words: list[str]) -> None:
    done = run("scan", demo / "2-generated.jpg", *words)
    assert done.returncode == 2
    assert "--sign" in done.stderr
