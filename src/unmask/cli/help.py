"""The kinds of values in the help, as people say them: NUMBER instead of `<int range>`."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

WORDS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "path": "PATH", "Path": "PATH"}
"""By the name that typer gives a type."""


def in_plain_words(command: Any) -> Any:
    """The same command, and those below it, with kinds in plain words.

    - command: as `typer.main.get_command` makes it
    """
    for parameter in command.params:
        if hasattr(parameter, "display_type"):
            # the names of arguments say `...` themselves
            several = "…" if parameter.param_type_name == "option" else ""
            parameter.display_type = partial(_kind, parameter.display_type, several)
    for below in getattr(command, "commands", {}).values():
        in_plain_words(below)
    return command


def _kind(display_type: Any, several: str, context: Any) -> str:
    """`<list[int range]>` → `NUMBER…`; choices stay: `en|de|es`."""
    label = str(display_type(context)).strip("<>")
    listed = re.fullmatch(r"list\[(.*)\]", label)
    name = (listed[1] if listed else label).removesuffix(" range")
    return WORDS.get(name, name) + (several if listed else "")
