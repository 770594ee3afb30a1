"""Services from Python: register, start, watch."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from myagent.manager import verbs
from myagent.manager.database import use_database
from myagent.manager.errors import NotRunning, plain_errors
from myagent.manager.fields import change_fields, rule_changes, service_fields
from myagent.manager.storage.models import (
    RoutingRule,
    ServiceConfig,
    ServiceHealth,
    ServiceInfo,
    ServiceStatus,
)
from myagent.manager.supervisor_thread import SupervisorThread
from myagent.manager.waiting import seconds, until_arrived, until_gone

P = ParamSpec("P")
T = TypeVar("T")

Stats = dict[str, Any]
Wait = bool | float


class AgentManager:
    """Runs agent files as services, from a program of your own.

    `db_path` is an SQLite file, made if it is not there; without one, the
    site's database. One process uses one database.

    `start` first; then the coroutines change and wait, and the plain methods
    look. A service is named by its id or its name. `wait` is how many seconds
    a method waits until what it asks for is observed: True, the default, for
    120; False or 0 not at all. All methods raise `ManagerError`s. Cancelling
    is safe: what was asked for still holds.
    """

    def __init__(self, db_path: str | os.PathLike[str] | None = None) -> None:
        use_database(db_path)
        self._thread: SupervisorThread | None = None

    @property
    def is_running(self) -> bool:
        return self._thread is not None and not self._thread.is_leaving

    async def start(self, *, health_check_interval: float | None = None) -> None:
        """Brings the database up to date, and sees that something supervises the services.

        Those that are desired to run are started. While another supervisor
        works on this machine, this process stands by. `health_check_interval`
        is seconds. If it is cancelled or fails, nothing is left behind.
        """
        if health_check_interval is not None and not health_check_interval > 0:
            raise ValueError("health_check_interval must be more than 0 seconds")
        while (thread := self._thread) is not None and thread.is_leaving:
            await self.stop()
        is_first = thread is None
        if thread is None:
            thread = self._thread = SupervisorThread(health_check_interval)
            thread.start()
        try:
            await thread.wait_until_ready()
        except BaseException:
            if is_first:
                await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the services' processes, as far as this process supervises them.

        Their running answers may finish first. What is desired stays: the next
        `start` starts them again. May be called twice, and during `start`.
        """
        if (thread := self._thread) is None:
            return
        thread.leave()
        try:
            await thread.wait_until_ended()
        finally:
            if self._thread is thread and thread.ended.done():
                self._thread = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def register_service(
        self,
        name: str,
        agent_factory_path: str | os.PathLike[str] = "",
        *,
        description: str = "",
        tags: Iterable[str] = (),
        config: ServiceConfig | None = None,
        auto_start: bool = False,
        host: str = "localhost",
        port: int | None = None,
        replicas: int = 1,
        weight: int = 1,
        url: str = "",
        replace: bool = False,
        wait: Wait = True,
    ) -> ServiceInfo:
        """Puts an agent file on the list; with `auto_start`, starts it.

        `url`, in place of a file: a service that runs elsewhere. `replace`:
        one of that name becomes this one; processes that run already go on as
        they are until a restart. Raises `Refused`, and `NotArrived` if it is
        on the list but did not start.
        """
        fields, environment = service_fields(
            config or ServiceConfig(),
            name=name,
            agent_factory_path=agent_factory_path,
            description=description,
            tags=tags,
            auto_start=auto_start,
            host=host,
            port=port,
            replicas=replicas,
            weight=weight,
            url=url,
        )
        asked = await self._run(verbs.register, fields, environment, replace=replace)
        return await self._arrive(asked, wait if auto_start and not url else False)

    async def update_service(
        self, name_or_id: str, *, config: ServiceConfig | None = None, **fields: Any
    ) -> ServiceInfo:
        """Changes the given fields, of those that `register_service` takes.

        `config` replaces all of the configuration; its fields may be given by
        themselves as well. What concerns the processes holds from their next
        start on.
        """
        changes, environment = change_fields(config, fields)
        return await self._run(verbs.change, name_or_id, changes, environment)

    async def unregister_service(self, name_or_id: str, *, wait: Wait = True) -> None:
        """Stops it and takes it off the list. Its conversations stay in the database."""
        asked = await self._run(verbs.unregister, name_or_id)
        if wait := seconds(wait):
            await until_gone(self._run, asked, wait)

    async def start_service(self, name_or_id: str, *, wait: Wait = True) -> ServiceInfo:
        """Starts it; earlier failures are forgiven."""
        return await self._arrive(await self._run(verbs.start, name_or_id), wait)

    async def stop_service(self, name_or_id: str, *, wait: Wait = True) -> ServiceInfo:
        """Stops it: running answers are finished first."""
        return await self._arrive(await self._run(verbs.stop, name_or_id), wait)

    async def restart_service(self, name_or_id: str, *, wait: Wait = True) -> ServiceInfo:
        """Replaces its processes by new ones."""
        return await self._arrive(await self._run(verbs.restart, name_or_id), wait)

    async def check_service_health(self, name_or_id: str) -> ServiceHealth:
        """Opens a socket to each of its processes now."""
        with plain_errors():
            return await verbs.check(self._database, name_or_id)

    def get_service(self, name_or_id: str) -> ServiceInfo:
        return self._call(verbs.get, name_or_id)

    def list_services(
        self, *, status: ServiceStatus | str | None = None, tags: Iterable[str] = ()
    ) -> list[ServiceInfo]:
        """By name; those that have the status, where one is given, and all of the tags."""
        wanted = None if status is None else ServiceStatus(status).value
        return self._call(verbs.select, wanted, frozenset(tags))

    def get_service_logs(
        self, name_or_id: str, *, lines: int = 100, instance_id: str | None = None
    ) -> list[str]:
        """The last lines that a process of it wrote, oldest first; the newest if none is named.

        They are as the process wrote them, with whatever an agent put there.
        """
        return self._call(verbs.logs, name_or_id, lines, instance_id)

    def get_service_stats(self, name_or_id: str) -> Stats:
        """As the REST interface gives it."""
        return self._call(verbs.stats, name_or_id)

    def get_system_stats(self) -> Stats:
        """Counts of the whole site: `services`, `connections`, `sessions`, `health`."""
        return self._call(verbs.system_stats)

    def get_connection_stats(self) -> Stats:
        """`total_connections`: sockets that are open to the services."""
        connections: Stats = self.get_system_stats()["connections"]
        return connections

    def get_health_summary(self) -> Stats:
        """The number of processes by health, and their `total`.

        The keys are `healthy`, `degraded`, `unhealthy`, `unknown` and `total`.
        """
        health: Stats = self.get_system_stats()["health"]
        return health

    def add_routing_rule(self, rule: RoutingRule) -> RoutingRule:
        """Adds a rule for clients that name no service; it, with its id and warnings."""
        return self._call(verbs.add_rule, rule)

    def list_routing_rules(self) -> list[RoutingRule]:
        """In the order in which they apply."""
        return self._call(verbs.rules)

    def update_routing_rule(self, rule: RoutingRule | str, **fields: Any) -> RoutingRule:
        """Changes a rule; it, as it is now.

        Named by its name or id, the given fields of `RoutingRule`; a `RoutingRule` replaces all of
        the rule with its `rule_id`, else with its name.
        """
        if isinstance(rule, str):
            return self._call(verbs.change_rule, rule, rule_changes(fields))
        return self._call(verbs.replace_rule, dataclasses.replace(rule, **fields))

    def remove_routing_rule(self, name_or_id: str) -> None:
        self._call(verbs.remove_rule, name_or_id)

    async def _arrive(self, asked: ServiceInfo, wait: Wait) -> ServiceInfo:
        timeout_s = seconds(wait)
        return await until_arrived(self._run, asked, timeout_s) if timeout_s else asked

    def _call(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Blocks this thread, and works in another: Django refuses one that runs an event loop."""
        return self._submit(verb, *args, **kwargs).result()

    async def _run(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._submit(verb, *args, **kwargs))

    def _submit(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        from django.utils import translation

        # The other thread has a language of its own.
        lang = translation.get_language()

        def work() -> T:
            with translation.override(lang), plain_errors():
                return verb(*args, **kwargs)

        try:
            submitted: Future[T] = self._database.submit(work)
        except RuntimeError:
            raise _not_running() from None
        return submitted

    @property
    def _database(self) -> Any:
        if self._thread is None or not self._thread.ready.done() or self._thread.is_leaving:
            raise _not_running()
        return self._thread.database


def _not_running() -> NotRunning:
    return NotRunning("The manager is not running: `await manager.start()` comes first.")
