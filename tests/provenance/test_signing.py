"""Content Credentials in the PDF, signed by certificates of the tests, read back by the library."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from typer.testing import CliRunner

from helpers.provenance_files import signer_parts
from helpers.time_authority import make_authority, time_authority
from unmask.cli import app
from unmask.errors import SignatureError
from unmask.provenance.signing import (
    ASSERTION,
    Certificate,
    read_certificate,
    with_credentials,
)
from unmask.report.signature import new_key


def pem_of(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Chain and key in one file."""
    chain, key = signer_parts()
    path = tmp_path / "me.pem"
    path.write_bytes(chain + key)
    return path


def read_back(pdf: bytes) -> tuple[str, dict[str, Any]]:
    """How the library finds the PDF, and what its manifest says."""
    reader = c2pa.Reader("application/pdf", io.BytesIO(pdf))
    found = json.loads(reader.json())
    return reader.get_validation_state(), found["manifests"][found["active_manifest"]]


def scan(demo: Path, *words: object) -> Any:
    command = ["scan", str(demo / "2-generated.jpg"), "--no-stability", *map(str, words)]
    return CliRunner().invoke(app, command)


def test_the_pdf_says_what_the_report_says(demo: Path, tmp_path: Path, certificate: Path) -> None:
    new_key(tmp_path / "key.pem")
    out = tmp_path / "out"
    done = scan(demo, "--report", out, "--certificate", certificate, "--sign", tmp_path / "key.pem")
    assert done.exit_code == 0, done.output
    [pdf], [tree] = out.glob("*.pdf"), [json.loads(p.read_bytes()) for p in out.glob("*.json")]
    state, manifest = read_back(pdf.read_bytes())
    assert state == "Valid"
    assert manifest["signature_info"]["common_name"] == "Signer <b>of tests</b>"
    assert manifest["claim_generator_info"][0]["name"] == "unmask"
    [said] = [one["data"] for one in manifest["assertions"] if one["label"] == ASSERTION]
    assert said["sha256"] == tree["media"]["sha256"]
    assert said["verdict"] == tree["verdict"]["label"] == "fake"
    assert said["model"] == tree["model"]
    assert manifest["ingredients"][0]["title"] == "2-generated.jpg"
    # the signed JSON names the PDF as it lies there
    assert tree["files"][pdf.name] == hashlib.sha256(pdf.read_bytes()).hexdigest()
    checked = CliRunner().invoke(app, ["report", "verify", *map(str, out.glob("*.json"))])
    assert checked.exit_code == 0, checked.output
    assert pdf.read_bytes().startswith(b"%PDF-")


def test_a_changed_pdf_is_no_longer_valid(demo: Path, tmp_path: Path, certificate: Path) -> None:
    out = tmp_path / "out"
    assert scan(demo, "--report", out, "--certificate", certificate).exit_code == 0
    [pdf] = out.glob("*.pdf")
    changed = pdf.read_bytes().replace(b"Typst", b"Tipst")
    assert changed != pdf.read_bytes()
    state, _ = read_back(changed)
    assert state == "Invalid"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("authority")
    make_authority(folder)
    with time_authority(folder) as address:
        yield address


def test_the_time_is_confirmed(
    demo: Path, tmp_path: Path, certificate: Path, authority: str
) -> None:
    new_key(tmp_path / "key.pem")
    out = tmp_path / "out"
    words = ["--report", out, "--certificate", certificate, "--sign", tmp_path / "key.pem"]
    done = scan(demo, *words, "--timestamp", authority)
    assert done.exit_code == 0, done.output
    [pdf] = out.glob("*.pdf")
    state, manifest = read_back(pdf.read_bytes())
    assert state == "Valid"
    assert manifest["signature_info"]["time"].startswith("20")


def test_the_key_of_sign_does_where_the_certificate_is_its(demo: Path, tmp_path: Path) -> None:
    chain, key = signer_parts(edwards=True)
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "me.pem").write_bytes(chain)
    out = tmp_path / "out"
    words = ["--report", out, "--certificate", tmp_path / "me.pem"]
    assert scan(demo, *words, "--sign", tmp_path / "key.pem").exit_code == 0
    [pdf] = out.glob("*.pdf")
    assert read_back(pdf.read_bytes())[0] == "Valid"
    with pytest.raises(SignatureError, match="no private key, and there is none of --sign"):
        read_certificate(tmp_path / "me.pem")


def test_what_does_not_do_is_said(tmp_path: Path) -> None:
    chain, _ = signer_parts()
    path = tmp_path / "me.pem"
    with pytest.raises(SignatureError, match="cannot read"):
        read_certificate(path)
    path.write_text("no certificate")
    with pytest.raises(SignatureError, match="no certificate as PEM"):
        read_certificate(path)
    path.write_bytes(chain + pem_of(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(SignatureError, match="not that of the first certificate"):
        read_certificate(path)


def test_a_certificate_for_a_web_server_does_not_do(demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(b"".join(signer_parts("SERVER_AUTH")))
    done = scan(demo, "--report", tmp_path / "out", "--certificate", path)
    assert done.exit_code == 1
    assert isinstance(done.exception, SignatureError)
    assert "cannot sign: Signature: the certificate is invalid" in str(done.exception)
    assert "Verdict" not in done.output  # it is said before any work is done
    assert not list(tmp_path.glob("out/*"))


def test_what_is_no_pdf_is_not_signed() -> None:
    chain, key = signer_parts()
    report = {
        "schema": "unmask.report/1",
        "media": {"path": "a.jpg", "sha256": "0" * 64},
        "verdict": {"label": "fake", "probability_fake": 0.9, "reasons": []},
        "model": {"name": "m", "version": "1", "sha256": "1" * 64},
    }
    with pytest.raises(SignatureError, match="somebody cannot sign"):
        with_credentials(b"no PDF", report, Certificate(chain, key, "ES256", "somebody"))


def test_the_option_needs_a_pdf(demo: Path, certificate: Path) -> None:
    done = scan(demo, "--certificate", certificate)
    assert done.exit_code == 2
