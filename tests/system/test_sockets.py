# SPDX-License-Identifier: BSD-2-Clause
"""The sockets and their directories: who may reach them is what was configured, and a wide door is told of."""

import grp
import os
import pwd
import stat
import subprocess

import pytest

from support import control, daemon
from support.places import TESTSASLAUTHD
from support.sasldb import ALICE, BY_SASLDB

WARNING = ("every user of this host can try passwords at {socket}: "
           "neither its mode nor that of its directory keeps others out")


def rights(path):
    """Owner, group and mode, in words."""
    status = os.stat(path)
    return pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name, oct(stat.S_IMODE(status.st_mode))


# Flags: the directory guards (row 36 of the faults)

@pytest.mark.parametrize("mode, is_open", [(0o755, True), (0o711, True), (0o710, False), (0o700, False),
                                           (0o750, False)], ids=lambda value: oct(value) if value > 1 else "")
def test_a_run_directory_that_lets_everybody_in_is_told_of(sasldb, start_postern, mode, is_open):
    directory = daemon.new_run_directory()
    directory.chmod(mode)
    postern = start_postern(directory=directory)
    assert rights(postern.socket)[2] == "0o777", "as ever"
    assert postern.output.count(WARNING.format(socket=postern.socket)) == (1 if is_open else 0)
    assert can_try(postern.socket, "nobody") == is_open


def can_try(socket, user, *groups):
    """Whether a process of that account, and of these groups alone, gets an answer."""
    groups = [f"--groups={','.join(groups)}"] if groups else ["--clear-groups"]
    done = subprocess.run(["setpriv", f"--reuid={user}", "--regid=nogroup", *groups, TESTSASLAUTHD,
                           "-u", ALICE.user, "-p", ALICE.password, "-f", socket],
                          capture_output=True, text=True, timeout=60, check=False)
    assert ("OK" in done.stdout) == (done.returncode == 0), done
    return done.returncode == 0


def test_a_run_directory_that_had_to_be_made_is_told_of_too(sasldb, start_postern):
    directory = daemon.new_run_directory() / "new"
    postern = start_postern(directory=directory)
    assert rights(directory) == ("root", "root", "0o755")
    assert WARNING.format(socket=postern.socket) in postern.output


# A file: each listener says it (row 37)

LISTENERS = """
[listener default]
socket = DIR/made/default

[listener exact]
socket = DIR/made/too/exact
owner  = nobody
group  = mail
mode   = 0640

[listener numbers]
socket = DIR/numbers
owner  = 4711
group  = 4712
mode   = 0606

[listener open]
socket = DIR/made/open/mux
mode   = 0777
""" + BY_SASLDB


@pytest.fixture
def listening(sasldb, start_postern_conf):
    directory = daemon.new_run_directory()
    (directory / "made").mkdir(mode=0o711)
    return start_postern_conf(LISTENERS, directory=directory)


def test_sockets_have_the_rights_that_the_file_says(listening):
    sockets = listening.sockets
    assert rights(sockets["default"]) == ("root", "sasl", "0o660")
    assert rights(sockets["exact"]) == ("nobody", "mail", "0o640")
    status = os.stat(sockets["numbers"])
    assert (status.st_uid, status.st_gid, oct(stat.S_IMODE(status.st_mode))) == (4711, 4712, "0o606")
    assert rights(sockets["open"]) == ("root", "sasl", "0o777")
    for name in sockets:
        assert stat.S_ISSOCK(os.stat(sockets[name]).st_mode)
        assert listening.ask(ALICE.user, ALICE.password, listener=name).is_accepted


def test_a_directory_that_is_missing_is_made_and_one_that_is_there_stays_as_it_was(listening):
    made = listening.directory / "made"
    assert rights(made / "too") == rights(made / "open") == ("root", "root", "0o755")
    assert rights(made) == ("root", "root", "0o711")


def test_of_several_listeners_the_one_that_is_open_to_all_is_told_of(listening):
    told = [name for name, socket in listening.sockets.items() if WARNING.format(socket=socket) in listening.output]
    assert told == ["open"]


def test_sockets_are_for_whom_the_file_says(listening):
    listening.directory.chmod(0o711)
    default, numbers = listening.sockets["default"], listening.sockets["numbers"]
    assert not can_try(default, "nobody")
    assert can_try(default, "nobody", "sasl")
    assert can_try(numbers, "nobody")
    assert not can_try(numbers, "nobody", "4712"), "others may, that group may not"


def test_a_reload_makes_directories_too(listening):
    listening.write_config(LISTENERS.replace("DIR/numbers", "DIR/made/later/numbers"))
    assert control.reload(listening.directory) == ""
    assert rights(listening.directory / "made/later") == ("root", "root", "0o755")
    assert listening.ask(ALICE.user, ALICE.password, listener="numbers").is_accepted
    assert not (listening.directory / "numbers").exists()
