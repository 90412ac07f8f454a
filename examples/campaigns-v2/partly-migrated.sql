-- A later day: somebody has added the column and migrated the first of the three campaigns by hand.
ALTER TABLE campaigns ADD COLUMN IF NOT EXISTS data_sources_v2 jsonb;

UPDATE campaigns
SET data_sources_v2 = '[{"integration_id": "11111111-0000-4000-8000-000000000001", "provider": "shopify", "filters": {"events": ["order.created"]}}]'
WHERE id = 'c0000000-0000-4000-8000-000000000001';
