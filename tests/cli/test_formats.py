"""What a line of the input means, and how a result becomes a line.

The rule: a line that means nothing is named with its file and number (exit code 3), a
result that cannot be written with its number (5), each after the results before it.
"""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("data", "out"),
    [
        ("", ""),
        ("\n", "\n"),
        ("a\n\n b \n", "a\n\n b \n"),
        ("no newline", "no newline\n"),
        ("a\r\nb\rc\r\n", "a\nb\rc\n"),
        ("\N{BYTE ORDER MARK}a\n\N{BYTE ORDER MARK}b\n", "a\n\N{BYTE ORDER MARK}b\n"),
        ("ä\u2028\x0c\x1e\n", "ä\u2028\x0c\x1e\n"),
    ],
)
def test_a_line_is_what_a_newline_ends(run, place, data, out):
    results = out.count("\n")
    told = f"wrote {results} result{'s' * (results != 1)} to out\n"
    assert run("chains:same", "--output", "out", data=data) == (0, "", told)
    assert (place / "out").read_bytes() == out.encode()


def test_results_are_lines(run, place):
    assert run("chains:kind", "--output", "out", data="a\nbytes\nnone\nset\n")[0] == 0
    assert (place / "out").read_bytes() == b"a\n\xff\xfe\n{1}\n"
    assert run("chains:fan", data="a\nb\n") == (0, "a\na\nb\nb\n", "")


def test_json_comes_in_and_goes_out(run):
    data = '{"ä": [1, 2.5, null]}\n\n  \n"text"\ntrue\n'
    assert run("chains:same", "--format", "jsonl", data=data) == (0, '{"ä": [1, 2.5, null]}\n"text"\ntrue\n', "")


@pytest.mark.parametrize(
    "line",
    [
        '"\N{GRINNING FACE}"',
        '"\\\\ud83d"',
        '"\\u0000\\u001b\u2028"',
        "-0.0",
        "1.7976931348623157e+308",
        "5e-324",
        "1" + "0" * 400,
        '{"a": [[], {}, "", false]}',
    ],
)
def test_what_is_read_as_json_is_written_as_it_was(run, line):
    assert run("chains:same", "--format", "jsonl", data=f"{line}\n") == (0, f"{line}\n", "")


def test_two_halves_of_a_character_are_one(run):
    out = '"\N{GRINNING FACE}"\n'
    assert run("chains:same", "--format", "jsonl", data='"\\ud83d\\ude00"\n') == (0, out, "")


@pytest.mark.parametrize(
    ("style", "data", "message"),
    [
        ("jsonl", "1\n\n{]\n", "line 3: not JSON: Expecting property name enclosed in double quotes in column 2"),
        ("jsonl", "1\n\nNaN\n", "line 3: not JSON: NaN is no number of it"),
        ("jsonl", "1\n\n[-Infinity]\n", "line 3: not JSON: -Infinity is no number of it"),
        ("jsonl", "1\n\n[1e999]\n", "line 3: not readable: 1e999 is too large for a float"),
        (
            "jsonl",
            "1\n\n-1" + "0" * 400 + ".0\n",
            f"line 3: not readable: -1{'0' * 95}...{'0' * 96}.0 is too large for a float",
        ),
        ("jsonl", '1\n\n"\\uD83D"\n', "line 3: not readable: \\ud83d is half of a character"),
        ("jsonl", '1\n\n{"a": {"\\udc00": 1}}\n', "line 3: not readable: \\udc00 is half of a character"),
        ("jsonl", "1\n\n" + "[" * 100_000, "line 3: not readable: nested too deep"),
        ("lines", b"1\n\na\xffb\n", "line 3: not UTF-8: byte 0xff in column 2"),
    ],
)
def test_a_wrong_line_is_named_after_the_results_before_it(run, style, data, message):
    code, out, said = run("chains:same", "--format", style, data=data)
    assert (code, out.strip(), said) == (3, "1", f"data, {message}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("set", "result 2, set {1}, cannot be written: TypeError: Object of type set is not JSON serializable"),
        ("nan", "result 2, float nan, cannot be written: ValueError: Out of range float values are not JSON compliant"),
    ],
)
def test_a_result_that_is_no_json_is_named(run, text, message):
    code, out, said = run("chains:kind", "--format", "jsonl", data=f'"a"\n"{text}"\n"b"\n')
    assert (code, out) == (5, '"a"\n')
    assert said.startswith(message)
    assert said.count("\n") == 1
