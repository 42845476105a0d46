"""Lists of trusted signers: files really signed, and certificates made here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from helpers.provenance_files import as_bytes, picture, signed, signer_parts
from unmask.errors import SignatureError
from unmask.provenance.credentials import parse, read_credentials
from unmask.provenance.trust import VARIABLE, read_trust, use_trust
from unmask.report.phrases import credentials_in_words
from unmask.types import Credentials


@pytest.fixture(autouse=True)
def _no_list_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "")  # what a test sets is taken back, too
    read_trust.cache_clear()
    yield
    read_trust.cache_clear()


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "signed.jpg"
    path.write_bytes(signed(as_bytes(picture())))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The certificate that the signer's was issued by."""
    _, authority = x509.load_pem_x509_certificates(signer_parts()[0])
    path = tmp_path / "root.pem"
    path.write_bytes(authority.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A certificate of somebody else."""
    signer_parts.cache_clear()
    _, authority = x509.load_pem_x509_certificates(signer_parts()[0])
    signer_parts.cache_clear()
    path = tmp_path / "other.pem"
    path.write_bytes(authority.public_bytes(Encoding.PEM))
    return path


def test_without_a_list_nothing_is_said_of_trust(photograph: Path) -> None:
    found = read_credentials(photograph)
    assert (found.state, found.trust, found.trust_list) == ("valid", "not_asked", "")


def test_who_leads_to_the_list_is_trusted(photograph: Path, root: Path) -> None:
    use_trust(root)
    found = read_credentials(photograph)
    assert (found.state, found.trust) == ("valid", "trusted")
    assert found.trust_list == read_trust(root).sha256
    assert "leads to the list" in credentials_in_words(found)


def test_who_does_not_is_unknown_and_the_file_no_less_whole(photograph: Path, other: Path) -> None:
    use_trust(other)
    found = read_credentials(photograph)
    assert (found.state, found.trust, found.problems) == ("valid", "unknown", ())
    assert "not on the list" in credentials_in_words(found)


def test_a_folder_of_lists_is_one_list(photograph: Path, root: Path, other: Path) -> None:
    folder = root.parent / "lists"
    folder.mkdir()
    root.rename(folder / "b.crt")
    other.rename(folder / "a.pem")
    (folder / "readme.txt").write_text("not read")
    assert read_trust(folder).count == 2
    use_trust(folder)
    assert read_credentials(photograph).trust == "trusted"


def test_a_changed_file_of_a_trusted_signer_stays_tampered(photograph: Path, root: Path) -> None:
    data = bytearray(photograph.read_bytes())
    data[-40] ^= 0xFF
    photograph.write_bytes(data)
    use_trust(root)
    found = read_credentials(photograph)
    assert found.state == "tampered"
    assert "changed after" in credentials_in_words(found)


def store(*codes: str, **manifest: Any) -> Credentials:
    results = {"activeManifest": {"success": [], "failure": [{"code": code} for code in codes]}}
    return parse(
        {"active_manifest": "a", "manifests": {"a": manifest}, "validation_results": results}
    )


def test_an_authority_that_says_revoked_in_the_file_is_heard() -> None:
    found = store("signingCredential.ocsp.revoked")
    assert (found.state, found.trust) == ("valid", "revoked")
    assert "revoked" in credentials_in_words(found)
    assert store("signingCredential.ocsp.skipped").trust == "not_asked"


def test_soft_bindings_are_named(tmp_path: Path) -> None:
    binding = {
        "label": "c2pa.soft-binding",
        "data": {"alg": "com.example.mark", "blocks": [{"scope": {}, "value": "AAAA"}]},
    }
    path = tmp_path / "marked.jpg"
    path.write_bytes(signed(as_bytes(picture()), assertions=[binding]))
    assert read_credentials(path).soft_bindings == ("com.example.mark",)


@pytest.mark.parametrize(
    ("content", "words"), [(b"no certificate", "no list of certificates"), (None, "cannot read")]
)
def test_what_is_no_list_is_an_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "list.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SignatureError, match=words):
        use_trust(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SignatureError, match="holds no certificates"):
        use_trust(tmp_path / "empty")


def test_the_command_says_whom_it_trusts(photograph: Path, root: Path, tiny_bundle: Path) -> None:
    def scanned(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "unmask", "scan", str(photograph), *more]
        return subprocess.run(
            [*command, "--model", str(tiny_bundle)], capture_output=True, text=True, check=False
        )

    found = json.loads(scanned("--json", "--trust", str(root)).stdout)["provenance"]["credentials"]
    assert found["trust"] == "trusted"
    assert found["trust_list_sha256"] == read_trust(root).sha256
    missing = scanned("--trust", str(root.parent / "missing.pem"))
    assert missing.returncode == 1
    assert "cannot read the certificates" in missing.stderr
