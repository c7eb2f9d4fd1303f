#!/bin/sh
# Roles and databases, made once, when the data volume is empty. The passwords come from the
# environment and never stand on a command line.
set -eu

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv temporal_password TEMPORAL_DB_PASSWORD
\getenv owner_password DB_OWNER_PASSWORD
\getenv app_password DB_APP_PASSWORD

-- Temporal owns its two databases: its schema tool creates tables and the extension btree_gin.
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;

-- The owner migrates. The app only reads and writes rows: it can neither alter nor truncate a
-- table nor switch off a trigger, and these guard the ledger.
CREATE ROLE sagapost_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE sagapost_app LOGIN PASSWORD :'app_password';
CREATE DATABASE sagapost OWNER sagapost_owner;

-- Nobody connects to a database that is not theirs.
REVOKE ALL ON DATABASE temporal, temporal_visibility, sagapost, postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE sagapost TO sagapost_app;

\connect sagapost
ALTER DEFAULT PRIVILEGES FOR ROLE sagapost_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sagapost_app;
ALTER DEFAULT PRIVILEGES FOR ROLE sagapost_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO sagapost_app;
SQL
