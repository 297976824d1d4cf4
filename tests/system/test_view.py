# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon shows of itself: metrics, a status that is looked at again and again, and a log of JSON."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from support import control
from support.dovecot_auth import Client
from support.eventually import eventually
from support.places import POSTERN
from support.sasldb import ALICE
from support.wire import request

STRANGE = 'quo"te\\back}{,=\u00e4\\n'
CONF = """
[daemon]
MORE

[cache]

[listener mux]
socket = DIR/mux

[listener STRANGE.1]
socket = DIR/NAME

[listener submission]
protocol = dovecot
socket = DIR/auth
mechanisms = PLAIN

[backend local]
type = sasldb

[backend broken]
type = fault
workers = 1

[route]
default = local
broken.example = broken
failure_delay = 0
"""
BROKEN = "broken.example"


@pytest.fixture
def start(sasldb, start_postern_conf):
    """start(more): lines for [daemon]."""
    return lambda more="": start_postern_conf(CONF.replace("MORE", more).replace("NAME", STRANGE))


def metrics_text(daemon):
    return subprocess.run([POSTERN, "status", "--openmetrics", "-m", daemon.directory], capture_output=True, text=True,
                          timeout=60, check=True).stdout


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(read, name, **labels):
    """Of the one sample with these labels."""
    (sample,) = (sample for family in read.values() for sample in family.samples
                 if sample.name == name and sample.labels == labels)
    return sample.value


# metrics


def test_a_parser_of_openmetrics_reads_what_became_of_logins(start):
    postern = start()
    for _ in range(3):
        assert postern.ask(ALICE.user, ALICE.password).is_accepted
    assert postern.ask(ALICE.user, "looking-glass").is_refused
    assert postern.ask("unavailable", "x", realm=BROKEN).is_unavailable
    read = families(metrics_text(postern))
    assert value(read, "postern_logins_total", verdict="accepted") == 3
    assert value(read, "postern_logins_total", verdict="rejected") == 1
    assert value(read, "postern_logins_total", verdict="unavailable") == 1
    assert value(read, "postern_backend_decisions_total", backend="local", verdict="accepted") == 1
    assert value(read, "postern_cache_hits_total") == 2
    assert value(read, "postern_login_duration_seconds_count", verdict="accepted", cached="yes") == 2
    assert value(read, "postern_login_duration_seconds_count", verdict="accepted", cached="no") == 1
    assert value(read, "postern_login_duration_seconds_bucket", verdict="accepted", cached="no", le="+Inf") == 1
    assert value(read, "postern_backend_duration_seconds_count", backend="broken", verdict="unavailable") == 1
    assert 0 < value(read, "postern_backend_duration_seconds_sum", backend="local", verdict="accepted") < 8
    assert value(read, "postern_queue_wait_seconds_count", backend="local") == 2
    assert value(read, "postern_workers_max", backend="broken") == 64
    assert value(read, "postern_supervisor_up") == 1


def test_every_metric_says_what_it_is(start):
    read = families(metrics_text(start()))
    assert len(read) > 30
    for family in read.values():
        assert family.name.startswith("postern_")
        assert family.type in ("counter", "gauge", "histogram", "info")
        assert family.documentation
        assert family.unit == ("seconds" if family.name.endswith("_seconds") else "")
        assert family.samples or family.name.startswith("postern_server_")
        names = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
        assert len(set(names)) == len(names), "none stands twice, which this parser does not mind"


def test_a_name_with_every_awkward_character_is_read_as_it_is(start):
    postern = start()
    read = families(metrics_text(postern))
    sockets = {sample.labels["listener"]: sample.labels["socket"] for sample in read["postern_listener"].samples}
    assert sockets["STRANGE.1"] == str(postern.directory / STRANGE)


