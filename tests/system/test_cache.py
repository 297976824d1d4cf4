# SPDX-License-Identifier: BSD-2-Clause
"""Logins that are remembered: what is the same as with Debian's saslauthd -c, and what must never be remembered."""

import grp
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from support import control
from support.directory import ALICE as ALICE_OF_SLAPD
from support.directory import CAROL as CAROL_OF_SLAPD
from support.directory import PEOPLE
from support.dovecot import Dovecot
from support.dovecot_auth import Client
from support.eventually import eventually
from support.host_accounts import DEBIANS_STACK, HostAccounts, cheap_hash, traditional_hash
from support.kdc import KEYTAB, KRB5_CONF, Kdc
from support.ldap_combinations import TLS
from support.load import right_and_wrong, wrong_answers
from support.memory import found_in_memory
from support.places import HOST_NAME, POSTERN
from support.sasldb import ALICE, BOB, Account, passwd
from support.slapd import Authority, Slapd

CACHE = """
[cache]
{cache}
[listener a]
socket = DIR/mux
[backend local]
{backend}
[route]
default = local
failure_delay = 0
"""

SASL = grp.getgrnam("sasl").gr_gid
ALLOW_ACCOUNT = "account required pam_permit.so\n"


@pytest.fixture
def host():
    accounts = HostAccounts()
    yield accounts
    accounts.put_back()


@pytest.fixture
def slapd():
    running = Slapd("cached", Authority(TLS), 3389, 3636).start()
    yield running
    running.stop()


def of_directory(server):
    return "--ldap-servers", server.uri, "--ldap-search-base", PEOPLE


def cache_of(daemon):
    """Its counts, without the times."""
    cache = control.status(daemon.directory)["cache"]
    return {name: count for name, count in cache.items() if name != "durations"}


def asked(daemon, backend="sasldb"):
    """How many logins a backend has decided."""
    return sum(control.backend_status(daemon.directory, backend)["decisions"].values())


def is_hit(daemon, login, password, **more):
    """Whether a login that is accepted asks nobody."""
    before = cache_of(daemon)["hits"]
    assert daemon.ask(login, password, **more).is_accepted
    return cache_of(daemon)["hits"] == before + 1


def tool(daemon, *words):
    return subprocess.run([POSTERN, "cache", *words, "-m", daemon.directory], capture_output=True, text=True,
                          timeout=60, check=False)


# beside Debian's saslauthd


def test_a_hit_says_what_saslauthds_says(sasldb, start_saslauthd, start_postern):
    for server in (start_saslauthd("-c"), start_postern("-c")):
        for _ in range(3):
            assert server.ask(ALICE.user, ALICE.password).raw == b"\0\2OK"
            assert server.ask(ALICE.user, "looking-glass").raw == b"\0\2NO"
            assert server.ask(BOB.user, BOB.password, realm=BOB.realm).raw == b"\0\2OK"
            assert server.ask(BOB.user, BOB.password).raw == b"\0\2NO"


def test_a_hit_has_no_words_of_the_server_that_was_not_asked(start_saslauthd, start_postern):
    """And needs no server."""
    with Dovecot([ALICE]) as dovecot:
        both = [start("-c", "-O", f"127.0.0.1/{dovecot.port}", backend="rimap")
                for start in (start_saslauthd, start_postern)]
        for server in both:
            said = [server.ask(ALICE.user, ALICE.password).text for _ in range(3)]
            assert said == ["OK remote authentication successful", "OK", "OK"]
        dovecot.stop()
        for server in both:
            assert server.ask(ALICE.user, ALICE.password).text == "OK"
        assert both[1].ask(ALICE.user, "looking-glass").is_unavailable
        assert both[1].ask(ALICE.user, ALICE.password).text == "OK"


