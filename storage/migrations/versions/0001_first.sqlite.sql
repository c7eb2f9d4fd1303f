CREATE TABLE tenants (
    id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    limit_per_minute INTEGER,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id)
)
--;
CREATE TABLE idempotency_keys (
    tenant_id VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    "key" VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    status_code INTEGER,
    answer JSON,
    headers JSON NOT NULL,
    created_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    PRIMARY KEY (tenant_id, route, "key")
)
--;
CREATE TABLE quota_uses (
    subject VARCHAR NOT NULL,
    full_at DATETIME,
    warned_until DATETIME,
    PRIMARY KEY (subject)
)
--;
CREATE TABLE auth_failures (
    address VARCHAR NOT NULL,
    failures INTEGER NOT NULL,
    since DATETIME NOT NULL,
    locked_until DATETIME,
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
    started_at DATETIME NOT NULL,
    completed_at DATETIME NOT NULL,
    undone_at DATETIME,
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
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (connector, operation_id)
)
--;
CREATE TABLE installation (
    name VARCHAR NOT NULL,
    content VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (name)
)
--;
CREATE TABLE artifacts (
    sha256 VARCHAR NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (sha256)
)
--;
CREATE TABLE component_statuses (
    workflow_id VARCHAR NOT NULL,
    component VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    incident_id VARCHAR,
    changed_at DATETIME NOT NULL,
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
    digest BLOB NOT NULL,
    scopes JSON NOT NULL,
    allow_cidrs JSON NOT NULL,
    limit_per_minute INTEGER,
    limit_per_hour INTEGER,
    is_root BOOLEAN NOT NULL,
    replaces VARCHAR,
    created_by VARCHAR,
    created_at DATETIME NOT NULL,
    expires_at DATETIME,
    revoked_at DATETIME,
    last_used_at DATETIME,
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
    headers_sealed BLOB,
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
    failing_since DATETIME,
    disabled_at DATETIME,
    disabled_reason VARCHAR,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    last_triggered_at DATETIME,
    deleted_at DATETIME,
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
    body BLOB,
    created_at DATETIME NOT NULL,
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
    accepted_at DATETIME NOT NULL,
    started_at DATETIME,
    deadline_at DATETIME,
    ended_at DATETIME,
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
    amount_minor INTEGER NOT NULL,
    asset_code VARCHAR NOT NULL,
    fee_minor INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    reference VARCHAR,
    rail VARCHAR NOT NULL,
    transfer_metadata JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    reversed_by VARCHAR,
    created_at DATETIME NOT NULL,
    expires_at DATETIME,
    completed_at DATETIME,
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
    verified_at DATETIME NOT NULL,
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
    frozen_at DATETIME,
    frozen_reason VARCHAR,
    limits JSON NOT NULL,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    closed_at DATETIME,
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
    amount_minor INTEGER NOT NULL,
    fee_minor INTEGER NOT NULL,
    used_by VARCHAR,
    created_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
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
    amount_minor INTEGER NOT NULL,
    usd_minor INTEGER NOT NULL,
    fee_minor INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    source_tx_hash VARCHAR,
    arrival_tx_hash VARCHAR,
    refund_tx_hash VARCHAR,
    received_minor INTEGER,
    confirmations INTEGER NOT NULL,
    bridge_metadata JSON NOT NULL,
    failure JSON,
    created_at DATETIME NOT NULL,
    estimated_completion_at DATETIME NOT NULL,
    submitted_at DATETIME,
    completed_at DATETIME,
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
    total_minor INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    created_at DATETIME NOT NULL,
    ended_at DATETIME,
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
    scheduled_start DATETIME NOT NULL,
    scheduled_end DATETIME NOT NULL,
    actual_start DATETIME,
    actual_end DATETIME,
    workflow_id VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
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
    applied_at DATETIME NOT NULL,
    onboarded_at DATETIME,
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
    amount_minor INTEGER NOT NULL,
    fee_minor INTEGER NOT NULL,
    required_confirmations INTEGER NOT NULL,
    status VARCHAR NOT NULL,
    tx_hash VARCHAR,
    confirmations INTEGER NOT NULL,
    receipt_id VARCHAR,
    intent_metadata JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    created_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    confirmed_at DATETIME,
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
    amount_minor INTEGER NOT NULL,
    asset_code VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    reference VARCHAR,
    rail VARCHAR NOT NULL,
    rail_reference VARCHAR,
    payment_metadata JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    failure JSON,
    created_at DATETIME NOT NULL,
    expires_at DATETIME,
    completed_at DATETIME,
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
    amount_minor INTEGER NOT NULL,
    debt_asset VARCHAR,
    debt_minor INTEGER NOT NULL,
    value_usd_minor INTEGER NOT NULL,
    apy VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    closing_by VARCHAR,
    tx_hash VARCHAR,
    position_metadata JSON NOT NULL,
    failure JSON,
    created_at DATETIME NOT NULL,
    opened_at DATETIME,
    closed_at DATETIME,
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
    deadline_at DATETIME,
    created_at DATETIME NOT NULL,
    submitted_at DATETIME,
    acknowledged_at DATETIME,
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
    amount_usd_minor INTEGER,
    is_compliant BOOLEAN NOT NULL,
    risk_level VARCHAR NOT NULL,
    issues JSON NOT NULL,
    workflow_id VARCHAR NOT NULL,
    checked_at DATETIME NOT NULL,
    valid_until DATETIME NOT NULL,
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
    sealed BLOB NOT NULL,
    key_id VARCHAR NOT NULL,
    created_at DATETIME NOT NULL,
    expires_at DATETIME,
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
    "trigger" VARCHAR NOT NULL,
    claim_id VARCHAR,
    claimed_until DATETIME,
    next_attempt_at DATETIME,
    created_at DATETIME NOT NULL,
    settled_at DATETIME,
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
    changed_at DATETIME NOT NULL,
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
    frozen_at DATETIME NOT NULL,
    lifted_at DATETIME,
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
    created_at DATETIME NOT NULL,
    revoked_at DATETIME,
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
    min_available INTEGER,
    version INTEGER NOT NULL,
    debits_posted INTEGER NOT NULL,
    credits_posted INTEGER NOT NULL,
    debits_pending INTEGER NOT NULL,
    credits_pending INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
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
    failing_since DATETIME,
    warned_percent INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    recovery_due_at DATETIME,
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
    sent_until DATETIME,
    PRIMARY KEY (endpoint_id),
    FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
--;
CREATE TABLE key_warnings (
    key_id VARCHAR NOT NULL,
    days INTEGER NOT NULL,
    told_at DATETIME NOT NULL,
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
    since DATETIME NOT NULL,
    until DATETIME NOT NULL,
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
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    ended_at DATETIME,
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
    started_at DATETIME NOT NULL,
    ends_at DATETIME NOT NULL,
    announced_at DATETIME,
    ended_at DATETIME,
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
    at DATETIME NOT NULL,
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
    content BLOB,
    integrity VARCHAR NOT NULL,
    workflow_id VARCHAR NOT NULL,
    built_at DATETIME NOT NULL,
    deployed_at DATETIME,
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
    generated_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    purged_at DATETIME,
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
    content BLOB NOT NULL,
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
    at DATETIME NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
)
--;
CREATE INDEX ix_delivery_changes_delivery_id ON delivery_changes (delivery_id)
--;
CREATE TABLE attempts (
    delivery_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    "trigger" VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    status_code INTEGER,
    error VARCHAR,
    decision VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    next_attempt_at DATETIME,
    duration_ms INTEGER NOT NULL,
    response_headers JSON NOT NULL,
    response_body BLOB NOT NULL,
    sent_at DATETIME NOT NULL,
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
    amount_minor INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    workflow_id VARCHAR,
    placed_version INTEGER,
    resolved_version INTEGER,
    placed_at DATETIME NOT NULL,
    resolved_at DATETIME,
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
    version INTEGER NOT NULL,
    judged_at DATETIME NOT NULL,
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
    account_version INTEGER NOT NULL,
    entry_id VARCHAR NOT NULL,
    current_value VARCHAR NOT NULL,
    threshold VARCHAR NOT NULL,
    asset_code VARCHAR,
    case_id VARCHAR NOT NULL,
    action_taken VARCHAR,
    workflow_id VARCHAR NOT NULL,
    detected_at DATETIME NOT NULL,
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
    effective_at DATETIME NOT NULL,
    recorded_at DATETIME NOT NULL,
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
    amount_minor INTEGER NOT NULL,
    account_version INTEGER NOT NULL,
    balance_after INTEGER NOT NULL,
    PRIMARY KEY (entry_id, line),
    UNIQUE (ledger_account_id, account_version),
    CONSTRAINT posting_direction CHECK (direction IN (-1, 1)),
    CONSTRAINT posting_amount CHECK (amount_minor > 0),
    FOREIGN KEY(entry_id) REFERENCES journal_entries (id),
    FOREIGN KEY(ledger_account_id) REFERENCES ledger_accounts (id)
)
--;
CREATE TRIGGER ledger_rule_0 BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'a posting is immutable'); END
--;
CREATE TRIGGER ledger_rule_1 BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'a posting is immutable'); END
--;
CREATE TRIGGER ledger_rule_2 BEFORE INSERT ON postings WHEN (SELECT sealed FROM journal_entries WHERE id = NEW.entry_id) = 1 BEGIN SELECT RAISE(ABORT, 'the journal entry is sealed'); END
--;
CREATE TRIGGER ledger_rule_3 BEFORE DELETE ON journal_entries BEGIN SELECT RAISE(ABORT, 'a journal entry is immutable'); END
--;
CREATE TRIGGER ledger_rule_4 BEFORE INSERT ON journal_entries WHEN NEW.sealed = 1 BEGIN SELECT RAISE(ABORT, 'a journal entry is sealed after its postings'); END
--;
CREATE TRIGGER ledger_rule_5 BEFORE UPDATE ON journal_entries WHEN OLD.sealed = 1 BEGIN SELECT RAISE(ABORT, 'the journal entry is sealed'); END
--;
CREATE TRIGGER ledger_rule_6 BEFORE UPDATE ON journal_entries WHEN NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.fingerprint <> OLD.fingerprint OR COALESCE(NEW.hold_id, '') <> COALESCE(OLD.hold_id, '') BEGIN SELECT RAISE(ABORT, 'a journal entry is immutable but for its seal'); END
--;
CREATE TRIGGER ledger_rule_7 BEFORE UPDATE ON journal_entries WHEN NEW.sealed = 1 AND (SELECT count(*) FROM postings WHERE entry_id = NEW.id) < 2 BEGIN SELECT RAISE(ABORT, 'a journal entry has at least two postings'); END
--;
CREATE TRIGGER ledger_rule_8 BEFORE UPDATE ON journal_entries WHEN NEW.sealed = 1 AND EXISTS (SELECT 1 FROM postings p JOIN ledger_accounts a ON a.id = p.ledger_account_id WHERE p.entry_id = NEW.id GROUP BY a.tenant_id, a.asset_code HAVING sum(p.direction * p.amount_minor) <> 0 OR a.tenant_id <> NEW.tenant_id) BEGIN SELECT RAISE(ABORT, 'the journal entry does not balance'); END
--;
CREATE TRIGGER ledger_rule_9 BEFORE DELETE ON holds BEGIN SELECT RAISE(ABORT, 'a hold is resolved, never deleted'); END
--;
CREATE TRIGGER ledger_rule_10 BEFORE INSERT ON holds WHEN NEW.state = 'settled' OR (NEW.state = 'released' AND NEW.amount_minor <> 0) BEGIN SELECT RAISE(ABORT, 'a hold is placed before it is resolved'); END
--;
CREATE TRIGGER ledger_rule_11 BEFORE UPDATE ON holds WHEN OLD.state <> 'placed' BEGIN SELECT RAISE(ABORT, 'the hold is already resolved'); END
--;
CREATE TRIGGER ledger_rule_12 BEFORE UPDATE ON holds WHEN NEW.state = 'placed' OR NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.ledger_account_id <> OLD.ledger_account_id OR NEW.amount_minor <> OLD.amount_minor OR NEW.placed_version <> OLD.placed_version BEGIN SELECT RAISE(ABORT, 'a hold is immutable but for its resolution'); END
--;
CREATE TRIGGER ledger_rule_13 BEFORE DELETE ON ledger_accounts BEGIN SELECT RAISE(ABORT, 'a ledger account is never deleted'); END
--;
CREATE TRIGGER ledger_rule_14 BEFORE INSERT ON ledger_accounts WHEN NEW.version <> 0 OR NEW.debits_posted <> 0 OR NEW.credits_posted <> 0 OR NEW.debits_pending <> 0 OR NEW.credits_pending <> 0 BEGIN SELECT RAISE(ABORT, 'a ledger account is opened empty'); END
--;
CREATE TRIGGER ledger_rule_15 BEFORE UPDATE ON ledger_accounts WHEN NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted BEGIN SELECT RAISE(ABORT, 'posted counters only grow'); END
--;
CREATE TRIGGER ledger_rule_16 BEFORE UPDATE ON ledger_accounts WHEN NEW.version <> OLD.version + CASE WHEN (NEW.debits_posted <> OLD.debits_posted OR NEW.credits_posted <> OLD.credits_posted OR NEW.debits_pending <> OLD.debits_pending OR NEW.credits_pending <> OLD.credits_pending) THEN 1 ELSE 0 END BEGIN SELECT RAISE(ABORT, 'each change of a counter is one version'); END
--;
CREATE TRIGGER ledger_rule_17 BEFORE UPDATE ON ledger_accounts WHEN NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id OR NEW.asset_code <> OLD.asset_code OR NEW.normal <> OLD.normal OR COALESCE(NEW.account_id, '') <> COALESCE(OLD.account_id, '') BEGIN SELECT RAISE(ABORT, 'a ledger account stays whose and what it is'); END
--;
CREATE TRIGGER postings_whole_insert BEFORE INSERT ON postings WHEN typeof(NEW.amount_minor) <> 'integer' OR typeof(NEW.balance_after) <> 'integer' OR typeof(NEW.account_version) <> 'integer' BEGIN SELECT RAISE(ABORT, 'money is an integer'); END
--;
CREATE TRIGGER postings_whole_update BEFORE UPDATE ON postings WHEN typeof(NEW.amount_minor) <> 'integer' OR typeof(NEW.balance_after) <> 'integer' OR typeof(NEW.account_version) <> 'integer' BEGIN SELECT RAISE(ABORT, 'money is an integer'); END
--;
CREATE TRIGGER holds_whole_insert BEFORE INSERT ON holds WHEN typeof(NEW.amount_minor) <> 'integer' BEGIN SELECT RAISE(ABORT, 'money is an integer'); END
--;
CREATE TRIGGER holds_whole_update BEFORE UPDATE ON holds WHEN typeof(NEW.amount_minor) <> 'integer' BEGIN SELECT RAISE(ABORT, 'money is an integer'); END
--;
CREATE TRIGGER ledger_accounts_whole_insert BEFORE INSERT ON ledger_accounts WHEN typeof(NEW.debits_posted) <> 'integer' OR typeof(NEW.credits_posted) <> 'integer' OR typeof(NEW.debits_pending) <> 'integer' OR typeof(NEW.credits_pending) <> 'integer' OR typeof(NEW.version) <> 'integer' BEGIN SELECT RAISE(ABORT, 'money is an integer'); END
--;
CREATE TRIGGER ledger_accounts_whole_update BEFORE UPDATE ON ledger_accounts WHEN typeof(NEW.debits_posted) <> 'integer' OR typeof(NEW.credits_posted) <> 'integer' OR typeof(NEW.debits_pending) <> 'integer' OR typeof(NEW.credits_pending) <> 'integer' OR typeof(NEW.version) <> 'integer' BEGIN SELECT RAISE(ABORT, 'money is an integer'); END
--;
CREATE TRIGGER postings_once BEFORE INSERT ON postings WHEN EXISTS (SELECT 1 FROM postings WHERE entry_id = NEW.entry_id AND line = NEW.line) OR EXISTS (SELECT 1 FROM postings WHERE ledger_account_id = NEW.ledger_account_id AND account_version = NEW.account_version) BEGIN SELECT RAISE(ABORT, 'postings has this row'); END
--;
CREATE TRIGGER journal_entries_once BEFORE INSERT ON journal_entries WHEN EXISTS (SELECT 1 FROM journal_entries WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM journal_entries WHERE hold_id = NEW.hold_id) BEGIN SELECT RAISE(ABORT, 'journal_entries has this row'); END
--;
CREATE TRIGGER holds_once BEFORE INSERT ON holds WHEN EXISTS (SELECT 1 FROM holds WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM holds WHERE ledger_account_id = NEW.ledger_account_id AND placed_version = NEW.placed_version) BEGIN SELECT RAISE(ABORT, 'holds has this row'); END
--;
CREATE TRIGGER ledger_accounts_once BEFORE INSERT ON ledger_accounts WHEN EXISTS (SELECT 1 FROM ledger_accounts WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'ledger_accounts has this row'); END
--;
CREATE TRIGGER holds_kept BEFORE UPDATE ON holds WHEN EXISTS (SELECT 1 FROM holds WHERE ledger_account_id = NEW.ledger_account_id AND resolved_version = NEW.resolved_version) BEGIN SELECT RAISE(ABORT, 'holds has this row'); END
