# SPDX-License-Identifier: BSD-2-Clause
"""The backend types that ask the host: pam with real stacks and modules that misbehave, shadow, getpwent."""

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import control
from support.dovecot_auth import Client
from support.eventually import eventually
from support.host_accounts import DEBIANS_STACK, SHADOW, STACKS, HostAccounts, Modules, cheap_hash
from support.load import Expected, wrong_answers
from support.sasldb import ALICE, BOB, Account
from support.wire import request

USER, PASSWORD = "walter", "wonderland"
LOGINS = [Expected(USER, PASSWORD, "", True), Expected(USER, "looking-glass", "", False)]
PERMIT = "account required pam_permit.so\n"


@pytest.fixture(scope="module")
def host():
    """Debian's stacks without their delay, and one user; all is put back at the end."""
    accounts = HostAccounts()
    accounts.write_stack("imap", DEBIANS_STACK)
    accounts.write_stack("other", DEBIANS_STACK)
    accounts.add(USER, password=PASSWORD)
    yield accounts
    accounts.put_back()


@pytest.fixture
def modules(tmp_path):
    return Modules(tmp_path)


@pytest.fixture
def start_pam(host, start_postern):
    return lambda *flags, **kind: start_postern(*flags, backend="pam", **kind)


def reasons(daemon):
    """Of the refusals and outages in its log, the latest last."""
    return [line.rpartition("[reason=")[2].rstrip("]") for line in daemon.output.splitlines() if "[reason=" in line]


# Stacks

def test_debians_stack_and_what_it_says_of_accounts(host, start_pam):
    host.add_with_tools("expired", PASSWORD, ["chage", "-E", "2020-01-01"])
    host.add_with_tools("locked", PASSWORD, ["usermod", "-L"])
    host.add_with_tools("outdated", PASSWORD, ["chage", "-d", "0"])
    host.add_with_tools("fine", PASSWORD)
    pam = start_pam()
    assert pam.ask("fine", PASSWORD).is_accepted
    for user, password, reason in [("fine", "x", "PAM auth error"), ("expired", "x", "PAM auth error"),
                                   ("expired", PASSWORD, "PAM acct error"), ("outdated", PASSWORD, "PAM acct error"),
                                   ("locked", PASSWORD, "PAM auth error"), ("nobody-there", "x", "PAM auth error")]:
        assert str(pam.ask(user, password)) == '"NO"', user
        assert reasons(pam)[-1] == reason, user


def test_an_unknown_service_has_the_stack_other(host, start_pam):
    host.write_stack("closed", "auth required pam_deny.so\n" + PERMIT)
    pam = start_pam()
    assert pam.ask(USER, PASSWORD, service="nosuchservice").is_accepted
    assert pam.ask(USER, PASSWORD, service="").is_accepted
    assert pam.ask(USER, PASSWORD, service="closed").is_refused
    assert pam.ask(USER, PASSWORD, service="CLOSED").is_refused


def test_a_path_is_no_service(host, start_pam):
    """libpam would cut it, and take the stack of what is left."""
    pam = start_pam()
    for service in ("../other", "/etc/pam.d/other", "..", ".", ".other", "oth\ner", "\x7f", "ümlaut"):
        assert str(pam.ask(USER, PASSWORD, service=service)) == '"NO"', service
        assert reasons(pam)[-1] == "PAM start error"


def test_an_outage_shows_as_far_as_the_stack_lets_it(host, start_pam):
    """pam_debug stands for a directory that is down. Debian's stack ends in pam_deny, which hides it."""
    host.write_stack("hides", "auth [success=2 default=ignore] pam_unix.so nodelay\n"
                              "auth [success=1 default=ignore] pam_debug.so auth=authinfo_unavail\n"
                              "auth requisite pam_deny.so\nauth required pam_permit.so\n" + PERMIT)
    host.write_stack("shows", "auth sufficient pam_unix.so nodelay\n"
                              "auth required pam_debug.so auth=authinfo_unavail\n" + PERMIT)
    host.write_stack("broken", "auth required /nonexistent/module.so\n" + PERMIT)
    pam = start_pam()
    for service in ("hides", "shows"):
        assert pam.ask(USER, PASSWORD, service=service).is_accepted
    assert pam.ask("elsewhere", PASSWORD, service="hides").is_refused
    assert reasons(pam)[-1] == "PAM auth error"
    assert pam.ask("elsewhere", PASSWORD, service="shows").is_unavailable
    assert reasons(pam)[-1] == "PAM auth error: Authentication service cannot retrieve authentication info"
    assert pam.ask(USER, PASSWORD, service="broken").is_unavailable
    assert reasons(pam)[-1] == "PAM auth error: Module is unknown"


