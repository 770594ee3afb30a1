from __future__ import annotations

import logging

import pytest

from myagent.models.base import ModelError
from myagent.worker.endings import MAX_SENTENCE, log_failure, stopped_by
from myagent.worker.protocol import RunKey

KEY = RunKey("session", 1, 1)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_models_failure_is_logged_by_its_cause_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    error = raised(ModelError("No.", is_retryable=False, cause="http://a.test/v1: status 400: no"))
    stopped = stopped_by(error, KEY, None)
    log_failure(stopped, "run-1")
    said, detail = caplog.records
    assert said.levelno == logging.ERROR
    assert said.getMessage().startswith("run_failed session='session' run='run-1' ")
    assert said.getMessage().endswith("kind=model_error cause='http://a.test/v1: status 400: no'")
    assert "\n" not in said.getMessage()
    assert detail.levelno == logging.DEBUG
    assert "Traceback" in detail.getMessage()


def test_a_secret_is_in_no_detail_whatever_the_models_failure_was_raised_as() -> None:
    error = ModelError("No.", is_retryable=False)
    error.__cause__ = ValueError("secret-key is wrong")
    error.secrets = frozenset({"secret-key"})
    agents = RuntimeError("the agent's own")
    agents.__cause__ = error
    for each in (error, agents, ExceptionGroup("x", [error])):
        detail = stopped_by(raised(each), KEY, None).detail
        assert "… is wrong" in detail
        assert "secret-key" not in detail


def test_a_failure_without_a_known_cause_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_failure(stopped_by(raised(KeyError("x")), KEY, None), "run-1")
    (record,) = caplog.records
    assert "Traceback" in record.getMessage()


@pytest.mark.parametrize("cause", [None, 5, "x" * 100_000, "\ud800"])
def test_a_cause_of_somebody_elses_is_a_text_of_bounded_length(cause: object) -> None:
    error = ModelError("No.", is_retryable=False)
    error.cause = cause  # type: ignore[assignment]
    stopped = stopped_by(error, KEY, None)
    assert len(stopped.cause) <= MAX_SENTENCE
    stopped.cause.encode()
