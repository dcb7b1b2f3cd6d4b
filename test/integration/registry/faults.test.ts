import { busy } from './faults/busy.js';
import { connections } from './faults/connections.js';
import { content } from './faults/content.js';
import { useLab } from './faults/lab.js';
import { lists } from './faults/lists.js';
import { redirects } from './faults/redirects.js';
import { printTable } from './faults/table.js';
import { tokens } from './faults/tokens.js';
import { uploads } from './faults/uploads.js';

// What a client must survive: a registry, and what lies between, misbehave in every way we know of. At the end a table says what came of it.
printTable();
useLab();
busy();
connections();
content();
redirects();
uploads();
tokens();
lists();
