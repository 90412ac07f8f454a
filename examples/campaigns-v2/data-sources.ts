/** A row of `campaigns`, as far as the migration reads it. */
export type Campaign = {
  id: string;
  workspace_id?: string | null | undefined;
  campaign_type?: string | null | undefined;
  data_source?: string | null | undefined;
  native_config?: unknown;
  integration_settings?: unknown;
};

/** A row of `integrations`, as far as the migration reads it. */
export type Integration = {
  id: string;
  workspace_id?: string | null | undefined;
  provider: string;
  status: string;
  last_sync_at?: Date | string | null | undefined;
};

/** One source of a migrated campaign. Built-in sources have no connection, so their `integration_id` is null. */
export type DataSource = {
  integration_id: string | null;
  provider: string;
  filters: { events?: string[] };
};

/** What becomes of a campaign: its list of sources, or why no rule can tell. */
export type Decision =
  | { kind: 'sources'; sources: DataSource[] }
  | { kind: 'ambiguous'; reason: string; suggestion?: DataSource[] | undefined }
  | { kind: 'failed'; reason: string };

const BUILT_IN = new Set(['announcements', 'instant_capture', 'live_visitors']);

/**
 * Finds the sources of a campaign.
 * @param integrations those of the campaign's workspace and others; only its own are considered.
 */
export function decideSources(campaign: Campaign, integrations: readonly Integration[]): Decision {
  const settings = asObject(campaign.integration_settings);
  const filters = readFilters(settings);
  if (!filters) return { kind: 'failed', reason: 'integration_settings.events is not a list of texts' };

  const provider = campaign.data_source?.trim() || builtInProvider(campaign);
  if (!provider) return withoutProvider(campaign);
  if (BUILT_IN.has(provider)) return sources(null, provider, filters);

  const workspace = campaign.workspace_id ?? null;
  const matching = integrations.filter(
    (integration) => (integration.workspace_id ?? null) === workspace && integration.provider === provider,
  );
  const reference = settings.integration_id;
  return typeof reference === 'string' && reference !== ''
    ? byReference(reference, provider, filters, matching)
    : byProvider(provider, filters, matching);
}

/** A campaign that lives on native_config says by its type which built-in source it is. */
function builtInProvider({ campaign_type, native_config }: Campaign): string | undefined {
  const type = campaign_type ?? '';
  return BUILT_IN.has(type) && !isEmpty(native_config) ? type : undefined;
}

function withoutProvider({ campaign_type, native_config }: Campaign): Decision {
  return {
    kind: 'ambiguous',
    reason: isEmpty(native_config)
      ? 'the campaign has neither data_source nor native_config'
      : `native_config is set, but campaign_type "${campaign_type ?? ''}" names no built-in source`,
  };
}

function byReference(id: string, provider: string, filters: Filters, matching: Integration[]): Decision {
  if (matching.some((integration) => integration.id === id)) return sources(id, provider, filters);
  return {
    kind: 'ambiguous',
    reason: `integration_settings refers to integration ${id}, which is not a ${provider} integration of the workspace`,
    suggestion: suggest(provider, filters, matching.filter(isActive)),
  };
}

function byProvider(provider: string, filters: Filters, matching: Integration[]): Decision {
  const active = matching.filter(isActive);
  const [only] = active;
  if (only && active.length === 1) return sources(only.id, provider, filters);
  if (active.length > 1) {
    return {
      kind: 'ambiguous',
      reason: `${active.length} ${provider} integrations match: ${active.map(({ id }) => id).join(', ')}`,
      suggestion: suggest(provider, filters, active),
    };
  }
  return {
    kind: 'ambiguous',
    reason:
      matching.length > 0
        ? `the workspace's ${provider} integration is disconnected`
        : `the workspace has no ${provider} integration`,
    suggestion: suggest(provider, filters, matching),
  };
}

type Filters = DataSource['filters'];

function sources(integration_id: string | null, provider: string, filters: Filters): Decision {
  return { kind: 'sources', sources: [{ integration_id, provider, filters }] };
}

/** The one that was in use last; nothing when there is none to choose from. */
function suggest(provider: string, filters: Filters, candidates: Integration[]): DataSource[] | undefined {
  const [latest] = [...candidates].sort((a, b) => lastSync(b) - lastSync(a) || (a.id < b.id ? -1 : 1));
  return latest && [{ integration_id: latest.id, provider, filters }];
}

function lastSync({ last_sync_at }: Integration): number {
  const time = last_sync_at ? new Date(last_sync_at).getTime() : Number.NaN;
  return Number.isNaN(time) ? 0 : time;
}

/** No list of events means all of them, so nothing is filtered then; undefined when the list is no list of texts. */
function readFilters(settings: Record<string, unknown>): Filters | undefined {
  const { events } = settings;
  if (events === undefined || events === null) return {};
  if (!Array.isArray(events) || events.some((event) => typeof event !== 'string')) return undefined;
  return { events };
}

function isActive(integration: Integration): boolean {
  return integration.status === 'active';
}

function isEmpty(value: unknown): boolean {
  return Object.keys(asObject(value)).length === 0;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
