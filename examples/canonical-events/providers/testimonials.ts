import type { Provider } from './provider.ts';
import { first, joined, number, object, text } from './read.ts';

/** Testimonials of the system's own form, and of its first version: `name`, `text` and `stars` at the top. */
export const testimonials: Provider = {
  name: 'testimonials',

  eventType(payload) {
    const stated = text(payload.status);
    if (stated === 'approved') return 'testimonial.approved';
    const written = first<string | number>(
      text(payload.content),
      text(payload.text),
      number(payload.rating),
      number(payload.stars),
    );
    return written === undefined ? undefined : 'testimonial.submitted';
  },

  fields(payload) {
    const author = object(payload.author);
    return {
      customer_name: first(text(author.name), text(payload.name)),
      company: joined(', ', author.title, author.company),
      message: first(text(payload.content), text(payload.text)),
      rating: first(number(payload.rating), number(payload.stars)),
      image_url: first(text(author.avatar_url), text(payload.avatar)),
      video_url: text(object(payload.video).url),
      product_name: text(object(payload.product).name),
      verified: typeof payload.verified === 'boolean' ? payload.verified : undefined,
    };
  },

  time: (payload) => payload.submitted_at,
};
