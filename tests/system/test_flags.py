# SPDX-License-Identifier: BSD-2-Clause
"""saslauthd's command line: both programs are started with the same words, and end alike but for the table's rows."""

import os
import re
import subprocess

import pytest

from support import daemon, differences
from support.command_lines import start
from support.places import POSTERND, SASLAUTHD
from support.sasldb import ALICE

ROWS = {row.case: row for row in differences.of_section("Command lines")}

COMMAND_LINES = {
    # what people write
    "plain": "-a sasldb -m DIR",
    "debian": "-a sasldb -c -m DIR -n 5",
    "attached": "-asasldb -mDIR -n5",
    "combined": "-cVr -a sasldb -m DIR",
    "combined-attached": "-crn3 -a sasldb -mDIR",
    "capitals": "-a SASLDB -m DIR",
    "no-lock": "-l -a sasldb -m DIR",
    "verbose": "-V -a sasldb -m DIR",
    "one-process": "-a sasldb -m DIR -n 1",
    "process-per-request": "-a sasldb -m DIR -n 0",
    "cache": "-a sasldb -c -s 128 -t 60 -m DIR",
    "cache-sizes-without-cache": "-a sasldb -s 128 -t 60 -m DIR",
    "option": "-a sasldb -O whatever -m DIR",
    "option-twice": "-a sasldb -O one -O two -m DIR",
    "directory-twice": "-a sasldb -m /nonexistent/x -m DIR",
    "processes-twice": "-a sasldb -m DIR -n 10 -n 5",  # Debian's init script puts THREADS behind OPTIONS
    "flags-twice": "-c -c -r -r -V -V -a sasldb -m DIR",
    "cache-twice": "-c -s 64 -s 128 -t 60 -t 120 -a sasldb -m DIR",
    "new-directory": "-a sasldb -m DIR/new",
    "end-of-options": "-a sasldb -m DIR --",
    # what only asks
    "help": "-h",
    "version": "-v",
    "version-and-more": "-v -a nosuch",
    # what is wrong
    "nothing": "",
    "no-mechanism": "-m DIR",
    "unknown-mechanism": "-a nosuch -m DIR",
    "mechanism-twice": "-a sasldb -a pam -m DIR",
    "mechanism-without-name": "-m DIR -a",
    "unknown-flag": "-a sasldb -m DIR -Z",
    "stray-word": "-a sasldb -m DIR stray",
    "documented-T": "-a sasldb -m DIR -T",
    "documented-H": "-a sasldb -m DIR -H mail.example.org",
    "relative-directory": "-a sasldb -m run",
    "missing-parent": "-a sasldb -m DIR/no/such",
    "directory-is-a-file": "-a sasldb -m /etc/passwd",
    "processes-negative": "-a sasldb -m DIR -n -1",
    "processes-no-number": "-a sasldb -m DIR -n abc",
    "processes-number-and-more": "-a sasldb -m DIR -n 5x",
    "cache-size-zero": "-a sasldb -m DIR -s 0",
    "cache-size-no-number": "-a sasldb -m DIR -s abc",
    "cache-time-zero": "-a sasldb -m DIR -t 0",
    "cache-time-no-number": "-a sasldb -m DIR -t abc",
    "rimap-without-host": "-a rimap -m DIR",
}

# saslauthd's words that scripts and people look for
KEPT_MESSAGES = ["unknown-mechanism", "relative-directory"]


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_a_command_line_ends_alike(name, sasldb):
    theirs, ours = (start(program, COMMAND_LINES[name].split()) for program in (SASLAUTHD, POSTERND))
    row = ROWS.get(name)
    if row is None:
        assert str(ours) == str(theirs), ours.message
    else:
        assert str(ours) != str(theirs), f"{name} no longer differs, but has a row"
        assert (str(theirs), str(ours)) == (row.saslauthd, row.postern)
    if ours.status != 0:
        assert ours.message, "an error says what it is"
    if name in KEPT_MESSAGES:
        assert theirs.message in ours.message


def test_every_row_is_about_a_command_line():
    assert set(ROWS) <= set(COMMAND_LINES)


def test_a_second_start_is_refused_and_harms_nobody(postern, saslauthd):
    """Exit status 2 and two lines, as ever; also with -d, where saslauthd takes the first one's socket away."""
    for first, program in ((saslauthd, SASLAUTHD), (postern, POSTERND)):
        if first is postern:
            postern.stop()
            first = daemon.posternd(mode="", directory=postern.directory).start()
        second = subprocess.run([program, "-a", "sasldb", "-m", first.directory], capture_output=True, text=True, timeout=20)
        assert second.returncode == 2
        assert re.sub(r"\[\d+\]", "[N]", second.stderr) == (
            "saslauthd[N] :Cannot start saslauthd\n"
            "saslauthd[N] :Another instance of saslauthd is currently running\n")
        assert first.ask(ALICE.user, ALICE.password).is_accepted
        if first is not saslauthd:
            first.stop()


@pytest.mark.parametrize("first_mode", ["", "-d", "-f"])
@pytest.mark.parametrize("second_mode", [[], ["-d"], ["-f"], ["-c"]])
def test_a_second_start_is_refused_whatever_its_mode(first_mode, second_mode, sasldb, start_postern):
    first = start_postern(mode=first_mode)
    files = sorted(os.listdir(first.directory))
    second = subprocess.run([POSTERND, "-a", "sasldb", "-m", first.directory, *second_mode],
                            capture_output=True, text=True, timeout=20)
    assert second.returncode == 2, second.stderr
    assert "Another instance of saslauthd is currently running" in second.stderr
    assert sorted(os.listdir(first.directory)) == files
    assert first.ask(ALICE.user, ALICE.password).is_accepted


def test_the_version_names_the_mechanisms():
    done = subprocess.run([POSTERND, "-v"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stdout == ""
    first, second, *_ = done.stderr.splitlines()
    assert re.fullmatch(r"postern \d+\.\d+\.\d+", first)
    assert second.startswith("authentication mechanisms: ") and "sasldb" in second.split()


def test_it_serves_when_the_start_has_ended(sasldb, start_postern):
    """The socket is bound before the parent reports success: an init script may go on at once."""
    for _ in range(10):
        ready = daemon.posternd(mode="")
        subprocess.run(ready.command, check=True, timeout=20)
        ready.pid = int(ready.pid_file.read_text())
        assert ready.ask(ALICE.user, ALICE.password).is_accepted
        ready.stop()


def test_it_shares_the_file_that_is_its_stderr(sasldb, tmp_path):
    """What others write there is not overwritten, and stands in the order of events."""
    ready = daemon.posternd()
    with open(tmp_path / "shared", "wb", buffering=0) as shared:
        shared.write(b"before\n")
        process = subprocess.Popen(ready.command, stderr=shared)
        process.returncode, ready.pid = 0, process.pid  # stop() collects it
        ready.wait_ready()
        shared.write(b"between\n")
        assert ready.ask(ALICE.user, "looking-glass").is_refused
        ready.stop()
        shared.write(b"after\n")
    said = (tmp_path / "shared").read_text()
    assert re.fullmatch(r"before\n(.+\n)*between\n(.+\n)*.*auth failure: .*\n(.+\n)*after\n", said), said


def test_a_socket_path_that_does_not_fit_is_refused():
    """saslauthd cuts it, reports success, and leaves a socket with another name behind."""
    long = "/run/" + "x" * 130
    done = subprocess.run([POSTERND, "-a", "sasldb", "-m", long], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "mux" in done.stderr
    assert not [name for name in os.listdir("/run") if name.startswith("xxx")]
