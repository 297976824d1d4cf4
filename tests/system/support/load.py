# SPDX-License-Identifier: BSD-2-Clause
"""Logins in numbers, every answer checked."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


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
