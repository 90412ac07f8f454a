import { tsImport } from 'tsx/esm/api';

// Where the code is not compiled: up to Node 22 a thread does not inherit the loader of TypeScript from whoever starts it.
await tsImport('./transform-thread.ts', import.meta.url);
