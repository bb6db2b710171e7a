"""The hash chain, whose bytes are the same in every language."""

import hashlib
import json

from nm_bus.core.ledger.chain import GENESIS, canonical, digest, feed_head, next_head, signed_part
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


def test_what_a_change_did_is_the_hash_of_its_keys_in_sorted_json() -> None:
    done = {"member/b": None, "member/a": {"weight": 1, "home": "ü"}}
    plain = '{"member/a":{"home":"ü","weight":1},"member/b":null}'

    assert digest(done) == hashlib.sha256(plain.encode()).hexdigest()


def test_a_head_names_the_one_before_the_revision_the_time_what_was_done_and_what_was_asked() -> (
    None
):
    text = f"{GENESIS}\n1\n9\nd\n".encode() + canonical(CHANGE)

    assert next_head(GENESIS, 1, 9, CHANGE, "d") == hashlib.sha256(text).hexdigest()


def test_each_of_them_makes_another_head() -> None:
    first = next_head(GENESIS, 1, 9, CHANGE, "d")
    others = {
        next_head(GENESIS, 2, 9, CHANGE, "d"),
        next_head(first, 2, 9, CHANGE, "d"),
        next_head(GENESIS, 1, 8, CHANGE, "d"),
        next_head(GENESIS, 1, 9, CHANGE, "e"),
    }

    assert len({first, *others}) == 5


def test_a_feed_has_a_chain_of_its_own_over_the_heads_of_the_whole() -> None:
    assert feed_head("p", 3, "h") == hashlib.sha256(b"p\n3\nh").hexdigest()