MANGLED = {
    "without an end": lambda text: text.removesuffix("# EOF\n"),
    "with text behind the end": lambda text: text + "postern_sessions 1\n",
    "a quote that is not escaped": lambda text: text.replace('quo\\"te', 'quo"te'),
    "a counter without _total": lambda text: text.replace("postern_logins_total", "postern_logins"),
    "a type twice": lambda text: text.replace("# TYPE postern_sessions gauge\n", "# TYPE postern_sessions gauge\n" * 2),
    "a histogram that is not whole": lambda text: re.sub(r'.*le="\+Inf".*\n', "", text),
    "counts that fall": lambda text: re.sub(r'(postern_queue_wait_seconds_bucket.*le="0.000064"}) .*', r"\1 99", text),
    "a number that is none": lambda text: text.replace("postern_sessions 0\n", "postern_sessions none\n"),
    "another unit": lambda text: text.replace("# UNIT postern_queue_wait_seconds seconds",
                                              "# UNIT postern_queue_wait_seconds bytes"),
}


@pytest.mark.parametrize("mangle", MANGLED.values(), ids=MANGLED)
def test_the_control_that_the_parser_refuses_what_is_mangled(mangle, start):
    text = metrics_text(start())
    assert families(text)
    assert mangle(text) != text
    with pytest.raises((ValueError, KeyError)):
        families(mangle(text))


# a status that is looked at again and again


class Terminal:
    """A program on a terminal of 50 lines."""

    def __init__(self, *command):
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 100))
        self.modes = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)))
        self.theirs = theirs
        self.seen = ""

    def has_seen(self, text):
        while select.select([self.ours], [], [], 0)[0]:
            self.seen += os.read(self.ours, 65536).decode()
        return text in self.seen

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def test_who_watches_sees_another_front_and_ends_with_ctrl_c(start):
    postern = start()
    terminal = Terminal(POSTERN, "status", "--watch", "0.2", "-m", postern.directory)
    eventually(lambda: terminal.has_seen("\x1b[HPER SECOND"), "two looks")
    first = postern.front.pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: terminal.has_seen("\x1b[Hanother front answers since "), "another front is seen")
    assert terminal.process.poll() is None
    assert termios.tcgetattr(terminal.theirs) == terminal.modes
    os.write(terminal.ours, b"\x03")
    assert terminal.process.wait(15) == -signal.SIGINT
    assert "\x1b[?" not in terminal.seen
    terminal.close()


def test_who_watches_goes_on_when_the_daemon_starts_again(start):
    postern = start()
    with subprocess.Popen([POSTERN, "status", "--watch", "0.2", "-m", postern.directory], stdout=subprocess.PIPE,
                          text=True) as watch:
        def sees(beginning):
            return any(line.startswith(beginning) for line in watch.stdout)
        assert sees("PER SECOND")
        postern.stop()
        assert sees("no daemon serves ")
        postern.start()
        assert sees("another front answers since ")
        watch.terminate()


# a log of JSON


def objects(daemon):
    """Every line that is whole; each must be one."""
    whole, _, _ = daemon.output_file.read_text("ascii").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def logins(daemon):
    return [line for line in objects(daemon) if line.get("event") == "login"]


def test_a_login_is_an_object_that_says_who_asked(start):
    postern = start("log = stderr json")
    assert postern.ask(ALICE.user, ALICE.password, service="smtp").is_accepted
    assert postern.ask(ALICE.user, ALICE.password, service="smtp").is_accepted
    assert postern.ask(ALICE.user, "looking-glass", listener="STRANGE.1").is_refused
    assert postern.ask("unavailable", "x", realm=BROKEN).is_unavailable
    with Client(postern.sockets["submission"]) as client:
        assert client.log_in("PLAIN", ALICE.user, ALICE.password, rip="198.51.100.7").word == "OK"
    eventually(lambda: len(logins(postern)) == 5, "five logins are in the log")
    first, again, wrong, broken, mail = logins(postern)
    assert first["pid"] == postern.front.pid
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
    for line in logins(postern):
        assert (line["peer_uid"], line["peer_pid"]) == (os.getuid(), os.getpid())
    assert [line["request"] for line in logins(postern)] == [1, 2, 3, 4, 5]
    assert (first["level"], first["listener"]) == ("info", "mux")
    assert (first["verdict"], first["backend"]) == ("accepted", "local")
    assert (first["user"], first["service"], first["cached"], first["mechanism"]) == ("alice", "smtp", False, None)
    assert 0 < first["ms"] < 8000
    assert (again["verdict"], again["cached"], again["backend"]) == ("accepted", True, None)
    assert (wrong["verdict"], wrong["listener"], wrong["level"]) == ("rejected", "STRANGE.1", "info")
    assert wrong["reason"]
    assert (broken["verdict"], broken["realm"], broken["level"]) == ("unavailable", BROKEN, "warning")
    assert (mail["mechanism"], mail["client_address"], mail["listener"]) == ("PLAIN", "198.51.100.7", "submission")


