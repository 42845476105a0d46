from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Callable, Iterator

import httpx
import pytest

from helpers.api_requests import refused, send
from helpers.serving import Served
from unmask.server.logs import request_id, start_logging


@pytest.fixture
def _loggers_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("unmask.server")
    before = root.handlers[:], root.level, own.level
    root.handlers.clear()
    yield
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)


@pytest.mark.usefixtures("_loggers_as_before")
def test_lines_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(as_json=True)
    log = logging.getLogger("unmask.server")
    log.info("a scan ended: %s", "real", extra={"request": "abc"})
    token = request_id.set("def")
    log.error("a fault")
    request_id.reset(token)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["request"]) == ("a scan ended: real", "abc")
    assert (second["level"], second["request"]) == ("error", "def")
    assert datetime.datetime.fromisoformat(first["time"]).tzinfo is not None


@pytest.mark.usefixtures("_loggers_as_before")
def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging()
    logging.getLogger("unmask.server").info("a scan ended", extra={"request": "abc"})
    time, *words = capsys.readouterr().err.split()
    assert words == ["INFO", "a", "scan", "ended", "[abc]"]
    assert datetime.datetime.fromisoformat(time).tzinfo is not None


def test_each_answer_names_its_request(client: httpx.Client, portrait: bytes) -> None:
    answers = [client.get("/healthz"), client.get("/nothing"), send(client, portrait)]
    names = [answer.headers["x-request-id"] for answer in answers]
    assert all(len(name) == 16 for name in names)
    assert len(set(names)) == 3


def test_a_refusal_names_its_request(serve: Callable[..., Served]) -> None:
    server = serve(workers=1, keys=["sesame"])
    answer = httpx.get(f"{server.url}v1/models")
    assert answer.status_code == 401
    assert len(answer.headers["x-request-id"]) == 16


def test_a_field_that_there_is_not_is_refused(client: httpx.Client, portrait: bytes) -> None:
    answer = send(client, portrait, frame="3", explian="true")
    assert refused(answer) == (422, "invalid_request")
    assert "unknown fields: explian, frame" in answer.json()["error"]["message"]


def test_operations_have_names_that_make_good_client_code(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names)) > 10
    assert all(name.isidentifier() and "__" not in name for name in names)
    assert {"start_scan", "get_scan", "delete_scan", "follow_scan", "list_models"} <= set(names)
