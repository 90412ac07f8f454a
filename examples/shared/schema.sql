-- What both example systems use. Safe to run again: it changes nothing that is there already.

-- Roles belong to the whole server, so another database may have created them a moment ago.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['app_admin', 'app_user'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
    -- The owner takes these roles on to act as the application does; a superuser may do so anyway.
    IF NOT pg_has_role(current_user, wanted, 'SET') THEN
      BEGIN
        EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
      EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE 'role % belongs to somebody else: simulated traffic needs GRANT % TO %', wanted, wanted, current_user;
      END;
    END IF;
  END LOOP;
END
$$;

-- Connections of a workspace to the services that its campaigns draw on. The built-in sources (announcements,
-- instant_capture, live_visitors) need no connection and have no row here.
CREATE TABLE IF NOT EXISTS integrations (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  provider text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disconnected')),
  last_sync_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS feature_flags (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text UNIQUE NOT NULL,
  description text,
  enabled boolean DEFAULT false,
  rollout_percentage integer DEFAULT 0 CHECK (rollout_percentage BETWEEN 0 AND 100),
  metadata jsonb DEFAULT '{}',
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

-- Enabled, not forced: policies bind every role but the table's owner. Migrations connect as the owner, the
-- application never does.
ALTER TABLE feature_flags ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS admins_manage_all_flags ON feature_flags;
CREATE POLICY admins_manage_all_flags ON feature_flags FOR ALL TO app_admin USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS everyone_sees_enabled_flags ON feature_flags;
CREATE POLICY everyone_sees_enabled_flags ON feature_flags FOR SELECT TO PUBLIC USING (enabled);

INSERT INTO feature_flags (name, description, enabled, rollout_percentage) VALUES
  ('v2_canonical_system', 'Master flag of the unified integration system', false, 0),
  ('testimonial_system', 'Collecting and showing testimonials', false, 0),
  ('playlist_orchestration', 'Playlists of campaigns', false, 0),
  ('multi_integration_campaigns', 'Campaigns with several data sources', false, 0)
ON CONFLICT (name) DO NOTHING;

-- What the application measures of itself: one row per request, widget rendered or campaign created.
CREATE TABLE IF NOT EXISTS telemetry (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  kind text NOT NULL CHECK (kind IN ('api', 'widget', 'campaign_create')),
  ok boolean NOT NULL,
  ms double precision NOT NULL,
  flag text NOT NULL,
  variant text NOT NULL CHECK (variant IN ('on', 'off')),
  user_key text NOT NULL
);
CREATE INDEX IF NOT EXISTS telemetry_flag_variant_at_idx ON telemetry (flag, variant, at);

GRANT SELECT, INSERT, UPDATE, DELETE ON feature_flags TO app_admin;
GRANT SELECT ON feature_flags, integrations TO app_user;
GRANT INSERT ON telemetry TO app_user;
