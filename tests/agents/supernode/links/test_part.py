"""A link's log lines, with every reason after a colon."""

import logging

import pytest

from nm_agents.supernode.links.part import log_link
from nm_bus.messages import LinkState


@pytest.mark.parametrize(
    ("reason", "end"), [("", "running"), ("no canary was heard", "running: no canary was heard")]
)
def test_a_link_s_reason_follows_a_colon_if_there_is_one(
    reason: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log_link(
        LinkState(
            source="sn1", destination="sn2", kind="bulk", state="running", reason=reason, delay=None
        )
    )
    assert caplog.messages == [f"link to sn2, bulk: {end}"]
