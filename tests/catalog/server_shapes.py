"""Server entries in the shapes that registries hold: every sort of package and remote, alone and together."""

from collections.abc import Iterator, Mapping
from typing import Final

from mcpgov.catalog.server_shape import PUBLISHED, SCHEMA
from mcpgov.models import Json

Document = dict[str, Json]

SECRET: Final[Document] = {"name": "API_KEY", "description": "The key", "isRequired": True, "isSecret": True}
BEARER: Final[Document] = {
    "name": "Authorization",
    "value": "Bearer {token}",
    "isSecret": True,
    "variables": {"token": {"description": "A token", "isRequired": True, "isSecret": True}},
}
STDIO: Final[Document] = {"type": "stdio"}
HTTP: Final = "https://mcp.contoso.com/mcp"


def package(kind: str, identifier: str, **more: Json) -> Document:
    """A package that is spoken to over stdio."""
    return {"registryType": kind, "identifier": identifier, "transport": STDIO, **more}


def remote(url: str = HTTP, kind: str = "streamable-http", **more: Json) -> Document:
    """A remote."""
    return {"type": kind, "url": url, **more}


def positional(value: str, **more: Json) -> Document:
    """An argument that stands where it stands."""
    return {"type": "positional", "value": value, **more}


def named(name: str, **more: Json) -> Document:
    """An argument with a name."""
    return {"type": "named", "name": name, **more}


