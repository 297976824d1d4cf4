# SPDX-License-Identifier: BSD-2-Clause
"""What DESIGN and daemon/README.md say of the processes, read from /proc while they run."""

import grp
import os
import pwd
import resource
import shutil
import signal
import subprocess

import pytest

from support.eventually import eventually
from support.host_accounts import DEBIANS_STACK, HostAccounts
from support.intrusion import make_call, unread_bytes
from support.load import right_and_wrong, wrong_answers
from support.memory import found_in_memory
from support.places import BUILD
from support.refused_calls import REFUSED, expect_refused_call
from support.sasldb import ALICE

POSTERN_USER = pwd.getpwnam("postern")
SASL_GROUP = grp.getgrnam("sasl")


@pytest.fixture
def host_and_sasldb(sasldb):
    """Alice in the database, and nobody else anywhere; a PAM stack that delays nobody."""
    host = HostAccounts()
    host.write_stack("imap", DEBIANS_STACK)
    yield
    host.put_back()


@pytest.fixture
def workers(postern):
    """The five, once all are ready: a worker that has not yet loaded its plug-in maps less than it will."""
    return eventually(lambda: len(ready_workers(postern)) == 5 and postern.workers(), "five workers are ready")


def ready_workers(daemon):
    return [worker for worker in daemon.workers() if maps(worker, "libdb-")]


def maps(process, library):
    return [path for path in process.mapped_files if f"/{library}" in path]


def test_there_is_one_supervisor_one_front_and_five_workers(postern, workers):
    assert len(postern.fronts) == 1
    assert len(workers) == 5
    assert len(postern.processes()) == 7


def test_ps_shows_the_roles_and_the_supervisor_keeps_its_name(postern, workers):
    assert postern.supervisor.name == "posternd"
    assert postern.front.command_line == "posternd front"
    assert postern.front.name == "postern-front"
    assert {worker.command_line for worker in workers} == {"posternd worker sasldb"}
    assert {worker.name for worker in workers} == {"postern-worker"}


def test_the_supervisor_alone_is_root(postern, workers):
    assert postern.supervisor.uids == [0] * 4
    assert postern.front.uids == [POSTERN_USER.pw_uid] * 4
    assert postern.front.gids == [POSTERN_USER.pw_gid] * 4
    assert postern.front.groups == []
    for worker in workers:
        assert worker.uids == [POSTERN_USER.pw_uid] * 4
        assert worker.gids == [SASL_GROUP.gr_gid] * 4
        assert worker.groups == []


def test_front_and_workers_have_no_capability_and_never_get_one(postern, workers):
    for process in [postern.front, *workers]:
        assert [process.capabilities(which) for which in ("Eff", "Prm", "Inh", "Bnd", "Amb")] == [0] * 5
        assert process.has_no_new_privs


def test_nobody_has_a_signal_handler_but_the_front_one_for_its_filter(host_and_sasldb, start_postern):
    """Row 34 of the faults: what a handler interrupts may be anything."""
    postern = start_postern(backend="sasldb,pam,shadow,getpwent", workers=1)
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert postern.ask("nobody-there", ALICE.password).is_refused, "which every one of them was asked about"
    assert postern.front.caught_signals == {signal.SIGSYS}
    others = [process for process in postern.processes() if process != postern.front]
    assert len(others) == 5
    assert {process: process.caught_signals for process in others if process.caught_signals} == {}


# A file that a worker may not read as the account that it has

READ_ANY_FILE = 1 << 2  # CAP_DAC_READ_SEARCH
NOTICE = "sasldb: its account may not read its files: its workers run with CAP_DAC_READ_SEARCH"


