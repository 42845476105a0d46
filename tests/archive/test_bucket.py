"""A bucket on a real S3 server, behind a line that throttles and drops connections."""

from __future__ import annotations

import http.client
import http.server
import os
import random
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unmask.archive import read_ledger
from unmask.archive.sources import open_bytes, open_source

pytest.importorskip("moto", reason="moto brings the S3 server")

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Line(http.server.ThreadingHTTPServer):
    """Passes requests on to the server at `port`. Of those for objects, `throttled` get 503, and of
    `dropped` the connection ends in the middle of the answer."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.port, self.chance = port, random.Random(5)
        self.throttled = self.dropped = 0.0
        self.counts: Counter[str] = Counter()


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Line

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        line.request(self.command, self.path, body, dict(self.headers))
        answer = line.getresponse()
        data = answer.read()
        line.close()
        drawn = self.server.chance.random()
        if self.command == "GET" and drawn < self.server.throttled:
            self.server.counts["throttled"] += 1
            self.send_response(503)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(SLOW_DOWN)))
            self.end_headers()
            self.wfile.write(SLOW_DOWN)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") or str(len(data))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command == "GET" and drawn > 1 - self.server.dropped and len(data) > 100:
            self.server.counts["dropped"] += 1
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.command != "HEAD":
            self.wfile.write(data)
        self.server.counts["answered"] += 1


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    line = Line(server.get_host_and_port()[1])
    thread = threading.Thread(target=line.serve_forever)
    thread.start()
    yield line
    line.shutdown()
    thread.join()
    line.server_close()
    server.stop()


@pytest.fixture
def environment(line: Line) -> dict[str, str]:
    return os.environ | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{line.server_address[1]}",
    }


@pytest.fixture
def bucket(line: Line, environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """30 pictures, and an archive with two more."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="clips")
    rng = np.random.default_rng(1)
    for number in range(32):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
        if number < 30:
            client.upload_file(str(path), "clips", f"2026/{number % 3}/{number}.png")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for number in (30, 31):
            archive.write(tmp_path / f"{number}.png", f"{number}.png")
    client.upload_file(str(tmp_path / "more.zip"), "clips", "more.zip")
    yield "s3://clips"
    line.throttled = line.dropped = 0.0
    for row in client.list_objects_v2(Bucket="clips").get("Contents", []):
        client.delete_object(Bucket="clips", Key=row["Key"])
    client.delete_bucket(Bucket="clips")
    client.close()


def scan(
    root: str, bundle: Path, ledger: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "unmask",
        "scan",
        root,
        "--model",
        str(bundle),
        "--ledger",
        str(ledger),
    ]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def states(ledger: Path) -> Counter[str]:
    with closing(read_ledger(ledger)) as database:
        return Counter(row["state"] for row in database.execute("SELECT state FROM results"))


@pytest.mark.slow
def test_a_bucket_over_a_bad_line(
    bucket: str, line: Line, tiny_bundle: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    line.throttled, line.dropped = 0.3, 0.15
    ledger = tmp_path / "bucket.ledger"
    done = scan(bucket, tiny_bundle, ledger, environment)
    for _ in range(3):  # what was throttled too often is tried again by the next run
        if states(ledger) == {"judged": 32}:
            break
        assert set(states(ledger)) <= {"judged", "postponed"}, done.stderr
        done = scan(bucket, tiny_bundle, ledger, environment)
    assert states(ledger) == {"judged": 32}, done.stderr
    assert line.counts["throttled"] > 5
    assert line.counts["dropped"] > 2
    folder = tmp_path / "local"
    folder.mkdir()
    for number in range(32):
        (tmp_path / f"{number}.png").rename(folder / f"{number}.png")
    assert scan(str(folder), tiny_bundle, tmp_path / "local.ledger", environment).returncode == 0
    found: list[Any] = []
    for path in (ledger, tmp_path / "local.ledger"):
        with closing(read_ledger(path)) as database:
            query = "SELECT sha256, label, probability_fake FROM results ORDER BY sha256"
            found.append([tuple(row) for row in database.execute(query)])
    assert found[0] == found[1]  # bit for bit the files that were sent
    assert not Path(f"{ledger}-spool").exists()
    before = line.counts["answered"]
    done = scan(bucket, tiny_bundle, ledger, environment)
    assert done.returncode == 0, done.stderr
    assert "0 checked now" in done.stdout
    assert line.counts["answered"] - before < 20  # the listing, and the archive's; no picture


def test_a_bucket_that_there_is_not(
    line: Line, tiny_bundle: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    done = scan("s3://nonesuch", tiny_bundle, tmp_path / "a.ledger", environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "s3://nonesuch" in done.stderr


@pytest.mark.slow
def test_an_address_that_does_not_answer_is_told_soon(tiny_bundle: Path, tmp_path: Path) -> None:
    with socket.socket() as silent:  # takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        started = time.monotonic()
        done = scan("s3://clips", tiny_bundle, tmp_path / "a.ledger", environment)
        assert time.monotonic() - started < 15
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "s3://clips" in done.stderr


def test_keys_are_texts_and_no_paths(
    bucket: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import s3fs

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    storage = s3fs.S3FileSystem(skip_instance_cache=True)
    keys = ["2026//nameless.png", "/at-the-root.png", "2026/two::colons.png"]
    for key in keys:
        storage.call_s3("put_object", Bucket="clips", Key=key, Body=b"picture")
    listed = {entry.path: entry for entry in open_source(bucket).files()}
    for key in keys:
        path = f"{bucket}/{key}"
        assert path in listed
        with open_bytes(path) as file:
            assert file.read() == b"picture"
    assert len(listed) == 30 + 2 + len(keys)
