# SPDX-License-Identifier: BSD-2-Clause
"""postern.conf: what is wrong with one is said at once and starts nothing; what is right in one is what happens."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support import daemon
from support.eventually import eventually
from support.places import POSTERND, SOURCE
from support.processes import all_processes
from support.sasldb import ALICE, BOB, Sasldb

DEFAULT_FILE = Path("/etc/postern/postern.conf")  # in the namespace

GOOD = """
[listener postfix]
socket = {directory}/mux

[backend local]
type = sasldb

[route]
default = local
"""

BAD = """stray = yes
[daemon]
usr = postern
[listener postfix]
socket = run/mux
mode = 0999
[backend local]
type = sasldc
[backend staff]
type = sasldb
worker = 5
words without a sign
[backend realm]
type = kerberos5
krb5_instances = imap=mail smtp
[route]
default = locl staff
next_on staff = rejectd
[listner other]
"""

BAD_LINES = """
1: stray: a [section] was expected before the first key
3: [daemon] usr: there is no such key in a [daemon]; another one was expected; did you mean user?
5: [listener postfix] socket: run/mux: an absolute path was expected
6: [listener postfix] mode: 0999: an octal mode from 0000 to 0777 was expected, such as 0660
8: [backend local] type: unknown authentication mechanism: sasldc; did you mean sasldb?
11: [backend staff] worker: there is no such key in a [backend]; another one was expected; did you mean workers?
12: [backend staff]: key = value was expected
15: [backend realm] krb5_instances: smtp: SERVICE=INSTANCE was expected
17: [route] default: there is no [backend locl]; the name of one was expected; did you mean local?
18: [route] next_on staff: rejectd: rejected, unknown_user, barred or unavailable was expected; did you mean rejected?
19: [listner other]: there is no such section; [daemon], [cache], [listener NAME], [backend NAME], [route] or [route NAME] \
was expected; did you mean listener?
""".strip().splitlines()


def run(*arguments, program=POSTERND, name=None):
    return subprocess.run([name or program, *arguments], executable=program, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20, check=False)


def postern_processes():
    """Those that are alive; others may be on their way out."""
    return {process.pid for process in all_processes() if _is_postern(process)}


def _is_postern(process):
    try:
        return process.is_alive and process.name.startswith("postern")
    except OSError:
        return False


@pytest.fixture
def starts_nothing(tmp_path):
    """No process, and nothing in the directories that its files and sockets would be in."""
    def files():
        return sorted(os.listdir("/run/postern")) if Path("/run/postern").exists() else None

    processes_before, files_before = postern_processes(), files()
    yield
    assert postern_processes() <= processes_before
    assert files() == files_before
    assert sorted(os.listdir(tmp_path)) == ["postern.conf"]


def write(directory, text, mode=0o600):
    path = directory / "postern.conf"
    path.write_text(text.format(directory=directory))
    path.chmod(mode)
    return path


# The check

def test_a_check_of_a_good_file_says_ok_and_starts_nothing(tmp_path, starts_nothing):
    path = write(tmp_path, GOOD)
    done = run("--check", "--config", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{path}: OK\n")


@pytest.mark.parametrize("flags", [["--check"], [], ["-f"], ["-d", "--check"]], ids=" ".join)
def test_all_that_is_wrong_is_said_at_once_and_nothing_is_started(flags, tmp_path, starts_nothing):
    path = write(tmp_path, BAD)
    done = run(*flags, "--config", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"{path}:{line}" for line in BAD_LINES]


def test_a_check_of_flags_says_ok_or_what_is_wrong():
    good, bad = run("--check", "-a", "sasldb", "-m", "/nonexistent"), run("--check", "-a", "sasldb", "-n", "many")
    assert (good.returncode, good.stderr) == (0, "the flags are OK\n")
    assert bad.returncode == 1 and "-n many: a number from 0 to 512 was expected" in bad.stderr


def test_without_flags_the_file_has_one_place(tmp_path):
    assert not DEFAULT_FILE.exists()
    missing = run("--check")
    assert missing.returncode == 1
    assert f"there is no {DEFAULT_FILE}; without a file, -a LIST is required" in missing.stderr
    DEFAULT_FILE.parent.mkdir()
    try:
        DEFAULT_FILE.write_text(GOOD.format(directory=tmp_path))
        assert run("--check").stderr == f"{DEFAULT_FILE}: OK\n"
        as_saslauthd = run("--check", name="/usr/sbin/saslauthd")
        assert as_saslauthd.returncode == 1 and "-a says whom to ask" in as_saslauthd.stderr
    finally:
        DEFAULT_FILE.unlink(missing_ok=True)
        DEFAULT_FILE.parent.rmdir()


def test_a_file_that_is_not_there_or_not_ours_is_said(tmp_path):
    path = write(tmp_path, GOOD, 0o600)
    assert run("--check", "--config", tmp_path / "none").stderr == f"{tmp_path}/none: No such file or directory\n"
    assert run("--check", "--config", tmp_path).stderr == f"{tmp_path}: a regular file was expected\n"
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:-1]:
        parent.chmod(parent.stat().st_mode | 0o055)
    unreadable = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", POSTERND, "--check", "--config", path],
                                capture_output=True, text=True, timeout=20, check=False)
    assert (unreadable.returncode, unreadable.stderr) == (1, f"{path}: Permission denied\n")


def test_the_modes_of_a_file_that_others_may_write_or_learn_a_password_from(tmp_path):
    path = write(tmp_path, GOOD, 0o666)
    done = run("--check", "--config", path)
    assert done.returncode == 1 and f"chmod go-w {path}" in done.stderr
    path = write(tmp_path, GOOD, 0o644)
    os.chown(path, 12345, 0)
    done = run("--check", "--config", path)
    assert done.returncode == 1 and f"chown root {path}" in done.stderr
    os.chown(path, 0, 0)
    path = write(tmp_path, GOOD + "[backend secret]\ntype = fault\nfault_password = hunter2\n", 0o644)
    done = run("--check", "--config", path)
    assert done.returncode == 1 and f"chmod o-r {path}" in done.stderr and "hunter2" not in done.stderr
    path.chmod(0o640)
    assert run("--check", "--config", path).returncode == 0


@pytest.mark.parametrize("name", ["README.md", "docs/postern.conf.md"])
def test_the_examples_are_right(name, tmp_path):
    examples = re.findall(r"^```ini\n(.*?)^```", (SOURCE / name).read_text(), re.MULTILINE | re.DOTALL)
    assert examples
    for number, text in enumerate(examples):
        path = tmp_path / str(number)
        path.write_text(text)
        done = run("--check", "--config", path)
        assert (done.returncode, done.stderr) == (0, f"{path}: OK\n")


# The daemon

TWO = """
[listener postfix]
socket = DIR/postfix
[listener submission]
socket = DIR/submission
route = staff
join_realm = yes
when_unavailable = say_no
deadline = 2s