def test_the_line_of_a_hit_is_saslauthds(sasldb, syslog, start_saslauthd, start_postern):
    lines = []
    for start in (start_saslauthd, start_postern):
        server = start("-c", "-V")
        syslog.clear()
        for _ in range(2):
            assert server.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
        lines.append(syslog.wait_for("(cached)"))
        server.stop()
    theirs, ours = lines
    assert "auth success (cached): [user=bob] [service=imap] [realm=example.org]" in theirs.text
    assert ours.text == theirs.text
    assert (ours.facility, ours.severity) == (theirs.facility, theirs.severity)


def test_another_service_or_realm_is_another_login(sasldb, start_saslauthd, start_postern):
    """Both ask for each; the realm that is the host's is not the empty one."""
    for server in (start_saslauthd("-c"), start_postern("-c")):
        for service in ("imap", "smtp"):
            for realm in ("", HOST_NAME):
                assert server.ask(ALICE.user, ALICE.password, service, realm).is_accepted
    assert cache_of(server) | {"entries_max": 0} == {"entries": 4, "entries_max": 0, "hits": 0, "misses": 4,
                                                     "outdated": 0, "evicted": 0}


def test_a_login_counts_for_as_long_as_it_is_told(start_saslauthd, start_postern):
    """One second of -t; a server that is gone shows who asks it."""
    with Dovecot([ALICE]) as dovecot:
        both = [start("-c", "-t", "1", "-O", f"127.0.0.1/{dovecot.port}", backend="rimap")
                for start in (start_saslauthd, start_postern)]
        for server in both:
            server.ask(ALICE.user, ALICE.password)
        dovecot.stop()
        for server in both:
            eventually(lambda: not server.ask(ALICE.user, ALICE.password).is_accepted, "its time is over")


def test_a_long_name_is_remembered(sasldb, start_saslauthd, start_postern):
    """saslauthd has 60 bytes for login, realm and service, and asks about longer ones each time."""
    long = Account("u" * 70, "a password", "example.org")
    sasldb.add(long)
    saslauthd, postern = start_saslauthd("-c"), start_postern("-c")
    for server in (saslauthd, postern):
        assert server.ask(long.user, long.password, realm=long.realm).is_accepted
    sasldb.take_away()
    assert saslauthd.ask(long.user, long.password, realm=long.realm).is_refused
    sasldb.put_back()
    assert postern.ask(long.user, long.password, realm=long.realm).is_accepted
    assert is_hit(postern, long.user, long.password, realm=long.realm)


# changes count at once


def change_with_saslpasswd2(sasldb, account):
    sasldb.add(account)


def change_with_postern(sasldb, account):
    passwd(sasldb, f"{account.user}@{account.realm}", account.password)


@pytest.mark.parametrize("change", [change_with_saslpasswd2, change_with_postern])
def test_a_changed_password_counts_at_once_in_both_directions(change, sasldb, start_postern):
    """Two hundred times, with nothing between the change and the logins. postern passwd keeps verifiers; so that each
    form counts, the one that saslpasswd2 wrote is taken away first."""
    sasldb.delete(BOB)
    postern = start_postern("-c")
    old = None
    for number in range(200):
        new = Account(BOB.user, f"password-{number}", BOB.realm)
        change(sasldb, new)
        if old:
            assert postern.ask(old.user, old.password, realm=old.realm).is_refused, f"change {number}"
        assert postern.ask(new.user, new.password, realm=new.realm).is_accepted, f"change {number}"
        assert postern.ask(new.user, new.password, realm=new.realm).is_accepted, f"change {number}"
        old = new
    cache = cache_of(postern)
    assert cache["hits"] == 200, "the second login asks nobody, or this test shows nothing"
    assert cache["entries"] == 1


def test_debians_saslauthd_accepts_the_old_password_for_hours(sasldb, start_saslauthd):
    """The control: what the test above would see."""
    saslauthd = start_saslauthd("-c")
    assert saslauthd.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
    sasldb.add(Account(BOB.user, "another", BOB.realm))
    assert saslauthd.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted


