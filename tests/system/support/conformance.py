# SPDX-License-Identifier: BSD-2-Clause
"""What clients may send to a saslauthd socket, and how two servers' answers are compared.

A case is bytes, cut into pieces that the server is made to read one by one. "Compatible" is no opinion: two servers
are asked, with the same database, and whatever they send until they end the connection has to be equal, byte for
byte, but for the rows of docs/differences.md.
"""

import time
from dataclasses import dataclass
from fnmatch import fnmatchcase

from support.host_accounts import DEBIANS_STACK, cheap_hash
from support.places import HOST_NAME
from support.sasldb import ALICE, BOB, Account
from support.wire import Connection, Reply, counted, request

LONG = {length: Account(f"long{length}", "p" * length) for length in (255, 256, 257, 1024)}
JOINED = Account("carol@example.org", "christmas", "example.org")  # the key that -r looks for: carol + example.org
ODD = [
    Account("jürgen", "pässwörd €"),
    Account("percent%s", "100%s%n%d"),
    Account("bracket]", "] [user=root"),
    Account("blank", " around "),
    Account("quote", "\"'\\`$(id)"),
]


RIGHT = request(ALICE.user, ALICE.password)
WRONG = request(ALICE.user, "looking-glass")
FIELDS = ["login", "password", "service", "realm"]


def write_accounts(database):
    """Fills a sasldb with the accounts that the cases speak of."""
    for account in (ALICE, BOB, *LONG.values(), *ODD):
        database.add(account)
    return database.add_key(JOINED)


def accounts_of_a_server():
    """Those that the cases about a server elsewhere speak of."""
    return [ALICE, BOB, JOINED, *LONG.values(), *ODD]


TODAY = int(time.time()) // 86400
DATES = {  # of shadow entries, for accounts of these names
    "old": f"{TODAY - 6}:0:5:7::", "aging": f"{TODAY - 5}:0:99:7::", "changed-in-1970": "0:0:5:7::",
    "unchanged": ":0:5:7::", "every-day": f"{TODAY - 2}:0:0:7::", "lenient": f"{TODAY - 6}:0:5:7:30:",
    "gone": f"19000:0:99999:7::{TODAY - 2}", "going": f"19000:0:99999:7::{TODAY + 9}", "zero": "19000:0:99999:7::0",
    "old-and-gone": f"{TODAY - 6}:0:5:7::{TODAY - 2}",
}
HASHES = {  # that are none, or none that lets in
    "no-hash": "", "star": "*", "locked": "!" + cheap_hash("wonderland"), "bang": "!", "x": "x", "half-a-hash": "$6$",
    "method-of-nobody": "$99$salt$hash", "star-zero": "*0",
}
HIDDEN = "hidden-by-nis"


def write_host_accounts(host, with_hash_in_passwd):
    """Fills /etc with the accounts that the cases speak of, and a PAM stack as Debian has it."""
    def add(user, hashed, **fields):
        if with_hash_in_passwd:
            host.add(user, in_passwd=hashed)
        else:
            host.add(user, hashed=hashed, **fields)

    for account in (ALICE, BOB, *LONG.values(), *ODD, JOINED):
        add(account.user, cheap_hash(account.password))
    for user, dates in DATES.items():
        add(user, cheap_hash(ALICE.password), dates=dates)
    for user, hashed in HASHES.items():
        add(user, hashed)
    if not with_hash_in_passwd:
        add(HIDDEN, "*NP*")
        host.add("half", in_passwd=cheap_hash(ALICE.password))
    for service in ("imap", "other"):
        host.write_stack(service, DEBIANS_STACK)


@dataclass(frozen=True)
class Case:
    name: str
    pieces: tuple  # of bytes: each is read by the server before the next is sent
    half_closes: bool = False  # ends its side behind the last piece
    flags: tuple = ()  # of the server
    is_over_early: bool = False  # the last piece crosses the reply; whether that shows as a reset is the kernel's luck

    def __str__(self):
        return self.name


