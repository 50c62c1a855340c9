"""The shape of the house, read from the syntax trees: who may import whom, what stays pure, what exists once.

Each rule is a function from modules to complaints. It is run on the package, where it must find nothing, and on a small
source that breaks it, where it must find something: a rule that cannot fail holds nothing.
"""

import ast
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Modules = Mapping[str, ast.Module]
Rule = Callable[[Modules], Iterator[str]]

STAGES = ("endpoint", "identity", "policy", "credential", "audit", "upstream")
PURE = (
    *("models", "decision", "errors", "yaml_source", "strict_json", "json_spans", "destinations", "json_web_token"),
    "messages",
    "handles",
    "pinning.mode",
    *("policy", "endpoint.inbound", "endpoint.reply", "identity.client_ip", "audit.record", "audit.chain"),
    *("audit.merkle", "audit.note", "audit.verify", "audit.proof", "audit.purge", "audit.columns", "audit.ended"),
    *("audit.exported", "audit.formats", "audit.happened"),
    *(
        "canonical_json",
        "pinning.definitions",
        "pinning.judgement",
        "pinning.pin_store",
        "pinning.place",
        *("pinning.diff", "pinning.signature"),
        "pinning.definition_lint",
        "audit.control_events",
    ),
    *("pinning.schema_lint", "pinning.text_lint", "pinning.finding", "pinning.revealed", "pinning.lookalikes"),
    *("aggregate.naming", "aggregate.merging", "aggregate.search", "aggregate.callbacks", "aggregate.events"),
    *("trace_context", "semantic_conventions", "upstream.traced"),
    *("publish.offer", "publish.clients", "publish.foundry", "publish.shown_tools", "publish.azure_policy"),
    *("publish.arm", "publish.api_center", "catalog.listed", "registry.asked", "registry.pages", "registry.cards"),
    "publish.routing",
    "backup.manifest",
    *("audit.levels", "audit.field_modes", "audit.values", "audit.recorded_values", "audit.tool_sets"),
    *(
        "endpoint.metadata",
        "endpoint.challenge",
        "diagnosis",
        *("audit.fields", "audit.phrases"),
        "audit.redact",
        "upstream.headers",
        "upstream.sse",
        "upstream.circuit",
        "upstream.due",
        "upstream.answer_parser",
    ),
)
# A module imports from its own layer and from those above it in this list; its longest prefix says which that is.
LAYERS = (
    ("", "frozen", "models", "decision", "errors", "pinning.mode", "trust"),
    PURE,
    ("web", "places", "buffers"),
    STAGES,
    (
        *(
            "settings",
            "shapes",
            "snapshot",
            "extras",
            "missing",
            "reload",
            "limiter",
            "effects",
            "policy_files",
            "policy_cases",
        ),
        *(
            "telemetry",
            "catalog",
            "pinning",
            "publish",
            "store",
            "identity_settings",
            "audit_settings",
            "database_settings",
            "aggregate_settings",
            "limit_settings",
            "log_settings",
            "tls_settings",
            "certificates",
            "export_settings",
            "settings_file",
            "backup",
            "doctor",
            "reporter",
            "accounts",
        ),
        *("policy_tokens", "server_urls", "admin.access", "worker", "replicas", "prometheus", "opentelemetry_export"),
        *(
            "host_tokens",
            "event_hubs",
            "logger_settings",
            "catalog_files",
            "registry_client",
            "entry_files",
            "text_files",
        ),
    ),
    ("pipeline",),
    (
        "endpoint.asgi",
        "registry",
        "admin",
        "console",
        "demo",
        "probe",
        "pinning.first_sight",
        "pinning.waiting_tools",
        "health",
        "aggregate",
    ),
    ("stage_settings", "cli"),
    ("identities", "database_tokens"),
    ("storage", "forwarding", "counting"),
    ("pinning.keeping", "upkeep", "operating", "observing", "supervisor", "exports", "examining"),
    ("openers", "azure_clients"),
    ("app",),
    ("__main__",),
)
# What a pure module may import from outside: no I/O, no clock, no randomness. Add a name only if it has none either.
PURE_IMPORTS = (
    *(
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "cel_expr_python",
        "codecs",
        "collections",
        "contextlib",
        "csv",
    ),
    *("copy", "dataclasses", "datetime", "decimal", "difflib", "enum", "fnmatch", "functools", "hashlib"),
    *(
        "heapq",
        "hmac",
        "html",
        "http.HTTPStatus",
        "httptools",
        "io.StringIO",
        "ipaddress",
        "itertools",
        "json",
        "jsonpath_rfc9535",
        "jsonschema_rs",
        "jwt",
        "cryptography",
    ),
    *("math", "operator", "pydantic", "re", "re2", "string", "struct"),
    *("textwrap", "types", "typing", "typing_extensions", "unicodedata", "urllib.parse", "yaml"),
)
IMPURE_CALLS = frozenset({"now", "utcnow", "today", "open", "print", "input", "read_text", "read_bytes"})
SQL_AND_REDIS = ("sqlite3", "sqlalchemy", "alembic", "psycopg", "redis")
MUTABLE = frozenset({"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict"})
BROAD_EXCEPT = frozenset({"mcpgov.pipeline", "mcpgov.audit.writer"})
LAZY_LOADER = "mcpgov.app"


