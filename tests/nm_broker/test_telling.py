import pytest

from nm_broker.private import telling_line

STAMP = "2026-11-21 21:55:02.618343+00:00"


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", ""),
        (f"{STAMP} [info] <0.1.0> all is well", ""),
        (f"{STAMP} [error] <0.1.0> lost\n    {{file_error,x,enospc}}}}}},", "the disk is full"),
        (
            f"{STAMP} [error] <0.1.0> ssl_options.certfile invalid, file does not exist",
            "ssl_options.certfile invalid, file does not exist",
        ),
        (
            f"{STAMP} [error] <0.1.0> You've tried to set foo.bar, but there is no setting so",
            "You've tried to set foo.bar, but there is no setting so",
        ),
        (
            f"{STAMP} [error] <0.1.0> Supervisor failed\n{STAMP} [error] <0.1.0> eaddrinuse (port)",
            "eaddrinuse (port)",
        ),
        (f"{STAMP} [error] <0.1.0> Something else entirely", "Something else entirely"),
    ],
)
def test_the_plainest_cause_is_told(log: str, told: str) -> None:
    assert telling_line(log) == told


def test_a_very_long_line_is_cut() -> None:
    assert len(telling_line(f"{STAMP} [error] <0.1.0> " + "word " * 1_000)) <= 300
