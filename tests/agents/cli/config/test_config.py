import json
from pathlib import Path

import pytest

from nm_bus.client import Client
from nm_bus.messages import FollowedFeed, Health, MemberState, MemberView, Running
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import EVE, NODES, Run

A = "config/thredds/a.txt"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    return path


def put(run: Run, file: Path, content: str, *more: str) -> str:
    file.write_text(content)
    said = run("put", file, "--component", "thredds", *more)
    assert said.exit_code == 0, said.output
    return str(said.stdout)


# --- put


def test_put_tells_the_revision_at_which_it_was_agreed(run: Run, file: Path) -> None:
    assert put(run, file, "one\n") == f"{A}: agreed at revision 1\n"
    assert put(run, file, "one\n") == f"{A}: is so already, since revision 1\n"
    assert put(run, file, "two\n") == f"{A}: agreed at revision 2\n"


def test_put_for_programs(run: Run, file: Path) -> None:
    told = json.loads(put(run, file, "one\n", "--json"))
    assert (told["key"], told["state"], told["revision"]) == (A, "agreed", 1)
    assert json.loads(put(run, file, "one\n", "--json"))["state"] == "unchanged"


def test_what_is_only_accepted_is_told_apart(
    run: Run, file: Path, federation: FakeSupernodes
) -> None:
    for node in NODES:
        federation.by_node[node].cut = True
    said = run("put", file, "--component", "thredds", "--timeout", "0.3")
    assert said.exit_code == 3
    assert said.stdout.startswith(f"{A}: accepted, not agreed yet (id admin.example/")
    said = run("put", file, "--component", "thredds", "--timeout", "0.3", "--json")
    assert json.loads(said.stdout)["state"] == "accepted"


def test_standard_input_needs_a_name(run: Run) -> None:
    said = run("put", "-", "--component", "thredds", "--name", "a.txt", input="x")
    assert said.exit_code == 0
    assert run("get", "thredds/a.txt").stdout == "x"
    assert run("put", "-", "--component", "thredds", input="x").exit_code == 2


def test_a_stale_revision_is_a_conflict(run: Run, file: Path, eve: Client) -> None:
    put(run, file, "one\n", "--if-revision", "0")
    eve.put("thredds", "a.txt", "hers\n")
    file.write_text("mine\n")
    said = run("put", file, "--component", "thredds", "--if-revision", "1")
    assert said.exit_code == 2
    assert A in said.stderr
    assert run("get", "thredds/a.txt").stdout == "hers\n"


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("a.json", b"{", "is no JSON"),
        ("a.txt", b"x" * 70_000, "is too large"),
        ("a.ini", b"\xff", "is no UTF-8"),
        ("a.txt", b"db.password=hunter2", "looks like a password"),
        ("a b.txt", b"x", "is no document's name"),
    ],
)
def test_what_may_not_be_published_is_one_sentence(
    run: Run, tmp_path: Path, name: str, content: bytes, because: str
) -> None:
    (tmp_path / name).write_bytes(content)
    said = run("put", tmp_path / name, "--component", "thredds")
    assert said.exit_code == 2
    assert because in said.stderr
    assert said.stderr.count("\n") == 1
    assert run("list").stdout == "No document is published.\n"


def test_what_looks_like_a_secret_can_be_forced(run: Run, file: Path) -> None:
    assert "agreed" in put(run, file, "password=hunter2", "--force")


def test_a_schema_is_kept_for_the_next_version(run: Run, file: Path, tmp_path: Path) -> None:
    schema, document = tmp_path / "schema.json", tmp_path / "b.json"
    schema.write_text('{"type": "object", "maxProperties": 0}')
    put(run, document, "{}", "--schema", str(schema))
    document.write_text('{"a": 1}')
    said = run("put", document, "--component", "thredds")
    assert said.exit_code == 2
    assert "is refused by its schema" in said.stderr


def test_a_dry_run_shows_the_difference_and_proposes_nothing(
    run: Run, file: Path, federation: FakeSupernodes
) -> None:
    put(run, file, "one\n")
    file.write_text("two\n")
    said = run("put", file, "--component", "thredds", "--dry-run")
    assert said.stdout.splitlines() == ["--- revision 1", "+++ new", "@@ -1 +1 @@", "-one", "+two"]
    assert len(federation.decided) == 1


# --- get, list


