# SPDX-License-Identifier: BSD-2-Clause
"""tools/try: one command from a clone to a first login. It must see what is wrong with a daemon, say which login
shows it, and leave nothing behind however it ends."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from support.eventually import eventually
from support.places import BUILD, SOURCE
from support.processes import Process, all_processes

TRY = SOURCE / "tools/try"

OK, NO, UNAVAILABLE = b"\0\2OK", b"\0\2NO", b"\0\0"
NOTHING = b""  # closes without a word
NEVER = None  # neither answers nor closes

# Called with posternd's arguments. Says when it sees a password in the process table.
PLANTED_DAEMON = """#!/usr/bin/python3 -I
import glob, os, signal, socket, struct, sys

replies = {replies!r}
signal.signal(signal.SIGTERM, {at_sigterm})
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("-m") + 1] + "/mux")
listener.listen()
kept = []

def field(stream):
    length = struct.unpack(">H", stream.read(2))[0]
    return stream.read(length)

while True:
    connection, _ = listener.accept()
    try:
        with connection.makefile("rb") as stream:
            login, password, service, realm = (field(stream) for _ in range(4))
    except struct.error:  # ended before the request did
        connection.close()
        continue
    if any(password in open(file, "rb").read() for file in glob.glob("/proc/[0-9]*/cmdline")):
        print("ps shows the password", flush=True)
    print("asked for", login.decode(), flush=True)
    reply = replies.pop(0) if len(replies) > 1 else replies[0]
    kept.append(connection)
    if reply is not None:
        connection.sendall(reply)
        kept.pop().close()
"""
ENDS = "lambda *_: sys.exit(0)"
IS_DEAF = "signal.SIG_IGN"
LEAVES_A_PROCESS = "lambda *_: os._exit(0) if os.fork() else signal.pause()"


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def planted_daemon(tmp_path):
    """planted_daemon(reply, …): gives the replies in turn, the last one for ever."""
    return lambda *replies, at_sigterm=ENDS: program(
        tmp_path / "planted", PLANTED_DAEMON.format(replies=list(replies), at_sigterm=at_sigterm))


@pytest.fixture
def planted_command(tmp_path):
    """planted_command(name, text): a program that is found before the real one of that name."""
    directory = tmp_path / "bin"
    directory.mkdir()
    os.environ["PATH"], path = f"{directory}:{os.environ['PATH']}", os.environ["PATH"]
    yield lambda name, text: program(directory / name, text)
    os.environ["PATH"] = path


NOT_LEFT_BEHIND = ("/dev/pts", "/run/pytest", str(SOURCE / "build"))  # the tests' own, and what a build is for


def traces():
    """What could be left of a program: the namespace's processes, its files (with all that was changed in /etc and
    /var, which are overlays kept in /run), its mounts."""
    processes = {(process.pid, process.name) for process in all_processes() if process.is_alive}
    files = {os.path.join(directory, name) for root in ("/tmp", "/run", "/dev")
             for directory, directories, names in os.walk(root) for name in directories + names
             if not directory.startswith(NOT_LEFT_BEHIND)}
    return {"processes": processes, "files": files, "mounts": set(Path("/proc/self/mountinfo").read_text().splitlines())}


def left_since(before):
    return {kind: sorted(now - before[kind]) for kind, now in traces().items() if now != before[kind]}


@pytest.fixture
def leaves_nothing():
    before = traces()
    yield
    assert left_since(before) == {}


def default_signals():
    """Ctrl-C must work in the script, also when the tests run in somebody's background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def start(*arguments, **kind):
    return subprocess.Popen([TRY, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, start_new_session=True, preexec_fn=default_signals, **kind)


def run(*arguments, seconds=60.0, **kind):
    """Exit status and output."""
    process = start(*arguments, **kind)
    output, _ = process.communicate(timeout=seconds)
    print(output)
    return process.returncode, output


def run_with(daemon):
    return run("--build-dir", BUILD, "--daemon", daemon)


def last_words(output):
    return [line.removeprefix("tools/try: ") for line in output.splitlines() if line.startswith("tools/try: ")]


# --- the real daemon


def test_without_arguments_it_builds_and_logs_in_right_and_wrong(leaves_nothing):
    status, output = run(seconds=1200.0)

    assert status == 0
    assert output.count('0: OK "Success."') == 2, "by saslauthd's protocol, and by Dovecot's"
    assert output.count('0: NO "authentication failed"') == 2
    assert "nothing is missing" in output  # tests/run has installed the packages
    assert "--mech SCRAM-SHA-256" in output
    assert output.count("accepted, as it must be") == 2
    assert "/etc/postfix/sasl/smtpd.conf" in output
    assert last_words(output) == []


def test_a_login_by_the_protocol_of_dovecot_that_goes_wrong_is_named(tmp_path, leaves_nothing):
    copy = tmp_path / "built"
    subprocess.run(["cmake", "--install", BUILD, "--prefix", copy], check=True, capture_output=True)
    posternd = copy / "sbin/posternd"
    posternd.rename(copy / "sbin/real")
    program(posternd, f"""#!/bin/sh
        config=$(dirname "$2")/postern.conf
        [ "$1" != --config ] || sed -i 's|^protocol = dovecot|&\\nmechanisms = PLAIN|' "$config"
        exec {copy}/sbin/real "$@"
    """)
    status, output = run("--build-dir", copy)

    assert status == 1
    assert last_words(output) == ["the login by a challenge was not made: postern test ended with status 64"]


def test_it_needs_no_root_where_it_need_not_install(leaves_nothing):
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o755)
        shutil.copytree(SOURCE / "tools", home / "tools")
        subprocess.run(["cmake", "--install", BUILD, "--prefix", home / "built"], check=True, capture_output=True)
        subprocess.run(["chmod", "-R", "a+rX", home], check=True)
        done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                               home / "tools/try", "--build-dir", home / "built"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert done.stderr == ""


