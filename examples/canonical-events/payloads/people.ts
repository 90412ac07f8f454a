import { chance, pick, type Random } from '../../shared/random.ts';

export type Person = { first_name: string; last_name: string; email: string };
export type Place = { city: string; country: string; country_code: string };

const NAMES: readonly (readonly [string, string])[] = [
  ['John', 'Carter'],
  ['Zoë', 'Brontë'],
  ['José', 'Núñez'],
  ['Siobhán', "O'Neill"],
  ['Łukasz', 'Żak'],
  ['Nguyễn', 'Thị Mai'],
  ['美咲', '佐藤'],
  ['Владимир', 'Петров'],
  ['ليلى', 'حداد'],
  ['Björk', 'Þórsdóttir'],
  ['Mary-Jane', 'van der Berg'],
  ['Ólafur', 'Jónsson'],
  ['Priya', 'Raghunathan'],
  ['Wei', '王'],
  ['Anna', 'Müller'],
  ['Kwame', 'Mensah'],
];

const PLACES: readonly Place[] = [
  { city: 'Zürich', country: 'Switzerland', country_code: 'CH' },
  { city: 'São Paulo', country: 'Brazil', country_code: 'BR' },
  { city: 'New York', country: 'United States', country_code: 'US' },
  { city: '東京', country: 'Japan', country_code: 'JP' },
  { city: 'Kraków', country: 'Poland', country_code: 'PL' },
  { city: "L'Haÿ-les-Roses", country: 'France', country_code: 'FR' },
  { city: 'Accra', country: 'Ghana', country_code: 'GH' },
  { city: 'Reykjavík', country: 'Iceland', country_code: 'IS' },
];

/** Somebody; with a missing first or last name now and then, as checkouts allow. */
export function person(random: Random): Person {
  const [first_name, last_name] = pick(random, NAMES);
  const email = `customer.${Math.floor(random() * 1_000_000)}@mail.example`;
  if (chance(random, 0.05)) return { first_name: '', last_name, email };
  if (chance(random, 0.08)) return { first_name, last_name: '', email };
  return { first_name, last_name, email };
}

export function place(random: Random): Place {
  return pick(random, PLACES);
}

/** Whole seconds, with the offset of the shop's own time zone, as Shopify writes times. */
export function withOffset(at: Date, hours: number): string {
  const local = new Date(at.getTime() + hours * 3_600_000).toISOString().slice(0, 19);
  const sign = hours < 0 ? '-' : '+';
  return `${local}${sign}${String(Math.abs(hours)).padStart(2, '0')}:00`;
}
