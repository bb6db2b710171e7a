"""Every family of keys has one form."""

import pytest

from nm_bus.core.ledger.keys import (
    FAMILY_FEEDS,
    LONGEST,
    family,
    feed_of,
    is_feed,
    is_key,
    name,
    prefixes_of,
    why_no_feed,
)

GOOD = (
    "config/search/a",
    "config/search/conf.d/10-a.toml",
    "config/S/" + "a" * 128,
    "member/n1.llnl.gov",
    "supernode/s-1.org",
    "role/alice@llnl.gov",
    "record/endpoint/n1.llnl.gov.thredds",
    "session/alice@llnl.gov/web",
    "lock/publish",
    "policy/alerts",
    "silence/2026-01",
)
BAD = (
    "config/search",
    "config/search/",
    "config/search//a",
    "config/search/../a",
    "config/search/.hidden",
    "config/search/a\n",
    "config/search/" + "a" * 129,
    "config/search/é",
    "config/search/a b",
    "config/" + "/".join(["a" * 100] * 3),
    "member/N1.org",
    "member/.org",
    "member/a/b",
    "member/",
    "role/a/b",
    "record/endpoint",
    "session/alice",
    "lock/a/b",
    "Lock/a",
    "",
    "/",
)


@pytest.mark.parametrize("key", GOOD)
def test_a_key_has_the_form_of_its_family(key: str) -> None:
    assert is_key(key)
    assert f"{family(key)}/{name(key)}" == key


@pytest.mark.parametrize("key", BAD)
def test_what_is_no_key(key: str) -> None:
    assert not is_key(key)


def test_a_key_fits_a_routing_key() -> None:
    assert not is_key("member/" + "a" * LONGEST)


@pytest.mark.parametrize("feed", ["config/search", "config/a.b-1", "member", "lock", "record"])
def test_a_feed_is_a_component_or_a_family_of_keys(feed: str) -> None:
    assert is_feed(feed)
    assert why_no_feed(feed) == ""


@pytest.mark.parametrize(
    "feed", ["", "config", "config/", "config/a/b", "config/#", "session", "Lock", "member/a", "lo"]
)
def test_what_is_no_feed_is_said_with_those_that_are(feed: str) -> None:
    assert not is_feed(feed)
    known = ", ".join(("config/<component>", *FAMILY_FEEDS))
    assert why_no_feed(feed) == f"{feed!r} is no feed of the ledger: {known}"


@pytest.mark.parametrize("key", GOOD)
def test_a_key_begins_as_its_feed_does(key: str) -> None:
    assert is_feed(feed_of(key))
    assert key.startswith(prefixes_of(feed_of(key)))
    assert key.startswith(prefixes_of(""))