# --- daemons that are wrong


@pytest.mark.parametrize("replies, words", [
    pytest.param([OK], "the login with the wrong password was accepted", id="always OK"),
    pytest.param([NO], "the login with the right password was refused", id="always NO"),
    pytest.param([NEVER], "the login with the right password got no answer within 5 s", id="never answers"),
    pytest.param([NOTHING], "the login with the right password ended in a temporary failure", id="closes at once"),
    pytest.param([UNAVAILABLE], "the login with the right password ended in a temporary failure", id="always unavailable"),
    pytest.param([b"\xff\xff<html>"], "the login with the right password", id="garbage"),
    pytest.param([OK, UNAVAILABLE, NO], "the login with the wrong password ended in a temporary failure", id="an outage"),
    pytest.param([OK, NO, OK], "the login of a user who does not exist was accepted", id="lets strangers in"),
])
def test_a_wrong_daemon_is_found_out_and_the_login_named(planted_daemon, replies, words, leaves_nothing):
    status, output = run_with(planted_daemon(*replies))

    assert status == 1
    assert last_words(output)[0].startswith(words)
    assert "asked for demo" in output, "the daemon's log is shown"


def test_a_daemon_that_does_all_that_posternd_must_passes(planted_daemon, leaves_nothing):
    status, output = run_with(planted_daemon(OK, NO, NO))

    assert status == 0
    assert "ps shows the password" not in output


def test_a_daemon_that_does_not_start_is_named_with_its_own_words(tmp_path, leaves_nothing):
    daemon = program(tmp_path / "planted", "#!/bin/sh\necho the moon is in the wrong place\nexit 3\n")
    status, output = run_with(daemon)

    assert status == 1
    assert "the moon is in the wrong place" in output
    assert last_words(output) == ["planted ended before it took a connection (exit status 3)"]


def test_a_daemon_that_leaves_a_process_behind_is_found_out(planted_daemon, leaves_nothing):
    status, output = run_with(planted_daemon(OK, NO, NO, at_sigterm=LEAVES_A_PROCESS))

    assert status == 1
    assert last_words(output) == ["planted left processes behind"]


# --- ended in the middle


def in_the_middle(process, words):
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"{words!r} was never said")