[backend local]
type = sasldb
workers = 1
[backend others]
type = sasldb
sasldb_path = DIR/sasldb2
workers = 1
[backend staff]
type = fault
fault_password = first
workers = 2
[backend strict]
type = fault
fault_password = second
workers = 1

[route]
default = local staff
example.org = others
failure_delay = 0
[route staff]
default = staff strict
example.net = strict
next_on staff = rejected
failure_delay = 0
"""


@pytest.fixture
def two(sasldb, start_postern_conf):
    directory = daemon.new_run_directory()
    Sasldb(directory / "sasldb2").add(BOB)
    return start_postern_conf(TWO, directory=directory)


def test_each_listener_has_its_route(two):
    assert set(two.sockets) == {"postfix", "submission"}
    assert two.ask(ALICE.user, ALICE.password, realm=ALICE.realm).is_accepted
    assert two.ask(ALICE.user, ALICE.password, realm=ALICE.realm, listener="submission").is_refused
    assert two.ask("carol", "first").is_accepted, "unknown to local, so staff is asked"
    assert two.ask("carol", "second").is_refused
    assert two.ask("carol", "second", listener="submission").is_accepted, "rejected by staff, so strict is asked"


def test_a_realm_has_its_own_backends(two):
    assert two.ask(BOB.user, BOB.password, realm="example.org").is_accepted
    assert two.ask("carol", "first", realm="example.org").is_refused
    assert two.ask("carol", "first", realm="Example.org").is_refused, "a realm is the same in any case"
    assert two.ask("carol", "first", realm="example.net", listener="submission").is_refused
    assert two.ask("carol", "second", realm="example.net", listener="submission").is_accepted


def test_next_on_takes_the_place_of_the_usual_verdicts(two):
    """Of `unavailable` too: strict would accept."""
    assert two.ask("unavailable", "second", listener="submission").text.startswith("NO")
    assert "mech=staff] [reason=the source is down" in two.output


def test_each_listener_has_its_keys(two):
    assert two.ask("unavailable", "first").is_unavailable
    assert two.ask("unavailable", "first", listener="submission").is_refused, "when_unavailable = say_no"
    assert two.ask("carol", "nothing", realm="example.net", listener="submission").is_refused
    assert "[user=carol@example.net]" in two.output, "join_realm = yes"


def test_workers_are_as_many_as_each_backend_says(two):
    wanted = {"local": 1, "others": 1, "staff": 2, "strict": 1}
    eventually(lambda: {name: len(two.workers(name)) for name in wanted} == wanted, "all workers are there")


PASSWORDS = [
    "plain", " one blank in front", "\ta tab in front", "blanks behind  ", "#comment", "a # b ; c", ";", "=", "a=b==",
    '"quoted"', "'", "[backend x]", "back\\slash\\n", "$HOME `id` %s", "caf\u00e9", "\udcff\udcfe\udc80", "x" * 900,
]


def test_a_password_in_the_file_is_what_stands_there_byte_for_byte(start_postern_conf):
    backends = "".join(f"[backend b{i}]\ntype = fault\nworkers = 1\nworkers_max = 1\nfault_password = {password}\n"
                       for i, password in enumerate(PASSWORDS))
    realms = "".join(f"realm{i} = b{i}\n" for i in range(len(PASSWORDS)))
    postern = start_postern_conf(
        f"[listener a]\nsocket = DIR/mux\n{backends}[route]\nfailure_delay = 0\n{realms}")
    for i, password in enumerate(PASSWORDS):
        raw = password.encode("utf-8", "surrogateescape")
        near = {b"good", raw + b"x", raw + b" ", b" " + raw}
        others = near | {raw.strip(), raw.strip(b"\"'"), raw.partition(b"#")[0]} - {raw}
        assert postern.ask("user", raw, realm=f"realm{i}").is_accepted, password
        for other in others:
            assert postern.ask("user", other, realm=f"realm{i}").is_refused, (password, other)
    for password in PASSWORDS[1:4]:
        assert password.strip() not in postern.output


def test_a_realm_without_a_backend_is_an_outage(start_postern_conf):
    postern = start_postern_conf(
        "[listener a]\nsocket = DIR/mux\n[backend b]\ntype = fault\n[route]\nexample.org = b\n")
    assert postern.ask("user", "good", realm="example.org").is_accepted
    assert postern.ask("user", "good", realm="example.com").is_unavailable
    assert "no backend is configured for this realm" in postern.output
