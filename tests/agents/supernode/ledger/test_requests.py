"""What is answered of the ledger: accepted is not agreed, nobody waits for ever, a no is told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nm_agents.supernode.ledger.checking import Judge
from nm_agents.supernode.ledger.requests import PATIENCE, Given, LedgerRequests
from nm_agents.supernode.ledger.waits import MOST_OF_ONE
from nm_broker.pki import Authority
from nm_bus.checking.check import Check, found
from nm_bus.core.ledger.chain import GENESIS
from nm_bus.errors import NmBusError
from nm_bus.identity.signing import sign
from nm_bus.messages import Change, Page, Propose, Proposed, Read, Standing, Sync, Synced
from nm_bus.settings import Tls
from nm_bus.testing.clock import START

from .conftest import ADMIN, Crowd, Site

Make = Callable[..., Crowd]
MALLORY = "mallory.example.org"


def in_place(check: Check, done: Callable[[str | NmBusError], None]) -> None:
    """Check at once, in this process."""
    done(found(check))


def authority(folder: Path) -> Authority:
    """One that is in force at the time of the virtual clock."""
    return Authority.create(folder, starts=datetime.fromtimestamp(START, UTC) - timedelta(days=1))


class Asking:
    """Principals who ask a supernode, signed by the project's authority."""

    def __init__(
        self, site: Site, authority: Authority, folder: Path, judge: Judge = in_place
    ) -> None:
        assert site.process is not None
        self.site, self.authority, self.folder = site, authority, folder
        self.ca = folder / "ca.crt"
        self.requests = LedgerRequests(site.ledger, site.process, self._authority, judge)
        self.requests.listen()
        self._sequence = 0

    def _authority(self) -> str:
        return self.ca.read_text()

    def certificate_of(self, user: str) -> Tls:
        own = Tls(self.folder / "ca.crt", self.folder / f"{user}.crt", self.folder / f"{user}.key")
        if not own.key.exists():
            starts = datetime.fromtimestamp(self.site.clock.now(), UTC) - timedelta(days=1)
            self.authority.issue(user, self.folder, starts=starts)
        return own

    def change(self, key: str = "config/a/b", *, user: str = ADMIN, **fields: Any) -> Change:
        """A new change, signed by `user`; without fields, a document."""
        self._sequence += 1
        plain = {"kind": "set", "value": {"content": "x"}} | fields
        change = Change(f"{user}/{self.site.node}/{self._sequence}", user, key=key, **plain)
        return sign(change, self.certificate_of(user))

    def propose(self, change: Change, *, user: str = ADMIN, wait: float = 10.0) -> list[Given]:
        certificate = self.certificate_of(user).certificate.read_text()
        answers = self.ask(Propose(change, certificate, wait), user)
        self.site.clock.advance(0.0)  # what comes in one turn is proposed at its end
        return answers

    def ask(self, asked: Propose | Sync | Read, user: str = ADMIN) -> list[Given]:
        """What is answered, as it comes."""
        answers: list[Given] = []
        self.requests.take(asked, user, answers.append)
        return answers

    def told(self, asked: Propose | Sync | Read) -> Any:
        (given,) = self.ask(asked)
        assert given.code == "ok", given.error
        return given.later() if given.later else given.data


@pytest.fixture
def ask(make_crowd: Make, tmp_path: Path) -> Asking:
    """A supernode that is alone, and so agrees at once."""
    (site,) = make_crowd(1)
    return Asking(site, authority(tmp_path / "ca"), tmp_path / "ca")


@pytest.fixture
def apart(make_crowd: Make, tmp_path: Path) -> tuple[Crowd, Asking]:
    """One of three supernodes, of which the others do not run."""
    crowd = make_crowd(3)
    crowd.awake()
    first, *others = crowd
    for other in others:
        other.kill()
    return crowd, Asking(first, authority(tmp_path / "ca"), tmp_path / "ca")


