# SPDX-License-Identifier: BSD-2-Clause
"""What is measured. A scenario sets up a stage and returns rows and curves; its servers live until all are measured."""

from pathlib import Path

from directory import Directory
from figures import Curve, Row, at_least, at_most
from stage import WORKERS, Crowd, settle, without_log

from support.directory import READER, READER_PASSWORD, SUFFIX
from support.dovecot import Dovecot
from support.host_accounts import HostAccounts
from support.sasldb import ALICE, Sasldb

LOGINS, MILLISECONDS, MEGABYTES = "logins/s", "ms", "MB"

SCENARIOS = {}


def scenario(name):
    def enter(function):
        SCENARIOS[name] = function
        return function
    return enter


@scenario("cache")
def cache(stage):
    """Logins that are remembered."""
    sasldb_of_alice()
    floor, theirs, ours = stage.floor(), stage.saslauthd("-c").socket, stage.posternd("-c").socket
    return [Row(f"cache hit, {clients} clients", LOGINS,
                rates(stage, clients, floor=floor, saslauthd=theirs, postern=ours),
                [at_least(0.8, "floor"), at_least(factor, "saslauthd")])
            for clients, factor in ((8, 1.6), (64, 2.5))]


@scenario("sasldb")
def sasldb(stage):
    """A password database, asked each time."""
    sasldb_of_alice()
    theirs, ours = stage.saslauthd().socket, stage.posternd().socket
    return [Row(f"sasldb, no cache, {clients} clients", LOGINS,
                rates(stage, clients, saslauthd=theirs, postern=ours), [at_least(factor, "saslauthd")])
            for clients, factor in ((8, 2), (64, 2.5))]


@scenario("pam")
def pam(stage):
    """A stack that does nothing: what PAM itself costs."""
    host = HostAccounts()
    stage.callback(host.put_back)
    host.write_stack("imap", "auth required pam_permit.so\naccount required pam_permit.so\n")
    theirs, ours = stage.saslauthd(backend="pam").socket, stage.posternd(backend="pam").socket
    return [Row(f"PAM, cheap stack, {clients} clients", LOGINS,
                rates(stage, clients, saslauthd=theirs, postern=ours), [at_least(8, "saslauthd")])
            for clients in (8, 64)]


@scenario("pam-wrong")
def pam_wrong(stage):
    """A stack that holds wrong passwords up for half a second, asked by more clients than there are workers.

    A delay that occupied a worker would add up: 64 clients on 5 workers would wait for thirteen of them.
    """
    host = HostAccounts()
    stage.callback(host.put_back)
    delay, clients = 500, 64
    host.write_stack("imap", f"auth required pam_faildelay.so delay={delay * 1000}\nauth required pam_deny.so\n"
                             "account required pam_permit.so\n")
    theirs = stage.saslauthd(backend="pam").socket
    ours = stage.posternd("--workers-max", WORKERS, backend="pam").socket

    def slowest(socket):
        return lambda: stage.latency(socket, clients, "p90", "-n", 2 * clients, is_wrong=True)

    return [Row(f"PAM, wrong password, {clients} clients, delay of {delay} ms: p90", MILLISECONDS,
                {"saslauthd": slowest(theirs), "delay": lambda: delay, "postern": slowest(ours)},
                [at_most(2, "delay"), at_most(1, "saslauthd")], rounds_max=3)]


@scenario("ldap")
def ldap(stage):
    """Search and bind, with the directory on this host."""
    directory = stage.enter_context(Directory())
    theirs, ours = ask_directory(stage, directory.port)
    return [Row(f"LDAP, search and bind, {clients} client{'s' if clients > 1 else ''}", LOGINS,
                rates(stage, clients, saslauthd=theirs, postern=ours), [at_least(1.5, "saslauthd")])
            for clients in (1, 8, 64)]


@scenario("ldap-far")
def ldap_far(stage):
    """The same with the directory 20 ms away."""
    directory = stage.enter_context(Directory())
    theirs, ours = ask_directory(stage, stage.far(directory.port))
    return [Row("LDAP 20 ms away, 64 clients", LOGINS, rates(stage, 64, saslauthd=theirs, postern=ours),
                [at_least(10, "saslauthd")])]


def ask_directory(stage, port):
    configuration = Path("/run/bench-saslauthd.conf")
    configuration.write_text(f"ldap_servers: ldap://localhost:{port}/\nldap_bind_dn: {READER}\n"
                             f"ldap_password: {READER_PASSWORD}\nldap_search_base: {SUFFIX}\n")
    return [start("-O", configuration, backend="ldap").socket for start in (stage.saslauthd, stage.posternd)]


