# SPDX-License-Identifier: BSD-2-Clause
"""ldap on slapds that hang, end, come back, and on networks that lie: nobody waits for a server that is known to be
down, and what cannot be asked is an outage and no refusal.

A login is told from others by its realm, which goes into the filter and so into slapd's log: a server that stood still
shows, once it goes on, who had asked it meanwhile.
"""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import control
from support.directory import ALICE, CAROL, PEOPLE, READER, READER_PASSWORD
from support.eventually import eventually
from support.firewall import packets_lost_to
from support.ldap_combinations import TLS
from support.planted import plant
from support.postfix import RUN_DIRECTORY
from support.proxy import Proxy
from support.slapd import Authority, Slapd, bind

FILTER = "(|(uid=%u)(cn=<%r>))"
CONF = f"""
ldap_servers: {{servers}}
ldap_bind_dn: {READER}
ldap_bind_pw: {READER_PASSWORD}
ldap_search_base: {PEOPLE}
ldap_filter: {FILTER}
ldap_timeout: 1
"""
BOTH = "ldap://localhost:389/ ldap://localhost:1389/"
WORKERS = 4

# What ends the waiting for servers that stand still, and how long who asks waits for that. Whatever else would end it
# is so far away that a slow machine keeps to the deadline and who forgets it does not.
BY_DEADLINE = "--deadline", "5s", "--ldap-timeout", "10m"
PATIENCE = 40  # seconds


@pytest.fixture(scope="module")
def two_slapds():
    authority = Authority(TLS)
    pair = Slapd("first", authority), Slapd("second", authority, 1389, 1636)
    yield pair
    for slapd in pair:
        slapd.stop()


@pytest.fixture
def slapds(two_slapds):
    """Two servers that run, whatever the last test did to them."""
    for slapd in two_slapds:
        if slapd.daemon is None:
            slapd.start()
    yield two_slapds
    for slapd in two_slapds:
        if slapd.daemon is not None:
            slapd.resume()


@pytest.fixture
def start_ldap(tmp_path, start_postern):
    def start(servers=BOTH, *flags, more="", workers=WORKERS, **kind):
        conf = tmp_path / "saslauthd.conf"
        conf.write_text(CONF.format(servers=servers) + more)
        return start_postern("-O", conf, *flags, backend="ldap", workers=workers, **kind)
    return start


def servers(postern):
    return control.backend_status(postern.directory, "ldap")["servers"]


def states(postern):
    return [server["state"] for server in servers(postern)]


def is_let_in(postern, name):
    """A login that can be told from others in slapd's log."""
    return postern.ask(ALICE.uid, ALICE.password, realm=name).is_accepted


def logins_seen(mark):
    """The names of those that a server was asked for."""
    return {name for operation in mark.operations for name in re.findall(r"cn=<([^>]+)>", operation.text)}


def log_in_together(postern, names, at_a_time=WORKERS):
    with ThreadPoolExecutor(at_a_time) as pool:
        return all(pool.map(lambda name: is_let_in(postern, name), names))


def let_everybody_connect(postern, slapd):
    """Every worker has a connection of its own to a server, bound as the reader."""
    mark = slapd.mark()

    def are_bound():
        assert log_in_together(postern, [f"early-{number}" for number in range(2 * WORKERS)])
        return mark.operations.count(bind(READER)) >= WORKERS or len(postern.workers("ldap")) > WORKERS

    eventually(are_bound, "each worker has been asked")


# ---- one of two servers


def who_asks_one_that_stands_still(slapds, postern):
    """Its kernel accepts connections, and answers never come. Says who finds that out, of many who log in."""
    first, second = slapds
    let_everybody_connect(postern, first)
    first.pause()
    on_first, on_second = first.mark(), second.mark()
    assert is_let_in(postern, "who-finds-out")
    later = [f"later-{number}" for number in range(5 * WORKERS)]
    assert log_in_together(postern, later)
    assert servers(postern)[0]["state"] != "up" and servers(postern)[1]["failures"] == 0
    assert logins_seen(on_second) == {"who-finds-out", *later}

    first.resume()
    eventually(lambda: states(postern) == ["up", "up"], "the first server is asked again", 60)
    assert is_let_in(postern, "at-last")
    seen = eventually(lambda: "at-last" in logins_seen(on_first) and logins_seen(on_first), "the first server is back")
    assert "at-last" not in logins_seen(on_second)
    return seen - {"at-last"}


def test_nobody_waits_twice_for_a_server_that_stands_still(slapds, start_ldap):
    assert who_asks_one_that_stands_still(slapds, start_ldap(BOTH, "--deadline", "60s")) == {"who-finds-out"}


