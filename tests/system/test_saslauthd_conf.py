# SPDX-License-Identifier: BSD-2-Clause
"""saslauthd.conf: it works as for saslauthd, and what saslauthd passes over in silence is said."""

import signal
import subprocess
from pathlib import Path

import pytest

from support.eventually import eventually
from support.places import POSTERN, POSTERND

DEFAULT_FILE = Path("/etc/saslauthd.conf")  # in the namespace
PASSWORD = "correct-horse-battery"
NO_SERVER = "ldap_servers: ldap://127.0.0.1:9/\n"
WRONG_KEY = "there is no such key: it has no effect, as with saslauthd; write ldap_start_tls: yes"


@pytest.fixture
def conf(tmp_path):
    """A path that a daemon may be given, and conf.write(text)."""
    return tmp_path / "saslauthd.conf"


def write(path, text, mode=0o600):
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def check(*flags):
    return subprocess.run([POSTERND, "--check", *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20, check=False)


def warnings_about(syslog, text):
    return [line for line in syslog.texts() if text in line]


# The check

def test_a_check_says_all_that_is_wrong_and_all_that_is_worth_a_note(conf):
    write(conf, f"ldap_ssl: yes\nldap_start_tls: perhaps\nldap_password {PASSWORD}\nldap_bind_pw: {PASSWORD}\n"
                f"ldap_servers: ldap://me:{PASSWORD}@host/\n", 0o644)
    done = check("-a", "ldap", "-O", conf)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"{conf}:2: ldap_start_tls: perhaps: yes or no was expected",
        f"{conf}:3: ldap_password: key: value was expected, and the colon right behind the key",
        f"{conf}:5: ldap_servers: an @; servers without a user and a password in front of them were expected",
        f"note: {conf}: everybody may read it, and line 4 holds a password; chmod o-r {conf}",
        f"note: {conf}:1: ldap_ssl: {WRONG_KEY}, or ldaps:// in ldap_servers",
    ]


def test_a_check_of_a_file_that_works_says_its_notes_and_ok(conf):
    write(conf, f"LDAP_Start_TLS: Yes\nldap_password: {PASSWORD}\nldap_starttls: {PASSWORD}\n")
    done = check("-a", "ldap,kerberos5", "-O", conf)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"note: {conf}:1: ldap_start_tls: Yes means yes here; saslauthd takes it for no",
        f"note: {conf}:3: ldap_starttls: {WRONG_KEY}",
        "the flags are OK",
    ]


def test_a_file_that_was_named_and_is_not_there_ends_the_start(conf):
    for flags in (["--check"], ["-d"], []):
        done = subprocess.run([POSTERND, *flags, "-a", "ldap", "-O", conf, "-m", conf.parent], timeout=20,
                              capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, f"{conf}: No such file or directory\n")


def test_the_file_has_a_place_and_need_not_be_there():
    assert not DEFAULT_FILE.exists()
    missing = "the directory is asked with the defaults of all keys that no flag sets"
    assert check("-a", "ldap").stderr == f"note: there is no {DEFAULT_FILE}: {missing}\nthe flags are OK\n"
    assert check("-a", "kerberos5").stderr == "the flags are OK\n"
    try:
        write(DEFAULT_FILE, "ldap_scope: subtree\n")
        assert f"note: {DEFAULT_FILE}:1: ldap_scope: subtree: has no effect" in check("-a", "ldap").stderr
        assert check("-a", "kerberos5").stderr == "the flags are OK\n"
        write(DEFAULT_FILE, "ldap_scope\n")
        assert check("-a", "kerberos5").returncode == 1
    finally:
        DEFAULT_FILE.unlink()


def test_rimap_needs_a_server():
    done = check("-a", "rimap")
    assert (done.returncode, done.stderr) == (
        1, f"{POSTERND}: -a rimap needs the server that it asks: -O HOST or -O HOST/PORT\n")
    for flags in (["-O", "[::1]/143"], ["-O", "mail.example.org/imap"], ["--rimap-host", "a,b/1143"]):
        assert check("-a", "rimap", *flags).stderr == "the flags are OK\n"


def test_rimap_takes_neither_a_port_behind_a_colon_nor_a_port_that_is_none():
    assert check("-a", "rimap", "-O", "imap.example.org:143").returncode == 1
    assert check("-a", "rimap", "-O", "imap.example.org", "--rimap-port", "65536").returncode == 1


def test_a_password_that_is_broken_into_lines_is_not_shown(conf):
    write(conf, f"ldap_password:\n{PASSWORD}: rest\nldap_{PASSWORD}: rest\n")
    done = check("-a", "ldap", "-O", conf)
    assert done.returncode == 1 and PASSWORD not in done.stderr
    write(conf, f"ldap_password: x\n{PASSWORD}: rest\n")
    done = check("-a", "ldap", "-O", conf)
    assert done.stderr.splitlines() == [f"note: {conf}:2: an unknown key; it has no effect, as with saslauthd",
                                        "the flags are OK"]


