"""Content Credentials in our own PDF: who says what about which file (C2PA 2.1).

The JSON is signed by a key of its own (`unmask.report.signature`), which ties it to whoever holds
that key. A certificate ties the PDF to a name, for readers that know C2PA and nothing of us.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.errors import SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ASSERTION = "unmask.report"
"""What the report says, inside the PDF's credentials."""

CREATED: Mapping[str, Any] = {
    "label": "c2pa.actions.v2",
    "data": {
        "actions": [
            {
                "action": "c2pa.created",
                # IPTC's word for what software makes of data
                "digitalSourceType": (
                    "http://cv.iptc.org/newscodes/digitalsourcetype/dataDrivenMedia"
                ),
            }
        ]
    },
}
"""The assertion that C2PA wants first."""

SMALLEST_PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg"></svg>'

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who signs a PDF.

    - chain: certificates as PEM, the signer's first
    - key: its private key as PEM (PKCS 8)
    - algorithm: as C2PA calls it
    - name: of the signer, as the certificate has it
    """

    chain: bytes
    key: bytes
    algorithm: str
    name: str


def read_certificate(path: Path, key: Ed25519PrivateKey | None = None) -> Certificate:
    """A PEM file with the signer's certificate, those above it, and its private key.

    - key: the signer's, where the file has none

    Raises SignatureError for a file without certificates, a key that is not the signer's, and a
    certificate that C2PA does not take.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    try:
        content = path.read_bytes()
        chain = x509.load_pem_x509_certificates(content)
        private: Any = load_pem_private_key(content, None) if b"PRIVATE KEY" in content else key
    except OSError as error:
        raise SignatureError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise SignatureError(f"{path} is no certificate as PEM: {error}") from error
    if private is None:
        raise SignatureError(f"{path} has no private key, and there is none of --sign")
    if private.public_key() != chain[0].public_key():
        raise SignatureError(
            f"the private key is not that of the first certificate in {path}: put the signer's"
            " first, and its key into the same file"
        )
    names = chain[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    certificate = Certificate(
        b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        _algorithm(private, path),
        str(names[0].value) if names else chain[0].subject.rfc4514_string(),
    )
    # whether C2PA takes it only signing tells: better now than after the first file
    _signed({"assertions": [CREATED]}, "image/svg+xml", SMALLEST_PICTURE, certificate, None)
    return certificate


def with_credentials(
    pdf: bytes, report: Mapping[str, Any], certificate: Certificate, authority: str | None = None
) -> bytes:
    """The PDF with signed Content Credentials.

    - report: the JSON values of the report; what they say in short is signed with the PDF
    - authority: of time (RFC 3161), asked so that the signature outlives its certificate

    Raises SignatureError, also where the authority gives no time.
    """
    import unmask

    media, model, verdict = report["media"], report["model"], report["verdict"]
    said = {
        "schema": report["schema"],
        "sha256": media["sha256"],
        "verdict": verdict["label"],
        "probability_fake": verdict["probability_fake"],
        "reasons": verdict["reasons"],
        "model": {name: model[name] for name in ("name", "version", "sha256")},
    }
    name = Path(media["path"]).name
    manifest = {
        "title": f"{name}: {verdict['label']}",
        "claim_generator_info": [{"name": "unmask", "version": unmask.__version__}],
        "ingredients": [{"title": name, "relationship": "inputTo"}],
        "assertions": [
            CREATED,
            {"label": ASSERTION, "data": said},
        ],
    }
    return _signed(manifest, "application/pdf", pdf, certificate, authority)


def _signed(
    manifest: Mapping[str, Any],
    kind: str,
    content: bytes,
    certificate: Certificate,
    authority: str | None,
) -> bytes:
    import c2pa

    signed = io.BytesIO()
    try:
        info = c2pa.C2paSignerInfo(
            alg=c2pa.C2paSigningAlg[certificate.algorithm],
            sign_cert=certificate.chain,
            private_key=certificate.key,
            ta_url=authority,
        )
        signer = c2pa.Signer.from_info(info)
        c2pa.Builder(dict(manifest)).sign(signer, kind, io.BytesIO(content), signed)
    except c2pa.C2paError as error:
        raise SignatureError(f"{certificate.name} cannot sign: {str(error)[:200]}") from error
    return signed.getvalue()


def _algorithm(key: Any, path: Path) -> str:
    """C2PA's name for how this key signs. Raises SignatureError."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    raise SignatureError(f"C2PA has no signature for the kind of key in {path}")
