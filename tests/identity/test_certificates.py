"""What a certificate says, and that one which cannot be read or used is one sentence."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nm_broker.pki import Authority
from nm_bus.errors import ConfigError
from nm_bus.identity.certificates import describe, user_of
from nm_bus.settings import Tls

NAME = "node1.llnl.gov"


def self_signed(folder: Path, curve: ec.EllipticCurve) -> Tls:
    key = ec.generate_private_key(curve)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind = serialization.Encoding.PEM
    tls = Tls(folder / "own.crt", folder / "own.crt", folder / "own.key")
    tls.certificate.write_bytes(certificate.public_bytes(kind))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    tls.key.write_bytes(key.private_bytes(kind, *plain))
    return tls


def test_a_certificate_gives_its_first_name(tmp_path: Path) -> None:
    assert user_of(self_signed(tmp_path, ec.SECP256R1())) == NAME


def test_a_key_that_tls_does_not_take_is_said_in_one_sentence(tmp_path: Path) -> None:
    tls = self_signed(tmp_path, ec.BrainpoolP256R1())
    with pytest.raises(ConfigError, match=r"own\.crt: cannot be read: .*; have it issued again"):
        user_of(tls)


def test_a_certificate_names_its_owner_first(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    tls = authority.issue("sn1.example.org", tmp_path, also=("alias.example.org",))
    said = describe(tls.certificate)
    assert said.names == ("sn1.example.org", "alias.example.org")
    assert said.holds(datetime.now(UTC))
    assert not said.holds(datetime.now(UTC) + timedelta(days=91))


def test_what_is_no_certificate_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.crt").write_text("no certificate")
    with pytest.raises(ConfigError, match="is no certificate in PEM form"):
        describe(tmp_path / "x.crt")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        describe(tmp_path / "missing.crt")
