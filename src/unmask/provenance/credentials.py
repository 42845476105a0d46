"""Content Credentials (C2PA 2.x), read and checked offline.

By the library of the Content Authenticity Initiative.

No manifest is fetched and no certificate looked up: `valid` means that the file is as it was when
whoever holds the key signed it, not that the signer is who they say. Whether the signer is trusted
is told where the user names a list (`unmask.provenance.trust`).
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unmask.provenance.base import FileUnderCheck
from unmask.provenance.tags import AI_SOURCES, plain
from unmask.provenance.trust import TrustList, trust_list
from unmask.types import Credentials, CredentialsState, Provenance, SignedStep, Trust

MAX_MANIFEST_BYTES = 8_000_000
"""Of a manifest as JSON; a larger one is called unreadable."""

MOST_STEPS = 20
"""Of a file's history; a manifest may name itself as its parent."""

_CHANGED = ("Hash.mismatch", "hashedURI.mismatch", "claimSignature.mismatch")
_NO_MATTER = ("signingCredential.untrusted", "signingCredential.ocsp")
"""Of the signer, not of the file: what is made of it is `Credentials.trust`."""

_REVOKED = ("signingCredential.ocsp.revoked", "signingCredential.revoked")
"""Told by an answer of the authority that lies in the file itself (a stapled one)."""

_SOFT_BINDING = "c2pa.soft-binding"
"""Label of an assertion that names a watermark or fingerprint (C2PA 2.2, section 9.3)."""

_UNCHECKED = (
    "cawg.ica.did_unavailable",
    "cawg.ica.untrusted_issuer",
    "cawg.x509.credential.untrusted",
    "cawg.identity.sig_type.unknown",
)
"""Of the identity of a person or an organisation beside the signature (CAWG Identity Assertion 1.2,
section 7.2): what only a network or a list of trusted issuers could tell."""


def check_credentials(file: FileUnderCheck) -> Provenance:
    """The file's Content Credentials, and whether they say that a generator made it."""
    credentials = read_credentials(file.path)
    return Provenance(credentials=credentials, ai_generated=credentials.ai_generated)


