"""An agent that asks before it acts: orders are placed only after somebody's yes.

Run it with: scripts/server examples/approval_agent.py

Ask 'Order 3 notebooks' or '下单 3 本 notebook': the service asks for a
confirmation first. 'Show the menu' needs none. The orders are kept in memory.
"""

from typing import Literal

from myagent import create_react_agent
from myagent.tool import tool

Product = Literal["notebook", "pencil", "lamp", "backpack"]
PRICES: dict[Product, float] = {"notebook": 4.5, "pencil": 0.8, "lamp": 29.0, "backpack": 54.0}

orders: list[str] = []


@tool(idempotent=True)
def show_menu() -> dict[Product, float]:
    """Show the menu of the shop: all products with their prices. 查看商店的菜单、商品和价格"""
    return PRICES


@tool(idempotent=True)
def list_orders() -> str:
    """List the orders placed so far. 列出已有的订单"""
    return "\n".join(orders) or "No orders yet."


@tool(requires_confirmation=True)
def place_order(product: Product, quantity: int = 1) -> str:
    """Order a product; buys it for real. 下单购买商品"""
    if quantity < 1:
        raise ValueError("The quantity must be at least 1.")
    orders.append(f"{quantity} × {product} for {PRICES[product] * quantity:.2f}")
    return f"Order {len(orders)} is placed: {orders[-1]}."


agent = create_react_agent(
    name="shop",
    description="A small shop that asks before it orders",
    tools=[show_menu, list_orders, place_order],
    system_prompt="You sell stationery. Look at the menu for prices; order only what is asked for.",
    examples=["Show the menu", "Order 3 notebooks", "下单 2 盏 lamp", "List my orders"],
)