def test_a_deleted_user_is_refused_at_once(sasldb, start_postern):
    postern = start_postern("-c")
    for number in range(20):
        sasldb.add(BOB)
        assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_accepted
        assert is_hit(postern, BOB.user, BOB.password, realm=BOB.realm)
        sasldb.delete(BOB)
        assert postern.ask(BOB.user, BOB.password, realm=BOB.realm).is_refused, f"time {number}"


@pytest.mark.parametrize("way", ["replaced", "in place", "away and back", "behind a link"])
def test_a_file_that_is_another_one_counts_at_once(way, sasldb, start_postern, tmp_path):
    """Two databases, of which now the one and now the other is there."""
    versions = []
    for password in ("first", "second"):
        sasldb.add(Account(BOB.user, password, BOB.realm))
        versions.append((password, shutil.copy(sasldb.path, tmp_path / password)))
    path = sasldb.path
    if way == "behind a link":
        path = tmp_path / "link"
        path.symlink_to(sasldb.path)
        tmp_path.chmod(0o755)
        tmp_path.parent.chmod(0o755)
        tmp_path.parent.parent.chmod(0o755)
    postern = start_postern("-c", "--sasldb-path", path)

    def put(version):
        if way == "in place":
            sasldb.path.write_bytes(version.read_bytes())
            return
        if way == "away and back":
            sasldb.path.unlink()
        new = sasldb.path.with_suffix(".new")
        shutil.copy(version, new)
        os.chown(new, 0, SASL)
        new.chmod(0o640)
        new.rename(sasldb.path)

    for number in range(20):
        (wrong, _), (right, version) = versions[number % 2 - 1], versions[number % 2]
        put(version)
        assert postern.ask(BOB.user, wrong, realm=BOB.realm).is_refused, f"time {number}"
        assert postern.ask(BOB.user, right, realm=BOB.realm).is_accepted, f"time {number}"
        assert is_hit(postern, BOB.user, right, realm=BOB.realm), f"time {number}"


def test_a_changed_password_of_the_host_counts_at_once(host, start_postern):
    host.add_with_tools("walter", "password-0")
    postern = start_postern("-c", backend="shadow")
    for number in range(20):
        assert postern.ask("walter", f"password-{number}").is_accepted
        assert is_hit(postern, "walter", f"password-{number}")
        subprocess.run(["chpasswd"], input=f"walter:password-{number + 1}", text=True, check=True, timeout=60)
        assert postern.ask("walter", f"password-{number}").is_refused
    subprocess.run(["userdel", "walter"], check=True, timeout=60)
    assert postern.ask("walter", "password-20").is_refused


def test_a_stack_that_was_changed_counts_at_once(host, start_postern):
    host.write_stack("imap", "auth required pam_permit.so\n" + ALLOW_ACCOUNT)
    postern = start_postern("-c", backend="pam")
    assert postern.ask("anybody", "any").is_accepted
    assert is_hit(postern, "anybody", "any")
    host.write_stack("imap", "auth required pam_deny.so\n" + ALLOW_ACCOUNT)
    assert postern.ask("anybody", "any").is_refused


def test_a_store_whose_path_leads_elsewhere_is_not_trusted_again(sasldb, start_postern, tmp_path):
    """Nobody watches what is behind it now; the log says so, and a reload looks anew."""
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    stores = tmp_path / "stores"
    stores.mkdir()
    shutil.copy(sasldb.path, stores / "db")
    os.chown(stores / "db", 0, SASL)
    (stores / "db").chmod(0o640)
    postern = start_postern("-c", "--sasldb-path", stores / "db")
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert is_hit(postern, ALICE.user, ALICE.password)
    stores.rename(tmp_path / "old")
    stores.symlink_to(tmp_path / "old")
    for _ in range(3):
        assert not is_hit(postern, ALICE.user, ALICE.password)
    assert "sasldb: its logins are not kept any more" in postern.output
    assert control.reload(postern.directory) == ""
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert is_hit(postern, ALICE.user, ALICE.password)


