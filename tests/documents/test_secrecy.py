"""What is taken for a secret and what is not. The secrets here were made up for these tests."""

from pathlib import Path

import pytest

from nm_bus.documents.secrecy import SecretSuspicion, findings, is_encrypted

CHANCE = "q8Zr1Vt0XkP3mW7s"
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"

SECRETS = [
    ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
    ("-----BEGIN PRIVATE KEY-----", "a private key"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "a private key"),
    ("PuTTY-User-Key-File-3: ssh-ed25519", "a private key"),
    (f"# AGE-SECRET-KEY-1{'QX3' * 10}", "an age key"),
    ("id = " + "AKIA" + "Q3EXMPLE7TRYOUT2", "an AWS access key"),
    ("url: https://x@host/ " + "ghp" + "_" + "a1B2" * 9, "a GitHub token"),
    ("glpat-" + "x7" * 10, "a GitLab token"),
    ("hook xoxb-" + "1234567890-abc", "a Slack token"),
    ("k=AIza" + "Sy0" * 11 + "ab", "a Google API key"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.dGhpc2lzbm90cmVhbA", "a signed token (JWT)"),
    ("amqps://guest:s3cr3tw0rd@sn1.llnl.gov/nm.cmip6", "a password in an address"),
    ("db.password=hunter2", "a password (db.password)"),
    ("DB_PASSWORD: 'correct-horse'", "a password (DB_PASSWORD)"),
    ('"dbPassword": "tango12",', "a password (dbPassword)"),
    ("<keystorePass>x</keystorePass><password>esgrocks</password>", "a password (password)"),
    ('<Resource username="dbsuper" password="esgrocks" />', "a password (password)"),
    ("password2 = wordwordword", "a password (password2)"),
    (f"client_secret = {CHANCE}", "a secret (client_secret)"),
    (f'api_key: "{CHANCE}"', "a secret (api_key)"),
    (f"export SOLR_TOKEN={CHANCE}", "a secret (SOLR_TOKEN)"),
    (f"aws.secretKey={CHANCE}", "a secret (aws.secretKey)"),
]

NO_SECRETS = [
    "password =",
    "password = ",
    "# the password is asked for: see the handbook",
    "to confirm their username along with their password.",
    "db.password=${DB_PASSWORD}",
    "db.password = $DB_PASSWORD",
    "password: {{ vault_db_password }}",
    "password: <your password>",
    "password: !vault |",
    "password: changeme",
    "password: ********",
    "password: xxxxxxxx",
    "password = null",
    "password: required",
    "password_file = /etc/nm-bus/cmip6/broker.password",
    "management.password_file = 'broker.password'",
    "password: /run/secrets/db",
    "password: file:/run/secrets/db",
    "password: ENC[AES256_GCM,data:p673w==,iv:YY=,tag:UQ==]",
    "min_password_length = 12",
    "password-policy: strict-2024",
    "token_url = https://login.example.org/oauth2/token",
    "token_lifetime = 3600",
    "max_tokens: 4096",
    "token = org.esgf.security.TokenService",
    "secretName: esgf-tls-2024",
    "secret-host.example.org",
    f"fingerprint = {CHANCE}{CHANCE}",
    "sha256 = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "https://esgf-node1.llnl.gov:8443/thredds/catalog.html",
    "see mailto:support@esgf.org and https://user@host:443/x",
    "jdbc:postgresql://localhost:5432/esgcet",
    "amqps://guest:${PASSWORD}@sn1.llnl.gov/nm.cmip6",
    "keystore = tomcat.jks",
]


@pytest.mark.parametrize(
    ("line", "what"), SECRETS, ids=[w + str(n) for n, (_, w) in enumerate(SECRETS)]
)
def test_a_secret_is_found_and_named_with_its_line(line: str, what: str) -> None:
    content = f"# a comment\n{line}\n".encode()
    assert SecretSuspicion(2, what) in findings(content)


@pytest.mark.parametrize("line", NO_SECRETS)
def test_what_only_speaks_of_secrets_is_none(line: str) -> None:
    assert findings(line.encode()) == []


@pytest.mark.parametrize(
    "beginning",
    [
        "age-encryption.org/v1\n-> X25519 ",
        "-----BEGIN AGE ENCRYPTED FILE-----\n",
        "-----BEGIN PGP MESSAGE-----\n\n",
        "$ANSIBLE_VAULT;1.1;AES256\n",
        "\n\n-----BEGIN PGP MESSAGE-----\n",
    ],
)
def test_what_is_encrypted_holds_no_secret(beginning: str) -> None:
    content = beginning.encode() + b"password = hunter2\n"
    assert is_encrypted(content)
    assert findings(content) == []


def test_an_encrypted_part_does_not_hide_the_rest() -> None:
    content = b"password = hunter2\n-----BEGIN PGP MESSAGE-----\n"
    assert findings(content) == [SecretSuspicion(1, "a password (password)")]


def test_what_is_no_text_is_searched_as_well() -> None:
    assert findings(b"\xff\xfe\x00-----BEGIN RSA PRIVATE KEY-----\x00") == [
        SecretSuspicion(1, "a private key")
    ]


def test_the_value_is_not_repeated() -> None:
    assert "hunter2" not in str(findings(b"db.password=hunter2"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the federation's own files are not here")
def test_no_real_configuration_file_of_the_federation_is_taken_for_a_secret() -> None:
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    assert {str(path): findings(path.read_bytes()) for path in files} == {
        str(path): [] for path in files
    }


@pytest.mark.parametrize("part", ["x", "x.", "x=", "a://", "<a ", "eyJ-", "password", '"'])
def test_a_long_line_is_searched_once_not_once_from_each_place(part: str) -> None:
    assert findings(part.encode() * (65_536 // len(part))) == []
