"""Changes are signed with the key of their actor's certificate, and a signature is judged.

What is signed of a change is `nm_bus.core.ledger.chain.signed_part`; of a supernode's head, what
`head_text` says. Keys are EC, Ed25519 or RSA. The library
of signatures is large, so it is imported when something is signed or judged, not before.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ledger.chain import signed_part
from nm_bus.errors import ConfigError
from nm_bus.identity.certificates import names_of
from nm_bus.identity.chains import (
    BEGIN,
    certificates,
    fingerprint,
    is_usable,
    why_too_much,
    why_untrusted,
)
from nm_bus.messages import Change, NodeId, Seconds
from nm_bus.settings import Tls

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PrivateKeyTypes,
    )
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as one principal. `certificate` is the PEM that a reader needs to judge it."""

    certificate: str
    fingerprint: str
    _key: PrivateKeyTypes

    @classmethod
    def load(cls, tls: Tls) -> Signer:
        """Read a certificate and its key; raises ConfigError when they cannot be used."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_private_key,
        )

        pem = _text(tls.certificate)
        leaf = attempt(lambda: certificates(pem)[0])
        if isinstance(leaf, Unreadable):
            raise ConfigError(tls.certificate, "holds no certificate in PEM form", "issue it again")
        text = _text(tls.key).encode()
        key = attempt(lambda: load_pem_private_key(text, None))
        if isinstance(key, Unreadable):
            raise ConfigError(tls.key, "holds no key in plain PEM form", "issue it again")
        if attempt(lambda: key.public_key() == leaf.public_key()) is not True:
            raise ConfigError(tls.key, f"is not the key of {tls.certificate}")
        return cls(pem, fingerprint(leaf), key)

    def sign(self, change: Change) -> Change:
        """Give the change with its signer and signature."""
        named = replace(change, signer=self.fingerprint)
        return replace(named, signature=self.sign_bytes(signed_part(named)))

    def sign_bytes(self, text: bytes) -> str:
        """The signature of a text, in base64."""
        return base64.b64encode(_signature(self._key, text)).decode()


def sign(change: Change, tls: Tls) -> Change:
    """Sign one change with the key that `tls` names; raises ConfigError when it cannot be used."""
    return Signer.load(tls).sign(change)


def head_text(project: str, epoch: int, revision: int, head: str) -> bytes:
    """What a supernode signs to stand for its history: four lines, the last one its head."""
    return f"{project}\n{epoch}\n{revision}\n{head}".encode()


def is_signed(text: bytes, signature: str, certificate: str) -> bool:
    """Whether the key of a certificate (PEM) signed a text; whose that is, is not judged here.

    What cannot be read signed nothing.
    """
    return attempt(lambda: _is_signed(text, signature, certificate)) is True


def _is_signed(text: bytes, signature: str, certificate: str) -> bool:
    if why_too_much(certificate):
        return False
    key = certificates(certificate)[0].public_key()
    return is_usable(key) and _fits(key, base64.b64decode(signature, validate=True), text)


def verify(change: Change, certificate: str, authority: str, user: NodeId, now: Seconds) -> str:
    """Say in one sentence why a change cannot be taken as `user`'s, or nothing when it can.

    `certificate` is the signer's PEM, followed by those between it and the project's `authority`
    (PEM as well), each before the one that issued it. Its first DNS name is who signed, and `now`
    must be within its life. Raises nothing, whatever the asker sends.
    """
    if change.actor != user:
        return f"{user} may not ask for a change as {change.actor}"
    if not change.signature:
        return f"the change is not signed: sign it with the key of {user}'s certificate"
    if too_much := why_too_much(certificate):
        return too_much
    if BEGIN not in certificate:
        return "the change comes without a certificate in PEM form, by which its signature is read"
    said = attempt(lambda: _wrong(change, certificate, authority, user, now))
    return f"the certificate that signed {said.reason}" if isinstance(said, Unreadable) else said


def _wrong(change: Change, certificate: str, authority: str, user: NodeId, now: Seconds) -> str:
    chain = certificates(certificate)
    return (
        _wrong_signer(change, chain[0])
        or why_untrusted(chain, _authorities(authority), now)
        or _wrong_name(chain[0], user)
        or _wrong_signature(change, chain[0])
    )


def _authorities(pem: str) -> tuple[Certificate, ...]:
    """Those of the own file, so that a fault in it is not put on the asker."""
    found = attempt(lambda: certificates(pem))
    return () if isinstance(found, Unreadable) else found


def _wrong_signer(change: Change, leaf: Certificate) -> str:
    if change.signer != fingerprint(leaf):
        return "the signer that the change names is not the certificate that comes with it"
    return ""


def _wrong_name(leaf: Certificate, user: NodeId) -> str:
    name = next(iter(names_of(leaf)), "")
    if name != user:
        return f"the certificate that signed is of {name or 'no one'}, not of {user}"
    return ""


def _wrong_signature(change: Change, leaf: Certificate) -> str:
    try:
        signature = base64.b64decode(change.signature, validate=True)
    except binascii.Error:
        return "the signature is no base64"
    if _fits(leaf.public_key(), signature, signed_part(change)):
        return ""
    return "the signature is not of this change: it was altered, or signed by another key"


def _fits(key: CertificatePublicKeyTypes, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415
        ec,
        ed25519,
        padding,
        rsa,
    )
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, text, ec.ECDSA(SHA256()))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, text)
            case rsa.RSAPublicKey():
                key.verify(signature, text, padding.PKCS1v15(), SHA256())
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _signature(key: PrivateKeyTypes, text: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415
        ec,
        ed25519,
        padding,
        rsa,
    )
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(text, ec.ECDSA(SHA256()))
        case ed25519.Ed25519PrivateKey():
            return key.sign(text)
        case rsa.RSAPrivateKey():
            return key.sign(text, padding.PKCS1v15(), SHA256())
    raise ConfigError(
        "tls.key", "is neither an EC, an Ed25519 nor an RSA key", "have it issued again"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read: {error}", "check the path") from None