def test_a_store_that_cannot_be_watched_is_said_and_its_logins_are_not_kept(sasldb, start_postern):
    postern = start_postern("-c", "--sasldb-path", "/run/no/such/directory/db", backend="sasldb")
    assert "sasldb: its logins are not kept: /run/no cannot be watched: No such file or directory" in postern.output
    assert postern.ask(ALICE.user, ALICE.password).is_unavailable


# nobody gets in with what somebody else was accepted with: rows 6 and 7 of the faults


ANN, BEA = Account("ann", "password-of-ann"), Account("bea", "password-of-bea")


@contextmanager
def users_of_sasldb(_, sasldb):
    sasldb.add(ANN).add(BEA)
    yield ()


@contextmanager
def users_of_the_host(host, _):
    host.write_stack("imap", DEBIANS_STACK)
    for account in (ANN, BEA):
        host.add(account.user, password=account.password)
    yield ()


@contextmanager
def users_of_passwd(host, _):
    for account in (ANN, BEA):
        host.add(account.user, in_passwd=cheap_hash(account.password))
    yield ()


@contextmanager
def users_of_slapd(*_):
    running = Slapd("cached", Authority(TLS), 3389, 3636).start()
    try:
        for account in (ANN, BEA):
            running.add(f"dn: uid={account.user},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {account.user}\n"
                        f"cn: {account.user}\nsn: {account.user}\nuserPassword: {account.password}\n")
        yield of_directory(running)
    finally:
        running.stop()


@contextmanager
def users_of_dovecot(*_):
    with Dovecot([ANN, BEA]) as dovecot:
        yield "-O", f"127.0.0.1/{dovecot.port}"


@contextmanager
def users_of_kdc(*_):
    kept = {file: file.read_bytes() if file.exists() else None for file in (KRB5_CONF, KEYTAB)}
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        kdc = Kdc(directory).create().start()
        try:
            kdc.add(ANN.user, ANN.password)
            kdc.add(BEA.user, BEA.password)
            yield ()
        finally:
            kdc.stop()
            for file, content in kept.items():
                file.unlink(missing_ok=True) if content is None else file.write_bytes(content)


USERS_OF = {"sasldb": users_of_sasldb, "pam": users_of_the_host, "shadow": users_of_the_host,
            "getpwent": users_of_passwd, "ldap": users_of_slapd, "rimap": users_of_dovecot, "kerberos5": users_of_kdc}


@pytest.mark.parametrize("backend", USERS_OF)
def test_whatever_the_backend_a_remembered_password_lets_in_one_user(backend, host, sasldb, start_postern):
    with USERS_OF[backend](host, sasldb) as flags:
        postern = start_postern("-c", *flags, backend=backend)
        for account in (ANN, BEA):
            assert postern.ask(account.user, account.password).is_accepted
        for _ in range(3):
            assert postern.ask(BEA.user, ANN.password).is_refused
            assert postern.ask(ANN.user, BEA.password).is_refused
            assert postern.ask("cay", ANN.password).is_refused
            assert all(is_hit(postern, account.user, account.password) for account in (ANN, BEA))


PIECES = ["a", "b", "ab", "ba", "aa", "A", "a|b", "a\tb", "a\nb", "a@b", "b@a", "a@", "@b", "a|", "|b", "|", "\t", "\n",
          "@", " ", " a", "a ", "a:b", "a/b", "\x01", "ä", "a\u0308", "1", "11", "111", "%s", "a\\b"]


