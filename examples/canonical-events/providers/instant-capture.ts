import type { Provider } from './provider.ts';
import { first, joined, object, text } from './read.ts';

/**
 * Forms on the customer's site, captured as they are sent. Field names are whatever the site's author chose.
 * Addresses to write or call to stay in the payload: a widget is public.
 */
export const instantCapture: Provider = {
  name: 'instant_capture',

  eventType(payload) {
    return payload.fields === undefined && payload.form_id === undefined ? undefined : 'form.submitted';
  },

  fields(payload) {
    const fields = object(payload.fields);
    const geo = object(payload.geo);
    return {
      customer_name:
        first(text(fields.name), text(fields.full_name), text(fields['your-name'])) ??
        joined(' ', fields.first_name, fields.last_name),
      company: text(fields.company),
      form_name: text(payload.form_name),
      page_url: text(payload.page_url),
      page_title: text(payload.page_title),
      location: joined(', ', geo.city, geo.country),
    };
  },

  time: (payload) => payload.captured_at,
};
