"""A certificate authority for demonstrations and tests.

It signs whatever it is asked to: who may be enrolled is decided elsewhere. Keys are EC P-256 and
are written atomically with mode 0600.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nm_bus.errors import ConfigError
from nm_bus.files.atomic import replace_file
from nm_bus.settings import Tls

COMMON_NAME_LENGTH = 64
SKEW = timedelta(hours=1)
"""Certificates hold from an hour ago: clocks differ."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: `ca.crt` and `ca.key` in its folder."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    folder: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        name: str = "nm-bus demonstration",
        life: timedelta = timedelta(days=365),
        *,
        starts: datetime | None = None,
    ) -> "Authority":
        """Make a new authority and write it into `folder`."""
        starts = starts or datetime.now(UTC) - SKEW
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = _usage(signs_certificates=True)
        certificate = (
            _builder(subject, key, starts, life + SKEW)
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / "ca.key", _key_pem(key))
        replace_file(folder / "ca.crt", _certificate_pem(certificate))
        return cls(certificate, key, folder)

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """Take up the authority that `create` wrote; raises ConfigError when it is not there."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except OSError as error:
            what = f"holds no authority: {error.filename}: {error.strerror}"
            raise ConfigError(folder, what, f"`nm-bus pki create {folder}` makes one") from None
        except ValueError as error:
            what = f"holds no authority that can be read: {error}"
            raise ConfigError(folder, what, "create one in a new folder") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigError(folder / "ca.key", "is no EC key", "make the authority again")
        return cls(certificate, key, folder)

    def issue(
        self,
        name: str,
        folder: Path,
        *,
        also: tuple[str, ...] = (),
        starts: datetime | None = None,
        life: timedelta = timedelta(days=90),
    ) -> Tls:
        """Write a certificate for `name` and its key into `folder`, as `<name>.crt` and `.key`.

        The broker takes `name`, the first DNS name, for the user. It serves clients and servers.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        starts = starts or datetime.now(UTC) - SKEW
        names = x509.SubjectAlternativeName([x509.DNSName(n) for n in (name, *also)])
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        certificate = (
            _builder(_subject(name), key, starts, life)
            .issuer_name(self.certificate.subject)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .add_extension(names, critical=len(name) > COMMON_NAME_LENGTH)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return self._written(name, folder, certificate, key)

    def _written(
        self,
        name: str,
        folder: Path,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
    ) -> Tls:
        folder.mkdir(parents=True, exist_ok=True)
        tls = Tls(self.folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key")
        replace_file(tls.key, _key_pem(key))
        replace_file(tls.certificate, _certificate_pem(certificate))
        return tls


def _subject(name: str) -> x509.Name:
    if len(name) > COMMON_NAME_LENGTH:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, starts: datetime, life: timedelta
) -> x509.CertificateBuilder:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(starts + life)
        .add_extension(own, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
