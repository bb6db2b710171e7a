"""The hash chain, whose bytes are the same in every language."""

import hashlib
import json

from nm_bus.core.ledger.chain import GENESIS, canonical, next_head, signed_part
from nm_bus.messages import Change

CHANGE = Change(
    "é/1/7",
    "é",
    "set",
    "config/c/d",
    base=3,
    value={"b": [1, True, None], "a": {"z": "ü", "y": ""}},
    expected=0,
    signer="s",
    signature="x",
    timestamp=9,
    supernode="n",
)


def test_the_canonical_form_is_what_sorted_json_is_elsewhere() -> None:
    given = {
        "id": "é/1/7",
        "actor": "é",
        "kind": "set",
        "key": "config/c/d",
        "base": 3,
        "value": {"b": [1, True, None], "a": {"z": "ü", "y": ""}},
        "expected": 0,
        "signer": "s",
        "signature": "x",
        "timestamp": 9,
        "supernode": "n",
    }
    plain = json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert canonical(CHANGE) == plain.encode()


def test_what_has_its_default_is_left_out() -> None:
    assert canonical(Change("i", "a", "read", "k")) == (
        b'{"actor":"a","id":"i","key":"k","kind":"read"}'
    )


def test_the_signature_covers_all_but_itself_and_the_stamp() -> None:
    told = json.loads(signed_part(CHANGE))

    assert {"signature", "timestamp", "supernode"}.isdisjoint(told)
    assert {"id", "actor", "kind", "key", "base", "value", "expected", "signer"} <= told.keys()


def test_a_head_names_the_one_before_the_revision_and_the_change() -> None:
    text = f"{GENESIS}\n1\n".encode() + canonical(CHANGE)

    assert next_head(GENESIS, 1, CHANGE) == hashlib.sha256(text).hexdigest()


def test_another_revision_or_another_past_is_another_head() -> None:
    first = next_head(GENESIS, 1, CHANGE)

    assert len({first, next_head(GENESIS, 2, CHANGE), next_head(first, 2, CHANGE)}) == 3
