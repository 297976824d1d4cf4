# SPDX-License-Identifier: BSD-2-Clause
"""ldap on real slapds: the same saslauthd.conf under Debian's saslauthd and under posternd gives the same verdicts,
and the directory is asked the same, but for the rows of docs/differences.md."""

import re
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from support import control, daemon, differences
from support.conformance import complaints
from support.directory import (ALICE, CAROL, EXPIRED, GROUPS, HASHED, HASHED_PASSWORD, HASHES, LOCKED, LONG,
                               MUST_CHANGE, PEOPLE, READER, READER_PASSWORD, SUFFIX, TWO_PASSWORDS)
from support.eventually import eventually
from support.ldap_combinations import (COMBINATIONS, CUSTOM, FASTBIND, FOR_THE_READER, OWN_CERTIFICATE, PEOPLES_DN,
                                       READING, SEARCHING, START_TLS, STRICT_LDAPS, STRICT_PORT, STRICT_START_TLS,
                                       STRICT_TLS_PORT, TLS)
from support.memory import found_in_memory
from support.places import POSTERND
from support.planted import plant
from support.postfix import RUN_DIRECTORY
from support.slapd import LDAPI_URI, Authority, Slapd, bind

ROWS = differences.of_section("On the wire, ldap")
ASKING_ROWS = differences.of_section("What a directory is asked")
LDAP_CONF = Path("/etc/ldap/ldap.conf")
SASLAUTHD_CONF = Path("/etc/saslauthd.conf")
OTHERS = Path("/run/other-tls")  # of an authority that nobody trusts
BY_NAME = {combination.name: combination for combination in COMBINATIONS}


@pytest.fixture(scope="module")
def directories():
    """The first refers to the second for ou=elsewhere; the third asks for a certificate."""
    authority = Authority(TLS)
    second = Slapd("second", authority, 1389, 1636).start()
    first = Slapd("first", authority, referral=second.uri).start()
    strict = Slapd("strict", authority, STRICT_PORT, STRICT_TLS_PORT, more="TLSVerifyClient demand").start()
    yield first, second, strict
    for running in (first, second, strict):
        running.stop()


@pytest.fixture
def slapd(directories):
    return directories[0]


# ---- the comparison


@dataclass(frozen=True)
class Answers:
    replies: dict  # by the names of cases
    asked: set  # because of the right password

    @property
    def verdicts(self):
        return tuple((reply.text or "")[:2] for reply in self.replies.values())


def answers(server, combination, directories):
    """What a daemon that serves a combination says, and what it asks."""
    marks = [slapd.mark() for slapd in directories]
    replies, asked = {}, set()
    for case, (login, password) in combination.requests.items():
        replies[case] = server.ask(login, password, combination.service, combination.realm)
        if case == combination.name:
            asked = {operation for mark in marks for operation in mark.operations}
    return Answers(replies, asked)


class Comparison:
    """Asks each program once about each combination."""

    def __init__(self, directories, directory):
        self.directories = directories
        self.directory = directory
        self.known = {}

    def theirs(self, combination):
        return self._known(daemon.saslauthd, combination)

    def ours(self, combination):
        return self._known(daemon.posternd, combination)

    def of(self, make, combination):
        """What another one says; make() is daemon.posternd or the like."""
        conf = self.directory / "saslauthd.conf"
        conf.write_text(combination.conf)
        daemons = daemon.Daemons()
        try:
            server = daemons.start(make("-O", conf, *combination.flags, backend="ldap", workers=1))
            return answers(server, combination, self.directories)
        finally:
            daemons.close()

    def _known(self, make, combination):
        key = (make, combination.name)
        if key not in self.known:
            self.known[key] = self.of(make, combination)
        return self.known[key]


@pytest.fixture(scope="module")
def comparison(directories, tmp_path_factory):
    return Comparison(directories, tmp_path_factory.mktemp("comparison"))


def is_asked(asked, expected):
    """Exactly that; but for binds of those who search, which come when they come."""
    of_searchers = {bind(READER), bind("")}
    return asked - of_searchers == set(expected) - of_searchers and set(expected) <= asked