def test_every_line_of_every_process_is_an_object(start):
    postern = start("log = stderr json")
    assert postern.ask("crash", "x", realm=BROKEN).is_unavailable
    eventually(lambda: "was killed by signal" in postern.output, "the supervisor says why")
    with postern.connect() as connection:
        connection.send(request("al\0ice", "x"))
        connection.reply()
    eventually(lambda: "NUL byte" in postern.output, "the front says so")
    postern.stop()
    lines = objects(postern)
    messages = {line["message"]: line for line in lines if "message" in line}
    assert len(messages) + len([line for line in lines if line.get("event") == "login"]) == len(lines)
    assert {line["level"] for line in lines} >= {"info", "warning", "error"}
    assert messages["login with a NUL byte received"]["level"] == "error"
    assert len({line["pid"] for line in lines}) == 2, "the supervisor, and the front for all others"


def test_strangers_bytes_make_objects_and_passwords_none(start):
    postern = start("log = stderr json")
    secret = b"wonder\xfe\xffland"
    for byte in range(1, 256):
        name = b"<%b>" % bytes([byte])
        with postern.connect() as connection:
            connection.send(request(name, secret, service=name, realm=name))
            assert connection.reply().is_refused
    with postern.connect() as connection:
        connection.send(request(b"\xff" * 1024, secret, service="\x01" * 1024, realm='"' * 1024))
        assert connection.reply().is_refused
    eventually(lambda: len(logins(postern)) == 256, "all are in the log")
    *short, long = logins(postern)
    for byte, line in zip(range(1, 256), short):
        assert line["user"] == line["service"] == line["realm"] == f"<{chr(byte) if byte < 128 else chr(0xfffd)}>"
    assert long["user"].startswith("\ufffd" * 100)
    assert long["user"].endswith("...")
    raw = postern.output_file.read_bytes()
    assert max(map(len, raw.splitlines())) <= 4096
    assert b"wonder" not in raw


def test_the_log_of_syslog_may_be_json_too(start, syslog):
    postern = start("log = json")
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    line = syslog.wait_for('"event":"login"', ident="postern")
    assert (line.facility, line.severity) == ("auth", "info")
    assert json.loads(line.text)["user"] == ALICE.user
    assert json.loads(line.text) in objects(postern), "in the foreground to both"
    for text in syslog.texts("postern"):
        json.loads(text)


def test_saslauthds_flags_take_it_too_and_then_every_login_is_written(sasldb, start_postern, syslog):
    postern = start_postern("--log", "json")
    assert postern.ask(ALICE.user, ALICE.password).is_accepted
    line = json.loads(syslog.wait_for('"event":"login"').text)
    assert (line["user"], line["verdict"], line["listener"]) == (ALICE.user, "accepted", "mux")


def test_another_format_takes_a_restart(start):
    postern = start("log = stderr json")
    postern.config_file.write_text(postern.config_file.read_text().replace("stderr json", "stderr"))
    assert control.reload(postern.directory).endswith("another target or format of the log takes a restart")


def test_a_peer_is_known_by_its_own_process_also_when_that_has_ended(start):
    postern = start("log = stderr json")
    child = os.fork()
    if child == 0:
        with postern.connect() as connection:
            connection.send(request(ALICE.user, ALICE.password))
        os._exit(0)
    os.waitpid(child, 0)
    eventually(lambda: logins(postern), "it is in the log")
    assert logins(postern)[0]["peer_pid"] == child
