"""The sentences of the pages of traces, for their templates and scripts.

Placeholders such as `{name}` are filled in by the page.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from myagent_site.console_texts import PLACES, SHARED

STATUSES = {
    "status_running": gettext_noop("running"),
    "status_waiting": gettext_noop("waits for a confirmation"),
    "status_answered": gettext_noop("answered"),
    "status_failed": gettext_noop("failed"),
    "status_interrupted": gettext_noop("interrupted"),
    "status_timed_out": gettext_noop("timed out"),
    "status_success": gettext_noop("success"),
    "status_error": gettext_noop("error"),
    "status_cancelled": gettext_noop("cancelled"),
    "status_declined": gettext_noop("declined"),
    "status_unknown": gettext_noop("outcome unknown"),
    "status_cut_off": gettext_noop("cut off"),
}

FIGURES = {
    "service": gettext_noop("Service"),
    "model": gettext_noop("Model"),
    "status": gettext_noop("Status"),
    "steps": gettext_noop("Steps"),
    "tokens": gettext_noop("Tokens"),
    "cost": gettext_noop("Cost"),
    "duration": gettext_noop("Duration"),
    "started": gettext_noop("Started"),
    "attempt": gettext_noop("Attempt"),
    "attempts": gettext_noop("Attempts"),
    "errors": gettext_noop("Errors"),
}

TEXTS = (
    SHARED
    | PLACES
    | STATUSES
    | FIGURES
    | {
        "chat": gettext_noop("Chat"),
        "live": gettext_noop("Live"),
        "at_rest": gettext_noop("Ended"),
        "lost": gettext_noop("Not connected; trying again"),
        "trying_again": gettext_noop("Trying again"),
        "refused": gettext_noop("Not shown"),
        "not_all_read": gettext_noop("Not everything could be read: {problem}"),
        "page_failed": gettext_noop(
            "This page has failed; what went wrong is in the browser's console."
        ),
        "no_trace": gettext_noop("There is no trace '{id}'."),
        "no_answer": gettext_noop("the site did not answer"),
        "log_in": gettext_noop("Log in"),
        "needs_scripts": gettext_noop("The pages of traces need JavaScript."),
        # The list.
        "question": gettext_noop("Question"),
        "hidden_question": gettext_noop("(not shown)"),
        "failed_steps": gettext_noop("Steps that failed: {count}"),
        "filters": gettext_noop("Filters"),
        "any": gettext_noop("any"),
        "feedback": gettext_noop("Feedback"),
        "feedback_positive": gettext_noop("positive"),
        "feedback_negative": gettext_noop("negative"),
        "feedback_any": gettext_noop("with feedback"),
        "feedback_none": gettext_noop("without feedback"),
        "count": gettext_noop("Count"),
        "positive": gettext_noop("Positive"),
        "negative": gettext_noop("Negative"),
        "avg_score": gettext_noop("Average score"),
        "min_duration": gettext_noop("Took at least (ms)"),
        "min_cost": gettext_noop("Cost at least"),
        "text": gettext_noop("Text"),
        "period": gettext_noop("Began"),
        "ever": gettext_noop("at any time"),
        "hour": gettext_noop("in the last hour"),
        "day": gettext_noop("in the last 24 hours"),
        "week": gettext_noop("in the last 7 days"),
        "month": gettext_noop("in the last 30 days"),
        "clear": gettext_noop("Clear the filters"),
        "more": gettext_noop("Show older ones"),
        "look_further": gettext_noop("Look through older ones"),
        "none": gettext_noop("No run is recorded yet. Ask an agent something."),
        "none_match": gettext_noop("No trace matches."),
        "operations": gettext_noop("Replies and tools"),
        "ended": gettext_noop("Steps that ended"),
        "by_service": gettext_noop("By service"),
        "by_model": gettext_noop("By model"),
        "by_name": gettext_noop("By name"),
        "runs": gettext_noop("Count"),
        "median": gettext_noop("Median"),
        "p95": gettext_noop("95 % below"),
        "no_operations": gettext_noop("Nothing has ended in this time."),
        # One trace.
        "trace": gettext_noop("Trace"),
        "all_traces": gettext_noop("All traces"),
        "of_the_conversation": gettext_noop("Those of the conversation"),
        "previous": gettext_noop("Previous of the conversation"),
        "next": gettext_noop("Next of the conversation"),
        "conversation": gettext_noop("Open the conversation"),
        "download": gettext_noop("Download as JSON"),
        "search_steps": gettext_noop("Search the steps"),
        "errors_first": gettext_noop("Errors first"),
        "next_error": gettext_noop("Next error"),
        "collapse_all": gettext_noop("Collapse all"),
        "expand_all": gettext_noop("Expand all"),
        "zoom_in": gettext_noop("Zoom in"),
        "zoom_out": gettext_noop("Zoom out"),
        "zoom_all": gettext_noop("Whole time"),
        "step": gettext_noop("Step"),
        "time": gettext_noop("Time"),
        "details": gettext_noop("Details of the step"),
        "close": gettext_noop("Close"),
        "choose": gettext_noop("Choose a step to see what went in and out."),
        "keys": gettext_noop("Arrows move · Enter opens · / searches · e next error · + − 0 zoom"),
        "no_steps": gettext_noop("There are no steps."),
        "critical": gettext_noop("The run waited for it"),
        "kind_think": gettext_noop("model"),
        "kind_tool": gettext_noop("tool"),
        "kind_work": gettext_noop("part"),
        "attributes": gettext_noop("What its code says of it"),
        "first_token": gettext_noop("First text"),
        "prompt_tokens": gettext_noop("Tokens in"),
        "of_them_cached": gettext_noop("{count}, {part} of them cached"),
        "completion_tokens": gettext_noop("Tokens out"),
        "of_them_reasoning": gettext_noop("{count}, {part} of them reasoning"),
        "error": gettext_noop("Error"),
        "was_given": gettext_noop("What it was given"),
        "reasoning": gettext_noop("Reasoning"),
        "answer": gettext_noop("Answer"),
        "calls": gettext_noop("Calls"),
        "arguments": gettext_noop("Arguments"),
        "result": gettext_noop("Result"),
        "raw": gettext_noop("As JSON"),
        "run_again": gettext_noop("Run again from step {step}"),
        "another_question": gettext_noop("Another question (left empty: the same)"),
        # Two traces.
        "names_two_traces": gettext_noop("The page's address names two traces: ?a=ID&b=ID."),
        "two_traces": gettext_noop("Two traces side by side"),
        "compare_chosen": gettext_noop("Compare the two chosen"),
        "choose_for_comparison": gettext_noop("Choose for a comparison"),
        "first_run": gettext_noop("First"),
        "second_run": gettext_noop("Second"),
        "difference": gettext_noop("Difference"),
        "differs": gettext_noop("Differs"),
        "differs_status": gettext_noop("status"),
        "differs_inputs": gettext_noop("given"),
        "differs_outputs": gettext_noop("result"),
        "only_first": gettext_noop("only in the first"),
        "only_second": gettext_noop("only in the second"),
        "not_in_this_run": gettext_noop("This run has no such step."),
        "kept": gettext_noop("before it ran again"),
        "kept_in_the_log": gettext_noop("This run has the step in its log: it ran again after it."),
        "in_tokens": gettext_noop("{count} tokens"),
        "next_difference": gettext_noop("Next difference"),
        "only_differences": gettext_noop("Only what differs"),
        "no_difference": gettext_noop("No step differs."),
        "choose_pair": gettext_noop("Choose a step to see it in both runs."),
        "compare_keys": gettext_noop("Arrows move · Enter opens · e next difference"),
        # Again.
        "runs_again": gettext_noop("Ran step {step} of this run again"),
        "compare_with_it": gettext_noop("Compare with it"),
        "was_run_again": gettext_noop("Was run again from step {step}, {at}"),
        "is_a_rerun": gettext_noop("Runs another run again, from step {step}"),
        "parts_left_out": gettext_noop(
            "{count} more parts of its work were left out: only so many are kept."
        ),
        "contents_hidden": gettext_noop(
            "What went in and out is not shown: when the run began, MYAGENT_TRACE_CONTENT hid it, "
            "or the conversation has been removed."
        ),
    }
)