def complaints_about(combination, theirs, ours):
    """What is wrong with what Postern says and asks, seen beside saslauthd, the table and its rows."""
    problems = []
    for case in combination.requests:
        problems += complaints(case, theirs.replies[case], ours.replies[case], ROWS)
    expected = combination.asks if combination.postern_asks is None else combination.postern_asks
    if not is_asked(ours.asked, expected):
        problems.append(f"{combination}: the directory was asked {sorted(map(str, ours.asked))}")
    return problems


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_the_table_says_what_saslauthd_does(combination, comparison):
    theirs = comparison.theirs(combination)
    assert theirs.verdicts == combination.theirs
    assert is_asked(theirs.asked, combination.asks), "\n".join(map(str, theirs.asked))


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_both_answer_and_ask_alike(combination, comparison):
    assert complaints_about(combination, comparison.theirs(combination), comparison.ours(combination)) == []


def test_most_combinations_are_about_who_gets_in(comparison):
    """Two programs that refuse everybody would agree on everything."""
    agreed = [combination for combination in COMBINATIONS
              if comparison.theirs(combination).verdicts == comparison.ours(combination).verdicts == ("OK", "NO", "NO")]
    assert len(COMBINATIONS) >= 60
    assert len(agreed) >= 45


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_a_row_that_is_not_needed_is_caught(row, comparison):
    cases = [(combination, case) for combination in COMBINATIONS for case in combination.requests
             if fnmatchcase(case, row.case)]
    assert cases, f"no case is called {row.case}"
    for combination, case in cases:
        reply = comparison.theirs(combination).replies[case]
        assert complaints(case, reply, reply, ROWS)


def test_each_question_that_differs_has_a_row_and_each_row_a_question():
    differing = [combination.name for combination in COMBINATIONS if combination.postern_asks is not None]
    without_row = [name for name in differing if not any(fnmatchcase(name, row.case) for row in ASKING_ROWS)]
    assert without_row == []
    for row in ASKING_ROWS:
        assert row.kind == "behaviour"
        named = [name for name in BY_NAME if fnmatchcase(name, row.case)]
        assert named and set(named) <= set(differing), row


# ---- positive controls: builds with a fault, which the same checks must catch


