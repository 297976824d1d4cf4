# SPDX-License-Identifier: BSD-2-Clause
"""A real Postfix, chrooted, that asks by the protocol of Dovecot and has nothing of Cyrus SASL: every mechanism, TLS,
and an SMTP port that stays open whatever becomes of the daemon."""

import hashlib
import hmac
import signal
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import control
from support.daemon import postern_conf
from support.dovecot_auth import Client, plain
from support.eventually import eventually
from support.host_accounts import DEBIANS_STACK, HostAccounts
from support.load import Load
from support.postfix import (AUTH_SOCKET, CYRUS, FRESH, SMTP, SUBMISSION, TLS_AUTH_SOCKET, TLS_OFFERED, DovecotPostfix,
                             Prober, SmtpSession, greeting)
from support.sasldb import ALICE, BOB, BY_SASLDB, passwd
from support.service_manager import ServiceManager

PASSWORD_MECHANISMS = ["PLAIN", "LOGIN"]
SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
MECHANISMS = [*PASSWORD_MECHANISMS, "CRAM-MD5", *SCRAM]

# Which clients can what: swaks knows no SCRAM.
CLIENTS = [*(("swaks", mechanism) for mechanism in [*PASSWORD_MECHANISMS, "CRAM-MD5"]),
           *(("msmtp", mechanism) for mechanism in MECHANISMS)]

# smtpd_sasl_security_options, and what is left of MECHANISMS: a port of its own for each.
OPTIONS = {
    10030: ("noanonymous", MECHANISMS),
    10031: ("noplaintext,noanonymous", ["CRAM-MD5", *SCRAM]),
    10032: ("nodictionary", [*PASSWORD_MECHANISMS, *SCRAM]),
    10033: ("noactive", [*PASSWORD_MECHANISMS, *SCRAM]),
    10034: ("noactive,noplaintext", SCRAM),
    10035: ("mutual_auth", SCRAM),
    10036: ("forward_secrecy", []),
}

LISTENER = f"""
[listener smtp]
protocol   = dovecot
socket     = {AUTH_SOCKET}
owner      = postfix
group      = postfix
"""

CONFIG = f"""{LISTENER}
mechanisms = {' '.join(MECHANISMS)}

[listener tls]
protocol   = dovecot
socket     = {TLS_AUTH_SOCKET}
owner      = postfix
group      = postfix
mechanisms = {' '.join(MECHANISMS)}
plaintext_without_tls = refuse
""" + BY_SASLDB


@pytest.fixture(scope="module")
def postfix():
    running = DovecotPostfix({port: options for port, (options, _) in OPTIONS.items()}).start()
    yield running
    running.stop()
    print(f"--- log of Postfix:\n{running.log}---")


@pytest.fixture
def start_behind_postfix(postfix, syslog, start_postern_conf):
    """A posternd with a postern.conf, as an admin starts it, on sockets that only root can make."""

    def start(text, **kind):
        daemon = start_postern_conf(text, **{"mode": "", **kind})
        postfix.wait_ready(SMTP)
        return daemon

    return start


@pytest.fixture
def behind_postfix(sasldb, start_behind_postfix):
    return start_behind_postfix(CONFIG)


def code_for(postfix, client, user, password, mechanism, **where):
    """Of the reply to a login."""
    if client == "swaks":
        return postfix.log_in(user, password, mechanism, **where).code
    sent = postfix.send(user, password, mechanism, **where)
    return 235 if sent.status == 0 else sent.code


# ---- the place


def test_nothing_of_cyrus_sasl_is_there_and_smtpd_is_in_its_chroot(postfix, behind_postfix):
    assert postfix.log_in(ALICE.user, ALICE.password).code == 235
    assert postfix.smtpd_roots == {"/var/spool/postfix"}
    assert postfix.cyrus_files == []
    assert not [file for smtpd in postfix.smtpds for file in smtpd.mapped_files if "/sasl2/" in file]