def refused(answers: list[Given]) -> tuple[str, str]:
    (given,) = answers
    assert given.code != "ok"
    assert given.error
    return given.code, given.error


# --- changes


def test_a_change_is_agreed_with_its_revision(ask: Asking) -> None:
    change = ask.change()
    (given,) = ask.propose(change)
    assert given == Given(Proposed(change.id, "agreed", 1))


def test_a_certificate_that_cannot_be_read_is_a_refusal(ask: Asking) -> None:
    change = ask.change()
    own = ask.certificate_of(ADMIN).certificate.read_text()
    for spoilt in (own[:300], own.replace("M", "%"), own.replace("CERTIFICATE", "KEY")):
        assert refused(ask.ask(Propose(change, spoilt)))[0] == "not-allowed"


def test_changes_that_come_together_are_agreed_in_one_transaction(ask: Asking) -> None:
    certificate = ask.certificate_of(ADMIN).certificate.read_text()
    changes = [ask.change(f"config/a/b{number}") for number in range(5)]
    height = ask.site.ledger.height
    answers = [ask.ask(Propose(change, certificate)) for change in (*changes, changes[0])]
    assert answers == [[]] * 6  # nothing is said before it is on disk
    ask.site.clock.advance(0.0)
    assert ask.site.ledger.height == height + 1
    told = [[Given(Proposed(each.id, "agreed", 1 + n))] for n, each in enumerate(changes)]
    assert answers == [*told, told[0]]


def test_who_does_not_wait_is_told_accepted_only_of_what_is_on_disk(
    apart: tuple[Crowd, Asking],
) -> None:
    crowd, ask = apart
    change = ask.change()
    answers = ask.propose(change, wait=0.0)
    assert change.id in ask.site.ledger.store.outbox()
    crowd.clock.advance(0.1)
    assert answers == [Given(Proposed(change.id, "accepted"))]


def test_asking_again_with_the_same_id_gives_the_same_answer(ask: Asking) -> None:
    change = ask.change()
    first = ask.propose(change)
    again = ask.propose(replace(change, value={"content": "something else"}))
    assert first == again
    assert ask.told(Read("entry", change.key)).entries[0].value["content"] == "x"


def test_without_a_majority_a_change_is_accepted_and_later_agreed(
    apart: tuple[Crowd, Asking],
) -> None:
    crowd, ask = apart
    change = ask.change()
    answers = ask.propose(change, wait=5.0)
    crowd.clock.advance(4.0)
    assert answers == []
    crowd.clock.advance(2.0)
    assert answers == [Given(Proposed(change.id, "accepted"))]
    assert ask.told(Read("answer", change.id)).state == "accepted"
    again = ask.propose(change, wait=60.0)
    for site in crowd:
        if site.process is None:
            site.start()
    crowd.clock.run(lambda: bool(again), 60.0)
    assert again == [Given(Proposed(change.id, "agreed", 1))]
    assert answers == [Given(Proposed(change.id, "accepted"))]
    assert ask.told(Read("answer", change.id)) == Proposed(change.id, "agreed", 1)


def test_all_who_ask_for_the_same_change_are_answered(apart: tuple[Crowd, Asking]) -> None:
    crowd, ask = apart
    change = ask.change()
    answers = [ask.propose(change, wait=wait) for wait in (0.0, 60.0, 60.0)]
    for site in crowd:
        if site.process is None:
            site.start()
    crowd.clock.run(lambda: all(answers), 60.0)
    states = [given.data.state for each in answers for given in each]
    assert states == ["accepted", "agreed", "agreed"]


