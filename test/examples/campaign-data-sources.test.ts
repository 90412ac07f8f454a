import { describe, expect, test } from 'vitest';
import { type Campaign, decideSources, type Integration } from '../../examples/campaigns-v2/data-sources.ts';
import { campaignDataSources } from '../../examples/campaigns-v2/transforms.ts';

const workspace_id = 'w';

function integration(id: string, provider: string, more: Partial<Integration> = {}): Integration {
  return { id, workspace_id, provider, status: 'active', ...more };
}

function decide(campaign: Partial<Campaign>, ...integrations: Integration[]) {
  return decideSources({ id: 'c', workspace_id, ...campaign }, integrations);
}

test('the published example of a campaign, to the letter', () => {
  const campaign = {
    id: 'campaign-1',
    data_source: 'shopify',
    integration_settings: { events: ['order.created'] },
  };
  const before = structuredClone(campaign);
  const unset = { workspace_id: null, campaign_type: null, native_config: null };
  const integrations = [{ id: 'int-123', workspace_id: null, provider: 'shopify', status: 'active' }];

  const result = campaignDataSources.transform({ ...unset, ...campaign }, integrations);

  expect(campaign).toStrictEqual(before);
  expect(result.outcome).toBe('migrated');
  expect({ ...campaign, ...('values' in result ? result.values : {}) }).toStrictEqual({
    id: 'campaign-1',
    data_source: 'shopify',
    integration_settings: { events: ['order.created'] },
    data_sources_v2: [
      { integration_id: 'int-123', provider: 'shopify', filters: { events: ['order.created'] } },
    ],
  });
});

describe('built-in sources', () => {
  test.each(['announcements', 'instant_capture', 'live_visitors'])('%s needs no connection', (provider) => {
    const sources = [{ integration_id: null, provider, filters: {} }];
    expect(decide({ data_source: provider })).toEqual({ kind: 'sources', sources });
    expect(decide({ campaign_type: provider, native_config: { title: 'x' } })).toEqual({
      kind: 'sources',
      sources,
    });
  });

  test('native_config alone does not say which built-in source it is', () => {
    expect(decide({ campaign_type: 'recent_activity', native_config: { title: 'x' } })).toMatchObject({
      kind: 'ambiguous',
      reason: expect.stringContaining('names no built-in source'),
    });
  });

  test('data_source wins over native_config', () => {
    expect(
      decide(
        { data_source: 'stripe', campaign_type: 'announcements', native_config: { title: 'x' } },
        integration('s', 'stripe'),
      ),
    ).toMatchObject({ kind: 'sources', sources: [{ integration_id: 's', provider: 'stripe' }] });
  });
});

describe('ambiguous campaigns', () => {
  test('no matching integration: none at all, or only in another workspace', () => {
    const elsewhere = integration('x', 'shopify', { workspace_id: 'other' });
    expect(decide({ data_source: 'shopify' }, integration('s', 'stripe'), elsewhere)).toEqual({
      kind: 'ambiguous',
      reason: 'the workspace has no shopify integration',
      suggestion: undefined,
    });
  });

  test('no matching integration, but one that was disconnected: it is suggested', () => {
    expect(
      decide({ data_source: 'shopify' }, integration('old', 'shopify', { status: 'disconnected' })),
    ).toEqual({
      kind: 'ambiguous',
      reason: "the workspace's shopify integration is disconnected",
      suggestion: [{ integration_id: 'old', provider: 'shopify', filters: {} }],
    });
  });

  test.each([
    [{}],
    [{ data_source: '', native_config: {} }],
    [{ data_source: null, native_config: null, campaign_type: 'announcements' }],
  ])('neither data_source nor native_config: %j', (campaign) => {
    expect(decide(campaign)).toEqual({
      kind: 'ambiguous',
      reason: 'the campaign has neither data_source nor native_config',
    });
  });

  test('orphaned reference: what it could mean is suggested, not written', () => {
    const campaign = {
      data_source: 'shopify',
      integration_settings: { events: ['a'], integration_id: 'gone' },
    };
    expect(decide(campaign, integration('new', 'shopify'))).toEqual({
      kind: 'ambiguous',
      reason: expect.stringContaining('refers to integration gone'),
      suggestion: [{ integration_id: 'new', provider: 'shopify', filters: { events: ['a'] } }],
    });
  });

  test('a reference to an integration of another provider or workspace is as good as orphaned', () => {
    const campaign = { data_source: 'shopify', integration_settings: { integration_id: 's' } };
    expect(decide(campaign, integration('s', 'stripe'))).toMatchObject({ kind: 'ambiguous' });
    expect(decide(campaign, integration('s', 'shopify', { workspace_id: 'other' }))).toMatchObject({
      kind: 'ambiguous',
    });
  });

  test('several matches: the one in use last is suggested', () => {
    const outlets = [
      integration('de', 'woocommerce', { last_sync_at: '2025-11-18T00:00:00Z' }),
      integration('at', 'woocommerce', { last_sync_at: '2025-03-02T00:00:00Z' }),
      integration('never', 'woocommerce'),
    ];
    expect(decide({ data_source: 'woocommerce' }, ...outlets)).toEqual({
      kind: 'ambiguous',
      reason: '3 woocommerce integrations match: de, at, never',
      suggestion: [{ integration_id: 'de', provider: 'woocommerce', filters: {} }],
    });
  });
});

test('several matches, and the campaign says which', () => {
  expect(
    decide(
      { data_source: 'stripe', integration_settings: { integration_id: 'b' } },
      integration('a', 'stripe'),
      integration('b', 'stripe', { status: 'disconnected' }),
    ),
  ).toMatchObject({ kind: 'sources', sources: [{ integration_id: 'b' }] });
});

test.each(['order.created', [1], { a: 1 }])('events that are no list of texts fail: %j', (events) => {
  expect(
    decide({ data_source: 'stripe', integration_settings: { events } }, integration('a', 'stripe')),
  ).toEqual({
    kind: 'failed',
    reason: 'integration_settings.events is not a list of texts',
  });
});