def test_of_a_thousand_names_none_gets_in_with_what_its_neighbours_were_accepted_with(sasldb, start_postern):
    """All pairs of a thousand are in daemon/login_cache_test.cpp. A realm that is left out is the host's own."""
    realms = ["", *PIECES[:-1]]
    accounts = [Account(user, f"password-{number}-{index}", realm) for number, user in enumerate(PIECES)
                for index, realm in enumerate(realms)][:1000]
    sasldb.add_keys([Account(account.user, account.password, account.realm or HOST_NAME) for account in accounts])
    postern = start_postern("-c", "-s", "1000")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda account: may_log_in(postern, account, account.password), accounts))
        assert cache_of(postern)["entries"] == 1000
        for distance in (1, 2, 3, len(realms) - 1, len(realms), len(realms) + 1):
            others = accounts[distance:] + accounts[:distance]
            assert not any(pool.map(lambda one, other: may_log_in(postern, one, other.password), accounts, others))
        assert all(pool.map(lambda account: may_log_in(postern, account, account.password), accounts))
    assert cache_of(postern)["hits"] == 1000


def may_log_in(daemon, account, secret):
    reply = daemon.ask(account.user, secret, realm=account.realm)
    assert reply.is_accepted or reply.is_refused, reply
    return reply.is_accepted


RENAMING = """
[cache]
[listener here]
protocol = dovecot
socket = DIR/here
default_realm = example.org
fold_case = yes
mechanisms = PLAIN
[listener there]
protocol = dovecot
socket = DIR/there
default_realm = example.com
fold_case = yes
mechanisms = PLAIN
[backend local]
type = sasldb
[route]
default = local
failure_delay = 0
"""


def test_names_that_are_changed_on_their_way_are_who_they_are_in_the_end(sasldb, start_postern_conf):
    """Row 7: one name is two users, by where it is said, and one user has many names."""
    passwords = {"john@example.org": "first", "john@example.com": "second"}
    for account, secret in passwords.items():
        sasldb.add(Account("john", secret, account.partition("@")[2]))
    postern = start_postern_conf(RENAMING)
    said = [(listener, name, default if "@" not in name else name.lower()) for listener, default in
            (("here", "john@example.org"), ("there", "john@example.com"))
            for name in ("john", "JOHN", "john@example.org", "John@Example.ORG", "JOHN@example.com")]
    for _ in range(3):
        for listener, name, account in said:
            with Client(postern.sockets[listener]) as client:
                for secret in passwords.values():
                    reply = client.log_in("PLAIN", name, secret)
                    assert (reply.word, reply.user) == ("OK" if passwords[account] == secret else "FAIL", account)
    cache = cache_of(postern)
    assert (cache["entries"], cache["hits"]) == (len(said), 2 * len(said))
    assert tool(postern, "flush", "--user", "john@example.org").stdout == "6 logins forgotten\n"


def test_a_realm_that_is_joined_to_the_name_is_another_login_than_the_name_that_came_so(sasldb, start_postern):
    """With -r sasldb is asked about john@example.org both times: of that realm, and of the host's own."""
    sasldb.add_keys([Account("john@example.org", "first", "example.org"), Account("john@example.org", "second")])
    postern = start_postern("-c", "-r")
    for _ in range(2):
        assert postern.ask("john", "first", realm="example.org").is_accepted
        assert postern.ask("john@example.org", "second").is_accepted
        assert postern.ask("john@example.org", "first").is_refused
        assert postern.ask("john", "second", realm="example.org").is_refused
        assert postern.ask("john", "second").is_refused
    assert (cache_of(postern)["entries"], cache_of(postern)["hits"]) == (2, 2)


# what is not remembered


def test_without_c_nothing_is_remembered(postern):
    for _ in range(3):
        assert not is_hit(postern, ALICE.user, ALICE.password)
    assert cache_of(postern) == dict.fromkeys(["entries", "entries_max", "hits", "misses", "outdated", "evicted"], 0)
    assert not [what for what in postern.front.descriptors.values() if "inotify" in what]
    assert tool(postern).stdout == "no login is kept: the daemon was started without a cache\n"


