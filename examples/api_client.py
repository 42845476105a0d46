"""Ask a running server (`unmask serve`) about files.

python examples/api_client.py FILE... [--server URL] [--key KEY]

Needs httpx. Small files are answered at once; for others the server is asked until the verdict is
there."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import httpx


def judge(client: httpx.Client, path: Path) -> dict[str, Any]:
    """The scan of this file, once it is over."""
    while True:
        with path.open("rb") as file:
            answer = client.post(
                "/v1/scans", files={"file": (path.name, file)}, data={"frames": 10}
            )
        if answer.status_code not in (429, 503):
            break
        time.sleep(float(answer.headers["retry-after"]))  # too many wait: come back
    if answer.status_code >= 400:
        return {"status": "failed", "error": answer.json()["error"]}
    scan = answer.json()
    while scan["status"] in ("queued", "running"):
        time.sleep(0.5)
        scan = client.get(answer.headers["location"]).raise_for_status().json()
    return dict(scan)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    parser.add_argument("--key")
    asked = parser.parse_args()
    headers = {"authorization": f"Bearer {asked.key}"} if asked.key else {}
    with httpx.Client(base_url=asked.server, headers=headers, timeout=120) as client:
        for path in asked.files:
            scan = judge(client, path)
            if scan["status"] == "done":
                verdict = scan["report"]["verdict"]
                print(f"{path}: {verdict['label']}, {verdict['probability_fake']}")
                client.delete(f"/v1/scans/{scan['id']}")  # leave nothing behind
            else:
                print(f"{path}: {scan['error']['message']}")


if __name__ == "__main__":
    main()
