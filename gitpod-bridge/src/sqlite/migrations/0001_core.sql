-- Times are text in UTC to the millisecond, 2030-01-01T00:05:00.000Z: it sorts like time.

CREATE TABLE workspace (
  id           TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
  owner_id     TEXT NOT NULL DEFAULT '',
  context_url  TEXT NOT NULL DEFAULT '',
  description  TEXT NOT NULL DEFAULT '',
  definition   TEXT NOT NULL DEFAULT 'null' CHECK (json_valid(definition)),
  type         TEXT NOT NULL DEFAULT 'regular' CHECK (type IN ('regular', 'prebuild', 'imagebuild')),
  created_at   TEXT NOT NULL
) STRICT;

CREATE TABLE workspace_instance (
  id             TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 63),
  workspace_id   TEXT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
  region         TEXT NOT NULL DEFAULT '',
  created_at     TEXT NOT NULL,
  -- columns of the bridge
  deployed_at    TEXT,
  started_at     TEXT,
  stopping_at    TEXT,
  stopped_at     TEXT,
  ide_url        TEXT NOT NULL DEFAULT '',
  phase          TEXT NOT NULL DEFAULT 'pending' CHECK (phase IN ('unknown', 'preparing', 'building', 'pending',
                   'creating', 'initializing', 'running', 'interrupted', 'stopping', 'stopped')),
  stop_origin    TEXT CHECK (stop_origin IN ('observed', 'inferred', 'external')),
  source_epoch   INTEGER NOT NULL DEFAULT 0,
  status_version INTEGER NOT NULL DEFAULT 0 CHECK (status_version >= 0),
  status_digest  BLOB CHECK (length(status_digest) = 32),
  last_status_at TEXT,
  message        TEXT,
  timeout        TEXT,
  node_name      TEXT,
  pod_name       TEXT,
  node_ip        TEXT,
  owner_token    TEXT,
  exposed_ports  TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(exposed_ports)),
  conditions     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(conditions)),
  image_total_size     INTEGER,
  image_workspace_size INTEGER,
  row_version    INTEGER NOT NULL DEFAULT 0,
  -- columns of other writers; the bridge never names them in an UPDATE
  needed_image_build INTEGER CHECK (needed_image_build IN (0, 1)),
  CONSTRAINT stopped_has_time CHECK ((phase = 'stopped') = (stopped_at IS NOT NULL)),
  CONSTRAINT stop_origin_only_when_stopped CHECK (stop_origin IS NULL OR phase = 'stopped'),
  CONSTRAINT stopping_before_stopped CHECK (stopped_at IS NULL OR (stopping_at IS NOT NULL AND stopping_at <= stopped_at))
) STRICT;
CREATE INDEX workspace_instance_ws   ON workspace_instance (workspace_id, created_at DESC);
CREATE INDEX workspace_instance_live ON workspace_instance (created_at) WHERE phase <> 'stopped';

CREATE TABLE workspace_instance_metrics (
  instance_id TEXT PRIMARY KEY NOT NULL REFERENCES workspace_instance (id) ON DELETE CASCADE,
  metrics     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metrics))
) STRICT;

CREATE TABLE gitpod_token (
  token_hash TEXT PRIMARY KEY NOT NULL,
  name       TEXT,
  user_id    TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX gitpod_token_user_name ON gitpod_token (user_id, name);
