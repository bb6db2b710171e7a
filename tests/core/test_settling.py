import pytest

from nm_bus.core.settling import Rest, is_temporary


def test_a_file_rests_once_it_looked_the_same_for_a_while() -> None:
    rest = Rest(2.0)
    assert rest.restless({"a": 1, "b": None}, 0.0) == {"a", "b"}
    assert rest.restless({"a": 2, "b": None}, 1.0) == {"a", "b"}
    assert rest.restless({"a": 2, "b": None}, 2.0) == {"a"}
    assert rest.restless({"a": 2, "b": 1}, 3.0) == {"b"}
    assert rest.restless({"b": 1}, 5.0) == frozenset()
    assert rest.restless({"a": 2, "b": 1}, 6.0) == {"a"}


@pytest.mark.parametrize(
    "name",
    [
        ".a.xml.swp", "a.xml~", "4913", "#a.xml#", ".#a.xml", "a.xml___jb_tmp___",
        "a.xml___jb_old___", ".a.xml.X3fQ2z", ".a.xml.refused", ".git", "a.xml.part", "~$a.xml",
        "lost+found", ".goutputstream-QX1",
    ],
)  # fmt: skip
def test_what_editors_and_copying_programs_leave_for_a_moment_is_no_document(name: str) -> None:
    assert is_temporary(name)


@pytest.mark.parametrize("name", ["a.xml", "swp", "4914", "hosts", "a.tmpl", "a.bak"])
def test_a_name_of_a_person_is_a_documents(name: str) -> None:
    assert not is_temporary(name)
