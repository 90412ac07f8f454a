import type { Random } from '../../shared/random.ts';
import type { Payload } from '../providers/provider.ts';

/** What a provider delivered: its own name for what happened, if it gave one, and its payload. */
export type Delivery = { event_type: string | null; event_data: Payload };

/** Makes one delivery of something that happened then. */
export type Deliver = (random: Random, at: Date) => Delivery;
