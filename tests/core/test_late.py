"""Late samples are gathered within limits, and one member's take no room from another's."""

from nm_bus.core.late import SERIES, Late

HOUR = 3600.0


def add(late: Late, node: str, name: str, minute: int = 0) -> bool:
    return late.add(node, name, 1.0, minute * 60.0, 5 * HOUR, quantiles=False)


def test_a_members_minute_has_no_more_series_than_its_last_hour_may_have() -> None:
    late = Late()

    taken = [add(late, "n1", f"s{n}") for n in range(SERIES + 10)]

    assert taken.count(True) == SERIES
    assert add(late, "n1", "s0")
    assert add(late, "n1", "s0", minute=1)


def test_one_member_leaves_room_for_the_others() -> None:
    late = Late(most=4, most_of_a_node=2)

    assert [add(late, "n1", name) for name in "abc"] == [True, True, False]
    assert [add(late, node, "a") for node in ("n2", "n3", "n4")] == [True, True, False]


def test_what_was_told_or_forgotten_makes_room() -> None:
    late = Late(most=2, most_of_a_node=1)
    add(late, "n1", "a")
    add(late, "n2", "a")

    late.forget("n2")
    assert len(late.settled(6 * HOUR)) == 1

    assert add(late, "n1", "b")
    assert add(late, "n2", "b")
    assert [key[:3] for key in late.settled(6 * HOUR)] == [(0, "n1", "b"), (0, "n2", "b")]
