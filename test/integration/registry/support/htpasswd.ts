import { must } from './programs.js';

/** Writes an htpasswd file with bcrypt hashes, by Apache's own program. */
export async function writeHtpasswd(file: string, users: Readonly<Record<string, string>>, cost = 4): Promise<void> {
  let create = ['-c'];
  for (const [user, password] of Object.entries(users)) {
    await must('htpasswd', ['-B', '-C', String(cost), '-i', ...create, file, user], { input: password });
    create = [];
  }
}
