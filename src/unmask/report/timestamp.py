"""The time of an authority for some bytes (RFC 3161), asked for and checked.

By Trail of Bits' rfc3161-client. Only a digest leaves the machine.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.errors import MissingExtraError, SignatureError
from unmask.provenance.trust import read_trust

ANSWER_S = 30.0
"""Seconds that an authority may take."""

MOST_BYTES = 1_000_000
"""Of an answer; real ones have a few thousand."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a time stamp says.

    - time: when the authority saw the digest
    - authority: the address that was asked
    - trusted: whether the authority's certificate leads to the list that was given; None where none
      was
    """

    time: datetime.datetime
    authority: str
    trusted: bool | None


def stamp(content: bytes, authority: str) -> dict[str, str]:
    """The authority's token for the sha-256 of the content, as JSON values.

    - authority: its http or https address

    Raises SignatureError where it does not answer, or answers something else; MissingExtraError.
    """
    client = _client()
    builder = client.TimestampRequestBuilder().data(content).cert_request(cert_request=True)
    request = builder.hash_algorithm(client.HashAlgorithm.SHA256).build()
    if not authority.startswith(("http://", "https://")):
        raise SignatureError(f"{authority} is no http or https address")
    asked = urllib.request.Request(
        authority,
        data=request.as_bytes(),
        headers={"content-type": "application/timestamp-query"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_S) as answer:
            raw = answer.read(MOST_BYTES)
        response = client.decode_timestamp_response(raw)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise SignatureError(f"the time authority {authority} gives no time: {error}") from error
    mark = {"authority": authority, "token": base64.b64encode(raw).decode()}
    if response.status != 0:
        raise SignatureError(
            f"the time authority {authority} refuses: {', '.join(response.status_string)}"
        )
    if response.tst_info.nonce != request.nonce:
        raise SignatureError(f"the time authority {authority} answers another question")
    check_stamp(mark, content)
    return mark


def check_stamp(mark: Mapping[str, Any], content: bytes, roots: Path | None = None) -> Stamp:
    """What the token says of this content.

    - roots: certificates (PEM) of authorities that are trusted, a file or a folder of them

    Raises SignatureError where the token is broken, is of other content, or does not lead to the
    given authorities.
    """
    client = _client()
    authority = str(mark.get("authority", ""))
    try:
        response = client.decode_timestamp_response(
            base64.b64decode(str(mark["token"]), validate=True)
        )
        info = response.tst_info
        stamped, when = info.message_imprint.message, info.gen_time
    except (KeyError, ValueError, TypeError) as error:
        raise SignatureError(f"the time stamp is broken: {error}") from error
    if stamped != hashlib.sha256(content).digest():
        raise SignatureError("the time stamp is of other content")
    if roots is None:
        return Stamp(when, authority, None)
    builder = client.VerifierBuilder(roots=_certificates(roots))
    for certificate in response.signed_data.certificates:
        builder = builder.add_intermediate_certificate(_loaded(certificate))
    try:
        builder.build().verify_message(response, content)
    except (client.VerificationError, ValueError) as error:
        raise SignatureError(
            f"the time stamp of {authority} does not lead to the authorities in {roots}: {error}"
        ) from error
    return Stamp(when, authority, True)


def _client() -> Any:
    try:
        import rfc3161_client
    except ImportError as error:
        raise MissingExtraError("time stamps", "case") from error
    return rfc3161_client


def _certificates(path: Path) -> list[Any]:
    from cryptography import x509

    return list(x509.load_pem_x509_certificates(read_trust(path).pem.encode()))


def _loaded(certificate: bytes) -> Any:
    from cryptography import x509

    return x509.load_der_x509_certificate(certificate)