def test_a_wrong_password_of_a_remembered_user_is_refused_and_takes_nothing_away(sasldb, start_postern):
    postern = start_postern("-c", "-s", "1")
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    before = asked(postern)
    for number in range(30):
        assert postern.ask(ALICE.user, f"looking-glass-{number}").is_refused
    assert asked(postern) == before + 30
    assert is_hit(postern, ALICE.user, ALICE.password)
    assert asked(postern) == before + 30
    assert cache_of(postern)["entries"] == 1
    assert cache_of(postern)["evicted"] == 0


def test_what_is_remembered_is_what_was_said_and_not_what_the_backend_makes_of_it(host, start_postern):
    """Row 9 of the faults. A traditional hash is of the first eight bytes: whoever says other ones is asked about."""
    host.add("walter", traditional_hash("wonderla"))
    postern = start_postern("-c", backend="shadow")
    for said in ("wonderland", "wonderla", "wonderlanD", "wonderland ") * 2:
        assert not is_hit(postern, "walter", said)
        assert is_hit(postern, "walter", said)
        assert postern.ask("walter", said[:7]).is_refused
        assert postern.ask("walter", "W" + said[1:]).is_refused
        assert is_hit(postern, "walter", said)
    assert cache_of(postern)["entries"] == 1


ONE_TIME = """#!/bin/sh
# Takes the password that PAM hands it off the list of those that are good for one time.
IFS= read -r given
grep -qxF "$given" LIST || exit 1
grep -vxF "$given" LIST >LIST.new
mv LIST.new LIST
"""


@pytest.fixture
def one_time_passwords(host, tmp_path):
    """A PAM stack that accepts each password once; the file with those that are good."""
    script, good = tmp_path / "once", tmp_path / "good"
    script.write_text(ONE_TIME.replace("LIST", str(good)))
    script.chmod(0o755)
    good.write_text("".join(f"{number:06}\n" for number in range(100)))
    host.write_stack("imap", f"auth [success=1 default=ignore] pam_exec.so quiet expose_authtok {script}\n"
                             "auth requisite pam_deny.so\nauth required pam_permit.so\n" + ALLOW_ACCOUNT)
    return good


def with_pam(more, cache=""):
    return CACHE.format(cache=cache, backend="type = pam\n" + more)


def test_a_one_time_password_cannot_be_replayed(one_time_passwords, start_postern_conf):
    postern = start_postern_conf(with_pam(""))
    for number in range(5):
        assert postern.ask("anybody", f"{number:06}").is_accepted
        for _ in range(3):
            assert postern.ask("anybody", f"{number:06}").is_refused
    assert cache_of(postern)["entries"] == 0
    assert len(one_time_passwords.read_text().splitlines()) == 95


HOTP_SECRET = b"12345678901234567890".hex()  # RFC 4226, appendix D, and what it gives
HOTP = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")


@pytest.fixture
def token(host, tmp_path):
    """A stack of Debian's pam_oath; the file in which it counts."""
    users = tmp_path / "users.oath"
    users.write_text(f"HOTP anybody - {HOTP_SECRET}\n")
    users.chmod(0o600)
    host.write_stack("imap", f"auth requisite pam_oath.so usersfile={users} window=10\n" + ALLOW_ACCOUNT)
    return users


def test_what_a_token_shows_cannot_be_used_twice(token, start_postern_conf):
    """Row 8 of the faults: where PAM is not told to be remembered, beside a backend that is."""
    postern = start_postern_conf(with_pam("[backend other]\ntype = sasldb\n").replace("= local", "= local other"))
    for code in HOTP:
        assert postern.ask("anybody", code).is_accepted
        for _ in range(3):
            assert postern.ask("anybody", code).is_refused
    assert cache_of(postern)["entries"] == 0
    assert HOTP[-1] in token.read_text(), "the module has counted"


