"""Whatever a check makes of its process: it is one sentence, and the next check is made."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import psutil
import pytest

from nm_bus.checking.check import Check, OfDocument, OfRecord, found
from nm_bus.checking.checker import Checker, CheckerProcess, NoCheckError
from nm_bus.checking.limits import CheckLimits
from nm_bus.documents import Document
from nm_bus.documents.media import JSON, PLAIN, TOML, XML

TOO_LONG = "takes too long to check: more than 1 s; make it simpler"
QUICK = CheckLimits(seconds=1, patience=60.0)


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with closing(Checker(QUICK)) as checker:
        yield checker


def document(schema: object = "", content: bytes = b"{}", media_type: str = JSON) -> OfDocument:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return OfDocument(content, media_type, text)


def doubling(levels: int) -> dict[str, object]:
    """A small schema that asks for 2 to the power of its levels."""
    names = [f"d{number}" for number in range(levels + 1)]
    defs: dict[str, object] = {
        name: {"allOf": [{"$ref": f"#/$defs/{after}"}] * 2} for name, after in pairwise(names)
    }
    return {"$ref": "#/$defs/d0", "$defs": defs | {names[-1]: {"type": "object"}}}


def objects(count: int, last: int) -> bytes:
    return json.dumps([{"a": number} for number in range(count)] + [{"a": last}]).encode()


REFUSED: dict[str, tuple[Check, str]] = {
    "a dialect that is a number": (
        document({"$schema": 5}),
        "the schema is written in 5; write it in https://json-schema.org/draft/2020-12/schema",
    ),
    "a pattern with a giant count": (
        document({"pattern": "a{99999999999999999999}"}, b'"a"'),
        "has a schema that cannot be read: the repetition number is too large",
    ),
    "a reference to a number": (
        document({"$ref": "#/x", "x": 5}),
        "has a schema that cannot be read: argument of type 'int' is not iterable",
    ),
    "an id that is no address": (
        document({"$id": "http://[", "$ref": "other"}),
        "has a schema that cannot be read: Invalid IPv6 URL",
    ),
    "a number of 400 digits": (
        document({"multipleOf": 0.5}, b"1" * 400),
        "has a number of more than 300 digits",
    ),
    "a number of 400 digits in the schema": (
        document({"multipleOf": 10**399}),
        "the schema has a number of more than 300 digits",
    ),
    "a schema of 400 levels": (
        document('{"not":' * 400 + "{}" + "}" * 400),
        "the schema is nested deeper than 64 levels",
    ),
    "a document of 400 levels": (
        document(content=b"[" * 400 + b"]" * 400),
        "is nested deeper than 64 levels",
    ),
    "an encoding that nobody knows": (
        document(content=b'<?xml version="1.0" encoding="foo"?><a/>', media_type=XML),
        "cannot be read: unknown encoding: foo",
    ),
    "a name of TOML with 30,000 dots": (
        document(content=b"a = 1\nb" + b".a" * 30_000 + b" = 1", media_type=TOML),
        "is no TOML: line 2 has a name of more than 64 words",
    ),
    "a byte order mark before TOML": (
        document(content=b"\xef\xbb\xbfa = 1", media_type=TOML),
        "is no TOML: it begins with a byte order mark; save it in UTF-8 without one",
    ),
    "a pattern that backtracks": (
        document({"pattern": "^(a+)+$"}, b'"' + b"a" * 40 + b'b"'),
        TOO_LONG,
    ),
    "a schema that doubles 40 times": (document(doubling(40)), TOO_LONG),
    "many objects, of which two are equal": (
        document({"uniqueItems": True}, objects(4_500, last=4_499)),
        TOO_LONG,
    ),
    "a record that is none": (
        OfRecord("endpoint", {"url": 5}),
        "is no record of the kind endpoint: ",
    ),
}


@pytest.mark.parametrize(("check", "because"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_hostile_is_refused_in_one_sentence_and_the_next_is_checked(
    check: Check, because: str, checker: Checker
) -> None:
    said = checker.why_not(check)
    assert said.startswith(because) if because.endswith(": ") else said == because
    assert checker.why_not(document({"type": "object"})) == ""


def test_what_is_quick_for_the_quick_validator_is_taken(checker: Checker) -> None:
    assert checker.why_not(document({"uniqueItems": True}, objects(4_500, last=4_500))) == ""
    assert checker.why_not(document({"pattern": "^(a+)+$"}, b'"' + b"a" * 5_000 + b'"')) == ""


def test_a_check_that_needs_too_much_memory_is_refused() -> None:
    limits = CheckLimits(memory=80 * 1024 * 1024, seconds=60, patience=60.0)
    with closing(Checker(limits)) as small:
        said = small.why_not(document(content=b" " * 60 * 1024 * 1024))
        assert said == "needs too much memory to be checked; make it simpler"
        assert small.why_not(document(content=b"1")) == ""


def test_what_has_nothing_to_be_checked_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert Checker().why_not(document(content=b"text", media_type=PLAIN.type)) == ""
    assert Checker().why_not(OfRecord("telescope", {"mirrors": 2})) == ""


def test_a_process_that_was_ended_between_two_checks_is_not_put_on_the_next() -> None:
    with closing(Checker()) as checker:
        for _ in range(2):
            assert checker.why_not(document()) == ""
            assert checker._child is not None
            os.kill(checker._child.process.pid, signal.SIGKILL)
            checker._child.process.wait()


class Trouble:
    """Sends the process a signal just before it is given a check: the first ones, or every one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, times: int) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        ask = CheckerProcess.ask

        def troubled(child: CheckerProcess, check: Check, patience: float) -> str | None:
            self.processes.append(child.process)
            if len(self.processes) > times:
                return ask(child, check, patience)
            child.process.send_signal(sent)
            return ask(child, check, 0.1 if sent is signal.SIGSTOP else patience)

        monkeypatch.setattr(CheckerProcess, "ask", troubled)


