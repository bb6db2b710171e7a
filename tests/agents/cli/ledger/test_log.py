"""`nm-bus log` and `nm-bus show`."""

import json
from typing import Any

import pytest

from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN, NODES, Asking, Run


def set_three(ask: Asking) -> None:
    ask("set", "config/search/a", {"content": "1", "note": "the first"})
    ask("set", "policy/alerts", {"wait": 5})
    ask("set", "config/search/a", {"content": "2"})


def changes(run: Run, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("log", "--json", *options).stdout)["changes"]
    return found


def test_the_log_shows_the_newest_first(run: Run, ask: Asking) -> None:
    set_three(ask)
    said = run("log")
    assert said.exit_code == 0
    revisions = [line.split()[0] for line in said.stdout.splitlines() if line[:1].isdigit()]
    assert revisions == ["3", "2", "1"]
    assert "the first" in said.stdout
    assert ADMIN in said.stdout


def test_the_log_is_cut_by_revision_key_and_number(run: Run, ask: Asking) -> None:
    set_three(ask)

    def revisions(*options: str) -> list[int]:
        return [update["revision"] for update in changes(run, *options)]

    assert revisions("--since", "1") == [3, 2]
    assert revisions("--key", "config/search/a") == [3, 1]
    assert revisions("--limit", "1") == [3]
    assert revisions("--since", "9") == []


def test_an_empty_log_says_so(run: Run) -> None:
    assert run("log").stdout == "No change was agreed.\n"


def test_a_log_longer_than_a_page_is_whole(run: Run, ask: Asking) -> None:
    for number in range(10):
        ask("set", f"policy/p{number}", {"n": number})
    assert len(changes(run)) == 10


def test_show_tells_a_revision_with_its_change_and_heads(run: Run, ask: Asking) -> None:
    set_three(ask)
    said = run("show", "2").stdout
    assert "policy/alerts" in said
    assert "value wait" in said
    told = json.loads(run("show", "2", "--json").stdout)
    assert told["revision"] == 2
    assert told["head"] in said
    assert told["previous"] in said


def test_a_revision_that_is_not_there_yet_says_which_is_the_newest(run: Run, ask: Asking) -> None:
    set_three(ask)
    said = run("show", "7")
    assert said.exit_code == 2
    assert said.stderr == "nm-bus: revision 7 is not there yet: 3 is the newest one\n"


