from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unmask.errors import OutputError, SignatureError
from unmask.report.signature import canonical, new_key, read_key, sign, verify

REPORT: dict[str, Any] = {
    "verdict": {"label": "fake", "probability_fake": 0.95},
    "name": "ä\n",
    "n": [1, 2.5, None],
}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    new_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def written(folder: Path, tree: Any) -> Path:
    path = folder / "report.json"
    path.write_text(json.dumps(tree, indent=2) if not isinstance(tree, str) else tree)
    return path


def test_signed_and_verified(tmp_path: Path, key: Path) -> None:
    path = written(tmp_path, sign(REPORT, read_key(key)))
    found = verify(path)
    assert len(found) == 32
    assert verify(path, Path(f"{key}.pub")) == found
    path.write_text(json.dumps(json.loads(path.read_text())))  # other spaces are no change
    assert verify(path) == found


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["verdict"].update(label="real"),
        lambda tree: tree["verdict"].update(probability_fake=0.950001),
        lambda tree: tree.update(more=1),
        lambda tree: tree.pop("name"),
        lambda tree: tree["n"].reverse(),
    ],
)
def test_every_change_is_told(tmp_path: Path, key: Path, change: Any) -> None:
    tree = json.loads(json.dumps(sign(REPORT, read_key(key))))
    change(tree)
    with pytest.raises(SignatureError, match="changed after it was signed"):
        verify(written(tmp_path, tree))


def test_a_key_that_stands_twice_is_refused(tmp_path: Path, key: Path) -> None:
    text = json.dumps(sign(REPORT, read_key(key)))
    with pytest.raises(SignatureError, match="stands twice"):
        verify(written(tmp_path, '{"name": "other", ' + text[1:]))


def test_signed_again_by_another(tmp_path: Path, key: Path) -> None:
    new_key(tmp_path / "other.pem")
    forged = sign({**REPORT, "name": "forged"}, read_key(tmp_path / "other.pem"))
    path = written(tmp_path, forged)
    verify(path)  # whole, but whose?
    with pytest.raises(SignatureError, match="another key"):
        verify(path, Path(f"{key}.pub"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[]", "not signed"),
        ("{}", "not signed"),
        ('{"signature": {}}', "broken signature"),
        ('{"signature": {"algorithm": "none", "public_key": "", "value": ""}}', "only Ed25519"),
        (
            '{"signature": {"algorithm": "Ed25519", "public_key": "?", "value": ""}}',
            "broken signature",
        ),
        ('{"a": NaN}', "no JSON"),
    ],
)
def test_what_is_no_signed_report(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SignatureError, match=words):
        verify(written(tmp_path, text))


def test_keys(tmp_path: Path, key: Path) -> None:
    assert key.stat().st_mode & 0o077 == 0
    with pytest.raises(OutputError, match="never overwritten"):
        new_key(key)
    with pytest.raises(SignatureError, match="cannot read"):
        read_key(tmp_path / "none")
    with pytest.raises(SignatureError, match="no key as PEM"):
        read_key(written(tmp_path, "no key"))


def test_what_is_signed_does_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == b'{"a":2,"b":1}'
