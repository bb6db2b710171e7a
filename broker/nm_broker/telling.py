"""Why a broker did not start, out of what it wrote: the one line that tells a person."""

import re
from collections.abc import Iterable

LENGTH = 300

CAUSES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"[^\[]*\b(?:no space left|enospc)\b.*",
        r".*\b(?:eaddrinuse|eaddrnotavail|address already in use)\b.*",
        r"(?<=\[error\] ).*\binvalid\b.*",
        r"(?<=\[error\] ).*\b(?:permission denied|eacces|enoent)\b.*",
        r".*\b(?:cannot|could not|unable|permission denied|no such file)\b.*",
        r"(?<=\[error\] ).*\w{3}.*",
    )
)
"""The plainest cause first: what follows from it is written earlier and louder now and then."""

NOISE = re.compile(r"^(?:\S+ \S+ )?(?:\[\w+\] )?(?:<[\d.]+> )?")
"""The date, level and process in front of a line."""


def telling_line(text: str) -> str:
    """The line that names the cause, or "" when none does."""
    for cause in CAUSES:
        if found := _first(cause, text.splitlines()):
            return found
    return ""


def _first(cause: re.Pattern[str], lines: Iterable[str]) -> str:
    for line in lines:
        if found := cause.search(line):
            return NOISE.sub("", found.group().strip())[:LENGTH].strip()
    return ""
