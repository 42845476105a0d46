"""What a report holds: people, provenance, findings, settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from unmask.types.faces import (
    Exhibit,
    Label,
    Media,
    Moment,
    Score,
    Segment,
    Variant,
    Verdict,
)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The faces of one human being in one file, in order of time.

    - id: from 1, the most often seen first
    - verdict: on this person alone
    - scores: one for each face found, those that could not be judged included
    - timeline: the probability over time; empty for pictures
    - segments: times in which the face looks fake; empty for pictures
    - stability: the verdict after mild changes; empty where it was not asked for
    - exhibits: faces to be shown; empty where no evidence was asked for
    """

    id: int
    verdict: Verdict
    scores: tuple[Score, ...]
    timeline: tuple[Moment, ...] = ()
    segments: tuple[Segment, ...] = ()
    stability: tuple[Variant, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which bundle judged.

    - name, version: as its card says
    - sha256: of the whole file, in hexadecimal
    """

    name: str
    version: str
    sha256: str


CredentialsState = Literal["absent", "valid", "tampered", "invalid", "unreadable"]
Trust = Literal["not_asked", "trusted", "unknown", "revoked"]


@dataclass(frozen=True, slots=True)
class SignedStep:
    """One manifest in the history of a file: what its signer says was done.

    - signer: name in the certificate
    - generator: the program that made the claim
    - signed_at: ISO 8601
    - actions: as C2PA names them
    - source: IPTC digital source type, where an action gives one
    """

    signer: str = ""
    generator: str = ""
    signed_at: str = ""
    actions: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The Content Credentials (C2PA) of a file.

    - state: `absent`; `valid`, the signature and all hashes fit; `tampered`, the file was changed
      after it was signed; `invalid`, something else does not fit; `unreadable`, broken or too large
      to be read
    - signer, issuer: names in the certificate
    - generator: the program that made the claim
    - signed_at: the time of signing, ISO 8601
    - actions: what was done to the file, as C2PA names it
    - source: IPTC digital source type of the picture
    - ai_generated: whether it, or what it was made from, says that a generator made the picture
    - history: the manifests from the oldest parent to the active one
    - problems: codes of the C2PA specification
    - unchecked: codes of what could not be checked without a network: the identity of a person or
      an organisation in it (CAWG)
    - trust: whether the signer's certificate leads to the list that the user named; `revoked` where
      the file itself holds its authority's answer
    - trust_list: sha-256 of that list; empty without one
    - soft_bindings: algorithms of watermarks or fingerprints that lead back to the manifest

    All but the state, the trust and the two lists of codes are the manifest's own words: anyone can
    make a certificate with any name.
    """

    state: CredentialsState = "absent"
    signer: str = ""
    issuer: str = ""
    generator: str = ""
    signed_at: str = ""
    actions: tuple[str, ...] = ()
    source: str = ""
    ai_generated: bool = False
    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    history: tuple[SignedStep, ...] = ()
    trust: Trust = "not_asked"
    trust_list: str = ""
    soft_bindings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the file says of itself: claims, not proof.

    - said: its words by plain names (software, camera, created, …)
    - credentials: its Content Credentials
    - traces: codes and words of what was noticed in the file, as `unmask.provenance` explains
      them
    - ai_generated: it says that it was made by a generator
    """

    said: Mapping[str, str] = field(default_factory=dict)
    credentials: Credentials = Credentials()
    traces: Mapping[str, str] = field(default_factory=dict)
    ai_generated: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an analyzer found out about a file.

    - analyzer: who found it: `faces`, `provenance`, or the name of a further analyzer
    - code: what it is, for programs; `failed` where the analysis could not be completed
    - summary: the same for people, in a sentence or less
    - points_to: `fake` or `real`; None where it says nothing about that
    - probability_fake: where the analyzer gives one; calibrated by it, 0–1
    """

    analyzer: str
    code: str
    summary: str
    points_to: Label | None = None
    probability_fake: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for, as far as it changes the result.

    - frames: of a video, at most this many are judged, from 1
    - by_length: whether more are judged in a long video, so that no long stretch goes unseen
    - finder: the face finder's name
    - engine: what runs the bundle, `onnxruntime` or `openvino`
    - stability: whether verdicts were tried with mild changes
    - explain: whether evidence was made
    """

    frames: int = 32
    finder: str = "yunet"
    engine: str = "onnxruntime"
    stability: bool = False
    explain: bool = False
    by_length: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of work in each stage.

    - decode: reading frames
    - find: finding faces, cutting them out
    - score: running the bundle
    - total: on the clock; stages overlap, so that their sum may exceed it
    - evidence: telling people apart, judging again, testing heat maps, reading credentials
    """

    decode: float = 0.0
    find: float = 0.0
    score: float = 0.0
    total: float = 0.0
    evidence: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All that a scan of one file found.

    - media: the file, and what was read of it
    - verdict: on the file as a whole
    - people: whose faces are in it, the most often seen first
    - model: the bundle that judged
    - provenance: what the file says of itself
    - settings: what was asked for
    - findings: of all analyzers, the faces' and the provenance's first
    - contradictions: where the file's words and the pixels disagree, in words
    - pictures: frames of a video by their number, as JPEG, at most PICTURE_SIDE wide and high,
      spread over it; there if evidence was asked for
    - timing_s: seconds of work in each stage
    """

    media: Media
    verdict: Verdict
    people: tuple[Person, ...]
    model: ModelId
    provenance: Provenance = Provenance()
    settings: Settings = Settings()
    findings: tuple[Finding, ...] = ()
    contradictions: tuple[str, ...] = ()
    timing_s: Timing = Timing()
    pictures: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def further_findings(self) -> tuple[Finding, ...]:
        """Those of further analyzers; `people` and `provenance` show the others."""
        own = ("faces", "provenance")
        return tuple(finding for finding in self.findings if finding.analyzer not in own)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be judged for a fault of the file.

    - path: as it was given
    - kind: for programs, as `MediaError.kind`
    - message: for people: what is wrong, and what to do
    """

    path: str
    kind: str
    message: str