# Libraries

@pytest.mark.parametrize("keep", ["yes", "no"])
def test_a_module_that_was_replaced_takes_effect_at_the_next_login(host, start_pam, modules, keep):
    """Whichever of the workers has it in memory, and be it all of them."""
    module = modules.build("answers", ANSWER="PAM_AUTH_ERR")
    host.write_stack("replaced", f"auth required {module}\n" + PERMIT)
    pam = start_pam("--pam-keep-loaded", keep, "--workers-max", "5")
    is_accepted = False
    for answer in ("PAM_SUCCESS", "PAM_AUTH_ERR", "PAM_SUCCESS"):
        eventually(lambda: all_were_asked(pam, is_accepted), "each worker has answered", 30)
        modules.build("answers", ANSWER=answer)
        is_accepted = answer == "PAM_SUCCESS"
        for _ in range(10):
            reply = pam.ask(USER, PASSWORD, service="replaced")
            assert reply.is_accepted == is_accepted and not reply.is_unavailable, reasons(pam)[-1:]


def all_were_asked(pam, is_accepted):
    """Asks again, several at a time; whether each of the five has had its turn by now."""
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda _: pam.ask(USER, PASSWORD, service="replaced"), range(10)))
    assert all(reply.is_accepted == is_accepted and not reply.is_unavailable for reply in replies), reasons(pam)[-1:]
    workers = control.backend_status(pam.directory, "pam")["workers"]
    return len(workers) == 5 and all(worker["answers"] > 0 for worker in workers)


def test_a_login_whose_worker_is_out_of_date_goes_to_another(host, start_pam):
    """Again and again: the news that the worker has ended must not overtake its last words."""
    pam = start_pam("--workers-max", "5")
    for number in range(30):
        old = eventually(lambda: are_waiting(pam.workers("pam")), "five workers are ready", 30)
        os.utime(STACKS, (number, number))
        assert pam.ask(USER, PASSWORD).is_accepted, f"login {number}: {reasons(pam)[-1:]}"
        eventually(lambda: not set(pam.workers("pam")) & set(old), "all have gone: what was replaced was so for each")


def are_waiting(workers):
    """Five workers, all in recvmsg(2): system call 47."""
    try:
        calls = [(worker.directory / "syscall").read_text() for worker in workers]
    except OSError:  # one has ended
        return False
    return len(calls) == 5 and all(call.startswith("47 ") for call in calls) and workers


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_a_worker_keeps_the_libraries_of_stacks_if_it_may(host, start_pam, modules, keep):
    for number in range(10):
        modules.build("answers", file=f"kept{number}", ANSWER="PAM_SUCCESS")
        host.write_stack(f"kept{number}", f"auth required {modules.directory}/kept{number}.so\n" + PERMIT)
    pam = start_pam("--pam-keep-loaded", keep, workers=1)
    for number in range(10):
        assert pam.ask(USER, PASSWORD, service=f"kept{number}").is_accepted
        assert pam.ask(USER, PASSWORD, service=f"unheard-of{number}").is_accepted
    (worker,) = pam.workers("pam")
    kept = [path for path in worker.mapped_files if path.startswith(f"{modules.directory}/kept")]
    assert len(kept) == (7 if keep == "yes" else 0)  # of eight; one is `other`