def test_a_refused_change_says_why_and_takes_no_revision(ask: Asking) -> None:
    ask.propose(ask.change())
    stale = ask.change(expected=0)
    code, error = refused(ask.propose(stale))
    assert code == "conflict"
    assert "config/a/b is at revision 1" in error
    code, error = refused(ask.propose(ask.change(user=MALLORY), user=MALLORY))
    assert code == "not-allowed"
    assert MALLORY in error
    assert ask.site.ledger.state.revision == 1
    assert ask.told(Read("answer", stale.id)).code == "conflict"


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"key": "config/a"}, "unknown-key", "config/<component>/<name>"),
        ({"key": "weather/today"}, "unknown-key", "no key of the ledger"),
        ({"kind": "grow"}, "unknown-key", "grow"),
        ({"value": {"content": "x" * 65_537}}, "bad-value", "65537 bytes"),
        ({"value": {"content": "x" * 200_000}}, "bad-value", "196608 are allowed"),
        ({"value": {"content": 1.5}}, "bad-value", "fraction"),
        ({"value": {"content": "%", "encoding": "base64"}}, "bad-value", "base64"),
        ({"value": {"content": "{", "media_type": "application/json"}}, "bad-value", "no JSON"),
        ({"value": {"content": "x", "reverts": 7}}, "bad-value", "no revision 7"),
        ({"base": 99}, "conflict", "based on revision 99"),
        ({"kind": "delete", "value": None}, "unknown-key", "config/a/b is not there"),
        (
            {"key": "record/endpoint/n1", "value": {"url": "n1"}},
            "bad-value",
            "record/endpoint/n1 is no record of the kind endpoint: url:",
        ),
    ],
)
def test_what_is_wrong_with_a_change_is_one_clear_sentence(
    ask: Asking, fields: dict[str, Any], code: str, said: str
) -> None:
    found, error = refused(ask.propose(ask.change(**fields)))
    assert (found, said in error) == (code, True), error
    assert "\n" not in error
    assert ask.site.ledger.state.revision == 0


def test_a_document_is_held_against_the_schema_that_it_was_given(ask: Asking) -> None:
    schema = '{"type": "object", "required": ["port"]}'
    json = {"media_type": "application/json"}
    first = {"content": '{"port": 1}', "schema": schema, **json}
    assert ask.propose(ask.change(value=first))[0].code == "ok"
    code, error = refused(ask.propose(ask.change(value={"content": "{}", **json})))
    assert code == "bad-value"
    assert "'port' is a required property" in error
    free = ask.change(value={"content": "{}", "schema": "", **json})
    assert ask.propose(free)[0].code == "ok"


# --- the check takes long, and meanwhile the ledger moves on


def judged_later(ask: Asking) -> tuple[Asking, list[Callable[[str | NmBusError], None]]]:
    """The same askers, and the checks that are being made, which the test ends."""
    open_: list[Callable[[str | NmBusError], None]] = []
    return Asking(ask.site, ask.authority, ask.folder, lambda _, done: open_.append(done)), open_


CHECKED = {"content": "{}", "media_type": "application/json"}


@pytest.mark.parametrize("verdict", ["", "takes too long to check", NmBusError("killed")])
def test_what_was_agreed_elsewhere_during_its_check_is_told_as_agreed(
    verdict: str | NmBusError, make_crowd: Make, tmp_path: Path
) -> None:
    """The asker gave up waiting here, and another supernode took the same change."""
    crowd = make_crowd(3)
    crowd.awake()
    here, there, _ = crowd
    ask, open_ = judged_later(Asking(here, authority(tmp_path / "ca"), tmp_path / "ca"))
    change = ask.change(value=CHECKED)
    answers = ask.propose(change)
    there.ledger.propose(change, lambda _: None)
    crowd.clock.run(lambda: here.ledger.state.answer(change.id) is not None, 60.0)
    assert answers == []
    open_.pop()(verdict)
    crowd.clock.advance(0.0)
    assert answers == [Given(Proposed(change.id, "agreed", 1))]


