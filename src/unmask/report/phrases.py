"""The words that people read: verdicts, reasons, what they mean and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unmask._internal.words import Words
from unmask.report.language import fixed, say, say_many
from unmask.types import Credentials, Label, Media, Reason, Report, Verdict

LABEL_WORDS: dict[Label, str] = {
    Label.FAKE: Words("fake"),
    Label.REAL: Words("real"),
    Label.INCONCLUSIVE: Words("inconclusive"),
    Label.NOT_APPLICABLE: Words("not applicable"),
}

SENTENCES: dict[Label, str] = {
    Label.FAKE: Words("The face looks manipulated or generated."),
    Label.REAL: Words("No sign of manipulation was found in the face."),
    Label.INCONCLUSIVE: Words("This cannot be decided from the file alone."),
    Label.NOT_APPLICABLE: Words("There is no face that could be judged."),
}

EXPLANATIONS: dict[Reason, str] = {
    Reason.ABOVE_FAKE_THRESHOLD: Words("the score is above the model's threshold for fakes"),
    Reason.BELOW_REAL_THRESHOLD: Words("the score is below the model's threshold for real faces"),
    Reason.BETWEEN_THRESHOLDS: Words("the score lies between the thresholds for real and fake"),
    Reason.FEW_FRAMES: Words("the face is seen in too few frames"),
    Reason.MIXED_PEOPLE: Words("the people in it get different verdicts"),
    Reason.FAKE_SEGMENT: Words("the face looks fake in part of the video"),
    Reason.ONE_OF_MANY: Words("so few of so many faces look fake that it can be chance"),
    Reason.UNSTABLE: Words("small edits (recompressing, resizing, cropping) change the result"),
    Reason.NO_FACE: Words("no face was found"),
    Reason.FACE_TOO_SMALL: Words("a face is too small"),
    Reason.FACE_TOO_DARK: Words("a face is too dark"),
    Reason.FACE_TOO_BRIGHT: Words("a face is overexposed"),
    Reason.FACE_TOO_BLURRED: Words("a face is too blurred"),
    Reason.FACE_UNFAMILIAR: Words("a face is unlike those the detector was trained on"),
    Reason.FACE_CUT_OFF: Words("a face is cut off by the border"),
    Reason.SOME_FACES_UNUSABLE: Words("some faces could not be judged"),
    Reason.MOSTLY_UNUSABLE: Words("most of the faces could not be judged"),
    Reason.MEDIA_TRUNCATED: Words("part of the file could not be read"),
    Reason.FACES_LEFT_OUT: Words("there are more faces than were checked"),
    Reason.PARTLY_UNSEEN: Words("part of the file was not looked at"),
}


_UNSEEN = (Reason.MEDIA_TRUNCATED, Reason.FACES_LEFT_OUT, Reason.PARTLY_UNSEEN)
"""Where one of these comes first, nothing else kept the file from being called real."""


FAR_APART_S = 1.5
"""Seconds between looks from which on it is said that short fakes may have been missed."""


def label_words(label: Label) -> str:
    """A verdict as people say it."""
    return say(LABEL_WORDS[label])


def explanation(reason: Reason) -> str:
    """A reason in plain words."""
    return say(EXPLANATIONS[reason])


def sentence(verdict: Verdict) -> str:
    """The verdict and its reasons as one line of plain words."""
    words = say(SENTENCES[verdict.label])
    reasons = "; ".join(explanation(reason) for reason in verdict.reasons)
    return f"{words} {say('Reason: {reasons}.', reasons=reasons)}" if reasons else words


def headline(report: Report) -> str:
    """The verdict as a sentence that a judge can read."""
    verdict, video = report.verdict, report.media.kind == "video"
    if verdict.label is Label.FAKE:
        return _fake_headline(report)
    if verdict.label is Label.REAL:
        one = len(report.people) == 1
        if video:
            clean = (
                say("No sign of manipulation was found in the face of this video")
                if one
                else say("No sign of manipulation was found in the faces of this video")
            )
            return f"{clean}{grain(report.media)}."
        return (
            say("No sign of manipulation was found in the face of this picture.")
            if one
            else say("No sign of manipulation was found in the faces of this picture.")
        )
    if verdict.label is Label.INCONCLUSIVE and verdict.reasons[0] in _UNSEEN:
        return (
            say(
                "No sign of manipulation was found in what was looked at, but part of this video"
                " was not looked at."
            )
            if video
            else say(
                "No sign of manipulation was found in what was looked at, but part of this picture"
                " was not looked at."
            )
        )
    if verdict.label is Label.INCONCLUSIVE:
        return (
            say("Whether a face in this video was faked cannot be decided from the video alone.")
            if video
            else say(
                "Whether a face in this picture was faked cannot be decided from the picture alone."
            )
        )
    return (
        say("There is no face in this video that could be judged.")
        if video
        else say("There is no face in this picture that could be judged.")
    )


def _fake_headline(report: Report) -> str:
    people, video = report.people, report.media.kind == "video"
    fakes = [person for person in people if person.verdict.label is Label.FAKE]
    when = ""
    if Reason.FAKE_SEGMENT in report.verdict.reasons:
        times = [
            f"{fixed(segment.start_s, 1)}–{fixed(segment.end_s, 1)} s"
            for person in fakes
            for segment in person.segments
        ]
        when = say(" at {times}", times=", ".join(times[:3]))
    if len(people) == 1:
        return (
            say("The face in this video looks manipulated or generated{when}.", when=when)
            if video
            else say("The face in this picture looks manipulated or generated.")
        )
    of = len(people)
    return (
        say_many(
            "{n} of {of} faces in this video looks manipulated or generated{when}.",
            "{n} of {of} faces in this video look manipulated or generated{when}.",
            len(fakes),
            of=of,
            when=when,
        )
        if video
        else say_many(
            "{n} of {of} faces in this picture looks manipulated or generated.",
            "{n} of {of} faces in this picture look manipulated or generated.",
            len(fakes),
            of=of,
        )
    )


def grain(media: Media) -> str:
    """For which grain a verdict on a video holds, where looks are far apart.

    A part of a video is called fake from three judged frames on, which two gaps lie between.
    """
    gap_s = media.longest_gap_s
    if gap_s is None or gap_s < FAR_APART_S:
        return ""
    return say(
        ", looked at every {gap:.0f} s or more often; a fake shorter than {shortest:.0f} s may"
        " have been missed",
        gap=gap_s,
        shortest=2 * gap_s,
    )


MEANS: dict[Label, tuple[str, str]] = {
    Label.FAKE: (
        Words(
            "The detector found in the face what it has learnt to find in faces that were swapped"
            " or generated, and more of it than in nearly all real faces it was tested on."
        ),
        Words(
            "It does not prove who made it, why, or that anybody meant to deceive. Heavy editing,"
            " filters and damage can look the same, and some real faces are called fake by"
            " mistake: how many, the line above says."
        ),
    ),
    Label.REAL: (
        Words(
            "The detector looked for the signs of swapped and generated faces that it has learnt"
            " and found fewer of them than in nearly all fakes it was tested on."
        ),
        Words(
            "It does not prove that the file is authentic. A method that the detector has never"
            " seen may leave no sign that it knows. Voices, words, the scene and the time of the"
            " recording were not examined."
        ),
    ),
    Label.INCONCLUSIVE: (
        Words(
            "The evidence lies between what real and what fake faces show, or there is too little"
            " of it, or it is too unstable to support a decision."
        ),
        Words(
            "It does not mean that the file is suspicious, nor that it is harmless. Better material"
            " of the same scene may settle it: the original file, a higher resolution, a longer"
            " clip."
        ),
    ),
    Label.NOT_APPLICABLE: (
        Words("No face was found, or none that is large, light and sharp enough to be judged."),
        Words("It says nothing about the file. This detector judges faces only."),
    ),
}
"""By verdict: what it means, and what it does not."""

TRACE_WORDS: dict[str, str] = {
    "generator_settings": Words("Settings of a generator"),
    "generator_named": Words("A generator's name"),
    "digital_source_ai": Words("Digital source type"),
    "generator_mark": Words("A generator's mark"),
    "edit_history": Words("Editing history"),
    "derived": Words("Origin"),
    "saved_later": Words("Times"),
    "encoder": Words("Encoder"),
    "written_by": Words("Writer"),
    "saved_by": Words("Compression"),
    "saved_twice": Words("Compression"),
    "credentials_elsewhere": Words("Credentials elsewhere"),
    "size_differs": Words("Size"),
}

CREDENTIAL_WORDS: dict[str, str] = {
    "absent": Words(
        "The file carries no Content Credentials. Most files have none, so their absence is normal."
    ),
    "valid": Words(
        "The file carries Content Credentials, and is unchanged since they were signed. Who holds"
        " the signing key was not checked against any list of trusted signers."
    ),
    "valid, trusted": Words(
        "The file carries Content Credentials, and is unchanged since they were signed. The"
        " signer's certificate leads to the list of trusted signers that was named."
    ),
    "valid, unknown": Words(
        "The file carries Content Credentials, and is unchanged since they were signed. The signer"
        " is not on the list of trusted signers that was named."
    ),
    "valid, revoked": Words(
        "The file carries Content Credentials, and is unchanged since they were signed, but the"
        " signer's certificate has been revoked."
    ),
    "tampered": Words(
        "The file carries Content Credentials, but was changed after they were signed."
    ),
    "invalid": Words("The file carries Content Credentials that do not pass the checks."),
    "unreadable": Words("The file carries Content Credentials that cannot be read."),
}


def credentials_in_words(credentials: Credentials) -> str:
    """What a reader is told of a file's Content Credentials, in the language that is spoken."""
    state = credentials.state
    if state == "valid" and credentials.trust != "not_asked":
        return say(CREDENTIAL_WORDS[f"valid, {credentials.trust}"])
    return say(CREDENTIAL_WORDS[state])


