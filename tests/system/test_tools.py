# SPDX-License-Identifier: BSD-2-Clause
"""Debian's tools and init script with our daemon, our tools with Debian's daemon, and both called by the other's name."""

import grp
import json
import os
import subprocess
from pathlib import Path

import pytest

from support import daemon, libsasl2
from support.eventually import eventually
from support.lying_server import LyingServer
from support.places import HOST_NAME, POSTERN, POSTERND, SASLAUTHD, TESTSASLAUTHD
from support.processes import Process, all_processes
from support.sasldb import ALICE, BOB, Account, Sasldb, passwd
from support.wire import counted


def run(program, *arguments, **kind):
    """Exit status, stdout and stderr."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, **kind)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def called_as(tmp_path):
    """called_as("saslauthd", POSTERND): the program under another name."""
    def link(name, program):
        path = tmp_path / name
        path.symlink_to(program)
        return path
    return link


# ---- testsaslauthd

LOGINS = {
    "right": ["-u", ALICE.user, "-p", ALICE.password],
    "wrong": ["-u", ALICE.user, "-p", "looking-glass"],
    "empty password": ["-u", ALICE.user, "-p", ""],
    "empty user": ["-u", "", "-p", "x"],
    "unknown": ["-u", "nobody", "-p", "x"],
    "realm": ["-u", BOB.user, "-p", BOB.password, "-r", BOB.realm],
    "wrong realm": ["-u", BOB.user, "-p", BOB.password, "-r", "elsewhere"],
    "realm in the name": ["-u", f"{BOB.user}@{BOB.realm}", "-p", BOB.password],
    "service": ["-u", ALICE.user, "-p", ALICE.password, "-s", "smtp"],
    "three times": ["-u", ALICE.user, "-p", ALICE.password, "-R", "3"],
    "three times wrong": ["-u", ALICE.user, "-p", "x", "-R", "3"],
}
NO_SERVER = ["-u", ALICE.user, "-p", ALICE.password, "-f", "/run/no/such/mux"]
MISTAKES = {
    "nothing": [],
    "no password": ["-u", ALICE.user],
    "no user": ["-p", "x"],
    "unknown flag": ["-u", "x", "-p", "x", "-Z"],
    "missing value": ["-u", "x", "-p"],
    "help": ["-h"],
    "stray word": ["-u", "x", "-p", "x", "stray", "-f", "/run/no/such/mux"],
}
REPLIES = {
    "empty reply": counted(""),
    "no reply": b"",
    "half a length": b"\0",
    "half a reply": b"\0\2O",
    "one letter": counted("O"),
    "text behind OK": counted("OK welcome"),
    "text behind NO": counted("NO go away"),
    "other word": counted("YES"),
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_debians_testsaslauthd_sees_no_difference(login, saslauthd, postern):
    theirs, ours = (run(TESTSASLAUTHD, *login, "-f", server.socket) for server in (saslauthd, postern))
    assert ours == theirs


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_our_testsaslauthd_does_what_debians_does(login, saslauthd, postern, called_as):
    testsaslauthd = called_as("testsaslauthd", POSTERN)
    for server in (saslauthd, postern):
        assert run(testsaslauthd, *login, "-f", server.socket) == run(TESTSASLAUTHD, *login, "-f", server.socket)


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_our_testsaslauthd_reads_replies_as_debians_does(reply, saslauthd, called_as, tmp_path):
    login = ["-u", ALICE.user, "-p", ALICE.password, "-f", tmp_path / "mux"]
    with LyingServer(tmp_path / "mux", saslauthd.socket, lambda *_: reply):
        assert run(called_as("testsaslauthd", POSTERN), *login) == run(TESTSASLAUTHD, *login)


def test_our_testsaslauthd_without_a_server(called_as):
    assert run(called_as("testsaslauthd", POSTERN), *NO_SERVER) == run(TESTSASLAUTHD, *NO_SERVER)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_our_testsaslauthd_ends_as_debians_does_after_a_mistake(mistake, called_as):
    status, output, problem = run(called_as("testsaslauthd", POSTERN), *mistake)
    assert (status, output) == run(TESTSASLAUTHD, *mistake)[:2]
    assert problem, "it says what is wrong"


# ---- postern test


@pytest.mark.parametrize("name", ["right", "wrong", "empty password", "unknown", "realm", "service", "three times"])
def test_postern_test_prints_what_testsaslauthd_prints(name, saslauthd, postern):
    for server in (saslauthd, postern):
        theirs = run(TESTSASLAUTHD, *LOGINS[name], "-f", server.socket)
        assert run(POSTERN, "test", *LOGINS[name], "-f", server.socket)[:2] == theirs[:2]


def test_postern_test_reads_the_password_from_a_pipe(postern):
    arguments = ["test", "-u", ALICE.user, "-f", postern.socket]
    assert run(POSTERN, *arguments, input=ALICE.password + "\n")[0] == 0
    assert run(POSTERN, *arguments, input="looking-glass\n")[0] == 255


def test_postern_test_tells_an_outage_from_a_refusal(postern, sasldb):
    arguments = ["test", *LOGINS["right"], "-f", postern.socket]
    sasldb.take_away()
    status, output, problem = run(POSTERN, *arguments)
    assert status == os.EX_TEMPFAIL
    assert "NO" not in output and "temporar" in output + problem
    sasldb.put_back()
    assert run(POSTERN, *arguments)[0] == 0


def test_postern_test_tells_programs_in_json(postern, sasldb):
    def verdicts(*login):
        status, output, _ = run(POSTERN, "test", "--json", *login, "-f", postern.socket)
        lines = [json.loads(line) for line in output.splitlines()]
        assert [line["attempt"] for line in lines] == list(range(len(lines)))
        assert {line["socket"] for line in lines} == {str(postern.socket)}
        assert all(0 <= line["milliseconds"] < 15000 for line in lines)
        assert ALICE.password not in output
        return status, [(line["verdict"], line.get("cause")) for line in lines]

    assert verdicts(*LOGINS["right"]) == (0, [("accepted", None)])
    assert verdicts(*LOGINS["three times wrong"]) == (255, [("refused", None)] * 3)
    sasldb.take_away()
    assert verdicts(*LOGINS["right"]) == (os.EX_TEMPFAIL, [
        ("unavailable", "the daemon could not ask its backend (empty reply)")])


# ---- password databases, both ways


@pytest.fixture
def database():
    """Another one than /etc/sasldb2."""
    return Sasldb(Path("/etc/postern-test-sasldb2"))


def test_saslpasswd2s_files_serve_posternd(database, start_postern):
    database.add(ALICE).add(BOB)
    postern = start_postern("--sasldb-path", str(database.path))
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
    assert postern.ask(BOB.user, BOB.password).is_refused

    database.add(Account(ALICE.user, "changed"))
    assert postern.ask(ALICE.user, "changed").is_accepted
    assert postern.ask(ALICE.user, ALICE.password).is_refused


def test_postern_passwds_files_are_read_by_debians_tools_and_saslauthd(saslauthd, sasldb):
    sasldb.path.unlink()
    passwd(sasldb, "carol@example.org", "christmas", "--plain")
    passwd(sasldb, "dave", "d€nmark 100%", "--plain")
    assert sasldb.listing() == ["carol@example.org: userPassword", f"dave@{HOST_NAME}: userPassword"]
    assert saslauthd.ask("carol", "christmas", realm="example.org").is_accepted
    assert saslauthd.ask("dave", "d€nmark 100%").is_accepted
    assert saslauthd.ask("dave", "x").is_refused


def test_postern_passwd_changes_what_saslpasswd2_wrote(saslauthd, postern, sasldb):
    before = sasldb.path.stat()
    passwd(sasldb, ALICE.user, "changed", "--plain")
    assert sasldb.listing() == sorted([f"{ALICE.user}@{ALICE.realm}: userPassword", f"{BOB.user}@{BOB.realm}: userPassword"])
    for server in (saslauthd, postern):
        assert server.ask(ALICE.user, "changed").is_accepted
        assert server.ask(ALICE.user, ALICE.password).is_refused
        assert server.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
    after = sasldb.path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino  # replaced in one step, never half-written


def test_saslpasswd2_changes_what_postern_passwd_wrote(saslauthd, postern, sasldb):
    passwd(sasldb, "carol@example.org", "christmas")
    sasldb.add(Account("carol", "changed", "example.org"))
    for server in (saslauthd, postern):
        assert server.ask("carol", "changed", realm="example.org").is_accepted
        assert server.ask("carol", "christmas", realm="example.org").is_refused


# ---- verifiers, which Cyrus SASL's SCRAM alone reads (backends/cyrus_sasl_test.cpp), and LMDB files


def let_in_by_posternd_alone(saslauthd, postern, kept):
    """ALICE, by her changed password: not by the old one, nor by what is kept of the new one. BOB as ever."""
    assert postern.ask(ALICE.user, "changed").is_accepted
    for server in (saslauthd, postern):
        assert server.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
        assert server.ask(ALICE.user, ALICE.password).is_refused
        assert server.ask(ALICE.user, kept).is_refused
    assert saslauthd.ask(ALICE.user, "changed").is_refused


def test_a_verifier_is_checked_by_posternd_and_is_no_password_of_cyrus_sasl(saslauthd, postern, sasldb):
    said = passwd(sasldb, ALICE.user, "changed")
    assert said == f"{ALICE.user}@{ALICE.realm}: changed in {sasldb.path}, as a SCRAM-SHA-256 verifier\n"
    assert f"{ALICE.user}@{ALICE.realm}: authPassword" in sasldb.listing()
    assert f"{ALICE.user}@{ALICE.realm}: userPassword" not in sasldb.listing()
    kept = sasldb.entry(ALICE.user, ALICE.realm, "authPassword")
    assert kept.startswith("SCRAM-SHA-256$15000:")
    assert b"changed" not in sasldb.path.read_bytes()

    let_in_by_posternd_alone(saslauthd, postern, kept)
    assert not libsasl2.accepts(ALICE.user, "changed")


def test_an_lmdb_file_serves_posternd_whose_worker_may_not_touch_its_lock(database, start_postern):
    for old in database.path.parent.glob(database.path.name + "*"):
        old.unlink()
    entry = f"{ALICE.user}\\00{ALICE.realm}\\00userPassword\n{ALICE.password}\n"
    subprocess.run(["mdb_load", "-n", "-T", database.path], input=entry, text=True, check=True, timeout=20)
    lock = database.path.with_name(database.path.name + "-lock")
    os.chown(database.path, 0, grp.getgrnam("sasl").gr_gid)
    database.path.chmod(0o640)
    lock.chmod(0o600)

    postern = start_postern("--sasldb-path", str(database.path))
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert postern.ask(ALICE.user, "x").is_refused
    passwd(database, ALICE.user, "changed")
    passwd(database, f"{BOB.user}@{BOB.realm}", BOB.password, "--argon2")
    assert postern.ask(ALICE.user, "changed").is_accepted
    assert postern.ask(ALICE.user, ALICE.password).is_refused
    assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
    assert lock.stat().st_mode & 0o777 == 0o600


# ---- hashes, which Cyrus SASL knows nothing of


def test_a_hash_is_checked_by_posternd_and_is_no_password_of_cyrus_sasl(saslauthd, postern, sasldb):
    said = passwd(sasldb, ALICE.user, "changed", "--argon2")
    assert said == f"{ALICE.user}@{ALICE.realm}: changed in {sasldb.path}, as an Argon2id hash\n"
    assert f"{ALICE.user}@{ALICE.realm}: userPassword" not in sasldb.listing()
    kept = sasldb.entry(ALICE.user, ALICE.realm, "posternArgon2id")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert b"changed" not in sasldb.path.read_bytes()

    let_in_by_posternd_alone(saslauthd, postern, kept)


def test_libsasl2_itself_takes_no_hash_for_a_password(sasldb):
    assert libsasl2.accepts(ALICE.user, ALICE.password)
    passwd(sasldb, ALICE.user, "changed", "--argon2")
    kept = sasldb.entry(ALICE.user, ALICE.realm, "posternArgon2id")
    assert kept
    for password in (ALICE.password, "changed", kept):
        assert not libsasl2.accepts(ALICE.user, password)
    sasldb.add(Account(ALICE.user, "theirs"))
    assert libsasl2.accepts(ALICE.user, "theirs")


def test_a_password_from_saslpasswd2_wins_over_a_hash(saslauthd, postern, sasldb):
    passwd(sasldb, ALICE.user, "hashed", "--argon2")
    sasldb.add(Account(ALICE.user, "theirs"))
    for server in (saslauthd, postern):
        assert server.ask(ALICE.user, "theirs").is_accepted
        assert server.ask(ALICE.user, "hashed").is_refused
    passwd(sasldb, ALICE.user, "plain", "--plain")
    assert sasldb.entry(ALICE.user, ALICE.realm, "posternArgon2id") is None
    for server in (saslauthd, postern):
        assert server.ask(ALICE.user, "plain").is_accepted
        assert server.ask(ALICE.user, "theirs").is_refused


def test_only_postern_passwd_deletes_a_hash(postern, sasldb):
    passwd(sasldb, ALICE.user, "hashed", "--argon2")
    sasldb.delete(ALICE)
    assert postern.ask(ALICE.user, "hashed").is_accepted
    assert passwd(sasldb, ALICE.user, "", "--delete") == f"{ALICE.user}@{ALICE.realm}: deleted from {sasldb.path}\n"
    assert postern.ask(ALICE.user, "hashed").is_refused
    assert sasldb.listing() == [f"{BOB.user}@{BOB.realm}: userPassword"]

    status, output, problem = run(POSTERN, "passwd", "--delete", "-f", sasldb.path, ALICE.user)
    assert (status, output) == (1, "") and "has no password there; nothing was changed" in problem
    assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted


# ---- posternd in saslauthd's place


def test_called_as_saslauthd_it_has_that_name(sasldb, start_postern, called_as):
    postern = start_postern(program=called_as("saslauthd", POSTERND), mode="")
    assert postern.supervisor.name == "saslauthd"
    assert "saslauthd" in postern.supervisor.command_line
    assert postern.supervisor.executable == str(POSTERND)
    assert postern.ask(ALICE.user, ALICE.password).is_accepted


@pytest.fixture(params=[SASLAUTHD, POSTERND], ids=["saslauthd", "posternd"])
def init_script(request, sasldb, called_as):
    """Debian's init script, word for word but for the program, as /etc/default/saslauthd tells it."""
    program = called_as("saslauthd", request.param)
    script, defaults = Path("/etc/init.d/saslauthd"), Path("/etc/default/saslauthd")
    before = script.read_text(), defaults.read_text()
    script.write_text(before[0].replace("DAEMON=/usr/sbin/saslauthd", f"DAEMON={program}"))
    defaults.write_text(before[1].replace('MECHANISMS="pam"', 'MECHANISMS="sasldb"') + "START=yes\n")
    assert str(program) in script.read_text() and "sasldb" in defaults.read_text()

    def service(action):
        status, output, problem = run(script, action, env={**os.environ, "_SYSTEMCTL_SKIP_REDIRECT": "1"})
        return status, output + problem

    yield service
    service("stop")
    script.write_text(before[0])
    defaults.write_text(before[1])


