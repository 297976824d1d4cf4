# SPDX-License-Identifier: BSD-2-Clause
"""`postern bench` on real daemons, and tests/bench/run in its shortest form, so that it cannot rot."""

import json
import os
import pty
import re
import shutil
import signal
import socket as sockets
import subprocess
import sys
from pathlib import Path

import pytest

from support import control
from support.dovecot import Dovecot
from support.eventually import eventually
from support.places import BUILD, POSTERN, SOURCE
from support.sasldb import Account, Sasldb

USERS = [Account(f"user{number}", "a password") for number in range(1, 11)]
PATTERN = ["user%d", "--range", "1-10"]
RUN = SOURCE / "tests/bench/run"
PYTHON_PATH = f"{RUN.parent}:{SOURCE / 'tests/system'}"

LISTENERS = """
[listener mux]
socket = DIR/mux
[listener auth]
protocol = dovecot
socket = DIR/auth
[backend local]
type = sasldb
[route]
default = local
failure_delay = 0
"""

AUTH_SERVICE = """
service auth {
  unix_listener bench {
    mode = 0600
  }
}
"""


@pytest.fixture
def users():
    database = Sasldb()
    for account in USERS:
        database.add(account)
    return database


def bench(socket, *arguments):
    """Exit status, and the counts that are not 0."""
    command = [str(word) for word in (POSTERN, "bench", *PATTERN, "-f", socket, "--json", *arguments)]
    done = subprocess.run(command, input=USERS[0].password + "\n", capture_output=True, text=True, timeout=60,
                          check=False)
    assert USERS[0].password not in done.stdout + done.stderr
    told = json.loads(done.stdout)
    counts = ("accepted", "refused", "unavailable", "lost", "misjudged")
    return done.returncode, {name: told[name] for name in counts if told[name]}


def started(socket, *arguments):
    """A load that knows the password."""
    reading, writing = os.pipe()
    os.write(writing, USERS[0].password.encode() + b"\n")
    os.close(writing)
    command = [str(word) for word in (POSTERN, "bench", *PATTERN, "-f", socket, "--json", *arguments)]
    with os.fdopen(reading) as password:
        return subprocess.Popen(command, stdin=password, stdout=subprocess.PIPE, text=True)


def told_by(running):
    return json.loads(running.communicate(timeout=60)[0])


def listening(path, queue):
    """Room for one more than that, as Linux counts."""
    listener = sockets.socket(sockets.AF_UNIX)
    listener.settimeout(60)
    listener.bind(str(path))
    listener.listen(queue)
    return listener


def all_wait(running, threads):
    """Whether it has so many, and each is asleep."""
    tasks = Path(f"/proc/{running.pid}/task").glob("*/stat")
    return [task.read_text().rpartition(")")[2].split()[0] for task in tasks] == ["S"] * threads


# postern bench


@pytest.mark.parametrize("server", ["start_postern", "start_saslauthd"])
@pytest.mark.parametrize("clients", [1, 64])
def test_every_login_over_saslauthds_protocol_ends_as_its_password_says(clients, server, users, request):
    running = request.getfixturevalue(server)()
    status, counts = bench(running.socket, "-n", 2000, "-c", clients, "--wrong", 25)
    assert status == 0
    assert counts.keys() == {"accepted", "refused"}
    assert counts["accepted"] + counts["refused"] == 2000
    assert 490 <= counts["refused"] <= 510


@pytest.mark.parametrize("server", ["postern", "dovecot"])
def test_every_login_over_dovecots_protocol_does(server, users, start_postern_conf):
    arguments = ["-n", 200, "-c", 8, "--wrong", 10]
    if server == "postern":
        found = bench(start_postern_conf(LISTENERS).sockets["auth"], *arguments)
    else:
        with Dovecot(USERS, AUTH_SERVICE) as dovecot:
            found = bench(dovecot.directory / "run/bench", *arguments)
    assert found == (0, {"accepted": 180, "refused": 20})


def test_each_user_of_the_range_logs_in(users, start_postern):
    """One who is missing is refused, and that is an answer that the password does not deserve."""
    users.delete(USERS[3])
    assert bench(start_postern().socket, "-n", 100) == (255, {"accepted": 90, "refused": 10, "misjudged": 10})


