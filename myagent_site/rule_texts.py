"""The sentences about rules of routing on the console: the list, the form, and trying them."""

from __future__ import annotations

from django.utils.translation import gettext_noop

LIST = {
    "rules": gettext_noop("Routing rules"),
    "rules_about": gettext_noop("They decide which service a client gets that names none."),
    "rules_none": gettext_noop(
        "There are none: a client that names no service gets the only one that runs, or is asked "
        "to name one."
    ),
    "rules_unread": gettext_noop("The rules could not be read: {reason}"),
    "rule_add": gettext_noop("Add a rule"),
    "rule_edit": gettext_noop("Edit"),
    "rule_enable": gettext_noop("Enable"),
    "rule_disable": gettext_noop("Disable"),
    "rule_remove": gettext_noop("Delete"),
    "rule_disabled": gettext_noop("disabled"),
    "rule_priority": gettext_noop("Priority"),
    "rule_clients": gettext_noop("Clients"),
    "rule_everybody": gettext_noop("all"),
    "rule_services": gettext_noop("Services"),
    "rule_any_service": gettext_noop("any that runs"),
    "rule_tags": gettext_noop("Tags"),
    "rule_strategy": gettext_noop("Strategy"),
    "rule_or_else": gettext_noop("{strategy}, else {fallback}"),
    "rule_saved": gettext_noop("“{name}” is saved."),
    "rule_removed": gettext_noop("“{name}” is deleted."),
    "rule_is_enabled": gettext_noop("“{name}” is enabled."),
    "rule_is_disabled": gettext_noop("“{name}” is disabled."),
    "rule_warns": gettext_noop("Warning: {warning}"),
    "rule_remove_question": gettext_noop("Delete this rule?"),
    "rule_remove_explained": gettext_noop(
        "Without “{name}”, the other rules decide for its clients, within a second."
    ),
    "rule_keep": gettext_noop("Keep it"),
}

FORM = {
    "rule_new": gettext_noop("New rule"),
    "rule_change": gettext_noop("Change “{name}”"),
    "rule_name": gettext_noop("Name"),
    "rule_description": gettext_noop("Description"),
    "rule_enabled": gettext_noop("Enabled"),
    "rule_priority_hint": gettext_noop("The lowest number is asked first."),
    "rule_weight": gettext_noop("Weight"),
    "rule_weight_hint": gettext_noop("If priorities are equal, the highest is asked first."),
    "rule_conditions": gettext_noop("Conditions"),
    "rule_conditions_hint": gettext_noop("All of them must hold. Without any: all clients."),
    "rule_services_hint": gettext_noop("Only these, separated by commas. Empty: any."),
    "rule_tags_hint": gettext_noop("Only services with all of these. Empty: any."),
    "rule_fallback": gettext_noop("If that can’t choose"),
    "rule_no_fallback": gettext_noop("ask the next rule"),
    "rule_add_named": gettext_noop("Add {name}"),
    "condition_add": gettext_noop("Add a condition"),
    "condition_named": gettext_noop("Condition {number}"),
    "condition_remove": gettext_noop("Remove condition {number}"),
    "condition_field": gettext_noop("Field"),
    "condition_key": gettext_noop("Name of it"),
    "condition_operator": gettext_noop("Operator"),
    "condition_value": gettext_noop("Value"),
    "condition_values": gettext_noop("values, separated by commas"),
    "condition_any_case": gettext_noop("any case"),
    "condition_sent": gettext_noop("the client sent it"),
    "condition_not_sent": gettext_noop("the client did not send it"),
    "save": gettext_noop("Save"),
    "cancel": gettext_noop("Cancel"),
}

STRATEGIES = {
    "round_robin": gettext_noop("in turn"),
    "least_connections": gettext_noop("the one with the fewest clients"),
    "weighted_random": gettext_noop("by chance, by weight"),
    "hash_based": gettext_noop("by the client’s address"),
    "tag_based": gettext_noop("the most tags that the client asks for"),
    "manual": gettext_noop("the first that runs, in the rule’s order"),
}

TRYING = {
    "try_open": gettext_noop("Try them"),
    "try_title": gettext_noop("Which service would a client get?"),
    "try_about": gettext_noop("By the rules as they are saved. Leave empty what it does not send."),
    "try_client_ip": gettext_noop("Address"),
    "try_user_agent": gettext_noop("Program (User-Agent)"),
    "try_path": gettext_noop("Path"),
    "try_user": gettext_noop("User"),
    "try_headers": gettext_noop("Headers"),
    "try_headers_hint": gettext_noop("One a line, such as Accept-Language: zh-CN"),
    "try_query": gettext_noop("Parameters of the address"),
    "try_query_hint": gettext_noop("One a line, such as region=eu"),
    "try_metadata": gettext_noop("Metadata"),
    "try_metadata_hint": gettext_noop('A JSON object, such as {"tags": ["premium"]}'),
    "try_no_pair": gettext_noop("Line {number} must be a name, “{separator}” and a value."),
    "try_no_object": gettext_noop("This must be a JSON object."),
    "try_ask": gettext_noop("Explain"),
    "try_done": gettext_noop("Done"),
    "try_chosen": gettext_noop("It gets {service}."),
    "try_none": gettext_noop("It gets none: it has to name a service."),
    "try_by_rule": gettext_noop("The rule “{rule}” decides, by {strategy}."),
    "try_by_tags": gettext_noop("No rule decides; the tags that it asks for do."),
    "try_by_default": gettext_noop("No rule decides; it is the only service that runs."),
    "try_candidates": gettext_noop("Candidates"),
    "try_rejected": gettext_noop("What did not come into it"),
    "try_candidate": gettext_noop("clients: {connections}, weight: {weight}"),
    "try_unhealthy": gettext_noop("unhealthy"),
    "try_of_rule": gettext_noop("rule {name}"),
    "try_of_service": gettext_noop("service {name}"),
}

TEXTS = LIST | FORM | TRYING | {f"strategy_{name}": text for name, text in STRATEGIES.items()}
