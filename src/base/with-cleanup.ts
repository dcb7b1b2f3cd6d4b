/** Does `work`, then `cleanup`, whatever happens. When both fail, the failure of `work` is thrown: the other follows from it as a rule. */
export async function withCleanup<T>(work: () => Promise<T>, cleanup: () => Promise<void>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await cleanup().catch(() => {});
    throw error;
  }
  await cleanup();
  return result;
}
