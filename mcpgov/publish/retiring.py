"""What an API Center still has of versions that are served no more, and the calls that end that. Pure.

Rules: an API that is called like a connection is the gateway's, and the one version that is served there is the only
one that counts: every other is `retired`. Where none is served any more, nothing can be called: the deployment is
`inactive` and names no URL. Nothing is deleted, so that people still find what became of it. What is retired already is
left alone, so that publishing twice changes nothing; of what was never published, nothing is made.
Source: Microsoft.ApiCenter 2024-03-01 (LifecycleStage, DeploymentState).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.publish.api_center import ENVIRONMENT, GATEWAY, MOST_TITLE, version_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.models import Json
    from mcpgov.publish.api_center import Center
    from mcpgov.publish.arm import Call

RETIRED: Final = "retired"
INACTIVE: Final = "inactive"
_NAME: Final = re.compile(r"[A-Za-z0-9-]{3,90}")


@frozen
class Past:
    """A connection, with the versions that the catalog says are served there no more; `current` is the one that is."""

    connection: str
    versions: tuple[str, ...] = ()
    current: str = ""

    @property
    def gone(self) -> bool:
        """Whether nothing is served there any more."""
        return not self.current


@frozen
class Kept:
    """A version as the API Center has it."""

    id: str
    title: str
    stage: str


def versions_question(center: Center, past: Past) -> Call:
    """Asks which versions there are. Raises NotOffered."""
    return center.question("apis", past.connection, "versions")


def deployment_question(center: Center, past: Past) -> Call:
    """Asks where it runs. Raises NotOffered."""
    return center.question("apis", past.connection, "deployments", GATEWAY)


def kept_versions(answer: Json) -> Iterator[Kept]:
    """The versions that an answer lists; what is none is passed over."""
    listed = answer.get("value") if isinstance(answer, dict) else None
    for one in listed if isinstance(listed, list) else ():
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str) and _NAME.fullmatch(name):
            said = properties_of(one)
            yield Kept(name, str(said.get("title") or name)[:MOST_TITLE], str(said.get("lifecycleStage", "")))


def properties_of(answer: Json) -> Mapping[str, Json]:
    """The properties of a resource; none where there are none."""
    properties = answer.get("properties") if isinstance(answer, dict) else None
    return properties if isinstance(properties, dict) else {}


def retiring_calls(center: Center, past: Past, kept: Iterable[Kept]) -> Iterator[Call]:
    """Retire every version but the one that is served. Raises NotOffered."""
    current = version_id(past.current) if past.current else ""
    for one in kept:
        if one.id.lower() != current and one.stage.lower() != RETIRED:
            below = ("apis", past.connection, "versions", one.id)
            yield center.call(*below, title=one.title, lifecycleStage=RETIRED)


def withdrawing_calls(center: Center, past: Past, properties: Mapping[str, Json]) -> Iterator[Call]:
    """Take the URL away from a deployment that has these properties, where it is ours. Raises NotOffered."""
    server = properties.get("server")
    offers = server.get("runtimeUri") if isinstance(server, dict) else None
    ours = str(properties.get("environmentId", "")).lower().endswith(f"/environments/{ENVIRONMENT}")
    if ours and (offers or properties.get("state") != INACTIVE):
        named = {key: properties[key] for key in ("title", "environmentId", "definitionId") if key in properties}
        below = ("apis", past.connection, "deployments", GATEWAY)
        yield center.call(*below, **named, state=INACTIVE, server={"runtimeUri": []})


def supposed_calls(center: Center, past: Past) -> Iterator[Call]:
    """What is asked, and what follows if the API Center has what the catalog knows of. Raises NotOffered."""
    if past.gone:
        workspace, version = f"/workspaces/{center.workspace}", version_id(past.versions[-1])
        definition = f"{workspace}/apis/{past.connection}/versions/{version}/definitions/default"
        supposed: dict[str, Json] = {"environmentId": f"{workspace}/environments/{ENVIRONMENT}"}
        yield deployment_question(center, past)
        yield from withdrawing_calls(center, past, {**supposed, "definitionId": definition})
    yield versions_question(center, past)
    yield from retiring_calls(center, past, [Kept(version_id(one), one[:MOST_TITLE], "") for one in past.versions])
