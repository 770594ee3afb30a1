"""The form that registers and changes services: its validation is the verb itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from services.catalogue import registry
from services.errors import ServiceError
from services.fields import checked
from services.models import Service

if TYPE_CHECKING:
    ServiceModelForm = forms.ModelForm[Service]
else:
    ServiceModelForm = forms.ModelForm

SEPARATORS = re.compile(r"[\s,，、]+")

FORM_FIELDS = {"environment": "variables"}
"""The form's names of fields that the verbs call otherwise."""


class ServiceForm(ServiceModelForm):
    """Its validation registers or changes the service, which is then in `service`.

    The verb knows best what is wrong with a field, and only when it acts: a name may be taken at
    the last moment.
    """

    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        help_text=gettext_lazy("Separated by commas or blanks."),
    )
    variables = forms.CharField(
        label=gettext_lazy("Variables to set"),
        required=False,
        strip=False,
        help_text=gettext_lazy(
            "One KEY=value a line. Others stay as they are. Values are kept encrypted and are "
            "never shown again."
        ),
        widget=forms.Textarea(
            attrs={"rows": 4, "cols": 60, "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    forget_variables = forms.BooleanField(
        label=gettext_lazy("Forget all variables that are set now"), required=False
    )

    service: Service | None = None

    class Meta:
        model = Service
        exclude = ("environment",)
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "cols": 60})}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["tags"] = ", ".join(self.instance.tags)
        if not self.instance._state.adding and "name" in self.fields:
            self.fields["name"].disabled = True

    def clean_tags(self) -> list[str]:
        return [tag for tag in SEPARATORS.split(self.cleaned_data["tags"]) if tag]

    def clean_variables(self) -> dict[str, str]:
        found = {}
        for number, line in enumerate(self.cleaned_data["variables"].splitlines(), 1):
            if not line.strip():
                continue
            name, sign, value = line.partition("=")
            if not sign:
                # The line itself may be a secret.
                message = gettext("Line {number} is not of the form KEY=value.")
                raise ValidationError(message.format(number=number))
            found[name.strip()] = value
        return found

    def clean(self) -> dict[str, Any]:
        # The base class's check is left out: the verb decides whether a name is taken.
        self._check_each()
        if not self.errors:
            try:
                self.service = self._act()
            except ServiceError as error:
                field = FORM_FIELDS.get(error.field, error.field)
                self.add_error(field if field in self.fields else None, str(error))
        return self.cleaned_data

    def _check_each(self) -> None:
        """Reports all invalid fields: the verb stops at the first."""
        for name in registry.FIELDS:
            if name in self.changed_data and name in self.cleaned_data:
                try:
                    checked({name: self.cleaned_data[name]})
                except ServiceError as error:
                    self.add_error(name, str(error))

    def _act(self) -> Service:
        given = {name: self.cleaned_data[name] for name in registry.FIELDS if name in self.fields}
        if self.instance._state.adding:
            variables = self.cleaned_data["variables"]
            return registry.register(environment=variables, is_confined=True, **given)
        # A field that is unchanged needs no permission: a command may have registered the file.
        changed = {name: value for name, value in given.items() if name in self.changed_data}
        variables = self.cleaned_data.get("variables", {})
        is_cleared = self.cleaned_data.get("forget_variables", False)
        return registry.change(
            registry.find(self.instance.pk),
            environment=variables if variables or is_cleared else None,
            keeps_environment=not is_cleared,
            is_confined=True,
            **changed,
        )
