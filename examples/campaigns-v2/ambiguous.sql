-- Campaigns that no rule can migrate: each kind of ambiguity once.
INSERT INTO integrations (id, workspace_id, name, provider, status, last_sync_at, created_at) VALUES
  ('11111111-0000-4000-8000-000000000006', 'aaaaaaaa-0000-4000-8000-000000000001', 'Outlet DE', 'woocommerce', 'active', '2025-11-18T04:00:00Z', '2025-02-01T10:00:00Z'),
  ('11111111-0000-4000-8000-000000000007', 'aaaaaaaa-0000-4000-8000-000000000001', 'Outlet AT', 'woocommerce', 'active', '2025-03-02T04:00:00Z', '2025-02-03T10:00:00Z')
ON CONFLICT (id) DO NOTHING;

INSERT INTO campaigns (id, workspace_id, name, campaign_type, status, data_source, native_config, integration_settings, created_at, updated_at) VALUES
  -- No matching integration: nobody in the workspace ever connected Calendly.
  ('c0000000-0000-4000-8000-000000000011', 'aaaaaaaa-0000-4000-8000-000000000001', 'Booked demos', 'conversions', 'paused',
   'calendly', NULL, '{"events": ["invitee.created"]}', '2025-01-15T10:30:00Z', '2025-01-15T10:30:00Z'),
  -- Neither data_source nor native_config: a draft that was never finished.
  ('c0000000-0000-4000-8000-000000000012', 'aaaaaaaa-0000-4000-8000-000000000001', 'Untitled campaign', 'recent_activity', 'draft',
   NULL, NULL, '{}', '2025-04-01T08:00:00Z', '2025-04-01T08:00:00Z'),
  -- Orphaned reference: the shop it names was disconnected and deleted; another one is connected today.
  ('c0000000-0000-4000-8000-000000000013', 'aaaaaaaa-0000-4000-8000-000000000001', 'Bestsellers', 'recent_activity', 'active',
   'shopify', NULL, '{"events": ["order.created"], "integration_id": "deadbeef-0000-4000-8000-000000000099"}', '2024-02-11T19:20:00Z', '2024-02-11T19:20:00Z'),
  -- Several matches: two outlets, and nothing says which.
  ('c0000000-0000-4000-8000-000000000014', 'aaaaaaaa-0000-4000-8000-000000000001', 'Outlet ticker', 'recent_activity', 'active',
   'woocommerce', NULL, '{"events": ["order.created"]}', '2025-02-10T12:00:00Z', '2025-02-10T12:00:00Z')
ON CONFLICT (id) DO NOTHING;
