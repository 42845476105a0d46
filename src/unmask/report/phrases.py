"""The words that people read: verdicts, reasons, what they mean and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unmask.types import Label, Media, Reason, Report, Verdict

SENTENCES: dict[Label, str] = {
    Label.FAKE: "The face looks manipulated or generated.",
    Label.REAL: "No sign of manipulation was found in the face.",
    Label.INCONCLUSIVE: "This cannot be decided from the file alone.",
    Label.NOT_APPLICABLE: "There is no face that could be judged.",
}

EXPLANATIONS: dict[Reason, str] = {
    Reason.ABOVE_FAKE_THRESHOLD: "the score is above the model's threshold for fakes",
    Reason.BELOW_REAL_THRESHOLD: "the score is below the model's threshold for real faces",
    Reason.BETWEEN_THRESHOLDS: "the score lies between the thresholds for real and fake",
    Reason.FEW_FRAMES: "the face is seen in too few frames",
    Reason.MIXED_PEOPLE: "the people in it get different verdicts",
    Reason.FAKE_SEGMENT: "the face looks fake in part of the video",
    Reason.ONE_OF_MANY: "so few of so many faces look fake that it can be chance",
    Reason.UNSTABLE: "small edits (recompressing, resizing, cropping) change the result",
    Reason.NO_FACE: "no face was found",
    Reason.FACE_TOO_SMALL: "a face is too small",
    Reason.FACE_TOO_DARK: "a face is too dark",
    Reason.FACE_TOO_BRIGHT: "a face is overexposed",
    Reason.FACE_TOO_BLURRED: "a face is too blurred",
    Reason.FACE_UNFAMILIAR: "a face is unlike those the detector was trained on",
    Reason.FACE_CUT_OFF: "a face is cut off by the border",
    Reason.SOME_FACES_UNUSABLE: "some faces could not be judged",
    Reason.MOSTLY_UNUSABLE: "most of the faces could not be judged",
    Reason.MEDIA_TRUNCATED: "part of the file could not be read",
    Reason.FACES_LEFT_OUT: "there are more faces than were checked",
    Reason.PARTLY_UNSEEN: "part of the file was not looked at",
}


_UNSEEN = (Reason.MEDIA_TRUNCATED, Reason.FACES_LEFT_OUT, Reason.PARTLY_UNSEEN)
"""Where one of these comes first, nothing else kept the file from being called real."""


FAR_APART_S = 1.5
"""Seconds between looks from which on it is said that short fakes may have been missed."""


def sentence(verdict: Verdict) -> str:
    """The verdict and its reasons as one line of plain words."""
    reasons = "; ".join(EXPLANATIONS[reason] for reason in verdict.reasons)
    return f"{SENTENCES[verdict.label]} Reason: {reasons}." if reasons else SENTENCES[verdict.label]


def headline(report: Report) -> str:
    """The verdict as a sentence that a judge can read."""
    verdict, people = report.verdict, report.people
    what = "picture" if report.media.kind == "image" else "video"
    fakes = [person for person in people if person.verdict.label is Label.FAKE]
    if verdict.label is Label.FAKE:
        who = "The face" if len(people) == 1 else f"{len(fakes)} of {len(people)} faces"
        looks = "looks" if len(fakes) == 1 else "look"
        when = ""
        if Reason.FAKE_SEGMENT in verdict.reasons:
            times = [
                f"{s.start_s:.1f}–{s.end_s:.1f} s" for person in fakes for s in person.segments
            ]
            when = f" at {', '.join(times[:3])}"
        return f"{who} in this {what} {looks} manipulated or generated{when}."
    if verdict.label is Label.REAL:
        return (
            f"No sign of manipulation was found in the {'face' if len(people) == 1 else 'faces'}"
            f" of this {what}{grain(report.media)}."
        )
    if verdict.label is Label.INCONCLUSIVE and verdict.reasons[0] in _UNSEEN:
        return (
            f"No sign of manipulation was found in what was looked at, but part of this {what} was"
            " not looked at."
        )
    if verdict.label is Label.INCONCLUSIVE:
        return f"Whether a face in this {what} was faked cannot be decided from the {what} alone."
    return f"There is no face in this {what} that could be judged."


def grain(media: Media) -> str:
    """For which grain a verdict on a video holds, where looks are far apart.

    A part of a video is called fake from three judged frames on, which two gaps lie between.
    """
    gap_s = media.longest_gap_s
    if gap_s is None or gap_s < FAR_APART_S:
        return ""
    return (
        f", looked at every {gap_s:.0f} s or more often; a fake shorter than {2 * gap_s:.0f} s"
        " may have been missed"
    )


MEANS: dict[Label, tuple[str, str]] = {
    Label.FAKE: (
        (
            "The detector found in the face what it has learnt to find in faces that were swapped"
            " or generated, and more of it than in nearly all real faces it was tested on."
        ),
        (
            "It does not prove who made it, why, or that anybody meant to deceive. Heavy editing,"
            " filters and damage can look the same, and some real faces are called fake by"
            " mistake: how many, the line above says."
        ),
    ),
    Label.REAL: (
        (
            "The detector looked for the signs of swapped and generated faces that it has learnt"
            " and found fewer of them than in nearly all fakes it was tested on."
        ),
        (
            "It does not prove that the file is authentic. A method that the detector has never"
            " seen may leave no sign that it knows. Voices, words, the scene and the time of the"
            " recording were not examined."
        ),
    ),
    Label.INCONCLUSIVE: (
        (
            "The evidence lies between what real and what fake faces show, or there is too little"
            " of it, or it is too unstable to support a decision."
        ),
        (
            "It does not mean that the file is suspicious, nor that it is harmless. Better material"
            " of the same scene may settle it: the original file, a higher resolution, a longer"
            " clip."
        ),
    ),
    Label.NOT_APPLICABLE: (
        "No face was found, or none that is large, light and sharp enough to be judged.",
        "It says nothing about the file. This detector judges faces only.",
    ),
}
"""By verdict: what it means, and what it does not."""

TRACE_WORDS: dict[str, str] = {
    "generator_settings": "Settings of a generator",
    "generator_named": "A generator's name",
    "digital_source_ai": "Digital source type",
    "edit_history": "Editing history",
    "derived": "Origin",
    "saved_later": "Times",
    "encoder": "Encoder",
    "written_by": "Writer",
    "saved_by": "Compression",
    "saved_twice": "Compression",
    "credentials_elsewhere": "Credentials elsewhere",
    "size_differs": "Size",
}

CREDENTIAL_WORDS: dict[str, str] = {
    "absent": (
        "The file carries no Content Credentials. Most files have none, so their absence is normal."
    ),
    "valid": (
        "The file carries Content Credentials, and is unchanged since they were signed. Who holds"
        " the signing key was not checked against any list of trusted signers."
    ),
    "tampered": "The file carries Content Credentials, but was changed after they were signed.",
    "invalid": "The file carries Content Credentials that do not pass the checks.",
    "unreadable": "The file carries Content Credentials that cannot be read.",
}

IDENTITY_UNCHECKED = (
    "the identity of a person or an organisation named beside the signature, for that needs a"
    " network"
)


def sureness(verdict: Verdict, false_positive_rate: float, false_negative_rate: float) -> str:
    """How often the model errs where it says this, by its card."""
    if verdict.label is Label.FAKE:
        return _of_a_hundred("real", false_positive_rate, "fake")
    if verdict.label is Label.REAL:
        return _of_a_hundred("fake", false_negative_rate, "real")
    return ""


def clip_sureness(verdict: Verdict, clip: Mapping[str, Any]) -> str:
    """The same where the thresholds for clips were used.

    - clip: the card's `thresholds.clip`
    """
    truth = {Label.FAKE: "real", Label.REAL: "fake"}.get(verdict.label)
    counts = clip.get(verdict.label.value, {})
    if truth is None or "n" not in counts:
        return ""
    return (
        f"Of the {counts['n']} {truth} clips that its thresholds were chosen on, {counts['wrong']}"
        f" would be called {verdict.label.value}."
    )


def _of_a_hundred(truth: str, rate: float, called: str) -> str:
    if rate < 0.005:
        few = "fewer than one"
    elif rate < 0.015:
        few = "about one"
    else:
        few = f"about {100 * rate:.0f}"
    faces = f"Of a hundred {truth} faces that the model was validated on"
    return f"{faces}, {few} would be called {called}."


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is not defined."""
    return "–" if value is None else f"{value:.3f}"
