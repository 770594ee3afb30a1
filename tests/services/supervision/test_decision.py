"""What is decided leads to what is desired, whatever dies on the way. Pure: no process, no row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.runtime.exit_status import CONFIGURATION_ERROR
from services.models import Service
from services.supervision.decision import (
    CLEAR_S,
    MAX_DELAY_S,
    MISSES,
    Desired,
    Failure,
    Launch,
    Limits,
    Move,
    Seen,
    counted,
    decide,
    is_given_up,
    next_launch_at,
    status_of,
)
from services.supervision.lifecycle import ACTIVE, FAILURES, TRANSITIONS, Cause, Event, State

LIMITS = Limits(start_timeout_s=60, grace_s=40, stuck_s=60)
RUNNING = Desired(is_running=True)


def instance(slot: int = 0, state: State = State.RUNNING, **fields: object) -> Seen:
    known = {"instance_id": f"i{slot}", "generation": 1, "since": 0.0, "is_ready": True}
    return Seen(slot=slot, state=state, **(known | fields))  # type: ignore[arg-type]


def failure(
    at: float, healthy_s: float = 0.0, cause: Cause = Cause.CRASH, began: float | None = None
) -> Failure:
    began = at - max(healthy_s, 0.5) if began is None else began
    return Failure(f"f{at}", began, at, healthy_s, cause)


def test_a_service_that_is_desired_is_started_in_every_slot() -> None:
    actions = decide(replace(RUNNING, replicas=3), [], [], 0, LIMITS)
    assert actions == [Launch(0, 1, 0), Launch(1, 1, 0), Launch(2, 1, 0)]


def test_a_service_that_is_as_desired_is_left_alone() -> None:
    assert decide(RUNNING, [instance()], [], 10, LIMITS) == []
    assert decide(Desired(is_running=False), [], [], 10, LIMITS) == []


def test_stopping_asks_first_and_kills_after_the_grace() -> None:
    stopped = Desired(is_running=False)
    assert decide(stopped, [instance()], [], 0, LIMITS) == [Move("i0", Event.DRAIN, Cause.STOP)]
    draining = instance(state=State.DRAINING, cause=Cause.STOP, since=100)
    assert decide(stopped, [draining], [], 139, LIMITS) == []
    assert decide(stopped, [draining], [], 141, LIMITS) == [Move("i0", Event.KILL, Cause.STOP)]


def test_what_never_served_is_not_waited_for() -> None:
    hanging = instance(state=State.DRAINING, cause=Cause.STOP, is_ready=False)
    assert decide(Desired(is_running=False), [hanging], [], 6, LIMITS) == [
        Move("i0", Event.KILL, Cause.STOP)
    ]


def test_what_left_as_asked_has_not_failed() -> None:
    gone = instance(state=State.DRAINING, cause=Cause.STOP, is_alive=False, exit_code=-9)
    actions = decide(Desired(is_running=False), [gone], [], 0, LIMITS)
    assert actions == [Move("i0", Event.LEFT, Cause.STOP)]


@pytest.mark.parametrize("exit_code", [0, 1, -11, None])
def test_a_process_that_ends_by_itself_has_failed_whatever_its_status(
    exit_code: int | None,
) -> None:
    gone = instance(is_alive=False, exit_code=exit_code)
    assert decide(RUNNING, [gone], [], 0, LIMITS) == [Move("i0", Event.FAILED, Cause.CRASH)]


def test_a_file_that_can_not_be_loaded_is_not_tried_again() -> None:
    gone = instance(state=State.STARTING, is_alive=False, exit_code=CONFIGURATION_ERROR)
    assert decide(RUNNING, [gone], [], 0, LIMITS) == [Move("i0", Event.FAILED, Cause.CONFIGURATION)]
    failures = [failure(0, cause=Cause.CONFIGURATION)]
    assert decide(RUNNING, [], failures, 1e9, LIMITS) == []
    assert status_of(RUNNING, [], failures) == Service.Status.ERROR


def test_a_start_that_takes_too_long_is_a_failure() -> None:
    slow = instance(state=State.STARTING, is_ready=False)
    assert decide(RUNNING, [slow], [], 59, LIMITS) == []
    assert decide(RUNNING, [slow], [], 61, LIMITS) == [Move("i0", Event.KILL, Cause.START_TIMEOUT)]


def test_the_first_failure_in_a_row_is_made_good_at_once() -> None:
    desired = replace(RUNNING, restart_delay_s=10)
    assert decide(desired, [], [failure(5)], 5, LIMITS) == [Launch(0, 1, 1)]
    assert decide(desired, [], [failure(6), failure(5)], 15, LIMITS) == []


def test_the_delay_before_a_restart_doubles_up_to_a_minute() -> None:
    desired = replace(RUNNING, restart_delay_s=1, max_restart_count=1000)
    delays = [
        next_launch_at(desired, [failure(-2.0 * number) for number in range(count)])
        for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 300)
    ]
    assert delays == sorted(delays)
    assert delays[0] == 0
    assert 1 <= delays[1] <= 1.25
    assert 4 <= delays[3] <= 5
    assert MAX_DELAY_S <= delays[-1] <= MAX_DELAY_S * 1.25


def test_after_too_many_failures_it_is_given_up_until_somebody_starts_it() -> None:
    desired = replace(RUNNING, max_restart_count=2)
    assert not is_given_up(desired, [failure(2), failure(1)])
    assert is_given_up(desired, [failure(3), failure(2), failure(1)])
    assert is_given_up(replace(RUNNING, auto_restart=False), [failure(1)])


def test_ten_minutes_of_health_make_earlier_failures_forgotten() -> None:
    desired = replace(RUNNING, max_restart_count=2)
    failures = [failure(5000, healthy_s=CLEAR_S), failure(3), failure(2), failure(1)]
    assert len(counted(failures)) == 1
    assert not is_given_up(desired, failures)


def test_replicas_that_fail_together_count_once() -> None:
    desired = replace(RUNNING, replicas=6)
    together = [failure(100 + number, began=99) for number in range(6)][::-1]
    assert len(counted(together)) == 1
    assert not is_given_up(desired, together)
    in_a_row = [failure(at, began=at - 0.05) for at in (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)]
    assert len(counted(in_a_row)) == 6
    assert is_given_up(desired, in_a_row)


def test_a_clock_that_was_set_back_postpones_no_restart() -> None:
    assert decide(RUNNING, [], [failure(5000)], 10, LIMITS) == [Launch(0, 1, 1)]


def test_three_misses_make_it_unhealthy_and_three_more_end_it() -> None:
    missing = instance(misses=MISSES)
    assert decide(RUNNING, [missing], [], 0, LIMITS) == [Move("i0", Event.MISSED)]
    unhealthy = instance(state=State.UNHEALTHY, misses=2 * MISSES)
    assert decide(RUNNING, [unhealthy], [], 0, LIMITS)[0] == Move(
        "i0", Event.DRAIN, Cause.UNHEALTHY
    )
    recovered = instance(state=State.UNHEALTHY, misses=0)
    assert decide(RUNNING, [recovered], [], 0, LIMITS) == [Move("i0", Event.RECOVERED)]


def test_who_is_silent_for_too_long_is_killed() -> None:
    assert decide(RUNNING, [instance(silent_s=59)], [], 0, LIMITS) == []
    assert decide(RUNNING, [instance(silent_s=61)], [], 0, LIMITS)[0] == Move(
        "i0", Event.KILL, Cause.UNHEALTHY
    )


def test_who_uses_too_much_memory_is_asked_to_leave_and_who_uses_far_too_much_is_killed() -> None:
    desired = replace(RUNNING, memory_limit_mb=100)
    assert decide(desired, [instance(memory_mb=99)], [], 0, LIMITS) == []
    assert decide(desired, [instance(memory_mb=101)], [], 0, LIMITS)[0] == Move(
        "i0", Event.DRAIN, Cause.MEMORY
    )
    assert decide(desired, [instance(memory_mb=201)], [], 0, LIMITS)[0] == Move(
        "i0", Event.KILL, Cause.MEMORY
    )


def test_a_restart_starts_the_new_one_before_the_old_one_leaves() -> None:
    desired = replace(RUNNING, generation=2)
    old = instance(0)
    assert decide(desired, [old], [], 0, LIMITS) == [Launch(1, 2, 0)]
    starting = instance(1, State.STARTING, generation=2, is_ready=False)
    assert decide(desired, [old, starting], [], 0, LIMITS) == []
    new = instance(1, generation=2)
    assert decide(desired, [old, new], [], 0, LIMITS) == [Move("i0", Event.DRAIN, Cause.RESTART)]


def test_an_old_instance_stays_when_its_successor_can_not_be_loaded() -> None:
    desired = replace(RUNNING, generation=2)
    failures = [failure(0, cause=Cause.CONFIGURATION)]
    assert decide(desired, [instance(0)], failures, 1e6, LIMITS) == []
    assert status_of(desired, [instance(0)], failures) == Service.Status.UNHEALTHY


def test_instances_of_another_machine_are_seen_but_not_touched() -> None:
    elsewhere = instance(is_ours=False)
    assert decide(RUNNING, [elsewhere], [], 0, LIMITS) == []
    assert decide(Desired(is_running=False), [elsewhere], [], 0, LIMITS) == []


@dataclass
class Process:
    seen: Seen
    exit_code: int | None = None


@dataclass
class World:
    """A machine that carries out what is decided, and forgets who decided it."""

    now: float = 0.0
    cleared_at: float = 0.0
    processes: dict[str, Process] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    launched: int = 0
    began: dict[str, float] = field(default_factory=dict)

    def work(self, desired: Desired) -> None:
        seen = [process.seen for process in self.processes.values()]
        for action in decide(desired, seen, self.failures, self.now, LIMITS):
            match action:
                case Launch():
                    self.launch(action)
                case Move():
                    self.move(action)

    def launch(self, launch: Launch) -> None:
        assert launch.slot not in {process.seen.slot for process in self.processes.values()}
        self.launched += 1
        id_ = f"p{self.launched}"
        seen = Seen(id_, launch.slot, launch.generation, State.STARTING, self.now)
        self.processes[id_] = Process(seen)
        self.began[id_] = self.now

    def move(self, move: Move) -> None:
        one = self.processes[move.instance_id].seen
        state = TRANSITIONS[one.state, move.event]
        if state in (State.STOPPED, State.ERROR):
            assert not one.is_alive
            del self.processes[move.instance_id]
            if state == State.ERROR:
                assert move.cause in FAILURES
                began = self.began.pop(one.instance_id)
                self.failures.insert(0, Failure(one.instance_id, began, self.now, 0.0, move.cause))
            return
        moved = replace(one, state=state, since=self.now, cause=move.cause)
        if state == State.STOPPING:
            moved = replace(moved, is_alive=False)
        self.processes[move.instance_id].seen = moved

    def change(self, instance_id: str, **fields: object) -> None:
        process = self.processes[instance_id]
        process.seen = replace(process.seen, **fields)  # type: ignore[arg-type]

    def let_all_go_well(self) -> None:
        """Whoever starts gets ready, whoever is asked to leave does."""
        for id_, process in list(self.processes.items()):
            one = process.seen
            if one.state == State.STARTING:
                self.change(id_, is_ready=True)
            elif one.state == State.DRAINING:
                self.change(id_, is_alive=False)
            elif one.is_alive:
                self.change(id_, misses=0)


class Machine(RuleBasedStateMachine):
    """Crashes and commands in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.desired = Desired(is_running=False, max_restart_count=3)

    @rule(replicas=st.integers(1, 4), is_running=st.booleans())
    def somebody_decides(self, replicas: int, is_running: bool) -> None:
        self.desired = replace(self.desired, replicas=replicas, is_running=is_running)

    @rule()
    def somebody_restarts(self) -> None:
        self.desired = replace(
            self.desired, generation=self.desired.generation + 1, is_running=True
        )
        self.world.failures.clear()

    @rule(seconds=st.sampled_from([0.1, 1, 10, 100]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def the_supervisor_looks(self) -> None:
        self.world.work(self.desired)

    @rule(data=st.data(), exit_code=st.sampled_from([0, 1, 78, -9, None]))
    @precondition(lambda self: self.world.processes)
    def a_process_dies(self, data: st.DataObject, exit_code: int | None) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.world.processes)))
        self.world.change(id_, is_alive=False, exit_code=exit_code)

    @rule(data=st.data())
    @precondition(lambda self: self.world.processes)
    def a_process_gets_ready(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.world.processes)))
        self.world.change(id_, is_ready=True)

    @rule(data=st.data(), misses=st.integers(0, 8))
    @precondition(lambda self: self.world.processes)
    def a_check_is_missed(self, data: st.DataObject, misses: int) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.world.processes)))
        self.world.change(id_, misses=misses)

    @invariant()
    def no_slot_is_filled_twice(self) -> None:
        slots = [process.seen.slot for process in self.world.processes.values()]
        assert len(slots) == len(set(slots))

    @invariant()
    def there_are_never_many_more_than_desired(self) -> None:
        fresh = [
            process.seen
            for process in self.world.processes.values()
            if process.seen.generation == self.desired.generation and process.seen.state in ACTIVE
        ]
        assert len(fresh) <= 5

    def teardown(self) -> None:
        """From wherever it ended: if all goes well from now on, what is desired comes about."""
        for second in range(60):
            self.world.now += 1
            if second < 10:
                self.world.failures.clear()  # As when somebody starts it again.
            self.world.let_all_go_well()
            self.world.work(self.desired)
        now = [process.seen for process in self.world.processes.values()]
        if not self.desired.is_running:
            assert now == []
            return
        assert [one.state for one in now] == [State.RUNNING] * self.desired.replicas
        assert {one.generation for one in now} == {self.desired.generation}
        before = self.world.launched
        self.world.now += 1
        self.world.work(self.desired)
        assert self.world.launched == before


TestMachine = Machine.TestCase


@given(st.integers(1, 5))
def test_a_rolling_restart_never_leaves_fewer_serving_than_desired(replicas: int) -> None:
    desired = Desired(is_running=True, replicas=replicas)
    world = World()
    for _ in range(10):
        world.now += 1
        world.let_all_go_well()
        world.work(desired)
    desired = replace(desired, generation=2)
    least = replicas
    for _ in range(40):
        world.now += 1
        world.let_all_go_well()
        world.work(desired)
        serving = [p for p in world.processes.values() if p.seen.state == State.RUNNING]
        least = min(least, len(serving))
    assert {p.seen.generation for p in world.processes.values()} == {2}
    assert least >= replicas
