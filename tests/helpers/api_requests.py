"""Requests to the API, and what their answers must be like."""

from __future__ import annotations

from typing import Any

import httpx

from unmask.server.schema import ProblemShape

LATER = {"prefer": "respond-async"}


def send(
    client: httpx.Client, content: bytes, name: str = "a.jpg", headers: Any = None, **options: Any
) -> httpx.Response:
    return client.post("/v1/scans", files={"file": (name, content)}, data=options, headers=headers)


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and kind; the one shape of errors is checked."""
    assert answer.headers["content-type"] == "application/json"
    found = ProblemShape.model_validate(answer.json())
    assert found.error.message
    return answer.status_code, found.error.kind
