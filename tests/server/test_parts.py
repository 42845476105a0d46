"""Parts of the server on their own."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import unmask.server
from unmask._internal.ipc import Message, receive, receive_async
from unmask.cli.serve import _models
from unmask.report.language import LANGUAGES
from unmask.server.errors import ProblemError
from unmask.server.middleware import Access, is_loopback
from unmask.server.routes.scans import base_name, wants_no_answer
from unmask.server.uploads import IN_MEMORY, Upload


def test_a_message_comes_as_it_went() -> None:
    message = Message(
        "done",
        {"label": "fake", "words": "ünïcode"},
        {"report": b"{}", "picture/a.jpeg": bytes(70_000)},
    )
    packed = message.pack()
    assert receive(io.BytesIO(packed + b"more")) == message
    assert receive(io.BytesIO(packed[:3])) is None


@pytest.mark.parametrize(
    "text",
    [b"\xff\xff\xff\xff", b"\0\0\0\x02[]", b"\0\0\0\x04none", b"\0\0\0\x02{}", b"\0\0\0\x09{"],
)
def test_a_worker_that_talks_nonsense_is_noticed(text: bytes) -> None:
    async def listen() -> Message:
        stream = asyncio.StreamReader()
        stream.feed_data(text)
        stream.feed_eof()
        return await receive_async(stream)

    with pytest.raises((ValueError, EOFError)):
        asyncio.run(listen())


def test_a_message_may_not_be_endless() -> None:
    head = b'{"kind": "done", "words": {}, "parts": [["report", 99999999999]]}'

    async def listen() -> Message:
        stream = asyncio.StreamReader()
        stream.feed_data(len(head).to_bytes(4, "big") + head)
        return await receive_async(stream)

    with pytest.raises(ValueError, match="too large"):
        asyncio.run(listen())


@pytest.mark.parametrize("size", [10, IN_MEMORY + 1])
def test_an_upload_can_be_opened_by_others_until_it_is_closed(tmp_path: Path, size: int) -> None:
    with (tmp_path / "source").open("w+b") as source:
        source.write(bytes(size))
        upload = Upload(source, size)
    command = [sys.executable, "-c", f"print(len(open({upload.path!r}, 'rb').read()))"]
    assert int(subprocess.run(command, capture_output=True, check=True).stdout) == size
    upload.close()
    upload.close()
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_an_upload_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmask.server.uploads.sys.platform", "darwin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    upload = Upload(io.BytesIO(b"abc"), 3)
    assert Path(upload.path).read_bytes() == b"abc"
    assert Path(upload.path).parent.stat().st_mode & 0o077 == 0
    upload.close()
    assert not list(tmp_path.iterdir())


def test_names_of_files() -> None:
    assert base_name("C:\\pictures\\me.jpg") == "me.jpg"
    assert base_name("/etc/../a\nb.mp4") == "a b.mp4"
    assert base_name(None) == base_name("") == base_name("dir/") == "unnamed"
    assert len(base_name("x" * 1000 + ".jpg")) == 200


def test_preferences() -> None:
    assert wants_no_answer("respond-async")
    assert wants_no_answer("wait=10, Respond-Async")
    assert not wants_no_answer("wait=10")
    assert not wants_no_answer(None)


def scope(path: str = "/v1/models", method: str = "GET") -> dict[str, Any]:
    return {"path": path, "method": method, "client": ("192.0.2.1", 5)}


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("LOCALHOST", True),
        ("", False),
    ]
    + [
        (name, False)
        for name in (
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::2]",
        )
    ],
)
def test_hosts(host: str, served: bool) -> None:
    access = Access(hosts=frozenset(["localhost", "127.0.0.1", "::1"]))
    if served:
        access.check_host({"host": host})
    else:
        with pytest.raises(ProblemError):
            access.check_host({"host": host})
    Access().check_host({"host": host})  # bound to the world: any


def test_what_only_this_machine_can_reach() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "example.org")))


def test_a_client_is_known_by_its_key_or_its_address_and_neither_is_kept() -> None:
    name = Access().identify(scope(), {})
    assert "192" not in name
    assert name == Access().identify(scope(), {"authorization": "Bearer any"})


def test_names_of_models() -> None:
    assert _models(["default", "a/mine.onnx", "other=b/mine.onnx"]) == {
        "default": "default",
        "mine": "a/mine.onnx",
        "other": "b/mine.onnx",
    }
    with pytest.raises(typer.BadParameter, match="two models"):
        _models(["a/mine.onnx", "b/mine.onnx"])


@pytest.mark.parametrize("content", [None, "# none\n\n"])
def test_a_file_of_keys_that_holds_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "keys").write_text(content)
    command = [
        sys.executable,
        "-m",
        "unmask",
        "serve",
        "--port",
        "0",
        "--keys",
        str(tmp_path / "keys"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "keys" in done.stderr
    assert len(done.stderr.splitlines()) == 1


PAGE = Path(unmask.server.__file__).parent / "page"


def test_the_words_of_the_page_stand_in_one_file() -> None:
    text = (PAGE / "index.html").read_text()
    body = re.sub(r"<noscript>.*?</noscript>", "", text[text.index("<body>") :], flags=re.DOTALL)
    assert set(re.sub(r"<[^>]+>", " ", body).split()) == {"unmask", "API", *LANGUAGES.values()}
    keys = set(re.findall(r"^  (\w+):", (PAGE / "strings.js").read_text(), flags=re.MULTILINE))
    code = "".join(path.read_text() for path in PAGE.glob("*.js") if path.name != "strings.js")
    used = set(re.findall(r"\bwords\.(\w+)", code)) | set(re.findall(r'data-words="(\w+)"', text))
    assert used == keys


def test_without_the_extra_the_server_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['unmask', 'serve']; from unmask.cli"
        " import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "pip install -c constraints.txt '.[web]'" in done.stderr
