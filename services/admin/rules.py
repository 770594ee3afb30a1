"""Routing rules in the admin. The form's validation calls the verb, as that of services does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from services.admin.service_form import SEPARATORS
from services.errors import ServiceError
from services.models import RoutingRule
from services.routing import rulebook
from services.routing.rule_fields import RULE
from services.routing.rules import Strategy
from services.routing.wording import parsed
from services.views.rules import conditions_in_words

if TYPE_CHECKING:
    RuleModelForm = forms.ModelForm[RoutingRule]
    RuleModelAdmin = admin.ModelAdmin[RoutingRule]
else:
    RuleModelForm = forms.ModelForm
    RuleModelAdmin = admin.ModelAdmin

STRATEGIES = [(each.value, each.value) for each in Strategy]


class RuleForm(RuleModelForm):
    """Its validation adds or changes the rule, which is then in `rule`."""

    conditions = forms.CharField(
        label=gettext_lazy("Conditions"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 60, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One a line, and all must hold: a field, an operator and a value, such as "
            "'user_agent contains/i vip'; with /i, the case does not matter. Without conditions "
            "the rule applies to everybody."
        ),
    )
    target_strategy = forms.ChoiceField(label=gettext_lazy("Strategy"), choices=STRATEGIES)
    target_services = forms.CharField(
        label=gettext_lazy("Services"),
        required=False,
        help_text=gettext_lazy("Only these. Separated by commas or blanks."),
    )
    target_tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        help_text=gettext_lazy("Only services with all of them. Separated by commas or blanks."),
    )
    fallback_strategy = forms.ChoiceField(
        label=gettext_lazy("Fallback strategy"), required=False, choices=[("", "-"), *STRATEGIES]
    )

    rule: RoutingRule | None = None

    class Meta:
        model = RoutingRule
        fields = RULE
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "cols": 60})}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["conditions"] = conditions_in_words(self.instance, "\n")
        for name in ("target_services", "target_tags"):
            self.initial[name] = ", ".join(getattr(self.instance, name))

    def clean_conditions(self) -> list[Any]:
        lines = self.cleaned_data["conditions"].splitlines()
        return [dict(parsed(line)) for line in lines if line.strip()]

    def clean_target_services(self) -> list[str]:
        return _separated(self.cleaned_data["target_services"])

    def clean_target_tags(self) -> list[str]:
        return _separated(self.cleaned_data["target_tags"])

    def clean(self) -> dict[str, Any]:
        # The base class's check is left out: the verb decides whether a name is taken.
        if not self.errors:
            fields = {name: self.cleaned_data[name] for name in RULE}
            try:
                if self.instance._state.adding:
                    self.rule = rulebook.add(**fields)
                else:
                    self.rule = rulebook.change(rulebook.find(self.instance.pk), **fields)
            except ServiceError as error:
                # The form has one field for all conditions.
                field = error.field.partition(".")[0]
                self.add_error(field if field in self.fields else None, str(error))
        return self.cleaned_data


def _separated(text: str) -> list[str]:
    return [word for word in SEPARATORS.split(text) if word]


def _trouble(known: Callable[[], rulebook.Registered]) -> Callable[[RoutingRule], str]:
    """A column; the services are read once for all rows."""

    @admin.display(description=gettext_lazy("warnings"))
    def trouble(rule: RoutingRule) -> str:
        return " ".join(rulebook.warnings_about(rule, known()))

    return trouble


@admin.register(RoutingRule)
class RoutingRuleAdmin(RuleModelAdmin):
    form = RuleForm
    list_display = (
        *("name", "priority", "enabled", "when", "target_strategy"),
        *("services", "tags"),
    )
    list_filter = ("enabled", "target_strategy")
    search_fields = ("name", "description")
    fields = RULE

    @admin.display(description=gettext_lazy("conditions"))
    def when(self, rule: RoutingRule) -> str:
        return conditions_in_words(rule, ", ")

    @admin.display(description=gettext_lazy("services"))
    def services(self, rule: RoutingRule) -> str:
        return ", ".join(rule.target_services)

    @admin.display(description=gettext_lazy("tags"))
    def tags(self, rule: RoutingRule) -> str:
        return ", ".join(rule.target_tags)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_display(request), _trouble(cache(rulebook.registered))]

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> RoutingRule:
        rule: RoutingRule = form.rule
        for warning in rulebook.warnings_about(rule, rulebook.registered()):
            messages.warning(request, warning)
        return rule

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form's validation has stored it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Does nothing: no related rows are saved with a rule."""

    def delete_model(self, request: HttpRequest, obj: RoutingRule) -> None:
        rulebook.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoutingRule]) -> None:
        for rule in queryset:
            rulebook.remove(rule)
