"""What `loggers:` may say, and that mcpgov's token and signatures go to Azure's own event hubs."""

import pytest

from mcpgov.credential.references import EnvironmentAndFiles, unfetched
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.settings import parse_settings

TO = "https://contoso.servicebus.windows.net/events"
STRING = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=hunter2=="
AZURE = "azure: { tenant_id: 11111111-2222-4333-8444-555555555555 }"


@pytest.mark.parametrize(
    ("logger", "says"),
    [
        ("{}", "to is missing"),
        ("{ to: contoso }", "is not the URL of an event hub"),
        ("{ to: 'https://contoso.servicebus.windows.net' }", "is not the URL of an event hub"),
        ("{ to: 'https://contoso.servicebus.windows.net.evil.example/events' }", "is no event hub of Azure"),
        ("{ to: 'http://contoso.servicebus.windows.net/events' }", "is no event hub of Azure"),
        (f"{{ to: '{TO}', connection_string: hunter2 }}", "is no connection string"),
        (f"{{ to: '{TO}', connection_string: '{STRING.replace('contoso', '[')}' }}", "is no connection string"),
        (f"{{ to: '{TO}', connection_string: '{STRING.replace('hunter2==', '')}' }}", "is no connection string"),
        (f"{{ to: '{TO}', connection_string: '{STRING.replace('=send', '=')}' }}", "is no connection string"),
        (f"{{ to: '{TO}', connection_string: '{STRING}é' }}", "is no connection string"),
        (f"{{ to: '{TO}2', connection_string: '{STRING};EntityPath=events' }}", "another event hub"),
        (f"{{ to: '{TO}', connection_string: '{STRING.replace('contoso', 'other')}' }}", "another event hub"),
        (f"{{ to: '{TO}' }}", "the event hub asks who mcpgov is (add azure:"),
    ],
)
def test_what_cannot_be_in_force_is_refused(logger: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r".") as refused:
        parse_settings(f"loggers: {{ audit: {logger} }}", "mcpgov.yaml")
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_name_that_no_policy_could_write_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="is not the name of a logger"):
        parse_settings(f"loggers: {{ 'a b': {{ to: '{TO}' }} }}\n{AZURE}", "mcpgov.yaml")


@pytest.mark.parametrize("url", [TO, f"{TO}/messages", TO.replace("https", "sb"), TO.replace("contoso", "Contoso")])
def test_an_event_hub_is_written_in_several_ways(url: str) -> None:
    settings = parse_settings(f"loggers: {{ audit: {{ to: '{url}' }} }}\n{AZURE}", "mcpgov.yaml")
    assert settings.loggers["audit"].to == TO
    assert settings.loggers["audit"].shared_key is None


def test_the_key_of_a_connection_string_is_a_secret() -> None:
    text = f"loggers: {{ audit: {{ to: '{TO}', connection_string: '${{env:S}}' }} }}"
    logger = parse_settings(text, "x", EnvironmentAndFiles({"S": STRING})).loggers["audit"]
    assert logger.shared_key is not None
    assert (logger.shared_key.name, logger.shared_key.key) == ("send", Secret("hunter2=="))
    assert "hunter2" not in repr(logger) + repr(logger.shared_key)


def test_a_connection_string_that_lies_in_a_key_vault_is_known_only_to_a_running_gateway() -> None:
    text = (
        f"loggers: {{ audit: {{ to: '{TO}', connection_string: '${{secret:https://v.vault.azure.net/secrets/x}}' }} }}"
    )
    logger = parse_settings(text, "x", EnvironmentAndFiles({}, fetch=unfetched)).loggers["audit"]
    assert logger.shared_key is not None


def test_a_network_of_ones_own_may_have_another_host() -> None:
    text = f"loggers: {{ audit: {{ to: 'http://127.0.0.1:5672/events', private: true }} }}\n{AZURE}"
    assert parse_settings(text, "x").loggers["audit"].to == "http://127.0.0.1:5672/events"
