"""Text from outside: whole numbers, JSON, and what is shown of names, addresses and messages."""

from __future__ import annotations

import json
import time

import pytest

from pgcgan.errors import DataError, GateFailed
from pgcgan.text import (
    MESSAGE,
    counted,
    json_content,
    repeated,
    sentence,
    visible,
    visible_json,
    whole_number,
    without_secrets,
)


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1 ", "1_0", "1.0", "1e3", "²", "٣", "9" * 25, "9" * 5000])
def test_what_is_no_whole_number(text: str) -> None:
    assert whole_number(text) is None


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(2**63 - 1), 2**63 - 1), ("0" * 20 + "1", 1)])
def test_what_is_a_whole_number(text: str, number: int) -> None:
    assert whole_number(text) == number
    assert whole_number(text, number) == number
    assert not number or whole_number(text, number - 1) is None


def test_a_count_of_one_has_a_singular() -> None:
    assert [counted(n, "site") for n in (0, 1, 1200)] == ["0 sites", "1 site", "1,200 sites"]
    assert [counted(n, "person", "people") for n in (1, 2)] == ["1 person", "2 people"]


def test_repeated_values() -> None:
    assert repeated(["b", "a", "b", "c", "a", "b"]) == ["b", "a"]
    assert repeated([]) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Yorùbá 😀 👩\u200d🔬 日本", "Yorùbá 😀 👩\u200d🔬 日本"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m\x7f\0", r"\x9b31m\x7f\x00"),
        ("a\nb\tc\rd\x0be", r"a\nb\tc\rd\x0be"),
        ("a\u2028b\u2029c\u0085d", r"a\u2028b\u2029c\x85d"),
        ("\u202eabc\u2066\ufeff\u200b", r"\u202eabc\u2066\ufeff\u200b"),
        (b"x\xff.vcf".decode(errors="surrogateescape"), r"x\xff.vcf"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert str(DataError(text)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/x.vcf.gz", "https://h/x.vcf.gz"),
        ("https://h/x.vcf.gz?sig=SECRET&a=b", "https://h/x.vcf.gz?…"),
        ("https://h/x.vcf.gz?…: gone.", "https://h/x.vcf.gz?…: gone."),
        ("There is no https://h/x?k=SECRET.", "There is no https://h/x?…."),
        ("'https://h/x?k=SECRET' (http://h/y#SECRET)", "'https://h/x?…' (http://h/y#…)"),
        ("http://user:SECRET@h/x", "http://…@h/x"),
        ("http://user:SEC@RET@h:80/x?k=SECRET", "http://…@h:80/x?…"),
        ("http://user:SEC/RET@h/x", "http://…@h/x"),
        ("s3://key:SECRET@bucket/x", "s3://…@bucket/x"),
        ("https:/h/x?k=SECRET", "https:/h/x?…"),
        ("--panel=https://h/p?k=SECRET", "--panel=https://h/p?…"),
        ("chr6:100-200, rs1:2?", "chr6:100-200, rs1:2?"),
    ],
)
def test_keys_of_addresses_are_not_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert without_secrets(shown) == shown
    assert str(DataError(text)) == shown


def test_a_message_is_one_line_of_a_bounded_length() -> None:
    long = sentence(f"The file x.vcf: {'A' * 10_000} {'word ' * 10_000}is not read; accepted: this.")
    assert len(long) <= MESSAGE
    assert long.startswith("The file x.vcf: AAAA")
    assert long.endswith("is not read; accepted: this.")
    assert str(GateFailed("gate failed\n  a\x1b: 1")) == "gate failed\n  a\\x1b: 1"


@pytest.mark.parametrize("text", ["a." * 50_000, "http:/" * 9_000, ")" * 90_000 + "a", "@" * 90_000, "\x1b" * 9_000])
def test_the_time_of_a_message_is_proportional_to_its_length(text: str) -> None:
    begin = time.process_time()
    sentence(f"http://h/?{text}:/ {text} http://{text}?{text}")
    assert time.process_time() - begin < 5  # of the processor; a quadratic search takes minutes


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud800"}', '{"\\udfff": 1}', '["a\\udc80b"]', "NaN", "[Infinity]", "-Infinity", "1e999", "9" * 41,
        "-" + "9" * 400, "9" * 10_000, "[" * 100_000, "{", "", "\x00", '["\\ud83d", "\\ude00"]',
    ],
)  # fmt: skip
def test_json_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        json_content(text)


@pytest.mark.parametrize("content", [None, [1, 2.5, -3], {"é": ["😀", "\\u", 2**64]}, "a\nb"])
def test_json_that_is_right_is_read_as_it_is(content: object) -> None:
    assert json_content(json.dumps(content)) == content
    assert json_content(json.dumps(content, ensure_ascii=False)) == content


def test_json_on_a_terminal_says_the_same() -> None:
    content = {"\x9b31m": "\x7f\u202e\u2028é😀\x1b", "line": "a\nb"}
    shown = visible_json(json.dumps(content, ensure_ascii=False, indent=1))
    assert json.loads(shown) == content
    assert not set("\x1b\x9b\x7f\u202e\u2028") & set(shown)
