# SPDX-License-Identifier: BSD-2-Clause
"""A mail host as countless articles set it up: Debian's saslauthd with PAM behind a chrooted Postfix. Postern lies
where saslauthd was, and nothing else is changed."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.dovecot import Dovecot
from support.eventually import eventually
from support.host_accounts import STACKS, HostAccounts
from support.places import BUILD, POSTERND, SASLAUTHD
from support.postfix import RUN_DIRECTORY
from support.processes import Process, all_processes
from support.sasldb import Account

DEFAULTS = Path("/etc/default/saslauthd")
STACK = "@include common-auth\n@include common-account\n@include common-password\n@include common-session\n"
DENY = "auth required pam_deny.so\naccount required pam_deny.so\n"
WALTER, VERA = Account("walter", "walrus"), Account("vera", "a longer pass phrase: 8 € #!")


@pytest.fixture
def host():
    """Users as an admin makes them, and Debian's own stacks."""
    accounts = HostAccounts()
    for account in (WALTER, VERA):
        accounts.add_with_tools(account.user, account.password)
    assert not (STACKS / "smtp").exists()
    yield accounts
    accounts.put_back()


@pytest.fixture
def in_the_place_of_saslauthd():
    """The file itself, and the plug-ins where a program in /usr/sbin looks for them."""
    plugins = next(BUILD.glob("lib*/**/backend_pam.so")).parent
    place = Path("/usr") / plugins.relative_to(BUILD)
    covered = [SASLAUTHD.parent, next(parent for parent in place.parents if parent.exists())]
    for directory in covered:
        cover(directory)
    SASLAUTHD.unlink()
    shutil.copy(POSTERND, SASLAUTHD)
    shutil.copytree(plugins, place, dirs_exist_ok=True)
    yield
    for directory in reversed(covered):
        subprocess.run(["umount", "--lazy", directory], check=True)  # Postfix may have a library from there


def cover(directory):
    """What is written there from now on is gone with the mount."""
    upper = Path("/run/covered") / directory.name
    shutil.rmtree(upper, ignore_errors=True)
    for part in ("upper", "work"):
        (upper / part).mkdir(parents=True)
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={directory},upperdir={upper}/upper,workdir={upper}/work",
                    "overlay", directory], check=True)


@pytest.fixture(params=["saslauthd", "posternd"])
def program(request, postfix, syslog):
    """What lies in /usr/sbin/saslauthd; Debian's own is the control."""
    if request.param == "posternd":
        request.getfixturevalue("in_the_place_of_saslauthd")


@pytest.fixture
def service(program, host):
    """Debian's init script, with /etc/default/saslauthd as it is printed."""
    with started_by_init({'OPTIONS="-c -m /var/run/saslauthd"': f'OPTIONS="-c -m {RUN_DIRECTORY}"'}) as process:
        yield process


@contextlib.contextmanager
def started_by_init(changes):
    """With those lines of /etc/default/saslauthd changed, and START=yes."""
    before = text = DEFAULTS.read_text()
    for old, new in changes.items():
        assert f"\n{old}\n" in text
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    DEFAULTS.write_text(text + "START=yes\n")
    shutil.rmtree(RUN_DIRECTORY)  # the script makes it
    run("start")
    try:
        yield Process(int((RUN_DIRECTORY / "saslauthd.pid").read_text()))
    finally:
        run("stop")
        DEFAULTS.write_text(before)
        eventually(lambda: not serving(), "all have ended")


def run(action):
    done = subprocess.run(["/etc/init.d/saslauthd", action], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "_SYSTEMCTL_SKIP_REDIRECT": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


def serving():
    return [process for process in all_processes()
            if process.is_alive and process.name.startswith(("saslauthd", "postern"))]


def code(postfix, user, password):
    return postfix.log_in(user, password).code


def test_users_of_the_host_log_in(postfix, host, service):
    """By the stack `other` where there is none of the name smtp, and then by that one."""
    assert oct(RUN_DIRECTORY.stat().st_mode) == oct(0o40710)
    assert service.name == "saslauthd" and service.executable == str(SASLAUTHD)
    assert codes(postfix, WALTER) == [535, 235, 535]
    assert code(postfix, "nobody-there", "looking-glass") == 535

    host.write_stack("other", DENY)
    assert codes(postfix, VERA) == [535, 535, 535], "the control: it is `other` that was asked"
    host.write_stack("smtp", STACK)
    assert codes(postfix, VERA) == [535, 235, 535]
    assert postfix.smtpd_roots == {"/var/spool/postfix"}


def codes(postfix, account):
    """Of a wrong, the right, and a wrong password: saslauthd's -c keeps who was accepted once."""
    return [code(postfix, account.user, password) for password in ("looking-glass", account.password, "x")]


def test_the_log_names_who_failed(postfix, host, service, syslog):
    assert code(postfix, WALTER.user, "looking-glass") == 535
    line = syslog.wait_for("auth failure:")
    assert line.text == (" " * 16 + ": auth failure: [user=walter] [service=smtp] [realm=] [mech=pam] "
                                    "[reason=PAM auth error]")
    assert (line.facility, line.severity, line.ident) == ("auth", "info", "saslauthd")


def test_users_of_another_hosts_imap_server_log_in(postfix, program):
    """As articles have it: MECHANISMS="rimap" and the server in MECH_OPTIONS."""
    guest = Account("guest", "a pass phrase, 8 € #!")
    with Dovecot([WALTER, guest]) as dovecot:
        with started_by_init({
                'MECHANISMS="pam"': 'MECHANISMS="rimap"',
                'MECH_OPTIONS=""': f'MECH_OPTIONS="127.0.0.1/{dovecot.port}"',
                'OPTIONS="-c -m /var/run/saslauthd"': f'OPTIONS="-c -m {RUN_DIRECTORY}"'}):
            assert codes(postfix, WALTER) == [535, 235, 535]
            assert codes(postfix, guest) == [535, 235, 535]
            assert code(postfix, "nobody-there", "looking-glass") == 535
