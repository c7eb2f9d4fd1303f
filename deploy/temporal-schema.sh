#!/bin/sh
# Temporal's schema: laid the first time, brought up to date every time. Runs before the server of
# the same version starts. Connection by SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD.
set -eu

versions="${TEMPORAL_SCHEMA_DIR:-/etc/temporal/schema/postgresql/v12}"

bring_up_to_date() { # database, folder
    # Lays the version table; leaves it as it is where there is one.
    temporal-sql-tool --database "$1" setup-schema --version 0.0
    temporal-sql-tool --database "$1" update-schema --schema-dir "$versions/$2/versioned"
}

bring_up_to_date temporal temporal
bring_up_to_date temporal_visibility visibility
