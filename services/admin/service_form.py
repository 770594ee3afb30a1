"""The form that registers and changes services: its validation calls the verb."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.translation import gettext, gettext_lazy

from services.catalogue import agent_files, registry
from services.errors import ServiceError
from services.fields import checked
from services.models import Service

if TYPE_CHECKING:
    ServiceModelForm = forms.ModelForm[Service]
else:
    ServiceModelForm = forms.ModelForm

SEPARATORS = re.compile(r"[\s,，、]+")

FORM_FIELDS = {"environment": "variables"}
"""Fields that have another name in the form than in the verbs."""


class ServiceForm(ServiceModelForm):
    """Its validation registers or changes the service, which is then in `service`.

    Only the verb can tell what is wrong with a field, and only when it acts: a name may be taken at
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
        self._tell_of_files()

    def _tell_of_files(self) -> None:
        """Tells which files may be registered, before the form is filled in."""
        field = self.fields.get("agent_factory_path")
        if field is None:
            return
        if settings.MYAGENT_AGENT_DIRS:
            folders = ", ".join(settings.MYAGENT_AGENT_DIRS)
            field.help_text = gettext("Below {folders}").format(folders=folders)
            return
        another_way = gettext("Or type: {command}")
        command = "manage.py services register NAME FILE"
        field.help_text = " ".join(
            (translation.gettext(agent_files.NO_FOLDERS), another_way.format(command=command))
        )

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
        # An unchanged field needs no permission: a command may have registered the file.
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
