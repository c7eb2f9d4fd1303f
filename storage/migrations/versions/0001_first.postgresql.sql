CREATE TABLE tenants (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    limit_per_minute INTEGER,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
)
--;
CREATE TABLE idempotency_keys (
    tenant_id VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    status_code INTEGER,
    answer JSON,
    headers JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, route, key)
)
--;
CREATE TABLE quota_uses (
    subject VARCHAR NOT NULL,
    full_at TIMESTAMP WITH TIME ZONE,
    warned_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (subject)
)
--;
CREATE TABLE auth_failures (
    address VARCHAR NOT NULL,
    failures INTEGER NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    locked_until TIMESTAMP WITH TIME ZONE,
    key_id VARCHAR,
    PRIMARY KEY (address)
)
--;
CREATE TABLE saga_steps (
    workflow_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    result JSON,
    undone JSON,
    attempt INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    undone_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (workflow_id, name),
    CONSTRAINT step_state CHECK (state IN ('done','undone','fenced'))
)
--;
CREATE TABLE connector_operations (
    connector VARCHAR NOT NULL,
    operation_id VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    request JSON NOT NULL,
    answer JSON NOT NULL,
    calls INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connector, operation_id)
)
--;
CREATE TABLE installation (
    name VARCHAR NOT NULL,
    content VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (name)
)
--;
CREATE TABLE artifacts (
    sha256 VARCHAR NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (sha256)
)
--;
CREATE TABLE component_statuses (
    workflow_id VARCHAR NOT NULL,
    component VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    incident_id VARCHAR,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (workflow_id, component),
    CONSTRAINT component_status CHECK (status IN ('operational','degraded','down')),
    CONSTRAINT component_incident CHECK ((incident_id IS NULL) = (status = 'operational'))
)
--;
CREATE TABLE api_keys (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    prefix VARCHAR NOT NULL,
    last4 VARCHAR NOT NULL,
    digest BYTEA NOT NULL,
    scopes JSON NOT NULL,
    allow_cidrs JSON NOT NULL,
    limit_per_minute INTEGER,
    limit_per_hour INTEGER,
    is_root BOOLEAN NOT NULL,
    replaces VARCHAR,
    created_by VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX ix_api_keys_tenant_id ON api_keys (tenant_id)
--;
CREATE TABLE endpoints (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    name VARCHAR,
    description VARCHAR,
    event_types JSON NOT NULL,
    payload_filter JSON,
    headers_sealed BYTEA,
    signature_style VARCHAR NOT NULL,
    timeout_ms INTEGER NOT NULL,
    retry_schedule VARCHAR,
    retry_schedules JSON NOT NULL,
    permanent_codes JSON NOT NULL,
    rate_limit_per_minute INTEGER,
    max_in_flight INTEGER NOT NULL,
    ordering VARCHAR NOT NULL,
    ordering_key VARCHAR,
    head_of_line VARCHAR NOT NULL,
    endpoint_metadata JSON NOT NULL,
    health VARCHAR NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    disabled_at TIMESTAMP WITH TIME ZONE,
    disabled_reason VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_triggered_at TIMESTAMP WITH TIME ZONE,
    deleted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT endpoint_health CHECK (health IN ('healthy','failing','parked','recovering','disabled')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX endpoints_of_tenant ON endpoints (tenant_id, deleted_at)
--;
CREATE INDEX endpoints_unwell ON endpoints (id) WHERE health <> 'healthy'
--;
CREATE TABLE events (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    workflow_id VARCHAR,
    sequence INTEGER,
    external_id VARCHAR,
    body BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (workflow_id, sequence),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX events_of_tenant ON events (tenant_id, id)
--;
CREATE INDEX events_of_tenant_by_type ON events (tenant_id, type, id)
--;
CREATE UNIQUE INDEX events_by_external_id ON events (tenant_id, external_id) WHERE external_id IS NOT NULL
--;
CREATE TABLE saga_runs (
    workflow_id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    summary VARCHAR NOT NULL,
    request JSON NOT NULL,
    result JSON,
    failure JSON,
    initiated_by VARCHAR NOT NULL,
    subject_type VARCHAR,
    subject_id VARCHAR,
    parent_id VARCHAR,
    run_id VARCHAR,
    last_sequence INTEGER NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    deadline_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (workflow_id),
    CONSTRAINT saga_state CHECK (state IN ('accepted','running','compensating','stuck','completed','failed','timed_out','cancelled')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX saga_runs_of_tenant_by_state ON saga_runs (tenant_id, state, accepted_at, workflow_id) WHERE state <> 'completed'
--;
CREATE INDEX saga_runs_of_tenant ON saga_runs (tenant_id, accepted_at, workflow_id)
--;
CREATE INDEX saga_runs_accepted ON saga_runs (accepted_at) WHERE state = 'accepted'
--;
CREATE INDEX saga_runs_of_subject ON saga_runs (subject_id)
--;
CREATE INDEX saga_runs_of_tenant_by_type ON saga_runs (tenant_id, type, accepted_at, workflow_id)
--;
CREATE TABLE transfers (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    from_account VARCHAR NOT NULL,
    to_account VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    asset_code VARCHAR NOT NULL,
    fee_minor BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    reference VARCHAR,
    rail VARCHAR NOT NULL,
    transfer_metadata JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    reversed_by VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT transfer_amount CHECK (amount_minor > 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX transfers_to ON transfers (to_account, created_at, id)
--;
CREATE INDEX transfers_of_tenant_by_status ON transfers (tenant_id, status, created_at, id) WHERE status <> 'completed'
--;
CREATE INDEX transfers_from ON transfers (from_account, created_at, id)
--;
CREATE INDEX transfers_of_tenant ON transfers (tenant_id, created_at, id)
--;
CREATE TABLE account_holders (
    tenant_id VARCHAR NOT NULL,
    user_uuid VARCHAR NOT NULL,
    full_name VARCHAR,
    address VARCHAR,
    document_id VARCHAR,
    provider VARCHAR NOT NULL,
    verified_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, user_uuid),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE TABLE accounts (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    user_uuid VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    base_currency VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    account_metadata JSON NOT NULL,
    frozen_at TIMESTAMP WITH TIME ZONE,
    frozen_reason VARCHAR,
    limits JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT account_status CHECK (status IN ('pending','active','frozen','closed')),
    CONSTRAINT account_id CHECK (id NOT LIKE '%:%' AND id NOT LIKE '%/%'),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX accounts_of_tenant ON accounts (tenant_id, created_at, id)
--;
CREATE TABLE bridge_quotes (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    from_chain VARCHAR NOT NULL,
    to_chain VARCHAR NOT NULL,
    protocol VARCHAR NOT NULL,
    asset_code VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    used_by VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT bridge_quote_amount CHECK (amount_minor > fee_minor),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE TABLE bridges (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    quote_id VARCHAR NOT NULL,
    from_account VARCHAR NOT NULL,
    to_account VARCHAR,
    sender_address VARCHAR NOT NULL,
    recipient_address VARCHAR NOT NULL,
    from_chain VARCHAR NOT NULL,
    to_chain VARCHAR NOT NULL,
    protocol VARCHAR NOT NULL,
    asset_code VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    usd_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    source_tx_hash VARCHAR,
    arrival_tx_hash VARCHAR,
    refund_tx_hash VARCHAR,
    received_minor BIGINT,
    confirmations INTEGER NOT NULL,
    bridge_metadata JSON NOT NULL,
    failure JSON,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    estimated_completion_at TIMESTAMP WITH TIME ZONE NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT bridge_status CHECK (status IN ('quoted','locked','initiated','completed','failed')),
    CONSTRAINT bridge_amount CHECK (amount_minor > fee_minor AND usd_minor >= 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX bridges_of_account ON bridges (from_account, created_at)
--;
CREATE TABLE bulk_transfers (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    from_account VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    asset_code VARCHAR NOT NULL,
    items INTEGER NOT NULL,
    completed_items INTEGER,
    total_minor BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT bulk_transfer_status CHECK (status IN ('accepted','created','completed','failed')),
    CONSTRAINT bulk_transfer_size CHECK (items > 0 AND total_minor > 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX bulk_transfers_of_tenant ON bulk_transfers (tenant_id, id)
--;
CREATE TABLE maintenance_windows (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    everywhere BOOLEAN NOT NULL,
    title VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    impact VARCHAR NOT NULL,
    affected_services JSON NOT NULL,
    read_only BOOLEAN NOT NULL,
    status VARCHAR NOT NULL,
    scheduled_start TIMESTAMP WITH TIME ZONE NOT NULL,
    scheduled_end TIMESTAMP WITH TIME ZONE NOT NULL,
    actual_start TIMESTAMP WITH TIME ZONE,
    actual_end TIMESTAMP WITH TIME ZONE,
    workflow_id VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT maintenance_status CHECK (status IN ('scheduled','active','ended','called_off')),
    CONSTRAINT maintenance_times CHECK ((actual_start IS NOT NULL) = (status IN ('active','ended')) AND (actual_end IS NOT NULL) = (status = 'ended')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX maintenance_read_only ON maintenance_windows (tenant_id) WHERE status = 'active' AND read_only
--;
CREATE INDEX maintenance_of_tenant ON maintenance_windows (tenant_id, created_at, id)
--;
CREATE TABLE partners (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    application_id VARCHAR NOT NULL,
    organization_name VARCHAR NOT NULL,
    tier VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    modules JSON NOT NULL,
    checklist JSON NOT NULL,
    own_tenant_id VARCHAR,
    sandbox_tenant_id VARCHAR,
    webhook_id VARCHAR,
    approved_by VARCHAR,
    generation_id VARCHAR,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL,
    onboarded_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT partner_status CHECK (status IN ('applied','onboarding','active','rejected','deactivated')),
    CONSTRAINT partner_tier CHECK (tier IN ('starter','growth','enterprise')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX partners_of_tenant ON partners (tenant_id, id)
--;
CREATE TABLE sdk_packages (
    generation_id VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (generation_id, language),
    FOREIGN KEY(sha256) REFERENCES artifacts (sha256)
)
--;
CREATE INDEX sdk_packages_of_artifact ON sdk_packages (sha256)
--;
CREATE TABLE payment_intents (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    payer_account VARCHAR NOT NULL,
    merchant_id VARCHAR NOT NULL,
    merchant_name VARCHAR NOT NULL,
    asset_code VARCHAR NOT NULL,
    network VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    required_confirmations INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    tx_hash VARCHAR,
    confirmations INTEGER NOT NULL,
    receipt_id VARCHAR,
    intent_metadata JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT payment_intent_status CHECK (status IN ('created','awaiting_auth','submitting','pending','confirmed','failed','cancelled','expired')),
    CONSTRAINT payment_intent_amount CHECK (amount_minor > 0 AND fee_minor >= 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX payment_intents_of_payer ON payment_intents (payer_account, id)
--;
CREATE INDEX payment_intents_of_tenant ON payment_intents (tenant_id, id)
--;
CREATE TABLE payments (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    asset_code VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reference VARCHAR,
    rail VARCHAR NOT NULL,
    rail_reference VARCHAR,
    payment_metadata JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT payment_type CHECK (type IN ('deposit','withdrawal')),
    CONSTRAINT payment_status CHECK (status IN ('accepted','created','held','pending','completed','failed','expired')),
    CONSTRAINT payment_amount CHECK (amount_minor > 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX payments_of_tenant ON payments (tenant_id, id)
--;
CREATE INDEX payments_of_account ON payments (account_id, id)
--;
CREATE TABLE positions (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    wallet_address VARCHAR NOT NULL,
    protocol VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    chain VARCHAR NOT NULL,
    asset_code VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    debt_asset VARCHAR,
    debt_minor BIGINT NOT NULL,
    value_usd_minor BIGINT NOT NULL,
    apy VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    closing_by VARCHAR,
    tx_hash VARCHAR,
    position_metadata JSON NOT NULL,
    failure JSON,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT position_status CHECK (status IN ('opening','open','closing','closed','failed')),
    CONSTRAINT position_amount CHECK (amount_minor > 0 AND debt_minor >= 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX positions_of_account ON positions (account_id, id)
--;
CREATE TABLE compliance_reports (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    framework VARCHAR NOT NULL,
    report_type VARCHAR NOT NULL,
    jurisdiction VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    period_from DATE NOT NULL,
    period_to DATE NOT NULL,
    status VARCHAR NOT NULL,
    record_count INTEGER NOT NULL,
    sha256 VARCHAR,
    size_bytes INTEGER,
    regulator VARCHAR,
    reference VARCHAR,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    deadline_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE,
    acknowledged_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT compliance_report_status CHECK (status IN ('collected','rendered','stored','submitted','acknowledged','failed','cancelled','expired')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX compliance_reports_of_tenant ON compliance_reports (tenant_id, created_at, id)
--;
CREATE TABLE travel_rule_checks (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    transfer_id VARCHAR NOT NULL,
    jurisdiction VARCHAR NOT NULL,
    amount_usd_minor BIGINT,
    is_compliant BOOLEAN NOT NULL,
    risk_level VARCHAR NOT NULL,
    issues JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    valid_until TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE INDEX travel_rule_checks_of_transfer ON travel_rule_checks (transfer_id)
--;
CREATE TABLE endpoint_secrets (
    id VARCHAR NOT NULL,
    endpoint_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    sealed BYTEA NOT NULL,
    key_id VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT secret_kind CHECK (kind IN ('v1','v1a')),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE INDEX ix_endpoint_secrets_endpoint_id ON endpoint_secrets (endpoint_id)
--;
CREATE TABLE deliveries (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    endpoint_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    ordering_key VARCHAR,
    priority INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR,
    hold VARCHAR,
    attempts INTEGER NOT NULL,
    attempts_before INTEGER NOT NULL,
    trigger VARCHAR NOT NULL,
    claim_id VARCHAR,
    claimed_until TIMESTAMP WITH TIME ZONE,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (event_id, endpoint_id),
    CONSTRAINT delivery_state CHECK (state IN ('pending','claimed','retrying','parked','succeeded','dead_lettered','cancelled')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(event_id) REFERENCES events (id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE INDEX deliveries_claimed ON deliveries (claim_id) WHERE state IN ('claimed','retrying')
--;
CREATE INDEX deliveries_parked ON deliveries (endpoint_id, id) WHERE state = 'parked' AND hold IS NULL
--;
CREATE INDEX deliveries_pending ON deliveries (priority, tenant_id, endpoint_id, ordering_key, id) WHERE state = 'pending'
--;
CREATE INDEX deliveries_holding_up ON deliveries (endpoint_id, ordering_key, state, id) WHERE ordering_key IS NOT NULL AND state IN ('claimed','retrying','parked')
--;
CREATE INDEX deliveries_of_tenant ON deliveries (tenant_id, id)
--;
CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint_id, id)
--;
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'retrying'
--;
CREATE INDEX deliveries_undelivered ON deliveries (tenant_id, id) WHERE state <> 'succeeded'
--;
CREATE INDEX deliveries_in_flight ON deliveries (tenant_id, endpoint_id, claimed_until) WHERE state = 'claimed'
--;
CREATE TABLE account_versions (
    account_id VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    tenant_id VARCHAR NOT NULL,
    previous JSON NOT NULL,
    current JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    changed_by VARCHAR NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (account_id, version),
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id)
)
--;
CREATE TABLE account_freezes (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    authorized_by VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    case_id VARCHAR,
    frozen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lifted_at TIMESTAMP WITH TIME ZONE,
    lifted_by VARCHAR,
    PRIMARY KEY (id),
    CONSTRAINT freeze_source CHECK (source IN ('manual','compliance')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id)
)
--;
CREATE UNIQUE INDEX account_freezes_in_force ON account_freezes (account_id) WHERE lifted_at IS NULL
--;
CREATE TABLE mandates (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    creditor VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    revoked_by VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT mandate_state CHECK (state IN ('active','revoked')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id)
)
--;
CREATE INDEX mandates_of_account ON mandates (account_id)
--;
CREATE TABLE ledger_accounts (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    account_id VARCHAR,
    asset_code VARCHAR NOT NULL,
    normal VARCHAR NOT NULL,
    min_available BIGINT,
    version BIGINT NOT NULL,
    debits_posted BIGINT NOT NULL,
    credits_posted BIGINT NOT NULL,
    debits_pending BIGINT NOT NULL,
    credits_pending BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ledger_normal CHECK (normal IN ('debit','credit')),
    CONSTRAINT ledger_account_name CHECK (CASE WHEN account_id IS NULL THEN id LIKE '%:%/' || asset_code ELSE id = account_id || '/' || asset_code END),
    CONSTRAINT ledger_counters CHECK (debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0),
    CONSTRAINT ledger_min_available CHECK (min_available IS NULL OR (CASE normal WHEN 'credit' THEN credits_posted - debits_posted - debits_pending ELSE debits_posted - credits_posted - credits_pending END) >= min_available),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id)
)
--;
CREATE INDEX ledger_accounts_of_account ON ledger_accounts (account_id)
--;
CREATE TABLE endpoint_tallies (
    endpoint_id VARCHAR NOT NULL,
    minutes JSON NOT NULL,
    failures_in_a_row INTEGER NOT NULL,
    failed_deliveries JSON NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    warned_percent INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    recovery_due_at TIMESTAMP WITH TIME ZONE,
    recovery_round INTEGER NOT NULL,
    probe_first VARCHAR,
    drain VARCHAR NOT NULL,
    drain_until VARCHAR,
    drain_actor VARCHAR NOT NULL,
    PRIMARY KEY (endpoint_id),
    CONSTRAINT drain_mode CHECK (drain IN ('drain','skip','newest_per_key')),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE INDEX endpoint_tallies_due ON endpoint_tallies (recovery_due_at) WHERE recovery_due_at IS NOT NULL
--;
CREATE TABLE endpoint_lanes (
    endpoint_id VARCHAR NOT NULL,
    sent_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (endpoint_id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE TABLE key_warnings (
    key_id VARCHAR NOT NULL,
    days INTEGER NOT NULL,
    told_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (key_id),
    FOREIGN KEY(key_id) REFERENCES api_keys (id)
)
--;
CREATE TABLE replay_jobs (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    endpoint_id VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    event_types JSON NOT NULL,
    states JSON NOT NULL,
    never_attempted BOOLEAN NOT NULL,
    per_second INTEGER NOT NULL,
    total INTEGER NOT NULL,
    total_is_exact BOOLEAN NOT NULL,
    examined INTEGER NOT NULL,
    requeued INTEGER NOT NULL,
    created INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    cursor VARCHAR NOT NULL,
    created_by VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT replay_state CHECK (state IN ('running','paused','completed','cancelled')),
    CONSTRAINT replay_totals CHECK (examined = requeued + created + skipped),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE INDEX replay_jobs_of_tenant ON replay_jobs (tenant_id, id)
--;
CREATE UNIQUE INDEX replay_jobs_open ON replay_jobs (endpoint_id) WHERE state IN ('running','paused')
--;
CREATE TABLE secret_rotations (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    endpoint_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    new_secret_id VARCHAR NOT NULL,
    old_secret_ids JSON NOT NULL,
    started_by VARCHAR NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    announced_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT rotation_state CHECK (state IN ('overlapping','completed','rolled_back')),
    CONSTRAINT rotation_kind CHECK (kind IN ('v1','v1a')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE INDEX secret_rotations_of_endpoint ON secret_rotations (endpoint_id, id)
--;
CREATE UNIQUE INDEX secret_rotations_open ON secret_rotations (endpoint_id) WHERE state = 'overlapping'
--;
CREATE TABLE secret_changes (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    endpoint_id VARCHAR NOT NULL,
    secret_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    change VARCHAR NOT NULL,
    details JSON NOT NULL,
    actor VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE INDEX secret_changes_of_endpoint ON secret_changes (endpoint_id, id)
--;
CREATE TABLE partner_key_grants (
    partner_id VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    key_id VARCHAR,
    PRIMARY KEY (partner_id, mode),
    CONSTRAINT grant_mode CHECK (mode IN ('live','test')),
    CONSTRAINT grant_state CHECK (state IN ('open','used','revoked')),
    FOREIGN KEY(partner_id) REFERENCES partners (id)
)
--;
CREATE TABLE widget_deployments (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    partner_id VARCHAR NOT NULL,
    widget_type VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    version VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    allowed_origins JSON NOT NULL,
    content BYTEA,
    integrity VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    built_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deployed_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT widget_state CHECK (state IN ('built','live','withdrawn')),
    UNIQUE (partner_id, environment, widget_type, number),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(partner_id) REFERENCES partners (id)
)
--;
CREATE INDEX widget_deployments_of_tenant ON widget_deployments (tenant_id, id)
--;
CREATE TABLE sdk_generations (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    partner_id VARCHAR NOT NULL,
    api_version VARCHAR NOT NULL,
    modules JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    generated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    purged_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(partner_id) REFERENCES partners (id)
)
--;
CREATE INDEX sdk_generations_of_tenant ON sdk_generations (tenant_id, id)
--;
CREATE TABLE report_files (
    report_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (report_id, kind),
    CONSTRAINT report_file_kind CHECK (kind IN ('records','draft','file')),
    FOREIGN KEY(report_id) REFERENCES compliance_reports (id)
)
--;
CREATE TABLE delivery_changes (
    id VARCHAR NOT NULL,
    delivery_id VARCHAR NOT NULL,
    from_state VARCHAR NOT NULL,
    to_state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
)
--;
CREATE INDEX ix_delivery_changes_delivery_id ON delivery_changes (delivery_id)
--;
CREATE TABLE attempts (
    delivery_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    trigger VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    status_code INTEGER,
    error VARCHAR,
    decision VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    duration_ms INTEGER NOT NULL,
    response_headers JSON NOT NULL,
    response_body BYTEA NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (delivery_id, number),
    CHECK (number >= 1),
    CHECK (duration_ms >= 0),
    FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
)
--;
CREATE TABLE holds (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    ledger_account_id VARCHAR NOT NULL,
    amount_minor BIGINT NOT NULL,
    state VARCHAR NOT NULL,
    workflow_id VARCHAR,
    placed_version BIGINT,
    resolved_version BIGINT,
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT hold_state CHECK (state IN ('placed','settled','released')),
    CONSTRAINT hold_amount CHECK (amount_minor > 0 OR state = 'released'),
    CONSTRAINT hold_versions CHECK ((amount_minor > 0) = (placed_version IS NOT NULL) AND (resolved_version IS NOT NULL) = (state <> 'placed' AND amount_minor > 0) AND (state = 'placed') = (resolved_at IS NULL)),
    UNIQUE (ledger_account_id, placed_version),
    UNIQUE (ledger_account_id, resolved_version),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(ledger_account_id) REFERENCES ledger_accounts (id)
)
--;
CREATE INDEX holds_of_account ON holds (ledger_account_id, state)
--;
CREATE TABLE judged_up_to (
    ledger_account_id VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    judged_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (ledger_account_id, rule_id),
    FOREIGN KEY(ledger_account_id) REFERENCES ledger_accounts (id)
)
--;
CREATE TABLE violations (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    ledger_account_id VARCHAR NOT NULL,
    account_version BIGINT NOT NULL,
    entry_id VARCHAR NOT NULL,
    current_value VARCHAR NOT NULL,
    threshold VARCHAR NOT NULL,
    asset_code VARCHAR,
    case_id VARCHAR NOT NULL,
    action_taken VARCHAR,
    workflow_id VARCHAR NOT NULL,
    detected_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (rule_id, ledger_account_id, account_version),
    CONSTRAINT violation_action CHECK (action_taken IN ('flagged','blocked','account_frozen')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(ledger_account_id) REFERENCES ledger_accounts (id)
)
--;
CREATE INDEX violations_of_account ON violations (account_id, id)
--;
CREATE INDEX violations_of_workflow ON violations (workflow_id, id)
--;
CREATE TABLE journal_entries (
    id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    hold_id VARCHAR,
    workflow_id VARCHAR,
    effective_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    sealed INTEGER NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (hold_id),
    CONSTRAINT entry_sealed CHECK (sealed IN (0, 1)),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    FOREIGN KEY(hold_id) REFERENCES holds (id)
)
--;
CREATE INDEX journal_entries_of_tenant ON journal_entries (tenant_id, recorded_at)
--;
CREATE TABLE postings (
    entry_id VARCHAR NOT NULL,
    line INTEGER NOT NULL,
    ledger_account_id VARCHAR NOT NULL,
    direction INTEGER NOT NULL,
    amount_minor BIGINT NOT NULL,
    account_version BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    PRIMARY KEY (entry_id, line),
    UNIQUE (ledger_account_id, account_version),
    CONSTRAINT posting_direction CHECK (direction IN (-1, 1)),
    CONSTRAINT posting_amount CHECK (amount_minor > 0),
    FOREIGN KEY(entry_id) REFERENCES journal_entries (id),
    FOREIGN KEY(ledger_account_id) REFERENCES ledger_accounts (id)
)
--;
CREATE FUNCTION holds_delete_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (true) THEN RAISE EXCEPTION 'a hold is resolved, never deleted' USING ERRCODE = '23514'; END IF; RETURN OLD; END $$
--;
CREATE TRIGGER holds_delete_rules BEFORE DELETE ON holds FOR EACH ROW EXECUTE FUNCTION holds_delete_rules()
--;
ALTER TABLE holds ENABLE ALWAYS TRIGGER holds_delete_rules
--;
CREATE FUNCTION holds_insert_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (NEW.state = 'settled' OR (NEW.state = 'released' AND NEW.amount_minor <> 0)) THEN RAISE EXCEPTION 'a hold is placed before it is resolved' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER holds_insert_rules BEFORE INSERT ON holds FOR EACH ROW EXECUTE FUNCTION holds_insert_rules()
--;
ALTER TABLE holds ENABLE ALWAYS TRIGGER holds_insert_rules
--;
CREATE FUNCTION holds_update_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (OLD.state <> 'placed') THEN RAISE EXCEPTION 'the hold is already resolved' USING ERRCODE = '23514'; END IF; IF (NEW.state = 'placed' OR NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.ledger_account_id <> OLD.ledger_account_id OR NEW.amount_minor <> OLD.amount_minor OR NEW.placed_version <> OLD.placed_version) THEN RAISE EXCEPTION 'a hold is immutable but for its resolution' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER holds_update_rules BEFORE UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION holds_update_rules()
--;
ALTER TABLE holds ENABLE ALWAYS TRIGGER holds_update_rules
--;
CREATE FUNCTION journal_entries_delete_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (true) THEN RAISE EXCEPTION 'a journal entry is immutable' USING ERRCODE = '23514'; END IF; RETURN OLD; END $$
--;
CREATE TRIGGER journal_entries_delete_rules BEFORE DELETE ON journal_entries FOR EACH ROW EXECUTE FUNCTION journal_entries_delete_rules()
--;
ALTER TABLE journal_entries ENABLE ALWAYS TRIGGER journal_entries_delete_rules
--;
CREATE FUNCTION journal_entries_insert_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (NEW.sealed = 1) THEN RAISE EXCEPTION 'a journal entry is sealed after its postings' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER journal_entries_insert_rules BEFORE INSERT ON journal_entries FOR EACH ROW EXECUTE FUNCTION journal_entries_insert_rules()
--;
ALTER TABLE journal_entries ENABLE ALWAYS TRIGGER journal_entries_insert_rules
--;
CREATE FUNCTION journal_entries_update_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (OLD.sealed = 1) THEN RAISE EXCEPTION 'the journal entry is sealed' USING ERRCODE = '23514'; END IF; IF (NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.fingerprint <> OLD.fingerprint OR COALESCE(NEW.hold_id, '') <> COALESCE(OLD.hold_id, '')) THEN RAISE EXCEPTION 'a journal entry is immutable but for its seal' USING ERRCODE = '23514'; END IF; IF (NEW.sealed = 1 AND (SELECT count(*) FROM postings WHERE entry_id = NEW.id) < 2) THEN RAISE EXCEPTION 'a journal entry has at least two postings' USING ERRCODE = '23514'; END IF; IF (NEW.sealed = 1 AND EXISTS (SELECT 1 FROM postings p JOIN ledger_accounts a ON a.id = p.ledger_account_id WHERE p.entry_id = NEW.id GROUP BY a.tenant_id, a.asset_code HAVING sum(p.direction * p.amount_minor) <> 0 OR a.tenant_id <> NEW.tenant_id)) THEN RAISE EXCEPTION 'the journal entry does not balance' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER journal_entries_update_rules BEFORE UPDATE ON journal_entries FOR EACH ROW EXECUTE FUNCTION journal_entries_update_rules()
--;
ALTER TABLE journal_entries ENABLE ALWAYS TRIGGER journal_entries_update_rules
--;
CREATE FUNCTION ledger_accounts_delete_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (true) THEN RAISE EXCEPTION 'a ledger account is never deleted' USING ERRCODE = '23514'; END IF; RETURN OLD; END $$
--;
CREATE TRIGGER ledger_accounts_delete_rules BEFORE DELETE ON ledger_accounts FOR EACH ROW EXECUTE FUNCTION ledger_accounts_delete_rules()
--;
ALTER TABLE ledger_accounts ENABLE ALWAYS TRIGGER ledger_accounts_delete_rules
--;
CREATE FUNCTION ledger_accounts_insert_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (NEW.version <> 0 OR NEW.debits_posted <> 0 OR NEW.credits_posted <> 0 OR NEW.debits_pending <> 0 OR NEW.credits_pending <> 0) THEN RAISE EXCEPTION 'a ledger account is opened empty' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER ledger_accounts_insert_rules BEFORE INSERT ON ledger_accounts FOR EACH ROW EXECUTE FUNCTION ledger_accounts_insert_rules()
--;
ALTER TABLE ledger_accounts ENABLE ALWAYS TRIGGER ledger_accounts_insert_rules
--;
CREATE FUNCTION ledger_accounts_update_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted) THEN RAISE EXCEPTION 'posted counters only grow' USING ERRCODE = '23514'; END IF; IF (NEW.version <> OLD.version + CASE WHEN (NEW.debits_posted <> OLD.debits_posted OR NEW.credits_posted <> OLD.credits_posted OR NEW.debits_pending <> OLD.debits_pending OR NEW.credits_pending <> OLD.credits_pending) THEN 1 ELSE 0 END) THEN RAISE EXCEPTION 'each change of a counter is one version' USING ERRCODE = '23514'; END IF; IF (NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.asset_code <> OLD.asset_code OR NEW.normal <> OLD.normal OR COALESCE(NEW.account_id, '') <> COALESCE(OLD.account_id, '')) THEN RAISE EXCEPTION 'a ledger account stays whose and what it is' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER ledger_accounts_update_rules BEFORE UPDATE ON ledger_accounts FOR EACH ROW EXECUTE FUNCTION ledger_accounts_update_rules()
--;
ALTER TABLE ledger_accounts ENABLE ALWAYS TRIGGER ledger_accounts_update_rules
--;
CREATE FUNCTION postings_delete_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (true) THEN RAISE EXCEPTION 'a posting is immutable' USING ERRCODE = '23514'; END IF; RETURN OLD; END $$
--;
CREATE TRIGGER postings_delete_rules BEFORE DELETE ON postings FOR EACH ROW EXECUTE FUNCTION postings_delete_rules()
--;
ALTER TABLE postings ENABLE ALWAYS TRIGGER postings_delete_rules
--;
CREATE FUNCTION postings_insert_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF ((SELECT sealed FROM journal_entries WHERE id = NEW.entry_id) = 1) THEN RAISE EXCEPTION 'the journal entry is sealed' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER postings_insert_rules BEFORE INSERT ON postings FOR EACH ROW EXECUTE FUNCTION postings_insert_rules()
--;
ALTER TABLE postings ENABLE ALWAYS TRIGGER postings_insert_rules
--;
CREATE FUNCTION postings_update_rules() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (true) THEN RAISE EXCEPTION 'a posting is immutable' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
--;
CREATE TRIGGER postings_update_rules BEFORE UPDATE ON postings FOR EACH ROW EXECUTE FUNCTION postings_update_rules()
--;
ALTER TABLE postings ENABLE ALWAYS TRIGGER postings_update_rules
--;
CREATE FUNCTION books_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the books are never truncated' USING ERRCODE = '23514'; END $$
--;
CREATE TRIGGER books_no_truncate BEFORE TRUNCATE ON postings EXECUTE FUNCTION books_no_truncate()
--;
ALTER TABLE postings ENABLE ALWAYS TRIGGER books_no_truncate
--;
CREATE TRIGGER books_no_truncate BEFORE TRUNCATE ON journal_entries EXECUTE FUNCTION books_no_truncate()
--;
ALTER TABLE journal_entries ENABLE ALWAYS TRIGGER books_no_truncate
--;
CREATE TRIGGER books_no_truncate BEFORE TRUNCATE ON holds EXECUTE FUNCTION books_no_truncate()
--;
ALTER TABLE holds ENABLE ALWAYS TRIGGER books_no_truncate
--;
CREATE TRIGGER books_no_truncate BEFORE TRUNCATE ON ledger_accounts EXECUTE FUNCTION books_no_truncate()
--;
ALTER TABLE ledger_accounts ENABLE ALWAYS TRIGGER books_no_truncate
--;
CREATE FUNCTION books_sealed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT sealed FROM journal_entries WHERE id = NEW.id) = 0 THEN RAISE EXCEPTION 'a journal entry is sealed when it is committed' USING ERRCODE = '23514'; END IF; RETURN NULL; END $$
--;
CREATE CONSTRAINT TRIGGER books_sealed AFTER INSERT ON journal_entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION books_sealed()
--;
ALTER TABLE journal_entries ENABLE ALWAYS TRIGGER books_sealed
