# SPDX-License-Identifier: BSD-2-Clause
"""Logins in numbers, every answer checked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from support.eventually import eventually


@dataclass(frozen=True)
class Expected:
    """A login and what must come of it."""

    user: str
    password: str
    realm: str
    is_accepted: bool


def right_and_wrong(account):
    """Two logins of an account: one with its password, one with another."""
    return [Expected(account.user, account.password, account.realm, True),
            Expected(account.user, account.password + "x", account.realm, False)]


def wrong_answers(ask, expected, count=200, at_a_time=8):
    """Does `count` logins of the `expected` in turn; returns those whose answer was not the one that it must be."""

    def check(number):
        login = expected[number % len(expected)]
        reply = ask(login.user, login.password, realm=login.realm)
        is_right = reply.is_accepted if login.is_accepted else reply.is_refused
        return None if is_right else f"login {number} of {login}: {reply}"

    with ThreadPoolExecutor(at_a_time) as pool:
        return [wrong for wrong in pool.map(check, range(count)) if wrong]


class Load:
    """Clients that ask without a pause. A context manager; `ask(number)` is called by each of them, with numbers that
    go up from its own, and returns what came of it."""

    def __init__(self, ask, clients=16):
        self._ask = ask
        self._results = [[] for _ in range(clients)]
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(clients)

    def __enter__(self):
        self._clients = [self._pool.submit(self._go_on, number) for number in range(len(self._results))]
        self.wait_for_more()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def wait_for_more(self, each=7):
        """Of each client so many."""
        enough = [len(results) + each for results in self._results]
        eventually(lambda: all(len(got) >= least for got, least in zip(self._results, enough)), "all go on", 120)

    def results(self):
        """Of all clients."""
        return [result for results in self._results for result in results]

    def _go_on(self, number):
        results = self._results[number]
        while not self._is_over.is_set():
            results.append(self._ask(number))
            number += 1