PLANTED = {
    "no escaping in filters": (
        "backends/ldap_template.cpp", "return escape(value, is_plain_in_filter);", "return std::string{value};",
        ["name-a-filter", "name-a-pattern", "name-star"]),
    "no escaping in DNs": (
        "backends/ldap_template.cpp", "return escape(value, is_plain_in_dn);", "return std::string{value};",
        ["dn-comma", "dn-a-dn", "base-a-dn"]),
    "a pattern expanded twice": (
        "backends/ldap_template.cpp", "    return text;\n}\n\nbool LdapTemplate::has_tokens", """
    std::string again;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] != '%')
            again += text[i];
        else if (++i < text.size())
            again += replacement(text[i], syntax_, names);
    return again;
}

bool LdapTemplate::has_tokens""", ["name-token", "dn-token", "token-percent-before-a-letter"]),
    "the first of two matches": (
        "backends/ldap.cpp",
        "found.entries > 1 || (found.entries > 0 && result == LdapResult::size_limit_exceeded)", "false",
        ["two-matches", "two-matches-no-limit"]),
    "no certificate of one's own": (
        "backends/ldap_tls.cpp", 'set_text(LDAP_OPT_X_TLS_CERTFILE, settings.certificate, "ldap_tls_cert");', "",
        ["ldaps-own-certificate-demanded", "start-tls-own-certificate-demanded"]),
    "nobody acts for another": (
        "backends/ldap_sasl_bind.cpp", "return identity_.authorization_id;", 'return "";',
        ["sasl-SCRAM-SHA-1-for-another", "sasl-PLAIN-for-another"]),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_build_with_a_fault_is_caught(fault, comparison, tmp_path):
    source, text, replacement, names = PLANTED[fault]
    program = plant(tmp_path, "ldap", source, text, replacement)
    for name in names:
        spoilt = comparison.of(lambda *flags, **kind: daemon.posternd(*flags, program=program, **kind), BY_NAME[name])
        assert complaints_about(BY_NAME[name], comparison.theirs(BY_NAME[name]), spoilt), name


def test_a_build_without_a_fault_is_not_complained_about(comparison, tmp_path):
    source, text, _, _ = PLANTED["no escaping in filters"]
    program = plant(tmp_path, "ldap", source, text, text)
    for name in {name for *_, names in PLANTED.values() for name in names}:
        honest = comparison.of(lambda *flags, **kind: daemon.posternd(*flags, program=program, **kind), BY_NAME[name])
        assert complaints_about(BY_NAME[name], comparison.theirs(BY_NAME[name]), honest) == []


# ---- the incumbent's defects that are not kept


@pytest.fixture
def start_both(tmp_path, start_postern, start_saslauthd):
    """start_both(conf): Debian's and ours, on one file."""
    def start(conf):
        file = tmp_path / "saslauthd.conf"
        file.write_text(conf)
        return (start_saslauthd("-O", file, backend="ldap", workers=1),
                start_postern("-O", file, backend="ldap", workers=1))
    return start


@pytest.fixture
def start_ldap(tmp_path, start_postern):
    """start_ldap(conf, *flags): ours."""
    def start(conf, *flags, workers=1, **kind):
        file = tmp_path / "saslauthd.conf"
        file.write_text(conf)
        return start_postern("-O", file, *flags, backend="ldap", workers=workers, **kind)
    return start


def test_a_changed_password_counts_at_once(slapd, start_both):
    """saslauthd stays bound as the user, and asks nobody when the same password comes again."""
    theirs, ours = start_both(FASTBIND + PEOPLES_DN)
    assert theirs.ask(CAROL.uid, CAROL.password).is_accepted and ours.ask(CAROL.uid, CAROL.password).is_accepted
    slapd.set_password(CAROL, "easter")
    try:
        assert theirs.ask(CAROL.uid, CAROL.password).is_accepted
        assert ours.ask(CAROL.uid, CAROL.password).is_refused
        assert ours.ask(CAROL.uid, "easter").is_accepted
    finally:
        slapd.set_password(CAROL, CAROL.password)


def test_of_several_passwords_each_counts(directories, start_both):
    theirs, ours = start_both(CUSTOM)
    for password in ("first", "second"):
        assert ours.ask(TWO_PASSWORDS.uid, password).is_accepted
    assert ours.ask(TWO_PASSWORDS.uid, "third").is_refused
    assert [theirs.ask(TWO_PASSWORDS.uid, password).is_accepted for password in ("first", "second")] == [False, True]


def test_a_hash_is_no_password(directories, start_both):
    """Who reads it from the directory must not log in with it."""
    theirs, ours = start_both(CUSTOM)
    for name in ("sha256", "ssha256", "ssha512"):
        person, text = HASHED[name], HASHES[name]
        assert theirs.ask(person.uid, text).is_accepted
        assert ours.ask(person.uid, text).is_refused
        assert ours.ask(person.uid, HASHED_PASSWORD).is_accepted


@pytest.mark.parametrize("length", [128, 200])
def test_a_long_password_is_not_cut(length, directories, start_both):
    theirs, ours = start_both(SEARCHING)
    person = LONG[length]
    assert theirs.ask(person.uid, person.password).is_refused
    assert ours.ask(person.uid, person.password).is_accepted
    assert ours.ask(person.uid, person.password[:-1]).is_refused
    assert ours.ask(person.uid, person.password[:127]).is_refused


def test_a_mechanism_that_asks_for_no_password_lets_nobody_in(directories, start_both):
    """EXTERNAL proves who runs the daemon."""
    theirs, ours = start_both(SEARCHING + f"ldap_servers: {LDAPI_URI}\nldap_use_sasl: yes\nldap_mech: EXTERNAL\n")
    for login, password in ((ALICE.uid, ALICE.password), (ALICE.uid, "looking-glass"), ("nobody", "x")):
        assert theirs.ask(login, password).is_accepted
        assert ours.ask(login, password).is_unavailable


@pytest.mark.parametrize("filter_", ["", "ldap_filter: (uid=%u)\n"], ids=["default", "written"])
def test_fastbind_with_a_filter_for_a_dn_ends_the_start(filter_, slapd, start_saslauthd, tmp_path):
    """The default is a filter. saslauthd binds with it, and no directory has such a DN."""
    file = tmp_path / "saslauthd.conf"
    file.write_text(FASTBIND + filter_)
    theirs, mark = start_saslauthd("-O", file, backend="ldap", workers=1), slapd.mark()
    assert theirs.ask(ALICE.uid, ALICE.password).is_refused
    assert "invalid dn ((uid=alice))" in mark.text
    mark = slapd.mark()
    done = subprocess.run([POSTERND, "-a", "ldap", "-O", file, "-m", tmp_path / "run"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    assert "ldap: ldap_filter is a filter, and fastbind needs a DN there, such as uid=%u,ou=people," in done.stderr
    assert mark.connections == 0


@pytest.mark.parametrize("line", [
    "ldap_start_tls: enabled", "ldap_use_sasl: enabled", "ldap_servers: ldap://%zz/", "ldap_servers: ldap://[]/",
    "ldap_servers: ldap://localhost:65925/", "ldap_servers: ldap://localhost/ ldap://no#name/",
    "ldap_servers: ldap://localhost/uid=a@b", "ldap_servers: ldap://localhost/?uid"])
def test_what_cannot_be_meant_ends_the_start(line, slapd, start_saslauthd, tmp_path):
    """saslauthd takes it for something else, and lets its users in."""
    file = tmp_path / "saslauthd.conf"
    file.write_text(SEARCHING + line + "\n")
    assert start_saslauthd("-O", file, backend="ldap", workers=1).ask(ALICE.uid, ALICE.password).is_accepted
    done = subprocess.run([POSTERND, "-a", "ldap", "-O", file, "-m", tmp_path / "run"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    assert line.split(":", 1)[0] in done.stderr and "expected" in done.stderr


@pytest.mark.parametrize("word", ["Yes", "demand", "allow"])
def test_a_certificate_is_checked_however_yes_is_spelt(directories, start_both, word):
    Authority(OTHERS, "other")
    theirs, ours = start_both(SEARCHING + f"ldap_servers: ldaps://localhost/\nldap_tls_check_peer: {word}\n"
                              f"ldap_tls_cacert_file: {OTHERS}/other.pem\n")
    assert theirs.ask(ALICE.uid, ALICE.password).is_accepted
    assert ours.ask(ALICE.uid, ALICE.password).is_unavailable


def test_a_name_that_nobody_has_costs_nobody_the_server(directories, start_ldap):
    """slapd answers with its number for faults of its own when SASL does not know a user."""
    postern = start_ldap("ldap_use_sasl: yes\nldap_mech: DIGEST-MD5\n")
    for number in range(5):
        assert postern.ask(f"nobody-{number}", "x").is_refused
        assert postern.ask(ALICE.uid, ALICE.password).is_accepted
    assert [server["failures"] for server in control.backend_status(postern.directory, "ldap")["servers"]] == [0]


@pytest.mark.parametrize("conf", [SEARCHING, CUSTOM, FASTBIND + PEOPLES_DN], ids=["bind", "custom", "fastbind"])
def test_an_empty_password_is_never_asked_about(conf, slapd, start_ldap):
    """A bind with a name and no password succeeds, as nobody (RFC 4513, 5.1.2)."""
    postern = start_ldap(conf)
    assert postern.ask(ALICE.uid, ALICE.password).is_accepted
    mark = slapd.mark()
    for login in (ALICE.uid, READER, "", "nobody"):
        assert postern.ask(login, "").is_refused
        assert postern.ask(login, "\0").is_refused
        assert postern.ask(login, "\0" + ALICE.password).is_refused
    assert postern.ask(ALICE.uid, "looking-glass").is_refused
    asked = mark.operations
    assert asked and not [operation for operation in asked if READER in operation.text or "nobody" in operation.text]
    assert len([operation for operation in asked if ALICE.dn in operation.text]) <= 1


@pytest.mark.parametrize("conf", [SEARCHING, FASTBIND + PEOPLES_DN, "ldap_use_sasl: yes\nldap_mech: DIGEST-MD5\n"],
                         ids=["bind", "fastbind", "sasl"])
def test_no_password_is_left_in_a_worker(conf, slapd, start_ldap):
    """Nor in memory that libldap had for its messages, and has given back."""
    postern = start_ldap(conf)
    needle = "needle-of-a-password"
    slapd.set_password(CAROL, needle)
    try:
        assert postern.ask(CAROL.uid, needle).is_accepted
        assert postern.ask(CAROL.uid, "needle-that-is-wrong").is_refused
    finally:
        slapd.set_password(CAROL, CAROL.password)
    worker, = postern.workers("ldap")
    for part in (b"dle-of-a-password", b"dle-that-is-wrong"):
        assert not found_in_memory(worker, [part], also_undumped=True)
    assert found_in_memory(worker, [b"ldap://localhost"], also_undumped=True)  # so it is searched


# ---- what the log and the status say


def decisions(postern):
    counts = control.backend_status(postern.directory, "ldap")["decisions"]
    return {verdict: count for verdict, count in counts.items() if count}


STAFF = f"ldap_group_dn: cn=staff,{GROUPS}\n"
TWINS = "ldap_filter: (mail=%u)\n"


REFUSALS = [
    (SEARCHING, ALICE.uid, "looking-glass", "rejected", "wrong password"),
    (SEARCHING, "nobody", "x", "unknown_user", "unknown user"),
    (CUSTOM, ALICE.uid, "looking-glass", "rejected", "wrong password"),
    (CUSTOM, "nobody", "x", "unknown_user", "unknown user"),
    (FASTBIND + PEOPLES_DN, ALICE.uid, "looking-glass", "rejected", "wrong password"),
    (SEARCHING, LOCKED.uid, LOCKED.password, "barred", "the account is locked"),
    (SEARCHING, EXPIRED.uid, EXPIRED.password, "barred", "the password has expired"),
    (SEARCHING, MUST_CHANGE.uid, MUST_CHANGE.password, "barred", "the password must be changed first"),
    (SEARCHING + TWINS, "twin@postern.test", "first", "rejected", "several entries match"),
    (SEARCHING + STAFF, CAROL.uid, CAROL.password, "barred", "not in the group"),
    (CUSTOM + STAFF, CAROL.uid, CAROL.password, "barred", "not in the group"),
]


@pytest.mark.parametrize("number", range(len(REFUSALS)),
                         ids=[f"{login}-{verdict}" for _, login, _, verdict, _ in REFUSALS])
def test_each_refusal_has_its_own_words(number, directories, start_ldap, syslog):
    conf, login, password, verdict, reason = REFUSALS[number]
    postern = start_ldap(conf)
    assert str(postern.ask(login, password)) == '"NO"'
    line = syslog.wait_for(f"auth failure: [user={login}]")
    assert line.text.endswith(f"[service=imap] [realm=] [mech=ldap] [reason={reason}]")
    assert decisions(postern) == {verdict: 1}


OUTAGES = {
    "the password is not shown": (f"ldap_search_base: {SUFFIX}\nldap_auth_method: custom\n",
                                  "userPassword cannot be read"),
    "the reader's password is wrong": (READING.replace(READER_PASSWORD, "looking"), "invalid credentials (49)"),
    "the base is missing": (READING + f"ldap_search_base: ou=missing,{SUFFIX}\n", "no such object (32)"),
    "nobody serves the port": (SEARCHING + "ldap_servers: ldap://localhost:9/\n", "Connection refused"),
    "nobody has the name": (SEARCHING + "ldap_servers: ldap://nowhere.postern.test/\n", "name resolution"),
    "a strange certificate": (SEARCHING + "ldap_servers: ldaps://localhost/\n"
                              f"ldap_tls_cacert_file: {OTHERS}/other.pem\n", "TLS failed"),
    "a strange certificate after StartTLS": (SEARCHING + "ldap_start_tls: yes\n"
                                             f"ldap_tls_cacert_file: {OTHERS}/other.pem\n", "TLS failed"),
    "no certificate of our own": (START_TLS + STRICT_LDAPS, "closed as soon as TLS had begun"),
    "no certificate of our own after StartTLS": (START_TLS + STRICT_START_TLS, "closed as soon as TLS had begun"),
    "a strange certificate of our own": (
        START_TLS + STRICT_LDAPS +
        f"ldap_tls_cert: {OTHERS}/other-localhost.pem\nldap_tls_key: {OTHERS}/other-localhost.key\n",
        "closed as soon as TLS had begun"),
    "nobody may act for the reader": (
        CUSTOM + FOR_THE_READER + f"ldap_mech: SCRAM-SHA-1\nldap_id: {CAROL.uid}\nldap_password: {CAROL.password}\n",
        "the service bind was refused"),
    "the deputy acts for nobody": (
        (CUSTOM + FOR_THE_READER).replace("ldap_authz_id: u:reader\n", "") + "ldap_mech: SCRAM-SHA-1\n",
        "userPassword cannot be read"),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_each_outage_is_temporary_and_has_its_own_words(outage, directories, start_both, syslog):
    Authority(OTHERS, "other")
    conf, words = OUTAGES[outage]
    theirs, ours = start_both(conf)
    for password in (ALICE.password, "looking-glass"):
        syslog.clear()
        assert theirs.ask(ALICE.uid, password).is_refused
        assert ours.ask(ALICE.uid, password).is_unavailable
        line = syslog.wait_for(f"auth unavailable: [user={ALICE.uid}]")
        assert line.severity == "warning"
        assert words in line.text
    assert decisions(ours) == {"unavailable": 2}


@pytest.mark.parametrize("level", ["0", "65535"])
def test_no_password_is_in_a_log(level, directories, start_ldap, syslog):
    """Nor in the lines of libldap, which would show every byte that it sends."""
    postern = start_ldap(SEARCHING + f"ldap_debug: {level}\n", "-V")
    assert postern.ask(ALICE.uid, ALICE.password).is_accepted
    assert postern.ask(ALICE.uid, "looking-glass").is_refused
    eventually(lambda: "auth success:" in postern.output and "auth failure:" in postern.output, "both are logged")
    said = "\n".join([*(line.text for line in syslog.lines("saslauthd")), postern.output])
    assert (level == "0") != ("ldap_" in said)
    for secret in (ALICE.password, "looking-glass", READER_PASSWORD):
        assert secret not in said
        assert secret.encode().hex() not in re.sub(r"\s", "", said)


# ---- what libldap itself reads


def test_the_hosts_ldap_conf_counts_for_both(slapd, start_both):
    """saslauthd.conf says nothing of TLS, so /etc/ldap/ldap.conf does."""
    as_it_was = LDAP_CONF.read_text()
    try:
        for line, is_trusted in ((f"TLS_CACERT {TLS}/authority.pem", True), ("TLS_REQCERT never", True),
                                 ("TLS_REQCERT demand", False)):
            LDAP_CONF.write_text(line + "\n")
            theirs, ours = start_both(SEARCHING + "ldap_servers: ldaps://localhost/\n")
            assert theirs.ask(ALICE.uid, ALICE.password).is_accepted == is_trusted
            assert ours.ask(ALICE.uid, ALICE.password).is_accepted == is_trusted, line
            assert ours.ask(ALICE.uid, "looking-glass").is_refused == is_trusted
    finally:
        LDAP_CONF.write_text(as_it_was)


# ---- behind a real Postfix, as an administrator would set it up


@pytest.fixture
def etc_saslauthd_conf():
    yield SASLAUTHD_CONF
    SASLAUTHD_CONF.unlink(missing_ok=True)


HOW_TO = """ldap_servers: {servers}
ldap_bind_dn: {reader}
ldap_bind_pw: {password}
ldap_search_base: {base}
ldap_filter: cn=%u
"""


@pytest.mark.parametrize("servers, more", [
    ("ldap://localhost/", ""),
    ("ldaps://localhost/", f"ldap_tls_cacert_file: {TLS}/authority.pem\n"),
], ids=["ldap", "ldaps"])
def test_a_mail_host_set_up_by_the_book(servers, more, slapd, postfix, etc_saslauthd_conf, daemons, syslog):
    etc_saslauthd_conf.write_text(HOW_TO.format(servers=servers, reader=READER, password=READER_PASSWORD, base=PEOPLE) +
                                  more)
    etc_saslauthd_conf.chmod(0o600)
    daemons.start(daemon.posternd(mode="", directory=RUN_DIRECTORY, backend="ldap"))

    def codes(mechanism):
        return [postfix.log_in(login, password, mechanism).code
                for login, password in ((ALICE.uid, ALICE.password), (ALICE.uid, "looking-glass"), ("nobody", "x"))]

    assert codes("PLAIN") == codes("LOGIN") == [235, 535, 535]
    slapd.stop()
    try:
        assert codes("PLAIN") == [454, 454, 454]
    finally:
        slapd.start()
    eventually(lambda: postfix.log_in(ALICE.uid, ALICE.password).code == 235, "the directory is asked again", 60)
    assert codes("LOGIN") == [235, 535, 535]
