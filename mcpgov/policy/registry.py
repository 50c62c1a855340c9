"""Every policy element there is. A new one is a file of its own and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.policy.argument_rules import ArgumentRules
from mcpgov.policy.check_header import CheckHeader
from mcpgov.policy.choose import Choose
from mcpgov.policy.cors import Cors
from mcpgov.policy.emit_metric import EmitMetric
from mcpgov.policy.find_and_replace import FindAndReplace
from mcpgov.policy.forward_headers import ForwardHeaders
from mcpgov.policy.forward_request import ForwardRequest
from mcpgov.policy.include_fragment import IncludeFragment
from mcpgov.policy.ip_filter import IpFilter
from mcpgov.policy.limit_concurrency import LimitConcurrency
from mcpgov.policy.mock_response import MockResponse
from mcpgov.policy.quarantine import Quarantine
from mcpgov.policy.quota import Quota
from mcpgov.policy.quota_by_key import QuotaByKey
from mcpgov.policy.rate_limit import RateLimit
from mcpgov.policy.rate_limit_by_key import RateLimitByKey
from mcpgov.policy.result_rules import ResultRules
from mcpgov.policy.retry import Retry
from mcpgov.policy.return_response import ReturnResponse
from mcpgov.policy.rewrite_uri import RewriteUri
from mcpgov.policy.schema_rules import SchemaRules
from mcpgov.policy.set_backend_service import SetBackendService
from mcpgov.policy.set_body import SetBody
from mcpgov.policy.set_header import SetHeader
from mcpgov.policy.set_query_parameter import SetQueryParameter
from mcpgov.policy.set_status import SetStatus
from mcpgov.policy.set_variable import SetVariable
from mcpgov.policy.tool_rules import ToolRules
from mcpgov.policy.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.policy.place import Loadable

ELEMENTS: Final[Mapping[str, Loadable]] = {
    element.name: element
    for element in (
        ArgumentRules,
        CheckHeader,
        Choose,
        Cors,
        EmitMetric,
        FindAndReplace,
        ForwardHeaders,
        ForwardRequest,
        IncludeFragment,
        IpFilter,
        LimitConcurrency,
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
    )
}
