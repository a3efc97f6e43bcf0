"""What ``--output`` and ``--report-file`` name, whatever it is and however it is called.

The rule: a file is put only where there is none or a regular one; a device, a pipe, a socket and
what is open already are written to and stay what they are.
"""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from async_task_pipeline._cli import main
from tests.cli.child import COMMAND, Child

WRITING = {
    "output": ["--output"],
    "report": ["--report", "json", "--report-file"],
}


@pytest.fixture(params=WRITING)
def writing(request):
    """The options that write to a place, and what is written there begins with."""
    return WRITING[request.param], "a" if request.param == "output" else '{"summary"'


def test_a_named_pipe_is_written_to_and_stays_one(place, writing):
    options, beginning = writing
    os.mkfifo(place / "pipe")
    with Child(place, "chains:same", *options, "pipe") as child:
        child.write("a\n")
        child.process.stdin.close()
        with (place / "pipe").open() as reader:
            assert reader.read().startswith(beginning)
        assert child.process.wait() == 0
    assert (place / "pipe").is_fifo()


def test_a_terminal_is_written_to(run, writing):
    options, beginning = writing
    terminal, device = pty.openpty()
    try:
        assert run("chains:same", *options, os.ttyname(device), data="a\n")[0] == 0
        assert os.read(terminal, 100).decode().startswith(beginning)
    finally:
        os.close(terminal)
        os.close(device)


def test_a_device_stays_one(run, place, writing):
    options, _ = writing
    null = place / "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, Path("/dev/null").stat().st_rdev)
        null.write_text("")
    except OSError as exc:
        pytest.skip(f"no device can be made here: {exc}")
    assert run("chains:same", *options, "null", data="a\n")[0] == 0
    assert null.is_char_device()


def test_a_socket_is_connected_to(run, place, writing):
    options, beginning = writing
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()
        assert run("chains:same", *options, "socket", data="a\n")[0] == 0
        with contextlib.closing(listener.accept()[0]) as connection:
            assert connection.makefile().read().startswith(beginning)
    assert (place / "socket").is_socket()


def test_a_socket_that_nobody_listens_at_is_named(run, writing):
    options, _ = writing
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind("socket")
    assert run("chains:same", *options, "socket") == (5, "", "cannot write socket: Connection refused\n")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="where descriptors have names")
@pytest.mark.parametrize(
    "path",
    [
        "/dev/stdout",
        "/dev/fd/1",
        "/dev/../dev/./stdout",
        "/proc/self/fd/1",
        "/proc/thread-self/fd/1",
        "/dev/fd/7",
        "link",
        "far/link",
        "out",
        "another",
    ],
)
def test_what_is_open_already_is_written_on_and_not_replaced(place, path):
    (place / "link").symlink_to("/dev/stdout")
    (place / "far").mkdir()
    (place / "far" / "link").symlink_to("../link")
    (place / "out").touch()
    (place / "another").hardlink_to(place / "out")
    command = shlex.join([*COMMAND, "run", "chains:same", "--output", path])
    shell = f"{{ echo header; printf 'a\\nb\\n' | {command} 7>&1; echo trailer; }} >> out"
    subprocess.run(["/bin/sh", "-c", shell], check=True, cwd=place)
    assert (place / "out").read_text() == "header\na\nb\ntrailer\n"
    assert (place / "link").readlink() == Path("/dev/stdout")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/where", "No such file or directory"),
        (".", "it is a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("/dev/fd/987", "Bad file descriptor"),
    ],
)
def test_what_cannot_be_written_is_named_before_anything_is_processed(run, place, writing, path, message):
    options, _ = writing
    (place / "loop").symlink_to("loop")
    assert run("chains:noisy", *options, path, data="a\n") == (5, "", f"cannot write {path}: {message}\n")
    assert (place / "loop").is_symlink()


@pytest.mark.parametrize(
    ("output", "report"),
    [
        (["--output", "new"], "new"),
        (["--output", "new"], "./new"),
        (["--output", "new"], "to-new"),
        (["--output", "old"], "same-as-old"),
        ([], "-"),
        (["--output", "-"], "/dev/stdout"),
    ],
)
def test_results_and_report_do_not_go_to_the_same_place(place, capfd, output, report):
    (place / "to-new").symlink_to("new")
    (place / "old").write_text("old")
    (place / "same-as-old").hardlink_to("old")
    with pytest.raises(SystemExit) as ended:
        main(["run", "chains:same", "chains.py", *output, "--report", "text", "--report-file", report])
    assert ended.value.code == 2
    assert "is where the results go; they need a place each\n" in capfd.readouterr().err
    assert not (place / "new").exists()
    assert (place / "old").read_text() == "old"


def test_a_name_may_be_as_long_as_one_can_be(run, place, writing):
    options, beginning = writing
    name = "n" * os.pathconf(place, "PC_NAME_MAX")
    assert run("chains:same", *options, name, data="a\n")[0] == 0
    assert (place / name).read_text().startswith(beginning)


def test_a_new_file_does_not_run_as_somebody(run, place, writing):
    options, _ = writing
    (place / "old").touch()
    (place / "old").chmod(0o6755)
    assert run("chains:same", *options, "old", data="a\n")[0] == 0
    assert stat.S_IMODE((place / "old").stat().st_mode) == 0o755


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("refused", "owner", "mode"), [(False, 4321, 0o666), (True, os.geteuid(), 0o606)])
def test_a_file_keeps_its_owner_or_its_group_has_no_permissions(run, place, monkeypatch, refused, owner, mode):
    def chown(*args):
        raise PermissionError

    (place / "old").touch()
    (place / "old").chmod(0o666)
    os.chown(place / "old", 4321, 4321)
    if refused:
        monkeypatch.setattr(os, "chown", chown)
    assert run("chains:same", "--output", "old", data="a\n")[0] == 0
    status = (place / "old").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (owner, mode)
