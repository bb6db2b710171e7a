"""The files that local components leave in the drop-in folder: bytes in, metrics or a reason out.

Two forms, both JSON: a plain map of series to number, or `{"values": {...}, "declared": [...]}`
for who also tells units and kinds. `schemas/dropin/v1.json` is the contract for any language; the
types here say the same, so that a file can be judged without loading a validator.
"""

import codecs
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nm_bus.messages import Declared

MOST = 1000
"""How many series one file may bring: as many as one message."""

_WORDS = r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*"
_WHICH = r"(\[[^\[\]\x00-\x1f\x7f]+\])?"

Name = Annotated[str, Meta(pattern=_WORDS + r"\Z", max_length=200)]
Series = Annotated[str, Meta(pattern=_WORDS + _WHICH + r"\Z", max_length=300)]
Number = Annotated[float, Meta(ge=-1.7e308, le=1.7e308)]
Values = Annotated[dict[Series, Number], Meta(min_length=1, max_length=MOST)]


class DeclaredInFile(msgspec.Struct, frozen=True):
    """A metric that the catalogue does not have. `kind` is `gauge` or `counter`."""

    name: Name
    unit: Annotated[str, Meta(pattern=r"^[!-~]+\Z", max_length=32)]
    kind: Literal["gauge", "counter"] = "gauge"
    quantiles: bool = False


class MetricFile(msgspec.Struct, frozen=True):
    """What a file says. Keys that are not known are ignored."""

    values: Values
    declared: Annotated[tuple[DeclaredInFile, ...], Meta(max_length=MOST)] = ()

    def declarations(self) -> tuple[Declared, ...]:
        """The declared metrics as they are sent."""
        return tuple(Declared(d.name, d.unit, d.kind, d.quantiles) for d in self.declared)


def read(body: bytes) -> MetricFile | str:
    """Read a file's bytes; for a broken one, why it is broken, in one sentence."""
    try:
        raw = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"not JSON: {error}"
    except RecursionError:
        return "nested too deeply"
    form = (
        raw if (isinstance(raw, dict) and isinstance(raw.get("values"), dict)) else {"values": raw}
    )
    try:
        return msgspec.convert(form, MetricFile)
    except msgspec.ValidationError as error:
        return _why(form["values"], error)


def _why(values: object, error: msgspec.ValidationError) -> str:
    """Name the series that is wrong, which the error of the whole does not."""
    for name, value in values.items() if isinstance(values, dict) else ():
        try:
            msgspec.convert({name: value}, Values)
        except msgspec.ValidationError as wrong:
            return f"series {str(name)[:100]!r}: {str(wrong).partition(' - at')[0]}"
    return str(error)
