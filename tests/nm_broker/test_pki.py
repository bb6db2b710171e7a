import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nm_broker.pki import Authority
from nm_bus.errors import ConfigError
from nm_bus.identity.certificates import describe


def test_its_files_fit_together_and_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    tls = Authority.create(tmp_path).issue("sn1.example.org", tmp_path)
    ssl.create_default_context(cafile=tls.ca).load_cert_chain(tls.certificate, tls.key)
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600


def test_a_life_can_be_chosen(tmp_path: Path) -> None:
    starts = datetime(2020, 1, 1, tzinfo=UTC)
    day = timedelta(days=1)
    tls = Authority.create(tmp_path).issue("old.example.org", tmp_path, starts=starts, life=day)
    said = describe(tls.certificate)
    assert (said.starts, said.ends) == (starts, starts + day)


def test_an_authority_can_be_taken_up_again(tmp_path: Path) -> None:
    first = Authority.create(tmp_path)
    assert Authority.load(tmp_path).certificate == first.certificate


def test_an_authority_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no authority"):
        Authority.load(tmp_path)
