# SPDX-License-Identifier: BSD-2-Clause
"""Pools that breathe: workers come when requests wait, and go when nobody needs them."""

import signal
from concurrent.futures import ThreadPoolExecutor

from support import control
from support.eventually import eventually
from support.load import Expected, Load, wrong_answers
from support.sasldb import ALICE

LOGINS = [Expected("anybody", "good", "", True), Expected("anybody", "bad", "", False)]


def ask_slowly(daemon, count, milliseconds=500):
    """So many logins at a time that take so long each; their replies."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: daemon.ask("slow", "good", realm=str(milliseconds)), range(count)))


def status(daemon):
    return control.backend_status(daemon.directory, "fault")


def standing_still(daemon):
    """Workers in the middle of a login of `stop`."""
    return [worker for worker in daemon.workers("fault") if worker.state == "T"]


def let_go_on(daemon):
    for worker in standing_still(daemon):
        worker.kill(signal.SIGCONT)


def are_all_in_work(daemon, count):
    """Of so many logins nobody waits for anybody else: each is answered when all have a worker."""
    with ThreadPoolExecutor(count) as pool:
        logins = [pool.submit(daemon.ask, "stop", "good", seconds=60) for _ in range(count)]
        eventually(lambda: len(standing_still(daemon)) == count, "nobody waits for anybody else", 60)
        let_go_on(daemon)
        return all(login.result().is_accepted for login in logins)


def test_a_pool_grows_while_requests_wait_and_shrinks_again(start_postern):
    postern = start_postern("--worker-idle", "500ms", "--deadline", "120s", backend="fault", workers=2)
    assert are_all_in_work(postern, 30)
    eventually(lambda: len(postern.workers("fault")) == 2, "nobody needs the others")
    assert status(postern)["workers_lost"] == 0
    assert "worker" not in postern.output.replace("[mech", "")
    assert wrong_answers(postern.ask, LOGINS) == []


def test_a_pool_never_grows_beyond_its_bound(start_postern):
    postern = start_postern("--workers-max", "4", backend="fault", workers=2)
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(ask_slowly, postern, 20, 200)
        eventually(lambda: len(status(postern)["workers"]) == 4, "it has grown")
        while not load.done():
            assert len(postern.workers("fault")) <= 4
        assert all(reply.is_accepted for reply in load.result())
    assert status(postern)["workers_started"] == 4


def test_quick_logins_need_no_more_workers_than_are_kept(start_postern):
    """Of three, one is always free when two ask at a time."""
    postern = start_postern(backend="fault", workers=3)
    eventually(lambda: [worker["state"] for worker in status(postern)["workers"]] == ["idle"] * 3, "three are ready")
    assert wrong_answers(postern.ask, LOGINS, 400, at_a_time=2) == []
    assert status(postern)["workers_started"] == 3


def test_what_the_queue_cannot_hold_is_unavailable_and_counted(start_postern):
    postern = start_postern("--workers-max", "1", "--queue-max", "2", "--deadline", "120s", backend="fault", workers=1)
    with ThreadPoolExecutor(10) as pool:
        logins = [pool.submit(postern.ask, "stop", "good", seconds=60)]
        eventually(lambda: len(standing_still(postern)) == 1, "one is in work")
        logins += [pool.submit(postern.ask, "stop", "good", seconds=60) for _ in range(9)]
        eventually(lambda: status(postern)["declined"] == 7, "and two wait")
        eventually(lambda: let_go_on(postern) or all(login.done() for login in logins), "those three have their turn")
        replies = [login.result() for login in logins]
    assert [sum(reply.is_accepted for reply in replies), sum(reply.is_unavailable for reply in replies)] == [3, 7]
    assert status(postern)["declined"] == 7
    assert "too many requests wait for it" in postern.output


def test_a_worker_that_has_answered_enough_is_replaced_without_a_word(start_postern):
    postern = start_postern("--worker-requests-max", "10", "--workers-max", "2", backend="fault", workers=2)
    eventually(lambda: len(postern.workers("fault")) == 2, "both are there")
    first = set(postern.workers("fault"))
    assert wrong_answers(postern.ask, LOGINS, 200) == []
    eventually(lambda: len(postern.workers("fault")) == 2 and not first & set(postern.workers("fault")), "others are there")
    assert status(postern)["workers_started"] >= 20
    assert status(postern)["workers_lost"] == 0
    assert "ended with status" not in postern.output


def test_with_n_0_each_request_has_a_fresh_worker(start_postern):
    postern = start_postern(backend="fault", workers=0)
    assert wrong_answers(postern.ask, LOGINS, 60) == []
    backend = status(postern)
    assert all(worker["answers"] == 0 for worker in backend["workers"])
    assert backend["workers_started"] >= 60
    assert backend["workers_lost"] == 0


def test_with_n_0_thirty_slow_logins_wait_for_each_other_no_more_than_with_saslauthd(start_postern):
    """saslauthd forks for each: all thirty are in work side by side."""
    postern = start_postern("--deadline", "120s", backend="fault", workers=0)
    assert are_all_in_work(postern, 30)


def test_a_backend_whose_workers_do_nothing_but_die_is_declined_at_once_and_comes_back(start_postern):
    postern = start_postern("--deadline", "4s", backend="fault", workers=1)

    def is_declined_at_once():
        before = status(postern)["declined"]
        return postern.ask("crash", "x").is_unavailable and status(postern)["declined"] > before

    eventually(is_declined_at_once, "the pause is longer than a request would wait", 60)
    assert "its workers keep ending" in postern.output
    eventually(lambda: postern.ask("anybody", "good").is_accepted, "it is tried again", 60)
    assert wrong_answers(postern.ask, LOGINS) == []


def test_one_backend_that_only_dies_leaves_the_other_as_it_was(sasldb, start_postern):
    postern = start_postern(backend="sasldb,fault")
    with ThreadPoolExecutor(4) as pool:
        crashing = [pool.submit(postern.ask, "crash", "x") for _ in range(30)]
        assert wrong_answers(postern.ask, [Expected(ALICE.user, ALICE.password, ALICE.realm, True),
                                           Expected(ALICE.user, "wrong", ALICE.realm, False)]) == []
        assert all(login.result().is_unavailable for login in crashing)


def load_of(daemon):
    return Load(lambda _: daemon.ask("anybody", "good", seconds=60))


def test_a_worker_that_is_killed_under_load_takes_one_login_with_it_at_most(start_postern):
    """Others are at its door."""
    kills = 10
    postern = start_postern("--workers-max", "1", "--deadline", "60s", backend="fault", workers=1)
    with load_of(postern) as load:
        for _ in range(kills):
            worker, = eventually(lambda: postern.workers("fault"), "there is one")
            worker.kill().wait_gone()
            load.wait_for_more()
    lost = [reply for reply in load.results() if not reply.is_accepted]
    assert all(reply.is_unavailable for reply in lost)
    assert len(lost) <= kills


def test_nobody_waits_behind_a_login_that_hangs(start_postern):
    """Who was at the door of its worker goes to another one."""
    postern = start_postern("--workers-max", "3", "--deadline", "120s", backend="fault", workers=3)
    with load_of(postern) as load, ThreadPoolExecutor(2) as pool:
        hanging = [pool.submit(postern.ask, "stop", "good", seconds=120) for _ in range(2)]
        eventually(lambda: len(standing_still(postern)) == 2, "they hang")
        load.wait_for_more()
        assert not any(login.done() for login in hanging)
        let_go_on(postern)
        assert all(login.result().is_accepted for login in hanging)
    assert all(reply.is_accepted for reply in load.results())