FROM_OUTSIDE = pytest.mark.parametrize(
    "sent",
    [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGSTOP],
    ids=lambda sent: str(sent.name),
)
INTEGER = document({"type": "integer"}, b"1")


@FROM_OUTSIDE
def test_a_check_that_something_else_ended_is_made_again_by_a_new_process(
    sent: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(monkeypatch, sent, times=1)
    with closing(Checker(CheckLimits(patience=60.0))) as checker:
        assert checker.why_not(INTEGER) == ""
    first, second = trouble.processes
    assert first.returncode == -(signal.SIGKILL if sent is signal.SIGSTOP else sent)
    assert first.pid != second.pid


@FROM_OUTSIDE
def test_what_ends_a_check_twice_from_outside_says_nothing_about_the_document(
    sent: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(monkeypatch, sent, times=2)
    with closing(Checker(CheckLimits(patience=60.0))) as checker:
        with pytest.raises(NoCheckError, match="the process that checks"):
            checker.why_not(INTEGER)
        assert len(trouble.processes) == 2
        assert checker.why_not(INTEGER) == ""


def test_a_large_check_that_a_stopped_process_does_not_take_is_given_up_in_time() -> None:
    with closing(Checker(CheckLimits(patience=0.2))) as checker:
        checker._ready().process.send_signal(signal.SIGSTOP)
        with pytest.raises(NoCheckError):
            checker.once(document(content=b" " * 4 * 1024 * 1024))


def test_after_many_checks_a_new_process_takes_over() -> None:
    with closing(Checker(CheckLimits(checks=2))) as checker:
        seen = []
        for _ in range(4):
            assert checker.why_not(document()) == ""
            assert checker._child is not None
            seen.append(checker._child.process.pid)
        assert seen[0] == seen[1] != seen[2] == seen[3]
        assert not psutil.pid_exists(seen[0])


def test_the_process_ends_with_the_checker_and_with_its_parent() -> None:
    checker = Checker()
    checker.why_not(document())
    assert checker._child is not None
    process = checker._child.process
    checker._child.line.close()  # as when the parent is gone
    assert process.wait(30.0) == 0
    checker.close()
    checker.close()


def test_that_no_process_can_be_started_says_nothing_about_the_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for executable in ("/bin/false", "/no/such/program"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(NoCheckError):
            Checker().why_not(document())


def test_a_check_gives_the_same_in_place() -> None:
    assert found(document({"type": "object"})) == ""
    assert found(document({"type": "array"})).startswith("is refused by its schema")


def test_a_whole_document_is_looked_at_under_limits(checker: Checker) -> None:
    """As a person or a publisher has it checked, with its name and what looks like a secret."""
    slow = Document("a", "b.json", b'"' + b"a" * 40 + b'b"', '{"pattern": "^(a+)+$"}')
    secret = Document("a", "b.json", b'{"password": "hunter2"}')
    assert checker.why_no_document(slow) == TOO_LONG
    assert "is no document's name" in checker.why_no_document(Document("a", "../b", b""))
    assert "looks like a password" in checker.why_no_document(secret)
    assert checker.why_no_document(secret, forced=True) == ""
