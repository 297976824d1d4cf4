# SPDX-License-Identifier: BSD-2-Clause
"""Logins in great numbers, while passwords change, processes are killed and the configuration is read again.

Clients, and those who disturb them, only write down what happened and when, by the monotonic clock, which is one for
all processes. Afterwards problems() says what must not have happened:

    a wrong verdict   an OK to a password that was not the account's at any moment of the login, or a NO to the only
                      one that was. While a password is being changed, the old and the new one are both the account's.
    a lost login      no answer, a socket that nobody serves, or an end or an outage without a cause. The kill of a front
                      ends what it had accepted, and the kill of a worker is the outage of one login: their clients
                      see it, and try again until they get a verdict.
"""

import multiprocessing
import os
import random
import signal
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from support import control, wire
from support.dovecot_auth import Client, Ended
from support.sasldb import Account, passwd

ACCEPTED, REFUSED, UNAVAILABLE, CUT, LOST, GARBLED = "accepted", "refused", "unavailable", "cut", "lost", "garbled"
FRONT, WORKER = "front", "worker"
ACCOUNTS = 24
REALM = "example.org"
PATIENCE = 120.0  # of a client; the daemon's own deadlines are shorter
TRIES_MAX = 50

POSTERN_CONF = """
[cache]

[listener mux]
socket = DIR/mux
deadline = 60s

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = PLAIN LOGIN SCRAM-SHA-256
deadline = 60s

[backend local]
type = sasldb
workers = 3
workers_max = 3

[route]
default = local
failure_delay = 0
"""


class Span(NamedTuple):
    """Of time. What something has done at its end, it may have done at any moment since its beginning."""

    began: float
    ended: float

    def meets(self, other):
        return self.began <= other.ended and other.began <= self.ended


class Attempt(NamedTuple):
    protocol: str  # "saslauthd", or a mechanism of the other one
    account: int
    password: str
    span: Span
    outcome: str


class Change(NamedTuple):
    account: int
    password: str
    span: Span


class Kill(NamedTuple):
    role: str
    span: Span


@dataclass
class Events:
    """All that happened."""

    attempts: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    kills: list = field(default_factory=list)
    reloads: list = field(default_factory=list)  # a span, and what the daemon said: nothing when all went well
    hits: int = 0  # of the cache, as far as they were seen: a front that ends takes its count along

    def count(self, *outcomes):
        return sum(attempt.outcome in outcomes for attempt in self.attempts)

    def summary(self):
        killed = Counter(kill.role for kill in self.kills)
        return (f"{dict(Counter(attempt.outcome for attempt in self.attempts))}, {len(self.changes)} changes, "
                f"{len(self.reloads)} reloads, killed: {dict(killed)}")


def user(account):
    return f"user{account}"


def name(account):
    return f"{user(account)}@{REALM}"


def password(account, version):
    """The first one is version 0. Nobody else's, and no part of another one."""
    return f"{version}.password-of-{account}."


# what must not have happened


def problems(events):
    """In words; nothing when all went well."""
    history = History(events.changes)
    kills = {role: [kill.span for kill in events.kills if kill.role == role] for role in (FRONT, WORKER)}
    found = [f"wrong verdict: {attempt}, but what counted was {history.valid(attempt.account, attempt.span)}"
             for attempt in events.attempts if is_wrong(attempt, history)]
    found += [f"lost login: {attempt}" for attempt in events.attempts if is_lost(attempt, kills)]
    outages = [attempt for attempt in events.attempts if is_outage(attempt, kills)]
    if len(outages) > len(kills[WORKER]):
        found.append(f"{len(outages)} outages by {len(kills[WORKER])} kills of workers")
    found += [f"reload without an end, or with a problem: {problem}" for span, problem in events.reloads
              if problem and not is_in(span, kills[FRONT] + kills[WORKER])]
    return found


def is_wrong(attempt, history):
    valid = history.valid(attempt.account, attempt.span)
    if attempt.outcome == ACCEPTED:
        return attempt.password not in valid
    return attempt.outcome == REFUSED and valid == {attempt.password}


def is_lost(attempt, kills):
    if is_outage(attempt, kills):
        return not is_in(attempt.span, kills[WORKER])
    if attempt.outcome == CUT:
        return not is_in(attempt.span, kills[FRONT])
    return attempt.outcome in (LOST, GARBLED)


