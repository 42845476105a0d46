"""Whose Content Credentials are trusted: a list of certificates that the user names.

None comes with unmask: whom to trust is the reader's choice, and lists change. The C2PA publishes
one for its members (docs/report.md says how to get it).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unmask.errors import SignatureError

VARIABLE = "UNMASK_TRUST"
"""The environment variable that names the list; worker processes inherit it."""

ENDINGS = (".pem", ".crt", ".cer")
"""Of the files that are read in a folder."""


@dataclass(frozen=True, slots=True)
class TrustList:
    """Certificates of authorities; who was certified by one of them is trusted.

    - pem: all of them
    - count: how many
    - sha256: of `pem`
    """

    pem: str
    count: int
    sha256: str


def trust_list() -> TrustList | None:
    """The list that the environment names, or None.

    Raises SignatureError.
    """
    named = os.environ.get(VARIABLE)
    return read_trust(Path(named)) if named else None


def use_trust(path: Path) -> None:
    """Trust who is on this list, here and in the processes that are started from now on.

    Raises SignatureError.
    """
    read_trust(path.absolute())
    os.environ[VARIABLE] = str(path.absolute())


@cache
def read_trust(path: Path) -> TrustList:
    """The certificates in a PEM file, or in all such files of a folder.

    Raises SignatureError for what cannot be read, or is no list of certificates.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    certificates: list[x509.Certificate] = []
    for file in _files(path):
        try:
            certificates += x509.load_pem_x509_certificates(file.read_bytes())
        except OSError as error:
            raise SignatureError(
                f"cannot read the certificates in {file}: {error.strerror or error}"
            ) from error
        except ValueError as error:
            raise SignatureError(f"{file} is no list of certificates (PEM): {error}") from error
    pem = "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)
    return TrustList(pem, len(certificates), hashlib.sha256(pem.encode()).hexdigest())


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
    if not found:
        raise SignatureError(f"{path} holds no certificates ({', '.join(ENDINGS)})")
    yield from found
