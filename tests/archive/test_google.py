"""A bucket of Google's, as far as a stand-in for its JSON API goes."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from unmask.archive import read_ledger

pytest.importorskip("gcsfs", reason="gcsfs is an extra")


class Store(http.server.ThreadingHTTPServer):
    daemon_threads = True
    objects: dict[str, bytes]


class Api(http.server.BaseHTTPRequestHandler):
    """Lists, describes and sends the objects of any bucket."""

    server: Store

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        parts = url.path.removeprefix("/download").split("/")  # "", storage, v1, b, bucket, o, name
        name = unquote("/".join(parts[6:]))
        objects = self.server.objects
        if parts[5:6] == ["o"] and not name:
            self.send({"kind": "storage#objects", **self.page(asked)})
        elif name not in objects:
            self.send({"error": {"code": 404, "message": "Not Found"}}, 404)
        elif asked.get("alt") == ["media"] or url.path.startswith("/download"):
            self.send(objects[name])
        else:
            self.send(self.described(name))

    def page(self, asked: dict[str, list[str]]) -> dict[str, object]:
        prefix, cut = asked.get("prefix", [""])[0], asked.get("delimiter", [""])[0]
        items, folders = [], set()
        for name in sorted(self.server.objects):
            below = name.removeprefix(prefix)
            if not name.startswith(prefix):
                continue
            if cut and cut in below:
                folders.add(prefix + below.split(cut)[0] + cut)
            else:
                items.append(self.described(name))
        return {"items": items, "prefixes": sorted(folders)}

    def described(self, name: str) -> dict[str, object]:
        size = str(len(self.server.objects[name]))
        return {
            "kind": "storage#object",
            "name": name,
            "bucket": "clips",
            "size": size,
            "etag": f"tag-{size}",
            "updated": "2026-11-20T10:00:00.000Z",
            "generation": "1",
            "contentType": "image/png",
        }

    def send(self, what: bytes | dict[str, object], status: int = 200) -> None:
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header(
            "Content-Type",
            "application/octet-stream" if isinstance(what, bytes) else "application/json",
        )
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    server = Store(("127.0.0.1", 0), Api)
    server.objects = {"notes.txt": b"no picture"}
    rng = np.random.default_rng(3)
    for number in range(6):
        path = tmp_path / "picture.png"
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
        server.objects[f"2026/{number % 2}/{number} ä.png"] = path.read_bytes()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_bucket_of_google(store: Store, tiny_bundle: Path, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{store.server_address[1]}"
    environment = os.environ | {
        "STORAGE_EMULATOR_HOST": address,
        "FSSPEC_GS_TOKEN": "anon",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": (
            "false"
        ),  # asks Google's control service, which is none of the stand-in's
    }
    command = [
        sys.executable,
        "-m",
        "unmask",
        "scan",
        "gs://clips/2026",
        "--model",
        str(tiny_bundle),
    ]
    ledger = str(tmp_path / "a.ledger")
    for judged in ("6 checked now", "0 checked now"):
        done = subprocess.run(
            [*command, "--ledger", ledger],
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert judged in done.stdout
    with closing(read_ledger(Path(ledger))) as database:
        rows = database.execute(
            "SELECT path, state, modified_at FROM results ORDER BY path"
        ).fetchall()
    names = sorted(name for name in store.objects if name != "notes.txt")
    assert [tuple(row) for row in rows] == [
        (f"gs://clips/{name}", "judged", "2026-11-20T10:00:00+00:00") for name in names
    ]
