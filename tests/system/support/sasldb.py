# SPDX-License-Identifier: BSD-2-Clause
"""Password databases as Debian's own saslpasswd2 writes them."""

import grp
import os
import subprocess
from dataclasses import dataclass

from support.places import HOST_NAME, POSTERN, SASLDB


@dataclass(frozen=True)
class Account:
    user: str
    password: str
    realm: str = HOST_NAME


ALICE = Account("alice", "wonderland")
BOB = Account("bob", "builder", "example.org")

# What a postern.conf ends with that has a sasldb behind each of its listeners, and refuses without delay.
BY_SASLDB = """
[backend local]
type = sasldb

[route]
default = local
failure_delay = 0
"""


def passwd(database, name, password, *flags):
    """What `postern passwd` says that it did."""
    done = subprocess.run([POSTERN, "passwd", *flags, "-f", database.path, name], input=password + "\n",
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Sasldb:
    """A sasldb file: root:sasl 0640, so that a worker in group sasl may read it."""

    def __init__(self, path=SASLDB):
        self.path = path
        self.set_aside = path.with_name(path.name + ".aside")
        for old in (self.path, self.set_aside):
            old.unlink(missing_ok=True)

    def add(self, account):
        """Creates the account, or changes its password."""
        subprocess.run(
            ["saslpasswd2", "-p", "-c", "-f", self.path, "-u", account.realm, account.user],
            input=account.password.encode(), check=True, capture_output=True, timeout=20)
        os.chown(self.path, 0, grp.getgrnam("sasl").gr_gid)
        self.path.chmod(0o640)
        return self

    def add_key(self, account):
        return self.add_keys([account])

    def add_keys(self, accounts):
        """Writes the keys themselves: saslpasswd2 would take a user with an @ apart."""
        dump = ["VERSION=3", "format=bytevalue", "type=hash", "HEADER=END"]
        for account in accounts:
            key = "\0".join([account.user, account.realm, "userPassword"]).encode()
            dump += [f" {key.hex()}", f" {account.password.encode().hex()}"]
        dump += ["DATA=END", ""]
        subprocess.run(["db_load", self.path], input="\n".join(dump).encode(), check=True, timeout=20)
        return self

    def delete(self, account):
        """As Debian's saslpasswd2 does it, which says success whatever it found."""
        subprocess.run(["saslpasswd2", "-d", "-f", self.path, "-u", account.realm, account.user], check=True,
                       capture_output=True, timeout=20)
        return self

    def entry(self, user, realm, name):
        """The value of one property, as Debian's db_dump shows it; nothing when there is none."""
        done = subprocess.run(["db_dump", "-p", self.path], capture_output=True, text=True, check=True, timeout=20)
        lines = [line.strip() for line in done.stdout.partition("HEADER=END\n")[2].splitlines()]
        return dict(zip(lines[::2], lines[1::2])).get(f"{user}\\00{realm}\\00{name}")

    def listing(self):
        """What Debian's sasldblistusers2 makes of the file, a line a user."""
        done = subprocess.run(["sasldblistusers2", "-f", self.path], capture_output=True, text=True, timeout=20)
        return sorted(done.stdout.splitlines())

    def take_away(self):
        self.path.rename(self.set_aside)

    def damage(self):
        """Leaves a file of the right size and mode that no Berkeley DB would open."""
        self.path.rename(self.set_aside)
        self.path.write_bytes(os.urandom(self.set_aside.stat().st_size))
        os.chown(self.path, 0, grp.getgrnam("sasl").gr_gid)
        self.path.chmod(0o640)

    def put_back(self):
        if self.set_aside.exists():
            self.set_aside.rename(self.path)
