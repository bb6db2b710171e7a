import pytest

from nm_bus.documents import MOST_BYTES, Document, content_of, named, stored, why_not

SCHEMA = '{"type": "object", "properties": {"port": {"type": "integer", "maximum": 65535}}}'
PASSWORD = b"db.password=hunter2\n"


def document(name: str, content: bytes, schema: str = "", component: str = "thredds") -> Document:
    return Document(component, name, content, schema)


REFUSED = [
    (document("a.txt", b"x", component=".."), "'..' is no component's name"),
    (document("a.txt", b"x", component="a/b"), "'a/b' is no component's name"),
    (document("../a.txt", b"x"), "'../a.txt' is no document's name"),
    (document("a//b.txt", b"x"), "is no document's name"),
    (document("/etc/passwd", b"x"), "is no document's name"),
    (document("my file.txt", b"x"), "'my file.txt' is no document's name"),
    (document("a\n", b"x"), "is no document's name"),
    (document("", b"x"), "is no document's name"),
    (document("a" * 129, b"x"), "at most 128 characters"),
    (document("/".join(["a" * 100] * 6), b"x"), "605 characters, 512 are allowed"),
    (document("a.txt", b"x" * (MOST_BYTES + 1)), "is too large: 65,536 bytes are allowed"),
    (document("a.txt", b"ab\xffc"), "is no text: byte 3 is no UTF-8"),
    (document("a.ini", b"ab\0c"), "is no text: byte 3 is zero"),
    (document("a.json", b'{"port": 80'), "is no JSON: Expecting ',' delimiter: line 1 column 12"),
    (document("a.json", b""), "is no JSON: it is empty"),
    (document("a.json", b'{"a": NaN}'), "NaN is no number of JSON"),
    (document("a.json", b'{"a": 1, "a": 2}'), "has the name 'a' twice"),
    (document("a.json", b"[" * 60_000), "is nested too deep to be read as JSON"),
    (document("a.toml", b"port = \n"), "is no TOML: Invalid value (at line 1, column 8)"),
    (document("a.xml", b"<a><b></a>"), "is no XML: mismatched tag: line 1, column 8"),
    (document("a.json", b'{"port": 70000}', SCHEMA), "refused by its schema: port: 70000 is"),
    (document("a.toml", b"port = 'no'", SCHEMA), "refused by its schema: port: 'no' is not of"),
    (document("a.ini", b"port=1", SCHEMA), "held against JSON and TOML only, not text/plain"),
    (document("a.json", b"{}", "{"), "the schema is no JSON"),
    (document("a.json", b"{}", "[]"), "the schema is no object"),
    (document("a.json", b"{}", '{"type": "text"}'), "the schema is none: $.type: 'text' is not"),
    (
        document("a.json", b"{}", '{"$schema": "http://json-schema.org/draft-07/schema#"}'),
        "draft-07",
    ),
    (document("a.json", b"{}", '{"$ref": "https://example.org/x.json"}'), "which is not in it"),
    (document("a.json", b"{}", '{"$ref": "#", "not": true}'), "refers to itself without an end"),
    (document("a.json", b"{}", '{"title": "' + "x" * MOST_BYTES + '"}'), "a schema of more than"),
    (document("a.properties", PASSWORD), "line 1 looks like a password (db.password)"),
    (document("a.properties", PASSWORD * 3), "(db.password) (and 2 more), and every member"),
]

TAKEN = [
    document("a.txt", b"x" * MOST_BYTES),
    document("catalog/main.xml", b'<?xml version="1.0" encoding="latin-1"?><a>\xe9</a>'),
    document("hosts", b"127.0.0.1 localhost\n"),
    document("logo", b"\x89PNG\r\n\x1a\n\0"),
    document("empty.conf", b""),
    document("a.json", b'\xef\xbb\xbf{"port": 80}', SCHEMA),
    document("a.toml", b"port = 80\nsince = 2024-01-01T00:00:00Z\n", SCHEMA),
    document("a.json", b"1", "true"),
]


@pytest.mark.parametrize(("bad", "because"), REFUSED, ids=[because for _, because in REFUSED])
def test_a_bad_document_is_refused_in_one_sentence(bad: Document, because: str) -> None:
    said = why_not(bad)
    assert because in said
    assert "\n" not in said


@pytest.mark.parametrize("good", TAKEN, ids=lambda good: good.name)
def test_a_good_document_is_taken(good: Document) -> None:
    assert why_not(good) == ""


def test_only_what_looks_like_a_secret_can_be_forced() -> None:
    assert why_not(document("a.properties", PASSWORD), forced=True) == ""
    assert why_not(document("a.json", b"{"), forced=True) != ""


@pytest.mark.parametrize("content", [b"", "Zürich\r\n".encode(), b"\xff\0", b"a\0b"])
def test_the_ledger_gives_a_documents_bytes_back(content: bytes) -> None:
    assert content_of(stored(document("a", content))) == content


def test_a_value_says_what_it_is_and_leaves_out_what_was_not_said() -> None:
    assert stored(document("a.json", b"{}")) == {
        "content": "{}",
        "encoding": "text",
        "media_type": "application/json",
    }
    more = stored(document("logo", b"\xff"), schema="", note="why", reverts=3)
    assert more == {
        "content": "/w==",
        "encoding": "base64",
        "media_type": "application/octet-stream",
        "schema": "",
        "note": "why",
        "reverts": 3,
    }


@pytest.mark.parametrize("value", [{"content": 3}, {"content": "!", "encoding": "base64"}])
def test_a_value_that_is_no_documents_says_so(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="its content is no"):
        content_of(value)


def test_a_key_is_taken_apart() -> None:
    assert named("config/thredds/a/b.xml") == ("thredds", "a/b.xml")
    assert named("member/a.b") == ("", "")
