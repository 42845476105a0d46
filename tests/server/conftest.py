from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.clips import write_video
from helpers.serving import Served


@pytest.fixture(scope="session")
def served(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the usual limits."""
    with Served(tmp_path_factory.mktemp("served"), tiny_bundle) as server:
        yield server


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60) as client:
        yield client


@pytest.fixture
def serve(tiny_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts a server with settings of one's own."""
    running: list[Served] = []

    def start(**settings: Any) -> Served:
        running.append(Served(tmp_path / f"served{len(running)}", tiny_bundle, **settings))
        return running[-1]

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture(scope="session")
def portrait(demo: Path) -> bytes:
    """A picture of a face."""
    return (demo / "2-generated.jpg").read_bytes()


@pytest.fixture(scope="session")
def clip(demo: Path) -> bytes:
    """A clip of a face."""
    return (demo / "5-generated.mp4").read_bytes()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip that takes a second or more to be judged."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    return write_video(
        path, 260, size=(1280, 720), options={"preset": "ultrafast", "crf": "40"}
    ).read_bytes()
