"""JSON, as JSON.NET reads it."""

from __future__ import annotations

import pytest

from tests.policy.csharp.drafts import ARGUMENTS, draft, failure, refusal, value

ARGS = 'context.Request.Body.As<JObject>()["params"]["arguments"]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a["n"]', 5),
        ('a["missing"]', None),
        ('a["none"]', None),
        ('a["none"] == null', True),
        ('a["list"][1]', "b"),
        ('a["list"].Value<int>(0)', 1),
        ('a.Value<string>("name")', "Ann"),
        ('a.Value<string>("n")', "5"),
        ('a.Value<string>("on")', "True"),
        ('a.Value<string>("missing")', None),
        ('a.Value<int>("missing")', 0),
        ('a.Value<int>("half")', 0),
        ('a.Value<double>("n")', 5.0),
        ('a.Value<long>("on")', 1),
        ('a.Value<bool>("on")', True),
        ('a.Value<object>("on")', True),
        ('a["n"].Value<int>()', 5),
        ('a["n"].ToObject<long>()', 5),
        ('a.SelectToken("list[1]")', "b"),
        ('a.SelectToken("$.list[7]")', None),
        ('a.SelectToken("name.first")', None),
        ('a.SelectToken("$").ToString().Length > 9', True),
        ("a.SelectToken(\"['name']\")", "Ann"),
        ("a.HasValues", True),
        ('a["n"].HasValues', False),
        ('a["on"].ToString()', "True"),
        ('a["list"].ToString()', '[1,"b"]'),
        ('a["list"].ToString(Formatting.None)', '[1,"b"]'),
        ('((JObject)a).ContainsKey("n")', True),
        ("((JObject)a).Count", 6),
        ('((JObject)a).GetValue("n")', 5),
        ('((JArray)a["list"]).Count', 2),
        ('((JArray)a["list"]).First()', 1),
        ('((JArray)a["list"])[1]', "b"),
        ('(a["list"] as JArray).Any()', True),
        ('JObject.Parse("{\\"a\\": [1]}")["a"][0]', 1),
        ('JArray.Parse("[1, 2]").Count()', 2),
        ('JToken.Parse("1.5")', 1.5),
        ('JToken.Parse("true").Value<bool>()', True),
        ('JToken.Parse("\\"true\\"").Value<bool>()', True),
        ('JToken.Parse("\\"12\\"").Value<int>()', 12),
        ('JToken.Parse("\\"00000000-0000-0000-0000-000000000000\\"").Value<Guid>() == Guid.Empty', True),
    ],
)
def test_json_offers_what_it_does_in_json_net(text: str, expected: object) -> None:
    assert value(text.replace("a[", f"{ARGS}[").replace("a.", f"{ARGS}.").replace(")a)", f"){ARGS})")) == expected


def test_a_whole_object_is_the_arguments() -> None:
    assert value(ARGS) == ARGUMENTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('JObject.Parse("[]")', "Parse has no value for what it was given"),
        ('JArray.Parse("{}")', "Parse has no value for what it was given"),
        ('JToken.Parse("{")', "Parse has no value for what it was given"),
        ('JToken.Parse("[1]")["a"]', "an index has no value for what it was given"),
        ('JToken.Parse("[1]")[1]', "an index has no value for what it was given"),
        ('JToken.Parse("1")[0]', "an index has no value for what it was given"),
        ('JToken.Parse("{}")["a"]["b"]', "JToken[…] is asked of null"),
        ('JToken.Parse("{\\"a\\": {}}").Value<int>("a")', "Value has no value for what it was given"),
        ('JToken.Parse("\\"x\\"").Value<int>()', "Value has no value for what it was given"),
        ('JToken.Parse("\\"5.5\\"").Value<int>()', "Value has no value for what it was given"),
        ('JToken.Parse("5000000000").Value<int>()', "Value has no value for what it was given"),
        ('JToken.Parse("\\"x\\"").Value<bool>()', "Value has no value for what it was given"),
        ('JToken.Parse("\\"x\\"").Value<Guid>()', "Value has no value for what it was given"),
        ('JToken.Parse("5").Value<bool>()', "Value has no value for what it was given"),
        ('JToken.Parse("5").SelectToken("a" + "..b")', "SelectToken has no value for what it was given"),
    ],
)
def test_json_that_is_otherwise_is_an_error(text: str, expected: str) -> None:
    assert failure(text, draft()) == expected


def test_a_path_has_names_and_positions_only() -> None:
    assert "such a JSON path is not supported in expressions here" in refusal(f'{ARGS}.SelectToken("$..a")')


def test_json_is_read_as_what_it_can_be() -> None:
    assert "JToken.Value does not take <DateTime>(string)" in refusal(f'{ARGS}.Value<DateTime>("a")')
