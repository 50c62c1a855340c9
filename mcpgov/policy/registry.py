"""Every policy element there is. A new one is a file of its own and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.policy.elements.argument_rules import ArgumentRules
from mcpgov.policy.elements.authentication_managed_identity import AuthenticationManagedIdentity
from mcpgov.policy.elements.check_header import CheckHeader
from mcpgov.policy.elements.choose import Choose
from mcpgov.policy.elements.cors import Cors
from mcpgov.policy.elements.emit_metric import EmitMetric
from mcpgov.policy.elements.find_and_replace import FindAndReplace
from mcpgov.policy.elements.forward_headers import ForwardHeaders
from mcpgov.policy.elements.forward_request import ForwardRequest
from mcpgov.policy.elements.get_authorization_context import GetAuthorizationContext
from mcpgov.policy.elements.include_fragment import IncludeFragment
from mcpgov.policy.elements.ip_filter import IpFilter
from mcpgov.policy.elements.limit_concurrency import LimitConcurrency
from mcpgov.policy.elements.log_to_eventhub import LogToEventhub
from mcpgov.policy.elements.mock_response import MockResponse
from mcpgov.policy.elements.quarantine import Quarantine
from mcpgov.policy.elements.quota import Quota
from mcpgov.policy.elements.quota_by_key import QuotaByKey
from mcpgov.policy.elements.rate_limit import RateLimit
from mcpgov.policy.elements.rate_limit_by_key import RateLimitByKey
from mcpgov.policy.elements.result_rules import ResultRules
from mcpgov.policy.elements.retry import Retry
from mcpgov.policy.elements.return_response import ReturnResponse
from mcpgov.policy.elements.rewrite_uri import RewriteUri
from mcpgov.policy.elements.schema_rules import SchemaRules
from mcpgov.policy.elements.set_backend_service import SetBackendService
from mcpgov.policy.elements.set_body import SetBody
from mcpgov.policy.elements.set_header import SetHeader
from mcpgov.policy.elements.set_query_parameter import SetQueryParameter
from mcpgov.policy.elements.set_status import SetStatus
from mcpgov.policy.elements.set_variable import SetVariable
from mcpgov.policy.elements.tool_rules import ToolRules
from mcpgov.policy.elements.trace import Trace
from mcpgov.policy.elements.validate_azure_ad_token import ValidateAzureAdToken
from mcpgov.policy.elements.validate_jwt import ValidateJwt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.policy.place import Loadable

ELEMENTS: Final[Mapping[str, Loadable]] = {
    element.name: element
    for element in (
        ArgumentRules,
        AuthenticationManagedIdentity,
        CheckHeader,
        Choose,
        Cors,
        EmitMetric,
        FindAndReplace,
        ForwardHeaders,
        ForwardRequest,
        GetAuthorizationContext,
        IncludeFragment,
        IpFilter,
        LimitConcurrency,
        LogToEventhub,
        MockResponse,
        Quarantine,
        Quota,
        QuotaByKey,
        RateLimit,
        RateLimitByKey,
        ResultRules,
        Retry,
        ReturnResponse,
        RewriteUri,
        SchemaRules,
        SetBackendService,
        SetBody,
        SetHeader,
        SetQueryParameter,
        SetStatus,
        SetVariable,
        ToolRules,
        Trace,
        ValidateAzureAdToken,
        ValidateJwt,
    )
}
