"""The paths of conversations. A server of a single agent has no others, for its chat page."""

from __future__ import annotations

from django.urls import path

from services.rest.conversations import rating, reading, talking

ONE = "v1/sessions/<str:id>"

urlpatterns = [
    path("v1/sessions", reading.SessionsView.as_view()),
    path(ONE, reading.SessionView.as_view(), name="session"),
    path(f"{ONE}/events", reading.EventsView.as_view(), name="session-events"),
    path(f"{ONE}/messages", talking.MessagesView.as_view()),
    # A message's id may have a slash.
    path(f"{ONE}/messages/<path:message_id>/feedback", rating.FeedbackView.as_view()),
    path(f"{ONE}/cancel", talking.CancelView.as_view()),
]
