"""Gathers the sentences of page, report and terminal, and compiles them: `make languages`.

Sentences are English, marked where they stand: `say(…)`, `say_many(one, many, …)` and `Words(…)` in
Python, `say` and `sayMany` in the page's JavaScript, `_(…)` and `t(…)` in the templates. They go
into `src/unmask/locale/CODE/LC_MESSAGES/unmask.po`, where translators write theirs; of that are
made `unmask.mo`, which programs read, and `words/CODE.json`, which the page reads. A test fails
when they are not what this makes, or when a sentence is not translated.
"""

from __future__ import annotations

import ast
import datetime
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po

from unmask.bundle import load_bundle
from unmask.lab.export.joining import read_learnt, shipped_part
from unmask.report.language import ENGLISH, LANGUAGES

SOURCE = Path(__file__).parent.parent / "src" / "unmask"
LOCALE, PAGE = SOURCE / "locale", SOURCE / "server" / "page"

PYTHON = {"say": 1, "say_many": 2, "Words": 1}
"""Functions by the number of forms that they are given."""

FORMS = 200
"""Numbers for which the page is told which plural form they take; larger ones as 100 + n % 100."""

Sentence = str | tuple[str, str]


def sentences() -> dict[Sentence, list[str]]:
    """Every sentence, or its forms for one and several, and the files in which it stands."""
    found: dict[Sentence, list[str]] = {}
    for path in sorted(SOURCE.rglob("*")):
        name = str(path.relative_to(SOURCE))
        for sentence in _in_file(path):
            places = found.setdefault(sentence, [])
            if name not in places:
                places.append(name)
    for sentence in _in_cards():
        found.setdefault(sentence, []).append("weights")
    return found


def _in_cards() -> Iterator[str]:
    """What the bundles that ship say of themselves in a report."""
    for card in (load_bundle("default").card.text, read_learnt(shipped_part())[2]):
        yield str(card["intended_use"])
        yield from map(str, card["limits"])


def _in_file(path: Path) -> Iterator[Sentence]:
    if path.suffix == ".py":
        # the command line has a `say` of its own, which prints
        if not re.search(r"report\.language import|import Words", path.read_text("utf-8")):
            return
        yield from _called_in_python(path)
    elif path.suffix == ".js":
        with path.open("rb") as script:
            for _, sentence, *_ in extract("javascript", script, {"say": None, "sayMany": (1, 2)}):
                if sentence:
                    yield sentence
    elif path.suffix == ".html" and path.parent.name == "templates":
        yield from re.findall(r'\b_\("([^"]+)"', path.read_text(encoding="utf-8"))
    elif path.suffix == ".typ":
        yield from re.findall(r'\bt\("([^"]+)"\)', path.read_text(encoding="utf-8"))


def _called_in_python(path: Path) -> Iterator[Sentence]:
    """By the syntax tree, for calls also stand inside of f-strings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        forms = PYTHON.get(node.func.id, 0)
        given = [arg.value for arg in node.args[:forms] if isinstance(arg, ast.Constant)]
        if forms and len(given) == forms and all(given):
            yield given[0] if forms == 1 else (given[0], given[1])


def gathered(code: str) -> Catalog:
    """The catalogue of a language with all sentences of today, and the translations it has."""
    path = po_file(code)
    before = (
        read_po(io.BytesIO(path.read_bytes()), locale=code)
        if path.exists()
        else Catalog(locale=code)
    )
    catalog = Catalog(
        locale=code, project="unmask", version="1", charset="utf-8", fuzzy=False, header_comment="#"
    )
    for sentence, places in sorted(sentences().items(), key=lambda item: str(item[0])):
        old: Message | None = before.get(sentence if isinstance(sentence, str) else sentence[0])
        catalog.add(sentence, old.string if old is not None else None, auto_comments=places)
    return catalog


def po_file(code: str) -> Path:
    """What translators edit."""
    return LOCALE / code / "LC_MESSAGES" / "unmask.po"


def po_bytes(catalog: Catalog) -> bytes:
    """The catalogue as translators see it; no dates, so that the same sentences give the same."""
    file = io.BytesIO()
    write_po(file, catalog, width=100, omit_header=True, sort_output=False)
    plural = get_plural(catalog.locale)
    header = (
        'msgid ""\nmsgstr ""\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Language: {catalog.locale}\\n"\n'
        f'"Plural-Forms: nplurals={plural.num_plurals}; plural={plural.plural_expr};\\n"\n\n'
    )
    return header.encode() + file.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    """The catalogue as gettext reads it."""
    plain = read_po(io.BytesIO(po_bytes(catalog)), locale=catalog.locale)
    # the same sentences give the same bytes, whenever they are written
    plain.creation_date = plain.revision_date = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    file = io.BytesIO()
    write_mo(file, plain)
    return file.getvalue()


def page_words(catalog: Catalog) -> bytes:
    """What the page reads: its own sentences, and which form of a plural a number takes."""
    import gettext

    plural = gettext.c2py(get_plural(catalog.locale).plural_expr)
    own = {}
    for message in catalog:
        if message.id and any(place.endswith(".js") for place in message.auto_comments):
            one = message.id if isinstance(message.id, str) else message.id[0]
            own[one] = message.string
    words = {"forms": [plural(n) for n in range(FORMS)], "sentences": own}
    return json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()


def files(code: str) -> dict[Path, bytes]:
    """The files of a language, as they should be."""
    catalog = gathered(code)
    return {
        po_file(code): po_bytes(catalog),
        po_file(code).with_suffix(".mo"): mo_bytes(catalog),
        PAGE / "words" / f"{code}.json": page_words(catalog),
    }


def missing(code: str) -> list[str]:
    """Sentences without a translation."""
    return [
        str(message.id)
        for message in gathered(code)
        if message.id
        and not all([message.string] if isinstance(message.string, str) else message.string)
    ]


def main() -> int:
    """Write the files; name what is still to be translated."""
    left = 0
    for code in LANGUAGES:
        if code == ENGLISH:
            continue
        for path, content in files(code).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for sentence in missing(code):
            left += 1
            print(f"{code}: not translated: {sentence}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