def is_outage(attempt, kills):
    """To a Dovecot client one is told by an end of the connection, too."""
    if attempt.outcome == CUT and attempt.protocol != "saslauthd":
        return not is_in(attempt.span, kills[FRONT])
    return attempt.outcome == UNAVAILABLE


def is_in(span, others):
    return any(span.meets(other) for other in others)


class History:
    """Which passwords an account had, and when. Each account's changes come one after the other."""

    def __init__(self, changes):
        self.changes = {account: [change for change in changes if change.account == account]
                        for account in range(ACCOUNTS)}
        self.began = {account: [change.span.began for change in own] for account, own in self.changes.items()}
        self.ended = {account: [change.span.ended for change in own] for account, own in self.changes.items()}

    def valid(self, account, span):
        """Those that were the account's at some moment of the span."""
        first = bisect_left(self.ended[account], span.began)  # was over before
        last = bisect_right(self.began[account], span.ended)
        before = {password(account, 0)} if first == 0 else {self.changes[account][first - 1].password}
        return before | {change.password for change in self.changes[account][first:last]}


# clients


class Smtpd(Client):
    """As Postfix has it: one connection for many logins; when a login cannot be written to it, another one, once."""

    def __init__(self, path):
        self.path = path
        super().__init__(path, PATIENCE)

    def begin(self, *words, **parameters):
        try:
            return super().begin(*words, **parameters)
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            super().__init__(self.path, PATIENCE)
            return super().begin(*words, **parameters)


class DovecotProtocol:
    """Logins by the Dovecot protocol, on one connection as long as it lasts."""

    def __init__(self, path, choice):
        self.path, self.choice, self.client = path, choice, None

    def log_in(self, account, secret):
        mechanism = self.choice.choices(["PLAIN", "LOGIN", "SCRAM-SHA-256"], [80, 19, 1])[0]
        try:
            self.client = self.client or Smtpd(self.path)
            reply = self.client.log_in(mechanism, name(account), secret)
        except (Ended, BrokenPipeError, ConnectionResetError):
            outcome = CUT
        except OSError:
            outcome = LOST
        else:
            return mechanism, outcome_of(reply, account)
        self.close()
        return mechanism, outcome

    def close(self):
        if self.client:
            self.client.close()
        self.client = None


def outcome_of(reply, account):
    if reply.user not in (None, name(account)):
        return GARBLED
    if reply.word == "FAIL":
        return UNAVAILABLE if reply.parameters.get("code") == "temp_fail" else REFUSED
    return ACCEPTED if reply.word == "OK" else GARBLED


class SaslauthdProtocol:
    """Logins by saslauthd's, each on a connection of its own."""

    def __init__(self, path, _):
        self.path = path

    def log_in(self, account, secret):
        try:
            reply = wire.ask(self.path, user(account), secret, "imap", REALM, PATIENCE)
        except OSError:
            return "saslauthd", LOST
        if reply.raw in (b"\0\2OK", b"\0\2NO"):
            return "saslauthd", ACCEPTED if reply.is_accepted else REFUSED
        if reply.is_unavailable:
            return "saslauthd", UNAVAILABLE
        return "saslauthd", LOST if reply.ending == "open" else GARBLED if reply.raw else CUT

    def close(self):
        pass


@dataclass
class Shared:
    """What clients see of what goes on."""

    versions: object  # of each account's password: the last one that is known to count
    changed_last: object  # an account
    is_enough: object  # has gone on


def log_ins(path, protocol, number, count, shared):
    """`count` logins and more, until there is enough of everything: every third one with a wrong password."""
    choice = random.Random(number)
    client = protocol(path, choice)
    attempts = []
    done = 0
    while done < count or not shared.is_enough.value:
        account = shared.changed_last.value if choice.random() < 0.3 else choice.randrange(ACCOUNTS)
        version = shared.versions[account]
        secret = wrong_password(account, version, choice) if done % 3 == 0 else password(account, version)
        attempts += tries(client, account, secret)
        done += 1
    client.close()
    return attempts


def wrong_password(account, version, choice):
    neighbour = (account + 1) % ACCOUNTS
    before = password(account, max(0, version - 1)) + ("" if version else "x")
    return choice.choice([before, password(account, version) + "x", password(account, version)[:-1],
                          password(neighbour, version)])


