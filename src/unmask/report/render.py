"""One view, two forms: an HTML page with everything in it, and a PDF of the same.

Text from files reaches the templates only as values: Jinja2 escapes it, and Typst gets it as JSON.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from unmask.errors import OutputError
from unmask.report.figures import fixed_colours
from unmask.report.language import say, speaking
from unmask.report.palette import LIGHT, stylesheet
from unmask.report.people_view import Picture

_TEMPLATES = "templates"


def html(view: Mapping[str, Any]) -> bytes:
    """The page: no script, nothing fetched."""
    with speaking(view["language"]):
        return str(_template().render(**view)).encode("utf-8", "backslashreplace")


def pdf(view: Mapping[str, Any]) -> bytes:
    """PDF/UA-1: tagged, for screen readers. The same view gives the same bytes.

    Characters for which there is no glyph on this machine are written as \\u{1f600}.

    Raises OutputError.
    """
    import typst

    tree, pictures = pack(view)
    tree["palette"] = dict(LIGHT)
    with speaking(view["language"]):
        tree["words"] = {sentence: say(sentence) for sentence in typst_sentences()}
    values = json.dumps(tree, ensure_ascii=False)
    made = datetime.datetime.fromisoformat(view["date"]).replace(tzinfo=datetime.UTC)
    # files in memory must be text: a picture is a list of its bytes. Nothing of it touches a disk
    files = {
        n: str(list(_coloured(data) if n.endswith(".svg") else data)).encode()
        for n, data in pictures.items()
    }
    files["main.typ"] = (_folder() / "report.typ").read_bytes()

    def compiled(text: str, *, own_fonts: bool) -> bytes:
        return bytes(
            typst.compile(  # type: ignore[call-overload]  # its stubs do not know of files in memory
                files | {"view.json": text.encode("utf-8", "backslashreplace")},
                format="pdf",
                timestamp=made,
                pdf_standards="ua-1",
                ignore_system_fonts=own_fonts,
            )
        )

    try:
        # the fonts of the machine only for scripts that Typst's own do not hold, so that machines
        # agree
        return compiled(values, own_fonts=not _OTHER_SCRIPTS.search(values))
    except typst.TypstError:
        try:
            return compiled(_RARE.sub(lambda c: f"\\\\u{{{ord(c[0]):x}}}", values), own_fonts=True)
        except typst.TypstError as error:
            raise OutputError(f"the PDF cannot be made: {error}") from error


_OTHER_SCRIPTS = re.compile("[\u0530-\u1dff\u2c00-\uffff\U00010000-\U0010ffff]")
_RARE = re.compile("[^\x20-\x7e\xa0-\xff\u2013\u2014\u2018\u2019\u201c\u201d\u2026]")


def pack(view: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The view as JSON values, where a picture is {file, alt}, and the pictures by file name."""
    pictures: dict[str, bytes] = {}
    return _without_pictures(view, pictures), pictures


def unpack(tree: Mapping[str, Any], pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """The view that was packed."""
    whole: dict[str, Any] = _with_pictures(tree, pictures)
    return whole


def _with_pictures(value: Any, pictures: Mapping[str, bytes]) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {"file", "alt"}:
            name, kind = value["file"].rsplit(".", 1)
            return Picture(name, pictures[value["file"]], kind, value["alt"])
        return {key: _with_pictures(item, pictures) for key, item in value.items()}
    return [_with_pictures(item, pictures) for item in value] if isinstance(value, list) else value


def _coloured(drawing: bytes) -> bytes:
    """An SVG with its colours in it, for where no page gives them."""
    return drawing.replace(b">", b"><style>" + fixed_colours().encode() + b"</style>", 1)


def _without_pictures(value: Any, pictures: dict[str, bytes]) -> Any:
    if isinstance(value, Picture):
        name = f"{value.name}.{value.kind}"
        pictures[name] = value.data
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
    environment.globals["palette"] = stylesheet()
    environment.globals["_"] = say
    environment.filters["source"] = _source
    environment.filters["drawing"] = lambda picture: picture.data.decode()
    return environment.get_template("report.html")


def typst_sentences() -> list[str]:
    """What the PDF's template says, in English."""
    template = (_folder() / "report.typ").read_text(encoding="utf-8")
    return re.findall(r'\bt\("([^"]+)"\)', template)


def _source(picture: Picture) -> str:
    return f"data:image/{picture.kind};base64,{base64.b64encode(picture.data).decode()}"


def _folder() -> Path:
    return Path(str(files("unmask.report") / _TEMPLATES))