def test_an_outage_is_told_from_a_refusal(users, start_postern, start_postern_conf):
    """Over Dovecot's protocol Postern ends the connection, and a client that has lost it makes another."""
    users.take_away()
    assert bench(start_postern().socket, "-n", 50) == (75, {"unavailable": 50})
    assert bench(start_postern_conf(LISTENERS).sockets["auth"], "-n", 50, "-c", 1) == (75, {"lost": 50})


def test_a_front_that_dies_costs_the_logins_that_it_had(users, start_postern):
    """And the load goes on with its successor."""
    postern = start_postern()
    with started(postern.socket, "--seconds", 600, "-c", 4) as running:
        eventually(lambda: decided(postern) > 100, "the load is there")
        first = postern.front.kill()
        first.wait_gone()
        eventually(lambda: decided(postern) > 100, "the load is there again")
        running.send_signal(signal.SIGINT)
        told = told_by(running)
    assert told["accepted"] + told["lost"] == told["logins"]
    assert told["lost"] <= 4


def decided(postern):
    """How many logins its front knows of; none while there is no front."""
    try:
        return sum(control.backend_status(postern.directory, "sasldb")["decisions"].values())
    except (OSError, ValueError):
        return 0


def on_terminal(*arguments):
    """What comes on a terminal that stderr is, and on stdout."""
    terminal, side = pty.openpty()
    done = subprocess.run([POSTERN, "bench", *PATTERN, *arguments], input=USERS[0].password + "\n", text=True,
                          timeout=60, stdout=subprocess.PIPE, stderr=side, check=True)
    os.close(side)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # the other side has ended
        pass
    os.close(terminal)
    return shown.decode(), done.stdout


def test_progress_is_shown_on_a_terminal_and_taken_away(users, start_postern):
    shown, told = on_terminal("-f", start_postern().socket, "--seconds", "0.5")
    lines = re.findall(r"\r(\d+) logins, (\d+)/s\033\[K", shown)
    assert lines and [int(count) for count, _ in lines] == sorted(int(count) for count, _ in lines)
    assert shown.endswith("\r\033[K")
    assert "LOGINS  ACCEPTED" in told and "FROM MS" in told and "\r" not in told


def test_an_interruption_tells_what_was_measured(users, start_postern):
    postern = start_postern()
    command = [POSTERN, "bench", *PATTERN, "-f", postern.socket, "--json", "--seconds", "600"]
    terminal, side = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=side, text=True) as running:
        os.close(side)
        running.stdin.write(USERS[0].password + "\n")
        running.stdin.close()
        eventually(lambda: re.search(rb"[1-9]\d* logins", os.read(terminal, 1000)), "the progress tells of logins")
        running.send_signal(signal.SIGINT)
        told = json.loads(running.stdout.read())
    os.close(terminal)
    assert running.returncode == 128 + signal.SIGINT
    assert told["logins"] == told["accepted"] > 0


def test_an_interruption_does_not_wait_for_who_does_not_answer(tmp_path):
    """Three clients wait for an answer and five in line. What was in work does not count."""
    with listening(tmp_path / "mux", 2) as listener, started(tmp_path / "mux", "-c", 8, "-t", 600) as running:
        listener.accept()[0].close()  # who asks what is spoken here
        eventually(lambda: all_wait(running, 9), "all clients wait")
        running.send_signal(signal.SIGINT)
        told = told_by(running)
    assert running.returncode == 128 + signal.SIGINT
    assert (told["logins"], told["histogram"]) == (0, [])


GREETING = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t" + 32 * b"0" + b"\nDONE\n"


def test_all_clients_of_dovecots_protocol_are_connected_before_one_logs_in(tmp_path):
    """To a server with room for one in its queue: while it has two of them to accept, the last is not connected."""
    with listening(tmp_path / "auth", 0) as listener, started(tmp_path / "auth", "-c", 8, "-n", 8) as running:
        listener.accept()[0].sendall(GREETING)  # to who asks what is spoken here
        peers = [listener.accept()[0] for _ in range(6)]
        eventually(lambda: all_wait(running, 9), "all clients wait")
        assert not any(b"AUTH" in peer.recv(1000, sockets.MSG_PEEK) for peer in peers)
        peers += [listener.accept()[0] for _ in range(2)]
        for peer in peers:
            eventually(lambda peer=peer: b"AUTH" in peer.recv(1000, sockets.MSG_PEEK), "each logs in")
        for peer in peers:
            peer.sendall(GREETING + b"OK\t1\tuser=somebody\n")
        told = told_by(running)
    assert (running.returncode, told["accepted"], told["logins"]) == (0, 8, 8)


