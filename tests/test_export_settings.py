"""What `audit.exports:` may say, and that whatever else is written is refused with its mend."""

import pytest

from mcpgov.credential.references import EnvironmentAndFiles, unfetched
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.settings import parse_settings

STREAM = f"/dataCollectionRules/dcr-{'0a' * 16}/streams/Custom-McpGov_CL?api-version=2023-01-01"
AZURE = f"https://mcpgov-x1y2.westeurope-1.ingest.monitor.azure.com{STREAM}"
EVIL = AZURE.replace(".com", ".com.evil.example")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("audit: { exports: [] }", "exports is empty"),
        ("audit: { exports: [{ to: 'https://a.example' }] }", "name is missing"),
        ("audit: { exports: [{ name: A B, to: 'https://a.example' }] }", "name is no name of an export"),
        ("audit: { exports: [{ name: a, to: 'ftp://a.example' }] }", "to is no place for exports"),
        ("audit: { exports: [{ name: a, to: 'https://u:hunter2@a.example' }] }", "to is no place for exports"),
        ("audit: { exports: [{ name: a, to: 'https://[/x' }] }", "to is no place for exports"),
        (
            f"audit: {{ exports: [{{ name: a, to: 'https://[{STREAM}', format: azure-monitor, private: true }}] }}",
            "to is no place for exports",
        ),
        (
            "audit: { exports: [{ name: a, to: 'https://a.example', close_notify: false }] }",
            "which only syslog+tls has",
        ),
        ("audit: { exports: [{ name: a, to: 'syslog+udp://a:514' }] }", "loses records unseen (write syslog+tls://"),
        ("audit: { exports: [{ name: a, to: 'http://a.example' }] }", "in the clear"),
        ("audit: { exports: [{ name: a, to: 'syslog+tcp://a:514' }] }", "in the clear"),
        (
            "audit: { exports: [{ name: a, to: 'https://a.example', format: csv }] }",
            "as csv to https: (write format: otlp",
        ),
        (
            "audit: { exports: [{ name: a, to: 'https://a.example', format: azure-monitor }] }",
            "is no stream of a data collection rule",
        ),
        ("audit: { exports: [{ name: a, to: 'file:///a', format: azure-monitor }] }", "as azure-monitor to file:"),
        (
            f"audit: {{ exports: [{{ name: a, to: 'https://evil.example{STREAM}', format: azure-monitor }}] }}",
            "is no ingestion endpoint of Azure",
        ),
        (
            f"audit: {{ exports: [{{ name: a, to: '{EVIL}', format: azure-monitor }}] }}",
            "is no ingestion endpoint of Azure",
        ),
        (
            f"audit: {{ exports: [{{ name: a, to: '{AZURE}', format: azure-monitor, headers: {{ X-A: b }} }}] }}",
            "azure-monitor has its own",
        ),
        (
            f"audit: {{ exports: [{{ name: a, to: '{AZURE}', format: azure-monitor }}] }}",
            "Azure Monitor asks who mcpgov is (add azure:",
        ),
        ("audit: { exports: [{ name: a, to: 'file:///a', headers: { X-A: b } }] }", "which only http has"),
        (
            "audit: { exports: [{ name: a, to: 'https://a.example', headers: { Host: b } }] }",
            "no header that can be set",
        ),
        (
            'audit: { exports: [{ name: a, to: "https://a.example", headers: { X-A: "hunter2\\n" } }] }',
            "cannot be sent",
        ),
        ("audit: { exports: [{ name: a, to: 'file:///a' }, { name: a, to: 'file:///b' }] }", "two that are called a"),
    ],
)
def test_what_cannot_be_put_in_force_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration, match=r".") as refused:
        parse_settings(text, "conf/mcpgov.yaml")
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("to", "meant"),
    [
        ("file:///var/out", "jsonl"),
        ("https://collector.example:4318/v1/logs", "otlp"),
        ("syslog+tls://log.example:6514", "syslog"),
        ("syslog+tls://[2001:db8::1]:6514", "syslog"),
        ("${secret:https://v.vault.azure.net/secrets/x}", ""),
    ],
)
def test_an_export_goes_in_the_format_of_its_place(to: str, meant: str) -> None:
    text = f"audit: {{ exports: [{{ name: a, to: '{to}' }}] }}"
    (export,) = parse_settings(text, "x", EnvironmentAndFiles({}, fetch=unfetched)).audit.exports
    assert export.written_as == meant


def test_the_headers_of_an_export_are_secrets() -> None:
    text = "audit: { exports: [{ name: a, to: 'https://a.example', headers: { Authorization: 'Splunk ${env:HEC}' } }] }"
    settings = parse_settings(text, "x", EnvironmentAndFiles({"HEC": "hunter2"}))
    assert settings.audit.exports[0].headers == {"Authorization": Secret("Splunk hunter2")}
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "private", "scope"),
    [
        ("https://d.westeurope-1.ingest.monitor.azure.com", "false", "https://monitor.azure.com/.default"),
        ("https://d.chinaeast2-1.ingest.monitor.azure.cn", "false", "https://monitor.azure.cn/.default"),
        ("http://127.0.0.1:1", "true", "https://monitor.azure.com/.default"),
    ],
)
def test_azure_monitor_is_written_to_with_a_token_of_its_own_cloud(host: str, private: str, scope: str) -> None:
    export = f"{{ name: a, to: '{host}{STREAM}', format: azure-monitor, private: {private} }}"
    text = f"audit: {{ exports: [{export}] }}\nazure: {{ tenant_id: 11111111-2222-4333-8444-555555555555 }}"
    (found,) = parse_settings(text, "x").audit.exports
    assert (found.written_as, found.scope) == ("azure-monitor", scope)


def test_a_stream_that_lies_in_a_key_vault_is_known_only_to_a_running_gateway() -> None:
    export = "{ name: a, to: '${secret:https://v.vault.azure.net/secrets/x}', format: azure-monitor }"
    text = f"audit: {{ exports: [{export}] }}\nazure: {{ tenant_id: 11111111-2222-4333-8444-555555555555 }}"
    (found,) = parse_settings(text, "x", EnvironmentAndFiles({}, fetch=unfetched)).audit.exports
    assert (found.scheme, found.written_as) == ("", "azure-monitor")
