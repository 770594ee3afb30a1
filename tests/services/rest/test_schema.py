"""The OpenAPI document is made without guesses. Its answers: `acceptance/test_rest_schema.py`."""

from __future__ import annotations

from pathlib import Path

from django.core.management import call_command


def test_nothing_in_the_document_had_to_be_guessed(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert "/api/v1/services" in file.read_text("utf-8")
