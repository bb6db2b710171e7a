"""Foreign certificates: read under limits, and trusted from the project's authority down.

A key that the asker brings is used only once somebody trusted has signed for it, and no extension
is read before: so what a stranger makes costs a few signature checks by the authority's own key,
whatever it holds. Kept by hand, since `cryptography.x509.verification` asks for the profile of the
web (key identifiers, key usages), which a project's own authority need not follow.

What is called here may raise whatever the library raises: callers stand behind
`nm_bus.boundary.attempt`. The library is large, so it is imported when it is needed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from nm_bus.messages import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509 import Certificate

LONGEST_CHAIN = 5
"""How many certificates may lead from a signer to the authority, itself included."""

MOST_BYTES = 32_768
"""How large a chain may be in PEM form, as the schema of `propose` has it."""

MOST_RSA_BITS, MOST_RSA_EXPONENT = 4_096, 2**32
"""Beyond these a check takes long, and nobody who is honest goes beyond them."""

CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})

BEGIN = "-----BEGIN "


def why_too_much(pem: str) -> str:
    """What is too much of a chain, seen before any of it is read; empty when nothing is."""
    if len(pem) > MOST_BYTES:
        return f"the certificates have {len(pem):,} characters, {MOST_BYTES:,} are allowed"
    count = pem.count(BEGIN)
    if count > LONGEST_CHAIN:
        return f"the change comes with {count} certificates, {LONGEST_CHAIN} are allowed"
    return ""


@lru_cache(maxsize=256)
def certificates(pem: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text, none when there is none in it; raises when one is none."""
    from cryptography import x509  # noqa: PLC0415

    return tuple(x509.load_pem_x509_certificates(pem.encode())) if BEGIN in pem else ()


def fingerprint(certificate: Certificate) -> str:
    """The sha256 of a certificate, in hexadecimal."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    return certificate.fingerprint(SHA256()).hex()


def why_untrusted(
    chain: Sequence[Certificate], authorities: Sequence[Certificate], now: Seconds
) -> str:
    """Why the first certificate of a chain is not the authority's; empty when it is.

    The chain has the order of TLS: each certificate stands before the one that issued it. All that
    lead to the first one must be in force, the authority as well.
    """
    moment = datetime.fromtimestamp(now, UTC)
    issuers = [each for each in authorities if _may_issue(each)]
    why = "the certificate that signed is not of this project's authority"
    for below, certificate in reversed(list(enumerate(chain))):
        found = [each for each in issuers if _is_issued_by(certificate, each)]
        if any(_is_in_force(each, moment) for each in found):
            if below == 0:
                # why a certificate that a trusted issuer signed may not sign now.
                if not _is_in_force(certificate, moment):
                    return f"the certificate that signed is not in force now, {_life(certificate)}"
                if not is_usable(certificate.public_key()):
                    return "the key that signed is of a kind or size that is not taken"
                return ""
            if is_usable(certificate.public_key()) and _may_issue(certificate, below - 1):
                issuers.append(certificate)
        elif found:
            why = f"what issued the certificate that signed is not in force now, {_life(found[0])}"
    return why


def is_usable(key: CertificatePublicKeyTypes) -> bool:
    """Whether a key is of a kind and size by which a check is quick."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    match key:
        case ec.EllipticCurvePublicKey():
            return key.curve.name in CURVES
        case ed25519.Ed25519PublicKey():
            return True
        case rsa.RSAPublicKey():
            return key.key_size <= MOST_RSA_BITS and key.public_numbers().e <= MOST_RSA_EXPONENT
        case _:
            return False


def _is_in_force(certificate: Certificate, moment: datetime) -> bool:
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _life(certificate: Certificate) -> str:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"but from {begin:%F %T} to {end:%F %T} UTC"


@lru_cache(maxsize=256)  # the same few are asked about again and again, and a check is slow
def _is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether a trusted issuer signed a certificate; names cost less to compare, so they first."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    if certificate.issuer != issuer.subject:
        return False
    try:
        _checked(certificate, issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _checked(certificate: Certificate, issuer: Certificate) -> None:
    """Check a certificate's signature, which is what takes long; raises when it does not hold."""
    certificate.verify_directly_issued_by(issuer)


def _may_issue(certificate: Certificate, below: int = 0) -> bool:
    """Whether a trusted certificate may issue others, with so many more issuers below it."""
    from cryptography import x509  # noqa: PLC0415

    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return limits.ca and (limits.path_length is None or limits.path_length >= below)
