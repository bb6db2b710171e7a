from nm_agents.cli.screen.top import sparkline


def test_the_lowest_and_the_highest_value_take_the_ends() -> None:
    assert sparkline([0, 7, 14], 10) == "▁▅█"


def test_only_the_newest_values_are_drawn() -> None:
    assert sparkline([9, 9, 9, 0, 1], 2) == "▁█"


def test_a_missing_value_is_a_gap() -> None:
    assert sparkline([0, None, 1], 10) == "▁ █"


def test_noise_is_no_news() -> None:
    assert sparkline([100.0, 100.1, 100.0], 10) == "▁▁▁"


def test_nothing_known_is_nothing_drawn() -> None:
    assert sparkline([None, None], 10) == sparkline([], 10) == ""