def test_what_a_module_keeps_lives_on_while_it_is_loaded(host, start_pam, start_saslauthd, modules):
    host.write_stack("remembers", f"auth required {modules.build('remembers')}\n" + PERMIT)

    def logins(daemon):
        return [daemon.ask(USER, PASSWORD, service="remembers").is_accepted for _ in range(3)]

    assert logins(start_saslauthd(backend="pam", workers=1)) == [True, True, True]
    assert logins(start_pam("--pam-keep-loaded", "no", workers=1)) == [True, True, True]
    assert logins(start_pam("--pam-keep-loaded", "yes", workers=1)) == [True, False, False]


# Modules that misbehave

def use(host, module):
    host.write_stack("bad", f"auth required {module}\n" + PERMIT)


@pytest.mark.parametrize("name", ["sleeps", "crashes", "exits", "closes_descriptors"])
def test_a_module_that_takes_its_worker_along_costs_its_login_and_no_other(host, start_pam, modules, name):
    """One that sleeps costs it the deadline. Of the others' ends the daemon hears, with a minute to spare; the client
    gives up after fifteen seconds."""
    use(host, modules.build(name))
    pam = start_pam("--deadline", "2s" if name == "sleeps" else "60s", workers=5)
    assert wrong_answers(pam.ask, LOGINS, 20, at_a_time=1) == []
    before = eventually(lambda: len(pam.workers("pam")) >= 5 and set(pam.workers("pam")), "five workers")
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        bad = pool.submit(pam.ask, USER, PASSWORD, "bad")
        assert wrong_answers(pam.ask, LOGINS, 20, at_a_time=1) == []
        assert bad.result().is_unavailable
        assert name != "sleeps" or time.monotonic() - began > 1.9
    assert pam.ask(USER, PASSWORD).is_accepted
    eventually(lambda: len(before - set(pam.workers("pam"))) == 1 and len(pam.workers("pam")) >= 5,
               "the worker that is lost has a successor")
    assert wrong_answers(pam.ask, LOGINS, 20) == []


@pytest.mark.parametrize("keep", ["yes", "no"])
def test_a_module_that_takes_all_signals_changes_nothing_for_others(host, start_pam, modules, keep):
    use(host, modules.build("takes_signals"))
    pam = start_pam("--pam-keep-loaded", keep, "--deadline", "2s", workers=1)
    assert pam.ask(USER, PASSWORD, service="bad").is_accepted
    assert wrong_answers(pam.ask, LOGINS, 20, at_a_time=1) == []
    use(host, modules.build("sleeps"))  # the worker can be killed all the same
    assert pam.ask(USER, PASSWORD, service="bad").is_unavailable
    assert wrong_answers(pam.ask, LOGINS, 20, at_a_time=1) == []


def test_a_module_that_works_only_once_gets_another_process(host, start_pam, modules):
    use(host, modules.build("works_once"))
    pam = start_pam(workers=1)
    for _ in range(3):
        worker = eventually(lambda: pam.workers("pam"), "a worker")[0]
        assert pam.ask(USER, PASSWORD, service="bad").is_accepted
        assert pam.ask(USER, PASSWORD, service="bad").is_unavailable
        assert reasons(pam)[-1] == "PAM auth error: Error in service module"
        eventually(lambda: age(worker) > 1.1, "the worker is old enough to be given up")
        assert pam.ask(USER, PASSWORD).is_accepted
        assert worker not in pam.workers("pam")


