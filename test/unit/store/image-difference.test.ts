import { expect, test } from 'vitest';
import { imageDifferenceJsonSchema } from '../../../src/store/image-difference.js';

// `npx vitest run test/unit/store/image-difference.test.ts -u` writes the schema anew.
test('docs/diff.schema.json is the schema of what is printed', async () => {
  const schema = `${JSON.stringify(imageDifferenceJsonSchema(), null, 2)}\n`;
  await expect(schema).toMatchFileSnapshot('../../../docs/diff.schema.json');
});