def test_cyrus_sasl_could_not_serve_here(postfix, behind_postfix):
    """The control of the test above."""
    assert greeting(CYRUS) == ""
    postfix.wait_for_log(CYRUS, "warning: xsasl_cyrus_server_get_mechanism_list: no applicable SASL mechanisms")


def test_the_socket_is_postfix_s_own_in_a_directory_that_is_closed_to_others(postfix, behind_postfix):
    directory, socket = AUTH_SOCKET.parent.stat(), AUTH_SOCKET.stat()
    assert (directory.st_mode & 0o777, AUTH_SOCKET.parent.owner()) == (0o700, "postfix")
    assert stat.S_ISSOCK(socket.st_mode)
    assert (socket.st_mode & 0o777, AUTH_SOCKET.owner(), AUTH_SOCKET.group()) == (0o660, "postfix", "postfix")


# ---- logins


@pytest.mark.parametrize("client, mechanism", CLIENTS)
def test_right_is_accepted_wrong_refused_an_outage_temporary(client, mechanism, postfix, behind_postfix, sasldb):
    def code(user, password):
        return code_for(postfix, client, user, password, mechanism)

    assert code(ALICE.user, ALICE.password) == 235
    assert code(ALICE.user, "looking-glass") == 535
    assert code("nobody", "looking-glass") == 535

    sasldb.take_away()
    assert code(ALICE.user, ALICE.password) == 454
    assert code("nobody", "looking-glass") == 454

    sasldb.put_back()
    assert code(ALICE.user, ALICE.password) == 235
    assert code(ALICE.user, "looking-glass") == 535


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_a_password_that_is_stored_for_scram_alone(mechanism, postfix, behind_postfix, sasldb):
    passwd(sasldb, ALICE.user, "changed")
    assert code_for(postfix, "msmtp", ALICE.user, "changed", mechanism) == 235
    assert code_for(postfix, "msmtp", ALICE.user, ALICE.password, mechanism) == 535


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_user_realm_and_address_arrive(mechanism, postfix, behind_postfix, syslog):
    address = f"{BOB.user}@{BOB.realm}"
    assert code_for(postfix, "msmtp", address, BOB.password, mechanism, source="127.0.0.7") == 235
    assert code_for(postfix, "msmtp", address, "x", mechanism, source="127.0.0.8") == 535
    success = syslog.wait_for("auth success:", ident="postern").text
    assert success.endswith(f": [user=bob] [service=smtp] [realm=example.org] [mech=local] [sasl={mechanism}] [tls=no] "
                            "[remote=127.0.0.7]")
    failure = syslog.wait_for("auth failure:", ident="postern").text
    assert ": [user=bob] [service=smtp] [realm=example.org] [mech=local] [reason=" in failure
    assert failure.endswith(f"] [sasl={mechanism}] [tls=no] [remote=127.0.0.8]")
    eventually(lambda: f"[127.0.0.7], sasl_method={mechanism}, sasl_username={address}\n" in postfix.log,
               "Postfix knows who sends")


def test_addresses_of_ipv6_arrive(postfix, behind_postfix, syslog):
    with SmtpSession(host="::1") as session:
        assert session.plain(ALICE.user, "looking-glass") == 535
    assert syslog.wait_for("auth failure:", ident="postern").text.endswith(" [remote=::1]")


PAM = f"""{LISTENER}
mechanisms = PLAIN LOGIN
[backend host]
type = pam
[route]
default = host
failure_delay = 0
"""


@pytest.mark.parametrize("mechanism", PASSWORD_MECHANISMS)
def test_pam_is_told_where_the_mail_user_is(mechanism, postfix, start_behind_postfix, syslog):
    """PAM_RHOST, as pam_unix writes it into the log."""
    host = HostAccounts()
    try:
        host.write_stack("smtp", DEBIANS_STACK)
        host.add("walter", password="walrus")
        start_behind_postfix(PAM)
        assert postfix.log_in("walter", "walrus", mechanism).code == 235
        assert postfix.log_in("walter", "looking-glass", mechanism, source="127.0.0.9").code == 535
        line = syslog.wait_for("pam_unix(smtp:auth): authentication failure;", ident="postern")
        assert "rhost=127.0.0.9  user=walter" in line.text
    finally:
        host.put_back()