def age(process):
    """In seconds."""
    started = int((process.directory / "stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / 100


# Delays

LONGER_DELAY = "refusals of route"  # a notice that begins so


def test_guesses_that_wait_occupy_no_worker(host, start_pam):
    """50 guesses of a stack that asks for more than is granted, which is ten seconds, and 200 right logins beside them,
    all of one and the same worker."""
    host.write_stack("slow", "auth optional pam_faildelay.so delay=600000000\n"
                             "auth required pam_unix.so nodelay\n" + PERMIT)
    pam = start_pam("--workers-max", "1", "--deadline", "30s", workers=1)
    (worker,) = control.backend_status(pam.directory, "pam")["workers"]
    with ThreadPoolExecutor(50) as pool:
        guesses = [pool.submit(seconds_of_a_refusal, pam, "slow") for _ in range(50)]
        eventually(lambda: len(reasons(pam)) == 50, "the guesses are decided")
        for _ in range(200):
            assert pam.ask(USER, PASSWORD, service="slow").is_accepted
        assert min(guess.result() for guess in guesses) > 8
    assert LONGER_DELAY in pam.output
    (same,) = control.backend_status(pam.directory, "pam")["workers"]
    assert (same["pid"], same["answers"]) == (worker["pid"], 250)


def seconds_of_a_refusal(daemon, service):
    began = time.monotonic()
    assert str(daemon.ask(USER, "looking-glass", service=service, seconds=60)) == '"NO"'
    return time.monotonic() - began


# The log

@pytest.mark.parametrize("service", ["imap", "talks"])
def test_a_syslogd_that_stands_still_delays_no_login(host, start_pam, modules, syslog, service):
    """pam_unix, or a module that writes in every way that there is. Each line would have to wait."""
    host.write_stack("talks", f"auth required {modules.build('talks')}\n" + PERMIT)
    pam = start_pam(mode="")
    syslog.pause().fill()
    began = time.monotonic()
    assert wrong_answers(lambda user, password, realm: pam.ask(user, password, service=service),
                         [Expected(USER, "looking-glass", "", False)]) == []
    assert time.monotonic() - began < 30


def test_debians_saslauthd_waits_for_a_syslogd_that_stands_still(host, start_saslauthd, syslog):
    """The control: what the test above would show if lines went where libpam sends them."""
    theirs = start_saslauthd(backend="pam")
    assert theirs.ask(USER, "looking-glass").is_refused
    syslog.pause().fill()
    assert theirs.ask(USER, "looking-glass", seconds=2).ending == "open"


def test_a_module_that_asks_for_a_delay_and_lets_in_delays_no_refusal_after_it(host, start_pam):
    """It asks for more than is granted, which is ten seconds, give or take a tenth; the client gives up before that."""
    host.write_stack("lenient", "auth optional pam_faildelay.so delay=600000000\n"
                                "auth required pam_permit.so\n" + PERMIT)
    pam = start_pam("--deadline", "60s", workers=1)
    assert pam.ask(USER, PASSWORD, service="lenient").is_accepted
    assert pam.ask(USER, "looking-glass", seconds=7).is_refused
    assert LONGER_DELAY not in pam.output


def test_a_line_of_foreign_code_is_the_same_for_both(host, start_pam, start_saslauthd, modules, syslog):
    """Also the lines of -V. In the line of a module is what an expression would look for."""
    host.write_stack("quotes", f"auth required {modules.build('quotes')}\n" + PERMIT)

    def said(daemon):
        syslog.clear()
        daemon.ask(USER, "looking-glass", service="quotes")
        syslog.wait_for("auth failure: ")
        return [(line.facility, line.severity, line.text) for line in syslog.lines()
                if line.text.startswith(("user 'DOM", "granted", "quotes(", "DEBUG: auth_"))]

    theirs = said(start_saslauthd("-V", backend="pam"))
    assert len(theirs) == 4
    assert said(start_pam("-V", mode="")) == theirs


@pytest.mark.parametrize("backend", ["shadow", "getpwent"])
def test_what_is_said_of_an_account_is_the_same_for_both_but_for_hashes(host, start_postern, start_saslauthd, syslog,
                                                                         backend):
    host.add("said-in-passwd", in_passwd=cheap_hash(PASSWORD))
    host.add("said-fine", password=PASSWORD)
    host.add("said-old", password=PASSWORD, dates="19000:0:5:7::")
    host.add("said-gone", password=PASSWORD, dates="19000:0:99999:7::19000")
    host.add("said-hidden", hashed="*NP*")

    def said(daemon):
        syslog.clear()
        for user in ("said-fine", "said-old", "said-gone", "said-hidden", "said-in-passwd", "said-nowhere"):
            daemon.ask(user, PASSWORD)
        daemon.ask("said-in-passwd", "looking-glass")
        daemon.ask("said-last", PASSWORD)
        syslog.wait_for("getpwnam(said-last)")
        return [(line.facility, line.severity, line.text) for line in syslog.lines()
                if line.text.startswith("DEBUG: auth_") and "pw mismatch" not in line.text]

    theirs = said(start_saslauthd("-V", backend=backend))
    assert len(theirs) == 8
    assert said(start_postern("-V", backend=backend, mode="")) == theirs


def test_what_modules_say_is_logged_in_their_words(host, start_pam, modules, syslog):
    host.write_stack("talks", f"auth required {modules.build('talks')}\n" + PERMIT)
    pam = start_pam(mode="")
    assert pam.ask(USER, "looking-glass", service="talks").is_refused
    said = [syslog.wait_for(f"said with {how}") for how in ("syslog", "vsyslog", "pam_syslog")]
    assert [(line.facility, line.severity, line.text) for line in said] == [
        ("authpriv", "err", "said with syslog: No such file or directory"),
        ("authpriv", "notice", "said with vsyslog"),
        ("authpriv", "warning", "talks(talks:auth): said with pam_syslog")]
    assert pam.ask(USER, "looking-glass").is_refused
    assert "user=walter" in syslog.wait_for("pam_unix(imap:auth): authentication failure;").text


def test_no_line_holds_a_password_that_a_module_writes(host, start_pam, modules, syslog):
    host.write_stack("tells", f"auth required {modules.build('tells')}\n" + PERMIT)
    pam = start_pam("-V", mode="")
    assert pam.ask(USER, "needle-in-a-haystack", service="tells").is_accepted
    syslog.wait_for("nothing to hide")
    eventually(lambda: sum("was withheld" in text for text in syslog.texts()) == 5, "five lines were withheld")
    assert not [line for line in syslog.lines() if "needle" in line.text]


def test_no_line_holds_a_password_that_a_module_writes_when_the_login_is_over(host, start_pam, modules, syslog):
    host.write_stack("tells-late", f"auth required {modules.build('tells_late')}\n" + PERMIT)
    pam = start_pam(mode="", workers=1)
    assert pam.ask(USER, "needle-in-a-haystack", service="tells-late").is_accepted
    eventually(lambda: sum("was withheld" in text for text in syslog.texts()) == 2, "two lines were withheld", 10)
    assert not [line for line in syslog.lines() if "needle" in line.text]


def test_modules_are_told_where_the_client_is(host, start_pam, start_saslauthd, syslog):
    for daemon, said in ((start_saslauthd(backend="pam"), "rhost=  user=walter"),
                         (start_pam(mode=""), "rhost=192.0.2.7  user=walter")):
        syslog.clear()
        with daemon.connect() as connection:
            connection.send(request(USER, "looking-glass", client_address="192.0.2.7;50123")).reply()
        assert said in syslog.wait_for("pam_unix(imap:auth): authentication failure;").text


def test_no_hash_is_in_the_log(host, start_postern, start_saslauthd, syslog):
    def lines_with_a_hash():
        return [text for text in syslog.texts() if "$6$" in text]

    start_saslauthd("-V", backend="shadow").ask(USER, "x")
    eventually(lines_with_a_hash, "saslauthd writes hashes")
    syslog.clear()
    start_postern("-V", backend="shadow", mode="").ask(USER, "x")
    syslog.wait_for("Incorrect password")
    assert not lines_with_a_hash()


# Processes

def test_each_worker_has_the_rights_of_its_type(host, start_postern):
    daemon = start_postern(backend="pam,shadow,getpwent", workers=1)
    assert daemon.ask(USER, PASSWORD).is_accepted
    for backend in ("pam", "shadow", "getpwent"):
        (worker,) = daemon.workers(backend)
        assert (worker.uids, worker.gids, worker.groups) == ([0] * 4, [0] * 4, [])
        assert worker.has_no_new_privs


def test_libraries_of_backends_are_in_their_workers_alone(host, start_postern):
    daemon = start_postern(backend="pam,shadow,getpwent", workers=1)
    assert daemon.ask(USER, PASSWORD).is_accepted
    for backend, library in (("pam", "/libpam.so"), ("shadow", "/libcrypt.so"), ("getpwent", "/libcrypt.so")):
        (worker,) = daemon.workers(backend)
        eventually(lambda: maps(worker, library), f"the worker of {backend} maps {library}")
        assert not maps(worker, "/libdb-")
    for process in (daemon.front, daemon.supervisor):
        assert not [library for library in ("/libpam", "/libcrypt", "/backend_") if maps(process, library)]


def maps(process, library):
    return [path for path in process.mapped_files if library in path]


# Each request for itself

@pytest.mark.parametrize("backend", ["pam", "shadow", "sasldb"])
def test_no_request_leaves_anything_behind_for_the_next(host, sasldb, start_postern, backend):
    """Row 50 of the faults: one refused, one accepted, 500 times, by one and the same worker."""
    host.add("other-than-" + USER, password="looking-glass")
    sasldb.add(Account(USER, PASSWORD)).add(Account("other-than-" + USER, "looking-glass"))
    daemon = start_postern("--workers-max", "1", backend=backend, workers=1)
    (worker,) = control.backend_status(daemon.directory, backend)["workers"]
    for number in range(500):
        assert daemon.ask(USER, "looking-glass").is_refused, number
        assert daemon.ask("other-than-" + USER, "looking-glass").is_accepted, number
    (same,) = control.backend_status(daemon.directory, backend)["workers"]
    assert (same["pid"], same["answers"]) == (worker["pid"], 1000)


@pytest.mark.parametrize("backend", ["pam", "shadow"])
def test_a_password_of_64_kib_is_refused_and_nobody_is_asked(host, start_postern, backend):
    daemon = start_postern(backend=backend)
    began = daemon.output
    assert daemon.ask(USER, "p" * 65535).is_refused
    assert "password exceeded MAX_REQ_LEN: 1024" in daemon.output.removeprefix(began)
    assert sum(control.backend_status(daemon.directory, backend)["decisions"].values()) == 0
    assert daemon.ask(USER, "p" * 1024).is_refused
    assert control.backend_status(daemon.directory, backend)["decisions"]["rejected"] == 1, "the control: it was asked"


# What is missing at the start

def test_a_database_that_is_missing_at_the_start_is_an_outage_until_it_is_there(sasldb, start_postern):
    """Row 51 of the faults, and below."""
    sasldb.take_away()
    daemon = start_postern()
    assert daemon.ask(ALICE.user, ALICE.password).is_unavailable
    sasldb.put_back()
    assert daemon.ask(ALICE.user, ALICE.password).is_accepted
    assert daemon.ask(ALICE.user, "looking-glass").is_refused


def test_a_stack_that_is_missing_at_the_start_is_an_outage_until_it_is_there(host, start_pam):
    other = STACKS / "other"
    aside = other.rename("/etc/pam-other-aside")
    try:
        pam = start_pam()
        assert pam.ask(USER, PASSWORD, service="later").is_unavailable
        host.write_stack("later", DEBIANS_STACK)
        assert pam.ask(USER, PASSWORD, service="later").is_accepted
        assert pam.ask(USER, "looking-glass", service="later").is_refused
        (STACKS / "later").unlink()
        assert pam.ask(USER, PASSWORD, service="later").is_unavailable, "it is that file which was missing"
    finally:
        aside.rename(other)


def test_a_shadow_file_that_is_missing_at_the_start_is_an_outage_until_it_is_there(host, start_postern):
    aside = SHADOW.rename("/etc/shadow-aside")
    try:
        host.ask_files_alone()
        daemon = start_postern(backend="shadow")
        assert daemon.ask(USER, PASSWORD).is_unavailable
    finally:
        aside.rename(SHADOW)
        host.ask_whom_debian_asks()
    assert daemon.ask(USER, PASSWORD).is_accepted
    assert daemon.ask(USER, "looking-glass").is_refused


# shadow and getpwent

def test_an_expiry_date_of_zero_is_none(host, start_postern, start_saslauthd):
    host.add("zero", password=PASSWORD, dates="19000:0:99999:7::0")
    assert str(start_saslauthd(backend="shadow").ask("zero", PASSWORD)) == '"NO Account expired"'
    shadow = start_postern(backend="shadow")
    assert shadow.ask("zero", PASSWORD).is_accepted
    assert shadow.ask("zero", "x").is_refused


def test_shadow_and_getpwent_say_why_in_the_log_alone(host, start_postern):
    host.add("old", password=PASSWORD, dates="19000:0:5:7::")
    host.add("gone", password=PASSWORD, dates="19000:0:99999:7::19000")
    host.add("hidden", hashed="*NP*")
    host.add("here", in_passwd="x", hashed="!")
    shadow = start_postern(backend="shadow")
    getpwent = start_postern(backend="getpwent")
    for daemon, user, reply, reason in [
            (shadow, "nobody-there", '"NO"', "Invalid username"), (shadow, "here", '"NO"', "Incorrect password"),
            (shadow, "old", '"NO"', "Password expired"), (shadow, "gone", '"NO"', "Account expired"),
            (shadow, "hidden", '""', "Insufficient permission to access NIS authentication database (saslauthd)"),
            (getpwent, "nobody-there", '"NO"', "Invalid username"), (getpwent, "here", '"NO"', "Incorrect password")]:
        assert str(daemon.ask(user, PASSWORD)) == reply, user
        assert reasons(daemon)[-1] == reason


def test_an_unknown_user_of_shadow_costs_a_hash_too(host, start_postern):
    """Debian's own hash takes milliseconds, and a login without one a fraction of that."""
    host.add_with_tools("timed", PASSWORD)
    host.add("barred-for-good", hashed="!")
    shadow = start_postern(backend="shadow", workers=1)

    def seconds(user):
        began = time.monotonic()
        assert shadow.ask(user, "looking-glass").is_refused
        return time.monotonic() - began

    times = list(zip(*((seconds("timed"), seconds("nobody-there"), seconds("barred-for-good")) for _ in range(30))))
    medians = [statistics.median(some) for some in times]
    assert max(medians) < 1.5 * min(medians), medians


# Realms that a mail user chooses

TWO_BACKENDS = """
[listener mux]
socket = DIR/mux

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = PLAIN
NAMES

[backend host]
type = TYPE

[backend local]
type = sasldb

[route]
default = host local
failure_delay = 0
REALMS
"""


def words_for(daemon, *logins):
    """What a client of the Dovecot protocol is told."""
    with Client(daemon.sockets["submission"]) as client:
        return [client.log_in("PLAIN", user, password).word for user, password in logins]


@pytest.mark.usefixtures("host", "sasldb")
@pytest.mark.parametrize("backend", ["pam", "shadow"])
def test_a_password_is_good_for_no_realm_that_its_user_makes_up(start_postern_conf, backend):
    def start(names="", realms=""):
        return start_postern_conf(TWO_BACKENDS.replace("TYPE", backend).replace("NAMES", names)
                                  .replace("REALMS", realms))
    logins = [(name, PASSWORD) for name in (USER, f"{USER}@one.example", f"{USER}@two.example", f"{USER}@any.realm")]
    postern = start()
    assert words_for(postern, *logins) == ["OK", "FAIL", "FAIL", "FAIL"]
    assert words_for(postern, (f"{BOB.user}@{BOB.realm}", BOB.password)) == ["OK"], "the next backend is asked"
    assert postern.ask(USER, PASSWORD, realm="any.realm").is_accepted, "as saslauthd has it"
    postern.stop()
    postern = start("default_realm = one.example", "two.example = host")
    assert words_for(postern, *logins) == ["OK", "OK", "OK", "FAIL"]
    postern.stop()
    assert words_for(start("join_realm = yes"), *logins) == ["OK", "FAIL", "FAIL", "FAIL"]
