"""A consent as it is gone through: a gateway, the two servers around it, a browser here and one elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from mcpgov.credential.browser_sign_in import BrowserSignIns
from mcpgov.credential.consent import Consents, EntraConsent, Step
from mcpgov.decision import Reason
from mcpgov.endpoint.consent_pages import Visitor
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.json_web_token import KeySet, parse_key_set
from mcpgov.models import Principal, Secret
from mcpgov.web import GuardedWeb
from tests.credential.consenting import ALICE, CLIENT, GATEWAY, HOLDER, SIGN_IN, House, github
from tests.peers.authorization_server import AuthorizationServer

CALLBACK = f"{GATEWAY}/oauth/callback"
OWN_CALLBACK = f"{CALLBACK}/github"
HERE, ELSEWHERE = (Visitor(name, "203.0.113.7", f"request-of-{name}") for name in ("browser-1", "browser-2"))
HIS_KEY = "mcpgov_his"
ENTRA = EntraConsent("https://login.microsoftonline.com/t/oauth2/v2.0/authorize", "app-1")
USER = replace(ALICE, issuer="", subject="alice")


@dataclass
class Scene(House):
    """A gateway's consent over two loopback servers: one where callers sign in, one that is asked for tokens."""

    issuer: AuthorizationServer
    server: AuthorizationServer
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    note_fails: bool = False
    keys_fail: bool = False
    came_back_to: str = ""

    def __post_init__(self) -> None:
        web = GuardedWeb()
        sign_in = replace(
            SIGN_IN,
            issuer=self.issuer.url,
            configuration_url=f"{self.issuer.url}/.well-known/openid-configuration",
            private=True,
        )
        super().__init__(web, (sign_in,))
        self.user = replace(USER, issuer=self.issuer.url)
        self.client = replace(
            CLIENT,
            token_url=f"{self.server.url}/token",
            authorization_url=f"{self.server.url}/authorize",
            scopes=("read",),
            private=True,
        )
        self.connections = {"github": github(self.client)}
        for server, secret in ((self.issuer, SIGN_IN.client_secret), (self.server, CLIENT.client_secret)):
            assert secret is not None
            server.clock = self.now
            names = ("mcpgov", CALLBACK) if server is self.issuer else ("gateway", OWN_CALLBACK)
            server.register(names[0], secret.reveal(), names[1])
        self.consents = Consents(
            links=self.links,
            vault=self.vault,
            tokens=self.endpoint,
            browsers=BrowserSignIns(web, self.endpoint, self.keys, self.clock),
            connection=self.connections.get,
            key_holder=self.holder,
            note=self.note,
            now=self.clock,
        )

    def now(self) -> float:
        return self.clock().timestamp()

    async def keys(self, configuration_url: str, kid: str) -> KeySet:
        return parse_key_set((await self.web.get(f"{self.issuer.url}/jwks", private=True)).body)

    async def holder(self, key: Secret) -> Principal:
        if self.keys_fail:
            raise Refusal(Reason.KEYS_UNAVAILABLE, "Not now.")
        if not key.reveal().startswith("mcpgov_"):
            raise Refusal(Reason.CREDENTIAL_INVALID, "No.")
        return HOLDER if key == Secret(HIS_KEY) else replace(HOLDER, id="key:other")

    async def note(self, event: str, details: Mapping[str, str]) -> None:
        if self.note_fails:
            raise StoreUnavailable("disk full")
        self.notes.append((event, dict(details)))

    def link(self, principal: Principal | None = None) -> str:
        """What stands in the link that the principal was given."""
        refusal = self.links.required(self.connections["github"], principal or self.user)
        return refusal.link.removeprefix(f"{GATEWAY}/consent/")

    async def send_form(self, link: str, browser: Visitor = HERE, **fields: str) -> Step:
        """Open a link and send its form."""
        shown = await self.consents.show(link, browser)
        if shown.page != "ask":
            return shown
        return await self.consents.proceed(link, browser, {"form": shown.facts["form"], **fields})

    async def follow(self, step: Step, user: str) -> dict[str, str]:
        """Where a step leads, the user agrees; what the browser comes back with."""
        assert step.page == "leaving"
        self.issuer.auto_user = self.server.auto_user = user
        back = await self.web.get(step.leads_to, private=True)
        location = back.headers.get("location")
        assert location.partition("?")[0] in {CALLBACK, OWN_CALLBACK}
        self.came_back_to = location.partition("?")[0].removeprefix(CALLBACK).removeprefix("/")
        return dict(parse_qsl(urlsplit(location).query))

    async def back(self, query: Mapping[str, str], browser: Visitor = HERE) -> Step:
        """The browser comes back, to where it was last sent."""
        return await self.consents.come_back(self.came_back_to, query, browser)

    async def signed_in(self, user: str = "alice") -> Step:
        """The step after the user of a link has signed in."""
        return await self.back(await self.follow(await self.send_form(self.link()), user))

    async def with_key(self) -> Step:
        """The step after the holder of a key has shown it."""
        return await self.send_form(self.link(HOLDER), key=f" {HIS_KEY} ")

    async def kept(self, principal: Principal) -> str:
        """Whose token the vault has for the principal."""
        entry = await self.vault.find(principal.id, self.connections["github"], self.client)
        return self.server.user_of(entry.tokens.access.reveal()) if entry else ""