def converse(path, case):
    """Plays a case; what came back."""
    with Connection(path) as connection:
        for piece in case.pieces[:-1]:
            connection.send_and_be_read(piece)
        connection.send(case.pieces[-1])
        if case.half_closes:
            connection.finish_sending()
        reply = connection.reply()
    return Reply(reply.raw, "eof") if case.is_over_early and reply.ending == "reset" else reply


# ---- the table


def _login(name, account=ALICE, flags=(), **changed):
    fields = {"login": account.user, "password": account.password, "service": "imap", "realm": ""} | changed
    return Case(name, (request(**fields),), flags=flags)


def _verdicts():
    yield _login("right")
    yield _login("wrong", password="looking-glass")
    yield _login("unknown-user", login="nobody")
    yield _login("prefix-of-the-password", password="wonderlan")
    yield _login("password-with-more-behind", password="wonderlandx")
    yield _login("user-prefix", login="alic")
    yield _login("realm-is-the-host", realm=HOST_NAME)
    yield _login("realm-of-nobody", realm="nowhere.example")
    yield _login("realm-right", BOB, realm=BOB.realm)
    yield _login("realm-missing", BOB)
    yield _login("realm-wrong-password", BOB, realm=BOB.realm, password="x")
    yield _login("realm-in-the-login", BOB, login=f"{BOB.user}@{BOB.realm}")
    yield _login("realm-in-the-login-and-given", BOB, login=f"{BOB.user}@{BOB.realm}", realm=BOB.realm)
    yield _login("realm-with-an-at", BOB, realm="@" + BOB.realm)
    yield _login("login-in-capitals", login="ALICE")
    yield _login("password-in-capitals", password="WONDERLAND")
    yield _login("realm-in-capitals", BOB, realm="EXAMPLE.ORG")
    yield _login("login-with-a-blank-behind", login="alice ")
    yield _login("service-other", service="nosuchservice")
    yield _login("service-with-a-slash", service="../../etc/passwd")


def _joined():
    flags = ("-r",)
    yield _login("joined-right", JOINED, flags, login="carol", realm="example.org")
    yield _login("joined-wrong", JOINED, flags, login="carol", realm="example.org", password="x")
    yield _login("joined-no-realm", flags=flags)
    yield _login("joined-hides-the-plain-user", BOB, flags, realm=BOB.realm)
    yield _login("joined-login-has-a-realm", JOINED, flags, realm="example.org")
    yield _login("joined-empty-login", flags=flags, login="", realm="example.org")
    yield _login("joined-longest", flags=flags, login="u" * 256, realm="r" * 256)


def _splits():
    yield Case("bytes-one-by-one-right", tuple(bytes([byte]) for byte in RIGHT))
    yield Case("bytes-one-by-one-wrong", tuple(bytes([byte]) for byte in WRONG))
    for at in range(1, len(RIGHT)):
        yield Case(f"split-at-{at}-right", (RIGHT[:at], RIGHT[at:]))
    for at in range(1, len(WRONG)):
        yield Case(f"split-at-{at}-wrong", (WRONG[:at], WRONG[at:]))
    fields = (ALICE.user, ALICE.password, "imap", "")
    yield Case("split-by-field", tuple(counted(field) for field in fields))
    yield Case("split-by-length-and-text",
               tuple(piece for field in fields for piece in (counted(field)[:2], counted(field)[2:]) if piece))
    yield Case("split-in-a-long-field", (request(LONG[256].user, LONG[256].password)[:100],
                                         request(LONG[256].user, LONG[256].password)[100:]))


def _more_behind():
    yield Case("behind-right-one-byte", (RIGHT + b"x",))
    yield Case("behind-right-garbage", (RIGHT + b"\xff" * 3000,))
    yield Case("behind-right-a-wrong", (RIGHT + WRONG,))
    yield Case("behind-wrong-a-right", (WRONG + RIGHT,))
    yield Case("behind-wrong-garbage", (WRONG + b"\0" * 100_000,))
    yield Case("behind-right-then-half-closed", (RIGHT + RIGHT,), half_closes=True)


