"""The server's log: what happens, for people or for programs; no name of a file, no address."""

from __future__ import annotations

import datetime
import json
import logging
import secrets
import sys
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""


def new_request_id() -> str:
    """A name for a request, in its answer's header `x-request-id` and in the log."""
    return secrets.token_hex(8)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request = _request(record)
        words = f"{_time(record)} {record.levelname} {record.getMessage()}"
        return f"{words} [{request}]" if request else words


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "request": _request(record) or None,
        }
        return json.dumps({key: value for key, value in line.items() if value is not None})


def _time(record: logging.LogRecord) -> str:
    """With its time zone."""
    at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).astimezone()
    return at.isoformat(timespec="milliseconds")


def _request(record: logging.LogRecord) -> str:
    """Of the request that the line is about: one that has been answered, or the current one."""
    return getattr(record, "request", "") or request_id.get()


def start_logging(*, as_json: bool = False) -> None:
    """Write the log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("unmask.server").setLevel(logging.INFO)
