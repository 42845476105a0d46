"""The lab's pages: one HTML file each, complete in itself."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import unmask
from unmask.report.palette import stylesheet
from unmask.report.phrases import number


def write_page(path: Path, template: str, **values: Any) -> None:
    """Fill the template and write it.

    What comes from data is escaped. Raises OSError.
    """
    environment = Environment(
        loader=PackageLoader("unmask.lab", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.globals["palette"] = stylesheet()
    environment.filters |= {
        "number": number,
        "percent": lambda value: "–" if value is None else f"{value:.1%}",
    }
    date = datetime.date.today().isoformat()
    text = environment.get_template(template).render(
        version=unmask.__version__, date=date, **values
    )
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
