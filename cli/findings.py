"""What `sagapost doctor` finds, and whether it is well."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    ok: bool
    subject: str
    text: str


def well(subject: str, text: str) -> Finding:
    return Finding(ok=True, subject=subject, text=text)


def ill(subject: str, text: str) -> Finding:
    return Finding(ok=False, subject=subject, text=text)