def test_debians_init_script_starts_reloads_and_stops_it(init_script):
    run_directory = Path("/var/run/saslauthd")
    assert init_script("status")[0] == 3

    assert init_script("start")[0] == 0
    assert oct(run_directory.stat().st_mode) == oct(0o40710)
    process = Process(int((run_directory / "saslauthd.pid").read_text()))
    assert process.is_alive
    assert init_script("status")[0] == 0
    assert run(TESTSASLAUTHD, *LOGINS["right"])[0] == 0

    status, output = init_script("start")
    assert status == 0 and "already running" in output
    assert init_script("reload")[0] == 0
    assert process.is_alive
    assert run(TESTSASLAUTHD, *LOGINS["right"])[0] == 0

    assert init_script("stop")[0] == 0
    process.wait_gone()
    assert not (run_directory / "mux").exists()
    assert init_script("status")[0] == 3
    eventually(lambda: not [left for left in all_processes() if left.is_alive and left.name == "saslauthd"], "all have ended")


def test_both_refuse_to_start_where_the_other_runs(saslauthd, postern, sasldb, start_postern):
    detached = start_postern(mode="")
    another = "Another instance of saslauthd is currently running"
    in_the_foreground = "could not lock pid lock file"  # saslauthd's words for one that was started with -d
    for program, running, status, words in ((POSTERND, saslauthd, 2, another), (SASLAUTHD, detached, 2, another),
                                            (SASLAUTHD, postern, 1, in_the_foreground)):
        second = run(program, "-a", "sasldb", "-m", running.directory)
        assert second[0] == status and words in second[2]
        assert running.ask(ALICE.user, ALICE.password).is_accepted
        (running.directory / "mux.accept").unlink(missing_ok=True)  # saslauthd makes it before it looks around


def test_start_stop_daemon_finds_it_by_every_mark(sasldb, daemons, called_as):
    program = called_as("saslauthd", POSTERND)
    postern = daemons.start(daemon.posternd(program=program, mode=""))
    marks = [["--exec", program], ["--name", "saslauthd"], ["--pidfile", postern.pid_file]]
    marks.append([word for mark in marks for word in mark])
    for mark in marks:
        assert run("start-stop-daemon", "--status", *mark)[0] == 0, mark
        assert run("start-stop-daemon", "--stop", "--test", *mark)[0] == 0, mark
        assert run("start-stop-daemon", "--start", "--test", *mark, *([] if "--exec" in mark else ["--exec", program]))[0] == 1, mark
