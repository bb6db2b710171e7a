"""Certificates and documents that no honest program makes."""

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

OID, TWIN = ObjectIdentifier("1.2.3.4.5.1"), ObjectIdentifier("1.2.3.4.5.2")
OID_BYTES, TWIN_BYTES = b"\x06\x05\x2a\x03\x04\x05\x01", b"\x06\x05\x2a\x03\x04\x05\x02"
VERSION_3, VERSION_8 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"


def made(name: str, issuer: str, key: Key, by: Key) -> bytes:
    """A certificate (DER) of an authority that nobody knows."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.UnrecognizedExtension(OID, b"\x05\x00"), critical=False)
        .add_extension(x509.UnrecognizedExtension(TWIN, b"\x05\x00"), critical=False)
        .sign(by, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def as_pem(certificate: bytes) -> str:
    body = base64.encodebytes(certificate).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


def of_an_unknown_version(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return as_pem(made(name, name, key, key).replace(VERSION_3, VERSION_8, 1))


def with_an_extension_twice(name: str) -> str:
    """A certificate of an issuer whose own, beside it, has an extension twice."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = made("issuer", "issuer", key, key).replace(TWIN_BYTES, OID_BYTES, 1)
    return as_pem(made(name, "issuer", key, key)) + as_pem(issuer)


def chain_of_rsa(name: str, length: int = 5) -> str:
    """Certificates of large keys, each issued by the next, under no authority."""
    keys = [rsa.generate_private_key(65537, 3072) for _ in range(2)]
    keys = [keys[n % 2] for n in range(length + 1)]
    names = [name, *(f"issuer {n}" for n in range(length))]
    steps = zip(pairwise(names), pairwise(keys), strict=True)
    return "".join(as_pem(made(own, by, key, with_)) for (own, by), (key, with_) in steps)


def nested(levels: int) -> str:
    return '{"not": ' * levels + "{}" + "}" * levels


def doubling(levels: int) -> str:
    """A schema whose check takes 2^levels steps."""
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(levels)}
    return json.dumps({"$defs": steps | {f"s{levels}": {}}, "$ref": "#/$defs/s0"})


SCHEMAS = {
    "whose $schema is a number": ('{"$schema": 5}', "{}"),
    "with a count that no computer has": ('{"pattern": "a{99999999999999999999}"}', '"a"'),
    "whose $ref is a number": ('{"$ref": 5}', "{}"),
    "with a step and a number of 400 digits": ('{"multipleOf": 0.5}', "9" * 400),
    "of 400 levels": (nested(400), "{}"),
    "whose pattern backtracks": ('{"pattern": "^(a+)+$"}', f'"{"a" * 40}!"'),
    "that doubles 40 times": (doubling(40), "{}"),
    "of unique items": (
        '{"uniqueItems": true}',
        json.dumps([{"a": {"b": n}} for n in range(4_300)]),
    ),
}
"""Schemas, each with a document to be checked against it."""

DOCUMENTS = {
    "XML in an encoding that nobody knows": ("a.xml", '<?xml version="1.0" encoding="foo"?><a/>'),
    "TOML with a key of 30,000 dots": ("a.toml", ".".join("a" * 30_000) + " = 1"),
    "JSON of 100,000 levels": ("a.json", "[" * 100_000),
    "JSON with a number of 100,000 digits": ("a.json", "9" * 100_000),
}