@pytest.mark.parametrize(("backend", "line", "starts"), [
    ("ldap", "ldap_tls_cacert_file: ca.pem\n", True),
    ("ldap", "ldap_tls_check_peer: demand\n", True),
    ("ldap", "ldap_start_tls: yes\nldap_tls_cacert_file: ca.pem\n", False),
    ("ldap", "ldap_servers: ldap://localhost/dc=x??sub\n", False),
    ("ldap", "ldap_servers: ldap://localhost/uid=a@b\n", False),
    ("kerberos5", "krb5_keytab: WRFILE:/etc/krb5.keytab\n", True),
    ("kerberos5", "krb5_keytab: MEMORY:x\n", False),
    ("kerberos5", "krb5_keytab: my.keytab\n", False),
    ("kerberos5", "krb5_smtp_instance: a b\n", False),
])
def test_what_saslauthd_starts_with_and_postern_does_not(conf, start_saslauthd, backend, line, starts):
    write(conf, line)
    assert start_saslauthd("-O", conf, backend=backend).ask("alice", PASSWORD).text.startswith("NO")
    assert check("-a", backend, "-O", conf).returncode == (0 if starts else 1)


# The daemon

def test_a_relative_path_begins_in_the_run_directory_for_both(syslog, tmp_path, start_saslauthd, start_postern):
    directory = tmp_path / "run"
    directory.mkdir()
    write(directory / "own.conf", NO_SERVER + "ldap_starttls: yes\n")
    for start, name in ((start_saslauthd, "none.conf"), (start_saslauthd, "own.conf")):
        server = start("-V", "-O", name, backend="ldap", directory=directory)
        assert server.ask("alice", PASSWORD).text == "NO"
        server.stop()
    assert warnings_about(syslog, "Could not open saslauthd config file: none.conf")
    assert not warnings_about(syslog, "config file: own.conf")
    postern = start_postern("-O", "own.conf", backend="ldap", mode="", directory=directory)
    syslog.wait_for(f"-O own.conf is taken for {directory}/own.conf, as with saslauthd")
    syslog.clear()
    done = subprocess.run([POSTERN, "reload", "-m", directory], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert warnings_about(syslog, f"{directory}/own.conf:2: ldap_starttls: {WRONG_KEY}")
    postern.stop()


def test_a_reload_without_the_file_changes_nothing(start_postern):
    def reload():
        return subprocess.run([POSTERN, "reload", "-m", postern.directory], capture_output=True, text=True,
                              timeout=20, check=False)

    write(DEFAULT_FILE, NO_SERVER)
    try:
        postern = start_postern(backend="ldap")
        front = postern.front
        DEFAULT_FILE.unlink()
        done = reload()
        assert done.returncode == 1 and f"{DEFAULT_FILE}: No such file or directory, and it was there" in done.stderr
        assert postern.front == front
        write(DEFAULT_FILE, "")
        assert reload().returncode == 0
    finally:
        DEFAULT_FILE.unlink(missing_ok=True)


def test_without_the_file_saslauthd_serves_and_refuses_and_postern_says_why(syslog, start_saslauthd, start_postern):
    assert not DEFAULT_FILE.exists()
    assert start_saslauthd(backend="ldap").ask("alice", PASSWORD).text == "NO"
    start_postern(backend="ldap")
    assert syslog.wait_for(f"there is no {DEFAULT_FILE}").severity == "warning"


def test_a_wrong_key_is_said_once_and_the_daemon_serves(conf, syslog, start_saslauthd, start_postern):
    write(conf, NO_SERVER + f"ldap_bind_dn: cn=x\nldap_password: {PASSWORD}\nldap_starttls: yes\n")
    assert start_saslauthd("-V", "-O", conf, backend="ldap").ask("alice", PASSWORD).text == "NO"
    syslog.wait_for("auth failure: [user=alice]")
    assert not warnings_about(syslog, "ldap_starttls")
    syslog.clear()
    postern = start_postern("-O", conf, backend="ldap", mode="")
    said = f"{conf}:4: ldap_starttls: {WRONG_KEY}"
    assert syslog.wait_for(said).severity == "warning"
    for _ in range(3):
        assert postern.ask("alice", PASSWORD).text == ""
    eventually(lambda: len(warnings_about(syslog, "auth unavailable")) == 3, "three lines in the log")
    assert len(warnings_about(syslog, "ldap_starttls")) == 1
    assert not [line for line in [*syslog.lines(), postern.output] if PASSWORD in str(line)]


def test_a_reload_reads_the_file_again_and_a_broken_one_changes_nothing(conf, syslog, start_postern):
    write(conf, NO_SERVER)
    postern = start_postern("-O", conf, backend="ldap")
    front = postern.front
    write(conf, NO_SERVER + f"ldap_password {PASSWORD}\n")
    broken = subprocess.run([POSTERN, "reload", "-m", postern.directory], capture_output=True, text=True, timeout=20)
    assert broken.returncode == 1 and f"{conf}:2: ldap_password: key: value was expected" in broken.stderr
    assert PASSWORD not in broken.stderr and postern.front == front
    write(conf, NO_SERVER + "ldap_starttls: yes\n")
    postern.supervisor.kill(signal.SIGHUP)
    syslog.wait_for("the configuration was read again, and is in force")
    assert len(warnings_about(syslog, f"{conf}:2: ldap_starttls: {WRONG_KEY}")) == 1
    assert not [line for line in [*syslog.lines(), postern.output] if PASSWORD in str(line)]


def test_a_broken_file_starts_nothing(conf, tmp_path):
    write(conf, f"ldap_password {PASSWORD}\n")
    done = subprocess.run([POSTERND, "-a", "ldap", "-O", conf, "-m", tmp_path / "run"], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 1 and done.stderr.startswith(f"{conf}:1: ldap_password: ")
    assert PASSWORD not in done.stderr and not (tmp_path / "run").exists()
