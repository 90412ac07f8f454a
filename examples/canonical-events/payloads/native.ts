import { between, chance, pick } from '../../shared/random.ts';
import type { Deliver } from './delivery.ts';
import { person, place } from './people.ts';

/*
 * The system's own sources: testimonials, announcements, captured forms, visitor counts.
 */

const PRAISE = [
  'Set up in five minutes. Sales went up the same week!',
  'Ein tolles Werkzeug – danke 🙏',
  'It\'s "exactly" what we needed.\nSupport answered on a Sunday.',
  'とても使いやすいです。',
  'OK',
];

export const testimonials: Deliver = (random, at) => {
  const { first_name, last_name, email } = person(random);
  const name = `${first_name} ${last_name}`.trim();
  if (chance(random, 0.25)) {
    // The first version of the form.
    return {
      event_type: null,
      event_data: { name, text: pick(random, PRAISE), stars: String(between(random, 3, 5)) },
    };
  }
  const approved = chance(random, 0.7);
  return {
    event_type: chance(random, 0.5) ? (approved ? 'testimonial.approved' : 'testimonial.submitted') : null,
    event_data: {
      author: {
        name,
        email,
        ...(chance(random, 0.5) ? { title: 'Head of Growth', company: 'Café & Söhne GmbH' } : {}),
        avatar_url: chance(random, 0.4) ? `https://cdn.example/avatars/${between(random, 1, 99)}.png` : null,
      },
      rating: chance(random, 0.9) ? between(random, 3, 5) : null,
      content: pick(random, PRAISE),
      status: approved ? 'approved' : 'pending',
      verified: chance(random, 0.6),
      submitted_at: at.toISOString(),
    },
  };
};

export const announcements: Deliver = (random, at) => {
  const title = pick(random, ['Winter sale ❄', 'We are hiring', 'New: dark mode', 'Holiday hours']);
  if (chance(random, 0.2))
    return { event_type: null, event_data: { title, body: 'See what is new', link: '/news' } };
  return {
    event_type: chance(random, 0.6) ? 'announcement.published' : null,
    event_data: {
      title,
      message: pick(random, [
        '20 % off everything until Sunday',
        'Read more on our blog',
        'Öffnungszeiten beachten!',
      ]),
      cta: chance(random, 0.7)
        ? { label: 'Shop now', url: 'https://nordlicht.example/sale?utm=banner' }
        : null,
      icon: pick(random, ['❄', '📣', null]),
      starts_at: at.toISOString(),
      ends_at: null,
      audience: { countries: ['CH', 'DE'], returning: chance(random, 0.5) },
    },
  };
};

export const instantCapture: Deliver = (random, at) => {
  const { first_name, last_name, email } = person(random);
  const fields = pick<Record<string, unknown>>(random, [
    { name: `${first_name} ${last_name}`.trim(), email },
    { first_name, last_name, email, company: 'Acme, Inc.' },
    { 'your-name': first_name, 'your-email': email, 'your-message': 'Können Sie mich zurückrufen?' },
    { email },
  ]);
  const { city, country } = place(random);
  return {
    event_type: chance(random, 0.5) ? 'form.submitted' : null,
    event_data: {
      form_id: `form_${between(random, 1, 12)}`,
      form_name: pick(random, ['Newsletter', 'Demo request', 'Contact']),
      fields,
      page_url: 'https://nordlicht.example/kontakt',
      page_title: 'Kontakt – Nordlicht',
      geo: chance(random, 0.8) ? { city, country } : null,
      user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0',
      captured_at: at.toISOString(),
    },
  };
};

export const liveVisitors: Deliver = (random, at) => {
  if (chance(random, 0.2)) {
    return { event_type: null, event_data: { count: between(random, 0, 90), url: '/products/beanie' } };
  }
  return {
    event_type: chance(random, 0.5) ? 'visitors.counted' : null,
    event_data: {
      active_visitors: between(random, 0, 400),
      window_minutes: pick(random, [5, 15, 30]),
      page: { url: '/products/beanie', title: 'Merino Beanie' },
      top_country: place(random).country_code,
      measured_at: at.toISOString(),
    },
  };
};
