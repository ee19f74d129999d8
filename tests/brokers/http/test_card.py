"""What a card shows of a call."""

from __future__ import annotations

import hashlib

from http_world import broker, connection


def details(**arguments: object) -> list[tuple[str, str]]:
    """The lines of a POST."""
    return list(broker().plan(connection(), {"method": "POST", **arguments}).details)


def test_json_is_shown_field_by_field() -> None:
    """Fields are flattened, numbers as they were written, odd names quoted."""
    body = {"amount": 4200, "to": {"iban": ["DE1", True, None]}, "x=1 y": "z", "n": 1.50, "e": {}}
    assert details(json=body)[1:] == [
        ("field", "amount=4200"),
        ("field", "to.iban[0]=DE1"),
        ("field", "to.iban[1]=true"),
        ("field", "to.iban[2]=null"),
        ("field", '"x=1 y"=z'),
        ("field", "n=1.5"),
        ("field", "e={}"),
    ]


def test_a_repeated_member_is_shown_as_text() -> None:
    """Where a server and a card could pick different values, the card shows the text itself."""
    text = '{"amount":1,"amount":9999}'
    lines = details(text=text, headers={"content-type": "application/json"})
    assert ("body", f"{len(text)} bytes: {text}") in lines
    assert not any(label == "field" for label, _ in lines)


def test_long_bodies_keep_head_and_tail() -> None:
    """The end of a long body, where a trick would be put, is shown with its beginning."""
    lines = dict(details(text="BEGIN" + "x" * 50_000 + "END"))
    assert lines["body"].startswith("50008 bytes: BEGIN")
    assert lines["body"].endswith("END")
    assert len(lines["body"]) < 700


def test_of_many_lines_the_first_and_last_are_shown() -> None:
    """Nothing is hidden behind a crowd of parameters, headers or fields: both ends and the number are there."""
    crowd = {f"f{n}": str(n) for n in range(60)}
    lines = details(json=crowd, query=crowd, headers=crowd)
    for label, sign in (("field", "="), ("query", "="), ("header", ": ")):
        texts = [text for given, text in lines if given == label]
        assert len(texts) == 25
        assert f"f0{sign}0" in texts
        assert any("more" in text for text in texts)
    assert lines[-1] == ("field", "f59=59")


def test_bytes_are_shown_by_size_and_digest() -> None:
    """What is not text is told apart by its SHA-256."""
    digest = hashlib.sha256(b"\xff\xfe").hexdigest()[:16]
    assert details(base64="//4=")[-1] == ("body", f"2 bytes, sha256 {digest}…")


def test_forms_are_shown_decoded() -> None:
    """Form fields appear as a server reads them."""
    assert ("field", "to=a b&c") in details(form={"to": "a b&c"})


def test_deep_or_broken_json_is_shown_as_text() -> None:
    """What cannot be taken apart is shown by its ends."""
    for text, kind in (("[" * 5000, "text/plain"), ("{", "text/plain"), ('{"a": 1, "a": 2}', "application/json")):
        lines = details(text=text, headers={"content-type": kind})
        assert lines[-1][0] == "body"
