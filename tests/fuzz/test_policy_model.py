"""Policies made up of four elements decide as a second, simple interpreter says, call after call."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Spend, Spent
from mcpgov.policy.evaluate import Evaluation
from tests.examples import many
from tests.fuzz.reference import Call, Gateway
from tests.policy.calls import context, performed, policy, spending

TOOLS = ("get_issue", "get_secret", "delete_issue", "list")
PATTERNS = ("get_*", "*_issue", "list", "delete_*", "*", "get_?ecret")
NETWORKS = ("10.0.0.0/24", "10.0.0.7/32", "203.0.113.0/25")
REGIONS = ("eu", "us", "")
LIMITS = st.fixed_dictionaries({"calls": st.integers(1, 3), "renewal-period": st.sampled_from([10, 60])})
CONDITIONS = (
    *(f'request.headers["x-region"] == "{region}"' for region in REGIONS),
    *(f'mcp.tool.name == "{tool}"' for tool in TOOLS),
)
DENIED = st.fixed_dictionaries({"tool": st.sampled_from(PATTERNS)}, optional={"hide": st.booleans()})
ALLOW, DENY = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3), st.lists(DENIED, min_size=1, max_size=3)
Element = dict[str, Any]
FILTER = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["allow", "forbid"]),
        "addresses": st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=2, unique=True),
    }
)


def written(name: str, **members: Any) -> Element:
    """An element; what is None is left out."""
    return {name: {key: value for key, value in members.items() if value is not None}}


PLAIN: st.SearchStrategy[Element] = st.one_of(
    FILTER.map(lambda what: written("ip-filter", **what)),
    LIMITS.map(lambda what: {"rate-limit-by-key": what}),
    st.builds(written, st.just("tool-rules"), allow=ALLOW, deny=st.none() | DENY),
    st.builds(written, st.just("tool-rules"), deny=DENY),
)


def choosing(inner: st.SearchStrategy[Element]) -> st.SearchStrategy[Element]:
    """A choose with these elements in its branches."""
    branch = st.fixed_dictionaries(
        {"condition": st.sampled_from(CONDITIONS), "do": st.lists(inner, min_size=1, max_size=2)}
    )
    return st.fixed_dictionaries(
        {"when": st.lists(branch, min_size=1, max_size=2)},
        optional={"otherwise": st.lists(inner, min_size=1, max_size=2)},
    ).map(lambda what: {"choose": what})


DOCUMENTS = st.lists(PLAIN | choosing(PLAIN | choosing(PLAIN)), min_size=1, max_size=5)
CALLS = st.lists(
    st.tuples(
        *(st.sampled_from(TOOLS), st.sampled_from(["10.0.0.7", "10.0.0.8", "203.0.113.200"]), st.sampled_from(REGIONS)),
        st.sampled_from([0, 1, 9, 10, 60]),
    ),
    min_size=1,
    max_size=12,
)


@dataclass(slots=True)
class Counters:
    """Sliding windows under keys, with a clock that the test sets."""

    now: int = 0
    taken: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def spend(self, effect: Spend) -> Spent:
        """Take one, if there is room."""
        within = [at for at in self.taken.get(effect.key, []) if at > self.now - effect.period]
        room = len(within) + effect.count <= effect.calls
        self.taken[effect.key] = within + [self.now] * (effect.count if room else 0)
        return Spent(room, effect.calls, effect.calls - len(within), effect.period, 0 if room else effect.period)


def named(elements: list[Element], prefix: str) -> list[Element]:
    """The same elements, each limit with a key of its own."""
    made: list[Element] = []
    for number, element in enumerate(elements):
        at = f"{prefix}{number}"
        if limit := element.get("rate-limit-by-key"):
            made.append({"rate-limit-by-key": {**limit, "counter-key": f'"{at}"'}})
        elif choose := element.get("choose"):
            when = [{**one, "do": named(one["do"], f"{at}w{place}-")} for place, one in enumerate(choose["when"])]
            rest = {"otherwise": named(choose["otherwise"], f"{at}o-")} if "otherwise" in choose else {}
            made.append({"choose": {"when": when, **rest}})
        else:
            made.append(element)
    return made


@many
@given(DOCUMENTS, CALLS)
def test_every_decision_is_that_of_a_simple_interpreter(
    elements: list[Element], calls: list[tuple[str, str, str, int]]
) -> None:
    document = named(elements, "k")
    in_force = policy(json.dumps({"inbound": document}))
    reference, counters = Gateway(document), Counters()
    for tool, address, region, pause in calls:
        counters.now += pause
        asked = context(tool=tool, address=address, headers={"x-region": region})
        made = performed(Evaluation(in_force, asked).decide(), spending(counters.spend))
        assert str(made.reason) == reference.decide(Call(tool, address, region, counters.now)), (document, asked)
