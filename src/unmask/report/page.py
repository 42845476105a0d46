"""One view, two forms: an HTML page with everything in it, and a PDF of the same.

Text from files reaches the templates only as values: Jinja2 escapes it, and Typst gets it as JSON.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from unmask.report.draw import FIXED_COLOURS
from unmask.report.view import Picture

_TEMPLATES = "templates"


def html(view: Mapping[str, Any]) -> bytes:
    """The page: no script, nothing fetched."""
    return str(_template().render(**view)).encode("utf-8", "backslashreplace")


def pdf(view: Mapping[str, Any]) -> bytes:
    """PDF/UA-1: tagged, for screen readers. The same view gives the same bytes."""
    import typst

    pictures: dict[str, bytes] = {}
    values = json.dumps(_without_pictures(view, pictures), ensure_ascii=False)
    made = datetime.datetime.fromisoformat(view["date"]).replace(tzinfo=datetime.UTC)
    with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
        for name, data in pictures.items():
            (Path(folder) / name).write_bytes(data)
        (Path(folder) / "view.json").write_bytes(values.encode("utf-8", "backslashreplace"))
        main = Path(folder) / "main.typ"
        main.write_bytes((_folder() / "report.typ").read_bytes())
        # the fonts of the system only for scripts that Typst's own do not hold, so that machines agree
        latin = not _OTHER_SCRIPTS.search(values)
        found = typst.compile(
            main, root=Path(folder), format="pdf", timestamp=made, pdf_standards="ua-1", ignore_system_fonts=latin
        )
    return bytes(found)


_OTHER_SCRIPTS = re.compile("[\u0530-\u1dff\u2c00-\uffff\U00010000-\U0010ffff]")


def _without_pictures(value: Any, pictures: dict[str, bytes]) -> Any:
    """The view as JSON values; pictures become file names, and go to `pictures`."""
    if isinstance(value, Picture):
        name = f"{value.name}.{value.kind}"
        data = value.data
        if value.kind == "svg":
            data = data.replace(b">", b"><style>" + FIXED_COLOURS.encode() + b"</style>", 1)
        pictures[name] = data
        return {"file": name, "alt": value.alt}
    if isinstance(value, Mapping):
        return {key: _without_pictures(item, pictures) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_pictures(item, pictures) for item in value]
    return value


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["source"] = _source
    environment.filters["drawing"] = lambda picture: picture.data.decode()
    return environment.get_template("report.html")


def _source(picture: Picture) -> str:
    return f"data:image/{picture.kind};base64,{base64.b64encode(picture.data).decode()}"


def _folder() -> Path:
    return Path(str(files("unmask.report") / _TEMPLATES))
