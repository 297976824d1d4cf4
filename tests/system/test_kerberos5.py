# SPDX-License-Identifier: BSD-2-Clause
"""The backend type kerberos5 before a real KDC: beside Debian's saslauthd, behind Postfix, and while nobody answers."""

import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase

import pytest

from support import daemon, differences
from support.conformance import Case, complaints, converse, rows_about
from support.eventually import eventually
from support.kdc import HOST_PRINCIPAL, KEYTAB, KRB5_CONF, REALM, Kdc, PkinitAuthority
from support.memory import found_in_memory
from support.name_server import NameServer
from support.postfix import RUN_DIRECTORY, Postfix
from support.proxy import Proxy
from support.wire import request

ROWS = differences.of_section("On the wire, kerberos5")
OTHER_REALM = "OTHER.TEST"
YESTERDAY = "2001-01-01 00:00:00 UTC"
LIBKRB5_GIVES_UP = 27  # seconds, measured, when a KDC is there and never answers


@pytest.fixture(scope="module")
def kdc(tmp_path_factory):
    """Two realms that do not know each other; the host belongs to the first."""
    kept = {file: file.read_bytes() if file.exists() else None for file in (KRB5_CONF, KEYTAB)}
    running = Kdc(tmp_path_factory.mktemp("kdc"), (REALM, OTHER_REALM)).create().start()
    for user, password in {"alice": "wonderland", "alice/admin": "admins", "alice/mail": "mails",
                           "alice.admin": "dots", "al\\@ice": "quoted", "jürgen": "pässwörd €"}.items():
        running.add(user, password)
    running.add("proved", "wonderland", "+requires_preauth")
    for user, state in {"gone": ("-expire", YESTERDAY), "aged": ("-pwexpire", YESTERDAY),
                        "shut": ("-allow_tix",)}.items():
        running.add(user, "wonderland", *state)
    running.add("alice", "others", realm=OTHER_REALM)
    yield running
    running.stop()
    for file, content in kept.items():
        file.unlink(missing_ok=True) if content is None else file.write_bytes(content)


# ---- both programs, with the same options

OPTIONS = {  # the saslauthd.conf of both, by the first word of a case's name
    "": "",
    "instance": "krb5_imap_instance: mail\n",
    "dots": "krb5_conv_krb4_instance: yes\n",
    "twice": "krb5_imap_instance: mail\nkrb5_imap_instance: admin\n",
}


@pytest.fixture(scope="module")
def servers(kdc, tmp_path_factory):
    """Debian's and ours, by their options and flags; started when first asked."""
    started, directory, running = daemon.Daemons(), tmp_path_factory.mktemp("options"), {}

    def pair(case):
        options = case.name.partition("-")[0] if case.name.partition("-")[0] in OPTIONS else ""
        if (options, case.flags) not in running:
            file = directory / f"{options}.conf"
            file.write_text(OPTIONS[options])
            running[options, case.flags] = tuple(
                started.start(program("-O", file, *case.flags, backend="kerberos5"))
                for program in (daemon.saslauthd, daemon.posternd))
        return running[options, case.flags]

    yield pair
    started.close()


def login(name, user="alice", password="wonderland", realm="", flags=(), service="imap"):
    return Case(name, (request(user, password, service, realm),), flags=flags)


