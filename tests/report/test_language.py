"""Every sentence in every language, and the way a reader's language is found."""

from __future__ import annotations

import datetime
import importlib.util
import io
import json
import pickle
import re
import string
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pypdf import PdfReader

from unmask._internal.words import Words
from unmask.bundle import load_bundle
from unmask.cli.output import Language
from unmask.detector import load_detector
from unmask.report.files import documents, view_of
from unmask.report.language import (
    DECIMAL_MARKS,
    LANGUAGES,
    best_of,
    fixed,
    in_language,
    language,
    say,
    say_many,
    speaking,
)
from unmask.types import Report

ROOT = Path(__file__).parents[2]
TRANSLATED = [code for code in LANGUAGES if code != "en"]


@pytest.fixture(scope="module")
def catalogues() -> ModuleType:
    path = ROOT / "docs" / "languages.py"
    spec = importlib.util.spec_from_file_location("languages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report(demo: Path) -> Report:
    return load_detector().scan(demo / "2-generated.jpg", explain=True)


@pytest.mark.parametrize("code", TRANSLATED)
def test_no_sentence_is_missing_and_the_files_are_up_to_date(
    catalogues: ModuleType, code: str
) -> None:
    assert len(catalogues.sentences()) > 400
    assert catalogues.missing(code) == [], "translate them, then `make languages`"
    for path, content in catalogues.files(code).items():
        assert path.read_bytes() == content, f"{path.name} is not up to date: `make languages`"


@pytest.mark.parametrize("code", TRANSLATED)
def test_translations_hold_the_same_values_as_the_sentences(
    catalogues: ModuleType, code: str
) -> None:
    for message in catalogues.gathered(code):
        if not message.id:
            continue
        english = {message.id} if isinstance(message.id, str) else set(message.id)
        forms = {message.string} if isinstance(message.string, str) else set(message.string)
        # the form for one may leave the number out
        needed = set.intersection(*map(fields, english))
        allowed = set.union(*map(fields, english))
        for form in forms:
            assert needed - {("n", "")} <= fields(form) <= allowed, (message.id, form)


def fields(sentence: str) -> set[tuple[str, str]]:
    """Names and formats of a sentence's values."""
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(sentence) if name}


def test_the_same_languages_are_offered_everywhere() -> None:
    page = (ROOT / "src/unmask/server/page/index.html").read_text(encoding="utf-8")
    offered = dict(re.findall(r'<option value="(\w+)" lang="\1">(\w+)</option>', page))
    assert offered == dict(LANGUAGES)
    assert [choice.value for choice in Language] == list(LANGUAGES) == list(DECIMAL_MARKS)


def test_a_sentence_is_said_in_the_language_of_the_block() -> None:
    assert say("Verdict") == "Verdict"
    with speaking("de"):
        assert say("Verdict") == "Urteil"
        assert say_many("{n} frame was checked", "{n} frames were checked", 1).startswith("1 Ein")
        assert "wurden" in say_many("{n} frame was checked", "{n} frames were checked", 7)
        assert fixed(0.25, 3) == "0,250"
        with speaking("es"):
            assert say("Verdict") == "Veredicto"
        assert language() == "de"
    assert language() == "en"
    with pytest.raises(ValueError, match="no language 'xx'"), speaking("xx"):
        pass


def test_words_are_text_that_can_be_said_again() -> None:
    words = Words("only {share:.0%} of the file could be read", share=0.25)
    assert words == "only 25% of the file could be read"
    assert json.dumps(words) == '"only 25% of the file could be read"'
    again = pickle.loads(pickle.dumps(words))
    with speaking("es"):
        assert in_language(again) == "solo se pudo leer el 25% del archivo"
        assert in_language("a plug-in's own words") == "a plug-in's own words"
    signer = Words("an unnamed signer")
    nested = Words("names a generator: {name}", name=signer)
    with speaking("de"):
        assert in_language(nested) == "nennt einen Generator: einem ungenannten Unterzeichner"


def test_braces_in_a_value_stay_what_they_are() -> None:
    name = "{0}{evil}"
    assert say("Report on {name}", name=name) == "Report on {0}{evil}"
    assert in_language(Words("names a generator: {name}", name=name)).endswith(name)


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("fr-FR, de;q=0.4, es;q=0.7", "es"),
        ("en-GB;q=0.5,DE-at", "de"),
        ("xx;q=nonsense, es;q=0.1", "es"),
    ],
)
def test_the_wish_that_can_be_met(accepted: str | None, code: str) -> None:
    assert best_of(accepted) == code


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_report_is_in_one_language_and_its_json_in_english(report: Report, code: str) -> None:
    card, day = load_bundle("default").card, datetime.date(2026, 11, 26)
    english = dict(documents(report, card, made_on=day))
    made = dict(documents(report, card, made_on=day, language=code))
    page = next(data for name, data in made.items() if name.endswith(".html")).decode()
    sheet = next(data for name, data in made.items() if name.endswith(".pdf"))
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(sheet)).pages)
    with speaking(code):
        expected = [say("What this means"), say("Limits of the model"), say("How stable")]
    assert f'<html lang="{code}">' in page
    for words in expected:
        assert words in page
        assert words in re.sub(r"\s+", " ", text)
    for words in (
        "What this means",
        "Probability of fake",
        " looks ",
        "Made by",
        "Why:",
        "Verdict",
    ):
        assert words in next(data for name, data in english.items() if ".html" in name).decode()
        assert words not in page
    for name, data in made.items():
        if name.endswith(".json"):
            assert data == english[name]


def test_views_differ_in_words_alone(report: Report) -> None:
    card = load_bundle("default").card
    views = [view_of(report, card, language=code) for code in LANGUAGES]
    pictures = [view["people"][0]["faces"][0]["picture"].data for view in views]
    assert len(set(pictures)) == 1
    assert len({view["headline"] for view in views}) == len(LANGUAGES)
    assert len({view["label"] for view in views}) == 1


def test_the_terminal_speaks_it_too(demo: Path) -> None:
    command = [sys.executable, "-m", "unmask", "scan", str(demo / "2-generated.jpg")]
    german = subprocess.run(
        [*command, "--language", "de"], capture_output=True, text=True, timeout=120, check=True
    )
    assert "GEFÄLSCHT" in german.stdout
    assert "Wahrscheinlichkeit" in german.stdout
