"""Customer support in English: orders, refunds, and tickets for what needs a person.

Run it with: scripts/server examples/support_en_agent.py

Ask 'Where is my order A1002?', 'What is the refund policy for electronics?' or
'Open a ticket: my parcel arrived damaged', which asks for a confirmation first.
support_zh_agent.py is the same desk in Chinese: register both as services, with
the tags en and zh, and the site serves customers in both languages. The orders
are made up and built in; tickets are kept in memory.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from myagent import create_react_agent
from myagent.tool import ToolResult, tool

Kind = Literal["electronics", "clothing", "food"]


@dataclass(frozen=True)
class Order:
    goods: str
    status: str


ORDERS = {
    "A1001": Order("a desk lamp", "delivered on 3 March"),
    "A1002": Order("a rain jacket", "on its way, expected tomorrow"),
    "A1003": Order("two boxes of tea", "being packed"),
    "A1004": Order("headphones", "cancelled; the money was sent back on 1 March"),
}

REFUNDS: dict[Kind, str] = {
    "electronics": "Electronics can be sent back within 14 days, unopened or faulty.",
    "clothing": "Clothing can be sent back within 30 days, unworn and with its label.",
    "food": "Food is not taken back; if it arrives spoilt, it is paid back in full.",
}

tickets: list[str] = []

OrderNumber = Annotated[
    str, Field(pattern=r"^[Aa]\d{4}$", description="Order number, for example A1002")
]


@tool(idempotent=True)
def get_order_status(order_number: OrderNumber) -> str | ToolResult:
    """Track an order: the status of a parcel, where it is, when its delivery will be."""
    number = order_number.upper()
    if number not in ORDERS:
        return ToolResult(error=f"There is no order {number}; the number may be mistyped.")
    order = ORDERS[number]
    return f"Order {number} ({order.goods}) is {order.status}."


@tool(idempotent=True)
def get_refund_policy(kind: Kind | None = None) -> str:
    """Explain the refund policy: how to return goods and get the money back."""
    return REFUNDS[kind] if kind else "\n".join(REFUNDS.values())


@tool(requires_confirmation=True)
def open_ticket(
    problem: Annotated[str, Field(description="What is wrong, and with which order")],
) -> str:
    """Open a support ticket: a person looks at a complaint or problem and answers by e-mail."""
    tickets.append(problem)
    return f"Ticket T{len(tickets):03} is open. A colleague answers within one working day."


agent = create_react_agent(
    name="support_en",
    description="Customer support in English",
    tools=[get_order_status, get_refund_policy, open_ticket],
    system_prompt=(
        "You are the customer support of a small online shop. Answer in English, in a friendly "
        "tone and in few sentences. Look orders and refund rules up with the tools; never guess "
        "or promise what they do not say. If you need an order number, ask for it. Open a ticket "
        "only when a person has to see to the problem, and say in it what the customer said."
    ),
    max_steps=5,
    examples=[
        "Where is my order A1002?",
        "What is the refund policy for electronics?",
        "Open a ticket: my parcel arrived damaged",
    ],
)