def test_no_password_is_in_a_log(postfix, behind_postfix, syslog):
    for mechanism in MECHANISMS:
        assert code_for(postfix, "msmtp", ALICE.user, ALICE.password, mechanism) == 235
        assert code_for(postfix, "msmtp", ALICE.user, "looking-glass", mechanism) == 535
    eventually(lambda: sum("auth failure:" in text for text in syslog.texts("postern")) == len(MECHANISMS), "all fail")
    said = [*(line.text for line in syslog.lines()), postfix.log]
    assert [text for text in said if ALICE.user in text]
    assert not [text for text in said if ALICE.password in text or "looking-glass" in text]


def test_a_mail_program_may_give_a_login_up_and_begin_another(postfix, behind_postfix):
    """Postfix does not say so to the daemon."""
    with SmtpSession() as session:
        for _ in range(RELOADS):
            session.begin_login(ALICE.user)
            assert session.docmd("*")[0] == 501
        assert session.plain(ALICE.user, ALICE.password) == 235


# ---- TLS


def test_auth_is_offered_only_after_starttls(postfix, behind_postfix, syslog):
    with SmtpSession(SUBMISSION) as session:
        assert session.mechanisms == []
        assert session.plain(ALICE.user, ALICE.password) == 503
        session.starttls()
        session.ehlo()
        assert session.mechanisms == MECHANISMS
        assert session.plain(ALICE.user, ALICE.password) == 235
    line = syslog.wait_for("auth success:", ident="postern")
    assert line.text.endswith(" [sasl=PLAIN] [tls=yes] [remote=127.0.0.1]")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_submission_with_tls(mechanism, postfix, behind_postfix, syslog):
    assert code_for(postfix, "msmtp", ALICE.user, ALICE.password, mechanism, port=SUBMISSION, tls=True) == 235
    assert code_for(postfix, "msmtp", ALICE.user, "looking-glass", mechanism, port=SUBMISSION, tls=True) == 535
    for word in ("success", "failure"):
        assert f"[sasl={mechanism}] [tls=yes]" in syslog.wait_for(f"auth {word}:", ident="postern").text


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_listener_can_refuse_passwords_without_tls(mechanism, postfix, behind_postfix, syslog):
    def code(**how):
        return code_for(postfix, "msmtp", ALICE.user, ALICE.password, mechanism, port=TLS_OFFERED, **how)

    if mechanism in PASSWORD_MECHANISMS:
        assert code() == 535
        assert "tls takes no passwords without TLS" in syslog.wait_for("was refused", ident="postern").text
    else:
        assert code() == 235
    assert code(tls=True) == 235
    assert code_for(postfix, "msmtp", ALICE.user, ALICE.password, mechanism) == 235


# ---- smtpd_sasl_security_options


@pytest.mark.parametrize("port", [port for port, (_, left) in OPTIONS.items() if left])
def test_security_options_leave_the_mechanisms_that_fit(port, postfix, behind_postfix):
    left = OPTIONS[port][1]
    with SmtpSession(port) as session:
        assert session.mechanisms == left
    for mechanism in left:
        assert code_for(postfix, "msmtp", ALICE.user, ALICE.password, mechanism, port=port) == 235


def test_security_options_that_leave_nothing_close_the_port(postfix, behind_postfix):
    """So the table above is Postfix's doing."""
    port = next(port for port, (_, left) in OPTIONS.items() if not left)
    assert greeting(port) == ""
    postfix.wait_for_log(port, "fatal: no SASL authentication mechanisms")


def test_only_what_is_configured_is_offered(sasldb, postfix, start_behind_postfix):
    start_behind_postfix(f"{LISTENER}\n[backend local]\ntype = sasldb\n[route]\ndefault = local\n")
    with SmtpSession(FRESH) as session:
        assert session.mechanisms == ["PLAIN", "LOGIN", "SCRAM-SHA-256"]


