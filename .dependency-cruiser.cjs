/**
 * The import rule of docs/architecture.md: each room names the rooms that it may import.
 * What is not listed is refused. `domain` is pure, workflows stay deterministic.
 */
const mayImport = {
  domain: [],
  plan: ['domain'],
  'ddl-lint': ['domain'],
  contracts: ['domain'],
  workflows: ['contracts', 'domain'],
  engine: ['targets', 'domain'],
  targets: ['domain'],
  gates: ['targets', 'domain'],
  flags: ['domain'],
  db: ['domain'],
  activities: ['contracts', 'domain', 'engine', 'targets', 'gates', 'flags', 'db', 'plan', 'ddl-lint'],
  api: ['plan', 'ddl-lint', 'contracts', 'domain', 'db', 'flags'],
  worker: ['workflows', 'activities', 'contracts', 'domain', 'engine', 'targets', 'db', 'plan'],
};

const rooms = Object.entries(mayImport).map(([room, allowed]) => ({
  name: `${room}-imports-only-what-it-may`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  // Files of `src/` itself, such as config.ts, are not rooms; they have rules of their own.
  to: { path: '^src/[^/]+/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...rooms,
    {
      name: 'workflow-code-is-deterministic',
      comment:
        'Code that runs in the workflow sandbox may use no Node module, no database driver and no zod.',
      severity: 'error',
      from: { path: '^src/(workflows|contracts|domain)/' },
      to: {
        dependencyTypes: ['core', 'npm'],
        pathNot: 'node_modules/@temporalio/(workflow|common)/',
      },
    },
    {
      name: 'only-config-reads-configuration',
      comment: 'config.ts is composed at the process entry points only.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli/|dev/|worker/|api/main|config)' },
      to: { path: '^src/config' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
