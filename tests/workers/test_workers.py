"""The kit that server and archive share; their own tests try it with files that kill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from unmask._internal.ipc import Message, receive
from unmask.workers import (
    SPAWN_OPTIONS,
    crashed,
    environment,
    too_heavy,
    too_slow,
    worker_command,
)

ECHO = """
from pathlib import Path

from unmask._internal.ipc import Message
from unmask.errors import BundleError
from unmask.workers import run_worker


class Echo:
    memory_bytes = 500_000_000

    def __init__(self, config, channel):
        if config["refuse"]:
            raise BundleError("no such bundle")
        self.config, self.channel = config, channel

    def warm_up(self):
        print("what libraries print does not come between messages")

    def introduction(self):
        return {"name": self.config["name"]}

    def run(self):
        for message in self.channel.messages():
            try:
                Path("written.txt").write_text("x" * 10)
                wrote = True
            except OSError:
                wrote = False
            self.channel.send(Message("echo", {**message.words, "wrote": wrote}, message.parts))


run_worker(Echo)
"""


def conversation(tmp_path: Path, *sent: Message, refuse: bool = False) -> list[Message]:
    (tmp_path / "echo_worker.py").write_text(ECHO)
    command = worker_command("echo_worker", {"name": "echo", "refuse": refuse})
    assert command[0] == sys.executable
    assert json.loads(command[-1]) == {"name": "echo", "refuse": refuse}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), **SPAWN_OPTIONS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        heard = []
        first = receive(process.stdout)
        assert first is not None
        heard.append(first)
        for message in sent:
            process.stdin.write(message.pack())
            process.stdin.flush()
            answer = receive(process.stdout)
            assert answer is not None
            heard.append(answer)
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    return heard


def test_a_worker_introduces_itself_answers_and_ends_with_its_master(tmp_path: Path) -> None:
    heard = conversation(
        tmp_path, Message("say", {"n": 1}), Message("say", {"n": 2}, {"data": b"\x00" * 100_000})
    )
    assert heard[0] == Message("ready", {"name": "echo"})
    assert [message.words["n"] for message in heard[1:]] == [1, 2]
    assert heard[2].parts["data"] == b"\x00" * 100_000


def test_a_worker_cannot_write_files(tmp_path: Path) -> None:
    heard = conversation(tmp_path, Message("say"))
    assert heard[1].words == {"wrote": False}
    assert not (tmp_path / "written.txt").is_file() or not (tmp_path / "written.txt").read_bytes()


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    assert conversation(tmp_path, refuse=True) == [
        Message("refused", {"message": "no such bundle"})
    ]


def test_faults_say_what_was_tried_and_what_is_allowed() -> None:
    assert crashed(2) == ("crashed", "decoding this file crashes the decoder (tried 2 times)")
    assert too_slow(90.0).message == "judging this file takes longer than the 90 s allowed"
    assert "the 500 MB allowed" in too_heavy(500_000_000).message
