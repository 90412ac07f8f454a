import { ambiguous, defineTransform, failed, migrated } from '../../src/engine/transform/transform.ts';
import { decideSources, type Integration } from './data-sources.ts';

/** `data_sources_v2` from `data_source`, `native_config` and the workspace's integrations. */
export const campaignDataSources = defineTransform({
  name: 'campaign-data-sources',
  version: 1,
  reads: ['id', 'workspace_id', 'campaign_type', 'data_source', 'native_config', 'integration_settings'],
  writes: ['data_sources_v2'],

  prefetch: async (rows, query): Promise<readonly Integration[]> => {
    const workspaces = [...new Set(rows.map(({ workspace_id }) => workspace_id))];
    return await query<Integration>(
      `SELECT id, workspace_id, provider, status, last_sync_at
       FROM integrations WHERE workspace_id = ANY ($1::uuid[])`,
      [workspaces],
    );
  },

  transform: (row, integrations) => {
    const decision = decideSources(
      {
        id: String(row.id),
        workspace_id: asText(row.workspace_id),
        campaign_type: asText(row.campaign_type),
        data_source: asText(row.data_source),
        native_config: row.native_config,
        integration_settings: row.integration_settings,
      },
      integrations,
    );
    switch (decision.kind) {
      case 'sources':
        return migrated({ data_sources_v2: decision.sources });
      case 'ambiguous':
        return ambiguous(decision.reason, decision.suggestion);
      case 'failed':
        return failed(decision.reason);
    }
  },
});

export const transforms = [campaignDataSources];

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