def test_a_build_in_which_everybody_waits_is_caught(slapds, start_ldap, tmp_path):
    program = plant(tmp_path, "ldap", "backends/server_round.cpp", "if (!left_alone_.has(server))",
                    "if (!left_alone_.has(server) || (server == 0 && problems_.empty()))")
    asked = who_asks_one_that_stands_still(slapds, start_ldap(BOTH, "--deadline", "60s", program=program))
    assert len(asked) > 1


def test_a_login_waits_for_one_operation_and_not_for_its_deadline(slapds, start_ldap):
    """The deadline is a minute away; the client gives up after fifteen seconds."""
    first, _ = slapds
    postern = start_ldap(BOTH, "--deadline", "60s")
    assert is_let_in(postern, "before")
    first.pause()
    assert is_let_in(postern, "meanwhile")


def test_a_server_that_ended_is_left_alone_until_it_is_back(slapds, start_ldap):
    first, second = slapds
    postern = start_ldap()
    let_everybody_connect(postern, first)
    first.kill()
    on_second = second.mark()
    names = [f"meanwhile-{number}" for number in range(2 * WORKERS)]
    assert log_in_together(postern, names)
    assert logins_seen(on_second) == set(names)

    first.start()
    on_first = first.mark()
    eventually(lambda: states(postern) == ["up", "up"], "the first server is asked again", 60)
    assert is_let_in(postern, "back")
    assert logins_seen(on_first) == {"back"}


def test_a_restart_between_two_logins_costs_nobody_a_login(slapds, start_ldap):
    """The connections are gone, and the server is not down."""
    first, second = slapds
    postern = start_ldap("ldap://localhost:389/")
    let_everybody_connect(postern, first)
    first.stop()
    first.start()
    assert log_in_together(postern, [f"after-{number}" for number in range(2 * WORKERS)])


def test_both_stopped_is_an_outage_within_the_deadline(slapds, start_ldap, syslog):
    first, second = slapds
    postern = start_ldap(BOTH, *BY_DEADLINE)
    assert is_let_in(postern, "before")
    first.pause()
    second.pause()
    for password in (ALICE.password, "looking-glass"):
        assert postern.ask(ALICE.uid, password, seconds=PATIENCE).is_unavailable
    eventually(lambda: not {"up", "in doubt"} & set(states(postern)), "a probe of the last one has failed as well")
    syslog.wait_for("auth unavailable: [user=alice]")
    first.resume()
    second.resume()
    eventually(lambda: is_let_in(postern, "after"), "they are asked again", 60)
    assert postern.ask(ALICE.uid, "looking-glass").is_refused


def test_both_stopped_is_454_to_a_mail_program_within_the_deadline(slapds, start_ldap, postfix):
    postern = start_ldap(BOTH, *BY_DEADLINE, mode="", directory=RUN_DIRECTORY)
    assert postfix.log_in(ALICE.uid, ALICE.password).code == 235
    for slapd in slapds:
        slapd.pause()
    for password in (ALICE.password, ALICE.password, "looking-glass"):
        assert postfix.log_in(ALICE.uid, password, seconds=PATIENCE).code == 454
    for slapd in slapds:
        slapd.resume()
    eventually(lambda: states(postern) == ["up", "up"], "they are asked again", 60)
    assert postfix.log_in(ALICE.uid, ALICE.password).code == 235
    assert postfix.log_in(ALICE.uid, "looking-glass").code == 535


# ---- packets that vanish: connections stay, and nobody says that they are dead


@pytest.mark.parametrize("port", [389, 636], ids=["ldap", "ldaps"])
def test_a_server_whose_packets_vanish_costs_an_operation_and_no_login(port, slapds, start_ldap):
    """The deadline is a minute away; the client gives up after fifteen seconds."""
    first, second = slapds
    uri = first.uri if port == first.port else first.tls_uri
    authority = f"ldap_tls_cacert_file: {TLS}/authority.pem\n"
    postern = start_ldap(f"{uri}/ {second.uri}/", "--deadline", "60s", more=authority)
    let_everybody_connect(postern, first)
    on_first, on_second = first.mark(), second.mark()
    with packets_lost_to(port) as loss:
        assert is_let_in(postern, "who-finds-out")
        assert loss.packets > 0
        later = [f"later-{number}" for number in range(5 * WORKERS)]
        assert log_in_together(postern, later)
        assert servers(postern)[0]["state"] != "up" and servers(postern)[1]["failures"] == 0
        assert postern.ask(ALICE.uid, "looking-glass").is_refused
    assert logins_seen(on_second) >= {"who-finds-out", *later}

    eventually(lambda: states(postern) == ["up", "up"], "the first server is asked again", 60)
    assert is_let_in(postern, "at-last")
    eventually(lambda: "at-last" in logins_seen(on_first), "the first server is back")
    assert logins_seen(on_first) <= {"who-finds-out", "at-last"}  # whose question the network may bring late


