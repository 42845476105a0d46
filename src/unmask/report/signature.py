"""Signed reports: the JSON with an Ed25519 signature (RFC 8032) over all of it.

What is signed is the JSON without its key `signature`, with sorted keys, without spaces, in UTF-8.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask._internal.atomic import output_errors
from unmask.errors import OutputError, SignatureError
from unmask.report.timestamp import Stamp, check_stamp, stamp

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ALGORITHM = "Ed25519"


def new_key(path: Path) -> str:
    """Make a private key in a file that only its owner may read, and the public one (.pub).

    Returns its fingerprint. Raises OutputError, also where the file is there already.
    """
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    public = key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    with output_errors(path):
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise OutputError(f"{path} is there already; a key is never overwritten") from error
        path.write_bytes(private)
        path.with_name(path.name + ".pub").write_bytes(public)
    return key_fingerprint(key.public_key())


def read_key(path: Path) -> Ed25519PrivateKey:
    """A private key as PEM (PKCS 8).

    Raises SignatureError.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _load(path, lambda data: load_pem_private_key(data, password=None))
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(
            f"{path} is no Ed25519 private key; `unmask report new-key FILE` makes one"
        )
    return key


def sign(report: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The report with its signature."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    plain = {name: value for name, value in report.items() if name != "signature"}
    return plain | {
        "signature": {
            "algorithm": ALGORITHM,
            "public_key": base64.b64encode(raw).decode(),
            "value": base64.b64encode(key.sign(canonical(plain))).decode(),
        }
    }


def verify(path: Path, trusted: Path | None = None) -> str:
    """The fingerprint of the key that signed the report, which is unchanged since.

    So are the page and the PDF beside it, where they are still there.

    - trusted: a public key as PEM that must be it

    Raises SignatureError: changed, unsigned, no report, or another key.
    """
    try:
        report = json.loads(path.read_bytes(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (OSError, ValueError) as error:
        raise SignatureError(f"{path} cannot be read as a report: {error}") from error
    signed_by = verify_signature(report, str(path), trusted)
    _check_files(report, path)
    return signed_by


def stamped(path: Path, authorities: Path | None = None) -> Stamp | None:
    """When a time authority saw the signed report; None where none did.

    - authorities: certificates (PEM) to which the stamp must lead

    Raises SignatureError, MissingExtraError.
    """
    report = json.loads(path.read_bytes())
    mark = report["signature"]
    if "timestamp" not in mark:
        return None
    return check_stamp(mark["timestamp"], _without_time(report), authorities)


def add_time(report: Mapping[str, Any], authority: str) -> dict[str, Any]:
    """The signed report with the time of an authority in its signature.

    Raises SignatureError, MissingExtraError.
    """
    time = stamp(_without_time(report), authority)
    return {**report, "signature": {**report["signature"], "timestamp": time}}


def _without_time(report: Mapping[str, Any]) -> bytes:
    """What a time stamp is of: the report and its signature."""
    mark = {key: value for key, value in report["signature"].items() if key != "timestamp"}
    return canonical({**report, "signature": mark})


def verify_signature(report: Any, name: str, trusted: Path | None = None) -> str:
    """The fingerprint of the key that signed these JSON values.

    - name: of what is checked, for errors
    - trusted: a public key as PEM that must be it

    Raises SignatureError: changed, unsigned, or another key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    mark = report.get("signature") if isinstance(report, dict) else None
    if not isinstance(mark, dict):
        raise SignatureError(f"{name} is not signed; `unmask scan --report DIR --sign KEY` signs")
    try:
        if mark["algorithm"] != ALGORITHM:
            raise SignatureError(
                f"{name} is signed by {mark['algorithm']!r:.40}; only {ALGORITHM} is known"
            )
        public = Ed25519PublicKey.from_public_bytes(
            base64.b64decode(mark["public_key"], validate=True)
        )
        value = base64.b64decode(mark["value"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise SignatureError(f"{name} has a broken signature: {error}") from error
    try:
        public.verify(
            value, canonical({key: part for key, part in report.items() if key != "signature"})
        )
    except InvalidSignature as error:
        raise SignatureError(f"{name} was changed after it was signed") from error
    signed_by = key_fingerprint(public)
    if trusted is not None:
        trusted_key = _load(trusted, load_pem_public_key)
        if not isinstance(trusted_key, Ed25519PublicKey):
            raise SignatureError(f"{trusted} is no Ed25519 public key")
        if key_fingerprint(trusted_key) != signed_by:
            raise SignatureError(
                f"{name} is unchanged, but was signed by another key: {signed_by}, not"
                f" {key_fingerprint(trusted_key)}"
            )
    return signed_by


def _check_files(report: Mapping[str, Any], path: Path) -> None:
    """Raises SignatureError where a page or PDF beside the report is another one now."""
    files = report.get("files")
    for name, digest in (files if isinstance(files, dict) else {}).items():
        beside = path.with_name(Path(name).name)
        if not beside.is_file():
            continue
        if hashlib.sha256(beside.read_bytes()).hexdigest() != digest:
            raise SignatureError(f"{beside} was changed after {path.name} was signed")


def canonical(report: Mapping[str, Any]) -> bytes:
    """What is signed."""
    return json.dumps(
        report, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8", "surrogatepass")


def key_fingerprint(key: Ed25519PublicKey) -> str:
    """sha-256 of the public key's 32 bytes, its first 16 bytes in hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]


def _load(path: Path, read: Any) -> Any:
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise SignatureError(f"cannot read the key {path}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise SignatureError(f"{path} is no key as PEM: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that stands twice could show one thing and sign another."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return unique


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