def _fifth_field():
    def fifth(name, tail, **kind):
        return Case(f"fifth-{name}", (RIGHT + tail,), **kind)

    yield fifth("address", counted("192.0.2.7;50123"))
    yield fifth("empty", counted(""))
    yield fifth("one-byte-of-its-length", b"\0")
    yield fifth("length-only", b"\0\x0f")
    yield fifth("partial", b"\0\x0f192.0.2")
    yield fifth("partial-half-closed", b"\0\x0f192.0.2", half_closes=True)
    yield fifth("too-long", b"\xff\xff" + b"9" * 70_000)
    yield fifth("with-nul", counted("192.0.2.7\0;1"))
    yield fifth("and-a-sixth", counted("192.0.2.7;50123") + counted("more"))
    yield Case("fifth-in-a-piece-of-its-own", (RIGHT, counted("192.0.2.7;50123")), is_over_early=True)
    yield Case("fifth-after-wrong", (WRONG + counted("192.0.2.7;50123"),))


def _limits():
    for field in FIELDS:
        for length in (255, 256, 257, 1024, 1025, 65535):
            yield _login(f"long-{field}-{length}", **{field: "x" * length})
    for length, account in LONG.items():
        yield _login(f"long-right-password-{length}", account)
        yield _login(f"long-right-password-{length}-cut", account, password=account.password[:-1])
    for field in FIELDS:
        before = b"".join(counted("x") for _ in FIELDS[:FIELDS.index(field)])
        yield Case(f"announced-{field}-65535", (before + b"\xff\xff",))
        yield Case(f"announced-{field}-65535-half-closed", (before + b"\xff\xff",), half_closes=True)
    yield Case("announced-login-65535-byte-by-byte", (b"\xff", b"\xff"))
    yield _login("long-all-256", login="x" * 256, password="x" * 256, service="x" * 256, realm="x" * 256)


def _nuls():
    for field in FIELDS:
        text = {"login": ALICE.user, "password": ALICE.password, "service": "imap", "realm": HOST_NAME}[field]
        yield _login(f"nul-leading-{field}", **{field: "\0" + text})
        yield _login(f"nul-inside-{field}", **{field: text[:2] + "\0" + text[2:]})
        yield _login(f"nul-trailing-{field}", **{field: text + "\0"})
        yield _login(f"nul-trailing-with-more-{field}", **{field: text + "\0more"})


def _empties():
    for field in FIELDS:
        yield _login(f"empty-{field}", **{field: ""})
    yield _login("empty-login-and-password", login="", password="")
    yield _login("empty-password-of-nobody", login="nobody", password="")
    yield _login("empty-all", login="", password="", service="", realm="")
    yield _login("empty-password-with-realm", BOB, password="", realm=BOB.realm)


