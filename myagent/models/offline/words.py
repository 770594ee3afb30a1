"""The terms of a text, which a question and a tool may share; they depend on no tool.

A term is the stem of a word, a pair of Chinese characters, or a sense such as `#weather`, which
stands for words of both languages.
"""

# ruff: noqa: SIM905 - word lists are read and edited as text
from __future__ import annotations

import re

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
CJK_RUN = re.compile(f"[{CJK}]+")
_WORD = re.compile(rf"[^\W_{CJK}]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

STOP_WORDS = frozenset(
    """
    a about after again all also am an and any are around as ask at be been before best between but
    by bye call can check compare could current currently do does doing done each every fetch few
    first for from get gets give go good had has have he hello help her here hey hi him his how i if
    in into is it its just know last latest let like little ll look make many may me might more most
    much must my near need next nice no not now of off oh ok okay on once one only or other our out
    over please put return returns right run s say says saying see set shall she should show since
    so some soon still such t take tell than thank thanks that the their them then there these they
    this those through till to today together tomorrow tonight too try turn under until up us use
    using ve very via want was way we well were what when where which while who whose why will wish
    with within without would yes yesterday yet you your
    argument array boolean default example format function input integer name number object optional
    output parameter required result specified string tool type value
    """.split()
)
"""Words that say nothing of what a tool is for, and are no values."""

_STOP_ZH = """
怎么样 怎样 如何 怎么 什么样 什么 为什么 多少 多大 多高 多久 几点 几个 哪里 哪儿 哪个 哪些 是不是
有没有 能不能 可不可以 是否 可以 能够 可能 应该 需要 想要 想知道 我想 我要 我们 你们 请问 请你
请帮 请给 麻烦 帮我 帮忙 给我 告诉我 告诉 说说 讲讲 介绍一下 介绍 了解一下 了解 查询一下 查询
查一下 查查 看一下 看看 问一下 搜一下 算一下 一下 一个 一些 知道 现在 目前 当前 今天 明天 后天
昨天 今晚 最近 这里 那里 那么 这个 那个 这些 那些 情况 一共 以及 还有 并且 而且 然后 或者 还是
关于 设为 使用 调用 运行 获取 返回 指定 进行 你好 谢谢 好的 没有 不要 的
"""
STOP_ZH = re.compile("|".join(sorted(_STOP_ZH.split(), key=len, reverse=True)))

_SENSES = """
about info information detail describe overview 介绍 信息 资料 概况 详情 了解
search find lookup query 搜索 查找 检索
create add 创建 新建 添加 增加
send 发送 发给
list 列出 列表 清单
calculate compute calculator 计算 运算
convert conversion 转换 换算 兑换
translate translation 翻译
compare comparison 比较 对比
order purchase buy 订单 下单 订购 购买
weather forecast 天气 气象
time clock 时间 几点
city town 城市
news headline 新闻
price cost 价格 价钱 多少钱
mail email message sms 邮件 邮箱 消息 发消息 短信
flight plane 航班 飞机
greet greeting hello 问候 问好 打招呼 你好
"""
"""Words on one line mean the same, so that a question matches a tool in the other language."""


def stem(word: str) -> str:
    """Folds case and cuts the commonest English endings: `Cities` -> `city`."""
    singular = re.sub(r"(?<=\w\w)ies$", "y", word.casefold())
    return re.sub(r"(?<=\w{3})(?:(?<=s)es|(?<!s)e?s|ing|ion|ed|e)$", "", singular)


_SENSE = {
    form: f"#{line.split()[0]}"
    for line in _SENSES.strip().splitlines()
    for word in line.split()
    for form in (word, stem(word))
}
SENSE_ZH = re.compile("|".join(sorted(filter(CJK_RUN.match, _SENSE), key=len, reverse=True)))


def words_of(text: str) -> list[str]:
    """`getCityInfo` or `get_city_info` -> `['get', 'city', 'info']`."""
    return [word.casefold() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def terms(text: str) -> set[str]:
    """What a text is about; stop words only where they have a sense ('about')."""
    found = set()
    for word in words_of(text):
        if sense := _SENSE.get(word) or _SENSE.get(stem(word)):
            found.add(sense)
        elif word not in STOP_WORDS:
            found.add(stem(word))
    found.update(_SENSE[word] for word in SENSE_ZH.findall(text))
    for run in CJK_RUN.findall(STOP_ZH.sub(" ", SENSE_ZH.sub(" ", text))):
        found.update(run[i : i + 2] for i in range(len(run) - 1))
    return found
