"""Looking again until something is as wanted."""

from nm_agents.cli.waiting import looked


class Clock:
    """Time that passes by sleeping."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_it_looks_until_it_is_done() -> None:
    clock, seen = Clock(), iter(range(100))
    found = looked(lambda: next(seen), lambda n: n == 3, 60, clock=clock, sleep=clock.sleep)
    assert (found, clock.now) == (3, 3.0)


def test_it_ends_in_time_with_what_it_saw_last() -> None:
    clock, seen = Clock(), iter(range(100))
    found = looked(lambda: next(seen), lambda _: False, 2.5, clock=clock, sleep=clock.sleep)
    assert (found, clock.now) == (3, 2.5)


def test_without_a_wait_it_looks_once() -> None:
    clock = Clock()
    assert looked(lambda: 1, lambda _: False, 0, clock=clock, sleep=clock.sleep) == 1
    assert clock.now == 0
