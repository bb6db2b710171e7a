"""Signatures: whoever holds the key of the actor's certificate, and nobody else, may ask."""

import base64
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from nm_bus.errors import ConfigError
from nm_bus.identity import chains
from nm_bus.identity.chains import LONGEST_CHAIN, MOST_BYTES
from nm_bus.identity.signing import Signer, head_text, is_signed, sign, verify
from nm_bus.messages import Change
from nm_bus.settings import Tls

ALICE, BOB = "alice.llnl.gov", "bob.llnl.gov"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW = NOON.timestamp()
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
KEYS: dict[str, Callable[[], Key]] = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
}
CHANGE = Change(f"{ALICE}/a1/1", ALICE, "set", "config/a/b", 3, {"content": "x"}, expected=0)


class Issuer:
    """An authority, or one between it and those that it vouches for."""

    def __init__(
        self,
        name: str,
        above: "Issuer | None" = None,
        *,
        is_authority: bool = True,
        levels: int | None = None,
        rsa: bool = False,
        extensions: tuple[x509.ObjectIdentifier, ...] = (),
        ends: datetime | None = None,
        key: Key | None = None,
    ) -> None:
        self.name, self.key = name, key or KEYS["rsa" if rsa else "ec"]()
        self.certificate = (above or self).certify(
            name,
            self.key,
            is_authority=is_authority,
            levels=levels,
            extensions=extensions,
            ends=ends,
        )

    def certify(
        self,
        name: str,
        key: Key,
        *,
        is_authority: bool = False,
        levels: int | None = None,
        names: tuple[str, ...] = (),
        extensions: tuple[x509.ObjectIdentifier, ...] = (),
        ends: datetime | None = None,
    ) -> x509.Certificate:
        life = (10 if is_authority else 1) * DAY
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(NOON, ends or NOON) - life)
            .not_valid_after(ends or NOON + life)
            .add_extension(x509.BasicConstraints(is_authority, levels), critical=True)
        )
        for each in extensions:
            builder = builder.add_extension(x509.UnrecognizedExtension(each, b""), critical=False)
        if names:
            listed = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            builder = builder.add_extension(listed, critical=False)
        return builder.sign(
            self.key, None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        )

    def issue(self, folder: Path, *names: str, key: Key | None = None) -> Tls:
        key = key or KEYS["ec"]()
        kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, *kind)
        tls = Tls(folder / "ca.crt", folder / "own.crt", folder / "own.key")
        tls.ca.write_text(pem(self.certificate))
        tls.certificate.write_text(pem(self.certify(names[0], key, names=names)))
        tls.key.write_bytes(secret)
        return tls


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem(*certificates: x509.Certificate) -> str:
    kind = serialization.Encoding.PEM
    return "".join(each.public_bytes(kind).decode() for each in certificates)


AUTHORITY = Issuer("authority")


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """Alice's certificate."""
    return AUTHORITY.issue(tmp_path, ALICE)


def judged(
    change: Change, tls: Tls, *, certificate: str = "", user: str = ALICE, now: float = NOW
) -> str:
    own = certificate or tls.certificate.read_text()
    return verify(change, own, pem(AUTHORITY.certificate), user, now)


@pytest.mark.parametrize("kind", KEYS)
def test_a_signature_is_known_again_whatever_the_kind_of_key(kind: str, tmp_path: Path) -> None:
    tls = AUTHORITY.issue(tmp_path, ALICE, "also.llnl.gov", key=KEYS[kind]())
    signed = sign(CHANGE, tls)
    assert judged(signed, tls) == ""
    assert "altered" in judged(replace(signed, key="config/a/c"), tls)


def test_what_the_accepting_supernode_adds_is_not_signed(tls: Tls) -> None:
    stamped = replace(sign(CHANGE, tls), timestamp=17, supernode="sn1.llnl.gov")
    assert judged(stamped, tls) == ""