def test_get_gives_the_bytes_as_they_are(run: Run, tmp_path: Path) -> None:
    logo = tmp_path / "logo"
    logo.write_bytes(b"\x89PNG\0\r\n\xff")
    run("put", logo, "--component", "portal")
    assert run("get", "portal/logo").stdout_bytes == b"\x89PNG\0\r\n\xff"
    assert run("get", "config/portal/logo", "--output", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out").read_bytes() == b"\x89PNG\0\r\n\xff"


def test_get_at_a_revision_gives_what_was_then(run: Run, file: Path) -> None:
    put(run, file, "one\n")
    put(run, file, "two\n")
    assert run("get", "thredds/a.txt", "--revision", "1").stdout == "one\n"
    assert json.loads(run("get", "thredds/a.txt", "--json").stdout)["revision"] == 2
    told = json.loads(run("get", "thredds/a.txt", "--revision", "1", "--json").stdout)
    assert (told["key"], told["revision"], told["content"]) == (A, 1, "one\n")
    said = run("get", "thredds/a.txt", "--revision", "9")
    assert said.exit_code == 2
    assert "no revision 9 yet, the last is 2" in said.stderr


@pytest.mark.parametrize("command", ["get", "history", "blame", "diff", "delete"])
def test_a_document_that_is_not_there_is_said(run: Run, command: str) -> None:
    said = run(command, "thredds/none.txt")
    assert said.exit_code == 2
    assert "config/thredds/none.txt" in said.stderr
    assert "nm-bus config list" in said.stderr


def test_what_is_no_documents_name_is_said_before_anybody_is_asked(run: Run) -> None:
    for name in ("../a.txt", "a.txt"):
        said = run("get", name)
        assert said.exit_code == 2
        assert "COMPONENT/NAME" in said.stderr.replace("\n", " ")
    said = run("put", "a.txt", "--component", "the dash")
    assert said.exit_code == 2
    assert "is no component's name" in said.stderr


def test_the_list_has_every_document_once(run: Run, file: Path, tmp_path: Path) -> None:
    assert run("list").stdout == "No document is published.\n"
    for name in "abcdefg":
        path = tmp_path / f"{name}.txt"
        put(run, path, name, "--note", "first \x1b[2J")
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f"thredds/{name}.txt" for name in "abcdefg"]
    assert "\x1b" not in run("list").stdout
    rows = json.loads(run("list", "thredds", "--json").stdout)
    assert [row["revision"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert run("list", "portal").stdout.startswith("No document of portal; ")


# --- the past


def test_history_tells_who_when_and_who_lost(run: Run, file: Path, eve: Client) -> None:
    put(run, file, "one\n", "--note", "first")
    eve.propose("set", A, {"content": "hers\n"}, base=0)
    rows = json.loads(run("history", "thredds/a.txt", "--json").stdout)["versions"]
    assert [(r["revision"], r["actor"], r["overwritten_by"]) for r in rows] == [
        (2, EVE, 0),
        (1, "admin.example", 2),
    ]
    assert "first; overwritten unseen by 2" in run("history", "thredds/a.txt").stdout


def test_diff_is_between_revisions_and_files(run: Run, file: Path) -> None:
    put(run, file, "one\n")
    put(run, file, "two\n")
    put(run, file, "three\n")
    file.write_text("four\n")

    def sides(*given: str | Path) -> list[str]:
        said = run("diff", "thredds/a.txt", *given)
        assert said.exit_code == 1
        return [
            line for line in said.stdout.splitlines() if line[:1] in "+-" and line[1] not in "+-"
        ]

    assert sides() == ["-two", "+three"]
    assert sides("1") == ["-one", "+three"]
    assert sides("1", "2") == ["-one", "+two"]
    assert sides(file) == ["-three", "+four"]
    assert sides("2", file) == ["-two", "+four"]
    assert run("diff", "thredds/a.txt", "2", "2").exit_code == 0
    assert run("diff", "thredds/a.txt", "2", "none.txt").exit_code == 2


def test_what_is_no_component_cannot_be_watched(run: Run) -> None:
    said = run("watch", "thredds/a.txt", "--timeout", "1")
    assert said.exit_code == 2
    assert "'config/thredds/a.txt' is no feed of the ledger: config/<component>" in said.stderr


def test_blame_names_the_author_of_each_line(run: Run, file: Path, eve: Client) -> None:
    put(run, file, "a\nb\n")
    eve.put("thredds", "a.txt", "a\nB\x1b\n")
    lines = run("blame", "thredds/a.txt").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert lines[1].endswith("| B·")
    assert EVE in lines[1]
    told = json.loads(run("blame", "thredds/a.txt", "--json").stdout)["lines"]
    assert [line["revision"] for line in told] == [1, 2]


def test_a_revert_is_a_new_version_that_says_so(run: Run, file: Path) -> None:
    put(run, file, "one\n")
    put(run, file, "two\n")
    said = run("revert", "thredds/a.txt", "--to", "1", "--note", "it broke")
    assert said.stdout == f"{A}: agreed at revision 3\n"
    assert run("get", "thredds/a.txt").stdout == "one\n"
    (newest, *_) = json.loads(run("history", "thredds/a.txt", "--json").stdout)["versions"]
    assert (newest["reverts"], newest["note"]) == (1, "it broke")
    assert "is so already" in run("revert", "thredds/a.txt", "--to", "1").stdout


def test_a_revert_to_what_never_was_is_refused(run: Run, file: Path, tmp_path: Path) -> None:
    put(run, tmp_path / "b.txt", "b\n")
    put(run, file, "one\n")
    for revision in ("1", "7"):
        said = run("revert", "thredds/a.txt", "--to", revision)
        assert said.exit_code == 2
        assert f"revision {revision}" in said.stderr


def test_a_deleted_document_can_be_brought_back(run: Run, file: Path) -> None:
    put(run, file, "one\n")
    assert run("delete", "thredds/a.txt", "--yes").stdout == f"{A}: agreed at revision 2\n"
    assert run("get", "thredds/a.txt").exit_code == 2
    assert "deleted" in run("history", "thredds/a.txt").stdout
    assert run("revert", "thredds/a.txt", "--to", "1").exit_code == 0
    assert run("get", "thredds/a.txt").stdout == "one\n"


# --- check, watch, publish


def test_check_needs_nobody(
    run: Run, file: Path, tmp_path: Path, federation: FakeSupernodes
) -> None:
    assert run("check", file).stdout == f"{file}: fine, text/plain\n"
    bad = tmp_path / "bad.json"
    bad.write_text('{"a": 1}')
    schema = tmp_path / "schema.json"
    schema.write_text('{"maxProperties": 0}')
    said = run("check", bad, "--schema", schema)
    assert said.exit_code == 1
    assert "is refused by its schema" in said.stdout
    assert all(not one.asked for one in federation.by_node.values())
    put(run, tmp_path / "ok.json", "{}", "--name", "bad.json", "--schema", str(schema))
    assert run("check", bad).exit_code == 0
    assert run("check", bad, "--component", "thredds", "--json").exit_code == 1


def test_a_schema_that_takes_for_ever_holds_up_no_command(run: Run, tmp_path: Path) -> None:
    slow, schema = tmp_path / "slow.json", tmp_path / "schema.json"
    slow.write_text('"' + "a" * 40 + 'b"')
    schema.write_text('{"pattern": "^(a+)+$"}')
    said = run("check", slow, "--schema", schema)
    assert said.exit_code == 1
    assert said.stdout.endswith("takes too long to check: more than 1 s; make it simpler\n")
    put(run, tmp_path / "ok.json", "{}", "--name", "slow.json", "--schema", str(schema))
    assert run("put", slow, "--component", "thredds").exit_code == 2


def test_watch_shows_versions_in_order_and_ends_by_count(
    run: Run, file: Path, tmp_path: Path
) -> None:
    put(run, file, "one\n", "--note", "why")
    put(run, tmp_path / "b.txt", "b\n")
    put(run, file, "two\n")
    lines = run("watch", "--since", "0", "--count", "3").stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["1", "2", "3"]
    assert lines[0].endswith("thredds/a.txt  4 B  by admin.example  why")
    told = run("watch", "thredds", "--since", "2", "--count", "1", "--json").stdout
    assert json.loads(told)["revision"] == 3


def test_watch_ends_by_its_time(run: Run) -> None:
    said = run("watch", "--timeout", "0.1")
    assert (said.exit_code, said.stdout) == (0, "")


def test_publish_once_publishes_a_folder_and_says_what_was_refused(
    run: Run, tmp_path: Path
) -> None:
    root = tmp_path / "config.d"
    (root / "thredds").mkdir(parents=True)
    (root / "thredds" / "a.txt").write_text("x\n")
    said = run("publish", root, "--dry-run", "--settle", "0.1")
    assert said.exit_code == 0
    assert said.stdout.splitlines()[0] == f"would put {A}"
    assert "+x" in said.stdout
    said = run("publish", root, "--once", "--settle", "0.1")
    assert (said.exit_code, said.stdout) == (0, f"put {A}: agreed at revision 1\n")
    (root / "thredds" / "b.json").write_text("{")
    said = run("publish", root, "--once", "--settle", "0.1", "--json")
    assert said.exit_code == 1
    assert json.loads(said.stdout)["what"] == "refused"
    assert run("publish", tmp_path / "none").exit_code == 2


# --- status


def member(node: str, running: Running | None) -> MemberView:
    state = MemberState(node, Health.ALIVE, running=running)
    return MemberView(home=NODES[0], told=0.0, state=state)


def running(revision: int, troubles: dict[str, str] | None = None, **documents: int) -> Running:
    keys = {f"config/thredds/{name}.txt": held for name, held in documents.items()}
    feeds = (FollowedFeed("config/thredds", 1, revision, "h"),)
    return Running("i", feeds, keys, troubles or {})


def test_status_shows_who_is_behind(
    run: Run, file: Path, tmp_path: Path, federation: FakeSupernodes
) -> None:
    put(run, file, "one\n")
    put(run, tmp_path / "b.txt", "b\n")
    put(run, file, "two\n")
    federation.sight.members = (
        member("well.example", running(3, a=3, b=2)),
        member("late.example", running(1, a=1)),
        member("gone.example", running(3, a=3, gone=1)),
        member("hurt.example", running(3, {A: "the hook failed"}, a=3)),
        member("idle.example", running(3)),
        member("old.example", None),
    )
    said = run("status")
    assert said.exit_code == 1
    assert "3 of 6 members behind" in said.stdout
    assert "the hook failed" in said.stdout
    told = {row["node"]: row for row in json.loads(run("status", "--json").stdout)}
    assert {node for node, row in told.items() if row["behind"]} == {
        "late.example",
        "gone.example",
        "hurt.example",
    }
    assert told["late.example"]["documents"] == [
        {"document": "thredds/a.txt", "running": 1, "wanted": 3, "trouble": "", "behind": True}
    ]
    for fine in ("thredds/b.txt", "thr", "thredds/a", "portal"):
        assert run("status", fine).exit_code == 0
    for late in ("thredds", "thredds/", "config/thredds/a.txt"):
        assert run("status", late).exit_code == 1
    assert len(json.loads(run("status", "--behind", "--json").stdout)) == 3


# --- who keeps a component


def test_a_component_that_no_member_has_documents_of_is_said(
    run: Run, file: Path, federation: FakeSupernodes
) -> None:
    federation.sight.members = (member("n1.example", running(3, a=3)), member("n2.example", None))
    said = run("put", file, "--component", "thred")
    assert said.exit_code == 0
    assert "no member keeps documents of thred; members keep those of: thredds" in said.stderr
    said = run("status", "thred")
    assert "no member keeps documents of thred; members keep those of: thredds" in said.stderr
    assert run("put", file, "--component", "thredds").stderr == ""
    assert run("status", "thredds").stderr == ""


def test_a_list_of_nothing_names_what_was_asked_for(run: Run, file: Path) -> None:
    assert run("list").stdout == "No document is published.\n"
    put(run, file, "one\n")
    assert run("list", "thred").stdout == "No document of thred; see `nm-bus config list`.\n"


def test_put_waits_for_the_members_that_keep_the_component(
    run: Run, file: Path, federation: FakeSupernodes
) -> None:
    federation.sight.members = (
        member("here.example", running(1, a=1)),
        member("elsewhere.example", running(1)),
        member("old.example", None),
    )
    said = run("put", file, "--component", "thredds", "--wait", "0.01")
    assert (said.exit_code, said.stdout) == (0, f"{A}: agreed at revision 1\n")
    assert "every member that has documents of the component runs it" in said.stderr


def test_put_names_the_members_without_it_at_the_end_of_its_wait(
    run: Run, file: Path, federation: FakeSupernodes
) -> None:
    federation.sight.members = (
        member("here.example", running(1, a=1)),
        member("late.example", running(1, b=1)),
        member("hurt.example", running(1, {A: "the hook failed"}, a=1)),
    )
    said = run("put", file, "--component", "thredds", "--wait", "0.01")
    assert said.exit_code == 1
    assert "2 members without it after 0.01 s: hurt.example, late.example" in said.stderr
    assert "agreed at revision 1" in said.stdout
