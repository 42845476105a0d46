"""A server of its own process for tests: `python serving.py JSON` serves with the limits and keys
in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

TINY = "tiny"


class Served:
    """A server that runs. url; log: what it wrote to stderr so far."""

    def __init__(self, folder: Path, bundle: Path, *, workers: int = 2, **settings: Any) -> None:
        self._log = folder / "log.txt"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        asked = {"models": {TINY: str(bundle)}, "workers": workers, **settings}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(asked)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"TMPDIR": str(self.temporary)},
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http"), self.log
        self.port = int(self.url.rsplit(":", 1)[1].strip("/"))

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that there are now."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in text.split()]

    def metric(self, name: str) -> float:
        lines = httpx.get(f"{self.url}metrics").text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith(name) and "_created" not in line
        )

    def until(self, what: str, at_least: float, seconds: float = 20) -> None:
        """Wait until this metric is so large."""
        end = time.monotonic() + seconds
        while self.metric(what) < at_least:
            assert time.monotonic() < end, f"{what} stays at {self.metric(what)}"
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()


def main() -> None:
    import logging

    from unmask.media import links
    from unmask.server.app import bind, create_app, serve
    from unmask.server.limits import Limits
    from unmask.server.middleware import Access, digest
    from unmask.server.webhooks import Webhooks

    logging.basicConfig(level=logging.INFO)
    asked = json.loads(sys.argv[1])
    if asked.get("this_machine_is_public"):  # else no link of a test could be followed
        links.is_public = lambda _: True
    limits = Limits(**asked.get("limits", {}))
    access = Access(
        frozenset(digest(key) for key in asked.get("keys", [])),
        frozenset(["127.0.0.1", "localhost"]),
        frozenset(asked.get("origins", [])),
    )
    beside = {name: Path(asked[name]) for name in ("ledger", "reports") if name in asked}
    webhooks = (
        Webhooks(asked["webhook_key"].encode(), waits_s=(0, 0.2))
        if "webhook_key" in asked
        else None
    )
    app = create_app(
        asked["models"],
        workers=asked["workers"],
        limits=limits,
        access=access,
        webhooks=webhooks,
        **beside,
    )
    listening = bind("127.0.0.1", asked.get("port", 0))
    serve(
        app,
        listening,
        limits,
        lambda: print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True),
    )


if __name__ == "__main__":
    main()
