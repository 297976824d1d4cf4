# SPDX-License-Identifier: BSD-2-Clause
"""How cost grows: with users, with idle connections, with backends asked in turn, with logins remembered."""

import grp
import os
import subprocess
from pathlib import Path

from figures import Curve
from scenarios import figures, scenario
from stage import WORKERS, Crowd, WrongAnswer, settle

from support import control
from support.places import HOST_NAME, SASLDB
from support.sasldb import Account

CLIENTS = 8
USER = Account("user%d", "wonderland")  # each of them
PATIENCE = "60s"  # of a daemon whose workers have to look through a large database first


def database(users, path, first=1):
    """A sasldb of user1, user2, …: loaded at once, as saslpasswd2 would need days for a million."""
    lines = ["VERSION=3", "format=bytevalue", "type=hash", f"h_nelem={users}", "HEADER=END"]
    password = USER.password.encode().hex()
    for number in range(first, first + users):
        lines += [" " + f"user{number}\0{HOST_NAME}\0userPassword".encode().hex(), " " + password]
    path.unlink(missing_ok=True)
    subprocess.run(["db_load", path], input="\n".join([*lines, "DATA=END", ""]).encode(), check=True)
    os.chown(path, 0, grp.getgrnam("sasl").gr_gid)
    path.chmod(0o640)
    return path


def all_of(users):
    return ["--range", f"1-{users}"]


def log_in(stage, socket, users, *more):
    more = more or ("--seconds", stage.seconds)
    return stage.load(socket, CLIENTS, *all_of(users), *more, account=USER)


@scenario("growth-users")
def users(stage):
    """Each user in turn, in databases of more and more; and the first logins after such a file has changed.

    saslauthd has one place for its database.
    """
    sizes = [100, 1_000, 10_000, 100_000, 1_000_000]
    databases = {size: database(size, Path(f"/etc/bench-sasldb.{size}")) for size in sizes}
    SASLDB.unlink(missing_ok=True)
    os.link(databases[sizes[0]], SASLDB)
    theirs = stage.saslauthd().socket
    ours = {size: stage.posternd("--deadline", PATIENCE, "--sasldb-path", path).socket
            for size, path in databases.items()}

    def ask(socket, size):
        os.utime(databases[size])
        after_change = stage.load(socket, WORKERS, *all_of(size), "-n", WORKERS, account=USER)["milliseconds"]["max"]
        settle(databases[size])
        return figures(log_in(stage, socket, size)) | {"after a change ms": after_change}

    def ask_saslauthd(size):
        SASLDB.unlink()
        os.link(databases[size], SASLDB)
        return ask(theirs, size)

    return [Curve("users in a sasldb, 8 clients", "users", sizes,
                  {"saslauthd": ask_saslauthd, "postern": lambda size: ask(ours[size], size)})]


@scenario("growth-idle")
def idle(stage):
    """Connections that stay open and idle, as Postfix keeps them, beside those that log in."""
    settle(database(1, SASLDB))
    server = stage.postern_conf("[listener auth]\nprotocol = dovecot\nsocket = DIR/auth\n"
                                "[backend local]\ntype = sasldb\n[route]\ndefault = local\n")

    def measure(count):
        with Crowd(server.socket, count, lambda number: b"VERSION\t1\t2\nCPID\t%d\n" % (number + 1)) as crowd:
            found = figures(log_in(stage, server.socket, 1))
            crowd.expect_all_connected()
        return found

    return [Curve("idle connections of Dovecot's protocol, 8 that log in", "idle", [1, 10, 100, 1_000, 10_000],
                  {"postern": measure})]


@scenario("growth-chain")
def chain(stage):
    """Backends asked in turn: whoever logs in is known to the last."""
    lengths = [1, 2, 4, 8]
    known, unknown = database(1, SASLDB), database(1, Path("/etc/bench-sasldb.other"), first=2)
    for path in known, unknown:
        settle(path)

    def start(length):
        names = [f"backend{number}" for number in range(length)]
        paths = [unknown] * (length - 1) + [known]
        backends = "".join(f"[backend {name}]\ntype = sasldb\nsasldb_path = {path}\nworkers = 2\n"
                           for name, path in zip(names, paths))
        return stage.postern_conf(f"[listener mux]\nsocket = DIR/mux\n{backends}[route]\ndefault = {' '.join(names)}\n")

    servers = {length: start(length).socket for length in lengths}
    return [Curve("a chain of sasldb backends, 8 clients", "backends", lengths,
                  {"postern": lambda length: figures(log_in(stage, servers[length], 1))})]


@scenario("growth-cache")
def cache(stage):
    """Logins that are remembered, each in turn."""
    sizes = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]

    def start(size):
        path = database(size, Path(f"/etc/bench-sasldb.{size}"))
        server = stage.postern_conf("[cache]\nsize_kib = 262144\n"
                                    f"[listener mux]\nsocket = DIR/mux\ndeadline = {PATIENCE}\n"
                                    f"[backend local]\ntype = sasldb\nsasldb_path = {path}\n[route]\ndefault = local\n")
        log_in(stage, server.socket, size, "-n", size)
        return server

    servers = {size: start(size) for size in sizes}

    def measure(size):
        server = servers[size]
        misses = control.status(server.directory)["cache"]["misses"]
        found = figures(log_in(stage, server.socket, size))
        if control.status(server.directory)["cache"]["misses"] != misses:
            raise WrongAnswer(f"{server} has asked its backend about a login that it had remembered")
        return found

    return [Curve("logins in the cache, 8 clients", "logins", sizes, {"postern": measure})]
