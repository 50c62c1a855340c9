"""What can happen to the gateway itself, besides calls: the words of control records. Pure."""

from __future__ import annotations

from enum import StrEnum


class ControlEvent(StrEnum):
    """What happened to the gateway itself."""

    START = "start"
    STOP = "stop"
    RELOAD = "reload"
    RELOAD_REFUSED = "reload-refused"
    LOG_LEVEL_CHANGED = "log-level-changed"  # more is logged from now on, or less
    CERTIFICATE_RENEWED = "certificate-renewed"  # what a listener presents
    CERTIFICATE_REFUSED = "certificate-refused"  # new files are unfit; the last good one stays
    KEY_CREATED = "key-created"
    KEY_REVOKED = "key-revoked"
    KEY_ROTATED = "key-rotated"
    CONSENT_GIVEN = "consent-given"
    CONSENT_REFUSED = "consent-refused"
    CONSENT_PAGE_RETURNED = "consent-page-returned"
    CONSENT_REVOKED = "consent-revoked"
    ADMIN_SIGNED_IN = "admin-signed-in"
    ADMIN_REFUSED = "admin-refused"
    ADMIN_ACTED = "admin-acted"
    ADMIN_KEY_CREATED = "admin-key-created"
    ADMIN_KEY_REVOKED = "admin-key-revoked"
    DIGEST_KEY_ROTATED = "digest-key-rotated"
    STORE_RECOVERED = "store-recovered"
    SINK_FAILED = "sink-failed"  # said by the others
    SINK_RECOVERED = "sink-recovered"
    CLOCK_REGRESSION = "clock-regression"
    PURGED = "purged"  # what was too old was removed
    VERIFIED = "verified"  # somebody had the ledger checked
    EXPORT_FAILING = "export-failing"  # a place takes no records; they wait
    EXPORT_RECOVERED = "export-recovered"
    EXPORT_REFUSED = "export-refused"  # records that a place will never take, and others were taken
    TOOLS_TRUSTED = "tools-trusted"  # at first sight, by nobody
    TOOL_PENDING = "tool-pending"  # new, and hidden until somebody has looked
    TOOL_DEFINITION_CHANGED = "tool-definition-changed"
    TOOL_APPROVED = "tool-approved"
    TOOL_REJECTED = "tool-rejected"
    CATALOG_PUBLISHING = "catalog-publishing"  # somebody is about to
    CATALOG_PUBLISHED = "catalog-published"  # what came of it
    CONNECTION_UNAVAILABLE = "connection-unavailable"  # its server cannot be used
    CONNECTION_AVAILABLE = "connection-available"
    WRITERS = "writers"  # names the last record of writers that ended
