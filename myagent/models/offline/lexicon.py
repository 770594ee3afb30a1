"""What the demo model knows of languages: words that carry no topic, and words that mean the same.

Plain data. A group of `SAME_MEANING` lets a question in one language fit a
tool that is described in the other; nothing here knows a particular tool.
"""

# ruff: noqa: SIM905 - word lists are read and edited as text
from __future__ import annotations

STOP_WORDS = frozenset(
    """
    a about above after again ago all also am an and any anything are around as ask at back be been
    before being below best between both but by call can cannot check could current currently did do
    does doing done down during each either else ever every exactly few fine first for from further
    give gave go going gonna good got great had has have having he hello help her here hers hey hi
    him his how however i if in into is it its itself just kindly know last later latest least let
    lets like little look make many may maybe me might mine more most much must my myself near need
    never next no nor not now nowadays of off oh ok okay on once one only onto or other our ours out
    over please put quite rather really right run same say see set shall she should show since so
    some somebody someone something soon sort still such sure take tell than thank thanks that the
    their theirs them then there these they thing this those through thus till to today together
    tomorrow tonight too tool try turn under until up upon us use using value very via wanna want
    was way we well were what whatever when where whether which while who whom whose why will wish
    with within without won would yes yesterday yet you your yours yourself
    d ll m re s t ve don doesn didn isn aren wasn weren couldn wouldn shouldn hasn haven
    nice cool bye goodbye morning evening afternoon
    get gets getting fetch obtain retrieve return returns given specified
    asking looking telling showing giving wanted needed liked asked thinking wondering
    compare named called saying says as equal equals run execute invoke
    """.split()
)

WEAK_TOOL_WORDS = frozenset(
    """
    optional required default parameter argument input output number string integer boolean list
    array object type format name id example function tool result
    """.split()
)
"""Words of descriptions that say little about what a tool is for."""

TIME_WORDS = (
    "the day after tomorrow",
    "day after tomorrow",
    "this week",
    "next week",
    "tomorrow",
    "yesterday",
    "tonight",
    "today",
    "大后天",
    "后天",
    "明天",
    "今天",
    "昨天",
    "前天",
    "今晚",
    "下周",
    "本周",
    "这周",
    "周末",
)

PREPOSITIONS = frozenset(
    "about at by for from in into named called near of on regarding to with within".split()
)

STOP_PHRASES_ZH = (
    """
    怎么样 怎样 如何 怎么 什么样 什么 为什么 多少 多大 多高 多久 多长 几点 几个 哪里 哪儿 哪个
    哪些 谁是 是不是 有没有 能不能 可不可以 是否 会不会 要不要 可以 能够 可能 应该 需要 想要
    想知道 我想 我要 我们 你们 他们 请问 请你 请帮 请给 请 麻烦你 麻烦 帮我 帮忙 帮 给我 告诉我
    告诉 跟我说 说说 讲讲 谈谈 聊聊 介绍一下 介绍 了解一下 了解 查询一下 查询 查一下 查一查 查查
    看一下 看看 看一看 问一下 搜一下 算一下 一下 一个 一些 知道 现在 目前 当前 今天 明天 后天
    大后天 昨天 前天 今晚 最近 刚才 这里 那里 那儿 这儿 这个 那个 这些 那些 情况 的话 一点 一共
    总共 以及 还有 并且 而且 然后 或者 或是 还是 关于 有关 对于 根据 按照 使用 调用 用一下 执行
    运行 获取 得到 返回 指定 给定 进行 你好 您好 谢谢 多谢 再见 好的 没有 不是 不要 那么 比较
    """
).split()

PARTICLES_ZH = frozenset("的了吗呢吧啊呀哦嘛")
EDGE_CHARS_ZH = PARTICLES_ZH | frozenset(
    "我你您他她它请在查看问找给从到把将用以对为向帮那这和与跟及或有是去会能要想说发送让个之也都就还同"
)
"""Single characters that are no part of a value when they stand at its edge."""