@pytest.mark.parametrize(
    "altered",
    [
        {"value": {"content": "y"}},
        {"base": 4},
        {"expected": None},
        {"kind": "delete"},
        {"id": f"{ALICE}/a1/2"},
    ],
)
def test_whatever_else_is_altered_is_found_out(altered: dict[str, object], tls: Tls) -> None:
    assert "altered" in judged(replace(sign(CHANGE, tls), **altered), tls)


def test_nobody_asks_in_anothers_name(tls: Tls) -> None:
    signed = sign(CHANGE, tls)
    assert judged(signed, tls, user=BOB) == f"{BOB} may not ask for a change as {ALICE}"
    as_bob = sign(replace(CHANGE, actor=BOB), tls)
    assert judged(as_bob, tls, user=BOB).endswith(f"is of {ALICE}, not of {BOB}")


def test_the_first_name_of_the_certificate_counts(tmp_path: Path) -> None:
    tls = AUTHORITY.issue(tmp_path, BOB, ALICE)
    assert judged(sign(CHANGE, tls), tls).endswith(f"is of {BOB}, not of {ALICE}")


def test_a_certificate_without_a_host_name_is_nobodys(tls: Tls, tmp_path: Path) -> None:
    key = KEYS["ec"]()
    signer = Signer.load(tls)
    nameless = AUTHORITY.certify(ALICE, key)
    own = Signer("", nameless.fingerprint(hashes.SHA256()).hex(), key)
    assert "of no one" in judged(own.sign(CHANGE), tls, certificate=pem(nameless))
    assert signer.fingerprint != own.fingerprint


def test_a_change_that_is_not_signed_is_not_taken(tls: Tls) -> None:
    assert "not signed" in judged(CHANGE, tls)
    signed = sign(CHANGE, tls)
    assert "without a certificate" in judged(signed, tls, certificate="none")
    assert "no base64" in judged(replace(signed, signature="%"), tls)


def test_another_certificate_of_the_same_name_is_found_out(tls: Tls, tmp_path: Path) -> None:
    signed = sign(CHANGE, tls)
    other = pem(AUTHORITY.certify(ALICE, KEYS["ec"](), names=(ALICE,)))
    assert "signer" in judged(signed, tls, certificate=other)


def test_a_certificate_counts_only_within_its_life(tls: Tls) -> None:
    signed = sign(CHANGE, tls)
    for days in (-2, 2):
        said = judged(signed, tls, now=NOW + days * 86_400)
        assert said == (
            "the certificate that signed is not in force now,"
            " but from 2026-11-20 12:00:00 to 2026-11-22 12:00:00 UTC"
        )


PAST = NOON - 5 * DAY


@pytest.mark.parametrize(("root", "between"), [(PAST, None), (None, PAST)])
def test_what_issued_a_certificate_counts_only_within_its_life(
    root: datetime | None, between: datetime | None, tmp_path: Path
) -> None:
    authority = Issuer("root", ends=root)
    issuer = Issuer("between", authority, ends=between)
    tls = issuer.issue(tmp_path, ALICE)
    chain = tls.certificate.read_text() + pem(issuer.certificate)
    said = verify(sign(CHANGE, tls), chain, pem(authority.certificate), ALICE, NOW)
    assert said == (
        "what issued the certificate that signed is not in force now,"
        " but from 2026-11-06 12:00:00 to 2026-11-16 12:00:00 UTC"
    )


def test_an_authority_whose_life_is_over_vouches_for_nobody(tmp_path: Path) -> None:
    old = Issuer("authority", ends=PAST)
    tls = old.issue(tmp_path, ALICE)
    signed, own = sign(CHANGE, tls), tls.certificate.read_text()
    for authorities in (pem(old.certificate), pem(AUTHORITY.certificate, old.certificate)):
        assert "not in force" in verify(signed, own, authorities, ALICE, NOW)


def test_an_authority_that_was_renewed_vouches_as_before(tmp_path: Path) -> None:
    old = Issuer("authority", ends=PAST)
    renewed = Issuer("authority", key=old.key)
    tls = old.issue(tmp_path, ALICE)
    both = pem(old.certificate, renewed.certificate)
    for chain in ("", pem(old.certificate)):
        own = tls.certificate.read_text() + chain
        assert verify(sign(CHANGE, tls), own, both, ALICE, NOW) == ""