JOINING = ("-r",)
CASES = [
    login("right"),
    login("wrong", password="looking-glass"),
    login("unknown-user", "nobody"),
    login("right-with-proof", "proved"),
    login("wrong-with-proof", "proved", "looking-glass"),
    login("eight-bit", "jürgen", "pässwörd €"),
    login("eight-bit-wrong", "jürgen", "pässwörd"),
    login("user-in-capitals", "ALICE"),
    login("password-in-capitals", password="WONDERLAND"),
    login("expired-account", "gone"),
    login("expired-password", "aged"),
    login("locked-account", "shut"),
    login("realm", realm=REALM),
    login("realm-in-capitals-not", realm=REALM.lower() + "/"),
    login("realm-in-the-login", f"alice@{REALM}"),
    login("realm-in-the-login-and-given", f"alice@{REALM}", realm=REALM),
    login("realm-in-the-login-and-another", f"alice@{REALM}", realm=OTHER_REALM),
    login("realm-twice", f"alice@{REALM}@{REALM}"),
    login("realm-empty", "alice@"),
    login("realm-of-a-stranger", realm="NOWHERE.TEST"),
    login("realm-of-a-stranger-in-the-login", "alice@NOWHERE.TEST"),
    login("realm-of-a-stranger-joined", realm="NOWHERE.TEST", flags=JOINING),
    login("only-an-at", "@"),
    login("own-instance", "alice/admin", "admins"),
    login("own-instance-and-realm", f"alice/admin@{REALM}", "admins"),
    login("own-instance-of-nobody", "alice/nobody", "admins"),
    login("quoted", "al\\@ice", "quoted"),
    login("open-quote", "alice\\"),
    login("open-quote-and-realm", "alice\\", realm=REALM),
    login("dot", "alice.admin", "dots"),
    login("joined-no-realm", flags=JOINING),
    login("joined", realm=REALM, flags=JOINING),
    login("joined-wrong", password="looking-glass", realm=REALM, flags=JOINING),
    login("joined-realm-in-the-login", f"alice@{REALM}", realm=REALM, flags=JOINING),
    login("joined-realm-in-the-login-alone", f"alice@{REALM}", flags=JOINING),
    login("instance-right", password="mails"),
    login("instance-without", password="wonderland"),
    login("instance-given", "alice/mail", "mails"),
    login("instance-given-another", "alice/admin", "admins"),
    login("instance-given-and-more", "alice/mail/admin", "mails"),
    login("instance-realm", password="mails", realm=REALM),
    login("instance-realm-in-the-login", f"alice@{REALM}", "mails"),
    login("instance-given-realm-in-the-login", f"alice/mail@{REALM}", "mails"),
    login("instance-joined", password="mails", realm=REALM, flags=JOINING),
    login("instance-service-in-capitals", password="mails", service="IMAP"),
    login("instance-service-in-capitals-without", service="IMAP"),
    login("instance-open-quote", "alice\\", "mails"),
    login("twice-the-earlier", password="mails"),
    login("twice-the-later", password="admins"),
    login("dots-right", "alice.admin", "admins"),
    login("dots-kept", "alice.admin", "dots"),
    login("dots-realm", "alice.admin", "admins", REALM),
    login("dots-realm-in-the-login", f"alice.admin@{REALM}", "admins"),
    login("dots-in-the-realm-alone", f"alice@{REALM}"),
    login("dots-joined", "alice.admin", "admins", REALM, JOINING),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_answer_alike_about_principals(case, servers):
    theirs, ours = (converse(server.socket, case) for server in servers(case))
    assert not complaints(case.name, theirs, ours, ROWS)


def test_a_row_about_kerberos5_that_is_not_needed_is_caught(servers):
    sent = {case.name: converse(servers(case)[0].socket, case) for case in CASES}
    for row in (row for row in ROWS if not row.case.startswith("outage-")):
        about = [name for name, reply in sent.items() if row in rows_about(name, reply, ROWS)]
        assert about, f"no case needs {row}"
        for name in about:
            assert complaints(name, sent[name], sent[name], ROWS)


def _verdicts(pattern, servers):
    return {case.name: tuple(converse(server.socket, case).is_accepted for server in servers(case))
            for case in CASES if fnmatchcase(case.name, pattern)}


def test_a_realm_is_not_doubled(servers):
    """saslauthd puts the realm behind a login to which -r has put it already."""
    assert _verdicts("joined*", servers) == {
        "joined-no-realm": (True, True), "joined": (False, True), "joined-wrong": (False, False),
        "joined-realm-in-the-login": (False, False), "joined-realm-in-the-login-alone": (True, True)}
    assert _verdicts("realm-in-the-login-and-given", servers).popitem()[1] == (False, True)


def test_the_instance_counts_in_whatever_case_the_service_is_written(servers):
    assert _verdicts("instance-service-in-capitals*", servers) == {
        "instance-service-in-capitals": (False, True), "instance-service-in-capitals-without": (True, False)}


def test_an_instance_stands_in_front_of_the_realm(servers):
    assert _verdicts("instance-*realm-in-the-login", servers) == {
        "instance-realm-in-the-login": (False, True), "instance-given-realm-in-the-login": (False, True)}
    assert _verdicts("instance-given-another", servers).popitem()[1] == (False, False)


def test_the_dots_of_a_realm_are_dots(servers):
    assert _verdicts("dots-in-the-realm-alone", servers).popitem()[1] == (False, True)
    assert _verdicts("dots-realm-in-the-login", servers).popitem()[1] == (True, True)


def test_the_line_in_front_of_a_refusal_is_saslauthds(servers, syslog):
    theirs, ours = servers(login("wrong"))
    for user, password, text in [("alice", "s3cret-x", "Decrypt integrity check failed"), ("a@b@c", "x", "Malformed"),
                                 ("nobody", "x", "Client 'nobody@POSTERN.TEST' not found"), ("proved", "x", "Preauth")]:
        lines = []
        for server in (theirs, ours):
            syslog.clear()
            server.ask(user, password)
            syslog.wait_for("auth failure:")
            lines.append([(line.facility, line.severity, line.ident, line.text.strip())
                          for line in syslog.lines("saslauthd")])
        assert lines[0] == lines[1] and text in lines[1][0][3]


# ---- outages

def _compare_outage(name, servers, user="alice", password="wonderland", realm=""):
    theirs, ours = (server.ask(user, password, realm=realm, seconds=60) for server in servers(login("")))
    assert not complaints(name, theirs, ours, ROWS)
    assert ours.is_unavailable


def test_who_cannot_be_asked_or_verified_is_an_outage(servers, kdc):
    _compare_outage("outage-realm-without-trust", servers, password="others", realm=OTHER_REALM)
    kdc.stop()
    _compare_outage("outage-kdc-down", servers)
    kdc.start()
    assert servers(login(""))[1].ask("alice", "wonderland").is_accepted


def test_without_the_hosts_key_nobody_is_let_in(servers, kdc):
    ours = servers(login(""))[1]
    key = KEYTAB.read_bytes()
    KEYTAB.unlink()
    _compare_outage("outage-no-keytab", servers)
    assert str(ours.ask("alice", "looking-glass")) == '"NO"'
    kdc.add_key("host/elsewhere.postern.test", KEYTAB)
    _compare_outage("outage-keytab-of-another-host", servers)
    KEYTAB.write_bytes(key)
    assert ours.ask("alice", "wonderland").is_accepted


def test_a_daemon_starts_while_the_kdc_is_down_and_serves_when_it_is_there(kdc, start_postern):
    kdc.stop()
    KRB5_CONF.unlink()
    postern = start_postern(backend="kerberos5")
    assert postern.ask("alice", "wonderland").is_unavailable
    kdc.write_krb5_conf()
    assert postern.ask("alice", "wonderland").is_unavailable
    kdc.start()
    assert postern.ask("alice", "wonderland").is_accepted
    assert str(postern.ask("alice", "looking-glass")) == '"NO"'


# ---- realms that strangers choose


STRANGERS = "stranger.example"
BY_DNS_ALONE = "[domain_realm]\n .mapped.test = MAPPED.TEST\n"


def realms_looked_up(names):
    """Of the questions for the servers of a realm."""
    return {name.partition(".")[2].partition(".")[2] if name.startswith("_kerberos._") else name.partition(".")[2]
            for name in list(names.asked) if name.startswith(("_kerberos.", "_kerberos._"))}


@pytest.fixture
def names(kdc):
    """A host that finds KDCs by DNS, that of its default realm, too; OTHER_REALM is listed without one."""
    KRB5_CONF.write_text(f"[libdefaults]\n default_realm = {REALM}\n rdns = false\n[realms]\n {OTHER_REALM} = {{\n }}\n"
                         + BY_DNS_ALONE)
    with NameServer() as running:
        yield running
    kdc.write_krb5_conf()


@pytest.mark.parametrize("flags", [(), JOINING], ids=["", "-r"])
def test_a_strangers_realm_is_looked_up_nowhere(names, start_postern, start_saslauthd, syslog, flags):
    """Whoever answers for it would be sent a proof made of the password. saslauthd asks."""
    theirs = start_saslauthd("-O", "/dev/null", *flags, backend="kerberos5")
    assert theirs.ask(f"alice@{STRANGERS}" if flags else "alice", "wonderland", realm="" if flags else STRANGERS,
                      seconds=60).is_refused
    assert STRANGERS in realms_looked_up(names)
    theirs.stop()

    postern = start_postern(*flags, backend="kerberos5")
    names.asked.clear()
    syslog.clear()
    assert postern.ask("alice", "wonderland", realm=STRANGERS).is_refused
    assert "[reason=the realm is neither the default one nor in krb5.conf]" in syslog.wait_for("auth failure:").text
    assert postern.ask(f"alice@{STRANGERS}", "wonderland").is_refused
    assert postern.ask(f"alice@{STRANGERS}", "wonderland", realm=STRANGERS).is_refused
    assert names.asked == []
    for realm in (REALM, OTHER_REALM, "MAPPED.TEST"):
        assert postern.ask("alice", "wonderland", realm=realm, seconds=60).is_unavailable
        assert realms_looked_up(names) == {realm.lower()}
        names.asked.clear()
    assert postern.ask("alice", "wonderland", seconds=60).is_unavailable
    assert realms_looked_up(names) == {REALM.lower()}


# ---- tickets without the password


@pytest.fixture
def authority(kdc, tmp_path):
    """Gives certificates for PKINIT (RFC 4556): the KDC has one, and the host one for alice."""
    authority = PkinitAuthority(tmp_path)
    kdc.stop()
    kdc.write_kdc_conf(pkinit_identity=authority.give_kdc(REALM), pkinit_anchors=authority.anchor)
    kdc.start()
    yield authority
    kdc.stop()
    kdc.write_kdc_conf()
    kdc.start()
    kdc.write_krb5_conf()


def test_a_ticket_that_a_certificate_brought_lets_nobody_in(authority, kdc, start_postern, start_saslauthd, syslog):
    """With the host's certificate libkrb5 gets tickets of alice, whatever password it is given."""
    kdc.add("carried", "wonderland", "+requires_preauth")
    theirs, ours = (start(backend="kerberos5", **kind) for start, kind in ((start_saslauthd, {}), (start_postern, {})))
    for server in (theirs, ours):
        assert server.ask("carried", "wonderland").is_accepted
        assert server.ask("carried", "looking-glass").is_refused
    kdc.write_krb5_conf(pkinit_identities=authority.give_client(REALM, "carried"), pkinit_anchors=authority.anchor)
    assert theirs.ask("carried", "looking-glass").is_accepted, "it is a way in"
    for password in ("looking-glass", "wonderland"):
        syslog.clear()
        assert ours.ask("carried", password).is_unavailable
        assert "the ticket was got without the password" in syslog.wait_for("auth unavailable:").text
    kdc.write_krb5_conf()
    assert ours.ask("carried", "wonderland").is_accepted


@pytest.fixture
def proxy(kdc):
    """Between the host and its KDC."""
    with Proxy(kdc.port) as running:
        kdc.write_krb5_conf(port=running.port)
        yield running
    kdc.write_krb5_conf()


def test_a_kdc_that_never_answers_is_an_outage_at_the_deadline(proxy, start_postern):
    postern = start_postern("--deadline", "2s", backend="kerberos5")
    assert postern.ask("alice", "wonderland").is_accepted
    before = {worker.pid for worker in postern.workers("kerberos5")}
    proxy.stall()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        replies = list(clients.map(lambda _: postern.ask("alice", "wonderland", seconds=60), range(8)))
    assert all(reply.is_unavailable for reply in replies)
    assert 1 < time.monotonic() - began < LIBKRB5_GIVES_UP / 2
    eventually(lambda: not before & {worker.pid for worker in postern.workers("kerberos5")}, "who waits is killed", 30)
    proxy.resume()
    assert postern.ask("alice", "wonderland").is_accepted


def test_a_kdc_that_ends_every_connection_is_an_outage(proxy, start_postern):
    postern = start_postern(backend="kerberos5")
    assert postern.ask("alice", "wonderland").is_accepted
    asked = proxy.accepted
    proxy.to_client.cut_at(3, reset=True)
    assert postern.ask("alice", "wonderland").is_unavailable
    assert proxy.accepted > asked > 0
    proxy.to_client.forget_orders()
    assert postern.ask("alice", "wonderland").is_accepted


def test_no_password_and_no_question_reach_the_kdc_for_nothing(proxy, start_postern):
    postern = start_postern(backend="kerberos5")
    for user, password in (("alice", ""), ("", "wonderland"), ("alice\\", "wonderland"), ("a@b@c", "wonderland")):
        assert postern.ask(user, password).is_refused
    assert proxy.accepted == 0
    assert postern.ask("alice", "wonderland").is_accepted
    assert not any(b"wonderland" in connection.to_server for connection in proxy.connections)


def test_no_password_is_left_in_a_worker(kdc, start_postern):
    """Nor in memory of libkrb5's own, with proof asked for first or without."""
    postern = start_postern(backend="kerberos5", workers=1)
    for user in ("needle", "proved-needle"):
        kdc.add(user, "needle-of-a-password", *(["+requires_preauth"] if user.startswith("proved") else []))
        assert postern.ask(user, "needle-of-a-password").is_accepted
        assert postern.ask(user, "needle-that-is-wrong").is_refused
    worker, = postern.workers("kerberos5")
    for needle in (b"dle-of-a-password", b"dle-that-is-wrong"):
        assert not found_in_memory(worker, [needle], also_undumped=True)
    assert found_in_memory(worker, [b"proved-needle"], also_undumped=True)  # so it is searched


# ---- Postfix

def test_postfix_lets_users_of_the_realm_send(kdc, daemons):
    postfix = Postfix().start()
    try:
        daemons.start(daemon.posternd(mode="", backend="kerberos5", directory=RUN_DIRECTORY))
        assert postfix.log_in("alice", "wonderland").code == 235
        assert postfix.log_in(f"alice@{REALM}", "wonderland").code == 235
        assert postfix.log_in("alice", "looking-glass").code == 535
        assert postfix.log_in("nobody", "wonderland").code == 535
        assert postfix.log_in("aged", "wonderland").code == 535
        kdc.stop()
        assert postfix.log_in("alice", "wonderland").code == 454
        kdc.start()
        assert postfix.log_in("alice", "wonderland").code == 235
    finally:
        postfix.stop()


def test_the_host_is_who_the_tickets_are_for(kdc, start_postern):
    """The principal may be written out."""
    postern = start_postern("--krb5-verify-principal", f"{HOST_PRINCIPAL}@{REALM}", "--krb5-keytab", str(KEYTAB),
                            backend="kerberos5")
    assert postern.ask("alice", "wonderland").is_accepted
    other = start_postern("--krb5-verify-principal", "imap", backend="kerberos5")
    assert other.ask("alice", "wonderland").is_unavailable