PACKAGES: Final[Mapping[str, Document]] = {
    "npm": package("npm", "@contoso/server-files", version="1.0.2"),
    "npm-runtime": package("npm", "@contoso/search", version="1.0.2", runtimeHint="npx"),
    "npm-base": package("npm", "search", version="0.6.2", registryBaseUrl="https://registry.npmjs.org"),
    "npm-env": package("npm", "@contoso/brave", version="1.0.2", environmentVariables=[SECRET]),
    "npm-env-default": package(
        "npm",
        "a",
        version="1.0.2",
        environmentVariables=[{"name": "LOG_LEVEL", "default": "info", "choices": ["info"]}],
    ),
    "npm-env-optional": package("npm", "a", version="2.0.0", environmentVariables=[{"name": "REGION"}]),
    "npm-positional": package("npm", "a", version="1.0.2", packageArguments=[positional("/data")]),
    "npm-hint": package(
        "npm", "a", version="1.0.2", packageArguments=[{"type": "positional", "valueHint": "path", "default": "/data"}]
    ),
    "npm-named": package("npm", "a", version="1.0.2", packageArguments=[named("--port", value="8080")]),
    "npm-flag": package("npm", "a", version="1.0.2", packageArguments=[named("--read-only")]),
    "npm-repeated": package(
        "npm", "a", version="1.0.2", packageArguments=[positional("/a", isRepeated=True, description="A folder")]
    ),
    "npm-runtime-arguments": package(
        "npm", "a", version="1.0.2", runtimeHint="npx", runtimeArguments=[positional("-y"), named("--silent")]
    ),
    "npm-number": package("npm", "a", version="1.0.2", packageArguments=[named("--n", format="number", default="3")]),
    "npm-boolean": package(
        "npm", "a", version="1.0.2", packageArguments=[named("--b", format="boolean", value="true")]
    ),
    "npm-file": package("npm", "a", version="1.0.2", packageArguments=[named("--f", format="filepath", default="./x")]),
    "npm-templated": package(
        "npm",
        "a",
        version="1.0.2",
        packageArguments=[named("--dir", value="{home}/x", variables={"home": {"default": "/srv"}})],
    ),
    "npm-prerelease": package("npm", "a", version="0.0.1-beta.3+build.7"),
    "npm-http": {**package("npm", "a", version="1.0.2"), "transport": remote("http://127.0.0.1:8080/mcp")},
    "npm-http-port": {**package("npm", "a", version="1.0.2"), "transport": remote("http://localhost:{port}/mcp")},
    "npm-sse": {**package("npm", "a", version="1.0.2"), "transport": remote("http://localhost:8080/sse", "sse")},
    "npm-unknown-member": package("npm", "a", version="1.0.2", x_contoso={"rank": 3, "score": 0.5}),
    "pypi": package("pypi", "mcp-server-time", version="0.6.2"),
    "pypi-uvx": package("pypi", "mcp-server-git", version="2025.1.14", runtimeHint="uvx"),
    "pypi-env": package(
        "pypi", "weather", version="0.5.0", environmentVariables=[SECRET, {"name": "UNITS", "value": "metric"}]
    ),
    "pypi-arguments": package(
        "pypi", "a", version="0.5.0", packageArguments=[named("--local-timezone", value="UTC"), positional("serve")]
    ),
    "oci": package("oci", "docker.io/contoso/server:1.0.0"),
    "oci-version": package("oci", "contoso/server", version="1.0.0", registryBaseUrl="https://docker.io"),
    "oci-ghcr": package("oci", "ghcr.io/contoso/server:1.2.3", runtimeHint="docker"),
    "oci-digest": package("oci", f"ghcr.io/contoso/server@sha256:{'a' * 64}"),
    "oci-env": package("oci", "ghcr.io/contoso/server:1.2.3", environmentVariables=[SECRET]),
    "oci-mount": package(
        "oci",
        "mcp/filesystem",
        version="1.0.2",
        runtimeHint="docker",
        runtimeArguments=[
            named("--mount", value="type=bind,src={source},dst=/project", variables={"source": {"format": "filepath"}})
        ],
        packageArguments=[{"type": "positional", "valueHint": "target_dir", "value": "/project"}],
    ),
    "nuget": package("nuget", "Contoso.Mcp.Server", version="0.1.0-beta", runtimeHint="dnx"),
    "nuget-base": package("nuget", "K.M", version="1.0.0", registryBaseUrl="https://api.nuget.org/v3/index.json"),
    "nuget-arguments": package(
        "nuget", "K.M", version="1.0.0", packageArguments=[positional("mcp"), positional("start")]
    ),
    "mcpb": package("mcpb", "https://github.com/a/b/releases/download/v1/x.mcpb", fileSha256="f" * 64, version="1.0.0"),
    "mcpb-plain": package("mcpb", "https://gitlab.com/a/b/x.mcpb", fileSha256="0" * 64),
    "cargo": package("cargo", "contoso-mcp", version="0.3.1"),
}
REMOTES: Final[Mapping[str, Document]] = {
    "http": remote(),
    "http-slash": remote("https://api.githubcopilot.com/mcp/"),
    "http-query": remote("https://contoso.search.windows.net/knowledgebases/a/mcp?api-version=2025-11-01-preview"),
    "http-port": remote("https://mcp.contoso.com:8443/v1/mcp"),
    "http-header": remote(headers=[{"name": "X-API-Key", "isRequired": True, "isSecret": True}]),
    "http-bearer": remote(headers=[BEARER]),
    "http-headers": remote(headers=[BEARER, {"name": "X-Region", "value": "eu"}, {"name": "X-Trace"}]),
    "http-choices": remote(headers=[{"name": "X-Tier", "choices": ["a", "b"], "default": "a", "placeholder": "a"}]),
    "http-tenant": remote(
        "https://{tenant}.contoso.com/mcp", variables={"tenant": {"default": "eu", "choices": ["eu"]}}
    ),
    "http-required": remote("https://{tenant}.contoso.com/mcp", variables={"tenant": {"isRequired": True}}),
    "http-base": remote("{base_url}/mcp", variables={"base_url": {"default": "https://mcp.contoso.com"}}),
    "http-path": remote("https://mcp.contoso.com/{org}/mcp", variables={"org": {"value": "contoso"}}),
    "http-dollar": remote(headers=[{"name": "X-Odd", "value": "a ${b} c"}]),
    "http-unknown-member": remote(x_contoso=[1, 2.5, None, True]),
    "sse": remote("https://mcp.contoso.com/sse", "sse"),
    "sse-header": remote("https://mcp.contoso.com/sse", "sse", headers=[SECRET]),
}
MEMBERS: Final[Mapping[str, Document]] = {
    "schema": {"$schema": SCHEMA},
    "title": {"title": "Contoso Wörter 工具"},
    "website": {"websiteUrl": "https://contoso.com/docs?x=1#top"},
    "repository": {"repository": {"url": "https://github.com/contoso/mcp", "source": "github"}},
    "monorepo": {
        "repository": {
            "url": "https://gitlab.com/contoso/mcp",
            "source": "gitlab",
            "id": "b94b5f7e-c7c6",
            "subfolder": "src/everything",
        }
    },
    "icon": {"icons": [{"src": "https://contoso.com/icon.png", "mimeType": "image/png", "sizes": ["48x48", "any"]}]},
    "icons": {
        "icons": [
            {"src": "https://contoso.com/a.svg", "theme": "dark", "mimeType": "image/svg+xml"},
            {"src": "https://contoso.com/b.webp", "theme": "light"},
        ]
    },
    "meta": {"_meta": {PUBLISHED: {"tool": "publisher-cli", "buildInfo": {"commit": "abc123", "n": 1, "ok": True}}}},
    "meta-empty": {"_meta": {}},
    "meta-foreign": {
        "_meta": {"com.contoso/tags": ["yes", "no", "~", "1.0", "0755", "null", "", " a ", "# b", "a: b"]}
    },
    "unknown": {"x-contoso": {"a": [{"b": []}, {}, [[1], []]], "c": "line\nbreak\ttab \u202e \u00a0 \u2028"}},
    "status": {"status": "active"},
    "many": {"remotes": list(REMOTES.values()), "packages": list(PACKAGES.values())},
    "empty": {"remotes": [], "packages": [], "icons": []},
}


def shapes() -> Iterator[tuple[str, Document]]:
    """Every shape by a name, each a whole server.json."""
    for key, sorts in (("packages", PACKAGES), ("remotes", REMOTES)):
        for name, part in sorts.items():
            yield f"{key}-{name}", {**server(name), key: [part]}
    for name, members in MEMBERS.items():
        yield name, {**server(name), **members}
    yield "several-remotes", {**server("several"), "remotes": [REMOTES["sse"], REMOTES["http-bearer"], REMOTES["http"]]}
    yield "remote-and-package", {**server("both"), "remotes": [remote()], "packages": [PACKAGES["npm-env"]]}


def server(name: str) -> Document:
    """The least that a server.json says."""
    return {"name": f"io.github.contoso/{name}", "description": f"What {name} does", "version": "1.4.0"}