@pytest.mark.parametrize("moment", ["before", "during"])
def test_what_is_on_its_way_since_its_check_is_not_refused_by_a_later_one(
    moment: str, apart: tuple[Crowd, Asking]
) -> None:
    crowd, ask = apart
    ask, open_ = judged_later(ask)
    change = ask.change(value=CHECKED)
    if moment == "before":
        ask.site.ledger.propose(change, lambda _: None)
    answers = ask.propose(change, wait=60.0)
    if moment == "during":
        ask.site.ledger.propose(change, lambda _: None)
    assert len(open_) == (moment == "during")
    for done in open_:
        done("is refused by its schema")
    crowd.clock.advance(0.0)
    assert answers == []
    for site in crowd:
        if site.process is None:
            site.start()
    crowd.clock.run(lambda: bool(answers), 60.0)
    assert answers == [Given(Proposed(change.id, "agreed", 1))]


def test_what_is_on_its_way_is_told_to_nobody_who_could_not_have_asked_for_it(
    apart: tuple[Crowd, Asking],
) -> None:
    _, ask = apart
    change = ask.change()
    ask.propose(change)
    altered = replace(change, key="config/a/c")
    assert "altered" in refused(ask.propose(altered))[1]


def test_nobody_asks_as_somebody_else(ask: Asking) -> None:
    change = ask.change()
    assert refused(ask.ask(Propose(change, "", 1.0), MALLORY)) == (
        "not-allowed",
        f"{MALLORY} may not ask for a change as {ADMIN}",
    )
    borrowed = replace(ask.change(user=MALLORY), id=change.id)
    assert refused(ask.propose(borrowed, user=MALLORY))[0] == "not-allowed"
    unsigned = replace(change, signature="")
    assert "not signed" in refused(ask.propose(unsigned))[1]
    altered = replace(change, key="config/a/c")
    assert "altered" in refused(ask.propose(altered))[1]


def test_an_authority_that_cannot_be_read_is_the_supernodes_trouble_not_the_askers(
    ask: Asking,
) -> None:
    ask.ca = ask.folder / "gone.crt"
    code, error = refused(ask.propose(ask.change()))
    assert code == "unavailable"
    assert "gone.crt" in error


def test_too_many_who_wait_are_told_at_once(apart: tuple[Crowd, Asking]) -> None:
    crowd, ask = apart
    change = ask.change()
    open_ = [ask.propose(change, wait=60.0) for _ in range(MOST_OF_ONE)]
    assert not any(open_)
    code, error = refused(ask.propose(change))
    assert code == "unavailable"
    assert "wait for their answer" in error
    crowd.clock.advance(61.0)
    assert all(open_)
    assert ask.propose(change, wait=1.0) == []


# --- reading


def test_a_reader_gets_what_is_applied_with_its_revision(ask: Asking) -> None:
    ask.propose(ask.change())
    page: Page = ask.told(Read("entry", "config/a/b"))
    assert [entry.value["content"] for entry in page.entries] == ["x"]
    assert (page.revision, page.head) == (1, ask.site.ledger.state.head)
    assert [u.revision for u in ask.told(Read("updates")).updates] == [1]
    standing: Standing = ask.told(Read("ledger"))
    assert (standing.node, standing.revision) == (ask.site.node, 1)
    assert refused(ask.ask(Read("entry", "config/a/none")))[0] == "unknown-key"
    assert refused(ask.ask(Read("answer", f"{ADMIN}/x/1")))[0] == "unknown-key"
    assert refused(ask.ask(Read("all")))[0] == "bad-request"


def test_a_reader_may_wait_for_a_revision(ask: Asking) -> None:
    answers = ask.ask(Read("entries", "config/", at_least=2))
    ask.propose(ask.change())
    assert answers == []
    ask.propose(ask.change("config/a/c"))
    (given,) = answers
    assert [entry.key for entry in given.data.entries] == ["config/a/b", "config/a/c"]


def test_a_revision_that_does_not_come_is_said(ask: Asking) -> None:
    answers = ask.ask(Read("ledger", at_least=7))
    ask.site.clock.advance(PATIENCE + 1)
    code, error = refused(answers)
    assert code == "unavailable"
    assert "has applied revision 0, not yet 7" in error


