-- Events as webhooks and the site's own script deliver them: each provider in its own shape.
CREATE TABLE IF NOT EXISTS events (
  id uuid PRIMARY KEY,
  integration_type text NOT NULL,
  -- The provider's name for what happened. Older rows don't have it: it shows in the payload only.
  event_type text,
  event_data jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS events_created_at_idx ON events (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON events TO app_admin;
GRANT SELECT ON events TO app_user;