def test_with_c_it_can_as_with_saslauthd(token, start_saslauthd, start_postern):
    """Which the README says: -c caches whatever -a says."""
    for start, codes in ((start_saslauthd, HOTP[:3]), (start_postern, HOTP[3:6])):
        server = start("-c", backend="pam")
        for code in codes:
            for _ in range(3):
                assert server.ask("anybody", code).is_accepted
        assert server.ask("anybody", codes[0]).is_refused, "only the latest is remembered"


def test_whoever_writes_cache_yes_has_logins_of_pam_remembered(one_time_passwords, start_postern_conf):
    """The control: of the test above, and of the key."""
    postern = start_postern_conf(with_pam("cache = yes"))
    for _ in range(3):
        assert postern.ask("anybody", "000001").is_accepted
    assert cache_of(postern)["hits"] == 2
    assert len(one_time_passwords.read_text().splitlines()) == 99


def test_a_backend_may_be_left_out(sasldb, start_postern_conf):
    sizes = "lifetime = 5m\nsize_kib = 64"
    postern = start_postern_conf(CACHE.format(cache=sizes, backend="type = sasldb\ncache = no"))
    for _ in range(3):
        assert not is_hit(postern, ALICE.user, ALICE.password)
    assert cache_of(postern)["entries_max"] == 64 * 1024 // 176
    postern.write_config(CACHE.format(cache="", backend="type = sasldb"))
    assert control.reload(postern.directory) == ""
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert is_hit(postern, ALICE.user, ALICE.password)


# servers that are away


def test_who_was_accepted_logs_in_while_the_directory_is_away(slapd, start_postern):
    postern = start_postern("-c", *of_directory(slapd), backend="ldap")
    assert postern.ask(ALICE_OF_SLAPD.uid, ALICE_OF_SLAPD.password).is_accepted
    slapd.stop()
    for _ in range(3):
        assert is_hit(postern, ALICE_OF_SLAPD.uid, ALICE_OF_SLAPD.password)
    assert postern.ask(ALICE_OF_SLAPD.uid, "looking-glass").is_unavailable
    assert postern.ask("carol", "christmas").is_unavailable
    assert is_hit(postern, ALICE_OF_SLAPD.uid, ALICE_OF_SLAPD.password)


@pytest.mark.parametrize("backend", ["ldap", "sasldb,ldap"])
def test_nothing_of_an_outage_is_remembered(backend, sasldb, slapd, start_postern):
    """Row 43 of the faults: whoever was told of it is asked about as soon as the directory is back."""
    sasldb.delete(ALICE)
    postern = start_postern("-c", *of_directory(slapd), backend=backend)
    slapd.stop()
    right, wrong = (ALICE_OF_SLAPD.uid, ALICE_OF_SLAPD.password), (CAROL_OF_SLAPD.uid, "looking-glass")
    for _ in range(20):
        for login in (right, wrong, ("nobody", "x")):
            assert postern.ask(*login).is_unavailable
    assert cache_of(postern)["entries"] == 0
    slapd.start()
    eventually(lambda: postern.ask(*right).is_accepted, "the directory is asked again")
    assert postern.ask(CAROL_OF_SLAPD.uid, CAROL_OF_SLAPD.password).is_accepted
    assert postern.ask(*wrong).is_refused and postern.ask("nobody", "x").is_refused
    assert cache_of(postern)["entries"] == 2


def test_the_phone_with_the_old_password_and_who_has_the_new_one(slapd, start_postern):
    """Row 44 of the faults. Nobody tells the daemon that the directory has changed: the new password itself does."""
    postern = start_postern("-c", *of_directory(slapd), backend="ldap")
    user, old, new = ALICE_OF_SLAPD.uid, ALICE_OF_SLAPD.password, "through-the-looking-glass"
    assert postern.ask(user, old).is_accepted
    slapd.set_password(ALICE_OF_SLAPD, new)
    assert postern.ask(user, new).is_accepted
    before = asked(postern, "ldap")
    for number in range(20):
        assert postern.ask(user, old).is_refused
        assert is_hit(postern, user, new)
        assert asked(postern, "ldap") == before + number + 1, "about the old one, each time"
    cache = cache_of(postern)
    assert (cache["entries"], cache["evicted"], cache["outdated"]) == (1, 0, 0)