def test_packets_of_the_only_server_that_vanish_are_an_outage_that_heals(slapds, start_ldap, syslog):
    first, _ = slapds
    postern = start_ldap(f"{first.uri}/", "--deadline", "60s")
    let_everybody_connect(postern, first)
    with packets_lost_to(first.port) as loss:
        for password in (ALICE.password, "looking-glass"):
            assert postern.ask(ALICE.uid, password).is_unavailable
        assert loss.packets > 0
        syslog.wait_for("auth unavailable: [user=alice]")
    eventually(lambda: is_let_in(postern, "after"), "the server is asked again", 60)
    assert postern.ask(ALICE.uid, "looking-glass").is_refused
    eventually(lambda: states(postern) == ["up"], "the server is back", 60)


# ---- starting without a directory


def test_it_starts_while_the_directory_is_down_and_heals_alone(slapds, start_ldap):
    first, second = slapds
    first.stop()
    second.stop()
    postern = start_ldap(mode="")
    assert postern.ask(ALICE.uid, ALICE.password).is_unavailable
    second.start()
    eventually(lambda: is_let_in(postern, "healed"), "the second server is asked", 60)
    first.start()
    eventually(lambda: states(postern) == ["up", "up"], "the first server is asked", 60)
    on_first = first.mark()
    assert is_let_in(postern, "whole")
    assert logins_seen(on_first) == {"whole"}


def test_it_starts_with_a_name_that_nobody_has_and_heals_alone(slapds, start_ldap):
    with open("/etc/hosts", "r+", encoding="ascii") as hosts:
        as_it_was = hosts.read()
        try:
            postern = start_ldap("ldap://directory.postern.test/", mode="")
            assert postern.ask(ALICE.uid, ALICE.password).is_unavailable
            hosts.write("127.0.0.1 directory.postern.test\n")
            hosts.flush()
            eventually(lambda: is_let_in(postern, "healed"), "the name is looked up again", 60)
        finally:
            hosts.seek(0)
            hosts.truncate()
            hosts.write(as_it_was)


# ---- connections


def test_wrong_passwords_cost_no_connection(slapds, start_ldap):
    first, _ = slapds
    postern = start_ldap(workers=1)
    assert is_let_in(postern, "before")
    assert postern.ask(ALICE.uid, "looking-glass").is_refused
    mark = first.mark()
    for number in range(50):
        assert postern.ask(ALICE.uid, "looking-glass", realm=f"wrong-{number}").is_refused
    assert is_let_in(postern, "after")
    assert len(logins_seen(mark)) == 51
    assert mark.connections == 0


def test_connections_that_the_server_ends_are_not_missed(start_ldap):
    """As firewalls and `idletimeout` do it. Nobody waits, and the server is not down."""
    slapd = Slapd("idle", Authority(TLS), 2389, 2636, more="idletimeout 1").start()
    try:
        postern = start_ldap("ldap://localhost:2389/", workers=1)
        for number in range(3):
            mark = slapd.mark()
            assert is_let_in(postern, f"login-{number}")
            eventually(lambda: "closed (idletimeout)" in mark.text, "slapd ends what is idle", 30)
        assert [server["failures"] for server in servers(postern)] == [0]
    finally:
        slapd.stop()


# ---- networks


@pytest.fixture
def proxy(slapds):
    """A network before the first server."""
    with Proxy(389, host="127.0.0.1") as running:
        yield running


def through(proxy):
    return f"ldap://localhost:{proxy.port}/"


def is_asked_again(postern):
    return eventually(lambda: is_let_in(postern, "after"), "the directory is asked again", 60)


def test_an_answer_that_is_cut_is_no_answer(proxy, start_ldap):
    """Wherever the network breaks, a right password is let in or told of an outage, and a wrong one never let in."""
    for at in (*range(1, 60, 7), 100):
        for reset in (False, True):
            proxy.to_client.forget_orders()
            proxy.cut()
            proxy.to_client.cut_at(at, reset=reset)
            postern = start_ldap(through(proxy), workers=1)
            replies = [postern.ask(ALICE.uid, password) for password in (ALICE.password, "looking-glass")]
            assert any(len(connection.to_client) == at for connection in proxy.connections), f"cut at {at}"
            proxy.forget_connections()
            assert replies[0].is_accepted or replies[0].is_unavailable, (at, replies)
            assert replies[1].is_refused or replies[1].is_unavailable, (at, replies)
            proxy.to_client.forget_orders()
            is_asked_again(postern)
            assert postern.ask(ALICE.uid, "looking-glass").is_refused
            postern.stop()


