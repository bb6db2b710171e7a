"""Why a broker did not start, out of what it wrote: the one line that tells a person."""

import re

LENGTH = 300

PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \S+ \[\w+\] <[\d.]+> ")
"""The date, level and process in front of a line."""

CAUSES = (
    (r"\b(?:no space left|enospc)\b", "the disk is full"),
    (r"\b(?:eaddrinuse|eaddrnotavail|address already in use)\b", ""),
    (r"\[error\].*(?:\binvalid\b|\bno setting\b)", ""),
    (r"\[error\].*\b(?:permission denied|eacces|enoent)\b", ""),
    (r"\b(?:cannot|could not|unable|permission denied|no such file|no setting)\b", ""),
    (r"\[error\].*\w{3}", ""),
)
"""A pattern and what to say of it: the line itself when nothing is given. The plainest cause comes
first: what follows from it is now and then written earlier and louder."""


def telling_line(text: str) -> str:
    """What names the cause in a log, or "" when nothing does."""
    lines = text.split("\n")
    for pattern, words in CAUSES:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return words or PREFIX.sub("", line).strip()[:LENGTH]
    return ""
