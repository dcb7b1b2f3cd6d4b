// The arrows of the house. A room may import only the rooms named here (and src/base, which everyone may use).
// cli → build, install → runtime → hosts;   build, install → registry → store → layers → image;   build → lint → kubefile-parser, image
const MAY_IMPORT = {
  base: [],
  'kubefile-parser': [],
  image: [],
  layers: ['image'],
  store: ['layers', 'image'],
  registry: ['store', 'layers', 'image'],
  lint: ['kubefile-parser', 'image'],
  build: ['lint', 'kubefile-parser', 'registry', 'store', 'layers', 'image'],
  hosts: [],
  runtime: ['hosts', 'image'],
  install: ['runtime', 'hosts', 'registry', 'store', 'layers', 'image'],
  cli: ['build', 'lint', 'install', 'runtime', 'hosts', 'registry', 'store', 'layers', 'image', 'kubefile-parser'],
};

const rooms = Object.keys(MAY_IMPORT);

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: ['^src/cli/main\\.ts$', '-worker\\.ts$', '\\.d\\.ts$'] },
      to: {},
    },
    {
      name: 'no-library-on-demand',
      severity: 'error',
      comment:
        'a CommonJS library that is bundled has no named exports for import(): import it in a file of ours, and that one on demand',
      from: {},
      to: { dynamic: true, dependencyTypesNot: ['local', 'core'] },
    },
    ...rooms.map((room) => ({
      name: `${room}-arrows`,
      severity: 'error',
      comment: `src/${room} may import only: ${['base', ...MAY_IMPORT[room]].join(', ')}`,
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: [room, 'base', ...MAY_IMPORT[room]].map((name) => `^src/${name}/`) },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