def test_a_certificate_of_another_authority_does_not_count(tmp_path: Path) -> None:
    tls = Issuer("authority").issue(tmp_path, ALICE)
    assert "authority" in judged(sign(CHANGE, tls), tls)


def test_a_chain_leads_to_the_authority_over_those_that_may_issue(tmp_path: Path) -> None:
    between = Issuer("between", AUTHORITY)
    tls = between.issue(tmp_path, ALICE)
    signed = sign(CHANGE, tls)
    own = tls.certificate.read_text()
    assert judged(signed, tls, certificate=own + pem(between.certificate)) == ""
    assert "authority" in judged(signed, tls, certificate=own)


def test_who_was_issued_a_certificate_may_issue_none(tmp_path: Path) -> None:
    between = Issuer("between", AUTHORITY, is_authority=False)
    tls = between.issue(tmp_path, ALICE)
    own = tls.certificate.read_text() + pem(between.certificate)
    assert "authority" in judged(sign(CHANGE, tls), tls, certificate=own)


def test_an_issuer_issues_no_more_levels_than_it_was_allowed(tmp_path: Path) -> None:
    for levels, is_taken in ((0, False), (1, True)):
        first = Issuer("first", AUTHORITY, levels=levels)
        second = Issuer("second", first)
        tls = second.issue(tmp_path, ALICE)
        own = tls.certificate.read_text() + pem(second.certificate, first.certificate)
        said = judged(sign(CHANGE, tls), tls, certificate=own)
        assert (said == "") == is_taken, said


# --- what a stranger sends