def who_is_found_twice(proxy, start_ldap, more, end, **kind):
    """The kept connection breaks behind the entry that a search found; the reply to who is searched once more."""
    proxy.to_client.cut_at(end)
    postern = start_ldap(through(proxy), more=more, workers=1, **kind)
    assert is_let_in(postern, "before")
    assert proxy.open_connections > 0
    proxy.to_client.forget_orders()  # of connections that come
    reply = postern.ask(CAROL.uid, CAROL.password, realm="cut")
    assert end in b"".join(connection.to_client for connection in proxy.connections)
    assert [server["failures"] for server in servers(postern)] == [0]
    return reply


ENTRIES = {  # saslauthd.conf, and the last bytes of what the server sends of CAROL
    "bind": ("", CAROL.dn.encode() + b"\x30\x00"),
    "custom": ("ldap_auth_method: custom\n", CAROL.password.encode()),
}


@pytest.mark.parametrize("method", ENTRIES)
def test_an_entry_found_before_the_connection_broke_is_not_counted(method, slapds, proxy, start_ldap):
    """Or the one that the repeated search finds would be a second match."""
    mark = slapds[0].mark()
    assert who_is_found_twice(proxy, start_ldap, *ENTRIES[method]).is_accepted
    assert [operation.text for operation in mark.operations if "cn=<cut>" in operation.text] == [
        f"search '{PEOPLE}' sub never (|(uid=carol)(cn=<cut>))"] * 2


def test_a_build_that_counts_what_was_found_before_is_caught(proxy, start_ldap, tmp_path):
    program = plant(tmp_path, "ldap", "backends/ldap_connection.cpp", "    LdapFound found;\n", """
    static LdapFound left_over;
    LdapFound found = std::exchange(left_over, {});
    struct Keeper {
        LdapFound& kept;
        ~Keeper()
        {
            if (std::uncaught_exceptions() > 0)
                left_over = kept;
        }
    } keeper{found};
""")
    assert who_is_found_twice(proxy, start_ldap, *ENTRIES["bind"], program=program).is_refused


@pytest.mark.parametrize("garbage", [
    b"\0" * 64, b"\xff" * 64, b"HTTP/1.1 200 OK\r\n\r\n", b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01",
    bytes.fromhex("300c02010161070a010004000400"), b"\x30\x80\x02\x01\x02",
], ids=["zeros", "ones", "HTTP", "a message of two gigabytes", "a bind's success that nobody waits for", "no length"])
def test_garbage_lets_nobody_in(garbage, proxy, start_ldap):
    postern = start_ldap(through(proxy), "--deadline", "5s", workers=1)
    assert is_let_in(postern, "before")
    hearing = [connection for connection in proxy.connections if connection.is_open]
    injected = len(garbage) * len(hearing)
    proxy.to_client.inject(garbage)
    eventually(lambda: proxy.to_client.bytes_under_way == 0, "it arrives")
    assert proxy.to_client.bytes_unread == injected, "nobody reads it unasked"
    reply = postern.ask(ALICE.uid, "looking-glass", realm="garbled")
    assert reply.is_refused or reply.is_unavailable
    assert any(b"<garbled>" in connection.to_server for connection in hearing), "the question was asked there"
    eventually(lambda: proxy.to_client.bytes_unread < injected, "the worker hears it")
    is_asked_again(postern)
    assert postern.ask(ALICE.uid, "looking-glass").is_refused


def test_a_network_that_stalls_is_an_outage_and_heals(proxy, start_ldap):
    postern = start_ldap(through(proxy), "--deadline", "5s")
    assert is_let_in(postern, "before")
    proxy.stall()
    assert postern.ask(ALICE.uid, ALICE.password).is_unavailable
    assert postern.ask(ALICE.uid, "looking-glass").is_unavailable
    proxy.resume()
    is_asked_again(postern)


def test_a_server_that_does_not_listen_is_an_outage_and_heals(proxy, start_ldap):
    postern = start_ldap(through(proxy))
    assert is_let_in(postern, "before")
    proxy.refuse()
    proxy.cut()
    assert postern.ask(ALICE.uid, ALICE.password).is_unavailable
    proxy.admit()
    is_asked_again(postern)


def test_a_server_far_away_serves_many_at_a_time(proxy, start_ldap):
    """A worker waits, so there are more of them; nobody is told of an outage."""
    proxy.to_server.delay = proxy.to_client.delay = 0.01
    postern = start_ldap(through(proxy), "--workers-max", "32")
    names = [f"far-{number}" for number in range(200)]
    assert log_in_together(postern, names, at_a_time=32)
    assert [server["failures"] for server in servers(postern)] == [0]
