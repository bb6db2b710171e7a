"""The same project file gives the same beginning; another one another."""

from pathlib import Path

from nm_bus.core.ledger.genesis import fingerprint, genesis, is_same_beginning
from nm_bus.project import identity, load_project
from nm_lab.samples.desk import project


def test_it_holds_what_the_file_says() -> None:
    state = genesis(
        project(
            supernodes=[
                {"node": "s1.org", "host": "broker.s1.org", "port": 5672, "weight": 2},
                {"node": "s2.org", "role": "standby"},
            ],
            publishers=[{"principal": "admin", "components": ["b", "a"]}],
        )
    )
    assert {key: entry.value for key, entry in state.entries.items()} == {
        "role/admin": {"administrator": True, "publisher": ["a", "b"]},
        "supernode/s1.org": {
            "role": "voter",
            "incarnation": "genesis",
            "weight": 2,
            "host": "broker.s1.org",
            "port": 5672,
        },
        "supernode/s2.org": {
            "role": "standby",
            "incarnation": "genesis",
            "weight": 1,
            "host": "s2.org",
            "port": 5671,
        },
    }
    assert (state.project, state.epoch, state.revision, state.time) == ("test", 1, 0, 0)
    assert state.voters == {"s1.org#genesis"}
    assert state.standbys == {"s2.org#genesis"}


def test_its_head_is_the_identity_of_the_file() -> None:
    assert genesis(project()).head == identity(project())
    assert genesis(project()).head != genesis(project(project="other")).head
    assert genesis(project()).head != genesis(project(administrators=["admin", "eve"])).head


def test_the_order_of_the_file_says_nothing() -> None:
    nodes = [{"node": "a.org"}, {"node": "b.org", "host": "b.org"}]
    publishers = [
        {"principal": "p", "components": ["x", "y"]},
        {"principal": "q", "components": ["z"]},
    ]
    turned = [
        {"principal": "q", "components": ["z"]},
        {"principal": "p", "components": ["y", "x"]},
    ]
    one = project(supernodes=nodes, administrators=["v", "w"], publishers=publishers)
    other = project(supernodes=nodes[::-1], administrators=["w", "v"], publishers=turned)
    assert genesis(one) == genesis(other)
    assert identity(one) == identity(other)


def test_a_comment_is_the_same_beginning_and_a_weight_is_not(tmp_path: Path) -> None:
    text = 'project = "p"\nadministrators = ["a"]\n[[supernodes]]\nnode = "s1.org"\n'
    texts = (text, f"# ours\n{text}", f"{text}weight = 2\n")
    files = [tmp_path / f"{number}.toml" for number in range(3)]
    for file, content in zip(files, texts, strict=True):
        file.write_text(content)
    plain, commented, heavier = (identity(load_project(file)) for file in files)
    assert plain == commented
    assert plain != heavier
    assert not is_same_beginning(fingerprint(plain), fingerprint(heavier))
