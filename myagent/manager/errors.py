"""Errors of the manager, for the code that uses it; each text is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from myagent.manager.storage.models import ServiceInfo


class ManagerError(Exception):
    """The manager could not do it; the text says why."""


class NotRunning(ManagerError):
    """The manager was not started, or has been stopped."""


class WrongSettings(ManagerError, ValueError):
    """The settings are wrong, or this process uses another database already."""


class StorageFailed(ManagerError):
    """The database can't be used, or not now."""


class Refused(ManagerError):
    """It was not done, and nothing has changed.

    `code` is for programs, the same as in the REST interface; `field` names
    the argument that is wrong, where it is one.
    """

    def __init__(self, code: str, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.field = field


class UnknownService(Refused):
    """There is no service of that name or id."""


class Conflict(Refused):
    """The operation is not possible in the present state."""


class NotArrived(ManagerError):
    """The requested state was not observed; the request still holds unless another replaced it.

    `service` is its last state; None if it was unregistered meanwhile.
    """

    def __init__(self, sentence: str, service: ServiceInfo | None) -> None:
        super().__init__(sentence)
        self.service = service


class ServiceFailed(NotArrived):
    """The service will not run until somebody fixes it and starts it again."""


class StillWorking(NotArrived, TimeoutError):
    """It was not observed in the time allowed."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns the site's errors into those above, so that callers need not know Django's."""
    import filelock
    from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
    from django.db import Error as DatabaseFailure

    from agents.runtime.explaining import explain_to_reader
    from services import errors

    try:
        yield
    except errors.ServiceError as error:
        kind = {errors.UnknownService: UnknownService, errors.Conflict: Conflict}
        refusal = kind.get(type(error), Refused)
        raise refusal(error.code, str(error), field=error.field) from None
    except ObjectDoesNotExist:
        raise UnknownService("unknown_service", "The service was unregistered meanwhile.") from None
    except ImproperlyConfigured as error:
        raise WrongSettings(f"The settings are wrong: {error}") from error
    except DatabaseFailure as error:
        raise StorageFailed(f"The database can't be used: {explain_to_reader(error)}") from error
    except filelock.Timeout as error:
        raise StorageFailed("Another process has been changing the database for long.") from error
