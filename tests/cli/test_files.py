"""Reading from a file and writing to one.

The rule: ``--output`` is written whole or not at all, and otherwise like a file opened
for writing; what cannot be read (exit code 3) or written (5) is named.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from async_task_pipeline._cli import main


def test_an_input_that_cannot_be_read_is_named(place, capfd):
    assert main(["run", "chains:same", "nowhere"]) == 3
    assert main(["run", "chains:same", str(place)]) == 3
    assert capfd.readouterr().err == (
        "async-task-pipeline: cannot read nowhere: No such file or directory\n"
        f"async-task-pipeline: cannot read {place}: it is a directory\n"
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_output_is_left_alone(run, place):
    (place / "out").write_text("old")
    (place / "out").chmod(0o444)
    assert run("chains:same", "--output", "out", data="a\n") == (5, "", "cannot write out: Permission denied\n")
    assert (place / "out").read_text() == "old"


def test_an_output_file_is_replaced_and_keeps_its_permissions(run, place):
    (place / "out").write_text("old content, longer than the new")
    (place / "out").chmod(0o640)
    (place / "link").symlink_to("out")
    wrote = "wrote 1 result to link\n"
    assert run("chains:same", "--output", "link", data="a\n") == (0, "", wrote)
    assert (place / "link").is_symlink()
    assert (place / "out").read_text() == "a\n"
    assert stat.S_IMODE((place / "out").stat().st_mode) == 0o640


def test_a_new_output_file_has_the_permissions_of_any_other(run, place):
    before = os.umask(0o027)
    try:
        assert run("chains:same", "--output", "out", data="a\n")[:2] == (0, "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "out").stat().st_mode) == 0o640


def test_input_and_output_may_be_the_same_file(run, place):
    wrote = "wrote 4 results to data\n"
    assert run("chains:fan", "--output", "data", data="a\nb\n") == (0, "", wrote)
    assert (place / "data").read_text() == "a\na\nb\nb\n"


@pytest.mark.parametrize(("target", "last", "code"), [("chains:picky", b"3", 1), ("chains:same", b"\xff", 3)])
def test_a_failure_leaves_the_output_as_it_was(run, place, target, last, code):
    (place / "out").write_text("old")
    assert run(target, "--output", "out", data=b"1\n" + last + b"\n2\n")[0] == code
    assert (place / "out").read_text() == "old"
    assert {path.name for path in place.iterdir() if path.is_file()} == {"data", "out", "chains.py"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device is of Linux")
def test_a_full_device_is_told(run):
    message = "cannot write /dev/full: No space left on device\n"
    assert run("chains:same", "--output", "/dev/full", data="a\n") == (5, "", message)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
