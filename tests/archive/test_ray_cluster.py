"""The same work on Ray: a real cluster of two nodes, one of which dies."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from helpers.archives import contents, pictures, reports, run
from unmask._internal.ipc import receive
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
from unmask.archive.executors.ray_cluster import ContentRegistry, ScanActor, connect
from unmask.errors import MissingExtraError, OutputError

pytest.importorskip("ray", reason="Ray is an extra")


def on_two_nodes(folder: Path, ledger: Path, bundle: Path, what: str) -> dict[str, Any]:
    command = [
        sys.executable,
        str(Path(__file__).parents[1] / "helpers" / "ray_cluster.py"),
        *map(str, (folder, ledger, bundle, what)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, some of them twice, one that is none, and an archive."""
    root = tmp_path_factory.mktemp("ray")
    folder = pictures(root / "p", 240, side=200)
    for number in range(0, 240, 12):
        shutil.copy(folder / f"{number:03}.png", folder / f"copy-{number:03}.png")
    (folder / "broken.png").write_text("no picture")
    shutil.make_archive(str(folder / "more"), "zip", pictures(root / "q", 10, side=90))
    return folder


@pytest.fixture(scope="module")
def calm(archive: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger that the local pool makes of it."""
    ledger = tmp_path_factory.mktemp("calm") / "calm.ledger"
    scan_pass = make_pass(
        str(tiny_bundle), "yunet", frames=4, engine="onnxruntime", explain=False, stability=False
    )
    plan = ScanPlan([open_source(str(archive))], {"full": scan_pass})
    with Run(ledger, plan) as local:
        list(
            local.outcomes(
                ProcessExecutor(ScanJob(plan.passes, max_pixels=10**8, spool=spool_of(ledger)), 2)
            )
        )
    return ledger


@pytest.mark.slow
@pytest.mark.parametrize("what", ["plain", "kill", "scorer"])
def test_a_cluster_says_what_one_machine_says(
    what: str, archive: Path, calm: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """kill: a node dies in the middle; scorer: faces are scored by an actor on the other node."""
    ledger = tmp_path / "ray.ledger"
    told = on_two_nodes(archive, ledger, tiny_bundle, what)
    assert told["counts"] == {"judged": 270, "failed": 1}
    assert contents(ledger) == contents(calm)
    assert reports(ledger) == reports(calm)
    if what != "kill":  # there, what was lost is judged once more
        assert (told["judged"], told["known"]) == (251, 20)


@pytest.mark.slow
def test_the_command_line_starts_a_cluster_of_its_own(tiny_bundle: Path, tmp_path: Path) -> None:
    folder, ledger = pictures(tmp_path / "p", 20), tmp_path / "a.ledger"
    options = ("scan", "--model", tiny_bundle, "--ledger", ledger, "--engine", "ray", folder)
    done = run(*options)
    assert done.returncode == 0, done.stderr
    assert "20 files: 20 judged; 20 checked now" in done.stdout
    with closing(read_ledger(ledger)) as database:
        assert database.execute("SELECT how FROM runs").fetchone()[0] == "done"
    done = run(*options)  # nothing to do: no cluster is started
    assert done.returncode == 0
    assert "0 checked now" in done.stdout


def test_without_ray_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"\[ray\]"):
        connect(None)


@pytest.mark.slow
def test_an_address_that_does_not_answer_is_told_soon(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p", 1)
    with socket.socket() as silent:  # takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        done = run(
            "scan",
            "--model",
            tiny_bundle,
            "--ledger",
            tmp_path / "a",
            "--engine",
            "ray",
            "--address",
            address,
            folder,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
        )
        assert time.monotonic() - started < 20  # 15 s, and starting up on a busy machine
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("unmask: ")]
    assert len(said) == 1
    assert address in said[0]


def test_a_full_disk_of_a_node_is_no_files_fault() -> None:
    import pyarrow

    class Full:
        def fetch(self, tasks: object) -> None:
            raise OutputError("no room in /tmp for a.jpg")

    actor = object.__new__(ScanActor)
    actor._scanner = Full()  # type: ignore[assignment]
    (row,) = actor(pyarrow.table({"tasks": ["[]"]})).to_pylist()
    message = receive(BytesIO(row["message"]))
    assert message is not None
    assert (message.kind, message.words["message"]) == ("broken", "no room in /tmp for a.jpg")


def test_each_content_has_one_owner() -> None:
    known = "ab" * 32
    contents = ContentRegistry({"full": [known], "first": []})
    new = "cd" * 32
    assert contents.begin(
        [(1, known, "full", False), (2, known, "first", False), (3, known, "full", True)]
    ) == [
        False,
        True,
        True,
    ]
    assert contents.begin(
        [(4, new, "full", False), (5, new, "full", False), (4, new, "full", False)]
    ) == [
        True,
        False,
        True,
    ]