def test_an_agreed_read_sees_what_was_agreed_elsewhere_before_it(
    make_crowd: Make, tmp_path: Path
) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    here, there, _ = crowd
    ask = Asking(there, authority(tmp_path / "ca"), tmp_path / "ca")
    here.put(1)
    crowd.clock.run(lambda: bool(here.answers), 60.0)
    answers = ask.ask(Read("entries", "config/", agreed=True))
    more = ask.ask(Read("entries", "config/", agreed=True))
    crowd.clock.run(lambda: bool(answers and more), 60.0)
    assert [len(given.data.entries) for given in answers + more] == [1, 1]
    assert there.ledger.state.revision == 1


def test_a_read_whose_time_was_over_while_it_was_agreed_is_kept_no_more(
    apart: tuple[Crowd, Asking],
) -> None:
    crowd, ask = apart
    answers = ask.ask(Read("ledger", at_least=1_000, agreed=True))
    crowd.clock.advance(PATIENCE + 1)
    assert refused(answers)[0] == "unavailable"
    for away in list(crowd)[1:]:
        away.start()
    crowd.clock.advance(60.0)
    assert len(answers) == 1
    assert ask.requests._parked == {}


def test_an_agreed_read_without_a_majority_ends(apart: tuple[Crowd, Asking]) -> None:
    crowd, ask = apart
    answers = [ask.ask(Read("ledger", agreed=True)) for _ in range(3)]
    crowd.clock.advance(PATIENCE + 1)
    for each in answers:
        code, error = refused(each)
        assert code == "unavailable"
        assert "no majority" in error


# --- following


def test_a_follower_is_answered_from_what_is_applied(ask: Asking) -> None:
    for name in ("a", "b", "c"):
        ask.propose(ask.change(f"config/x/{name}"))
    snapshot: Synced = ask.told(Sync(0, 0, GENESIS))
    assert snapshot.state == "snapshot"
    assert [entry.key for entry in snapshot.entries][:1] == ["config/x/a"]
    first = ask.site.ledger.updates(0, 1)[0]
    after: Synced = ask.told(Sync(1, 1, first.head))
    assert [update.revision for update in after.updates] == [2, 3]
    assert ask.told(Sync(1, 9, first.head)).state == "lag"


def test_a_follower_of_one_feed_is_answered_in_it(ask: Asking) -> None:
    for key in ("config/x/a", "config/y/a", "config/x/b"):
        ask.propose(ask.change(key))
    whole: Synced = ask.told(Sync(0, 0, GENESIS, "", "config/x"))
    assert [entry.key for entry in whole.entries] == ["config/x/a", "config/x/b"]
    assert (whole.number, whole.at) == (2, 3)
    after: Synced = ask.told(Sync(1, 0, GENESIS, None, "config/x"))
    assert [update.revision for update in after.updates] == [1, 3]
    never: Synced = ask.told(Sync(1, 0, GENESIS, None, "config/none"))
    assert (never.state, never.number, never.updates) == ("updates", 0, ())
    found: Page = ask.told(Read("place", "config/x", since=2))
    assert found.place is not None
    assert (found.place.number, found.place.epoch) == (1, 1)


@pytest.mark.parametrize("asked", [Sync(1, 0, GENESIS, None, "no/feed"), Read("place", "no/feed")])
def test_what_is_no_feed_is_refused_in_one_sentence(ask: Asking, asked: Sync | Read) -> None:
    code, error = refused(ask.ask(asked))
    assert code == "bad-request"
    assert error.startswith("'no/feed' is no feed of the ledger: config/<component>, lock")


def test_a_supernode_that_nobody_hears_gets_no_vote(ask: Asking) -> None:
    key, value = "supernode/sn9.example.org", {"role": "standby", "incarnation": "i1"}
    (added,) = ask.propose(ask.change(key, kind="admit", value=value))
    assert added.code == "ok"
    (given,) = ask.propose(ask.change(key, kind="admit", value={"role": "voter"}))
    assert (given.code, "has not been heard" in given.error) == ("bad-value", True)
    assert len(ask.site.ledger.state.voters) == 1
