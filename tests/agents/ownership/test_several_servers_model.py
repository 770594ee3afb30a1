"""A model of two servers, a client at each, and a database: hypothesis looks for a lost request.

The decisions are those of the product; commits, leases, sleeps and lost rings are the model's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.ownership.decisions import (
    OPEN,
    Request,
    Standing,
    State,
    is_handed_over,
    may_be_answered,
    may_be_carried_out,
    may_be_taken_over,
    may_expire,
)

IDLE_S = 60
LEASE_S = 15
DEADLINE_S = 30
NAMES = ("a", "b")
BUSY = "busy"
UNAVAILABLE = "service_unavailable"

RARELY = st.sampled_from([False, False, False, True])


@dataclass
class Row:
    follower: str
    request_id: int
    deadline: int
    state: State = State.NEW
    epoch: int = 0
    answer: str = ""


@dataclass(frozen=True)
class Write:
    """A write on its way to the database. `row`: what it answers, if it came by the inbox."""

    epoch: int
    request_id: int
    row: int | None


@dataclass
class Session:
    owner: str | None = None
    epoch: int = 0
    active_at: int = 0
    log: list[int] = field(default_factory=list)
    """The requests whose entries are in the log."""
    running: bool = False


@dataclass
class Server:
    """`epoch`: of the session that it holds, 0 if it does not; `journal`: uncommitted writes."""

    lease_until: int = LEASE_S
    is_alive: bool = True
    is_awake: bool = True
    epoch: int = 0
    follows: bool = False
    has_socket: bool = False
    journal: list[Write] = field(default_factory=list)
    errands: list[Write] = field(default_factory=list)
    """Rows that were taken, and are not in the journal yet."""
    asked: set[int] = field(default_factory=set)
    """The requests of its own client that have no answer."""
    notices: list[int] = field(default_factory=list)
    shown: int = 0


class SeveralServers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.session = Session()
        self.rows: dict[int, Row] = {}
        self.servers = {name: Server() for name in NAMES}
        self.told: dict[int, list[str]] = {}
        self.last_request = 0

    # The database.

    def lives(self, name: str | None) -> bool:
        return name is not None and self.servers[name].lease_until > self.now

    def standing(self, comer: str) -> Standing:
        session = self.session
        return Standing(
            is_owned=session.owner not in (None, comer) and self.lives(session.owner),
            is_at_rest=not session.running,
            inactive_s=self.now - session.active_at,
        )

    def fact(self, row: Row) -> Request:
        return Request(row.state, row.epoch, row.deadline <= self.now)

    # The servers.

    def active(self, name: str) -> Server | None:
        server = self.servers[name]
        return server if server.is_alive and server.is_awake else None

    def take(self, name: str) -> None:
        session, server = self.session, self.servers[name]
        former = session.owner
        session.owner, session.epoch = name, session.epoch + 1
        server.epoch, server.follows = session.epoch, False
        if former not in (None, name):
            assert former is not None
            self.servers[former].notices.append(session.epoch)

    def lose(self, server: Server) -> None:
        server.epoch, server.follows = 0, server.has_socket
        server.errands.clear()

    def write_row(self, name: str, request_id: int) -> None:
        number = len(self.rows) + 1
        self.rows[number] = Row(name, request_id, self.now + DEADLINE_S)

    def tell(self, name: str, request_id: int, answer: str) -> None:
        self.servers[name].asked.discard(request_id)
        self.told.setdefault(request_id, []).append(answer)

    # What may happen.

    @initialize()
    def both_clients_come(self) -> None:
        for name in NAMES:
            self.a_client_comes(name)

    @rule(name=st.sampled_from(NAMES))
    def a_client_comes(self, name: str) -> None:
        if (server := self.active(name)) is None or server.has_socket:
            return
        server.has_socket, server.shown = True, 0
        if not server.epoch and not server.follows:
            if may_be_taken_over(self.standing(name), IDLE_S):
                self.take(name)
            else:
                server.follows = True

    @rule(name=st.sampled_from(NAMES), is_so=RARELY)
    def a_client_leaves(self, name: str, is_so: bool) -> None:
        if not is_so:
            return
        if (server := self.active(name)) is not None:
            server.has_socket = False
            server.asked.clear()

    @rule(name=st.sampled_from(NAMES))
    def a_client_asks(self, name: str) -> None:
        if (server := self.active(name)) is None or not server.has_socket:
            return
        self.last_request += 1
        server.asked.add(self.last_request)
        self.hand_on(name, self.last_request)

    def hand_on(self, name: str, request_id: int) -> None:
        server = self.servers[name]
        if server.epoch:
            server.journal.append(Write(server.epoch, request_id, None))
        else:
            self.write_row(name, request_id)

    @rule(name=st.sampled_from(NAMES))
    def the_journal_commits(self, name: str) -> None:
        if (server := self.active(name)) is None or not server.journal:
            return
        write = server.journal.pop(0)
        if write.epoch != self.session.epoch:
            if write.epoch == server.epoch:
                self.lose(server)
            if write.row is None and write.request_id in server.asked:
                self.hand_on(name, write.request_id)
            return
        self.session.log.append(write.request_id)
        self.session.active_at, self.session.running = self.now, True
        if write.row is not None:
            row = self.rows[write.row]
            assert may_be_answered(self.fact(row), write.epoch, self.session.epoch)
            row.state = State.DONE

    @rule(name=st.sampled_from(NAMES))
    def an_owner_takes_requests(self, name: str) -> None:
        if (server := self.active(name)) is None or not server.epoch:
            return
        if self.session.owner != name:
            return  # It asks for the rows of sessions that the database says are its own.
        for number, row in self.rows.items():
            if may_be_carried_out(self.fact(row), server.epoch):
                row.state, row.epoch = State.TAKEN, server.epoch
                server.errands.append(Write(server.epoch, row.request_id, number))

    @rule(name=st.sampled_from(NAMES), is_refused=st.booleans())
    def an_owner_carries_out(self, name: str, is_refused: bool) -> None:
        if (server := self.active(name)) is None or not server.errands:
            return
        write = server.errands.pop(0)
        assert write.row is not None
        row = self.rows[write.row]
        if not is_refused:
            server.journal.append(write)
        elif may_be_answered(self.fact(row), write.epoch, self.session.epoch):
            row.state, row.answer = State.DONE, BUSY

    @rule(name=st.sampled_from(NAMES))
    def a_server_hears_of_its_loss(self, name: str) -> None:
        if (server := self.active(name)) is None or not server.notices:
            return
        if 0 < server.epoch < server.notices.pop(0):
            self.lose(server)

    @rule(name=st.sampled_from(NAMES))
    def a_follower_reads(self, name: str) -> None:
        """The log, the owner's standing, and the answers to its requests."""
        if (server := self.active(name)) is None:
            return
        self.read_log(name)
        self.read_answers(name)
        if server.follows and not self.standing(name).is_owned:
            self.take(name)

    def read_log(self, name: str) -> None:
        server = self.servers[name]
        if server.has_socket:
            for request_id in self.session.log[server.shown :]:
                if request_id in server.asked:
                    self.tell(name, request_id, "echo")
            server.shown = len(self.session.log)

    def read_answers(self, name: str) -> None:
        server = self.servers[name]
        for row in self.rows.values():
            if row.follower != name or row.request_id not in server.asked:
                continue
            if row.state in OPEN and may_expire(
                self.fact(row), self.session.epoch, is_closed=False
            ):
                row.state = State.EXPIRED
            if row.state is State.EXPIRED:
                self.tell(name, row.request_id, UNAVAILABLE)
            elif row.state is State.DONE and row.answer:
                self.tell(name, row.request_id, row.answer)

    @rule()
    def the_run_ends(self) -> None:
        owner = self.session.owner and self.active(self.session.owner)
        if owner and owner.epoch == self.session.epoch:
            self.session.running, self.session.active_at = False, self.now

    @rule(name=st.sampled_from(NAMES))
    def an_owner_leaves_what_is_idle(self, name: str) -> None:
        if (server := self.active(name)) is None or not server.epoch:
            return
        is_idle = not (server.has_socket or self.session.running or server.journal)
        is_followed = any(other.follows for other in self.servers.values())
        if is_handed_over(is_idle=is_idle, is_followed=is_followed):
            if (self.session.owner, self.session.epoch) == (name, server.epoch):
                self.session.owner = None
            self.lose(server)

    @rule(seconds=st.sampled_from([1, 5, 31, 61]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        for server in self.servers.values():
            if server.is_alive and server.is_awake:
                server.lease_until = self.now + LEASE_S

    @rule(name=st.sampled_from(NAMES), is_so=RARELY)
    def a_server_falls_asleep(self, name: str, is_so: bool) -> None:
        if not is_so:
            return
        self.servers[name].is_awake = False

    @precondition(lambda self: not all(each.is_awake for each in self.servers.values()))
    @rule(name=st.sampled_from(NAMES))
    def a_server_wakes(self, name: str) -> None:
        server = self.servers[name]
        if not server.is_awake:
            server.is_awake = True
            if not self.lives(name) and server.epoch and self.session.owner != name:
                self.lose(server)
            server.lease_until = self.now + LEASE_S

    @rule(name=st.sampled_from(NAMES), is_so=RARELY)
    def a_server_is_killed_and_replaced(self, name: str, is_so: bool) -> None:
        """Its successor has another lease; to be short, the same name."""
        if not is_so:
            return
        self.servers[name] = Server(lease_until=self.now + LEASE_S)
        if self.session.owner == name:
            self.session.owner = None

    # What must hold.

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert len(self.session.log) == len(set(self.session.log))

    @invariant()
    def nobody_is_told_twice(self) -> None:
        assert all(len(answers) == 1 for answers in self.told.values())

    @invariant()
    def what_was_refused_is_not_done(self) -> None:
        for request_id, answers in self.told.items():
            assert (request_id in self.session.log) == (answers == ["echo"])

    def teardown(self) -> None:
        """Once nothing breaks any more, everybody who is still there has an answer."""
        for name in NAMES:
            self.a_server_wakes(name)
        for _ in range(12):
            for name in NAMES:
                self.a_server_hears_of_its_loss(name)
                self.a_follower_reads(name)
                while self.servers[name].journal:
                    self.the_journal_commits(name)
                self.an_owner_takes_requests(name)
                while self.servers[name].errands:
                    self.an_owner_carries_out(name, False)
            self.the_run_ends()
            self.time_passes(5)
        for server in self.servers.values():
            if server.has_socket:
                assert not server.asked
        self.nobody_is_told_twice()
        self.what_was_refused_is_not_done()


TestSeveralServers = SeveralServers.TestCase
TestSeveralServers.settings = hypothesis_settings(
    max_examples=200, stateful_step_count=80, deadline=None
)


def test_a_request_that_two_could_take_would_be_noticed() -> None:
    """The rule that an epoch gives: without it the second owner takes what the first one has."""
    taken = Request(State.TAKEN, epoch=2, is_late=False)
    assert not may_be_carried_out(taken, 2)
    assert may_be_carried_out(taken, 3)
    assert not may_be_carried_out(replace(taken, is_late=True), 3)
    assert may_expire(replace(taken, is_late=True), 3, is_closed=False)
    assert not may_expire(replace(taken, is_late=True), 2, is_closed=False)
    assert may_expire(replace(taken, is_late=True), 2, is_closed=True)