def test_a_database_for_root_alone_is_read_with_one_capability_and_the_log_says_so_once(sasldb, start_postern, syslog):
    """As saslpasswd2 leaves it on many hosts: saslauthd, which is root, never minded."""
    os.chown(sasldb.path, 0, 0)
    sasldb.path.chmod(0o600)
    postern = start_postern(mode="")
    eventually(lambda: len(ready_workers(postern)) == 5, "five workers are ready")
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 50) == []
    for worker in ready_workers(postern):
        assert [worker.capabilities(which) for which in ("Eff", "Prm", "Inh", "Bnd", "Amb")] == [
            READ_ANY_FILE, READ_ANY_FILE, 0, 0, 0]
        assert worker.uids == [POSTERN_USER.pw_uid] * 4
        assert worker.has_no_new_privs
    assert [postern.front.capabilities(which) for which in ("Eff", "Prm", "Inh", "Bnd", "Amb")] == [0] * 5
    line = syslog.wait_for(NOTICE)
    assert line.severity == "notice"
    ready_workers(postern)[0].kill().wait_gone()  # a successor has nothing new to say
    eventually(lambda: len(ready_workers(postern)) == 5, "the worker came back")
    postern.ask("the-last-line", "x")
    syslog.wait_for("the-last-line")
    assert sum(NOTICE in text for text in syslog.texts()) == 1


def test_a_database_for_the_group_is_read_with_none(sasldb, start_postern, syslog):
    os.chown(sasldb.path, 0, SASL_GROUP.gr_gid)
    sasldb.path.chmod(0o640)
    postern = start_postern(mode="")
    eventually(lambda: len(ready_workers(postern)) == 5, "five workers are ready")
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 50) == []
    for worker in ready_workers(postern):
        assert [worker.capabilities(which) for which in ("Eff", "Prm", "Inh", "Bnd", "Amb")] == [0] * 5
    syslog.wait_for("wrong password")
    assert not [text for text in syslog.texts() if "CAP_DAC_READ_SEARCH" in text]


def test_a_database_that_is_closed_later_is_an_outage(sasldb, start_postern):
    """The right to read is settled at a worker's start: here it was not needed."""
    postern = start_postern("--workers-max", "1", workers=1)
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    sasldb.path.rename(sasldb.set_aside)
    sasldb.path.write_bytes(sasldb.set_aside.read_bytes())
    sasldb.path.chmod(0o600)
    assert postern.ask(ALICE.user, ALICE.password).is_unavailable
    os.chown(sasldb.path, 0, SASL_GROUP.gr_gid)
    sasldb.path.chmod(0o640)
    assert postern.ask(ALICE.user, ALICE.password).is_accepted


def test_what_even_root_cannot_read_is_an_outage(sasldb, start_postern):
    sasldb.take_away()
    sasldb.path.mkdir(mode=0o700)
    try:
        postern = start_postern()
        assert postern.ask(ALICE.user, ALICE.password).is_unavailable
    finally:
        sasldb.path.rmdir()
        sasldb.put_back()
    assert postern.ask(ALICE.user, ALICE.password).is_accepted


def test_the_front_is_filtered_and_has_an_empty_root_that_nobody_can_fill(postern):
    front = postern.front
    assert front.seccomp_mode == 2
    assert os.listdir(front.root) == []
    assert os.readlink(front.root).endswith(" (deleted)")
    with pytest.raises(OSError):
        (front.root / "file").touch()


def test_front_and_workers_leave_no_core_and_are_closed_to_debuggers(postern, workers):
    for process in [postern.front, *workers]:
        assert process.limits["Max core file size"] == ("0", "0")
        assert os.stat(process.directory / "maps").st_uid == 0  # /proc belongs to root where nothing may be dumped


def test_the_front_may_use_every_descriptor_there_is(postern):
    soft, hard = postern.front.limits["Max open files"]
    assert soft == hard


def test_only_workers_map_the_libraries_of_backends(postern, workers):
    for worker in workers:
        assert maps(worker, "libdb-")  # the control: this is what a mapped library looks like
        assert maps(worker, "backend_sasldb.so")
    for process in [postern.supervisor, postern.front]:
        for library in ("libdb-", "libpam", "libldap", "backend_"):
            assert not maps(process, library), f"{process} maps {library}"


def test_no_process_maps_libcrypto_of_which_each_would_have_much_of_its_own(postern, workers):
    for process in postern.processes():
        assert not maps(process, "libcrypto."), f"{process} maps libcrypto"
    for worker in workers:
        assert maps(worker, "libnettle.")  # which computes the hashes instead


