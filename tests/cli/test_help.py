from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from unmask.cli import app, examples
from unmask.cli.help import in_plain_words

LINES = [
    line.strip()
    for text in vars(examples).values()
    if isinstance(text, str)
    for line in text.splitlines()
    if line.startswith("  unmask ")
]


@pytest.mark.parametrize("line", LINES)
def test_the_examples_are_understood(line: str) -> None:
    words = shlex.split(line.split(" > ", maxsplit=1)[0])
    commands: Any = typer.main.get_command(app)
    command = commands.commands[words[1]]
    command.make_context(words[1], words[2:])  # fails for options that there are not


def test_there_are_examples() -> None:
    assert len(LINES) > 10
    for name in ("scan", "serve", "train", "export", "evaluate", "explain"):
        found = CliRunner().invoke(app, [name, "-h"])
        assert found.exit_code == 0
        assert f"  unmask {name} " in found.stdout


def test_each_recipe_has_a_line() -> None:
    lines = CliRunner().invoke(app, ["recipes", "list"]).stdout.splitlines()
    assert len(lines) > 10
    assert all(re.match(r"[\w-]+ {2,}[A-Z].{20,}\.$", line) for line in lines), lines


def test_kinds_of_values_are_words_that_people_say() -> None:
    def helps(command: Any, path: str) -> Iterator[str]:
        context = command.make_context(path, [], resilient_parsing=True)
        yield command.get_help(context)
        for name, below in getattr(command, "commands", {}).items():
            yield from helps(below, f"{path} {name}")

    texts = list(helps(in_plain_words(typer.main.get_command(app)), "unmask"))
    assert len(texts) > 25
    everything = "\n".join(texts)
    assert not re.findall(r"<[^>\n]+>|\blist\[|\bint range\b", everything)
    assert re.search(r"--frames NUMBER\b", everything)
    assert re.search(r"--include TEXT…", everything)
    assert re.search(r"--language en\|de\|es", everything)
