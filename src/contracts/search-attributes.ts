import { defineSearchAttributeKey } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from './names.ts';

/** Typed keys of Cutover's search attributes, for starting and listing workflows. */
export const searchAttribute = {
  plan: defineSearchAttributeKey(SEARCH_ATTRIBUTES.plan, 'KEYWORD'),
  target: defineSearchAttributeKey(SEARCH_ATTRIBUTES.target, 'KEYWORD'),
  run: defineSearchAttributeKey(SEARCH_ATTRIBUTES.run, 'KEYWORD'),
  status: defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, 'KEYWORD'),
  phase: defineSearchAttributeKey(SEARCH_ATTRIBUTES.phase, 'KEYWORD'),
};