def tries(client, account, secret):
    """As a mail client does it, which is told to come again: until there is a verdict."""
    attempts = []
    while len(attempts) < TRIES_MAX and (not attempts or attempts[-1].outcome in (UNAVAILABLE, CUT)):
        began = time.monotonic()
        protocol, outcome = client.log_in(account, secret)
        attempts.append(Attempt(protocol, account, secret, Span(began, time.monotonic()), outcome))
    if attempts[-1].outcome in (UNAVAILABLE, CUT):
        attempts.append(attempts[-1]._replace(outcome=LOST))
    return attempts


# those who disturb them


class Disturbance:
    """Three threads: one changes passwords, one kills, one has the configuration read again, once a second."""

    def __init__(self, daemon, sasldb, shared):
        self.daemon, self.sasldb, self.shared = daemon, sasldb, shared
        self.events = Events()
        self.choice = random.Random(4711)
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=task) for task in (self.change_passwords, self.reload, self.kill)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def change_passwords(self):
        ways = [lambda new: self.sasldb.add(new),
                lambda new: passwd(self.sasldb, f"{new.user}@{new.realm}", new.password, "--plain")]
        while not self.is_over.is_set():
            account = self.choice.randrange(ACCOUNTS)
            version = self.shared.versions[account] + 1
            secret = password(account, version)
            began = time.monotonic()
            ways[len(self.events.changes) % len(ways)](Account(user(account), secret, REALM))
            self.events.changes.append(Change(account, secret, Span(began, time.monotonic())))
            self.shared.versions[account] = version
            self.shared.changed_last.value = account

    def kill(self):
        choice = random.Random(42)
        while not self.is_over.wait(choice.uniform(0.05, 0.5)):
            role = choice.choice([FRONT, WORKER, WORKER, WORKER])
            victims = self.daemon.fronts if role == FRONT else self.daemon.workers("local")
            if victims:
                self.kill_one(role, choice.choice(victims))

    def kill_one(self, role, victim):
        began = time.monotonic()
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        victim.wait_gone()
        self.events.kills.append(Kill(role, Span(began, time.monotonic())))

    def reload(self):
        while not self.is_over.wait(1):
            began = time.monotonic()
            try:
                self.events.hits += control.status(self.daemon.directory)["cache"]["hits"]
                problem = control.reload(self.daemon.directory)
            except (OSError, ValueError) as error:
                problem = f"no answer: {error}"
            self.events.reloads.append((Span(began, time.monotonic()), problem))

    def goes_on(self):
        return all(thread.is_alive() for thread in self.threads)

    def has_done(self, changes, reloads, fronts, workers):
        killed = Counter(kill.role for kill in self.events.kills)
        return (len(self.events.changes) >= changes and len(self.events.reloads) >= reloads
                and killed[FRONT] >= fronts and killed[WORKER] >= workers)


def endure(daemon, sasldb, count, at_least):
    """`count` logins and more; `at_least` is what has_done() is asked. Returns all that happened."""
    context = multiprocessing.get_context("fork")
    shared = Shared(context.Array("i", ACCOUNTS, lock=False), context.Value("i", 0, lock=False),
                    context.Value("i", 0, lock=False))
    kinds = [(daemon.sockets["mux"], SaslauthdProtocol)] * 4 + [(daemon.sockets["submission"], DovecotProtocol)] * 2
    results = context.SimpleQueue()
    clients = [context.Process(target=put_log_ins, args=(results, *kind, number, -(-count // len(kinds)), shared))
               for number, kind in enumerate(kinds)]
    for client in clients:
        client.start()
    with Disturbance(daemon, sasldb, shared) as disturbance:
        while not disturbance.has_done(**at_least) and disturbance.goes_on() and all(map(is_alive, clients)):
            time.sleep(0.01)
        shared.is_enough.value = 1
        events = disturbance.events
        for _ in clients:
            events.attempts += results.get()
    for client in clients:
        client.join()
    assert [client.exitcode for client in clients] == [0] * len(clients), "a client has given up"
    assert disturbance.has_done(**at_least), "one of those who disturb has given up"
    return events


def is_alive(client):
    return client.is_alive()


def put_log_ins(results, *what):
    attempts = []
    try:
        attempts = log_ins(*what)
    finally:
        results.put(attempts)


def fill(sasldb):
    """The accounts, with their first passwords."""
    for account in range(ACCOUNTS):
        sasldb.add(Account(user(account), password(account, 0), REALM))
