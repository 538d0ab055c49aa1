"""An audit in half a minute: one sentence, four answers, and what to do."""

from __future__ import annotations

from remission.records.suspect import SuspectAudit
from remission.report.suspect.depth import decisive
from remission.report.suspect.sentences import classes_text
from remission.report.suspect.verdict import FEWEST, AuditOutcome

_SENTENCES: dict[AuditOutcome, str] = {
    "in remission": "The backdoor is in remission: a few poisoned images bring it back.",
    "no relapse found": "A class stands out, and nothing that was tried brings a backdoor back.",
    "no backdoor found": "Nothing points to a backdoor.",
    "cannot tell": "The audit cannot tell whether there is a backdoor.",
}
_ADVICE: dict[AuditOutcome, str] = {
    "in remission": (
        "Do not pass the purified model on to anybody who may train it further. Purify the suspect "
        "model again, by another method or a stronger setting, and audit the result."
    ),
    "no relapse found": (
        "Nothing speaks against the purified model, within the limits that this page names. It is "
        "a hint and no proof."
    ),
    "no backdoor found": (
        "Nothing speaks against the model, within the limits that this page names. It is a hint "
        "and no proof."
    ),
    "cannot tell": (
        "Audit it with more clean images, or with the trigger where it is known (--trigger)."
    ),
}


def one_sentence(audit: SuspectAudit, outcome: AuditOutcome) -> str:
    """Returns the verdict in one sentence without terms of the field."""
    if outcome != "not purified":
        return _SENTENCES[outcome]
    if audit.purified is None:
        return "The model has a backdoor, and it works."
    return "The purification did not remove the backdoor: its trigger still works."


def in_short(audit: SuspectAudit, outcome: AuditOutcome) -> list[tuple[str, str]]:
    """Returns questions with their answers, each a sentence or two.

    The last one says what to do.
    """
    return [
        ("Is there a backdoor?", _backdoor(audit)),
        ("Does its trigger work?", _works(audit)),
        *([("Does it come back?", _returns(audit))] if audit.purified else []),
        ("What is the model worth?", _worth(audit)),
        ("What to do", _advice(audit, outcome)),
    ]


def _backdoor(audit: SuspectAudit) -> str:
    if audit.exact:
        return "The trigger was given, so that the audit did not have to search for it."
    named = audit.suspicion.standing_out
    if not named:
        return "No class stands out as the target of a backdoor."
    text = classes_text(named)
    one = len(named) == 1
    what = "stands out as the target of a backdoor" if one else "stand out as targets of backdoors"
    return f"{text[0].upper()}{text[1:]} {what}."


def _works(audit: SuspectAudit) -> str:
    images = f"of {audit.alone.total} images of other classes"
    before = f"On the suspect model with {100 * audit.alone.value:.0f} % {images}"
    if audit.alone.total < FEWEST:
        before += ", too few to judge"
    if audit.alone_on_purified is None:
        return f"{before}."
    return f"{before}; on the purified model with {100 * audit.alone_on_purified.value:.0f} %."


def _returns(audit: SuspectAudit) -> str:
    found = decisive(audit)
    gaps = [gap for gap in found.gaps() if gap.budget] if found else []
    if not gaps:
        return "Nothing could be compared."
    largest = max(gaps, key=lambda gap: gap.gap)
    images = f"{largest.budget} poisoned image{'' if largest.budget == 1 else 's'}"
    return (
        f"Trained further with {images}, the purified model obeys it with "
        f"{100 * largest.suspected:.0f} % of the images, and a trigger that it never saw with "
        f"{100 * largest.mean:.0f} %."
    )


def _worth(audit: SuspectAudit) -> str:
    before = f"{100 * audit.clean_acc.value:.1f} %"
    if audit.purified_clean_acc is None:
        return f"It classifies {before} of clean images correctly."
    after = f"{100 * audit.purified_clean_acc.value:.1f} %"
    return f"The suspect model classifies {before} of clean images correctly, the purified {after}."


def _advice(audit: SuspectAudit, outcome: AuditOutcome) -> str:
    if outcome != "not purified":
        return _ADVICE[outcome]
    if audit.purified is None:
        return "Do not use the model. Purify it (remission purify), and audit the result."
    return (
        "Do not use either model. Purify the suspect model again, by another method or a stronger "
        "setting, and audit the result."
    )
