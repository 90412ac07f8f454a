// Compiles to dist/ and puts beside the code what it reads at run time: SQL migrations, the examples' plans and data.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const tscPackage = createRequire(import.meta.url).resolve('typescript/package.json');
const { bin } = JSON.parse(readFileSync(tscPackage, 'utf8'));

rmSync(dist, { recursive: true, force: true });
try {
  const tsc = join(dirname(tscPackage), bin.tsc);
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
} catch {
  // The compiler has said what is wrong.
  process.exit(1);
}
for (const directory of ['src', 'examples']) {
  cpSync(join(root, directory), join(dist, directory), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
}
const cli = join(dist, 'src', 'cli', 'main.js');
if (!existsSync(cli)) {
  console.error(`The build has no command line: ${cli} is missing.`);
  process.exit(1);
}
chmodSync(cli, 0o755);