def patched(certificate: x509.Certificate, old: bytes, new: bytes) -> str:
    """A certificate whose bytes were changed behind the library's back, in PEM form."""
    whole = certificate.public_bytes(serialization.Encoding.DER)
    assert old in whole
    body = base64.encodebytes(whole.replace(old, new)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


UNKNOWN = (x509.ObjectIdentifier("1.2.3.4"), x509.ObjectIdentifier("1.2.3.5"))
VERSION_3, VERSION_6 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"
SECOND_OID, FIRST_OID = b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04"


def hostile_chains(tls: Tls) -> dict[str, str]:
    """What may come with a change as its signer's certificate."""
    own = tls.certificate.read_text()
    twice = Issuer("between", extensions=UNKNOWN).certificate
    return {
        "a version that nobody knows": patched(AUTHORITY.certificate, VERSION_3, VERSION_6),
        "one of that version behind a good one": own
        + patched(AUTHORITY.certificate, VERSION_3, VERSION_6),
        "an extension twice": patched(twice, SECOND_OID, FIRST_OID),
        "no base64": "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
        "no end": own[:200],
        "another thing": tls.key.read_text(),
        "no ASCII": own.replace("M", "\u00fc"),
    }


def test_a_certificate_that_cannot_be_read_is_a_refusal(tls: Tls) -> None:
    signed = sign(CHANGE, tls)
    for what, certificate in hostile_chains(tls).items():
        said = judged(signed, tls, certificate=certificate)
        assert said, what
        assert said.isprintable(), what
        assert is_signed(b"text", "AAAA", certificate) is False, what


def test_an_extension_is_read_only_where_the_signature_holds(tls: Tls) -> None:
    twice = Issuer("between", extensions=UNKNOWN).certificate
    certificate = tls.certificate.read_text() + patched(twice, SECOND_OID, FIRST_OID)
    assert judged(sign(CHANGE, tls), tls, certificate=certificate) == ""


def test_an_authority_that_cannot_be_read_is_not_put_on_the_asker(tls: Tls) -> None:
    said = verify(sign(CHANGE, tls), tls.certificate.read_text(), "nothing", ALICE, NOW)
    assert said == "the certificate that signed is not of this project's authority"


def test_too_many_or_too_large_certificates_are_refused_unread(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, own = sign(CHANGE, tls), tls.certificate.read_text()
    monkeypatch.setattr(x509, "load_pem_x509_certificates", _not_to_be_called)
    chains.certificates.cache_clear()
    assert judged(signed, tls, certificate=own * 6).endswith("6 certificates, 5 are allowed")
    large = judged(signed, tls, certificate=own + " " * MOST_BYTES)
    assert large.endswith("characters, 32,768 are allowed")


def _not_to_be_called(*_arguments: object) -> None:
    raise AssertionError("was read")


class Counted:
    """Counts how often a certificate's signature is checked, and by whose key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.issuers: list[x509.Certificate] = []
        check = chains._checked

        def counted(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
            self.issuers.append(issuer)
            check(certificate, issuer)

        monkeypatch.setattr(chains, "_checked", counted)
        chains._is_issued_by.cache_clear()


def test_a_self_made_chain_costs_a_few_checks_by_the_authoritys_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are named as the authority is, and none is of it: each is tried by its key, once."""
    made = [Issuer("authority", rsa=True) for _ in range(LONGEST_CHAIN - 1)]
    tls = made[0].issue(tmp_path, ALICE)
    chain = tls.certificate.read_text() + pem(*(each.certificate for each in made))
    signed, counted = sign(CHANGE, tls), Counted(monkeypatch)
    assert "authority" in judged(signed, tls, certificate=chain)
    assert counted.issuers == [AUTHORITY.certificate] * LONGEST_CHAIN


def test_a_chain_of_other_names_costs_no_check_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Issuer("first")
    second = Issuer("second", first)
    tls = second.issue(tmp_path, ALICE)
    chain = tls.certificate.read_text() + pem(second.certificate, first.certificate)
    signed, counted = sign(CHANGE, tls), Counted(monkeypatch)
    assert "authority" in judged(signed, tls, certificate=chain)
    assert counted.issuers == []


def test_another_signer_is_refused_before_any_check(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, counted = replace(sign(CHANGE, tls), signer="ab" * 32), Counted(monkeypatch)
    assert "signer" in judged(signed, tls)
    assert counted.issuers == []


@pytest.mark.parametrize(
    "key",
    [
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: rsa.generate_private_key(65_537, 4_608),
    ],
    ids=["an unusual curve", "more than 4096 bits"],
)
def test_a_key_that_is_slow_or_unusual_is_not_taken(key: Callable[[], Key], tmp_path: Path) -> None:
    tls = AUTHORITY.issue(tmp_path, ALICE, key=key())
    said = judged(sign(CHANGE, tls), tls)
    assert said == "the key that signed is of a kind or size that is not taken"
    assert not is_signed(b"text", "AAAA", tls.certificate.read_text())


# --- signing


def test_what_cannot_be_used_to_sign_is_said(tls: Tls, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        sign(CHANGE, replace(tls, key=tmp_path / "none.key"))
    with pytest.raises(ConfigError, match="no certificate"):
        sign(CHANGE, replace(tls, certificate=tls.key))
    with pytest.raises(ConfigError, match="no key"):
        sign(CHANGE, replace(tls, key=tls.certificate))
    (tmp_path / "more").mkdir()
    with pytest.raises(ConfigError, match="is not the key of"):
        sign(CHANGE, replace(tls, key=AUTHORITY.issue(tmp_path / "more", BOB).key))


def test_the_library_of_signatures_is_loaded_only_when_it_is_needed() -> None:
    program = "import sys; import nm_bus.identity.signing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_a_head_is_signed_by_its_supernode_and_by_nobody_else(tls: Tls, tmp_path: Path) -> None:
    signer, certificate = Signer.load(tls), tls.certificate.read_text()
    text = head_text("test", 1, 100, "ab" * 32)
    signature = signer.sign_bytes(text)
    assert is_signed(text, signature, certificate)
    assert not is_signed(head_text("test", 2, 100, "ab" * 32), signature, certificate)
    assert not is_signed(text, "no base64", certificate)
    (tmp_path / "bob").mkdir()
    other = AUTHORITY.issue(tmp_path / "bob", BOB).certificate.read_text()
    assert not is_signed(text, signature, other)
