"""A weather agent: it knows the weather and a few facts of some cities, in English and Chinese.

Run it with: scripts/server examples/ws_weather_agent.py

Ask 'What is the weather in Beijing and Tokyo?', 'Tell me about Shanghai' or
'北京今天天气怎么样？'. With OPENAI_API_KEY set a real model answers, without it
the offline demo model. The data is made up and built in.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from myagent import create_react_agent
from myagent.tool import BaseTool, ToolResult

DATA = """
Beijing   | 北京 | 22 | 35 | sunny  | 晴   | the capital of China, 21.9 million | 中国首都，2190 万
Shanghai  | 上海 | 26 | 68 | cloudy | 多云 | a port in China, 24.9 million      | 中国港口，2490 万
Guangzhou | 广州 | 30 | 84 | rainy  | 有雨 | a city in China, 18.7 million      | 中国城市，1870 万
Chengdu   | 成都 | 24 | 72 | grey   | 阴   | a city in China, 21.4 million      | 中国城市，2140 万
Tokyo     | 东京 | 25 | 55 | sunny  | 晴   | the capital of Japan, 14.2 million | 日本首都，1420 万
London    | 伦敦 | 14 | 81 | foggy  | 有雾 | the capital of the UK, 8.9 million | 英国首都，890 万
Paris     | 巴黎 | 18 | 60 | windy  | 有风 | the capital of France, 2.1 million | 法国首都，210 万
New York  | 纽约 | 20 | 48 | clear  | 晴朗 | a port in the USA, 8.3 million     | 美国港口，830 万
"""


@dataclass(frozen=True)
class City:
    name: str
    name_zh: str
    temperature_c: int
    humidity_percent: int
    sky: str
    sky_zh: str
    about: str
    about_zh: str


def read_city(line: str) -> City:
    name, name_zh, temperature, humidity, *texts = (cell.strip() for cell in line.split("|"))
    return City(name, name_zh, int(temperature), int(humidity), *texts)


CITIES = [read_city(line) for line in DATA.strip().splitlines()]
BY_NAME = {name.casefold(): city for city in CITIES for name in (city.name, city.name_zh)}


def find_city(name: str) -> City | None:
    return BY_NAME.get(name.strip().removesuffix("市").casefold())


def unknown(name: str) -> ToolResult:
    """The model is told what went wrong, and can say so or try again."""
    known = ", ".join(city.name for city in CITIES)
    return ToolResult(error=f"There is no data for '{name}'. Known cities: {known}.")


def is_chinese(name: str) -> bool:
    """A city that is asked for in Chinese is described in Chinese."""
    return not name.isascii()


CityName = Annotated[str, Field(description="City name, for example Beijing or 北京")]
Cities = Annotated[list[CityName], Field(min_length=2)]


class WeatherTool(BaseTool):
    name = "get_weather"
    description = "Get the weather of a city, how hot or humid it is. 查询城市的天气、气温、湿度"
    idempotent = True  # looking twice does no harm, so it may run again after a crash

    async def execute(self, city: CityName) -> ToolResult:
        found = find_city(city)
        if found is None:
            return unknown(city)
        facts = f"{found.temperature_c}°C, {found.humidity_percent}% humidity"
        if is_chinese(city):
            facts = f"气温 {found.temperature_c}°C，湿度 {found.humidity_percent}%"
            return ToolResult(output=f"{found.name_zh}今天{found.sky_zh}，{facts}。")
        return ToolResult(output=f"{found.name} is {found.sky} today: {facts}.")


class CityInfoTool(BaseTool):
    name = "get_city_info"
    description = "Tell about a city: country, population. 介绍城市：国家、人口"
    idempotent = True

    async def execute(self, city: CityName) -> ToolResult:
        found = find_city(city)
        if found is None:
            return unknown(city)
        if is_chinese(city):
            return ToolResult(output=f"{found.name_zh}是{found.about_zh}人口。")
        return ToolResult(output=f"{found.name} is {found.about} people.")


class WarmestTool(BaseTool):
    name = "find_warmest"
    description = "Compare cities and find the warmest. 比较几个城市，找出最暖和、最热的"
    idempotent = True

    async def execute(self, cities: Cities) -> ToolResult:
        temperatures = {}
        for name in cities:
            found = find_city(name)
            if found is None:
                return unknown(name)
            temperatures[name] = found.temperature_c
        warmest = max(cities, key=lambda name: temperatures[name])
        if is_chinese(warmest):
            return ToolResult(output=f"{warmest}最暖和，气温 {temperatures[warmest]}°C。")
        return ToolResult(output=f"{warmest} is the warmest, at {temperatures[warmest]}°C.")


agent = create_react_agent(
    name="weather",
    description="Weather and facts of a few cities",
    tools=[WeatherTool(), CityInfoTool(), WarmestTool()],
    system_prompt=(
        "You are a helpful assistant for weather and cities. Use the tools for facts, "
        "several at once when you can, and answer in the language of the question."
    ),
    max_steps=5,
    examples=[
        "What is the weather in Beijing and Tokyo?",
        "Tell me about Shanghai",
        "北京今天天气怎么样？",
        "上海和广州哪里更暖和？",
    ],
)