# ---- the port stays open


BUSY_USER, BUSY_PASSWORD = "anybody", "good"
LOGIN_PROMPTS = CRAM_CHALLENGES = 13  # logins between two steps
IN_WORK = 24
IDLE = 10  # sessions beyond the 50

# Logins of sasldb's users are answered at once; those of anybody else wait while the file that is the server says so.
SERVER = Path("/run/staying-server")
STAYING = f"""{LISTENER}
mechanisms = PLAIN LOGIN CRAM-MD5

[backend local]
type = sasldb

[backend fault]
type          = fault
fault_servers = file://{SERVER}

[route]
default          = fault
{BOB.realm}      = local
{ALICE.realm}    = local
failure_delay    = 0
"""


class Crowd:
    """50 sessions, each with an smtpd of its own, in the middle of AUTH; and some that have asked, and do nothing."""

    def __init__(self, daemon, stack):
        self.daemon = daemon
        self.idle, self.at_prompt, self.challenged, self.in_work = (
            [stack.enter_context(SmtpSession()) for _ in range(count)]
            for count in (IDLE, LOGIN_PROMPTS, CRAM_CHALLENGES, IN_WORK))

    @property
    def in_auth(self):
        return [*self.at_prompt, *self.challenged, *self.in_work]

    def begin(self):
        for session in [*self.idle, *self.in_auth]:  # each smtpd has a connection now
            assert session.plain(f"{BOB.user}@{BOB.realm}", "x") == 535
        for session in self.at_prompt:
            session.begin_login(f"{BOB.user}@{BOB.realm}")
        self.challenges = [session.begin_cram_md5() for session in self.challenged]
        SERVER.write_text("wait check")
        for session in self.in_work:
            session.begin_plain(BUSY_USER, BUSY_PASSWORD)
        eventually(lambda: self._busy_workers() == IN_WORK, "they are all in work")
        return self

    def finish(self):
        """The codes of the 50 logins, each with the right password."""
        SERVER.unlink()
        return [*(session.answer(BOB.password) for session in self.at_prompt),
                *(session.answer(cram_md5(f"{BOB.user}@{BOB.realm}", BOB.password, challenge))
                  for session, challenge in zip(self.challenged, self.challenges)),
                *(session.code() for session in self.in_work)]

    def _busy_workers(self):
        workers = control.backend_status(self.daemon.directory, "fault")["workers"]
        return sum(worker["state"] == "busy" for worker in workers)


def cram_md5(user, password, challenge):
    return f"{user} {hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()}"


@pytest.fixture
def crowd(sasldb, start_behind_postfix):
    with ExitStack() as stack:
        stack.callback(SERVER.unlink, missing_ok=True)
        yield Crowd(start_behind_postfix(STAYING), stack)


@pytest.fixture
def probers(postfix, crowd):
    """Of the port where the sessions are, and of one where each probe is a new smtpd."""
    with Prober(SMTP) as here, Prober(FRESH) as fresh:
        yield [here, fresh]


def wrong_logins(sessions):
    """Those of right passwords that are not accepted."""
    codes = [session.plain(f"{BOB.user}@{BOB.realm}", BOB.password) for session in sessions]
    return [code for code in codes if code != 235]


def test_a_front_that_is_killed_costs_the_logins_in_flight_and_no_other(crowd, probers):
    """Whoever connects meanwhile waits for the next one."""
    crowd.begin()
    front = crowd.daemon.front
    front.kill(signal.SIGSTOP)
    eventually(lambda: waiting_connections(AUTH_SOCKET) > 0, "an smtpd waits for a front")
    front.kill().wait_gone()
    assert crowd.finish() == [454] * len(crowd.in_auth)
    assert wrong_logins([*crowd.in_auth, *crowd.idle]) == []
    assert crowd.daemon.front != front


def waiting_connections(path):
    """To a socket, that nobody has accepted yet."""
    done = subprocess.run(["ss", "-xlnH", "src", path], capture_output=True, text=True, check=True, timeout=20)
    return sum(int(line.split()[2]) for line in done.stdout.splitlines())


