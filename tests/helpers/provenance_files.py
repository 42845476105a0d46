"""Files with things to say, made by the tests: signed by a certificate of their own, and then
tampered with."""

from __future__ import annotations

import datetime
import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int = 0, size: int = 128) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return coarse.resize((size, size), Image.Resampling.BICUBIC)


def as_bytes(image: Image.Image, kind: str = "JPEG", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


@cache
def signer_parts(
    purpose: str = "EMAIL_PROTECTION", *, edwards: bool = False
) -> tuple[bytes, bytes]:
    """A certificate chain and the private key of its leaf, as PEM.

    - purpose: what the leaf is for, one of `ExtendedKeyUsageOID`
    - edwards: the leaf's key is Ed25519, not P-256
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    start = datetime.datetime(2026, 1, 1)

    def named(name: str) -> x509.Name:
        organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Made by a test")
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), organisation])

    def certificate(
        name: str, key: Any, issuer: str, issuer_key: Any, authority: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=36500))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, authority, authority, False, False),
                True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
            )
        )
        if not authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, purpose)]), False
            )
        return builder.sign(issuer_key, hashes.SHA256())

    root_key = ec.generate_private_key(ec.SECP256R1())
    key: Any = ec.generate_private_key(ec.SECP256R1())
    if edwards:
        key = ed25519.Ed25519PrivateKey.generate()
    root = certificate("Root", root_key, "Root", root_key, True)
    leaf = certificate("Signer <b>of tests</b>", key, "Root", root_key, False)
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, root))
    return chain, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signed(
    data: bytes, mime: str = "image/jpeg", source: str = "digitalCapture", **more: Any
) -> bytes:
    """The file with Content Credentials.

    - source: IPTC digital source type of `created`
    - more: `assertions`; `edited`, if the file, signed before, is signed again as cropped
    """
    import c2pa

    chain, key = signer_parts()
    info = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg.ES256, sign_cert=chain, private_key=key, ta_url=None
    )
    action = {
        "action": "c2pa.created",
        "digitalSourceType": f"http://cv.iptc.org/newscodes/digitalsourcetype/{source}",
    }
    manifest = {
        "claim_generator_info": [{"name": "test_camera", "version": "1.0"}],
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [action]}},
            *more.get("assertions", ()),
        ],
    }
    out = io.BytesIO()
    builder = c2pa.Builder(manifest)
    if more.get("edited"):  # the library names the file as its parent, and adds `opened`
        manifest["assertions"] = [
            {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.cropped"}]}}
        ]
        manifest["claim_generator_info"] = [{"name": "test_editor"}]
        builder = c2pa.Builder(manifest)
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    builder.sign(c2pa.Signer.from_info(info), mime, io.BytesIO(data), out)
    return out.getvalue()
