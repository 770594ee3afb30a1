from decimal import Decimal

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agents", "0013_run_attempts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.CharField(max_length=191, verbose_name="model")),
                ("valid_from", models.DateTimeField(verbose_name="valid from")),
                (
                    "prompt",
                    models.DecimalField(
                        decimal_places=6,
                        max_digits=12,
                        validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                        verbose_name="prompt",
                    ),
                ),
                (
                    "cached",
                    models.DecimalField(
                        blank=True,
                        decimal_places=6,
                        help_text="Empty: as the rest of the prompt.",
                        max_digits=12,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                        verbose_name="prompt, cached",
                    ),
                ),
                (
                    "completion",
                    models.DecimalField(
                        decimal_places=6,
                        max_digits=12,
                        validators=[django.core.validators.MinValueValidator(Decimal("0"))],
                        verbose_name="completion",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "ordering": ["model", "-valid_from"],
                "constraints": [
                    models.UniqueConstraint(fields=("model", "valid_from"), name="price_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Trace",
            fields=[
                ("id", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("service", models.CharField(max_length=100, verbose_name="service")),
                ("agent", models.CharField(default="", max_length=191, verbose_name="agent")),
                ("model", models.CharField(default="", max_length=191, verbose_name="model")),
                ("principal", models.CharField(default="", max_length=64, verbose_name="client")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("answered", "answered"),
                            ("failed", "failed"),
                            ("interrupted", "interrupted"),
                            ("timed_out", "timed out"),
                        ],
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                (
                    "content",
                    models.CharField(
                        choices=[("on", "On"), ("redacted", "Redacted"), ("off", "Off")],
                        default="on",
                        max_length=8,
                    ),
                ),
                ("request", models.CharField(default="", max_length=500, verbose_name="question")),
                ("answer", models.CharField(default="", max_length=500, verbose_name="answer")),
                ("error_type", models.CharField(default="", max_length=64)),
                ("error", models.CharField(default="", max_length=500, verbose_name="error")),
                ("max_steps", models.PositiveIntegerField(null=True)),
                ("attempts", models.PositiveIntegerField(default=1, verbose_name="attempts")),
                ("steps", models.PositiveIntegerField(default=0, verbose_name="steps")),
                ("span_count", models.PositiveIntegerField(default=0)),
                ("error_count", models.PositiveIntegerField(default=0)),
                ("prompt_tokens", models.PositiveBigIntegerField(default=0)),
                ("cached_tokens", models.PositiveBigIntegerField(default=0)),
                ("completion_tokens", models.PositiveBigIntegerField(default=0)),
                ("reasoning_tokens", models.PositiveBigIntegerField(default=0)),
                ("cost_nano", models.PositiveBigIntegerField(null=True)),
                ("started_at", models.DateTimeField(verbose_name="started")),
                ("ended_at", models.DateTimeField(null=True)),
                ("duration_ms", models.PositiveBigIntegerField(null=True)),
                (
                    "session",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="traces",
                        to="agents.session",
                    ),
                ),
            ],
            options={
                "verbose_name": "trace",
                "verbose_name_plural": "traces",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Span",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("span_id", models.CharField(max_length=16)),
                (
                    "kind",
                    models.CharField(choices=[("think", "Think"), ("tool", "Tool")], max_length=8),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("waiting", "waits for a confirmation"),
                            ("success", "success"),
                            ("error", "error"),
                            ("cancelled", "cancelled"),
                            ("declined", "declined"),
                            ("unknown", "outcome unknown"),
                            ("cut_off", "cut off"),
                        ],
                        max_length=16,
                    ),
                ),
                ("attempt", models.PositiveIntegerField()),
                ("step", models.PositiveIntegerField()),
                ("step_id", models.CharField(default="", max_length=64)),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("duration_ms", models.PositiveBigIntegerField(null=True)),
                ("first_token_ms", models.PositiveIntegerField(null=True)),
                ("prompt_tokens", models.PositiveBigIntegerField(default=0)),
                ("cached_tokens", models.PositiveBigIntegerField(default=0)),
                ("completion_tokens", models.PositiveBigIntegerField(default=0)),
                ("reasoning_tokens", models.PositiveBigIntegerField(default=0)),
                ("cost_nano", models.PositiveBigIntegerField(null=True)),
                ("start_seq", models.PositiveBigIntegerField(default=0)),
                ("end_seq", models.PositiveBigIntegerField(default=0)),
                ("error", models.CharField(default="", max_length=500)),
                (
                    "trace",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="spans",
                        to="traces.trace",
                    ),
                ),
            ],
            options={
                "verbose_name": "span",
                "verbose_name_plural": "spans",
            },
        ),
        migrations.AddIndex(
            model_name="trace",
            index=models.Index(fields=["service", "id"], name="trace_by_service"),
        ),
        migrations.AddIndex(
            model_name="trace",
            index=models.Index(fields=["principal", "id"], name="trace_by_principal"),
        ),
        migrations.AddConstraint(
            model_name="span",
            constraint=models.UniqueConstraint(fields=("trace", "span_id"), name="span_once"),
        ),
    ]
