"""Decides what to do next about one service: values in, actions out.

All times are seconds on one clock. Nothing here knows processes or rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.runtime.exit_status import CONFIGURATION_ERROR
from services.models import Service
from services.supervision.lifecycle import ACTIVE, FAILURES, LEAVING, SERVING, Cause, Event, State

MISSES = 3
"""Consecutive failed health checks that make an instance unhealthy; as many more end it."""

CLEAR_S = 600.0
"""Seconds of health after which earlier failures are forgotten."""

MAX_DELAY_S = 60.0
"""Seconds: the longest wait before a restart, without its jitter of up to a quarter."""

IDLE_GRACE_S = 5.0
"""Seconds that an idle instance has to end by itself."""

MEMORY_HARD = 2.0
"""The multiple of its memory limit at which an instance is ended at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of instances.

    `grace_s`: how long a draining instance has until it is killed. `stuck_s`: how long an instance
    may be silent.
    """

    start_timeout_s: float
    grace_s: float
    stuck_s: float


@dataclass(frozen=True, slots=True)
class Desired:
    """What people want of a service."""

    is_running: bool
    replicas: int = 1
    generation: int = 1
    auto_restart: bool = True
    max_restart_count: int = 5
    restart_delay_s: float = 1.0
    memory_limit_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance that had not ended when it was last observed.

    `is_ours`: this supervisor manages it. `is_replica`: `Desired.replicas` counts it. `silent_s`:
    how long it has not answered.
    """

    instance_id: str
    slot: int
    generation: int
    state: State
    since: float
    cause: Cause = Cause.NONE
    is_ours: bool = True
    is_replica: bool = True
    is_alive: bool = True
    is_ready: bool = False
    exit_code: int | None = None
    misses: int = 0
    silent_s: float = 0.0
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance that failed since a person last started the service.

    It was launched at `began` and ended at `at`; `healthy_s`: how long it had served.
    """

    instance_id: str
    began: float
    at: float
    healthy_s: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class Move:
    """An event of an instance; the state after it determines what is done to the process."""

    instance_id: str
    event: Event
    cause: Cause = Cause.NONE


@dataclass(frozen=True, slots=True)
class Launch:
    slot: int
    generation: int
    restart_count: int


Action = Move | Launch


def decide(
    desired: Desired,
    seen: Sequence[Seen],
    failures: Sequence[Failure],
    now: float,
    limits: Limits,
) -> list[Action]:
    """The actions to take now; repeated, they lead to the desired state.

    `failures`: newest first.
    """
    moves = [move for one in seen if (move := _observe(one, desired, now, limits)) is not None]
    if any(move.event is Event.FAILED for move in moves):
        return [*moves]  # This failure counts for the decision whether to start it again.
    moved = {move.instance_id for move in moves}
    others = [one for one in seen if one.instance_id not in moved]
    if not desired.is_running:
        return [*moves, *_drain((one for one in others if one.state in ACTIVE), Cause.STOP)]
    actions: list[Action] = [*moves, *_give_way(desired, others)]
    if may_launch(desired, failures, now):
        actions += _fill(desired, seen, restart_count=len(failures))
    return actions


def counted(failures: Sequence[Failure]) -> list[Failure]:
    """The consecutive failures, with no long healthy time between them.

    Replicas that fail together, for one reason, count once: two failures in a row count as two only
    if the later instance was launched after the earlier one had failed.
    """
    row: list[Failure] = []
    for failure in failures:
        if not row or failure.at <= row[-1].began:
            row.append(failure)
        if failure.healthy_s >= CLEAR_S:
            break
    return row


def is_given_up(desired: Desired, failures: Sequence[Failure]) -> bool:
    """Whether the service is not started again until a person starts it."""
    if not failures:
        return False
    if failures[0].cause is Cause.CONFIGURATION or not desired.auto_restart:
        return True
    return len(counted(failures)) > desired.max_restart_count


def next_launch_at(desired: Desired, failures: Sequence[Failure]) -> float:
    """When the next start is due after the failures: at once after the first of them."""
    if not failures:
        return float("-inf")
    newest = failures[0]
    count = len(counted(failures))
    # Without this bound, the power would overflow.
    factor = 1 << min(count - 2, 16) if count > 1 else 0
    delay_s = min(MAX_DELAY_S, desired.restart_delay_s * factor)
    jitter = zlib.crc32(newest.instance_id.encode()) % 1000 / 4000
    return newest.at + delay_s * (1 + jitter)


def may_launch(desired: Desired, failures: Sequence[Failure], now: float) -> bool:
    if is_given_up(desired, failures):
        return False
    # If the clock was set back, it is not known how long ago it was.
    has_no_time = bool(failures) and failures[0].at > now
    return has_no_time or now >= next_launch_at(desired, failures)


def status_of(desired: Desired, seen: Sequence[Seen], failures: Sequence[Failure]) -> str:
    """The state of the whole service, as shown to people."""
    if not desired.is_running:
        return Service.Status.STOPPING if seen else Service.Status.STOPPED
    states = {one.state for one in seen}
    given_up = is_given_up(desired, failures)
    if State.RUNNING in states and not given_up:
        return Service.Status.RUNNING
    if states & SERVING:
        return Service.Status.UNHEALTHY
    return Service.Status.ERROR if given_up else Service.Status.STARTING


def _observe(one: Seen, desired: Desired, now: float, limits: Limits) -> Move | None:
    """What happened to an instance, or must happen, regardless of the others."""
    if not one.is_alive:
        return _end_of(one)
    if not one.is_ours:
        return None
    if (cause := _why_kill(one, desired, now, limits)) is not None:
        return Move(one.instance_id, Event.KILL, one.cause or cause)
    if (cause := _why_drain(one, desired)) is not None:
        return Move(one.instance_id, Event.DRAIN, cause)
    if one.state is State.STARTING and one.is_ready:
        return Move(one.instance_id, Event.READY)
    if one.state is State.RUNNING and one.misses >= MISSES:
        return Move(one.instance_id, Event.MISSED)
    if one.state is State.UNHEALTHY and not one.misses:
        return Move(one.instance_id, Event.RECOVERED)
    return None


def _end_of(one: Seen) -> Move:
    if one.state in LEAVING and one.cause not in FAILURES:
        return Move(one.instance_id, Event.LEFT, one.cause)
    is_configuration = one.exit_code == CONFIGURATION_ERROR
    cause = one.cause or (Cause.CONFIGURATION if is_configuration else Cause.CRASH)
    return Move(one.instance_id, Event.FAILED, cause)


def _why_kill(one: Seen, desired: Desired, now: float, limits: Limits) -> Cause | None:
    age_s = now - one.since
    match one.state:
        case State.STARTING if not one.is_ready and age_s > limits.start_timeout_s:
            return Cause.START_TIMEOUT
        case State.DRAINING:
            has_runs = one.is_ready and one.cause is not Cause.UNHEALTHY
            if age_s > (limits.grace_s if has_runs else min(IDLE_GRACE_S, limits.grace_s)):
                return Cause.STOP
        case State.STOPPING:
            return None
    if one.state in SERVING and one.silent_s > limits.stuck_s:
        return Cause.UNHEALTHY
    if _uses_more_than(one, desired.memory_limit_mb, MEMORY_HARD):
        return Cause.MEMORY
    return None


def _why_drain(one: Seen, desired: Desired) -> Cause | None:
    if one.state not in SERVING:
        return None
    if _uses_more_than(one, desired.memory_limit_mb):
        return Cause.MEMORY
    if one.state is State.UNHEALTHY and one.misses >= 2 * MISSES:
        return Cause.UNHEALTHY
    return None


def _uses_more_than(one: Seen, limit_mb: int | None, times: float = 1.0) -> bool:
    return bool(limit_mb) and (one.memory_mb or 0) > (limit_mb or 0) * times


def _drain(leaving: Iterator[Seen] | Sequence[Seen], cause: Cause) -> Iterator[Move]:
    return (Move(one.instance_id, Event.DRAIN, cause) for one in leaving if one.is_ours)


def _give_way(desired: Desired, seen: Sequence[Seen]) -> Iterator[Move]:
    """Asks surplus and replaced instances to leave.

    Those that do not serve go first, then the highest slots; as many as are desired keep serving.
    """
    active = sorted(
        _active_replicas(seen),
        key=lambda one: (one.state in SERVING, -one.slot),
    )
    serving = sum(one.state in SERVING for one in active)
    fresh = sum(one.generation == desired.generation for one in active)
    for one in active:
        is_old = one.generation != desired.generation
        is_serving = one.state in SERVING
        if not is_old and fresh <= desired.replicas:
            continue
        if is_serving and serving <= desired.replicas:
            continue
        serving -= is_serving
        fresh -= not is_old
        yield from _drain([one], Cause.RESTART if is_old else Cause.SCALE)


def _active_replicas(seen: Sequence[Seen]) -> Iterator[Seen]:
    return (one for one in seen if one.is_replica and one.state in ACTIVE)


def _fill(desired: Desired, seen: Sequence[Seen], restart_count: int) -> Iterator[Launch]:
    """Starts missing instances in free slots: one more than desired while old ones serve."""
    taken = {one.slot for one in seen}
    active = list(_active_replicas(seen))
    fresh = sum(one.generation == desired.generation for one in active)
    room = desired.replicas + (fresh < len(active)) - len(active)
    free = (slot for slot in range(len(taken) + desired.replicas + 1) if slot not in taken)
    for slot, _ in zip(free, range(min(desired.replicas - fresh, room)), strict=False):
        yield Launch(slot, desired.generation, restart_count)
