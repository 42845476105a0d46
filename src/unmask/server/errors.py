"""Errors of the API, all of one shape."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.exceptions import HTTPException


class ProblemError(HTTPException):
    """A request that cannot be answered as asked.

    status: of HTTP; kind and words: for the body.
    """

    def __init__(
        self, status: int, kind: str, words: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, words, headers)
        self.kind = kind

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        return json.dumps({"error": {"kind": self.kind, "message": self.detail}}).encode()
