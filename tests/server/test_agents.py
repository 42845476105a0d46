"""`unmask mcp`, asked by the SDK's own client."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from helpers.web_site import Answer, sends
from unmask import load_detector
from unmask.server.agents import create_mcp
from unmask.server.limits import Limits

Use = Callable[[Client], Awaitable[Any]]


def asked(server: Any, use: Use) -> Any:
    """What `use` makes of a client of this server."""

    async def run() -> Any:
        async with Client(server, read_timeout_seconds=120) as client:
            return await use(client)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def footage(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with media, and beside it one that may not be read."""
    folder = tmp_path_factory.mktemp("agents")
    for name in ("2-generated.jpg", "5-generated.mp4", "6-no-face.jpg", "origins.json"):
        (folder / "footage").mkdir(exist_ok=True)
        shutil.copy(demo / name, folder / "footage" / name)
    (folder / "private").mkdir()
    shutil.copy(demo / "1-photograph.jpg", folder / "private" / "secret.jpg")
    (folder / "footage" / "link.jpg").symlink_to(folder / "private" / "secret.jpg")
    return folder / "footage"


def test_a_client_over_stdin_is_told_the_verdict_that_a_scan_gives(footage: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "unmask", "mcp", "--folder", str(footage)]
    )

    async def use(client: Client) -> Any:
        tools = await client.list_tools()
        answer = await client.call_tool("scan", {"file": "2-generated.jpg"})
        return tools, answer, client.instructions

    tools, answer, instructions = asked(command, use)
    assert {tool.name for tool in tools.tools} == {"scan", "explain", "describe_model"}
    assert all(tool.annotations.read_only_hint for tool in tools.tools)
    assert "inconclusive" in instructions
    found, expected = answer.structured_content, load_detector().scan(footage / "2-generated.jpg")
    assert found["verdict"] == expected.verdict.label == "fake"
    assert found["probability_fake"] == pytest.approx(expected.verdict.probability_fake, abs=1e-4)
    assert found["sha256"] == expected.media.sha256
    assert found["why"]
    assert found["not_covered"]


def test_evidence_is_words_and_pictures(footage: Path) -> None:
    def explained(client: Client) -> Awaitable[Any]:
        return client.call_tool("explain", {"file": "5-generated.mp4", "frames": 4})

    answer = asked(create_mcp([footage]), explained)
    assert not answer.is_error
    words, *rest = answer.content
    assert "What it does not mean" in words.text
    assert "Format: MP4 (H.264)" in words.text
    pictures = [part for part in rest if part.type == "image"]
    assert pictures
    assert {picture.mime_type for picture in pictures} <= {"image/jpeg", "image/png"}
    assert len(rest) == 2 * len(pictures)  # each behind its description


def test_the_card_is_told(footage: Path) -> None:
    answer = asked(create_mcp([footage]), lambda client: client.call_tool("describe_model", {}))
    card = answer.structured_content["card"]
    assert card["thresholds"]["fake"]["probability"] > 0.5


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing.jpg", "there is no file missing.jpg"),
        ("../private/secret.jpg", "there is no file"),
        ("link.jpg", "there is no file"),
        ("/etc/hostname", "there is no file"),
        ("origins.json", "unknown_format"),
        ("https://example.org/a.jpg", "links are not followed"),
    ],
)
def test_what_may_not_or_cannot_be_judged_is_an_error(
    footage: Path, file: str, message: str
) -> None:
    answer = asked(create_mcp([footage]), lambda client: client.call_tool("scan", {"file": file}))
    assert answer.is_error
    assert message in answer.content[0].text
    assert answer.structured_content is None


def test_no_face_is_no_probability(footage: Path) -> None:
    answer = asked(
        create_mcp([footage]), lambda client: client.call_tool("scan", {"file": "6-no-face.jpg"})
    )
    found = answer.structured_content
    assert (found["verdict"], found["probability_fake"]) == ("not_applicable", None)


def test_the_bounds_of_the_server_hold(footage: Path) -> None:
    async def use(client: Client) -> list[str]:
        large = await client.call_tool("scan", {"file": "5-generated.mp4"})
        many = await client.call_tool("scan", {"file": "2-generated.jpg", "frames": 1000})
        return [large.content[0].text, many.content[0].text]

    large, many = asked(create_mcp([footage], limits=Limits(upload_bytes=60_000)), use)
    assert "larger than the 0.06 MB" in large
    assert "frames must be 1 to 256" in many


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "missing.onnx"], "unmask: there is no bundle 'missing.onnx'"),
        (["--folder", "missing/"], "unmask: there is no folder missing"),
    ],
)
def test_what_is_missing_is_said_in_a_line(words: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unmask", "mcp", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_links_lead_to_public_addresses_alone(
    footage: Path, demo: Path, site: Callable[[str, Answer], str]
) -> None:
    link = site("/a.jpg", sends((demo / "2-generated.jpg").read_bytes()))
    server = create_mcp([footage], limits=Limits(links=True))
    answer = asked(server, lambda client: client.call_tool("scan", {"file": link}))
    assert answer.is_error
    assert json.dumps(answer.content[0].text).count("public")