def _early_ends():
    yield Case("end-at-once", (b"",), half_closes=True)
    request_ = request(ALICE.user, ALICE.password, "imap", BOB.realm)
    at = 0
    for field, text in zip(FIELDS, (ALICE.user, ALICE.password, "imap", BOB.realm)):
        yield Case(f"end-in-the-length-of-{field}", (request_[:at + 1],), half_closes=True)
        yield Case(f"end-before-the-text-of-{field}", (request_[:at + 2],), half_closes=True)
        yield Case(f"end-in-the-text-of-{field}", (request_[:at + 2 + len(text) // 2],), half_closes=True)
        at += 2 + len(text)
    yield Case("end-behind-three-fields", (RIGHT[:-2],), half_closes=True)
    yield Case("half-closed-right", (RIGHT,), half_closes=True)
    yield Case("half-closed-wrong", (WRONG,), half_closes=True)
    yield Case("half-closed-empty-password", (request(ALICE.user, ""),), half_closes=True)


def _odd_bytes():
    for account in ODD:
        yield _login(f"odd-{account.user}", account)
        yield _login(f"odd-{account.user}-wrong", account, password=account.password + "x")
    for name, text in {
        "latin-1": b"j\xfcrgen", "no-utf-8": b"\xff\xfe\xc0\x80", "all-bytes": bytes(range(1, 256)),
        "newline": b"a\nb", "crlf": b"a\r\nb", "tab": b"a\tb", "escape": b"\x1b[31m", "percent": b"%s%n%x%p",
        "log-forging": b"x] [reason=none]\nsaslauthd[1]: auth success: [user=root", "ldap": b"*)(uid=*",
        "sql": b"' or 1=1 --", "slashes": b"../../../etc/passwd", "ohm": "Ω@Ω".encode(),
    }.items():
        for field in FIELDS:
            yield _login(f"odd-{name}-{field}", **{field: text})


def _host_accounts():
    for user in (*DATES, *HASHES, "half", "root"):
        yield _login(f"account-{user}", login=user)
        yield _login(f"account-{user}-wrong", login=user, password="looking-glass")
    yield _login("hash-as-password", login="star", password="*")
    yield _login("x-as-password", login="x", password="x")


def _pam_services():
    for name, service in {"empty": "", "other": "other", "in-capitals": "IMAP", "hidden": ".imap", "dot": ".",
                          "dots": "..", "path": "/etc/pam.d/imap", "with-a-blank": "i map"}.items():
        yield _login(f"service-{name}", service=service)


CASES = [case for group in (_verdicts, _joined, _splits, _more_behind, _fifth_field, _limits, _nuls, _empties,
                            _early_ends, _odd_bytes) for case in group()]

# What is the protocol's own business, splits and early ends, is the same whoever is asked.
HOST_CASES = [case for group in (_verdicts, _joined, _fifth_field, _limits, _nuls, _empties, _odd_bytes, _host_accounts,
                                 _pam_services) for case in group()]

# A server elsewhere has accounts of its own.
SERVER_CASES = [case for group in (_verdicts, _joined, _fifth_field, _limits, _nuls, _empties, _odd_bytes)
                for case in group()]


# ---- the comparison


EVERY_CASE = "*"


def rows_about(name, incumbent, rows):
    """The rows of that name; without one, those about every case in which saslauthd sends the text that they state."""
    named = [row for row in rows if row.case != EVERY_CASE and fnmatchcase(name, row.case)]
    return named or [row for row in rows if row.case == EVERY_CASE and row.saslauthd == str(incumbent)]


def complaints(name, incumbent, candidate, rows):
    """What is wrong with the candidate's reply to case `name`, seen beside the incumbent's and the table's rows."""
    matching = rows_about(name, incumbent, rows)
    if len(matching) > 1:
        return [f"{name}: {len(matching)} rows speak of it"]
    if not matching:
        return [] if incumbent == candidate else [f"{name}: {incumbent} became {candidate}, and no row says so"]
    row = matching[0]
    if incumbent == candidate:
        return [f"{name}: no longer differs ({candidate}), but has a row"]
    problems = [f"{name}: the row says {said} for {who}, which sent {reply}"
                for who, said, reply in (("saslauthd", row.saslauthd, incumbent), ("Postern", row.postern, candidate))
                if said != str(reply)]
    if incumbent.is_accepted != candidate.is_accepted and row.kind != "defect":
        problems.append(f"{name}: {incumbent} became {candidate}; only a row of kind 'defect' may say so")
    if candidate.is_unavailable and row.kind != "outage":
        problems.append(f"{name}: unavailable, where the backend could be asked")
    if row.case == EVERY_CASE and row.kind != "text":
        problems.append(f"{name}: a row about every case may change the text behind NO and nothing else")
    if row.kind in ("defect", "outage") and not row.test:
        problems.append(f"{name}: a row of kind {row.kind!r} needs a test of its own")
    return problems
