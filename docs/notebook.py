"""examples/quickstart.ipynb as a page, run from top to bottom: `python docs/notebook.py`.

Its outputs go into docs/notebook.md, its plots into docs/pictures.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

DOCS = Path(__file__).parent
NOTEBOOK = DOCS.parent / "examples" / "quickstart.ipynb"
HEAD = "The notebook examples/quickstart.ipynb with its outputs (`python docs/notebook.py`).\n"


def parts(cell: Any, number: int) -> list[str]:
    """A cell as Markdown: its text, or its code and what that printed and drew."""
    if cell.cell_type == "markdown":
        return [cell.source]
    made = [f"```python\n{cell.source}\n```"]
    printed = "".join(output.get("text", "") for output in cell.outputs)
    for place, output in enumerate(cell.outputs):
        picture = output.get("data", {}).get("image/png")
        if picture:
            name = f"notebook-{number}-{place}.webp"
            with Image.open(io.BytesIO(base64.b64decode(picture))) as drawn:
                drawn.convert("RGB").save(DOCS / "pictures" / name, quality=80)
            made.append(f"![What cell {number} draws](pictures/{name})")
    if printed.strip():
        made.append(f"```\n{printed.rstrip()}\n```")
    return made


def main() -> None:
    """Run the notebook and write the page."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": DOCS.parent}}).execute()
    blocks = [block for n, cell in enumerate(notebook.cells) for block in parts(cell, n)]
    title, *rest = blocks[0].split("\n", 1)
    page = "\n\n".join([title, HEAD.strip(), *(text.strip() for text in rest), *blocks[1:]])
    (DOCS / "notebook.md").write_text(page + "\n")


if __name__ == "__main__":
    main()