# the front that remembers


def test_a_front_that_was_killed_has_forgotten_and_nothing_is_wrong(sasldb, start_postern):
    postern = start_postern("-c")
    assert wrong_answers(postern.ask, right_and_wrong(ALICE) + right_and_wrong(BOB), 20) == []
    front = postern.front
    front.kill()
    front.wait_gone()
    assert postern.ask(ALICE.user, "looking-glass").is_refused
    assert cache_of(postern)["entries"] == 0
    assert not is_hit(postern, ALICE.user, ALICE.password)
    assert is_hit(postern, ALICE.user, ALICE.password)
    sasldb.add(Account(ALICE.user, "another"))
    assert postern.ask(ALICE.user, ALICE.password).is_refused
    assert postern.ask(ALICE.user, "another").is_accepted
    assert wrong_answers(postern.ask, right_and_wrong(BOB), 20) == []


def test_a_reload_forgets(sasldb, start_postern):
    postern = start_postern("-c")
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert control.reload(postern.directory) == ""
    assert cache_of(postern)["entries"] == 0
    assert not is_hit(postern, ALICE.user, ALICE.password)


def test_no_password_that_is_remembered_is_in_the_front(sasldb, start_postern):
    """Neither in what a core file could hold nor in locked memory, nor the names."""
    needle = Account("needle-of-a-name", "needle-of-a-password", "needle-of-a-realm")
    sasldb.add(needle)
    postern = start_postern("-c")
    for _ in range(20):
        assert postern.ask(needle.user, needle.password, realm=needle.realm).is_accepted
        assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert cache_of(postern)["hits"] == 38
    assert not found_in_memory(postern.front, [needle.password.encode()], also_undumped=True)
    with postern.connect() as connection:  # the control
        connection.send_and_be_read(b"\0\5alice\0\x20needle-of-a-password-half-")
        assert found_in_memory(postern.front, [needle.password.encode()], also_undumped=True)


# the tool


def test_the_tool_tells_of_the_cache_and_flushes_it(sasldb, start_postern):
    postern = start_postern("-c", "-s", "100")
    remembered = [(ALICE, ""), (ALICE, HOST_NAME), (BOB, BOB.realm)]

    def log_in():
        for account, realm in remembered:
            assert postern.ask(account.user, account.password, realm=realm).is_accepted

    log_in()
    log_in()
    titles, row = tool(postern).stdout.splitlines()
    assert titles.split() == ["LOGINS", "MAX", "HITS", "MISSES", "HIT", "RATE", "OUTDATED", "EVICTED"]
    assert row.split() == ["3", str(100 * 1024 // 176), "3", "3", "50.0", "%", "0", "0"]
    status = subprocess.run([POSTERN, "status", "-m", postern.directory], capture_output=True, text=True, timeout=60,
                            check=True).stdout
    assert status.endswith("\ncache: 3 of 581 logins, 3 hits, 3 misses\n")
    for words, forgotten in [(["--user", "alice"], "2 logins"), (["--user", f"alice@{HOST_NAME}"], "1 login"),
                             (["--realm", "example.org"], "1 login"), (["--user", "nobody"], "0 logins"),
                             (["--all"], "3 logins")]:
        log_in()
        before = asked(postern)
        done = tool(postern, "flush", *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{forgotten} forgotten\n", "")
        log_in()
        assert asked(postern) == before + int(forgotten.split()[0])


def test_the_tool_expects_one_of_three(sasldb, start_postern):
    postern = start_postern("-c")
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    for words in (["flush"], ["flush", "--all", "--user", "alice"], ["--all"], ["flush", "--user", ""]):
        assert tool(postern, *words).returncode == 64
    assert is_hit(postern, ALICE.user, ALICE.password)