def end(process, number, whole_group):
    began = time.monotonic()
    (os.killpg if whole_group else os.kill)(process.pid, number)
    output, _ = process.communicate(timeout=30)
    print(output)
    assert process.returncode == -number
    assert "nothing is left behind" in output
    return time.monotonic() - began


@pytest.mark.parametrize("number, whole_group", [
    pytest.param(signal.SIGINT, True, id="Ctrl-C"),
    pytest.param(signal.SIGTERM, False, id="SIGTERM"),
    pytest.param(signal.SIGHUP, True, id="a closed terminal"),
])
def test_it_can_be_ended_in_the_middle_of_a_login(planted_daemon, number, whole_group, leaves_nothing):
    process = start("--build-dir", BUILD, "--daemon", planted_daemon(NEVER))
    in_the_middle(process, "postern test")

    assert end(process, number, whole_group) < 4, "it does not wait for the login"


def test_a_daemon_that_ignores_sigterm_is_ended_all_the_same(planted_daemon, leaves_nothing):
    process = start("--build-dir", BUILD, "--daemon", planted_daemon(NEVER, at_sigterm=IS_DEAF))
    in_the_middle(process, "postern test")

    end(process, signal.SIGTERM, whole_group=False)


def test_a_build_ended_in_the_middle_leaves_no_compiler_running(planted_command, tmp_path, leaves_nothing):
    running = tmp_path / "compiler"
    planted_command("cmake", f"#!/bin/sh\nsleep 1000 & echo $! >{running}; wait\n")
    process = start()
    eventually(lambda: running.exists() and running.read_text().endswith("\n"), "the build runs", 20)
    compiler = Process(int(running.read_text()))
    assert compiler.is_alive

    end(process, signal.SIGTERM, whole_group=False)
    assert not compiler.is_alive


def test_a_reader_that_goes_away_ends_it(planted_daemon, leaves_nothing):
    process = start("--build-dir", BUILD, "--daemon", planted_daemon(OK, NO, NO))
    process.stdout.readline()
    process.stdout.close()

    assert process.wait(30) != 0


# --- before the first login


def test_a_failed_build_shows_what_failed(planted_command, leaves_nothing):
    planted_command("cmake", "#!/bin/sh\necho quiet part\necho 'FAILED: front.o'\necho 'front.cpp:7: what is this?'\nexit 1\n")
    status, output = run()

    assert status == 1
    assert "quiet part" not in output
    assert "front.cpp:7: what is this?" in output
    assert last_words(output) == ["the build failed"]


def test_only_what_is_missing_is_installed_and_it_says_so(planted_command, tmp_path, leaves_nothing):
    asked = tmp_path / "asked"
    planted_command("dpkg-query", """#!/bin/sh
        for last; do :; done
        [ "$last" = libsodium-dev ] || echo installed""")
    planted_command("apt-get", f"#!/bin/sh\necho \"$@\" >>{asked}\n[ $1 = update ] || {{ echo no such host; exit 100; }}\n")
    status, output = run()

    assert status == 1
    assert "from Debian's archive: libsodium-dev\n" in output
    assert "no such host" in output
    assert last_words(output) == ["the packages could not be installed"]
    assert asked.read_text().splitlines()[-1].split()[-1] == "libsodium-dev"
    assert "cmake" not in asked.read_text()


def test_the_command_line(leaves_nothing):
    status, output = run("--help")
    assert status == 0
    assert "--daemon PROGRAM" in output

    for mistake in (["--deamon", "x"], ["--daemon"], ["stray"]):
        status, output = run(*mistake)
        assert status == 64
        assert "usage: tools/try" in output


# --- the proof is one


def test_a_process_a_file_and_a_mount_that_are_left_would_be_seen(tmp_path):
    before = traces()
    left = Path(tempfile.mkdtemp())
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", left], check=True)
    with subprocess.Popen(["sleep", "1000"]) as process:
        seen = left_since(before)
        process.kill()
    subprocess.run(["umount", left], check=True)
    left.rmdir()

    assert seen.keys() == {"processes", "files", "mounts"}
    assert left_since(before) == {}
