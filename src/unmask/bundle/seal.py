"""The card inside an ONNX file, and the digests that tie both together (docs/bundle.md).

An ONNX file is one protobuf message. Its top level is walked here by hand (a few lines), so that
neither the onnx package nor a parser that trusts the file is needed to check it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from unmask._internal.protobuf import tagged, walk
from unmask.errors import BundleFormatError, BundleIntegrityError

CARD_KEY = "unmask.card"
DIGEST_KEY = "unmask.card.sha256"

_METADATA_FIELD = 14  # ModelProto.metadata_props, a message of key = 1 and value = 2 (onnx.proto3)


def seal(graph: bytes, card: Mapping[str, Any]) -> bytes:
    """The ONNX file `graph` with `card` in its metadata, in place of any card it had.

    `graph_sha256` is filled in.
    """
    kept = b"".join(
        raw for raw, prop in _fields(graph) if prop is None or prop[0] not in (CARD_KEY, DIGEST_KEY)
    )
    card = {**card, "graph_sha256": hashlib.sha256(kept).hexdigest()}
    text = json.dumps(card, sort_keys=True, ensure_ascii=False, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return kept + _entry(CARD_KEY, text) + _entry(DIGEST_KEY, digest)


def read_seal(file: bytes) -> dict[str, Any]:
    """The card of an ONNX file, once both digests were found right.

    Raises BundleFormatError where the file is no ONNX or has no card, BundleIntegrityError where a
    digest differs.
    """
    kept, entries = hashlib.sha256(), {}
    for raw, prop in _fields(file):
        if prop is None or prop[0] not in (CARD_KEY, DIGEST_KEY):
            kept.update(raw)
        elif prop[0] in entries:
            raise BundleFormatError(f"the metadata has {prop[0]} twice")
        else:
            entries[prop[0]] = prop[1]
    if CARD_KEY not in entries:
        raise BundleFormatError(
            f"it has no card: the metadata lacks {CARD_KEY!r}; make a bundle with `unmask export`"
        )
    if DIGEST_KEY not in entries:
        raise BundleFormatError(f"the card is not sealed: the metadata lacks {DIGEST_KEY!r}")
    card_digest = hashlib.sha256(entries[CARD_KEY]).hexdigest()
    if card_digest.encode() != entries[DIGEST_KEY]:
        claimed = entries[DIGEST_KEY].decode("utf-8", "replace")
        raise BundleIntegrityError(
            f"the card was changed: its sha-256 is {card_digest}, but the file says {claimed}"
        )
    try:
        card = json.loads(entries[CARD_KEY])
    except ValueError as error:
        raise BundleFormatError(f"the card is not JSON: {error}") from error
    if not isinstance(card, dict):
        raise BundleFormatError("the card is not a JSON object")
    if card.get("graph_sha256") != kept.hexdigest():
        raise BundleIntegrityError(
            f"the graph was changed: its sha-256 is {kept.hexdigest()}, but the card says"
            f" {card.get('graph_sha256')}"
        )
    return card


def _entry(key: str, value: str) -> bytes:
    pair = b"".join(tagged(number, text.encode()) for number, text in ((1, key), (2, value)))
    return tagged(_METADATA_FIELD, pair)


def _fields(message: bytes) -> Iterator[tuple[bytes, tuple[str, bytes] | None]]:
    """The top-level fields of a ModelProto: raw bytes, and key and value of a metadata entry."""
    for number, start, body, end in walk(message):
        prop = None
        if number == _METADATA_FIELD:
            pair = {n: message[body:end][b:e] for n, _, b, e in walk(message[body:end])}
            prop = (pair.get(1, b"").decode("utf-8", "replace"), pair.get(2, b""))
        yield message[start:end], prop