def test_a_revision_that_is_kept_no_more_says_which_is_the_oldest(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    set_three(ask)
    for node in federation.by_node.values():
        node.kept = 2
    said = run("show", "1")
    assert said.exit_code == 2
    assert "keeps all that was before revision 3" in said.stderr
    assert "before revision 3" in run("log").stdout
    assert "before revision" not in run("log", "--since", "2").stdout


def test_the_past_that_the_first_supernode_lacks_is_asked_of_the_next(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    set_three(ask)
    federation[0].kept = 3
    assert run("show", "1").exit_code == 0
    assert [update["revision"] for update in changes(run)] == [3, 2, 1]
    assert "before revision" not in run("log").stdout
    assert "1" in run("config", "get", "search/a", "--revision", "1").stdout


PAST = (
    ("config", "history", "search/a"),
    ("config", "blame", "search/a"),
    ("config", "diff", "search/a"),
    ("config", "diff", "search/a", "1"),
    ("config", "get", "search/a", "--revision", "1"),
    ("config", "revert", "search/a", "--to", "1"),
    ("log",),
    ("log", "--key", "search/a"),
    ("show", "1"),
)


@pytest.mark.parametrize("command", PAST, ids=" ".join)
def test_a_past_that_is_not_here_is_never_denied(
    run: Run, ask: Asking, federation: FakeSupernodes, command: tuple[str, ...]
) -> None:
    set_three(ask)
    for node in federation.by_node.values():
        node.kept = 3
    said = run(*command)
    text = said.stdout + said.stderr
    assert said.exit_code == (2 if "1" in command or "diff" in command else 0)
    assert "before revision 4" in text
    assert "there never was" not in text


@pytest.mark.parametrize("command", PAST, ids=" ".join)
def test_where_another_supernode_may_have_it_that_is_named_and_the_exit_code_says_so(
    run: Run, ask: Asking, federation: FakeSupernodes, command: tuple[str, ...]
) -> None:
    set_three(ask)
    for node in federation.by_node.values():
        node.kept, node.kept_by = 3, ("sn8.example.org", "sn9.example.org")
    said = run(*command)
    assert said.exit_code == 3
    names = "sn8.example.org and sn9.example.org may have it"
    assert names in said.stdout + said.stderr


@pytest.mark.parametrize("command", PAST, ids=" ".join)
def test_where_one_supernode_lacks_the_past_the_answers_are_those_of_the_others(
    run: Run, ask: Asking, federation: FakeSupernodes, command: tuple[str, ...]
) -> None:
    set_three(ask)
    whole = run(*command)
    federation[0].kept, federation[0].kept_by = 3, NODES[1:]
    said = run(*command)
    if "revert" not in command:
        assert (said.stdout, said.exit_code) == (whole.stdout, whole.exit_code)
    assert said.exit_code < 2, said.stderr


def test_a_document_as_it_is_needs_no_past(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    set_three(ask)
    ask("set", "policy/alerts", {"wait": 6})
    for node in federation.by_node.values():
        node.kept = 4
    assert run("config", "get", "search/a", "--revision", "3").stdout == "2"
    assert run("config", "get", "search/a", "--revision", "4").stdout == "2"
    (version,) = json.loads(run("config", "history", "search/a", "--json").stdout)["versions"]
    assert (version["revision"], version["size"]) == (3, 1)


def test_programs_are_told_what_is_missing(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    set_three(ask)
    for node in federation.by_node.values():
        node.kept, node.kept_by = 2, ("sn9.example.org",)
    for command in (("log",), ("config", "history", "search/a"), ("config", "blame", "search/a")):
        told = json.loads(run(*command, "--json").stdout)
        assert (told["past_from"], told["past_kept_by"]) == (3, ["sn9.example.org"]), command
    (line,) = json.loads(run("config", "blame", "search/a", "--json").stdout)["lines"]
    assert line["may_be_older"]
    assert "^3" in run("config", "blame", "search/a").stdout
    assert run("log", "--format", "name").stdout == "3\n"
    assert "# the past begins here" in run("log", "--format", "name").stderr


def test_programs_are_told_that_a_list_was_cut(run: Run, ask: Asking) -> None:
    set_three(ask)
    assert json.loads(run("log", "--json", "--limit", "2").stdout)["more"] is True
    assert json.loads(run("log", "--json", "--limit", "3").stdout)["more"] is False
    told = json.loads(run("config", "history", "search/a", "--json", "--limit", "1").stdout)
    assert (told["more"], [version["revision"] for version in told["versions"]]) == (True, [3])
    said = run("config", "history", "search/a", "--limit", "1").stdout
    assert "--limit shows more than 1" in said


def test_locks_are_not_read_to_show_the_rest(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    set_three(ask)
    for number in range(20):
        ask("open", f"session/{ADMIN}/s{number}", {"ttl": 30_000})
        ask("close", f"session/{ADMIN}/s{number}")
    for options in ((), ("--kind", "set")):
        federation[0].asked.clear()
        assert [update["revision"] for update in changes(run, *options)] == [3, 2, 1]
        assert len(federation[0].asked) == 1
    assert len(changes(run, "--kind", "open")) == 20
    assert len(changes(run, "--all")) == 43


def test_what_others_wrote_moves_no_cursor(run: Run, ask: Asking) -> None:
    ask("set", "config/search/a", {"content": "x", "note": "\x1b[2J\nevil"})
    assert "\x1b" not in run("log").stdout
    assert "\x1b" not in run("show", "1").stdout


def test_what_became_of_a_supernode_is_told_in_the_words_of_the_commands(run: Run) -> None:
    node = "sn9.example.org"
    run("supernode", "add", node, "--incarnation", "i1")
    run("supernode", "promote", node)
    run("supernode", "demote", node, "--yes")
    run("supernode", "rejoin", node, "--incarnation", "i2")
    said = run("log").stdout
    found = [line.split()[1] for line in said.splitlines() if node in line]
    assert found == ["rejoin", "demote", "promote", "add"]
    assert [update["revision"] for update in changes(run, "--kind", "promote")] == [2]
    assert len(changes(run, "--kind", "admit")) == 4


def test_sessions_and_locks_are_shown_on_demand_only(run: Run, ask: Asking) -> None:
    session = f"session/{ADMIN}/one"
    ask("open", session, {"ttl": 30_000})
    set_three(ask)
    assert "session/" not in run("log").stdout
    for options in (("--all",), ("--key", session), ("--kind", "open")):
        assert "session/" in run("log", *options).stdout


def test_a_log_that_stopped_early_says_so(run: Run, ask: Asking) -> None:
    set_three(ask)
    assert "--limit shows more than 2" in run("log", "--limit", "2").stdout
    assert "--limit" not in run("log", "--limit", "3").stdout


def test_a_documents_name_is_a_key_without_its_family(run: Run, ask: Asking) -> None:
    ask("set", "config/thredds/a.txt", {"content": "x"})
    (shown,) = changes(run, "--key", "thredds/a.txt")
    assert shown["change"]["key"] == "config/thredds/a.txt"
    said = run("log", "--key", "thredds/b.txt").stdout
    assert said == "No change of config/thredds/b.txt was agreed.\n"
    assert run("log", "--key", "nonsense").stdout == "No change of nonsense was agreed.\n"
