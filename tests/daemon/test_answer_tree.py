"""An answer as a tree with one reading."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kv.daemon.answer_tree import MAX_DEPTH, MAX_ELEMENTS, read

KEY = """<CreateAccessKeyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <CreateAccessKeyResult>
    <AccessKey><UserName>ada</UserName><AccessKeyId>AKIA</AccessKeyId> <SecretAccessKey> a/b+c&amp;d </SecretAccessKey>
    </AccessKey>
  </CreateAccessKeyResult>
</CreateAccessKeyResponse>"""
GROWING = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


def test_members_are_found_by_their_elements() -> None:
    """Names as they are written, attributes left out, white space around a text too; references are undone."""
    inner = {"UserName": "ada", "AccessKeyId": "AKIA", "SecretAccessKey": "a/b+c&d"}
    assert read(KEY.encode()) == {"CreateAccessKeyResponse": {"CreateAccessKeyResult": {"AccessKey": inner}}}


def test_both_kinds_are_read() -> None:
    """A byte order mark belongs to neither; a declaration and white space may come first."""
    assert read(b' {"a": [1]}') == {"a": [1]}
    assert read(b'<?xml version="1.0" encoding="UTF-8"?>\n<a><b>1</b><b>2</b></a>\n') == {"a": {"b": ["1", "2"]}}
    assert read(b"\n<a/>") == {"a": ""}


def test_text_beside_elements_has_no_path() -> None:
    """Only a text by itself is one."""
    assert read(b"<a>one<b>two</b>three</a>") == {"a": {"b": "two"}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b"\xff{}",
        GROWING.encode(),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
        b"<!DOCTYPE a><a/>",
        b"<a>&b;</a>",
        b"<a>se<!-- -->cret</a>",
        b"<a>se<![CDATA[cre]]>t</a>",
        b"<a>se<?x?>cret</a>",
        b"<a>1</a><a>2</a>",
        b"<a><b></a></b>",
        b"<a>",
        b"<a>\x00</a>",
        b"<a b='1' b='2'/>",
        b"<html><br></html>",
        b"text",
        b"",
        b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1),
        b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>",
        '<?xml version="1.0"?><a/>'.encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_what_has_no_one_reading_has_none(body: bytes) -> None:
    """Not what it seems to say at first, nor a part of it."""
    assert read(body) is None


def test_the_largest_is_read_in_no_time() -> None:
    """A MiB of what costs most: many elements, one long name, one long text, one element with many attributes."""
    size = 1 << 20
    attributes = b" ".join(b"a%d='1'" % number for number in range(size // 10))
    bodies = (b"<a/>" * (size // 4), b"<" + b"a" * size, b"<a>" + b"b" * size + b"</a>", b"<a " + attributes + b"/>")
    begun = time.process_time()
    for body in bodies:
        read(body)
        read(b"<a>" + b"&#98;" * (size // 5) + b"</a>")
    assert time.process_time() - begun < 10


@given(st.text(max_size=200) | st.text(alphabet="<>/ab&;!-[]?\"'= x#", max_size=60))
def test_any_text_is_read_or_not(text: str) -> None:
    """Never with an error."""
    read(text.encode("utf-8", "surrogatepass"))