@scenario("imap-far")
def imap_far(stage):
    """An IMAP server 20 ms away, asked by one client."""
    dovecot = stage.enter_context(without_log(Dovecot([ALICE])))
    server = f"127.0.0.1/{stage.far(dovecot.port)}"
    theirs, ours = [start("-O", server, backend="rimap").socket for start in (stage.saslauthd, stage.posternd)]
    return [Row("remote IMAP 20 ms away, one client: p50", MILLISECONDS,
                {"saslauthd": lambda: stage.latency(theirs, 1, "p50"),
                 "postern": lambda: stage.latency(ours, 1, "p50")}, [at_most(0.5, "saslauthd")])]


DOVECOT_PROTOCOL = """
CACHE
[listener auth]
protocol = dovecot
socket = DIR/auth
[backend local]
type = sasldb
[route]
default = local
"""

AUTH_SERVICE = """
service auth {
  unix_listener bench {
    mode = 0600
  }
}
"""


@scenario("dovecot")
def dovecot(stage):
    """PLAIN over Dovecot's protocol; Dovecot itself has the password in a text file, and that in its memory."""
    sasldb_of_alice()
    theirs = stage.enter_context(without_log(Dovecot([ALICE], AUTH_SERVICE))).directory / "run/bench"
    return [Row(f"Dovecot protocol, PLAIN, {what}, {clients} connections", LOGINS,
                rates(stage, clients, dovecot=theirs, postern=ours), [at_least(1.5, "dovecot")])
            for what, section in (("remembered", "[cache]"), ("asked each time", ""))
            for ours in [stage.postern_conf(DOVECOT_PROTOCOL.replace("CACHE", section)).sockets["auth"]]
            for clients in (8, 64)]


@scenario("silent")
def silent_clients(stage):
    """A thousand clients that connect and say nothing, beside eight that log in."""
    sasldb_of_alice()
    ours, crowded = stage.posternd(), stage.posternd()

    def beside_a_crowd():
        with Crowd(crowded.socket, 1000) as crowd:
            latency = stage.latency(crowded.socket, 8, "p99")
            crowd.expect_all_connected()
        return latency

    return [Row("1000 silent clients, 8 that log in: p99", MILLISECONDS,
                {"unloaded": lambda: stage.latency(ours.socket, 8, "p99"), "postern": beside_a_crowd},
                [at_most(1.2, "unloaded")])]


@scenario("memory")
def memory(stage):
    """Of a daemon that waits, with one backend and 5 workers, each of which has been asked."""
    sasldb_of_alice()
    theirs, ours = stage.saslauthd(), stage.posternd()
    for server in (theirs, ours):
        stage.load(server.socket, 64, "-n", 5000)
    return [Row("memory, idle, one backend, 5 workers: PSS", MEGABYTES,
                {"saslauthd": lambda: megabytes(theirs), "10 MB": lambda: 10, "postern": lambda: megabytes(ours)},
                [at_most(1, "10 MB")])]


def megabytes(server):
    """The proportional set sizes of all its processes together."""
    maps = [(process.directory / "smaps_rollup").read_text() for process in server.processes()]
    return sum(int(line.split()[1]) for text in maps for line in text.splitlines() if line.startswith("Pss:")) / 1000


@scenario("load")
def load(stage):
    """Latency against load: more and more clients, each of which logs in again as soon as it has its answer."""
    sasldb_of_alice()
    servers = {"floor": stage.floor(),
               "saslauthd": stage.saslauthd().socket, "saslauthd -c": stage.saslauthd("-c").socket,
               "postern": stage.posternd().socket, "postern -c": stage.posternd("-c").socket}

    def measuring(socket):
        return lambda clients: figures(stage.load(socket, clients))

    return [Curve("latency against load", "clients", [1, 2, 4, 8, 16, 32, 64, 128],
                  {name: measuring(socket) for name, socket in servers.items()})]


def sasldb_of_alice():
    settle(Sasldb().add(ALICE).path)


def figures(result):
    return {"logins/s": result["logins_per_second"], "p50 ms": result["milliseconds"]["p50"],
            "p99 ms": result["milliseconds"]["p99"]}


def rates(stage, clients, **servers):
    return {name: lambda socket=socket: stage.rate(socket, clients) for name, socket in servers.items()}