@functools.cache
def package() -> dict[str, ast.Module]:
    """Every module of mcpgov by its dotted name; a package goes by the name of its folder."""
    files = sorted((ROOT / "mcpgov").rglob("*.py"))
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files)
    return {name: ast.parse(file.read_text("utf-8")) for name, file in zip(names, files, strict=True)}


@functools.cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Every node of a tree; each rule goes through the same ones."""
    return tuple(ast.walk(tree))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that is imported, wherever the import stands."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether `name` is one of `prefixes` or lies below one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def own_imports(name: str, modules: Modules) -> set[str]:
    """The modules of ours that `name` imports."""
    wanted = {item for item in imports(modules[name]) if is_in(item, ("mcpgov",))}
    return {item if item in modules else item.rpartition(".")[0] for item in wanted} - {name}


def room(name: str) -> str:
    """The dotted name inside the package: mcpgov.policy.evaluate -> policy.evaluate."""
    return name.removeprefix("mcpgov").removeprefix(".")


def layer(name: str) -> int:
    """The layer of a module; -1 where LAYERS does not know it."""
    places = ((len(prefix), -at) for at, row in enumerate(LAYERS) for prefix in row if is_in(room(name), (prefix,)))
    return -max(places, default=(0, 1))[1]


def imports_point_down(modules: Modules) -> Iterator[str]:
    """Nobody imports from a later layer, and every module has a layer."""
    for name in modules:
        if layer(name) < 0:
            yield f"{name} has no layer: say in LAYERS where it belongs"
        yield from (
            f"{name} imports {other}, which comes later"
            for other in own_imports(name, modules)
            if layer(other) > layer(name)
        )


def stages_do_not_meet(modules: Modules) -> Iterator[str]:
    """The six stages know nothing of each other; what one learns reaches the next through pipeline.py."""
    for name in modules:
        stage = room(name).partition(".")[0]
        others = tuple(f"mcpgov.{other}" for other in STAGES if other != stage)
        if stage in STAGES and layer(name) < layer("mcpgov.pipeline"):
            yield from (f"{name} imports {other}" for other in own_imports(name, modules) if is_in(other, others))


def only_app_imports_store(modules: Modules) -> Iterator[str]:
    """Persistence is chosen in one place."""
    for name in modules:
        if not is_in(room(name), ("app", "storage", "counting", "operating", "exports", "upkeep", "openers", "store")):
            yield from (
                f"{name} imports {other}" for other in own_imports(name, modules) if is_in(other, ("mcpgov.store",))
            )


def no_cycles(modules: Modules) -> Iterator[str]:
    """No module reaches itself, also not through TYPE_CHECKING or a function body."""
    graph = {name: own_imports(name, modules) & set(modules) for name in modules}
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    yield from (f"{name} is on or above an import cycle through {sorted(targets)}" for name, targets in graph.items())


def pure_modules_stay_pure(modules: Modules) -> Iterator[str]:
    """No I/O, no clock, no randomness where the deciding is done."""
    for name in (name for name in modules if is_in(room(name), PURE)):
        outside = (item for item in imports(modules[name]) if not is_in(item, ("mcpgov", *PURE_IMPORTS)))
        yield from (f"{name} imports {item}" for item in outside)
        for node in nodes(modules[name]):
            called = called_name(node)
            if called in IMPURE_CALLS:
                yield f"{name} calls {called}()"


def called_name(node: ast.AST) -> str:
    """The last part of the name that is called: x.y.z() -> z; empty where `node` is no such call."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def foreign_code_is_fenced(modules: Modules) -> Iterator[str]:
    """`mcp` in at most three files, azure.identity in one, SQL and Redis only in store/."""
    for fenced, most in ((("mcp", "mcp_types"), 3), (("azure.identity",), 1)):
        files = [name for name, tree in modules.items() if any(is_in(item, fenced) for item in imports(tree))]
        if len(files) > most:
            yield f"{fenced[0]} is imported in {len(files)} files, at most {most} may: {files}"
    for name, tree in modules.items():
        if not is_in(room(name), ("store",)):
            yield from (f"{name} imports {item}" for item in imports(tree) if is_in(item, SQL_AND_REDIS))


