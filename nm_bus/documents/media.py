"""What kind of document a name announces: its media type, and whether it has to be text."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Media:
    """A media type. `is_text`: what is no UTF-8 is a mistake, rather than other bytes."""

    type: str
    is_text: bool


JSON = "application/json"
TOML = "application/toml"
XML = "application/xml"

PLAIN = Media("text/plain", is_text=True)
BINARY = Media("application/octet-stream", is_text=False)

BY_SUFFIX = {
    ".json": Media(JSON, is_text=True),
    ".toml": Media(TOML, is_text=True),
    ".yaml": Media("application/yaml", is_text=True),
    ".yml": Media("application/yaml", is_text=True),
    # declares its own encoding, which need not be UTF-8
    ".xml": Media(XML, is_text=False),
    ".xsd": Media(XML, is_text=False),
    ".txt": PLAIN,
    ".conf": PLAIN,
    ".cfg": PLAIN,
    ".ini": PLAIN,
    ".properties": PLAIN,
    ".env": PLAIN,
    ".md": Media("text/markdown", is_text=True),
    ".csv": Media("text/csv", is_text=True),
    ".html": Media("text/html", is_text=True),
    ".py": Media("text/x-python", is_text=True),
    ".sh": Media("text/x-shellscript", is_text=True),
    ".pem": Media("application/x-pem-file", is_text=True),
    ".crt": Media("application/x-pem-file", is_text=False),
    ".gz": Media("application/gzip", is_text=False),
    ".zip": Media("application/zip", is_text=False),
}


def announced(name: str) -> Media | None:
    """What a name's suffix announces; None when it announces nothing that is known."""
    return BY_SUFFIX.get(PurePosixPath(name).suffix.lower())


def text_of(content: bytes) -> str | None:
    """Bytes as text, when they are: UTF-8 without a zero character."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