def test_a_reload_costs_no_login(crowd, probers, syslog):
    """Those that have begun are finished where they began, and the next ones go elsewhere."""
    crowd.begin()
    old = crowd.daemon.front
    crowd.daemon.supervisor.kill(signal.SIGHUP)
    syslog.wait_for("the configuration was read again, and is in force", ident="postern")
    assert wrong_logins(crowd.idle) == []
    assert set(crowd.daemon.fronts) > {old}
    assert crowd.finish() == [235] * len(crowd.in_auth)
    old.wait_gone()


def with_deadline(deadline):
    return CONFIG.replace("[listener smtp]\n", f"[listener smtp]\ndeadline   = {deadline}\n")


def test_a_login_that_is_half_done_waits_for_its_client_until_the_deadline_after_a_reload(sasldb, start_behind_postfix):
    daemon = start_behind_postfix(with_deadline("1s"))
    with SmtpSession() as session:
        session.begin_login(ALICE.user)
        old = daemon.front
        assert control.reload(daemon.directory) == ""
        old.wait_gone(30)
        assert session.answer(ALICE.password) == 454
        assert session.plain(ALICE.user, ALICE.password) == 235


@pytest.fixture
def leaving(sasldb, start_behind_postfix):
    """Whose front is not killed before any of these clients loses patience."""
    return start_behind_postfix(with_deadline("1m"))


def test_a_front_that_takes_its_leave_waits_for_who_has_just_connected(leaving):
    """An smtpd that cannot say who it is ends, and the port with it."""
    old = leaving.front
    with Client(AUTH_SOCKET, introduces_itself=False) as client:
        assert control.reload(leaving.directory) == ""
        client.send("VERSION\t1\t0", "CPID\t4711")
        assert client.log_in("PLAIN", ALICE.user, ALICE.password).word == "OK"
        assert client.is_ended()
    old.wait_gone()


def test_a_front_that_takes_its_leave_does_not_wait_for_who_asks_nothing(leaving):
    old = leaving.front
    with Client(AUTH_SOCKET) as client:
        assert control.reload(leaving.directory) == ""
        assert client.is_ended()
    old.wait_gone()


def test_what_was_written_before_a_front_takes_its_leave_is_still_answered(leaving):
    """Much of it, so that it is not read at once."""
    old, supervisor = leaving.front, leaving.supervisor
    with Client(AUTH_SOCKET) as client:
        assert client.log_in("PLAIN", ALICE.user, "looking-glass").word == "FAIL"
        old.kill(signal.SIGSTOP)
        client.send(*["CANCEL\t4711"] * 8000, f"AUTH\t2\tPLAIN\tservice=smtp\tresp={plain(ALICE.user, ALICE.password)}")
        supervisor.kill(signal.SIGHUP)
        Client(AUTH_SOCKET).close()  # the next front has accepted it; what is left to do is to tell the old one
        eventually(lambda: supervisor.state == "S", "the supervisor has nothing to do")
        old.kill(signal.SIGCONT)
        reply = client.reply()
        assert (reply.word, reply.id, reply.user) == ("OK", 2, ALICE.user)
        assert client.is_ended()
    old.wait_gone()


def test_a_supervisor_that_is_killed_costs_no_login_nor_does_the_next_start(crowd, probers, start_behind_postfix):
    daemon = crowd.begin().daemon
    old = daemon.supervisor.children
    daemon.supervisor.kill()
    daemon.wait()
    for prober in probers:
        prober.wait_for_more()
    start_behind_postfix(STAYING, directory=daemon.directory)
    assert wrong_logins(crowd.idle) == []
    assert crowd.finish() == [235] * len(crowd.in_auth)
    for process in old:
        process.wait_gone(30)


RELOADS = 10
EXPECTED = [(ALICE.password, 235), ("looking-glass", 535), (BOB.password, 535)]


