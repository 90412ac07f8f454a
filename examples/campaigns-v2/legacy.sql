-- The system as seed data: a workspace with its connections and the three campaigns that need migration.
INSERT INTO integrations (id, workspace_id, name, provider, status, last_sync_at, created_at) VALUES
  ('11111111-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 'Nordlicht Store', 'shopify', 'active', '2025-11-19T22:14:05Z', '2024-03-02T09:00:00Z'),
  ('11111111-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000001', 'Nordlicht Payments', 'stripe', 'active', '2025-11-19T22:40:31Z', '2024-03-02T09:12:00Z'),
  -- Connected and used by no campaign: what the third validation query reports.
  ('11111111-0000-4000-8000-000000000003', 'aaaaaaaa-0000-4000-8000-000000000001', 'Customer voices', 'testimonials', 'active', '2025-10-30T11:02:00Z', '2024-06-18T15:30:00Z'),
  ('11111111-0000-4000-8000-000000000004', 'aaaaaaaa-0000-4000-8000-000000000001', 'Old newsletter', 'mailchimp', 'disconnected', '2024-08-01T08:00:00Z', '2024-05-05T10:00:00Z'),
  -- Another workspace's shop must never be taken for this one's.
  ('11111111-0000-4000-8000-000000000005', 'bbbbbbbb-0000-4000-8000-000000000002', 'Café Zürich', 'shopify', 'active', '2025-11-19T23:59:59Z', '2025-01-10T10:00:00Z')
ON CONFLICT (id) DO NOTHING;

INSERT INTO campaigns (id, workspace_id, name, campaign_type, status, data_source, native_config, integration_settings, created_at, updated_at) VALUES
  ('c0000000-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 'Recent purchases', 'recent_activity', 'active',
   'shopify', NULL, '{"events": ["order.created"]}', '2024-03-04T10:00:00Z', '2025-06-01T12:00:00Z'),
  ('c0000000-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000001', 'New subscribers', 'conversions', 'active',
   'stripe', '{}', '{"events": ["invoice.paid", "customer.subscription.created"], "integration_id": "11111111-0000-4000-8000-000000000002"}',
   '2024-07-21T16:45:00Z', '2025-06-01T12:00:00Z'),
  ('c0000000-0000-4000-8000-000000000003', 'aaaaaaaa-0000-4000-8000-000000000001', 'Winter sale ❄', 'announcements', 'paused',
   NULL, '{"title": "Winter sale", "message": "20 % off everything until Sunday", "cta": {"label": "Shop now", "url": "https://nordlicht.example/sale"}}',
   '{}', '2024-11-25T07:30:00Z', '2024-12-02T00:00:00Z')
ON CONFLICT (id) DO NOTHING;