def forward_has_one_caller(modules: Modules) -> Iterator[str]:
    """One way through: pipeline.govern() alone calls upstream.forward."""
    outside = (name for name in modules if not is_in(room(name), ("upstream",)))
    callers = [name for name in outside for node in nodes(modules[name]) if called_name(node) == "forward"]
    if callers != ["mcpgov.pipeline"]:
        yield f"forward() is called in {callers}"


def broad_except_in_two_places(modules: Modules) -> Iterator[str]:
    """`except Exception` is for the two places that must outlive anything; each turns it into a refusal."""
    for name, tree in modules.items():
        broad = [ast.unparse(node).partition("\n")[0] for node in nodes(tree) if catches_everything(node)]
        if len(broad) > (name in BROAD_EXCEPT):
            yield f"{name} has {broad}"


def catches_everything(node: ast.AST) -> bool:
    """Whether a node is `except:`, or an except or a suppress() that names Exception or BaseException."""
    if isinstance(node, ast.ExceptHandler):
        caught = ast.walk(node.type) if node.type else iter([ast.Name("Exception")])
    else:
        caught = ast.walk(node) if called_name(node) == "suppress" else iter(())
    return any(isinstance(part, ast.Name) and part.id in {"Exception", "BaseException"} for part in caught)


def no_late_imports(modules: Modules) -> Iterator[str]:
    """A late import hides a cycle or a cost; only app.py may load, by name, what a plain start does not need."""
    for name, tree in modules.items():
        functions = [node for node in nodes(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        yield from (f"{name} imports inside {node.name}()" for node in functions if any(True for _ in imports(node)))
        loads = [node for node in nodes(tree) if called_name(node) in {"import_module", "__import__"}]
        if len(loads) > (name == LAZY_LOADER):
            yield f"{name} loads modules by name"


def no_module_state(modules: Modules) -> Iterator[str]:
    """What is assigned at the top of a module is a constant: UPPER_CASE if it could be changed, and never rebound."""
    for name, tree in modules.items():
        yield from (f"{name} has a global statement" for node in nodes(tree) if isinstance(node, ast.Global))
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and is_mutable(node.value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                named = [ast.unparse(target) for target in targets]
                yield from (
                    f"{name} keeps state in {target}"
                    for target in named
                    if not target.isupper() and target != "__all__"
                )


def is_mutable(value: ast.expr) -> bool:
    """Whether an expression makes a new container that can be changed."""
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return isinstance(value, displays) or called_name(value) in MUTABLE


BREACHES: Mapping[Rule, Mapping[str, str]] = {
    imports_point_down: {"mcpgov.models": "import mcpgov.settings", "mcpgov.settings": ""},
    stages_do_not_meet: {"mcpgov.audit.record": "from mcpgov.policy import evaluate", "mcpgov.policy.evaluate": ""},
    only_app_imports_store: {"mcpgov.pipeline": "from mcpgov.store.sqlite import Store", "mcpgov.store.sqlite": ""},
    no_cycles: {
        "mcpgov.models": "if TYPE_CHECKING:\n    from mcpgov.errors import Refusal",
        "mcpgov.errors": "def late():\n    import mcpgov.models",
    },
    pure_modules_stay_pure: {"mcpgov.policy.evaluate": "from datetime import datetime\nNOW = datetime.now()"},
    foreign_code_is_fenced: {"mcpgov.catalog.entries": "import sqlite3"},
    forward_has_one_caller: {"mcpgov.pipeline": "upstream.forward()", "mcpgov.cli.probe": "upstream.forward()"},
    broad_except_in_two_places: {"mcpgov.limiter": "try:\n    spend()\nexcept (OSError, Exception):\n    pass"},
    no_late_imports: {"mcpgov.limiter": "def late():\n    import time"},
    no_module_state: {"mcpgov.limiter": "buckets = {}"},
}


@pytest.mark.parametrize("rule", BREACHES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(package())) == []


@pytest.mark.parametrize("rule", BREACHES, ids=lambda rule: rule.__name__)
def test_a_breach_of_the_rule_is_reported(rule: Rule) -> None:
    assert list(rule({name: ast.parse(source) for name, source in BREACHES[rule].items()})) != []
