-- Append-only: one row for each announcement, in the transaction of what it announces.
-- AUTOINCREMENT: a number is never used twice, so that a slow relay cannot remove another's entry.
CREATE TABLE bridge_outbox (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  channel      TEXT NOT NULL,
  topic        TEXT NOT NULL,
  payload      TEXT NOT NULL CHECK (json_valid(payload)),
  attempts     INTEGER NOT NULL DEFAULT 0,
  available_at TEXT NOT NULL
) STRICT;
CREATE INDEX bridge_outbox_ready ON bridge_outbox (available_at, id);

-- Keys of what happens once in the life of an instance.
CREATE TABLE bridge_once (
  key        TEXT PRIMARY KEY NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
