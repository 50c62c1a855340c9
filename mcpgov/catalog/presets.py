"""The platform's well-known servers: where each is, how it is signed in to, and what has to be said to add one.

Pure data. The facts are Microsoft's and GitHub's documentation; what differs from one tenant to the next is a variable,
and no preset holds a secret: a key is a reference to a variable of the environment. Refuses to know: files.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from mcpgov.catalog.urls import check_url
from mcpgov.catalog.ways import Choice, Draft, free_name
from mcpgov.catalog.withheld import reference
from mcpgov.credential.references import Unfit
from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.models import Json

_SEARCH: Final = "https://search.azure.com"
_SOURCE: Final = "x-ms-query-source-authorization"
_TOOLS: Final = "ea9ffc3e-8a23-4a7d-836d-234d7c7565c1"  # Agent 365 Tools


@frozen
class Preset:
    """One server. `{names}` in the URL are said with --var; of `keys` a value that is empty is a secret to be set.

    `choices` are the ways to sign in that the server knows, the first one is taken unless another is chosen.
    """

    server: str
    title: str
    description: str
    url: str
    choices: tuple[AuthType, ...] = (AuthType.NONE,)
    audience: str = ""
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    publisher: str = "Microsoft"
    category: str = ""
    notes: tuple[str, ...] = ()


_ENTRA: Final = (AuthType.PROJECT_MANAGED_IDENTITY, AuthType.AGENTIC_IDENTITY, AuthType.USER_ENTRA)
PRESETS: Final[Mapping[str, Preset]] = {
    "github": Preset(
        server="com.github/github-mcp-server",
        title="GitHub",
        description="Repositories, issues and pull requests",
        url="https://api.githubcopilot.com/mcp/",
        choices=(AuthType.CUSTOM_KEYS,),
        keys={"Authorization": "Bearer "},
        publisher="GitHub",
        category="Developer tools",
        notes=("the key is a personal access token; a header X-MCP-Readonly: true keeps the server from writing",),
    ),
    "microsoft-learn": Preset(
        server="com.microsoft/learn",
        title="Microsoft Learn",
        description="Search and read the documentation of Microsoft and Azure",
        url="https://learn.microsoft.com/api/mcp",
        category="Documentation",
    ),
    "ai-search": Preset(
        server="com.microsoft/ai-search",
        title="Azure AI Search knowledge base",
        description="Ask a knowledge base of Azure AI Search",
        url="https://{service}.search.windows.net/knowledgebases/{knowledge-base}/mcp?api-version={api-version}",
        choices=_ENTRA,
        audience=_SEARCH,
        defaults={"api-version": "2025-11-01-preview"},
        category="Databases",
        notes=(
            "mcpgov's identity needs the role Search Index Data Reader",
            f"for what the user may read: callerToken: {{ header: {_SOURCE}, audience: {_SEARCH} }}",
        ),
    ),
    "logic-apps": Preset(
        server="com.microsoft/logic-apps",
        title="Azure Logic Apps",
        description="Workflows of a logic app as tools",
        url="{url}",
        choices=_ENTRA,
        audience="https://logic.azure.com",
        category="Integration",
        notes=("url is the address of the MCP server that the logic app shows, https://…/mcp",),
    ),
    "functions": Preset(
        server="com.microsoft/functions",
        title="Azure Functions",
        description="Functions of an app as tools",
        url="https://{app}.azurewebsites.net/runtime/webhooks/mcp",
        choices=(AuthType.CUSTOM_KEYS,),
        keys={"x-functions-key": ""},
        category="Integration",
        notes=("the key is the system key mcp_extension of the function app",),
    ),
    "speech": Preset(
        server="com.microsoft/speech",
        title="Azure Speech",
        description="Speech to text and text to speech",
        url="https://{resource}.cognitiveservices.azure.com/speech/mcp?api-version={api-version}",
        choices=(AuthType.CUSTOM_KEYS,),
        keys={"Ocp-Apim-Subscription-Key": "", "X-Blob-Container-Url": ""},
        defaults={"api-version": "2025-11-15-preview"},
        category="AI services",
        notes=(
            "X-Blob-Container-Url is a URL with a shared access signature, and so a secret",
            "where the portal shows another URL, or a header Authorization, write these",
        ),
    ),
    "agent-365": Preset(
        server="com.microsoft/agent-365",
        title="Agent 365",
        description="Mail, calendar, Teams and files of Microsoft 365",
        url="https://agent365.svc.cloud.microsoft/agents/tenants/{tenant}/servers/{server}",
        choices=(AuthType.USER_ENTRA, AuthType.AGENTIC_IDENTITY),
        audience=_TOOLS,
        category="Productivity",
        notes=(
            "server is one like mcp_MailTools, mcp_CalendarTools, mcp_TeamsServer or mcp_WordServer",
            "the application needs the permission of that server at Agent 365 Tools, like McpServers.Mail.All",
        ),
    ),
    "dynamic-sessions": Preset(
        server="com.microsoft/dynamic-sessions",
        title="Azure Container Apps dynamic sessions",
        description="Run code in a sandbox of a session pool",
        url="{url}",
        choices=(AuthType.CUSTOM_KEYS,),
        keys={"x-ms-apikey": ""},
        category="Developer tools",
        notes=("url is the MCP endpoint of the session pool, the key its API key: Azure Resource Manager has both",),
    ),
    "foundry": Preset(
        server="com.microsoft/foundry",
        title="Microsoft Foundry",
        description="Models, agents and evaluations of Microsoft Foundry",
        url="https://mcp.ai.azure.com",
        choices=(AuthType.USER_ENTRA, AuthType.PROJECT_MANAGED_IDENTITY, AuthType.AGENTIC_IDENTITY),
        audience="https://mcp.ai.azure.com",
        category="Developer tools",
        notes=("it can change what it manages: allow its tools one by one, and keep people in the loop",),
    ),
    "foundry-toolbox": Preset(
        server="com.microsoft/foundry-toolbox",
        title="Foundry toolbox",
        description="The tools of a toolbox of a Foundry project",
        url="{project}/toolboxes/{toolbox}/mcp?api-version=v1",
        choices=_ENTRA,
        audience="https://ai.azure.com",
        category="Developer tools",
        notes=(
            "project is the project's endpoint, https://RESOURCE.services.ai.azure.com/api/projects/PROJECT",
            "the server asks for the header Foundry-Features: Toolboxes=V1Preview; let a policy set it",
            "where the audience is wrong it lists no tools, and says nothing else",
        ),
    ),
}


def variables_of(preset: Preset) -> tuple[str, ...]:
    """What has to be said with --var, in order; what has a default is left out."""
    names = (part.partition("}")[0] for part in preset.url.split("{")[1:])
    return tuple(name for name in dict.fromkeys(names) if name not in preset.defaults)


def drafted(name: str, choice: Choice, auth_type: AuthType | None, server: str) -> Draft:
    """The entry of a preset; `server` is its name in the registry's form where that is to be another. Raises Unfit."""
    if name not in PRESETS:
        raise Unfit("is not a preset", nearest(name, PRESETS))
    preset = PRESETS[name]
    given = {**preset.defaults, **choice.variables}
    if missing := [variable for variable in variables_of(preset) if variable not in given]:
        raise Unfit(f"needs {', '.join(missing)}", " ".join(f"--var {variable}=VALUE" for variable in missing))
    url = preset.url
    for variable, value in given.items():
        url = url.replace(f"{{{variable}}}", value.rstrip("/") if variable == "project" else value)
    check_url(url, private=choice.private)
    kind = auth_type or preset.choices[0]
    if kind not in preset.choices:
        raise Unfit(f"is not signed in to by {kind}", f"it takes {', '.join(preset.choices)}")
    document: dict[str, Json] = {"name": server or preset.server, "title": preset.title, "version": "1.0.0"}
    document |= {"description": preset.description, "publisher": preset.publisher}
    document |= {"categories": [preset.category]} if preset.category else {}
    document["upstream"] = url
    document |= {"private": True} if choice.private else {}
    connection = choice.connection or free_name({"name": f"/{name}"}, choice.taken)
    document["connections"] = {connection: dict(_signed_in(preset, kind, connection, given))}
    return Draft(document, preset.notes)


def _signed_in(preset: Preset, kind: AuthType, connection: str, given: Mapping[str, str]) -> Iterator[tuple[str, Json]]:
    """The keys of the connection that say how mcpgov signs in."""
    yield "authType", kind.value
    if kind is AuthType.CUSTOM_KEYS:
        yield "keys", {name: f"{scheme}{reference(connection, name)}" for name, scheme in preset.keys.items()}
    elif kind is not AuthType.NONE:
        yield "audience", preset.audience
    if kind is AuthType.AGENTIC_IDENTITY:
        if "agentIdentity" not in given:
            raise Unfit(
                "is signed in to as an agent identity, and nothing says as which", "say --var agentIdentity=GUID"
            )
        yield "agentIdentity", given["agentIdentity"]