def test_no_process_holds_a_descriptor_that_it_has_no_use_for(postern, workers):
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 20) == []
    for worker in workers:
        descriptors = dict(worker.descriptors)
        database = [number for number, what in descriptors.items() if what == "/etc/sasldb2"]
        assert len(database) <= 1
        for number in database:
            del descriptors[number]  # what it is there for
        assert descriptors.pop(3).startswith("socket:")
        assert descriptors.pop(0) == descriptors.pop(1) == "/dev/null"
        assert descriptors.pop(2) == str(postern.output_file)  # in the foreground
        _, tasks = descriptors.popitem()
        assert tasks.startswith("socket:")
        assert descriptors == {}
    for number, what in postern.front.descriptors.items():
        is_stream = what in ("/dev/null", str(postern.output_file))
        assert is_stream or what.startswith(("socket:", "anon_inode:")), f"descriptor {number} of the front is {what}"


def test_in_the_background_nobody_holds_the_callers_terminal(sasldb, start_postern):
    postern = start_postern(mode="")
    eventually(lambda: len(ready_workers(postern)) == 5, "five workers are ready")
    for process in postern.processes():  # a worker has it until its plug-in is loaded
        eventually(lambda: [process.descriptors[number] for number in (0, 1, 2)] == ["/dev/null"] * 3,
                   f"{process.command_line} has let go of its streams")
        assert str(postern.output_file) not in process.descriptors.values()


def test_the_environment_of_the_caller_reaches_no_role(sasldb, start_postern, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nonexistent")
    postern = start_postern()
    eventually(lambda: len(ready_workers(postern)) == 5, "five workers are ready")
    for process in postern.supervisor.children:
        environment = (process.directory / "environ").read_bytes()
        assert b"SECRET_OF_THE_CALLER" not in environment
        assert b"LD_LIBRARY_PATH" not in environment


def test_the_supervisor_works_in_the_run_directory(postern):
    assert postern.supervisor.working_directory == str(postern.directory)


# A front that was taken over

CALLS = {"openat": 257, "socket": 41, "connect": 42, "execve": 59, "ptrace": 101}
ALLOWED_CALL = 28  # madvise(2), which then says 0: nothing has happened
CHANNEL = 3  # the descriptor


@pytest.mark.parametrize("call", CALLS)
def test_a_front_that_tries_what_it_never_does_is_ended_and_the_next_one_serves(postern, call):
    front = postern.front
    expect_refused_call(call)
    make_call(front, CALLS[call])
    front.wait_gone()
    eventually(lambda: f"{REFUSED} {call}\n" in postern.output, f"the log names {call}")
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 20) == []
    assert postern.front != front


def test_a_front_that_may_make_a_call_is_not_harmed_by_one(postern):
    """The control: it is the filter that ended the fronts above."""
    front = postern.front
    make_call(front, ALLOWED_CALL)
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 20) == []
    assert postern.front == front


def test_a_front_s_last_words_are_heard_though_it_has_not_read_all_that_it_was_told(postern, workers):
    """It is asked once a second whether it still turns. Question and last words cross here."""
    front, supervisor = postern.front, postern.supervisor

    def let_them_cross():
        eventually(lambda: unread_bytes(front, CHANNEL) > 0, "it has been asked")
        supervisor.kill(signal.SIGSTOP)

    expect_refused_call("socket")
    make_call(front, CALLS["socket"], while_it_stands=let_them_cross)
    front.wait_gone()
    supervisor.kill(signal.SIGCONT)
    eventually(lambda: f"{REFUSED} socket\n" in postern.output, "the log names the call")


# Files that must not be trusted, and files that must not be made

@pytest.fixture
def copied_build(tmp_path):
    """The programs, installed elsewhere, so that a test may spoil them."""
    shutil.copytree(BUILD / "sbin", tmp_path / "sbin")
    plugins = next(BUILD.glob("lib*/**/backend_sasldb.so")).parent
    shutil.copytree(plugins, tmp_path / plugins.relative_to(BUILD))
    return tmp_path


def start_copy(build, directory):
    return subprocess.run([build / "sbin/posternd", "-a", "sasldb", "-m", directory], capture_output=True, text=True,
                          timeout=60, check=False)


