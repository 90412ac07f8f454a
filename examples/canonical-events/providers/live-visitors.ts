import type { Provider } from './provider.ts';
import { first, number, object, text } from './read.ts';

/** How many people look at a page right now, as the site's script counts them. */
export const liveVisitors: Provider = {
  name: 'live_visitors',

  eventType(payload) {
    return visitors(payload) === undefined ? undefined : 'visitors.counted';
  },

  fields(payload) {
    const page = object(payload.page);
    return {
      visitor_count: visitors(payload),
      window_minutes: number(payload.window_minutes),
      page_url: first(text(page.url), text(payload.url)),
      page_title: text(page.title),
      country: text(payload.top_country),
    };
  },

  time: (payload) => payload.measured_at,
};

function visitors(payload: Record<string, unknown>): number | undefined {
  return first(number(payload.active_visitors), number(payload.count));
}