def read_credentials(path: Path) -> Credentials:
    """The credentials of the active manifest.

    `absent` says nothing against a file: nearly all have none.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if content.find(b"c2pa") < 0:  # the label of every manifest store
                return Credentials()
            content.seek(0)
            return _read(content)
    except (OSError, ValueError):
        return Credentials()


def _read(content: mmap.mmap) -> Credentials:
    import c2pa

    trusted = trust_list()
    wanted: dict[str, Any] = {
        "verify": {
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
            "verify_trust": trusted is not None,
        }
    }
    if trusted is not None:
        wanted["trust"] = {"trust_anchors": trusted.pem}
    settings = c2pa.Settings.from_dict(wanted)
    try:
        with c2pa.Reader(None, content, context=c2pa.Context(settings=settings)) as reader:
            text = reader.json()
    except c2pa.C2paError as error:
        words = str(error)
        if words.startswith("ManifestNotFound"):
            return Credentials()  # the four letters were in it by chance
        return Credentials("unreadable", problems=(plain(words, 200),))
    if len(text) > MAX_MANIFEST_BYTES:
        return Credentials(
            "unreadable",
            problems=(f"a manifest of {len(text)} bytes; at most {MAX_MANIFEST_BYTES}",),
        )
    return parse(json.loads(text), trusted)


def parse(store: Mapping[str, Any], trusted: TrustList | None = None) -> Credentials:
    """The credentials of a manifest store as the library's JSON.

    - trusted: the list that the library was given
    """
    manifest = store.get("manifests", {}).get(store.get("active_manifest"))
    if not isinstance(manifest, dict):
        return Credentials("unreadable", problems=("no active manifest",))
    codes = dict.fromkeys(
        code
        for item in store.get("validation_status") or ()
        if (code := plain(str(item.get("code", "")), 80)) and not code.startswith(_NO_MATTER)
    )
    # the manifest is no less valid for an identity in it that could not be looked up
    unchecked = tuple(code for code in codes if code.startswith(_UNCHECKED))
    problems = tuple(code for code in codes if code not in unchecked)
    state: CredentialsState = "valid"
    if any(code.endswith(_CHANGED) for code in problems):
        state = "tampered"
    elif problems:
        state = "invalid"
    history = _history(store, manifest)
    own = history[-1]
    # a picture that was generated, and then edited by somebody who signed too, stays generated
    generated = next((step.source for step in history if step.source in AI_SOURCES), "")
    signature = manifest.get("signature_info") or {}
    return Credentials(
        state=state,
        signer=own.signer,
        issuer=plain(str(signature.get("issuer") or ""), 200),
        generator=own.generator,
        signed_at=own.signed_at,
        actions=own.actions,
        source=generated or own.source,
        ai_generated=bool(generated),
        problems=problems,
        unchecked=unchecked,
        history=history,
        trust=_trust(store, trusted),
        trust_list=trusted.sha256 if trusted is not None else "",
        soft_bindings=tuple(dict.fromkeys(_soft_bindings(manifest))),
    )


def _trust(store: Mapping[str, Any], trusted: TrustList | None) -> Trust:
    """Whether the signer of the active manifest is on the list, as far as a file alone can tell."""
    found = (store.get("validation_results") or {}).get("activeManifest") or {}
    codes = {
        str(item.get("code", ""))
        for kind in ("success", "informational", "failure")
        for item in found.get(kind) or ()
    }
    codes |= {str(item.get("code", "")) for item in store.get("validation_status") or ()}
    if codes & set(_REVOKED):
        return "revoked"
    if trusted is None:
        return "not_asked"
    return "trusted" if "signingCredential.trusted" in codes else "unknown"


def _soft_bindings(manifest: Mapping[str, Any]) -> Iterator[str]:
    """The algorithms of watermarks and fingerprints that lead back to the manifest."""
    for assertion in manifest.get("assertions") or ():
        if str(assertion.get("label", "")).startswith(_SOFT_BINDING):
            data = assertion.get("data")
            if isinstance(data, dict) and data.get("alg"):
                yield plain(str(data["alg"]), 80)


def _history(store: Mapping[str, Any], active: Mapping[str, Any]) -> tuple[SignedStep, ...]:
    """The active manifest and the parents that it was made from, the oldest first."""
    steps = [_step(active)]
    manifests, manifest = store["manifests"], active
    while len(steps) < MOST_STEPS:
        parent = next(
            (
                manifests.get(ingredient.get("active_manifest"))
                for ingredient in manifest.get("ingredients") or ()
                if isinstance(ingredient, dict) and ingredient.get("relationship") == "parentOf"
            ),
            None,
        )
        if not isinstance(parent, dict):
            break
        steps.append(_step(parent))
        manifest = parent
    return tuple(reversed(steps))


def _step(manifest: Mapping[str, Any]) -> SignedStep:
    signature = manifest.get("signature_info") or {}
    actions = list(_actions(manifest))
    sources = [
        str(action["digitalSourceType"]).rsplit("/", 1)[-1]
        for action in actions
        if "digitalSourceType" in action
    ]
    source = next((name for name in sources if name in AI_SOURCES), sources[0] if sources else "")
    return SignedStep(
        signer=plain(str(signature.get("common_name") or ""), 200),
        generator=plain("; ".join(_generators(manifest)), 200),
        signed_at=plain(str(signature.get("time") or ""), 40),
        actions=tuple(plain(str(action.get("action", "")), 80) for action in actions)[:20],
        source=plain(source, 80),
    )


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for assertion in manifest.get("assertions") or ():
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            data = assertion.get("data")
            for action in (data.get("actions") if isinstance(data, dict) else None) or ():
                if isinstance(action, dict):
                    yield action


def _generators(manifest: Mapping[str, Any]) -> Iterator[str]:
    for info in manifest.get("claim_generator_info") or ():
        if isinstance(info, dict):
            yield " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
    if not manifest.get("claim_generator_info") and manifest.get("claim_generator"):
        yield str(manifest["claim_generator"])