@pytest.mark.parametrize("file, spoil, complaint", [
    ("backend_sasldb.so", lambda path: path.chmod(0o646), "may be written by others"),
    ("backend_sasldb.so", lambda path: path.chmod(0o664), "may be written by others"),
    ("backend_sasldb.so", lambda path: os.chown(path, POSTERN_USER.pw_uid, 0), "does not belong to root"),
    ("backend_sasldb.so", lambda path: path.unlink(), "No such file"),
    ("backend_sasldb.so", lambda path: path.write_bytes(b"no library" * 1000), "invalid ELF header"),
    ("backend_sasldb.so", lambda path: shutil.copy(path.with_name("backend_fault.so"), path), "of type fault"),
    ("posternd", lambda path: path.chmod(0o777), "may be written by others"),
])
def test_a_program_that_others_could_have_changed_is_not_run(sasldb, copied_build, tmp_path, file, spoil, complaint):
    spoil(next(copied_build.rglob(file)))
    done = start_copy(copied_build, tmp_path / "run")
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not list((tmp_path / "run").glob("*"))


def test_an_untouched_copy_runs(sasldb, copied_build, start_postern):
    postern = start_postern(program=copied_build / "sbin/posternd")
    assert postern.ask(ALICE.user, ALICE.password, realm=ALICE.realm).is_accepted


def dumps_core(directory):
    """The control: whether a process that may leave a core here does."""
    process = subprocess.Popen(["sleep", "60"], cwd=directory, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    process.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = 0
    return os.WCOREDUMP(status)


@pytest.mark.parametrize("role", ["front", "worker"])
def test_a_crash_leaves_no_core_with_passwords_in_it(sasldb, start_postern, tmp_path, role):
    assert dumps_core(tmp_path), "this machine leaves no core files at all: the test would show nothing"
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    postern = start_postern()
    eventually(lambda: "listening on socket" in postern.output, "the start is over")
    ready = ready_workers(postern)
    victim = postern.front if role == "front" else ready[0]
    victim.kill(signal.SIGSEGV)
    eventually(lambda: f"{role} {victim.pid}" in postern.output, "the supervisor sees the crash")
    assert "was killed by signal 11" in postern.output
    assert "core dumped" not in postern.output
    assert not list(postern.directory.glob("core*"))


def test_a_password_that_was_given_is_in_no_memory_that_could_be_dumped(postern, workers):
    needle = "x9-needle-in-the-haystack"
    for _ in range(20):
        assert postern.ask("alice", needle).is_refused
    for process in [postern.front, *workers]:
        assert not found_in_memory(process, [needle.encode()])


def test_the_search_in_memory_finds_what_is_there(postern):
    with postern.connect() as connection:
        connection.send_and_be_read(b"\0\5alice\0\x20needle-of-a-password-half-")
        assert found_in_memory(postern.front, [b"needle-of-a-password"], also_undumped=True)
        assert not found_in_memory(postern.front, [b"needle-of-a-password"])


# Without root

@pytest.fixture
def as_nobody(copied_build, tmp_path):
    """A posternd that everybody may run, started by somebody who may nothing."""
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    program = tmp_path / "as-nobody"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid=nobody --regid=nogroup --clear-groups {copied_build}/sbin/posternd "$@"\n')
    program.chmod(0o755)
    return program


def test_without_root_every_process_runs_as_the_caller_and_the_log_says_so(sasldb, as_nobody, tmp_path, start_postern):
    nobody = pwd.getpwnam("nobody")
    directory = tmp_path / "run"
    directory.mkdir()
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    sasldb.path.chmod(0o644)
    postern = start_postern(program=as_nobody, directory=directory)
    assert wrong_answers(postern.ask, right_and_wrong(ALICE), 20) == []
    eventually(lambda: len(ready_workers(postern)) == 5, "five workers are ready")
    assert {tuple(process.uids) for process in postern.processes()} == {(nobody.pw_uid,) * 4}
    assert postern.front.seccomp_mode == 2
    assert "not started as root" in postern.output


def test_without_root_a_database_of_root_alone_is_an_outage(sasldb, as_nobody, tmp_path, start_postern):
    nobody = pwd.getpwnam("nobody")
    directory = tmp_path / "run"
    directory.mkdir()
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    sasldb.path.chmod(0o600)
    postern = start_postern(program=as_nobody, directory=directory)
    assert postern.ask(ALICE.user, ALICE.password).is_unavailable
    assert "CAP_DAC_READ_SEARCH" not in postern.output
    sasldb.path.chmod(0o644)
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
