-- Campaigns as they are before the migration: one data source each, named by its provider.
CREATE TABLE IF NOT EXISTS campaigns (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  campaign_type text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('draft', 'active', 'paused')),
  -- Provider that the campaign draws on; empty for campaigns that live on native_config alone.
  data_source text,
  -- Settings of a built-in source (announcements, instant_capture, live_visitors).
  native_config jsonb,
  -- {"events": [...], "integration_id": "..."}: what to show, and sometimes which connection to take it from.
  integration_settings jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON campaigns TO app_admin;
GRANT SELECT ON campaigns TO app_user;
