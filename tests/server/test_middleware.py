"""Who may come in, what every answer carries, and what is left of a visit: nothing."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from helpers.api_requests import LATER, refused, send
from helpers.serving import Served


def test_every_answer_has_the_security_headers(client: httpx.Client, portrait: bytes) -> None:
    for answer in (
        client.get("/"),
        client.get("/v1/models"),
        client.get("/nonesuch"),
        send(client, portrait),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    assert client.get("/v1/models").headers["cache-control"] == "no-store"


def test_another_sites_page_cannot_use_it(client: httpx.Client, portrait: bytes) -> None:
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert refused(send(client, portrait, headers=foreign)) == (403, "cross_site")
    assert refused(client.get("/v1/models", headers={"host": "evil.example"})) == (
        421,
        "wrong_host",
    )
    preflight = client.options(
        "/v1/scans", headers={**foreign, "access-control-request-method": "POST"}
    )
    assert "access-control-allow-origin" not in preflight.headers


def test_origins_can_be_allowed(serve: Callable[..., Served], portrait: bytes) -> None:
    server = serve(workers=1, origins=["https://news.example"])
    friend = {"origin": "https://news.example", "sec-fetch-site": "cross-site"}
    with httpx.Client(base_url=server.url, timeout=60) as client:
        asked = {
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, prefer",
        }
        preflight = client.options("/v1/scans", headers=friend | asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == friend["origin"]
        answer = send(client, portrait, headers=friend)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == friend["origin"]
        problem = client.get("/v1/scans/none", headers=friend)
        assert (problem.status_code, problem.headers["access-control-allow-origin"]) == (
            404,
            friend["origin"],
        )
        other = {"origin": "https://other.example", "sec-fetch-site": "cross-site"}
        assert refused(send(client, portrait, headers=other)) == (403, "cross_site")


def test_who_is_refused_hears_why_while_still_sending(client: httpx.Client) -> None:
    other = {"origin": "https://other.example", "sec-fetch-site": "cross-site"}
    for size in (62_000, 200_000, 900_000) * 80:
        assert refused(send(client, bytes(size), headers=other)) == (403, "cross_site")


def test_keys(serve: Callable[..., Served], portrait: bytes) -> None:
    server = serve(workers=1, keys=["sesame", "open"], limits={"per_client": 2})
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"x-api-key": ""},
            {"authorization": "sesame"},
        ):
            assert refused(send(client, portrait, headers=headers)) == (401, "no_key")
            assert refused(client.get("/metrics", headers=headers)) == (401, "no_key")
        for headers in ({"authorization": "Bearer sesame"}, {"x-api-key": "open"}):
            assert send(client, portrait, headers=headers).status_code == 200
        assert client.get("/healthz").status_code == client.get("/").status_code == 200


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
def test_nothing_is_left_on_the_disk_or_in_the_log(
    serve: Callable[..., Served], portrait: bytes, clip: bytes
) -> None:
    server = serve()
    secret, since = "Zeugin-Mustermann", time.time()
    big = clip + b"\0" * 2_000_000  # more than is held in memory
    with httpx.Client(base_url=server.url, timeout=60) as client:
        place = send(client, big, f"{secret}.mp4", LATER, explain="true").headers["location"]
        server.until("unmask_scans_total", 1)
        for name in ("report.html", "report.pdf", "report.json"):
            assert client.get(f"{place}/{name}").status_code == 200
        send(client, portrait, f"{secret}.jpg", explain="true")
        assert refused(send(client, b"broken", f"{secret}.png")) == (415, "unknown_format")
        client.delete(place)
    assert not list(server.temporary.rglob("*"))
    open_files = []
    for number in os.listdir(f"/proc/{server.process.pid}/fd"):
        with suppress(FileNotFoundError):  # closed since it was listed
            open_files.append(os.readlink(f"/proc/{server.process.pid}/fd/{number}"))
    assert not [name for name in open_files if "memfd" in name or "deleted" in name]
    for pid in server.workers:
        names = [
            os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")
        ]
        assert not [name for name in names if "memfd" in name or "deleted" in name]
    assert secret not in server.log
    assert "127.0.0.1" not in server.log
    assert "a scan ended" in server.log
    assert not list(holding([secret.encode(), portrait[5000:5100], clip[5000:5100]], since))


def holding(texts: list[bytes], since: float) -> Iterator[Path]:
    """Files written since then, wherever a program may leave some, with one of these in them.

    Other tests run at the same time, and write the same files in folders of their own.
    """
    for root in (tempfile.gettempdir(), "/var/tmp", "/dev/shm", Path.home(), Path.cwd()):
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith("pytest-of-")]
            for path in (Path(folder) / name for name in names):
                with suppress(OSError):
                    if (
                        path.is_file()
                        and path.stat().st_mtime >= since
                        and path.stat().st_size < 100_000_000
                    ):
                        content = path.read_bytes()
                        if any(text in content for text in texts) and path.suffix not in (
                            ".py",
                            ".pyc",
                        ):
                            yield path


def test_a_head_that_never_ends_is_cut_and_others_are_served(
    serve: Callable[..., Served], portrait: bytes
) -> None:
    server = serve(workers=1, limits={"head_s": 1.0, "upload_grace_s": 1.0})
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.settimeout(20)
        slow.sendall(b"POST /v1/scans HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert send(client, portrait).status_code == 200
        with suppress(ConnectionResetError):
            assert slow.recv(100) == b""
    assert httpx.get(f"{server.url}healthz").status_code == 200


def test_a_body_of_one_byte_a_second_is_given_up(
    serve: Callable[..., Served], portrait: bytes
) -> None:
    server = serve(workers=1, limits={"upload_grace_s": 1.5})
    stop = threading.Event()

    def drip() -> None:
        while not stop.is_set():
            try:
                slow.sendall(b"a")
            except OSError:
                return
            time.sleep(0.3)

    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.settimeout(20)
        head = (
            "POST /v1/scans HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data;"
            " boundary=x\r\n"
        )
        slow.sendall(f"{head}content-length: 100000\r\n\r\n".encode())
        slow.sendall(b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n')
        thread = threading.Thread(target=drip)
        thread.start()
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert send(client, portrait).status_code == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
        stop.set()
        thread.join()


def test_a_client_that_never_reads_is_cut(serve: Callable[..., Served], portrait: bytes) -> None:
    server = serve(workers=1, limits={"read_s": 1.0})
    with socket.socket() as deaf, httpx.Client(base_url=server.url, timeout=60) as client:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        # answers pile up
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 200)
        end = time.monotonic() + 20
        while not broken(deaf):
            assert send(client, portrait).status_code == 200
            assert time.monotonic() < end
            time.sleep(0.1)


def broken(line: socket.socket) -> bool:
    try:
        line.sendall(b"x")
    except ConnectionError:
        return True
    return False
