"""中文客服：查订单、讲退款政策，需要人工处理时提交工单。

Customer support in Chinese. Run it with: scripts/server examples/support_zh_agent.py

可以问“我的订单 A1002 到哪了？”“电子产品的退款政策是什么？”，或者说
“提交工单：包裹送到时坏了”——提交前会请您确认。support_en_agent.py 是同一个
客服的英文版：把两个文件注册成服务，标签分别为 zh 和 en，站点就能用两种语言
接待客户。订单是内置的示例数据，工单只保存在内存里。
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from myagent import create_react_agent
from myagent.tool import ToolResult, tool

Kind = Literal["电子产品", "服装", "食品"]


@dataclass(frozen=True)
class Order:
    goods: str
    status: str


ORDERS = {
    "A1001": Order("台灯", "已于 3 月 3 日送达"),
    "A1002": Order("雨衣", "正在配送途中，预计明天送到"),
    "A1003": Order("两盒茶叶", "正在打包"),
    "A1004": Order("耳机", "已取消，货款已于 3 月 1 日退回"),
}

REFUNDS: dict[Kind, str] = {
    "电子产品": "电子产品：14 天内未拆封或有故障的可以退货。",
    "服装": "服装：30 天内未穿过、吊牌完好的可以退货。",
    "食品": "食品：不接受退货；送到时已变质的全额退款。",
}

tickets: list[str] = []

OrderNumber = Annotated[str, Field(pattern=r"^[Aa]\d{4}$", description="订单号，例如 A1002")]


@tool(idempotent=True)
def get_order_status(order_number: OrderNumber) -> str | ToolResult:
    """查询订单状态：包裹到哪了、物流进度、什么时候送到"""
    number = order_number.upper()
    if number not in ORDERS:
        return ToolResult(error=f"没有订单 {number}，订单号可能有误。")
    order = ORDERS[number]
    return f"订单 {number}（{order.goods}）{order.status}。"


@tool(idempotent=True)
def get_refund_policy(kind: Kind | None = None) -> str:
    """说明退款政策：怎么退货、退钱"""
    return REFUNDS[kind] if kind else "\n".join(REFUNDS.values())


@tool(requires_confirmation=True)
def open_ticket(
    problem: Annotated[str, Field(description="问题是什么，涉及哪个订单")],
) -> str:
    """提交工单：把投诉或问题转给人工客服，由同事通过邮件答复"""
    tickets.append(problem)
    return f"工单 T{len(tickets):03} 已提交，同事会在一个工作日内答复。"


agent = create_react_agent(
    name="support_zh",
    description="中文客服",
    tools=[get_order_status, get_refund_policy, open_ticket],
    system_prompt=(
        "你是一家小型网店的客服。用中文回答，语气亲切，简明扼要。订单和退款规则一律用工具查询，"
        "工具没有说的不要猜测，也不要承诺。需要订单号时就请客户提供。只有必须由人工处理的问题才提交"
        "工单，并写明客户所说的情况。"
    ),
    max_steps=5,
    examples=[
        "我的订单 A1002 到哪了？",
        "电子产品的退款政策是什么？",
        "提交工单：包裹送到时坏了",
    ],
)
