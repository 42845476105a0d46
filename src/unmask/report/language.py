"""In which language a report speaks: one catalogue for page, report and terminal.

Everything that a reader sees goes through `say` or `say_many`, with the English sentence as its
name. Translations are gettext catalogues in `locale/`, which translators edit with their usual
tools; `docs/languages.py` gathers the sentences and compiles the catalogues. JSON stays English.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from unmask._internal.words import LocalFormatter, Words

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "es": "Español"}
"""By code, as each calls itself. English is what the sentences are written in."""

ENGLISH = "en"

DECIMAL_MARKS: Mapping[str, str] = {"en": ".", "de": ",", "es": ","}

_spoken: ContextVar[str] = ContextVar("unmask_language", default=ENGLISH)


def language() -> str:
    """The code of the language that is spoken here and now."""
    return _spoken.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak a language within the block, in this thread.

    - code: one of `LANGUAGES`
    """
    if code not in LANGUAGES:
        raise ValueError(f"no language {code!r}; there are {', '.join(LANGUAGES)}")
    token = _spoken.set(code)
    try:
        yield
    finally:
        _spoken.reset(token)


def say(sentence: str, **values: Any) -> str:
    """The sentence in the language that is spoken, filled with the values.

    - sentence: in English; its values stand in braces, as `str.format` takes them
    """
    return _filled(catalogue(language()).gettext(sentence) if sentence else "", values)


def say_many(one: str, many: str, n: int, **values: Any) -> str:
    """The sentence for this number, which may be used in it as `{n}`.

    - one, many: the English sentence for one, and for several
    """
    return _filled(catalogue(language()).ngettext(one, many, n), {"n": n, **values})


def in_language(words: str) -> str:
    """A sentence that was made before it was known who reads it."""
    if isinstance(words, Words):
        values = {
            name: in_language(value) if isinstance(value, Words) else value
            for name, value in words.values.items()
        }
        return say(words.pattern, **values)
    return say(words)


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals, and the decimal mark of the language."""
    return f"{value:.{decimals}f}".replace(".", DECIMAL_MARKS[language()])


def best_of(accepted: str | None) -> str:
    """The language that fits a reader's wishes best.

    - accepted: an Accept-Language header (RFC 9110, section 12.5.4), or None
    """
    wishes = []
    for position, wish in enumerate((accepted or "").split(",")):
        name, _, weight = wish.partition(";q=")
        try:
            wishes.append((-float(weight or 1), position, name.strip().lower().split("-")[0]))
        except ValueError:
            continue
    return next((name for *_, name in sorted(wishes) if name in LANGUAGES), ENGLISH)


@cache
def catalogue(code: str) -> gettext.NullTranslations:
    """The translations into a language; English has none."""
    if code == ENGLISH:
        return gettext.NullTranslations()
    with (folder() / code / "LC_MESSAGES" / "unmask.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def folder() -> Path:
    """Where the catalogues are."""
    return Path(str(files("unmask") / "locale"))


def _filled(sentence: str, values: Mapping[str, Any]) -> str:
    if not values:
        return sentence
    return LocalFormatter(DECIMAL_MARKS[language()]).format(sentence, **values)
