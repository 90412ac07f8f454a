import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ROLES } from './domain/role.ts';

/*
 * What each variable may hold. No message repeats a value: it may be a secret, or a URL with one in it.
 */

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const TARGET_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const DEFAULT_POOL_SIZE = 8;

const postgresUrl = z
  .string('write a URL like postgresql://user:password@host:5432/database')
  .refine(
    (text) => URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol),
    'write a URL like postgresql://user:password@host:5432/database (special characters in the password as %XX)',
  );
const httpUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    'write a URL like http://127.0.0.1:8233',
  )
  .transform((text) => text.replace(/\/+$/, ''));
const connectionCount = z.coerce
  .number('write a whole number from 1 to 1000')
  .int('write a whole number from 1 to 1000')
  .min(1, 'write a whole number from 1 to 1000')
  .max(1000, 'write a whole number from 1 to 1000');
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);

function json(example: string) {
  return z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      // The parser's own message quotes the text, and that may hold a password.
      context.addIssue({ code: 'custom', message: `write JSON like ${example}` });
      return z.NEVER;
    }
  });
}

export const TARGETS_EXAMPLE = '{"shop": {"url": "postgresql://…", "poolSize": 8, "budget": 8}}';
export const targetsSchema = z.record(
  z.string().regex(TARGET_NAME, 'name a target with lower-case letters, digits and dashes, at most 63'),
  z.strictObject(
    {
      url: postgresUrl,
      poolSize: connectionCount.default(DEFAULT_POOL_SIZE),
      budget: connectionCount.optional(),
    },
    `write ${TARGETS_EXAMPLE}`,
  ),
  `write an object like ${TARGETS_EXAMPLE}`,
);

export const TOKENS_EXAMPLE = '[{"name": "ana", "role": "admin", "token": "…"}]';
const tokens = z
  .array(
    z.strictObject({
      name: z.string('write a name').min(1, 'write a name'),
      role: z.enum(ROLES, `write one of ${ROLES.join(', ')}`),
      token: z
        .string('write at least 16 characters')
        .min(16, 'write at least 16 characters, as `openssl rand -hex 24` gives them'),
    }),
    `write a list like ${TOKENS_EXAMPLE}`,
  )
  .refine(
    (all) => new Set(all.map((one) => one.token)).size === all.length,
    'give every entry a token of its own; two entries share one',
  );

const file = z.string().transform((path, context) => {
  try {
    return readFileSync(path);
  } catch (error) {
    context.addIssue({
      code: 'custom',
      message: `name a file that can be read; ${error instanceof Error ? error.message : String(error)}`,
    });
    return z.NEVER;
  }
});

const port = 'write a port number from 0 to 65535 (0 takes any free one)';

export const environmentSchema = z.object({
  CUTOVER_DATABASE_URL: postgresUrl.optional(),
  CUTOVER_TEMPORAL_ADDRESS: z
    .string()
    .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/, 'write host:port, as in 127.0.0.1:7233')
    .optional(),
  CUTOVER_TEMPORAL_NAMESPACE: z.string().default('default'),
  CUTOVER_TEMPORAL_TLS: z.enum(['true', 'false'], 'write true or false').optional(),
  CUTOVER_TEMPORAL_TLS_SERVER_NAME: z.string().optional(),
  CUTOVER_TEMPORAL_TLS_CA: file.optional(),
  CUTOVER_TEMPORAL_TLS_CERT: file.optional(),
  CUTOVER_TEMPORAL_TLS_KEY: file.optional(),
  CUTOVER_TEMPORAL_API_KEY: z.string().optional(),
  CUTOVER_TARGETS: json(TARGETS_EXAMPLE).pipe(targetsSchema).default({}),
  CUTOVER_TOKENS: json(TOKENS_EXAMPLE).pipe(tokens).default([]),
  CUTOVER_HOST: z.string().default('127.0.0.1'),
  CUTOVER_PORT: z.coerce.number(port).int(port).min(0, port).max(65535, port).default(8080),
  CUTOVER_TRANSFORMS: list.default([]),
  CUTOVER_LOG_LEVEL: z.enum(LOG_LEVELS, `write one of ${LOG_LEVELS.join(', ')}`).default('info'),
  CUTOVER_WEB_UI_URL: httpUrl.optional(),
  CUTOVER_API_URL: httpUrl.optional(),
  CUTOVER_TOKEN: z.string().optional(),
  CUTOVER_DIR: z.string().default('.cutover'),
  CUTOVER_CACHE_DIR: z.string().optional(),
  XDG_CACHE_HOME: z.string().optional(),
});
export type Environment = z.output<typeof environmentSchema>;
