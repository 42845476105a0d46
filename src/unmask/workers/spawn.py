"""Starting a worker process, for masters with threads and for those with an event loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SPAWN_OPTIONS: dict[str, Any] = {
    "stdin": subprocess.PIPE,
    "stdout": subprocess.PIPE,
    # libraries would write of the file they choke on
    "stderr": subprocess.DEVNULL,
    # Ctrl-C is for the master, which ends its workers in good order
    "start_new_session": True,
}
"""For `subprocess.Popen` and `asyncio.create_subprocess_exec` alike."""


def environment() -> dict[str, str]:
    """The environment of a worker."""
    # malloc's arenas would take up the address space that files may use
    return os.environ | {"MALLOC_ARENA_MAX": "2"}


def worker_command(module: str, config: Mapping[str, Any]) -> Sequence[str]:
    """Runs `module`, which calls `run_worker`, with this configuration (JSON values)."""
    return [sys.executable, "-m", module, json.dumps(config)]