SAME_MEANING: tuple[tuple[str, ...], ...] = (
    # English words as written, Chinese ones as they stand in a sentence.
    (
        *("about", "info", "information", "detail", "describe", "description", "introduce"),
        *("introduction", "overview", "profile", "fact", "介绍", "信息", "资料", "概况", "详情"),
        "了解",
    ),
    ("search", "find", "lookup", "query", "搜索", "查找", "检索"),
    ("create", "add", "new", "register", "创建", "新建", "添加", "增加", "新增"),
    ("delete", "remove", "erase", "删除", "移除", "删掉"),
    ("update", "change", "modify", "edit", "修改", "更新", "更改", "编辑"),
    ("send", "deliver", "发送", "寄送", "发给"),
    ("list", "enumerate", "列出", "列表", "清单"),
    ("calculate", "compute", "calculator", "计算", "运算"),
    ("convert", "conversion", "转换", "换算", "兑换"),
    ("translate", "translation", "translator", "翻译"),
    ("compare", "comparison", "versus", "比较", "对比", "相比"),
    ("count", "amount", "quantity", "数量", "个数"),
    ("sum", "total", "add up", "总和", "合计", "求和", "相加"),
    ("order", "purchase", "buy", "订单", "下单", "订购", "购买"),
    ("cancel", "取消", "撤销"),
    ("open", "打开", "开启"),
    ("close", "关闭"),
    ("start", "begin", "launch", "启动", "开始"),
    ("stop", "halt", "停止"),
    ("weather", "forecast", "天气", "气象"),
    ("temperature", "温度", "气温"),
    ("time", "clock", "时间", "几点"),
    ("date", "day", "日期"),
    ("city", "town", "城市"),
    ("country", "nation", "国家"),
    ("language", "语言"),
    ("news", "headline", "新闻"),
    ("price", "cost", "价格", "价钱", "多少钱"),
    ("stock", "share", "股票", "股价"),
    ("currency", "exchange", "货币", "汇率"),
    ("email", "mail", "邮件", "邮箱"),
    ("message", "sms", "消息", "短信"),
    ("reminder", "remind", "提醒"),
    ("note", "memo", "笔记", "备忘"),
    ("file", "document", "文件", "文档"),
    ("folder", "directory", "目录", "文件夹"),
    ("user", "account", "用户", "账户", "账号"),
    ("customer", "client", "客户", "顾客"),
    ("product", "item", "goods", "产品", "商品"),
    ("book", "图书", "书籍"),
    ("movie", "film", "电影"),
    ("music", "song", "音乐", "歌曲"),
    ("restaurant", "餐厅", "饭店"),
    ("hotel", "酒店", "宾馆"),
    ("flight", "plane", "航班", "飞机"),
    ("train", "火车", "列车"),
    ("ticket", "车票", "门票"),
    ("map", "route", "地图", "路线"),
    ("population", "人口"),
    ("area", "面积"),
    ("greet", "greeting", "hello", "问候", "问好", "打招呼", "你好"),
    ("joke", "笑话"),
    ("random", "随机"),
    ("number", "数字", "号码"),
    ("password", "密码"),
    ("database", "table", "数据库", "数据表"),
    ("echo", "repeat", "重复", "复述"),
)

TEXT_NAMES = frozenset(
    """
    text message msg content contents body query question prompt sentence phrase input comment note
    title subject keyword keywords topic search description reason summary
    """.split()
)
"""Names of parameters that hold a stretch of free text rather than a word."""

LEADING_FILLER = PREPOSITIONS | frozenset(
    "a an the this that these those me please following my your and to then with can you us".split()
)
"""Common words that introduce a free text and are no part of it."""

ROLES: dict[str, tuple[str, ...]] = {
    "to": ("to", "into", "给", "到", "至", "向", "成"),
    "from": ("from", "从", "由"),
    "at": ("at",),
    "by": ("by",),
}
"""Prepositions that announce a parameter, by the role in its name."""

ROLE_NAMES: dict[str, str] = {
    **dict.fromkeys(("to", "target", "destination", "dest", "recipient", "receiver", "end"), "to"),
    **dict.fromkeys(("from", "source", "origin", "start", "sender", "departure"), "from"),
    **dict.fromkeys(("at", "time", "hour"), "at"),
    **dict.fromkeys(("by", "author"), "by"),
}

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMBER_WORDS = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
