"""What OpenAPI allows, and much that it does not: no answer is a fault of the server."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from helpers.api_requests import send
from helpers.clips import write_sound, write_video
from helpers.serving import Served
from unmask.server.app import create_app

schema = schemathesis.openapi.from_dict(create_app({"tiny": "tiny"}, workers=1).openapi())


@pytest.mark.slow
@schema.exclude(path_regex="events").parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_openapi_allows_is_answered_as_it_says(
    case: schemathesis.Case, served: Served
) -> None:
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    case.call_and_validate(base_url=served.url.rstrip("/"), checks=checks, timeout=60)


@pytest.fixture(scope="session")
def broken_files(
    portrait: bytes, clip: bytes, tmp_path_factory: pytest.TempPathFactory
) -> list[bytes]:
    """A thousand: those of the table of bad input, and good ones cut, scrambled and mixed."""
    import av

    folder = tmp_path_factory.mktemp("broken")
    with av.open(str(folder / "sound.mp4"), "w") as container:
        write_sound(container, container.add_stream("aac", rate=44100))
    one = write_video(folder / "one.mp4", 1).read_bytes()
    draw = random.Random(1)
    found = [
        b"",
        b"\0",
        b"no video\n" * 50,
        (folder / "sound.mp4").read_bytes(),
        portrait[:100],
        clip[:100],
    ]
    for number in range(1000 - len(found)):
        content = bytearray((portrait[:60_000], clip[:90_000], one)[number % 3])
        if number % 2:
            del content[draw.randrange(len(content)) :]
        for _ in range(draw.choice((1, 20, 500))):
            if content:
                content[draw.randrange(len(content))] = draw.randrange(256)
        found.append(bytes(content))
    return found


def answers(served: Served, files: list[bytes]) -> list[int]:
    """The status of each, four at a time."""
    with httpx.Client(base_url=served.url, timeout=120) as client, ThreadPoolExecutor(4) as pool:
        return list(
            pool.map(lambda content: send(client, content, "a.bin", frames="4").status_code, files)
        )


@pytest.mark.slow
def test_a_thousand_broken_uploads(
    serve: Callable[..., Served], broken_files: list[bytes], portrait: bytes
) -> None:
    server = serve()
    found = answers(server, broken_files)
    assert set(found) <= {200, 413, 415, 422}, sorted(set(found))
    assert found.count(415) > 100
    assert answers(server, [portrait]) == [200]
    assert server.metric("unmask_faults") == 0
    assert server.metric("unmask_workers") == 2
    assert not list(Path(server.temporary).iterdir())


def test_some_broken_uploads(served: Served, broken_files: list[bytes], portrait: bytes) -> None:
    found = answers(served, broken_files[:60])
    assert set(found) <= {200, 413, 415, 422}
    assert answers(served, [portrait]) == [200]
