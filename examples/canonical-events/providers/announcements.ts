import type { Provider } from './provider.ts';
import { first, object, text } from './read.ts';

/** Announcements that a workspace writes for its own visitors. */
export const announcements: Provider = {
  name: 'announcements',

  eventType(payload) {
    const said = first(text(payload.title), text(payload.message), text(payload.body));
    return said === undefined ? undefined : 'announcement.published';
  },

  fields(payload) {
    const action = object(payload.cta);
    return {
      title: text(payload.title),
      message: first(text(payload.message), text(payload.body)),
      action_label: first(text(action.label), text(action.text)),
      url: first(text(action.url), text(payload.link)),
      icon: text(payload.icon),
      image_url: text(payload.image_url),
    };
  },

  time: (payload) => payload.starts_at,
};