def log_in_once(number):
    """By PLAIN or LOGIN, in a session of its own. What should come of it, and what came."""
    password, expected = EXPECTED[number % len(EXPECTED)]
    with SmtpSession() as session:
        if number % 2:
            return expected, session.plain(ALICE.user, password)
        code, _ = session.docmd("AUTH", "LOGIN")
        return expected, session.log_in_at_prompt(ALICE.user, password) if code == 334 else code


def wrong(codes):
    return [(expected, code) for expected, code in codes if code != expected]


def test_reloads_under_load_cost_no_login(behind_postfix, postfix):
    with Prober(FRESH), Load(log_in_once) as load:
        for _ in range(RELOADS):
            assert control.reload(behind_postfix.directory) == ""
            load.wait_for_more()
    assert wrong(load.results()) == []


def test_fronts_that_are_killed_under_load_cost_at_most_a_login_for_each_connection(behind_postfix, postfix):
    """Each has one smtpd behind it, and that one request at most. A client whose login is lost may lose the next one,
    too: a process that dies closes its connections one after another."""
    connections = 0
    with Load(log_in_once) as load:
        for _ in range(3):
            front = behind_postfix.front.kill(signal.SIGSTOP)
            eventually(lambda: front.state == "T", "it stands still", 10)
            connections += front.connections_on(AUTH_SOCKET)
            front.kill().wait_gone()
            eventually(lambda: behind_postfix.front != front, "there is another front")
            load.wait_for_more()
    lost = wrong(load.results())
    assert [codes for codes in lost if codes[1] != 454] == []
    assert len(lost) <= connections


# ---- nobody is there


def test_while_nobody_serves_a_port_that_is_new_is_closed_and_comes_back(sasldb, postfix, start_behind_postfix):
    """Its smtpd cannot ask what is offered. One that runs already says so to who logs in."""
    daemon = start_behind_postfix(CONFIG)
    with SmtpSession() as before:
        assert before.plain(ALICE.user, "looking-glass") == 535
        daemon.kill()
        assert AUTH_SOCKET.is_socket()
        assert before.plain(ALICE.user, ALICE.password) == 454
        assert greeting(FRESH) == ""
        problem = "SASL: Connect to Dovecot auth socket 'private/auth' failed: Connection refused"
        postfix.wait_for_log(FRESH, f"warning: {problem}")
        start_behind_postfix(CONFIG, directory=daemon.directory)
        assert before.plain(ALICE.user, ALICE.password) == 235
    postfix.wait_ready(FRESH)
    assert log_in_by_a_new_smtpd() == 235


@pytest.fixture
def manager(daemons, tmp_path):
    manager = ServiceManager(tmp_path / "notify")
    yield manager
    manager.close()


def test_while_a_service_manager_holds_the_socket_an_smtpd_that_is_new_waits(sasldb, postfix, daemons, manager, syslog):
    """For as long as Postfix has patience, which is 10 s."""
    daemon = postern_conf(CONFIG)
    daemons.started.append(daemon)
    manager.start(daemon)
    postfix.wait_ready(FRESH)
    eventually(lambda: str(AUTH_SOCKET) in manager.stored_names(), "the socket is stored")
    daemon.kill()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(log_in_by_a_new_smtpd)
        eventually(lambda: waiting_connections(AUTH_SOCKET) > 0, "an smtpd waits for a daemon")
        manager.start(daemon)
        assert late.result() == 235


def log_in_by_a_new_smtpd():
    with SmtpSession(FRESH) as session:
        return session.plain(ALICE.user, ALICE.password)


def test_a_front_without_a_supervisor_serves_an_smtpd_that_is_new(behind_postfix, postfix, start_behind_postfix):
    old = behind_postfix.supervisor.children
    behind_postfix.supervisor.kill()
    behind_postfix.wait()
    assert log_in_by_a_new_smtpd() == 235
    start_behind_postfix(CONFIG, directory=behind_postfix.directory)
    for process in old:
        process.wait_gone(30)
    assert log_in_by_a_new_smtpd() == 235