# tests/bench/run


def run(*arguments, build=BUILD):
    return subprocess.run([RUN, *arguments], env={**os.environ, "POSTERN_BUILD": str(build)}, capture_output=True,
                          text=True, timeout=120, check=False)


def test_the_benchmark_runs_through(tmp_path):
    results, picture = tmp_path / "results.json", tmp_path / "latency.svg"
    done = run("--rounds", "1", "--seconds", "0.02", "--json", results, "--plot", picture, "cache", "dovecot", "memory",
               "load")
    assert done.returncode == 0, done.stdout + done.stderr
    svg = picture.read_text()
    assert svg.startswith("<?xml") and "saslauthd -c" in svg and svg.endswith("</svg>\n\n")
    told = json.loads(results.read_text())
    assert [row["what"] for row in told["rows"]] == [
        "cache hit, 8 clients", "cache hit, 64 clients",
        *(f"Dovecot protocol, PLAIN, {what}, {clients} connections"
          for what in ("remembered", "asked each time") for clients in (8, 64)),
        "memory, idle, one backend, 5 workers: PSS"]
    for row in told["rows"]:
        assert all(len(values) == 1 and values[0] > 0 for values in row["values"].values())
        assert row["what"] in done.stdout
        for target in row["targets"]:
            assert target["ratio"] == row["values"]["postern"][0] / row["values"][target["against"]][0]
    (load,) = told["curves"]
    assert load["values"].keys() == {"floor", "saslauthd", "saslauthd -c", "postern", "postern -c"}
    assert [*load["values"]["postern"]] == ["1", "2", "4", "8", "16", "32", "64", "128"]


LIAR = """#!/usr/bin/python3
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(100)
while True:
    peer, _ = listener.accept()
    if peer.recv(1000):
        peer.sendall(b"\\0\\2NO")
    peer.close()
"""


def test_the_benchmark_fails_when_an_answer_is_wrong(tmp_path):
    """In a build whose floor says NO. What counts is that it fails, and says why."""
    build = SOURCE / f"build/bench-liar.{os.getpid()}"
    (build / "tests/bench").mkdir(parents=True)
    for folder in ("bin", "sbin", "lib"):
        (build / folder).symlink_to(BUILD / folder)
    floor = build / "tests/bench/bench_floor"
    floor.write_text(LIAR)
    floor.chmod(0o755)
    done = run("--rounds", "1", "--seconds", "0.02", "--json", tmp_path / "results.json", "cache", build=build)
    shutil.rmtree(build)
    assert done.returncode != 0
    assert "ended with 255" in done.stderr and '"misjudged":' in done.stderr
    assert not (tmp_path / "results.json").exists()


def test_the_help_names_every_scenario():
    script = "import growth, scenarios; print(*scenarios.SCENARIOS)"
    names = subprocess.run([sys.executable, "-B", "-c", script], env={**os.environ, "PYTHONPATH": PYTHON_PATH},
                           capture_output=True, text=True, check=True)
    told = run("--help").stdout
    assert re.findall(r"^  ([a-z-]+)  ", told, re.MULTILINE) == names.stdout.split()


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["--rounds"], ["--rounds", "0"],
                                       ["--seconds", "0"], ["--seconds", "x"], ["--plot", "x", "cache"]])
def test_the_benchmark_refuses_what_it_does_not_understand(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tests/bench/run: ")


@pytest.mark.long
def test_the_commands_of_the_page_run_through():
    """As printed in docs/performance.md, but for the time they take."""
    page = (SOURCE / "docs/performance.md").read_text()
    lines = [line.strip() for line in page.splitlines() if line.startswith("    tests/bench/run")]
    assert len(lines) == 4
    for line in lines:
        done = subprocess.run(["bash", "-c", f"{line} --rounds 1 --seconds 0.05"], cwd=SOURCE, capture_output=True,
                              text=True, env={**os.environ, "POSTERN_BUILD": str(BUILD)}, timeout=900, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
