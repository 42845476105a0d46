"""Files that kill, clients that leave, too many at once: the next good request is answered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from helpers.api_requests import LATER, refused, send
from helpers.serving import Served

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")


def later(server: Served, content: bytes, name: str = "a.mp4") -> str:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        answer = send(client, content, name, LATER, frames="200")
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]


def outcome(server: Served, place: str, seconds: float = 40) -> dict[str, object]:
    end = time.monotonic() + seconds
    while (scan := httpx.get(server.url.rstrip("/") + place).json())["status"] in (
        "queued",
        "running",
    ):
        assert time.monotonic() < end
        time.sleep(0.05)
    return scan


def until_running(server: Served, place: str) -> None:
    end = time.monotonic() + 20
    while httpx.get(server.url.rstrip("/") + place).json()["status"] != "running":
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_worker_costs_nothing_but_time(
    serve: Callable[..., Served], long_clip: bytes, portrait: bytes
) -> None:
    server = serve(workers=1)
    place = later(server, long_clip)
    until_running(server, place)
    os.kill(server.workers[0], signal.SIGKILL)
    assert outcome(server, place)["status"] == "done"
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert send(client, portrait).status_code == 200
    assert server.metric("unmask_worker_restarts") == 1


def test_a_file_that_kills_each_worker_fails_alone(
    serve: Callable[..., Served], long_clip: bytes, portrait: bytes
) -> None:
    server = serve(workers=1)
    place = later(server, long_clip)
    killed: set[int] = set()
    while httpx.get(server.url.rstrip("/") + place).json()["status"] in ("queued", "running"):
        if killed.isdisjoint(now := server.workers) and server.metric("unmask_workers") == 1:
            until_running(server, place)
            os.kill(now[0], signal.SIGSEGV)
            killed.add(now[0])
    assert len(killed) == 2
    scan = outcome(server, place)
    assert scan["error"]["kind"] == "crashed"  # type: ignore[index]
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert send(client, portrait).status_code == 200


def test_an_idle_worker_that_dies_is_replaced(
    serve: Callable[..., Served], portrait: bytes
) -> None:
    server = serve(workers=1)
    os.kill(server.workers[0], signal.SIGKILL)
    server.until("unmask_worker_restarts", 1)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert send(client, portrait).status_code == 200


def test_a_file_that_takes_too_long_is_given_up(
    serve: Callable[..., Served], long_clip: bytes, portrait: bytes
) -> None:
    server = serve(workers=1, limits={"time_s": 2.0})
    place = later(server, long_clip)
    until_running(server, place)
    os.kill(server.workers[0], signal.SIGSTOP)
    assert outcome(server, place)["error"]["kind"] == "too_slow"  # type: ignore[index]
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert send(client, portrait).status_code == 200


def test_a_file_that_takes_too_much_memory_is_given_up(
    serve: Callable[..., Served], portrait: bytes
) -> None:
    server = serve(workers=1, limits={"memory_bytes": 200_000_000})
    huge = BytesIO()
    Image.new("RGB", (9_000, 5_000), "white").save(huge, "PNG")
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert refused(send(client, huge.getvalue(), "a.png")) in (
            (422, "too_heavy"),
            (422, "crashed"),
        )
        assert send(client, portrait).status_code == 200


def test_a_client_that_leaves_is_not_worked_for(
    serve: Callable[..., Served], long_clip: bytes, portrait: bytes
) -> None:
    server = serve(workers=1)
    (worker,) = server.workers
    os.kill(worker, signal.SIGSTOP)
    with (
        httpx.Client(base_url=server.url, timeout=1) as client,
        pytest.raises(httpx.TimeoutException),
    ):
        send(client, long_clip, "a.mp4", frames="200")
    os.kill(worker, signal.SIGCONT)
    server.until('unmask_scans_total{outcome="cancelled"}', 1)
    assert server.metric("unmask_worker_restarts") == 0
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert send(client, portrait).status_code == 200


def test_what_is_deleted_while_it_runs_or_waits_is_stopped(
    serve: Callable[..., Served], long_clip: bytes
) -> None:
    server = serve(workers=1)
    first, second = later(server, long_clip), later(server, long_clip)
    until_running(server, first)
    assert httpx.get(server.url.rstrip("/") + second).json()["status"] == "queued"
    for place in (second, first):
        assert httpx.delete(server.url.rstrip("/") + place).status_code == 204
    server.until('unmask_scans_total{outcome="cancelled"}', 2)
    assert server.metric("unmask_held_bytes") == 0
    assert server.metric("unmask_open") == 0


def test_too_many_at_once_are_told_to_come_back(
    serve: Callable[..., Served], long_clip: bytes, portrait: bytes
) -> None:
    server = serve(workers=1, keys=["a", "b"], limits={"queue": 3, "per_client": 2})
    first, second = ({"x-api-key": key} for key in "ab")
    with httpx.Client(base_url=server.url, timeout=60) as client:
        places = [
            send(client, long_clip, "a.mp4", LATER | first, frames="200").headers["location"]
            for _ in range(2)
        ]
        busy = send(client, portrait, headers=first)
        assert refused(busy) == (429, "too_many")
        assert int(busy.headers["retry-after"]) >= 1
        places.append(
            send(client, long_clip, "a.mp4", LATER | second, frames="200").headers["location"]
        )
        full = send(client, portrait, headers=second)
        assert refused(full) == (503, "queue_full")
        assert int(full.headers["retry-after"]) >= 1
        for place in places:
            client.delete(place, headers=first)
        end = time.monotonic() + 20
        while (answer := send(client, portrait, headers=second)).status_code == 503:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert answer.status_code == 200


def test_uploads_that_are_still_being_sent_count(
    serve: Callable[..., Served], portrait: bytes
) -> None:
    server = serve(workers=1, limits={"queue": 2, "held_bytes": 50_000_000})
    head = (
        b"POST /v1/scans HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data;"
        b" boundary=x\r\n"
    )
    with httpx.Client(base_url=server.url, timeout=60) as client:
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.sendall(head + b"content-length: 40000000\r\n\r\n--x\r\n")
            server.until("unmask_open", 1)
            assert server.metric("unmask_held_bytes") == 40_000_000
            assert send(client, portrait).status_code == 200
            # more bytes than are held at once
            assert refused(send(client, bytes(20_000_000))) == (
                503,
                "queue_full",
            )
            with socket.create_connection(("127.0.0.1", server.port)) as other:
                other.sendall(head + b"content-length: 1000\r\n\r\n--x\r\n")
                server.until("unmask_open", 2)
                assert refused(send(client, portrait)) == (503, "queue_full")
        end = time.monotonic() + 20
        while server.metric("unmask_open"):
            assert time.monotonic() < end
        assert server.metric("unmask_held_bytes") == 0
        assert send(client, portrait).status_code == 200


def test_a_stop_lets_what_is_asked_for_be_answered(
    serve: Callable[..., Served], long_clip: bytes
) -> None:
    server = serve(workers=1)
    found: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            found.append(send(client, long_clip, "a.mp4", frames="60"))

    asking = threading.Thread(target=ask)
    asking.start()
    server.until("unmask_open", 1)
    workers = server.workers
    assert server.stop() == 0
    asking.join()
    assert found[0].status_code == 200
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_a_killed_server_takes_its_workers_along(serve: Callable[..., Served]) -> None:
    server = serve(workers=2)
    workers = server.workers
    assert len(workers) == 2
    server.kill()
    end = time.monotonic() + 10
    while alive := [
        pid for pid in workers if Path(f"/proc/{pid}/status").exists() and "Z" not in _state(pid)
    ]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def test_two_servers_on_one_port(served: Served, tiny_bundle: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "unmask",
        "serve",
        "--port",
        str(served.port),
        "--model",
        str(tiny_bundle),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"port {served.port}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert httpx.get(f"{served.url}readyz").status_code == 200


def test_a_model_that_cannot_be_loaded_ends_it(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    command = [
        sys.executable,
        "-m",
        "unmask",
        "serve",
        "--port",
        "0",
        "--model",
        str(tmp_path / "bad.onnx"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "bad.onnx" in done.stderr
    assert "Traceback" not in done.stderr