IDENTITY_UNCHECKED = Words(
    "the identity of a person or an organisation named beside the signature, for that needs a"
    " network"
)


def sureness(verdict: Verdict, false_positive_rate: float, false_negative_rate: float) -> str:
    """How often the model errs where it says this, by its card."""
    if verdict.label is Label.FAKE:
        faces = say("Of a hundred real faces that the model was validated on")
        return f"{faces}, {_would_be_fake(false_positive_rate)}"
    if verdict.label is Label.REAL:
        faces = say("Of a hundred fake faces that the model was validated on")
        return f"{faces}, {_would_be_real(false_negative_rate)}"
    return ""


def _would_be_fake(rate: float) -> str:
    if rate < 0.005:
        return say("fewer than one would be called fake.")
    n = round(100 * rate)
    return say_many("about one would be called fake.", "about {n} would be called fake.", max(n, 1))


def _would_be_real(rate: float) -> str:
    if rate < 0.005:
        return say("fewer than one would be called real.")
    n = round(100 * rate)
    return say_many("about one would be called real.", "about {n} would be called real.", max(n, 1))


def clip_sureness(verdict: Verdict, clip: Mapping[str, Any]) -> str:
    """The same where the thresholds for clips were used.

    - clip: the card's `thresholds.clip`
    """
    counts = clip.get(verdict.label.value, {})
    if "n" not in counts:
        return ""
    if verdict.label is Label.FAKE:
        return say(
            "Of the {all} real clips that its thresholds were chosen on, {wrong} would be called"
            " fake.",
            all=counts["n"],
            wrong=counts["wrong"],
        )
    if verdict.label is Label.REAL:
        return say(
            "Of the {all} fake clips that its thresholds were chosen on, {wrong} would be called"
            " real.",
            all=counts["n"],
            wrong=counts["wrong"],
        )
    return ""


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is not defined."""
    return "–" if value is None else fixed(value, 3)
